"""What each family does to one path of moves or to what the policy sees of it, compiled: one function a family.

Moves are arithmetic, with a floor under them: powers and exponentials would differ in their last bits between machines.
"""

from math import sqrt
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tournaments.stress.compiled import lean
from tournaments.stress.paths import (
    CLOSE,
    COIN,
    HIGH,
    LOW,
    MAGNITUDE,
    MISPRINT,
    OPEN,
    PLACE,
    SIDE,
    SIGN,
    VOLUME,
    Draws,
    Pool,
)
from tournaments.stress.scenarios import Scenario

Float64Array = npt.NDArray[np.float64]
Int64Array = npt.NDArray[np.int64]

FLOOR = 0.05  # of the close before: no move takes a price below
HOUR_S = 3600
UNSTRESSED, VOLATILITY, REGIME_FLIP, OVERNIGHT_GAP, CORRELATION, LIQUIDITY_DRAIN, STALE_DATA, FAKE_HEADLINE = range(8)
CODES = {
    "volatility": VOLATILITY, "regime_flip": REGIME_FLIP, "overnight_gap": OVERNIGHT_GAP, "correlation": CORRELATION,
    "liquidity_drain": LIQUIDITY_DRAIN, "stale_data": STALE_DATA, "fake_headline": FAKE_HEADLINE,
}  # fmt: skip


class Plan(NamedTuple):
    """A scenario as the compiled code takes it.

    ``code``; ``event`` bar at which it begins; ``size`` f8 [paths], signed and drawn, of what the family multiplies or
    adds; ``turned`` i8 [paths], 1 where the second kind of the family was drawn; ``first``, ``second`` two numbers. Of
    stale data ``event`` is the number of stale bars and ``turned`` the first of them.
    """

    code: int
    event: int
    size: Float64Array
    turned: Int64Array
    first: float
    second: float


