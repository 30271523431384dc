"""The port to a misbehaving venue: it fills by the engine's fill model, tells its executions by itself, and fails."""

import msgspec

from engine.configuration import Configuration
from engine.engine import Engine
from engine.fills import after_slice, slice_fills
from events.types import BrokerEvent, FillEvent, MarketSlice, OrderEvent
from worker.brokers.misbehaving.venue import Venue, amendment, described
from worker.brokers.port import BrokerTimeoutError, BrokerUnavailableError, Capabilities, Holdings

NAME = "misbehaving"
ENDS = frozenset({"CANCELED", "EXPIRED", "REJECTED"})


class MisbehavingBroker:
    """One worker's connection to a venue."""

    name = NAME
    live = False

    def __init__(self, venue: Venue, configuration: Configuration, engine: Engine) -> None:
        self._venue, self._engine = venue, engine
        self._units: dict[str, tuple[int, int]] = {}
        self._told = 0  # executions that this connection has told
        self.configure(configuration)

    @property
    def capabilities(self) -> Capabilities:
        """Everything, of the configuration's symbols."""
        return Capabilities(symbols=frozenset(self._units))

    def configure(self, configuration: Configuration) -> None:
        """Learn of new instruments."""
        for each in configuration.instruments:
            self._units.setdefault(each.symbol, (each.lot_numerator, each.lot_denominator))

    def submit(self, order: OrderEvent) -> BrokerEvent:
        """Take an order; it may never arrive, arrive unanswered, or be executed before its answer."""
        kind = self._fails("submit")
        self._venue.arrive(order)
        if kind == "filled first":
            self._execute(self._now_fill(order), kind)
        self._unanswered(kind)
        return self._answer(order.order_id, "ACCEPTED")

    def modify(self, order: OrderEvent) -> BrokerEvent:
        """Replace a working order by its change."""
        kind = self._fails("modify")
        known = self._venue.orders.get(order.order_id)
        done = known is not None and known.working and order.change is not None
        if known is not None and order.change is not None and done:
            known.lots = max(order.change.lots, known.filled_lots)
            known.limit_ticks, known.stop_ticks = order.change.limit_ticks, order.change.stop_ticks
            known.state = "FILLED" if known.filled_lots == known.lots else known.state
        self._unanswered(kind)
        return self._answer(order.order_id, "UPDATED" if done else "UPDATE_REJECTED")

    def cancel(self, order_id: str) -> BrokerEvent:
        """Cancel what is left of an order."""
        kind = self._fails("cancel")
        known = self._venue.orders.get(order_id)
        if known is not None and known.working:
            known.state = "CANCELED"
        self._unanswered(kind)
        return self._answer(order_id, "CANCELED")

    def query(self, order_id: str) -> BrokerEvent | None:
        """Return what the venue knows of an order; one that was filled is told by its executions."""
        self._unanswered(self._fails("query"))
        known = self._venue.orders.get(order_id)
        if known is None:
            return None
        return self._answer(order_id, known.state if known.state in ENDS else "ACCEPTED")

    def working(self) -> list[OrderEvent]:
        """Return the orders that may still fill."""
        return [described(order) for order in self._venue.working()]

    def holdings(self) -> Holdings:
        """Return positions and cash; a fault adds a lot to the first symbol, as a venue's own error would."""
        kind = self._fails("holdings")
        self._unanswered(kind)
        lots = {symbol: held for symbol, held in self._venue.lots.items() if held}
        if kind == "wrong":
            symbol = min(self._units)
            lots[symbol] = lots.get(symbol, 0) + 1
        return Holdings(lots=lots, cash_micro=self._venue.cash_micro)

    def executions(self) -> list[FillEvent]:
        """Return what this connection has not told yet."""
        fresh = self._venue.executions[self._told :]
        self._told = len(self._venue.executions)
        return fresh

    def fills(self, market: MarketSlice) -> list[FillEvent]:
        """Let a slice pass at the venue and return nothing: its executions come by themselves."""
        self._engine.simulated_fills(market, NAME)  # lays the slice
        if market.close_ns <= self._venue.last_close_ns:
            return []  # a start steps the journal's slices again; the venue has seen them
        self._venue.last_close_ns = market.close_ns
        state, working = self._engine.state, self._venue.working()
        for fill in slice_fills(working, state.universe, state.costs[0], NAME, market.quotes):
            self._execute(fill, self._venue.strikes("fill"))
        after_slice(self._venue.working(), state.universe, market.quotes)
        for order in self._venue.working():
            gone = order.expires_ns is not None and order.expires_ns <= market.close_ns
            if market.ended or gone or (order.time_in_force == "IOC" and order.seen_bar):
                order.state = "EXPIRED"
        return []

    def observe(self, event: OrderEvent | BrokerEvent | FillEvent) -> None:
        """Keep nothing: the venue has its own books."""

    def snapshot(self) -> bytes:
        """Return nothing."""
        return b""

    def restore(self, state: bytes) -> None:
        """Go on with what the venue knows."""

    def _execute(self, fill: FillEvent, kind: str) -> None:
        """Book an execution; tell it twice, cut it short and refuse the rest, take it back or correct it."""
        units, order = self._units[fill.symbol], self._venue.orders[fill.order_id]
        if kind == "part then reject" and fill.lots > 1:
            name = f"{fill.order_id}.{order.filled_lots + fill.lots // 2}"
            fill = msgspec.structs.replace(fill, lots=fill.lots // 2, execution_id=name)
        self._venue.execute(fill, *units)
        if kind == "twice":
            self._venue.executions.append(fill)
        elif kind == "part then reject" and order.working:
            order.state = "REJECTED"
        elif kind in {"busted", "corrected"}:
            self._venue.amend(fill, amendment(fill, kind), *units)

    def _now_fill(self, order: OrderEvent) -> FillEvent:
        return FillEvent(
            broker=NAME, execution_id=f"{order.order_id}.{order.lots}", order_id=order.order_id,
            broker_ns=order.engine_ns, symbol=order.symbol, side=order.side, lots=order.lots,
            price_micro=round(order.expected_price * 1e6), fee_micro=0, reference_price=order.expected_price,
        )  # fmt: skip

    def _fails(self, call: str) -> str:
        """Raise what keeps a call from arriving; return what else goes wrong with it."""
        kind = self._venue.strikes(call)
        if kind == "unavailable":
            raise BrokerUnavailableError("connection refused")
        if kind == "lost":
            raise BrokerTimeoutError("no answer within 2 s")
        return kind

    @staticmethod
    def _unanswered(kind: str) -> None:
        if kind == "silent":
            raise BrokerTimeoutError("no answer within 2 s")

    def _answer(self, order_id: str, kind: str) -> BrokerEvent:
        return BrokerEvent(broker=NAME, order_id=order_id, kind=kind, broker_ns=self._venue.last_close_ns)  # type: ignore[arg-type]
