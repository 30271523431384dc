"""A broker whose memory is the journal: it knows an order once its acknowledgement is there, and forgets nothing else.

So a crash between submit and acknowledgement leaves an order that it never heard of, and the worker sends it again.
"""

import threading

import msgspec

from engine.configuration import Configuration
from engine.engine import Engine
from engine.ledger import notional_micro
from engine.orders import Terms
from events.types import AdjustmentEvent, BrokerEvent, FillEvent, MarketSlice, OrderEvent
from worker.brokers.port import Capabilities, Holdings

NAME = "paper"
MICRO = 1_000_000
ENDED = frozenset({"CANCELED", "EXPIRED", "REJECTED", "RISK_DENIED", "FILLED"})


class Memory(msgspec.Struct, kw_only=True):
    """A snapshot: working orders, whole lots by symbol, cash, and that of other currencies."""

    orders: list[OrderEvent]
    lots: dict[str, int]
    cash_micro: int
    foreign_micro: dict[str, int] = {}


class PaperBroker:
    """Orders of one account; ``cancel`` and ``working`` may be called from the kill's thread."""

    name = NAME
    live = False

    def __init__(self, configuration: Configuration, engine: Engine) -> None:
        self._engine = engine
        self._units = {
            instrument.symbol: (instrument.lot_numerator, instrument.lot_denominator)
            for instrument in configuration.instruments
        }
        self._lock = threading.Lock()
        self._book: dict[str, OrderEvent] = {}
        self._withdrawn: set[str] = set()
        self._lots: dict[str, int] = {}
        self._initial_micro = self._cash_micro = round(configuration.settings.account.initial_cash * MICRO)
        self._foreign: dict[str, str] = {}  # symbols paid in other money than the account's, and in which
        self._foreign_micro: dict[str, int] = {}
        self.configure(configuration)

    def configure(self, configuration: Configuration) -> None:
        """Learn of new instruments; take what was paid in or out."""
        paid_in = round(configuration.settings.account.initial_cash * MICRO)
        self._cash_micro += paid_in - self._initial_micro
        self._initial_micro = paid_in
        own = configuration.settings.account.currency
        self._foreign |= {each.symbol: each.currency for each in configuration.instruments if each.currency != own}
        for instrument in configuration.instruments:
            self._units.setdefault(instrument.symbol, (instrument.lot_numerator, instrument.lot_denominator))

    @property
    def capabilities(self) -> Capabilities:
        """Every type and time in force, changes too; executions come with the slice that makes them."""
        return Capabilities(executions=False, symbols=frozenset(self._units))

    def submit(self, order: OrderEvent) -> BrokerEvent:
        """Accept an order of a known symbol whose prices fit its type."""
        fault = Terms(order.type, order.limit_ticks, order.stop_ticks, order.time_in_force).fault
        if order.symbol not in self._units:
            fault = f"{order.symbol} is not traded here"
        if fault:
            return self._answer(order.order_id, "REJECTED", order.engine_ns, fault)
        return self._answer(order.order_id, "ACCEPTED", order.engine_ns)

    def cancel(self, order_id: str) -> BrokerEvent:
        """Withdraw an order at once: not even the slice that is just being taken fills it."""
        with self._lock:
            order = self._book.get(order_id)
            self._withdrawn.add(order_id)
        return self._answer(order_id, "CANCELED", order.engine_ns if order is not None else 0)

    def modify(self, order: OrderEvent) -> BrokerEvent:
        """Replace a working order by its change, with its place in time: the fill model goes by order id."""
        with self._lock:
            known = None if order.order_id in self._withdrawn else self._book.get(order.order_id)
        if known is None or order.change is None or order.change.lots <= known.filled_lots:
            return self._answer(order.order_id, "UPDATE_REJECTED", order.engine_ns, "it works no longer")
        changed = msgspec.structs.replace(
            known, lots=order.change.lots, limit_ticks=order.change.limit_ticks, stop_ticks=order.change.stop_ticks
        )
        answer = self._answer(order.order_id, "UPDATED", order.engine_ns)
        return msgspec.structs.replace(answer, order=changed)

    def query(self, order_id: str) -> BrokerEvent | None:
        """Return ACCEPTED for a working order, None for one that is not known."""
        with self._lock:
            order = self._book.get(order_id)
        return None if order is None else self._answer(order_id, "ACCEPTED", order.engine_ns)

    def working(self) -> list[OrderEvent]:
        """Return the orders that may still fill, in order-id order."""
        with self._lock:
            return [self._book[order_id] for order_id in sorted(self._book) if order_id not in self._withdrawn]

    def holdings(self) -> Holdings:
        """Return positions and cash as this broker's own books have them."""
        return Holdings(
            lots={symbol: lots for symbol, lots in self._lots.items() if lots},
            cash_micro=self._cash_micro,
            foreign_micro={currency: amount for currency, amount in self._foreign_micro.items() if amount},
        )

    def executions(self) -> list[FillEvent]:
        """Return nothing: executions come with the slice that makes them."""
        return []

    def fills(self, market: MarketSlice) -> list[FillEvent]:
        """Return what a slice does to the orders that work here."""
        made = self._engine.simulated_fills(market, NAME)
        with self._lock:
            return [fill for fill in made if fill.order_id in self._book and fill.order_id not in self._withdrawn]

    def observe(self, event: OrderEvent | BrokerEvent | FillEvent | AdjustmentEvent) -> None:
        """Take a journaled event: an acknowledged order enters the book, a fill changes it, an end leaves it."""
        if isinstance(event, FillEvent):
            self._book_fill(event)
        elif isinstance(event, AdjustmentEvent):
            self._lots[event.symbol] = self._lots.get(event.symbol, 0) + event.lots - event.lots_before
            self._pay(event.symbol, event.cash_micro)
        elif isinstance(event, OrderEvent):
            with self._lock:
                if event.state in ENDED:
                    self._forget(event.order_id)
                else:
                    self._book[event.order_id] = event
        elif event.kind in ENDED:
            with self._lock:
                self._forget(event.order_id)
        elif event.kind == "UPDATED" and event.order is not None:
            with self._lock:
                if event.order_id in self._book:
                    filled = self._book[event.order_id].filled_lots
                    self._book[event.order_id] = msgspec.structs.replace(event.order, filled_lots=filled)

    def snapshot(self) -> bytes:
        """Return the book, the positions and the cash."""
        with self._lock:
            kept = Memory(
                orders=list(self._book.values()), lots=self._lots, cash_micro=self._cash_micro,
                foreign_micro=self._foreign_micro,
            )  # fmt: skip
        return msgspec.msgpack.encode(kept)

    def restore(self, state: bytes) -> None:
        """Continue from a snapshot.

        Raises
        ------
        msgspec.DecodeError
            if the bytes are none.
        """
        kept = msgspec.msgpack.decode(state, type=Memory)
        self._book = {order.order_id: order for order in kept.orders}
        self._lots, self._cash_micro, self._foreign_micro = kept.lots, kept.cash_micro, kept.foreign_micro

    def _book_fill(self, fill: FillEvent) -> None:
        side = 1 if fill.side == "BUY" else -1
        numerator, denominator = self._units[fill.symbol]
        notional = int(notional_micro(fill.lots, fill.price_micro, numerator, denominator, side > 0))
        self._lots[fill.symbol] = self._lots.get(fill.symbol, 0) + side * fill.lots
        self._pay(fill.symbol, -(side * notional + fill.fee_micro))
        with self._lock:
            order = self._book.get(fill.order_id)
            if order is None:
                return
            filled = order.filled_lots + fill.lots
            if filled >= order.lots:
                self._forget(fill.order_id)
            else:
                self._book[fill.order_id] = msgspec.structs.replace(order, filled_lots=filled)

    def _pay(self, symbol: str, amount_micro: int) -> None:
        """Add signed micro-units to the cash of a symbol's currency."""
        currency = self._foreign.get(symbol)
        if currency is None:
            self._cash_micro += amount_micro
        else:
            self._foreign_micro[currency] = self._foreign_micro.get(currency, 0) + amount_micro

    def _forget(self, order_id: str) -> None:
        self._book.pop(order_id, None)
        self._withdrawn.discard(order_id)

    @staticmethod
    def _answer(order_id: str, kind: str, at_ns: int, reason: str = "") -> BrokerEvent:
        return BrokerEvent(broker=NAME, order_id=order_id, kind=kind, broker_ns=at_ns, reason=reason)  # type: ignore[arg-type]
