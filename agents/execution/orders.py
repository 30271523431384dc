"""Orders with their executions, put together from the execution journal's records or from the store's rows.

Prices are in the instrument's currency a unit, money in the account's, quantities in units.
"""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import msgspec

from events.codec import decode_payload
from events.reader import JournalReader
from events.segments import Record
from events.types import ControlEvent, FillEvent, ForecastEvent, MarketSlice, OrderEvent, ParentEvent
from market.instruments import Instrument
from market.store.port import LifeRow, OrderRow

MICRO = 1e-6
ENDS = frozenset({"FILLED", "CANCELED", "EXPIRED", "REJECTED"})


class Execution(msgspec.Struct, frozen=True, kw_only=True):
    """One execution; ``reference_price`` is the market's before spread and impact (the open, or the quote)."""

    execution_id: str
    quantity: float
    price: float
    reference_price: float
    fee: float


class ExecutedOrder(msgspec.Struct, kw_only=True):
    """An order that a broker was told of, or a parent whose children were.

    ``decision_price`` is the mark at the decision, ``end_price`` the mark when the order ended (now, for one that
    works); ``forecast_bps`` is None where none was made. ``wanted`` holds whole lots by strategy, signed.
    """

    order_id: str
    engine_ns: int
    symbol: str
    side: int  # +1 buys, -1 sells
    quantity: float
    decision_price: float
    wanted: dict[str, int]
    state: str = "INTENT"
    parent_id: str = ""
    end_price: float = 0.0
    forecast_bps: float | None = None
    model: str = ""
    features: dict[str, float] = {}
    executions: list[Execution] = []

    @property
    def filled(self) -> float:
        """Units executed."""
        return sum(each.quantity for each in self.executions)

    @property
    def average_price(self) -> float | None:
        """Average price of the executions, None before the first."""
        filled = self.filled
        return sum(each.quantity * each.price for each in self.executions) / filled if filled > 0.0 else None

    @property
    def slippage_bps(self) -> float | None:
        """What was obtained against the decision's price, in basis points, positive where it cost; fees not in it."""
        average = self.average_price
        if average is None or not self.decision_price > 0.0:
            return None
        return self.side * (average - self.decision_price) / self.decision_price * 1e4


class _Configured(msgspec.Struct):
    """The part of a configuration that executions need."""

    instruments: list[Instrument]
    settings: dict[str, Any]


class Collector:
    """Takes an execution journal's records in order; ``orders`` are those that reached INTENT, by order id."""

    def __init__(self) -> None:
        self.orders: dict[str, ExecutedOrder] = {}
        self.instruments: dict[str, Instrument] = {}
        self.currency = ""
        self._marks: dict[str, float] = {}
        self._fills: dict[str, list[FillEvent]] = {}
        self._parents: dict[str, ParentEvent] = {}
        self._parent_ends: dict[str, float] = {}
        self._takes: dict[str, Callable[[Any], None]] = {
            "MarketSlice": self._market,
            "ControlEvent": self._control,
            "OrderEvent": self._order,
            "FillEvent": self._fill,
            "ForecastEvent": self._forecast,
            "ParentEvent": self._parent,
        }

    def take(self, record: Record) -> None:
        """Take one record; most types say nothing of executions."""
        taker = self._takes.get(record.type)
        if taker is not None:
            taker(decode_payload(record.type, record.payload))

    def decisions(self) -> list[ExecutedOrder]:
        """Return what was decided, in order-id order: an order, or for a parent's children the parent with all of them.

        A parent's decision price is its own: what the market did between its slices counts against the algorithm.
        """
        found: dict[str, ExecutedOrder] = {}
        for order in sorted(self.orders.values(), key=lambda each: each.order_id):
            parent = self._parents.get(order.parent_id)
            if parent is None:
                found[order.order_id] = self._ended(order)
                continue
            whole = found.get(order.parent_id)
            if whole is None:
                whole = found[order.parent_id] = self._whole(parent, order)
            whole.executions += order.executions
        return list(found.values())

    def _ended(self, order: ExecutedOrder) -> ExecutedOrder:
        if order.state not in ENDS:
            order.end_price = self._marks.get(order.symbol, order.decision_price)
        return order

    def _whole(self, parent: ParentEvent, first: ExecutedOrder) -> ExecutedOrder:
        return ExecutedOrder(
            order_id=parent.parent_id,
            engine_ns=first.engine_ns,
            symbol=parent.symbol,
            side=first.side,
            quantity=parent.lots * self._units(parent.symbol),
            decision_price=parent.expected_price,
            wanted=parent.lots_by_strategy,
            state=parent.state,
            end_price=self._parent_ends.get(parent.parent_id, self._marks.get(parent.symbol, parent.expected_price)),
            forecast_bps=first.forecast_bps,
            model=first.model,
            features=first.features,
        )

    def _units(self, symbol: str) -> float:
        instrument = self.instruments[symbol]
        return instrument.lot_numerator / instrument.lot_denominator

    def _market(self, market: MarketSlice) -> None:
        for bar in market.bars:
            if bar.close is not None:
                self._marks[bar.symbol] = bar.close

    def _control(self, control: ControlEvent) -> None:
        if control.action == "configure":
            given = msgspec.json.decode(control.content, type=_Configured)
            self.instruments |= {instrument.symbol: instrument for instrument in given.instruments}
            self.currency = str(given.settings["account"]["currency"])

    def _order(self, event: OrderEvent) -> None:
        if event.state == "INTENT":
            self.orders[event.order_id] = ExecutedOrder(
                order_id=event.order_id,
                engine_ns=event.engine_ns,
                symbol=event.symbol,
                side=1 if event.side == "BUY" else -1,
                quantity=event.lots * self._units(event.symbol),
                decision_price=event.expected_price,
                wanted=event.lots_by_strategy,
                end_price=event.expected_price,
            )
            return
        order = self.orders.get(event.order_id)
        if order is not None:
            order.state = event.state
            if event.state in ENDS:
                order.end_price = self._marks.get(event.symbol, order.decision_price)

    def _fill(self, fill: FillEvent) -> None:
        order = self.orders.get(fill.order_id)
        if order is not None:
            told = self._fills.setdefault(fill.order_id, [])
            told.append(fill)
            order.executions = [execution_of(each, self._units(fill.symbol)) for each in surviving(told)]

    def _forecast(self, event: ForecastEvent) -> None:
        order = self.orders.get(event.order_id)
        if order is not None:
            order.forecast_bps, order.model = event.forecast_bps, event.model
            order.features, order.parent_id = event.features, event.parent_id

    def _parent(self, event: ParentEvent) -> None:
        self._parents[event.parent_id] = event
        if event.state != "WORKING":
            self._parent_ends[event.parent_id] = self._marks.get(event.symbol, event.expected_price)


