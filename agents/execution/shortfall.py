"""Implementation shortfall: what a decision lost on its way into the market, by order, symbol, strategy and hour.

Perold 1988, "The Implementation Shortfall: Paper versus Reality". The paper portfolio trades everything at the
decision's price d, without cost. With side s, ordered quantity Q, executed quantities q_k at prices p_k, the market's
prices before spread and impact r_k (r_1: arrival) and the price e at the end::

    delay        s (r_1 - d) sum q_k            from the decision to the arrival at the market
    drift        s sum (r_k - r_1) q_k          the market's way while the order was worked
    cost         s sum (p_k - r_k) q_k          spread and impact
    fees         sum of fees
    opportunity  s (e - d) (Q - sum q_k)        what was not executed

Their sum is the shortfall, positive where it cost; basis points are of d Q.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec

from agents.execution.orders import ExecutedOrder
from market.calendars import zone
from market.instruments import Instrument

PARTS = ("delay", "drift", "cost", "fees", "opportunity")
NS = 1_000_000_000


class Shortfall(msgspec.Struct, frozen=True, kw_only=True):
    """One decision's shortfall in money, by part; ``value`` is the decision's price times the ordered quantity."""

    value: float
    delay: float
    drift: float
    cost: float
    fees: float
    opportunity: float

    @property
    def total(self) -> float:
        """Sum of the parts."""
        return self.delay + self.drift + self.cost + self.fees + self.opportunity


def shortfall(order: ExecutedOrder) -> Shortfall:
    """Return an order's shortfall by part, in money."""
    side, decided, filled = order.side, order.decision_price, order.filled
    arrival = order.executions[0].reference_price if order.executions else decided
    return Shortfall(
        value=decided * order.quantity,
        delay=side * (arrival - decided) * filled,
        drift=side * sum((each.reference_price - arrival) * each.quantity for each in order.executions),
        cost=side * sum((each.price - each.reference_price) * each.quantity for each in order.executions),
        fees=sum(each.fee for each in order.executions),
        opportunity=side * (order.end_price - decided) * (order.quantity - filled),
    )


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """Money and its basis points of the value, with the standard error of these (None with fewer than two orders)."""

    money: float
    bps: float | None
    standard_error_bps: float | None


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A group of decisions: counts, value, and each part of the shortfall. Counts of a strategy count shared orders."""

    name: str
    orders: int
    filled: int
    unfilled: int
    fills: int
    value: float
    total: Estimate
    parts: dict[str, Estimate]


def estimate(money: list[float], values: list[float]) -> Estimate:
    """Return the value-weighted mean of money / value in basis points, and its standard error.

    Both lists have one number an order. The error is that of a ratio of sums (Cochran 1977, "Sampling Techniques",
    6.4): sqrt(n / (n - 1) sum (m_i - R v_i)^2) / sum v_i, R the ratio.
    """
    total, value, n = math.fsum(money), math.fsum(values), len(values)
    if not value > 0.0:
        return Estimate(money=total, bps=None, standard_error_bps=None)
    ratio = total / value
    error = None
    if n > 1:
        squares = math.fsum((m - ratio * v) ** 2 for m, v in zip(money, values, strict=True))
        error = math.sqrt(n / (n - 1) * squares) / value * 1e4
    return Estimate(money=total, bps=ratio * 1e4, standard_error_bps=error)


Weighted = tuple[ExecutedOrder, Shortfall, float]
"""A decision, its shortfall, and the share of it that a group has."""


def row(name: str, members: list[Weighted]) -> Row:
    """Return a group's row."""
    values = [loss.value * share for _, loss, share in members]
    filled = sum(1 for order, _, _ in members if order.filled > 0.0)
    return Row(
        name=name,
        orders=len(members),
        filled=filled,
        unfilled=len(members) - filled,
        fills=sum(len(order.executions) for order, _, _ in members),
        value=math.fsum(values),
        total=estimate([loss.total * share for _, loss, share in members], values),
        parts={
            part: estimate([getattr(loss, part) * share for _, loss, share in members], values) for part in PARTS
        },
    )  # fmt: skip


def by_strategy(order: ExecutedOrder) -> Iterator[tuple[str, float]]:
    """Yield each strategy on the order's side with its share of it; those on the other side crossed with them."""
    mine = {name: lots * order.side for name, lots in order.wanted.items() if lots * order.side > 0}
    whole = sum(mine.values())
    yield from ((name, lots / whole) for name, lots in mine.items())


