"""Compiled arithmetic of the policies: sums, products, quotients and square roots, the same bits on every machine.

No logarithm, no power, no NumPy reduction: their last bits depend on the library and the processor.
"""

from math import sqrt
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

CAPACITY = 64
"""Values of one ring in a policy's state; a power of two, so that a bar's place is a mask away."""

Ring = npt.NDArray[np.float64]


@njit(cache=True)
def clip(value: float, low: float, high: float) -> float:
    """Return ``value`` held within ``low`` and ``high``; a value that is no number becomes ``low``."""
    if value > high:
        return high
    if value >= low:
        return value
    return low


@njit(cache=True)
def bounded(value: float, limit: float) -> float:
    """Return ``value`` held within +-``limit``; a value that is no number becomes 0."""
    if value > limit:
        return limit
    if value < -limit:
        return -limit
    if value == value:  # noqa: PLR0124 - false for a NaN alone
        return value
    return 0.0


@njit(cache=True)
def push(ring: Ring, count: int, value: float) -> None:
    """Store the value of bar number ``count`` (from 0)."""
    ring[count & (CAPACITY - 1)] = value


@njit(cache=True)
def back(ring: Ring, count: int, bars: int) -> float:
    """Return the value ``bars`` before the next one to come: 1 is the newest of ``count`` stored values."""
    value: float = ring[(count - bars) & (CAPACITY - 1)]
    return value


@njit(cache=True)
def highest(ring: Ring, count: int, bars: int) -> float:
    """Return the highest of the newest ``bars`` values."""
    result: float = back(ring, count, 1)
    for k in range(2, bars + 1):
        result = max(result, back(ring, count, k))
    return result


@njit(cache=True)
def lowest(ring: Ring, count: int, bars: int) -> float:
    """Return the lowest of the newest ``bars`` values."""
    result: float = back(ring, count, 1)
    for k in range(2, bars + 1):
        result = min(result, back(ring, count, k))
    return result


@njit(cache=True)
def mean(ring: Ring, count: int, bars: int) -> float:
    """Return the mean of the newest ``bars`` values, summed from the newest back."""
    total = 0.0
    for k in range(1, bars + 1):
        total += back(ring, count, k)
    return total / bars


@njit(cache=True)
def deviation(ring: Ring, count: int, bars: int, centre: float) -> float:
    """Return the root mean square distance of the newest ``bars`` values from ``centre``."""
    total = 0.0
    for k in range(1, bars + 1):
        distance = back(ring, count, k) - centre
        total += distance * distance
    return sqrt(total / bars)


@njit(cache=True)
def efficiency(ring: Ring, count: int, bars: int) -> float:
    """Return Kaufman's efficiency ratio over ``bars`` steps: distance made good over path walked, in [0, 1]."""
    walked = 0.0
    newest = back(ring, count, 1)
    later = newest
    for k in range(2, bars + 2):
        earlier = back(ring, count, k)
        walked += abs(later - earlier)
        later = earlier
    ratio: float = 0.0
    if walked > 0.0:
        ratio = clip(abs(newest - later) / walked, 0.0, 1.0)
    return ratio


def ring_field(name: str) -> tuple[Any, ...]:
    """Return the dtype field of a ring called ``name``."""
    return (name, np.float64, (CAPACITY,))