def event_bar(given: Pool, at: float) -> int:
    """Return the bar before which something begins: on a full hour, so that no policy's bar contains it."""
    whole = max(1, HOUR_S // given.window.interval_s)
    bar = int(at * given.length)
    if at <= 0.0 or given.length < 2:
        return 0
    return min(max(whole, bar // whole * whole) if whole < given.length else bar, given.length - 1)


def plan(scenario: Scenario | None, given: Pool, draws: Draws) -> Plan:
    """Return what a scenario does to each path; None is the unstressed market."""
    chance, paths = draws.paths, len(draws.paths)
    side = np.where(chance[:, SIGN] < 0.5, -1.0, 1.0)
    size, turned, first, second = np.ones(paths), np.zeros(paths, dtype=np.int64), 0.0, 0.0
    if scenario is None:
        return Plan(UNSTRESSED, 0, size, turned, first, second)
    code, event = CODES[scenario.family], event_bar(given, scenario.parameters.get("at", 0.0))
    if code in {VOLATILITY, OVERNIGHT_GAP}:
        size = scenario["low"] + chance[:, MAGNITUDE] * (scenario["high"] - scenario["low"])
        size = size if code == VOLATILITY else side * size
    elif code == REGIME_FLIP:
        size = side * scenario["drift"]
    elif code == CORRELATION:
        turned = (chance[:, COIN] < scenario["flip"]).astype(np.int64)
        first, second = _loadings(scenario["level"], given)
    elif code == LIQUIDITY_DRAIN:
        first, second = scenario["spread"], scenario["depth"]
    elif code == STALE_DATA:
        event = round(scenario["stale"] * given.length)
        turned = (chance[:, PLACE] * (given.length - event + 1)).astype(np.int64)
        size, first = size * scenario["size"], scenario["corrupt"]
    else:
        first, second = scenario["high"], scenario["low"]
    return Plan(code, event, size, turned, first, second)


def _loadings(level: float, given: Pool) -> tuple[float, float]:
    """Return (a, b): a x common move + b x own keeps each variance and gives the mean pair the correlation ``level``.

    With c the present correlation, v = (1 + (n - 1) c) / n the variance of the mean of unit returns and the common move
    that mean over sqrt(v): b^2 (1 - c) = 1 - level and a^2 + 2 a b sqrt(v) + b^2 = 1. a comes back over sqrt(v).
    """
    n, c = len(given.start), given.correlation
    v = (1.0 + (n - 1) * c) / n
    if n < 2 or c >= level or v <= 1e-12:
        return 0.0, 1.0
    b = sqrt((1.0 - level) / (1.0 - c))
    return (sqrt(b * b * v - b * b + 1.0) - b * sqrt(v)) / sqrt(v), b


@lean
def set_close(bar: Float64Array, close: float) -> None:
    """Move a bar's close; high and low stay as far beyond its body as they were."""
    above = bar[HIGH] - max(bar[OPEN], bar[CLOSE])
    below = min(bar[OPEN], bar[CLOSE]) - bar[LOW]
    bar[CLOSE] = max(FLOOR, close)
    bar[HIGH] = max(bar[OPEN], bar[CLOSE]) + above
    bar[LOW] = max(FLOOR, min(bar[OPEN], bar[CLOSE]) - below)


@lean
def multiply(path: Float64Array, times: float) -> None:
    """Multiply every move of a path [bars, symbols, 5]."""
    for t in range(path.shape[0]):
        for i in range(path.shape[1]):
            for field in range(VOLUME):
                path[t, i, field] = max(FLOOR, 1.0 + times * (path[t, i, field] - 1.0))


@lean
def drift(path: Float64Array, event: int, size: float, daily_sigma: Float64Array) -> None:
    """Add ``size`` daily deviations up to the event, spread evenly, and take them back after it."""
    for t in range(path.shape[0]):
        bars = event if t < event else path.shape[0] - event
        share = (size if t < event else -size) / bars
        for i in range(path.shape[1]):
            set_close(path[t, i], path[t, i, CLOSE] + share * daily_sigma[i])


@lean
def gap(path: Float64Array, event: int, size: float, daily_sigma: Float64Array) -> None:
    """Open the bar of the event ``size`` daily deviations away from the close before."""
    for i in range(path.shape[1]):
        jump = max(FLOOR, 1.0 + size * daily_sigma[i])
        for field in range(VOLUME):
            path[event, i, field] *= jump


@lean
def correlate(path: Float64Array, common: float, own: float, sigma: Float64Array) -> None:
    """Mix each symbol's move with the mean of all, in deviations (``_loadings``)."""
    n = path.shape[1]
    for t in range(path.shape[0]):
        mean = 0.0
        for i in range(n):
            if sigma[i] > 0.0:
                mean += (path[t, i, CLOSE] - 1.0) / sigma[i] / n
        for i in range(n):
            set_close(path[t, i], 1.0 + common * mean * sigma[i] + own * (path[t, i, CLOSE] - 1.0))


@lean
def mirror(path: Float64Array) -> None:
    """Turn the moves of every second symbol upside down."""
    for t in range(path.shape[0]):
        for i in range(1, path.shape[1], 2):
            bar = path[t, i]
            high, low = 2.0 - bar[LOW], 2.0 - bar[HIGH]
            bar[OPEN], bar[CLOSE] = max(FLOOR, 2.0 - bar[OPEN]), max(FLOOR, 2.0 - bar[CLOSE])
            bar[HIGH], bar[LOW] = max(FLOOR, high), max(FLOOR, low)


@lean
def shock(  # noqa: PLR0917 - compiled code is called with positions
    code: int,
    path: Float64Array,
    event: int,
    size: float,
    turned: int,
    first: float,
    second: float,
    sigma: Float64Array,
    daily_sigma: Float64Array,
) -> None:
    """Do to one path's moves [bars, symbols, 5] what a family does to markets; the fields are those of ``Plan``."""
    if code == VOLATILITY:
        multiply(path, size)
    elif code == REGIME_FLIP:
        drift(path, event, size, daily_sigma)
    elif code == OVERNIGHT_GAP:
        gap(path, event, size, daily_sigma)
    elif code == CORRELATION and turned == 0:
        correlate(path, first, second, sigma)
    elif code == CORRELATION:
        mirror(path)


@lean
def spoil(  # noqa: PLR0917 - compiled code is called with positions
    seen: Float64Array,
    start: Float64Array,
    begins: int,
    frozen: int,
    corrupt: float,
    size: float,
    uniform: Float64Array,
    daily_sigma: Float64Array,
) -> None:
    """Make one path's prices [bars, symbols, 5] stale for ``frozen`` bars and misprint single bars.

    A stale bar is the last price before, its volume goes on. ``corrupt`` is the chance of each bar of each symbol.
    """
    n = seen.shape[1]
    for t in range(begins, begins + frozen):
        for i in range(n):
            last = seen[begins - 1, i, CLOSE] if begins > 0 else start[i]
            for field in range(VOLUME):
                seen[t, i, field] = last
    for t in range(seen.shape[0]):
        if uniform[t, MISPRINT] < corrupt * n:
            bar, i = seen[t], min(n - 1, int(uniform[t, MISPRINT] / corrupt))
            side = 1.0 if uniform[t, SIDE] < 0.5 else -1.0
            bar[i, CLOSE] *= max(FLOOR, 1.0 + side * size * daily_sigma[i])
            bar[i, HIGH] = max(bar[i, HIGH], bar[i, CLOSE])
            bar[i, LOW] = min(bar[i, LOW], bar[i, CLOSE])


@lean
def mislead(  # noqa: PLR0917 - compiled code is called with positions
    targets: Float64Array, path: Float64Array, event: int, group: int, high: float, low: float
) -> None:
    """Multiply one path's targets [decisions, symbols] by the wrong stance: its author knows the rest of the path."""
    last = path.shape[0] - 1
    for i in range(path.shape[1]):
        rest = path[last, i, CLOSE] - path[event, i, OPEN]
        for k in range(targets.shape[0]):
            if (k + 1) * group > event:
                targets[k, i] *= low if targets[k, i] * rest > 0.0 else high