def hour_of(order: ExecutedOrder, instruments: dict[str, Instrument]) -> str:
    """Return the hour of the decision in the exchange's own zone, "09 America/New_York"."""
    calendar = zone(instruments[order.symbol].calendar)
    return f"{datetime.fromtimestamp(order.engine_ns // NS, UTC).astimezone(calendar):%H} {calendar.key}"


def table(orders: Iterable[ExecutedOrder], groups: Callable[[ExecutedOrder], Iterable[tuple[str, float]]]) -> list[Row]:
    """Return a row for each group, in name order; ``groups`` names an order's groups and its share in each."""
    members: dict[str, list[Weighted]] = {}
    for order in orders:
        loss = shortfall(order)
        for name, share in groups(order):
            members.setdefault(name, []).append((order, loss, share))
    return [row(name, members[name]) for name in sorted(members)]


class Forecasts(msgspec.Struct, frozen=True, kw_only=True):
    """How far forecasts of one model were from what was obtained, in basis points; means over executed orders."""

    model: str
    orders: int
    expected_bps: float
    obtained_bps: float
    mean_error_bps: float  # obtained less expected
    standard_error_bps: float | None
    mean_absolute_error_bps: float


def forecasts(orders: Iterable[ExecutedOrder]) -> list[Forecasts]:
    """Return one line a model, in name order."""
    pairs: dict[str, list[tuple[float, float]]] = {}
    for order in orders:
        obtained = order.slippage_bps
        if order.forecast_bps is not None and obtained is not None:
            pairs.setdefault(order.model, []).append((order.forecast_bps, obtained))
    return [_forecasts(model, pairs[model]) for model in sorted(pairs)]


def _forecasts(model: str, pairs: list[tuple[float, float]]) -> Forecasts:
    n = len(pairs)
    errors = [obtained - expected for expected, obtained in pairs]
    mean = math.fsum(errors) / n
    squares = math.fsum((each - mean) ** 2 for each in errors)
    return Forecasts(
        model=model,
        orders=n,
        expected_bps=math.fsum(expected for expected, _ in pairs) / n,
        obtained_bps=math.fsum(obtained for _, obtained in pairs) / n,
        mean_error_bps=mean,
        standard_error_bps=math.sqrt(squares / (n - 1) / n) if n > 1 else None,
        mean_absolute_error_bps=math.fsum(map(abs, errors)) / n,
    )


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that `execution report` prints; money in ``currency``."""

    currency: str
    total: Row
    by_symbol: list[Row]
    by_strategy: list[Row]
    by_hour: list[Row]
    forecasts: list[Forecasts]
    orders: list[dict[str, Any]]


def report(orders: list[ExecutedOrder], instruments: dict[str, Instrument], currency: str) -> Report:
    """Return the fill-quality report of decisions."""
    return Report(
        currency=currency,
        total=row("all", [(order, shortfall(order), 1.0) for order in orders]),
        by_symbol=table(orders, lambda order: [(order.symbol, 1.0)]),
        by_strategy=table(orders, by_strategy),
        by_hour=table(orders, lambda order: [(hour_of(order, instruments), 1.0)]),
        forecasts=forecasts(orders),
        orders=[expected_and_obtained(order) for order in orders],
    )


def expected_and_obtained(order: ExecutedOrder) -> dict[str, Any]:
    """Return one decision as a page or a script shows it: expected against obtained price, and its shortfall."""
    loss, forecast = shortfall(order), order.forecast_bps
    expected = None if forecast is None else order.decision_price * (1.0 + order.side * forecast * 1e-4)
    return {
        "order_id": order.order_id, "engine_ns": order.engine_ns, "symbol": order.symbol,
        "side": "BUY" if order.side > 0 else "SELL", "quantity": order.quantity, "filled": order.filled,
        "state": order.state, "decision_price": order.decision_price,
        "arrival_price": order.executions[0].reference_price if order.executions else None,
        "expected_price": expected, "obtained_price": order.average_price,
        "expected_bps": forecast, "obtained_bps": order.slippage_bps, "model": order.model,
        "shortfall": loss.total, "shortfall_bps": loss.total / loss.value * 1e4 if loss.value > 0.0 else None,
        **{part: getattr(loss, part) for part in PARTS},
    }  # fmt: skip
