"""What each limit is: unit, range, help, and the direction in which it is tighter.

A limit without a rule here may be neither shown nor edited, and any change of it counts as loosening.
"""

from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from risk.limits import Limits

Tighter = Literal["lower", "higher", "false"]


@dataclass(frozen=True)
class LimitRule:
    """One field of risk.limits.Limits; ``low`` and ``high`` are those of engine/configuration.py, both allowed."""

    unit: str
    low: float
    high: float
    tighter: Tighter  # the direction in which less is possible
    help: str


EQUITY = "of equity"
CAPITAL = "of the strategy's capital"
BUDGET = "of the account's budget in the symbol"
LIMIT_RULES: dict[str, LimitRule] = {
    "max_order_value": LimitRule("account currency", 0.0, 1e12, "lower", "Most that one order may be worth."),
    "max_order_lots": LimitRule("lots", 0, 1e15, "lower", "Most lots in one order."),
    "max_position": LimitRule(EQUITY, 0.0, 10.0, "lower", "Most in one symbol, long or short."),
    "max_strategy": LimitRule(EQUITY, 0.0, 10.0, "lower", "Most that one strategy may hold, longs and shorts added."),
    "max_gross": LimitRule(EQUITY, 0.0, 10.0, "lower", "Most that the account may hold, longs and shorts added."),
    "max_net": LimitRule(EQUITY, 0.0, 10.0, "lower", "Most by which longs may exceed shorts, or shorts longs."),
    "price_collar": LimitRule("of the mark", 0.0, 1.0, "lower", "How far an order's price may be from the last mark."),
    "stale_after_s": LimitRule(
        "seconds", 0.0, 86400.0, "lower", "How old a mark may be in its session, beyond two intervals."
    ),
    "daily_loss": LimitRule(
        "of the day's first equity", 0.0, 1.0, "lower", "Loss of a day beyond which the station is REDUCING."
    ),
    "drawdown_warning": LimitRule("of the high-water mark", 0.0, 1.0, "lower", "Drawdown beyond which it warns."),
    "drawdown_reducing": LimitRule(
        "of the high-water mark", 0.0, 1.0, "lower", "Drawdown beyond which the station is REDUCING."
    ),
    "drawdown_halted": LimitRule(
        "of the high-water mark", 0.0, 1.0, "lower", "Drawdown beyond which the station is HALTED."
    ),
    "strategy_rate": LimitRule("messages a second", 0.01, 1000.0, "lower", "Orders and cancels of one strategy."),
    "station_rate": LimitRule("messages a second", 0.01, 1000.0, "lower", "Orders and cancels of the station."),
    "repeated_denials": LimitRule(
        "denials in a row", 1, 1e6, "lower", "The same denial this often switches a strategy off."
    ),
    "stance_low": LimitRule("times the target", 0.0, 1.0, "higher", "Least to which a stance may scale a target."),
    "stance_high": LimitRule("times the target", 1.0, 2.0, "lower", "Most to which a stance may scale a target."),
    "no_trade_band": LimitRule("of the budget", 0.0, 1.0, "higher", "Change of a target below which no order is made."),
    "allow_short": LimitRule("yes or no", 0, 1, "false", "Whether a position may be short."),
    "max_var": LimitRule(EQUITY, 0.0, 10.0, "lower", "Most value at risk of one day at 99 % after a trade."),
    "covariance_max_age_sessions": LimitRule(
        "sessions", 1, 250, "lower", "Age of the covariance beyond which nothing raises exposure."
    ),
    "strategy_drawdown_warning": LimitRule(CAPITAL, 0.0, 1.0, "lower", "Drawdown of a strategy beyond which it warns."),
    "strategy_drawdown": LimitRule(
        CAPITAL, 0.0, 1.0, "lower", "Drawdown of a strategy beyond which it may only reduce."
    ),
    "strategy_daily_loss": LimitRule(
        CAPITAL, 0.0, 1.0, "lower", "Loss of a day beyond which a strategy may only reduce."
    ),
    "symbol_drawdown": LimitRule(BUDGET, 0.0, 1.0, "lower", "Drawdown in a symbol beyond which it is halted."),
    "symbol_daily_loss": LimitRule(BUDGET, 0.0, 1.0, "lower", "Loss of a day in a symbol beyond which it is halted."),
}


def is_looser(field: str, before: Any, after: Any) -> bool:
    """Return whether a change of one limit loosens it; of a limit without a rule any change does."""
    if after == before:
        return False
    rule = LIMIT_RULES.get(field)
    if rule is None:
        return True
    if rule.tighter == "false":
        return bool(after)
    return bool(after > before) if rule.tighter == "lower" else bool(after < before)


def loosened(before: Limits, after: Limits) -> list[str]:
    """Return the names of the limits that are looser in ``after``, in the order of their declaration."""
    old, new = msgspec.structs.asdict(before), msgspec.structs.asdict(after)
    return [field for field in new if is_looser(field, old[field], new[field])]


def range_problem(field: str, value: float) -> str:
    """Return a sentence that names the limit, the value and what is allowed; "" where it is in its range."""
    rule = LIMIT_RULES.get(field)
    if rule is None:
        return f"{field} is no limit; there are {', '.join(LIMIT_RULES)}"
    if not rule.low <= value <= rule.high:  # NaN is in no range
        return f"{field} = {value:g} is outside {rule.low:g} to {rule.high:g} {rule.unit}"
    return ""
