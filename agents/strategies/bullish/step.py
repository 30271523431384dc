"""The bullish strategy's compiled step: buys breakouts of a rising symbol, never sells short."""

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from agents.strategies import tracking
from agents.strategies.arithmetic import back, efficiency, highest, lowest, push, ring_field
from agents.strategies.bullish.parameters import (
    CHANNEL,
    EXIT_CHANNEL,
    PATIENCE,
    REST,
    SIZE,
    STOP,
    TRAIL,
    TREND,
)
from agents.strategies.tracking import calm, enter, in_ranges, leave, observe, size

WARM_UP_BARS = 16
STATE = np.dtype([*tracking.FIELDS, ring_field("highs"), ring_field("lows"), ring_field("closes")], align=True)
PRICES = (*tracking.PRICES, "highs", "lows", "closes")
FEATURES = ("breakout", "efficiency", "calm", "room")


@njit(cache=True)
def leaves(state: Any, close: float, floor: float, parameters: npt.NDArray[np.float64]) -> bool:
    """Return whether the notional long ends at this close."""
    if close < floor or close < state.best - parameters[TRAIL] * state.true_range:
        return True
    if close < state.entry - parameters[STOP] * state.true_range:
        return True
    return bool(state.held >= parameters[PATIENCE] and close <= state.entry)


@njit(cache=True)
def step(state: Any, bar: Any, parameters: npt.NDArray[np.float64], features: npt.NDArray[np.float64]) -> float:
    """Take one closed bar and return the target, in [0, 1]; write the features."""
    channel, exit_bars = int(parameters[CHANNEL]), int(parameters[EXIT_CHANNEL])
    earlier = state.count
    observe(state, bar)
    push(state.closes, earlier, bar.close)
    if earlier >= max(WARM_UP_BARS - 1, channel, exit_bars):
        top = highest(state.highs, earlier, channel)
        floor = lowest(state.lows, earlier, exit_bars)
        breakout = in_ranges(state, bar.close - top)
        straight = efficiency(state.closes, state.count, channel)
        rising = bar.close > back(state.closes, state.count, channel + 1)
        if state.target > 0.0:
            state.best = max(state.best, bar.close)
            if leaves(state, bar.close, floor, parameters):
                leave(state, int(parameters[REST]))
        elif state.rest == 0 and breakout > 0.0 and rising and straight >= parameters[TREND]:
            enter(state, size(state, parameters[SIZE]), bar.close)
        features[0] = breakout
        features[1] = straight
        features[2] = calm(state)
        features[3] = in_ranges(state, bar.close - floor)
    push(state.highs, earlier, bar.high)
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
