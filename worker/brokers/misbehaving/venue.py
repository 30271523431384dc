"""The venue's own books, which outlive every worker, and the script of what goes wrong."""

import random
from collections import Counter
from typing import NamedTuple

import msgspec

from engine.ledger import notional_micro
from engine.orders import Order
from events.types import FillEvent, OrderEvent

FAULTS: dict[str, tuple[str, ...]] = {
    "submit": ("lost", "silent", "unavailable", "filled first"),
    "cancel": ("lost", "silent", "unavailable"),
    "modify": ("lost", "silent", "unavailable"),
    "query": ("silent", "unavailable"),
    "fill": ("twice", "part then reject", "busted", "corrected"),
    "holdings": ("silent", "unavailable", "wrong"),
}
"""What can go wrong at a call: ``lost`` never arrives, ``silent`` arrives and is not answered, both as a time-out."""


class Fault(NamedTuple):
    """What goes wrong at the n-th call of a name, counted from 1."""

    call: str
    number: int
    kind: str


def faults_of(seed: int, calls: int, share: float) -> list[Fault]:
    """Return a seed's script: about ``share`` of the first ``calls`` calls of each name go wrong."""
    chance = random.Random(seed)  # noqa: S311 - a script of failures is no secret
    return [
        Fault(call, number, chance.choice(kinds))
        for call, kinds in FAULTS.items()
        for number in range(1, calls + 1)
        if chance.random() < share
    ]


class Venue:
    """Orders, executions, whole lots and cash as the venue has them.

    Raises
    ------
    ValueError
        if a fault's call or kind is none of ``FAULTS``.
    """

    def __init__(self, cash_micro: int, script: list[Fault] | None = None) -> None:
        for fault in script or ():
            if fault.kind not in FAULTS.get(fault.call, ()):
                raise ValueError(f"fault {fault.kind!r} of {fault.call!r} is unknown; there are {FAULTS}")
        self.orders: dict[str, Order] = {}
        self.executions: list[FillEvent] = []
        self.lots: dict[str, int] = {}
        self.cash_micro = cash_micro
        self.arrived: Counter[str] = Counter()
        self.happened: list[Fault] = []
        self.last_close_ns = 0
        self._script = {(fault.call, fault.number): fault for fault in script or ()}
        self._calls: Counter[str] = Counter()

    def strikes(self, call: str) -> str:
        """Count a call and return what goes wrong with it, "" if nothing does."""
        self._calls[call] += 1
        fault = self._script.get((call, self._calls[call]))
        if fault is None:
            return ""
        self.happened.append(fault)
        return fault.kind

    def arrive(self, event: OrderEvent) -> None:
        """Take an order in; one that is known already is recognised by its id and changes nothing."""
        self.arrived[event.order_id] += 1
        if event.order_id not in self.orders:
            self.orders[event.order_id] = Order(
                order_id=event.order_id, engine_ns=event.engine_ns, symbol=event.symbol, side=event.side,
                lots=event.lots, type=event.type, limit_ticks=event.limit_ticks, stop_ticks=event.stop_ticks,
                time_in_force=event.time_in_force, expires_ns=event.expires_ns, state="ACCEPTED", lots_by_strategy={},
                expected_price=event.expected_price,
            )  # fmt: skip

    def working(self) -> list[Order]:
        """Return what may still fill, in order-id order."""
        return [order for _, order in sorted(self.orders.items()) if order.working]

    def execute(self, fill: FillEvent, numerator: int, denominator: int) -> None:
        """Book an execution and tell it."""
        order = self.orders[fill.order_id]
        order.filled_lots += fill.lots
        order.state = "FILLED" if order.filled_lots >= order.lots else "PARTIALLY_FILLED"
        self._book(fill, 1, numerator, denominator)
        self.executions.append(fill)

    def amend(self, fill: FillEvent, event: FillEvent, numerator: int, denominator: int) -> None:
        """Take an execution back, or book it as it truly was, and tell it."""
        self._book(fill, -1, numerator, denominator)
        order = self.orders[fill.order_id]
        order.filled_lots -= fill.lots
        if event.kind == "CORRECTION":
            self._book(event, 1, numerator, denominator)
            order.filled_lots += event.lots
        order.state = "FILLED" if order.filled_lots >= order.lots else "CANCELED"
        self.executions.append(event)

    def _book(self, fill: FillEvent, sign: int, numerator: int, denominator: int) -> None:
        side = 1 if fill.side == "BUY" else -1
        notional = int(notional_micro(fill.lots, fill.price_micro, numerator, denominator, side > 0))
        self.lots[fill.symbol] = self.lots.get(fill.symbol, 0) + sign * side * fill.lots
        self.cash_micro -= sign * (side * notional + fill.fee_micro)


def described(order: Order) -> OrderEvent:
    """Return an order as the venue tells of it."""
    return OrderEvent(
        engine_ns=order.engine_ns, order_id=order.order_id, state=order.state, symbol=order.symbol, side=order.side,
        lots=order.lots, filled_lots=order.filled_lots, type=order.type, limit_ticks=order.limit_ticks,
        stop_ticks=order.stop_ticks, time_in_force=order.time_in_force, expires_ns=order.expires_ns,
        lots_by_strategy={}, expected_price=order.expected_price,
    )  # fmt: skip


def amendment(fill: FillEvent, kind: str) -> FillEvent:
    """Return the bust of an execution, or its correction: one lot less where it has two, else a micro-unit more."""
    name = f"{fill.execution_id}/{kind}"
    if kind == "busted":
        return msgspec.structs.replace(fill, execution_id=name, kind="BUST", amends=fill.execution_id)
    fewer = fill.lots - 1 if fill.lots > 1 else fill.lots
    return msgspec.structs.replace(
        fill, execution_id=name, kind="CORRECTION", amends=fill.execution_id, lots=fewer,
        price_micro=fill.price_micro + (fewer == fill.lots),
    )  # fmt: skip
