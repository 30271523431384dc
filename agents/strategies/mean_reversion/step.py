"""The mean-reversion strategy's compiled step: fades closes that are stretched away from their own mean."""

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from agents.strategies import tracking
from agents.strategies.arithmetic import bounded, deviation, efficiency, mean, push, ring_field
from agents.strategies.mean_reversion.parameters import (
    EDGE,
    ENTRY,
    EXIT,
    PATIENCE,
    REST,
    SIZE,
    STOP,
    TREND,
    WINDOW,
)
from agents.strategies.tracking import calm, enter, leave, observe, size

WARM_UP_BARS = 25
STATE = np.dtype(
    [
        *tracking.FIELDS,
        ("deviation_at_entry", "f8"),
        ("spent", "i8"),  # 1: this stretch was faded once without success and must first come back
        ring_field("closes"),
    ],
    align=True,
)
PRICES = (*tracking.PRICES, "deviation_at_entry", "closes")
FEATURES = ("pull", "way_back", "efficiency", "calm")


@njit(cache=True)
def leave_if_over(state: Any, close: float, pull: float, parameters: npt.NDArray[np.float64]) -> None:
    """End the notional position at the mean, at its stop, or when its time is up."""
    side = 1.0 if state.target > 0.0 else -1.0
    lost = (state.entry - close) * side > parameters[STOP] * state.deviation_at_entry
    if pull * side <= parameters[EXIT]:
        leave(state, int(parameters[REST]))
    elif lost or state.held >= parameters[PATIENCE]:
        leave(state, int(parameters[REST]))
        state.spent = 1


@njit(cache=True)
def fades(state: Any, pull: float, way_back: float, straight: float, parameters: npt.NDArray[np.float64]) -> bool:
    """Return whether this close is stretched enough, worth the costs, and no trend."""
    if state.rest > 0 or state.spent == 1:
        return False
    return bool(abs(pull) >= parameters[ENTRY] and abs(way_back) >= parameters[EDGE] and straight <= parameters[TREND])


@njit(cache=True)
def step(state: Any, bar: Any, parameters: npt.NDArray[np.float64], features: npt.NDArray[np.float64]) -> float:
    """Take one closed bar and return the target, in [-1, 1]; write the features."""
    window = int(parameters[WINDOW])
    earlier = state.count
    observe(state, bar)
    push(state.closes, earlier, bar.close)
    if earlier >= max(WARM_UP_BARS - 1, window):
        centre = mean(state.closes, state.count, window)
        spread = deviation(state.closes, state.count, window, centre)
        way_back = bounded(centre / bar.close - 1.0, 1.0)
        pull = 0.0
        if spread > 0.0:
            pull = bounded((centre - bar.close) / spread, 20.0)
        straight = efficiency(state.closes, state.count, window)
        if abs(pull) < 1.0:
            state.spent = 0
        if state.target != 0.0:
            leave_if_over(state, bar.close, pull, parameters)
        elif fades(state, pull, way_back, straight, parameters):
            enter(state, size(state, parameters[SIZE]) * (1.0 if pull > 0.0 else -1.0), bar.close)
            state.deviation_at_entry = spread
        features[0] = pull
        features[1] = way_back
        features[2] = straight
        features[3] = calm(state)
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