def surviving(told: Iterable[FillEvent]) -> list[FillEvent]:
    """Return what a broker's words on one order leave: each execution as last corrected, none that was busted.

    A repeated word counts once, whatever order they come in; an amendment of what is not here says nothing yet.
    """
    words: dict[str, FillEvent] = {}
    for fill in told:
        words.setdefault(fill.execution_id, fill)
    last: dict[str, FillEvent] = {}
    for fill in sorted(words.values(), key=lambda each: (each.broker_ns, each.kind != "FILL")):
        root: FillEvent | None = fill
        for _ in words:  # a chain is no longer than the words: a broker whose corrections name one another ends too
            if root is None or root.kind == "FILL":
                break
            root = words.get(root.amends)
        if root is not None and root.kind == "FILL":
            last[root.execution_id] = fill
    return [fill for fill in last.values() if fill.kind != "BUST"]


def execution_of(fill: FillEvent, units: float) -> Execution:
    """Return a fill as an execution; ``units`` are those in one lot."""
    return Execution(
        execution_id=fill.execution_id,
        quantity=fill.lots * units,
        price=fill.price_micro * MICRO,
        reference_price=fill.reference_price,
        fee=fill.fee_micro * MICRO,
    )


def collect(records: Iterable[Record]) -> Collector:
    """Return what a journal's records tell of orders."""
    collector = Collector()
    for record in records:
        collector.take(record)
    return collector


def collect_journal(folder: Path) -> Collector:
    """Return what an execution journal tells of orders, as far as its writer has synced it.

    Raises
    ------
    events.segments.JournalError
        if a record does not hold.
    """
    return collect(JournalReader(folder, durable_only=True).read())


def of_store(order: OrderRow, life: Iterable[LifeRow], *, units: float, end_price: float) -> ExecutedOrder:
    """Return a stored order with its executions and forecast; what a page shows of it needs no journal.

    Parameters
    ----------
    order, life : rows of the store; the life holds the order's FillEvents and its ForecastEvent.
    units : in one lot.
    end_price : the mark when the order ended, or now.
    """
    made = ExecutedOrder(
        order_id=order.order_id,
        engine_ns=order.engine_ns,
        symbol=order.symbol,
        side=1 if order.side == "BUY" else -1,
        quantity=order.lots * units,
        decision_price=order.expected_price,
        wanted=order.lots_by_strategy,
        state=order.state,
        end_price=end_price,
    )
    told: list[FillEvent] = []
    for row in life:
        if row.type == "FillEvent":
            told.append(decode_payload(row.type, row.payload.encode()))
        elif row.type == "ForecastEvent":
            event: ForecastEvent = decode_payload(row.type, row.payload.encode())
            made.forecast_bps, made.model, made.features = event.forecast_bps, event.model, event.features
    made.executions = [execution_of(fill, units) for fill in surviving(told)]
    return made
