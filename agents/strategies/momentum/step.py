"""The momentum strategy's compiled step: follows what a short, a middle and a long return vote for, both ways."""

from math import sqrt
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from agents.strategies import tracking
from agents.strategies.arithmetic import back, bounded, push, ring_field
from agents.strategies.momentum.parameters import (
    ENTRY,
    EXIT,
    FAST,
    MIDDLE,
    PATIENCE,
    RESIZE,
    REST,
    SIZE,
    SLOW,
    TRAIL,
)
from agents.strategies.tracking import calm, enter, leave, observe, size, volatility

WARM_UP_BARS = 27
STATE = np.dtype([*tracking.FIELDS, ring_field("closes")], align=True)
PRICES = (*tracking.PRICES, "closes")
FEATURES = ("trend", "fast", "middle", "slow", "calm")


@njit(cache=True)
def vote(state: Any, bars: int) -> float:
    """Return the return over ``bars`` in deviations of a random walk as long, held within +-2."""
    change = state.previous_close / back(state.closes, state.count, bars + 1) - 1.0
    deviations: float = bounded(change / (volatility(state) * sqrt(bars)), 2.0)
    return deviations


@njit(cache=True)
def ends(state: Any, close: float, trend: float, parameters: npt.NDArray[np.float64]) -> bool:
    """Return whether the notional position ends at this close."""
    side = 1.0 if state.target > 0.0 else -1.0
    if (close - state.best) * side > 0.0:
        state.best = close
    if (state.best - close) * side > parameters[TRAIL] * state.true_range:
        return True
    return bool(trend * side < parameters[EXIT] or state.held >= parameters[PATIENCE])


@njit(cache=True)
def follow(state: Any, close: float, trend: float, slow: float, parameters: npt.NDArray[np.float64]) -> None:
    """Hold, resize, leave or enter."""
    wanted = size(state, parameters[SIZE])
    if state.target != 0.0:
        if ends(state, close, trend, parameters):
            leave(state, int(parameters[REST]))
        elif abs(wanted - abs(state.target)) >= parameters[RESIZE]:
            state.target = wanted if state.target > 0.0 else -wanted
    elif state.rest == 0 and abs(trend) >= parameters[ENTRY] and trend * slow > 0.0:
        enter(state, wanted if trend > 0.0 else -wanted, close)


@njit(cache=True)
def step(state: Any, bar: Any, parameters: npt.NDArray[np.float64], features: npt.NDArray[np.float64]) -> float:
    """Take one closed bar and return the target, in [-1, 1]; write the features."""
    earlier = state.count
    observe(state, bar)
    push(state.closes, earlier, bar.close)
    if earlier >= max(WARM_UP_BARS - 1, int(parameters[SLOW])):
        fast = vote(state, int(parameters[FAST]))
        middle = vote(state, int(parameters[MIDDLE]))
        slow = vote(state, int(parameters[SLOW]))
        trend = (fast + middle + slow) / 3.0
        follow(state, bar.close, trend, slow, parameters)
        features[0] = trend
        features[1] = fast
        features[2] = middle
        features[3] = slow
        features[4] = calm(state)
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
