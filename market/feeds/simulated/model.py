"""Made-up minute prices: regimes that switch, a common factor, jumps, and volume in the shape of a U over the session.

Every number comes from Philox keyed (seed, session), and a session begins where the one before it ended: the same seed
gives the same market, minute by minute, in every process.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Float64Array = npt.NDArray[np.float64]

MINUTE_SIGMA = 0.0006  # of a calm minute: about 1.2 % a session
DRIFT = np.array([0.0, 0.00003, -0.00003, 0.0])
SIGMA = np.array([1.0, 1.1, 1.3, 2.6])
"""Drift a minute and volatility factor of the regimes calm, rising, falling, turbulent."""
SWITCH = 1.0 / 300.0  # chance a minute to leave a regime
NEXT = np.array([0.40, 0.68, 0.92, 1.0])  # cumulated chances of the regime that follows
COMMON = 0.5  # share of the variance that all symbols have in common
JUMP = 1.0 / 4000.0  # chance a minute
JUMP_SIZE = 0.008
GAP_SIGMA = 0.004  # overnight
FLOOR = 1.0  # no price falls below it


@dataclass
class State:
    """Where a session begins; shapes (symbols,)."""

    price: Float64Array
    regime: npt.NDArray[np.int64]


def sessions_of_bars(seed: int, minutes: list[int], base: Float64Array, volume: Float64Array) -> Iterator[Float64Array]:
    """Yield each session's bars: shape (5, minutes, symbols): open, high, low, close in whole cents, volume in units.

    ``minutes`` are the sessions' lengths, ``base`` the first prices, ``volume`` the mean volume a minute.
    """
    state = State(base.copy(), np.zeros(len(base), dtype=np.int64))
    for index, length in enumerate(minutes):
        random = np.random.Generator(np.random.Philox(key=np.array([seed, index], dtype=np.uint64)))
        yield _session(random, length, state, volume)


def _session(random: np.random.Generator, length: int, state: State, volume: Float64Array) -> Float64Array:
    symbols = len(state.price)
    regime = _regimes(random, length, state, symbols)
    sigma = MINUTE_SIGMA * SIGMA[regime]
    common = random.standard_normal((length, 1)) * np.sqrt(COMMON)
    own = random.standard_normal((length, symbols)) * np.sqrt(1.0 - COMMON)
    returns = DRIFT[regime] + sigma * (common + own)
    jumps = random.random((length, symbols)) < JUMP
    returns += jumps * JUMP_SIZE * random.standard_normal((length, symbols))
    first = state.price * (1.0 + GAP_SIGMA * random.standard_normal(symbols))
    close = np.maximum(FLOOR, first * np.cumprod(1.0 + np.clip(returns, -0.2, 0.2), axis=0))
    opens = np.concatenate([np.maximum(FLOOR, first)[None, :], close[:-1]])
    reach = np.abs(random.standard_normal((2, length, symbols))) * sigma * 0.5
    high = np.maximum(opens, close) * (1.0 + reach[0])
    low = np.maximum(FLOOR / 2.0, np.minimum(opens, close) * (1.0 - reach[1]))
    place = np.linspace(-1.0, 1.0, length)[:, None]
    busy = (0.6 + 1.4 * place * place) * SIGMA[regime] * (1.0 + 4.0 * jumps)
    traded = np.maximum(1.0, np.floor(volume * busy * random.standard_gamma(2.0, (length, symbols)) / 2.0))
    state.price = close[-1]
    return np.concatenate([np.round(np.stack([opens, high, low, close]), 2), traded[None]])


def _regimes(random: np.random.Generator, length: int, state: State, symbols: int) -> npt.NDArray[np.int64]:
    leaves = random.random((length, symbols)) < SWITCH
    follows = np.minimum(np.searchsorted(NEXT, random.random((length, symbols))), len(NEXT) - 1)
    regime = np.empty((length, symbols), dtype=np.int64)
    for minute in range(length):
        state.regime = np.where(leaves[minute], follows[minute], state.regime)
        regime[minute] = state.regime
    return regime
