"""What the worker remembers of orders, fills and alerts for its view: derived from journaled records alone."""

from collections import deque
from typing import Any

import msgspec

from events.types import FillEvent, MarketSlice, OrderEvent, RiskAlert, TradeEvent
from worker.digest import OrdersDigest

LATEST = 100

FINAL = frozenset({"FILLED", "CANCELED", "REJECTED", "EXPIRED", "RISK_DENIED"})


class Counts(msgspec.Struct, kw_only=True):
    """Whole numbers since the journal began; ``bars`` counts every source bar, refused ones too."""

    bars: int = 0
    slices: int = 0
    orders: int = 0
    denied: int = 0
    fills: int = 0
    alerts: int = 0
    refused: dict[str, int] = {}


class Kept(msgspec.Struct, kw_only=True):
    """A snapshot of the projection."""

    counts: Counts
    by_strategy: dict[str, dict[str, int]]
    denied_by: dict[str, int]
    orders: list[dict[str, Any]]
    fills: list[dict[str, Any]]
    alerts: list[dict[str, Any]]
    lines: bytes


class Projection:
    """Counts, the latest orders, fills and alerts, and the digest of all intents."""

    def __init__(self) -> None:
        self.counts = Counts()
        self.by_strategy: dict[str, dict[str, int]] = {}
        self.denied_by: dict[str, int] = {}
        self.digest = OrdersDigest()
        self._orders: dict[str, dict[str, Any]] = {}
        self._fills: deque[dict[str, Any]] = deque(maxlen=LATEST)
        self._alerts: deque[dict[str, Any]] = deque(maxlen=LATEST)

    def take(self, payload: Any) -> None:
        """Take the payload of a journaled record; most types say nothing to it."""
        match payload:
            case OrderEvent():
                self.order(payload)
            case FillEvent():
                self.fill(payload)
            case TradeEvent():
                self.trade(payload)
            case RiskAlert():
                self.alert(payload)
            case MarketSlice():
                self.market(payload)

    def market(self, market: MarketSlice) -> None:
        """Count a slice."""
        counts = self.counts
        counts.slices += 1
        counts.bars += len(market.bars) + len(market.refused)
        for refusal in market.refused:
            counts.refused[refusal.code] = counts.refused.get(refusal.code, 0) + 1

    def order(self, order: OrderEvent) -> None:
        """Take an order's new state."""
        if order.state == "INTENT":
            self.counts.orders += 1
            self.digest.add(order)
            self._count("orders", order.lots_by_strategy)
        elif order.state == "RISK_DENIED":
            self.counts.denied += 1
            for name in order.lots_by_strategy:
                self.denied_by[name] = self.denied_by.get(name, 0) + 1
        self._orders[order.order_id] = _row(order, self._orders.pop(order.order_id, None))
        if len(self._orders) > 2 * LATEST:
            self._forget()

    def fill(self, fill: FillEvent) -> None:
        """Count an execution; what it, its correction or its bust did to the order is in the trade."""
        self.counts.fills += fill.kind == "FILL"

    def trade(self, trade: TradeEvent) -> None:
        """Take a booked fill, or one that was taken out again: the order's average price."""
        row = self._orders.get(trade.order_id)
        if row is not None:
            lots = trade.lots if trade.side == row["side"] else -trade.lots
            row["_lots"] += lots
            row["_value"] += lots * trade.price
            row["average_price"] = row["_value"] / row["_lots"] if row["_lots"] else None
        self._count("fills", trade.lots_by_strategy)
        self._fills.append(
            {
                "engine_ns": trade.engine_ns,
                "execution_id": trade.execution_id,
                "order_id": trade.order_id,
                "symbol": trade.symbol,
                "side": trade.side,
                "lots": trade.lots,
                "quantity": trade.quantity,
                "price": trade.price,
                "fee": trade.fee_micro / 1e6,
                "slippage": trade.slippage,
                "lots_by_strategy": trade.lots_by_strategy,
            }
        )

    def alert(self, alert: RiskAlert) -> None:
        """Take an alert."""
        self.counts.alerts += 1
        self._alerts.append(
            {name: getattr(alert, name) for name in ("engine_ns", "rule", "severity", "scope", "message")}
        )

    def latest(self) -> dict[str, list[dict[str, Any]]]:
        """Return the latest 100 orders, fills and alerts, newest first, and every open order."""
        rows = [_shown(row) for row in reversed(self._orders.values())]
        opened = sorted((row for row in rows if row["state"] not in FINAL), key=_order_id)
        newest = sorted(rows, key=lambda row: (row["engine_ns"], row["order_id"]), reverse=True)
        return {
            "orders": newest[:LATEST],
            "open_orders": opened,
            "fills": list(reversed(self._fills)),
            "alerts": list(reversed(self._alerts)),
        }

    def snapshot(self) -> Kept:
        """Return everything for a snapshot."""
        return Kept(
            counts=self.counts,
            by_strategy=self.by_strategy,
            denied_by=self.denied_by,
            orders=list(self._orders.values()),
            fills=list(self._fills),
            alerts=list(self._alerts),
            lines=self.digest.dump(),
        )

    def restore(self, kept: Kept) -> None:
        """Continue from a snapshot."""
        self.counts, self.by_strategy, self.denied_by = kept.counts, kept.by_strategy, kept.denied_by
        self._orders = {row["order_id"]: row for row in kept.orders}
        self._fills.extend(kept.fills)
        self._alerts.extend(kept.alerts)
        self.digest.load(kept.lines)

    def _count(self, what: str, strategies: dict[str, int]) -> None:
        for name, lots in strategies.items():
            if lots:
                counted = self.by_strategy.setdefault(name, {"orders": 0, "fills": 0})
                counted[what] += 1

    def _forget(self) -> None:
        """Keep open orders and the latest finished ones."""
        finished = [order_id for order_id, row in self._orders.items() if row["state"] in FINAL]
        for order_id in finished[:-LATEST]:
            del self._orders[order_id]


def _order_id(row: dict[str, Any]) -> str:
    return str(row["order_id"])


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if not name.startswith("_")}


def _row(order: OrderEvent, before: dict[str, Any] | None) -> dict[str, Any]:
    known = before or {"engine_ns": order.engine_ns, "average_price": None, "_lots": 0, "_value": 0.0}
    return {
        **known,
        "order_id": order.order_id,
        "symbol": order.symbol,
        "side": order.side,
        "lots": order.lots,
        "filled_lots": order.filled_lots,
        "type": order.type,
        "limit_ticks": order.limit_ticks,
        "state": order.state,
        "lots_by_strategy": order.lots_by_strategy,
        "expected_price": order.expected_price,
        "denials": [{"code": each.code, "value": each.value, "limit": each.limit} for each in order.denials],
        "reason": order.reason,
    }
