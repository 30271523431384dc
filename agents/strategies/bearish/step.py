"""The bearish strategy's compiled step: sells short what falls below a falling volume-weighted average, never buys."""

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from agents.strategies import tracking
from agents.strategies.arithmetic import back, lowest, mean, push, ring_field
from agents.strategies.bearish.parameters import GOAL, LOW, PATIENCE, REST, SIZE, SLOPE, STOP, WEAK, WINDOW
from agents.strategies.tracking import calm, enter, in_ranges, leave, observe, size

WARM_UP_BARS = 22
STATE = np.dtype(
    [
        *tracking.FIELDS,
        ("true_range_at_entry", "f8"),
        *(ring_field(name) for name in ("lows", "typicals", "values", "volumes", "averages")),
    ],
    align=True,
)
PRICES = (*tracking.PRICES, "true_range_at_entry", "lows", "typicals", "averages")
VOLUMES = ("volumes",)
FEATURES = ("weakness", "slope", "breakdown", "calm")


@njit(cache=True)
def weighted_average(state: Any, bar: Any, earlier: int, window: int) -> float:
    """Take the bar in and return the volume-weighted average price; the plain one where nothing has a volume."""
    typical = (bar.high + bar.low + bar.close) / 3.0
    push(state.typicals, earlier, typical)
    push(state.values, earlier, typical * bar.volume)
    push(state.volumes, earlier, bar.volume)
    bars = min(window, earlier + 1)
    volume = mean(state.volumes, earlier + 1, bars)
    average: float = mean(state.typicals, earlier + 1, bars)
    if volume > 0.0:
        weighted = mean(state.values, earlier + 1, bars) / volume
        if 0.0 < weighted < np.inf:
            average = weighted
    push(state.averages, earlier, average)
    return average


@njit(cache=True)
def covers(state: Any, close: float, average: float, parameters: npt.NDArray[np.float64]) -> bool:
    """Return whether the notional short ends at this close."""
    lost = close - state.entry
    if lost > parameters[STOP] * state.true_range_at_entry or -lost > parameters[GOAL] * state.true_range_at_entry:
        return True
    return bool(close > average or state.held >= parameters[PATIENCE])


@njit(cache=True)
def step(state: Any, bar: Any, parameters: npt.NDArray[np.float64], features: npt.NDArray[np.float64]) -> float:
    """Take one closed bar and return the target, in [-1, 0]; write the features."""
    window, slope_bars, low_bars = int(parameters[WINDOW]), int(parameters[SLOPE]), int(parameters[LOW])
    earlier = state.count
    observe(state, bar)
    average = weighted_average(state, bar, earlier, window)
    if earlier >= max(WARM_UP_BARS - 1, window + slope_bars, low_bars):
        weakness = in_ranges(state, bar.close - average)
        slope = in_ranges(state, average - back(state.averages, state.count, slope_bars + 1))
        breakdown = in_ranges(state, bar.close - lowest(state.lows, earlier, low_bars))
        if state.target < 0.0:
            if covers(state, bar.close, average, parameters):
                leave(state, int(parameters[REST]))
        elif state.rest == 0 and weakness < 0.0 and weakness <= -parameters[WEAK] and slope < 0.0 and breakdown < 0.0:
            enter(state, -size(state, parameters[SIZE]), bar.close)
            state.true_range_at_entry = state.true_range
        features[0] = weakness
        features[1] = slope
        features[2] = breakdown
        features[3] = calm(state)
    push(state.lows, earlier, bar.low)
    target: float = state.target
    return target


@njit(cache=True)
def loop(  # noqa: PLR0917 - compiled code is called with positions
    state: Any,
    parameters: npt.NDArray[np.float64],
    bars: Any,
    closed: npt.NDArray[np.bool_],
    targets: npt.NDArray[np.float64],
    scores: npt.NDArray[np.float64],
    features: npt.NDArray[np.float64],
) -> None:
    """Step every symbol whose bar has closed."""
    for i in range(closed.shape[0]):
        if closed[i]:
            targets[i] = step(state[i], bars[i], parameters, features[i])
            scores[i] = features[i, 0]
