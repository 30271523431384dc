"""The limits, judged again from the journal alone: an account kept with plain numbers beside the engine's."""

from typing import Any

import msgspec

from engine.configuration import Configuration
from events.types import Bar, ControlAck, ControlEvent, FillEvent, MarketSlice, OrderEvent
from tests.simulation.world import Finding

WORKING = frozenset({"INTENT", "SUBMITTED", "ACCEPTED", "PARTIALLY_FILLED", "PENDING_CANCEL", "UNKNOWN"})
SLACK = 1e-6
MICRO = 1e6


class Account:
    """Cash, lots, marks and open orders from inputs; a lot is one unit."""

    def __init__(self) -> None:
        self.configuration: Configuration | None = None
        self.offered: dict[str, Configuration] = {}
        self.cash = 0.0
        self.lots: dict[str, int] = {}
        self.marks: dict[str, float] = {}
        self.open: dict[str, OrderEvent] = {}

    @property
    def equity(self) -> float:
        return self.cash + sum(lots * self.marks.get(symbol, 0.0) for symbol, lots in self.lots.items())

    def take(self, payload: Any) -> None:
        """Take one record's payload, in the journal's order."""
        match payload:
            case MarketSlice():
                self._mark(payload.bars)
            case FillEvent():
                side = 1 if payload.side == "BUY" else -1
                if payload.order_id.startswith("S"):
                    self.lots[payload.symbol] = self.lots.get(payload.symbol, 0) + side * payload.lots
                    self.cash -= (side * payload.lots * payload.price_micro + payload.fee_micro) / MICRO
            case ControlEvent(action="configure"):
                self._offer(payload)
            case ControlAck(action="configure", accepted=True):
                self._take_force(payload.request_id)
            case OrderEvent():
                if payload.state == "INTENT":
                    self.judge(payload)
                if payload.state in WORKING:
                    self.open[payload.order_id] = payload
                else:
                    self.open.pop(payload.order_id, None)

    def judge(self, order: OrderEvent) -> None:
        """No intent goes beyond the limits that are in force when it is decided, whatever of the open orders fills."""
        assert self.configuration is not None
        limits, price, equity = self.configuration.settings.limits, self.marks[order.symbol], self.equity
        if order.lots * price > limits.max_order_value * (1 + SLACK):
            raise Finding(
                "limits", f"{order.order_id}: value {order.lots * price:.2f} above {limits.max_order_value:g}"
            )
        before, after = self.worst(order.symbol), self.worst(order.symbol, order)
        if after <= abs(self.lots.get(order.symbol, 0)):
            return
        if after * price > limits.max_position * equity * (1 + SLACK) and after > before:
            raise Finding(
                "limits",
                f"{order.order_id}: position {after * price:.2f} above {limits.max_position:g} of {equity:.2f}",
            )
        others = sum(self.worst(s) * mark for s, mark in self.marks.items() if s != order.symbol)
        if others + after * price > limits.max_gross * equity * (1 + SLACK) and after > before:
            raise Finding("limits", f"{order.order_id}: gross above {limits.max_gross:g} of {equity:.2f}")
        if not limits.allow_short and order.side == "SELL" and self._least(order) < 0:
            raise Finding("limits", f"{order.order_id}: short, which is not allowed")

    def worst(self, symbol: str, more: OrderEvent | None = None) -> int:
        """Return the largest position that is possible, whichever open orders fill."""
        lots, (buys, sells) = self.lots.get(symbol, 0), self._working(symbol, more)
        return max(abs(lots), abs(lots + buys), abs(lots - sells))

    def _least(self, order: OrderEvent) -> int:
        return self.lots.get(order.symbol, 0) - self._working(order.symbol, order)[1]

    def _working(self, symbol: str, more: OrderEvent | None) -> tuple[int, int]:
        found = [order for order in self.open.values() if order.symbol == symbol] + ([more] if more else [])
        left = [(order.side, max(order.lots - order.filled_lots, 0)) for order in found]
        return sum(n for side, n in left if side == "BUY"), sum(n for side, n in left if side == "SELL")

    def _mark(self, bars: list[Bar]) -> None:
        for bar in bars:
            assert bar.close is not None
            self.marks[bar.symbol] = bar.close

    def _offer(self, event: ControlEvent) -> None:
        try:
            self.offered[event.request_id] = msgspec.json.decode(event.content, type=Configuration)
        except msgspec.DecodeError:
            return

    def _take_force(self, request_id: str) -> None:
        given = self.offered[request_id]
        if self.configuration is None:
            self.cash = given.settings.account.initial_cash
        if self.configuration is None or given.version > self.configuration.version:
            self.configuration = given


def check_limits(payloads: list[tuple[str, Any]]) -> None:
    """Limits are never exceeded: gross, position, value of an order, short, of what was in force at that record."""
    account = Account()
    for _, payload in payloads:
        account.take(payload)
