"""What every policy keeps of a symbol: its volatility, its bar count and the notional entry that its exits work on.

The size of a target is volatility-managed (Moreira and Muir, "Volatility-Managed Portfolios", Journal of Finance 72(4),
2017): smaller while a symbol is more restless than is its habit, larger while it is calmer. Habit is measured on the
symbol itself, so that the rule needs no unit and holds for minutes and days alike.
"""

from math import sqrt
from typing import Any

from numba import njit

from agents.strategies.arithmetic import bounded, clip

FIELDS: list[tuple[Any, ...]] = [
    ("count", "i8"),  # bars seen
    ("previous_close", "f8"),
    ("fast_variance", "f8"),  # of bar returns, newest bars weighing most
    ("slow_variance", "f8"),  # the symbol's habit
    ("true_range", "f8"),  # mean true range, in price
    ("target", "f8"),
    ("entry", "f8"),  # notional entry price, 0 while flat
    ("best", "f8"),  # best close since the entry, from the position's point of view
    ("held", "i8"),  # bars since the entry
    ("rest", "i8"),  # bars still to wait before another entry
]

PRICES = ("previous_close", "true_range", "entry", "best")
"""Those of them that a split divides."""

FAST_BARS, SLOW_BARS, RANGE_BARS = 12, 120, 14
SMALLEST, LARGEST = 0.3, 0.9
RETURN_LIMIT = 0.5  # a return beyond this counts as this much: one wild print must not freeze the size for a week
CALMEST = 1e-6  # a deviation of bar returns below this is read as this: a price that stands still is not riskless


@njit(cache=True)
def smoothed(average: float, value: float, bars: int, count: int) -> float:
    """Return the exponential average of span ``bars`` after value number ``count`` (from 1); a plain mean at first."""
    weight = 2.0 / (bars + 1.0)
    if count * weight < 1.0:
        weight = 1.0 / count
    return average + (value - average) * weight


@njit(cache=True)
def observe(state: Any, bar: Any) -> None:
    """Take a closed bar into ``state``'s volatility; counts it and ages the entry and the rest."""
    high, low = bar.high, bar.low
    if state.count > 0:
        change = bounded(bar.close / state.previous_close - 1.0, RETURN_LIMIT)
        state.fast_variance = smoothed(state.fast_variance, change * change, FAST_BARS, state.count)
        state.slow_variance = smoothed(state.slow_variance, change * change, SLOW_BARS, state.count)
        high = max(high, state.previous_close)
        low = min(low, state.previous_close)
    state.count += 1
    state.true_range = smoothed(state.true_range, high - low, RANGE_BARS, state.count)
    state.previous_close = bar.close
    if state.target != 0.0:
        state.held += 1
    elif state.rest > 0:
        state.rest -= 1


@njit(cache=True)
def volatility(state: Any) -> float:
    """Return the deviation of the latest bar returns."""
    return max(sqrt(state.fast_variance), CALMEST)


@njit(cache=True)
def calm(state: Any) -> float:
    """Return habitual over latest volatility: 1 as ever, above 1 calmer, below 1 more restless."""
    ratio: float = clip(max(sqrt(state.slow_variance), CALMEST) / volatility(state), 0.1, 10.0)
    return ratio


@njit(cache=True)
def size(state: Any, usual: float) -> float:
    """Return the size of a target: ``usual`` in habitual volatility, held within 0.3 and 0.9."""
    held: float = clip(usual * calm(state), SMALLEST, LARGEST)
    return held


@njit(cache=True)
def in_ranges(state: Any, distance: float) -> float:
    """Return a price distance in mean true ranges, held within +-20; 0 where the price has never moved."""
    ranges: float = 0.0
    if state.true_range > 0.0:
        ranges = bounded(distance / state.true_range, 20.0)
    return ranges


@njit(cache=True)
def enter(state: Any, target: float, price: float) -> None:
    """Note an entry at ``price``."""
    state.target = target
    state.entry = price
    state.best = price
    state.held = 0


@njit(cache=True)
def leave(state: Any, rest: int) -> None:
    """Note an exit, with ``rest`` bars to wait before the next entry."""
    state.target = 0.0
    state.entry = 0.0
    state.best = 0.0
    state.held = 0
    state.rest = rest
