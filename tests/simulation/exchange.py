"""Brokers of the simulation: an exchange that outlives the worker and answers badly, and the paper broker, watched."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from engine.configuration import Configuration
from engine.engine import Engine
from events.types import BrokerEvent, FillEvent, MarketSlice, OrderEvent
from tests.simulation.world import SECOND_NS, Finding, World
from worker.brokers.paper import PaperBroker
from worker.brokers.port import BrokerTimeoutError, BrokerUnavailableError, Capabilities, Holdings

FEE_PPM = 100
MICRO = 1_000_000


@dataclass
class Kept:
    """An order as the exchange has it."""

    order: OrderEvent
    state: str  # WORKING, FILLED, CANCELED, REJECTED, EXPIRED
    filled: int = 0


@dataclass
class Exchange:
    """The venue's own books; a lot is one unit. ``on_submit`` judges an order as it arrives, before anything else."""

    world: World
    cash_micro: int
    trouble: float  # 0 answers like a clock, 1 is the worst day
    on_submit: Callable[[OrderEvent], None]
    orders: dict[str, Kept] = field(default_factory=dict)
    arrived: list[str] = field(default_factory=list)
    lots: dict[str, int] = field(default_factory=dict)
    executions: list[tuple[int, FillEvent]] = field(default_factory=list)  # instant from which it is told
    prices: dict[str, float] = field(default_factory=dict)
    now_ns: int = 0  # market time
    foreign: int = 0

    def arrive(self, order: OrderEvent) -> None:
        """Take an order in; one that came before is sent twice."""
        if order.order_id in self.orders:
            raise Finding("sent once", f"{order.order_id} reached the exchange a second time")
        self.arrived.append(order.order_id)
        late = order.expires_ns is not None and order.expires_ns <= self.now_ns
        refused = late or self.world.rng.random() < 0.05 * self.trouble
        self.orders[order.order_id] = Kept(order, "REJECTED" if refused else "WORKING")
        if not refused and self.world.rng.random() < 0.1 * self.trouble:
            self.fill(self.orders[order.order_id], early=True)

    def trade(self, close_ns: int, prices: dict[str, float], *, fills: bool = True) -> None:
        """Let a slice pass: orders fill in part, whole or not, and expire."""
        self.now_ns = close_ns
        self.prices |= prices
        for kept in self.orders.values():
            expires = kept.order.expires_ns
            if kept.state == "WORKING" and expires is not None and expires <= close_ns:
                kept.state = "EXPIRED"
            if fills and kept.state == "WORKING" and self.world.rng.random() < 0.5:
                self.fill(kept)

    def working(self) -> list[Kept]:
        """Return what may still fill."""
        return [kept for kept in self.orders.values() if kept.state == "WORKING"]

    def fill(self, kept: Kept, *, early: bool = False) -> None:
        """Execute some of an order; the news of it may be late."""
        rng, order = self.world.rng, kept.order
        price = self.prices.get(order.symbol)
        if price is None:
            return
        left = order.lots - kept.filled
        lots = left if early or rng.random() < 0.6 else rng.randrange(1, left + 1)
        side = 1 if order.side == "BUY" else -1
        kept.filled += lots
        kept.state = "FILLED" if kept.filled == order.lots else kept.state
        price_micro = round(price * (1.0 + side * 0.0002 * rng.random()) * MICRO)
        late = rng.randrange(20 * SECOND_NS) if rng.random() < 0.2 * self.trouble else 0
        self._book(order.order_id, f"{order.order_id}.{kept.filled}", order.symbol, side * lots, price_micro, late)

    def fill_for_another(self) -> None:
        """Execute what nobody ordered: an error of the exchange, or another program on the account."""
        if self.prices:
            self.foreign += 1
            symbol = min(self.prices)
            name = f"X{self.foreign}"
            self._book(name, name, symbol, self.foreign, round(self.prices[symbol] * MICRO), 0)

    def expire_all(self) -> None:
        """End the data: nothing works any more."""
        for kept in self.orders.values():
            if kept.state == "WORKING":
                kept.state = "EXPIRED"

    def _book(self, order_id: str, execution_id: str, symbol: str, lots: int, price_micro: int, late: int) -> None:  # noqa: PLR0917
        fee = -(-abs(lots) * price_micro * FEE_PPM // MICRO)
        self.lots[symbol] = self.lots.get(symbol, 0) + lots
        self.cash_micro -= lots * price_micro + fee
        fill = FillEvent(
            broker="exchange", execution_id=execution_id, order_id=order_id, broker_ns=self.now_ns, symbol=symbol,
            side="BUY" if lots > 0 else "SELL", lots=abs(lots), price_micro=price_micro, fee_micro=fee,
            reference_price=price_micro / MICRO,
        )  # fmt: skip
        self.executions.append((self.world.mono_ns + late, fill))
        news = f", told {late / SECOND_NS:.1f} s later" if late else ""
        self.world.note(f"exchange executes {execution_id}: {lots} {symbol}{news}")


class ExchangeBroker:
    """The port ``worker.brokers.port.Broker`` of one worker's life, connected to the exchange."""

    name = "exchange"
    live = False

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._world = exchange.world
        self._told = 0

    def configure(self, configuration: Configuration) -> None:
        """Know every symbol."""

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities()

    def modify(self, order: OrderEvent) -> BrokerEvent:
        return self._answer(order.order_id, "UPDATE_REJECTED")

    def submit(self, order: OrderEvent) -> BrokerEvent:
        self._exchange.on_submit(order)
        self._world.call("broker", "submit")
        if self._bad(0.06):
            raise BrokerUnavailableError("connection refused")
        if self._bad(0.06):
            raise BrokerTimeoutError("no answer within 2 s, and it never arrived")
        self._exchange.arrive(order)
        self._world.note(f"exchange takes {order.order_id} {order.side} {order.lots} {order.symbol}")
        self._world.call("broker", "submitted")
        if self._bad(0.08):
            raise BrokerTimeoutError("no answer within 2 s")
        kept = self._exchange.orders[order.order_id]
        return self._answer(order.order_id, "REJECTED" if kept.state == "REJECTED" else "ACCEPTED")

    def cancel(self, order_id: str) -> BrokerEvent:
        self._world.call("broker", "cancel")
        if self._bad(0.05):
            raise BrokerUnavailableError("connection refused")
        if self._bad(0.05):
            raise BrokerTimeoutError("no answer within 2 s, and it never arrived")
        kept = self._exchange.orders.get(order_id)
        if kept is not None and kept.state == "WORKING":
            if self._bad(0.3):
                self._exchange.fill(kept)  # the cancel races a fill
            if kept.state == "WORKING":
                kept.state = "CANCELED"
        self._world.note(f"exchange cancels {order_id}")
        self._world.call("broker", "canceled")
        if self._bad(0.05):
            raise BrokerTimeoutError("no answer within 2 s")
        return self._answer(order_id, "CANCELED")

    def query(self, order_id: str) -> BrokerEvent | None:
        self._ask("query")
        kept = self._exchange.orders.get(order_id)
        if kept is None:
            return None
        return self._answer(order_id, kept.state if kept.state in {"CANCELED", "REJECTED", "EXPIRED"} else "ACCEPTED")

    def working(self) -> list[OrderEvent]:
        self._ask("working")
        found = self._exchange.orders
        return [found[order_id].order for order_id in sorted(found) if found[order_id].state == "WORKING"]

    def holdings(self) -> Holdings:
        self._ask("holdings")
        lots = {symbol: held for symbol, held in self._exchange.lots.items() if held}
        return Holdings(lots=lots, cash_micro=self._exchange.cash_micro)

    def executions(self) -> list[FillEvent]:
        """Tell what is new to this connection, out of order, at times again."""
        self._ask("executions")
        now, known = self._world.mono_ns, self._exchange.executions
        due = [fill for at, fill in known[self._told :] if at <= now or self._world.calm]
        while self._told < len(known) and (known[self._told][0] <= now or self._world.calm):
            self._told += 1
        if due and self._bad(0.3):
            due.append(self._world.rng.choice(due))
        return due

    def fills(self, _market: MarketSlice) -> list[FillEvent]:
        """Return nothing: executions come by themselves."""
        return []

    def observe(self, event: OrderEvent | BrokerEvent | FillEvent) -> None:
        """Keep nothing: the exchange has its own books."""

    def snapshot(self) -> bytes:
        return b""

    def restore(self, state: bytes) -> None:
        """Go on with what the exchange knows."""

    def _ask(self, name: str) -> None:
        self._world.call("broker", name)
        if self._bad(0.03):
            raise BrokerTimeoutError(f"no answer to {name} within 2 s")

    def _bad(self, chance: float) -> bool:
        return not self._world.calm and self._world.rng.random() < chance * self._exchange.trouble

    def _answer(self, order_id: str, kind: str) -> BrokerEvent:
        return BrokerEvent(broker=self.name, order_id=order_id, kind=kind, broker_ns=self._exchange.now_ns)


class SilentExchange(ExchangeBroker):
    """The same broker for a replay: nobody is asked, nothing is told."""

    def __init__(self, *_: object) -> None:
        """Have no exchange."""


class WatchedPaper(PaperBroker):
    """The station's own paper broker; every order that reaches it is judged, and the process may die around it."""

    def __init__(
        self, configuration: Configuration, engine: Engine, world: World, on_submit: Callable[[OrderEvent], None]
    ) -> None:
        super().__init__(configuration, engine)
        self._world, self._on_submit = world, on_submit

    def submit(self, order: OrderEvent) -> BrokerEvent:
        self._on_submit(order)
        self._world.call("broker", "submit")
        self._world.note(f"paper takes {order.order_id} {order.side} {order.lots} {order.symbol}")
        answer = super().submit(order)
        self._world.call("broker", "submitted")
        return answer

    def cancel(self, order_id: str) -> BrokerEvent:
        self._world.call("broker", "cancel")
        self._world.note(f"paper cancels {order_id}")
        return super().cancel(order_id)


def held(fills: Iterable[FillEvent]) -> dict[str, int]:
    """Return lots by symbol of executions."""
    lots: dict[str, int] = {}
    for fill in fills:
        lots[fill.symbol] = lots.get(fill.symbol, 0) + (fill.lots if fill.side == "BUY" else -fill.lots)
    return lots
