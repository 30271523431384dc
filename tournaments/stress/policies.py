"""Policies as the stress runs them: warmed up on the window, then over many paths at once, a row a path and symbol."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from agents.strategies.policy import Policy
from engine.layout import Table
from market.bars import BarArray, empty_bars
from tournaments.stress.compiled import lean, uncounted
from tournaments.stress.paths import CLOSE, DAY_S, HIGH, LOW, OPEN, SECOND_NS, VOLUME, PathsError
from tournaments.stress.stage import Stage, weight_of

Float64Array = npt.NDArray[np.float64]
Int64Array = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Entrant:
    """A frozen policy: ``parameters`` as agents.strategies.parameter_array gives them."""

    name: str
    policy: Policy
    parameters: Float64Array


@dataclass(frozen=True)
class Warm:
    """An entrant after the window: state [symbols], targets f8 [symbols] at its end, weight, bars in one of its own."""

    entrant: Entrant
    state: Table
    held: Float64Array
    weight: float
    group: int


@njit(nogil=True)
def drive(  # noqa: PLR0917 - compiled code is called with positions
    loop: Any, state: Any, parameters: Any, bars: Any, closed: Any, targets: Any, scores: Any, features: Any, said: Any
) -> None:
    """Let a policy take bars [decisions, rows] in their order; write its targets into ``said`` [decisions, rows].

    Compiled once a policy and process: without numba's cache, which never finds a function that takes another again.
    """
    rows, given, market, done = uncounted(state), uncounted(parameters), uncounted(bars), uncounted(closed)
    now, scored, found = uncounted(targets), uncounted(scores), uncounted(features)
    for k in range(len(bars)):
        loop(rows, given, market[k], done, now, scored, found)
        said[k] = targets


@lean
def to_bars(paths: Float64Array, group: int, opens: Int64Array, interval_ns: int, out: Any) -> None:
    """Put paths [p, bars, n, 5] into a policy's bars, ``group`` to one: BAR [decisions, p * n].

    The rules are those of market.aggregation.advance on bars without holes; ``opens`` i8 [bars].
    """
    count, n = paths.shape[1], paths.shape[2]
    for p in range(paths.shape[0]):
        for k in range(out.shape[0]):
            first, last = k * group, min((k + 1) * group, count) - 1
            for i in range(n):
                bar = out[k, p * n + i]
                high, low, volume = paths[p, first, i, HIGH], paths[p, first, i, LOW], 0.0
                for t in range(first, last + 1):
                    high, low = max(high, paths[p, t, i, HIGH]), min(low, paths[p, t, i, LOW])
                    volume += paths[p, t, i, VOLUME]
                bar.open, bar.high, bar.low, bar.close = paths[p, first, i, OPEN], high, low, paths[p, last, i, CLOSE]
                bar.volume, bar.open_ns, bar.close_ns = volume, opens[first], opens[last] + interval_ns
                bar.present = True


def opens_of(given: Stage, event: int, session: int, count: int) -> Int64Array:
    """Return when bars open, in nanoseconds from the window's first session; a night lies before ``event`` > 0."""
    interval = given.pool.window.interval_s * SECOND_NS
    bars = given.pool.window.bars.shape[1]
    t = np.arange(count, dtype=np.int64)
    if event > 0 and bars > 1:  # the end of one session, then the beginning of the next
        t = np.where(t < event, bars - event + t, DAY_S * SECOND_NS // interval + t - event)
    opens: Int64Array = session * DAY_S * SECOND_NS + t * interval
    return opens


def targets_of(entrant: Entrant, state: Table, held: Float64Array, bars: BarArray) -> Float64Array:
    """Return the targets [decisions, rows]; state [rows] and held [rows] move on."""
    rows = len(state)
    said = np.empty((len(bars), rows))
    drive(
        entrant.policy.loop, state, entrant.parameters, bars, np.ones(rows, dtype=np.bool_), held, np.zeros(rows),
        np.zeros((rows, len(entrant.policy.features))), said,
    )  # fmt: skip
    if not np.isfinite(said).all():
        raise PathsError(f"{entrant.name}: its policy gave a target that is not finite; allowed is -1 to 1")
    return said


def decisions(bars: int, group: int) -> int:
    """Return how often a policy decides in so many bars: once each ``group`` of them, and at the end."""
    return -(-bars // group)


def warm_up(given: Stage, entrant: Entrant) -> Warm:
    """Let a policy live through the window."""
    window = given.pool.window
    n, count = len(window.symbols), window.bars.shape[1]
    group = max(1, entrant.policy.interval_s // window.interval_s)
    state, held = np.zeros(n, dtype=entrant.policy.state_dtype), np.zeros(n)
    bars = empty_bars(len(window.bars), decisions(count, group), n)
    for session, into in enumerate(bars):
        opens = opens_of(given, 0, session, count)
        to_bars(window.bars[session : session + 1], group, opens, window.interval_s * SECOND_NS, into)
    said = targets_of(entrant, state, held, bars.reshape(-1, n))
    return Warm(entrant, state, held, weight_of(given, said), group)
