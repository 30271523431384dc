"""The nearest weights that the limits allow: Euclidean projection onto a box with a most that the sum may be."""

import numpy as np
import numpy.typing as npt

from tournaments.allocation.inputs import ROUNDING, AllocationError, FloatArray, vector

WIDEST = 1e6  # no weight is larger; beyond it the sums lose their last digits


def project(wish: npt.ArrayLike, lower: npt.ArrayLike, upper: npt.ArrayLike, total: float) -> FloatArray:
    """Return the point of {lower <= w <= upper, sum(w) <= total} that is nearest to ``wish``, all [entrant].

    The solution is clip(wish - m, lower, upper) with the multiplier m >= 0 of the sum's bound: 0 where the sum is kept
    without it, otherwise the root of a sum that is piecewise linear and falls in m, found exactly between two of its
    2K sorted breakpoints (Held, Wolfe and Crowder 1974; Kiwiel 2008, "Breakpoint searching algorithms for the
    continuous quadratic knapsack problem", Mathematical Programming 112).

    Raises
    ------
    AllocationError
        if a number is not finite or larger than a million, a lower bound is above its upper one, or the lower bounds
        sum to more than ``total``.
    """
    wished = np.atleast_1d(np.asarray(wish, dtype=np.float64))
    count = len(wished)
    wished = vector("wish", wished, count, -WIDEST, WIDEST)
    low, high = vector("lower", lower, count, -WIDEST, WIDEST), vector("upper", upper, count, -WIDEST, WIDEST)
    if (low > high).any():
        place = int(np.argmax(low > high))
        raise AllocationError(f"lower[{place}] = {low[place]:g} is above upper[{place}] = {high[place]:g}")
    if not low.sum() <= total + ROUNDING:  # NaN is not
        raise AllocationError(f"total = {total:g} is less than the lower bounds' sum {low.sum():g}")
    return nearest(wished, low, high, total)


def nearest(wish: FloatArray, lower: FloatArray, upper: FloatArray, total: float) -> FloatArray:
    """Return what ``project`` does, for bounds that are known to be sound."""
    inside: FloatArray = np.minimum(np.maximum(wish, lower), upper)
    if inside.sum() <= total:
        return inside
    held: FloatArray = np.clip(wish - _multiplier(wish, lower, upper, total), lower, upper)
    return held


def lowered(lower: FloatArray, total: float) -> FloatArray:
    """Return lower bounds that ``total`` can hold, as near to ``lower`` >= 0 as any: unchanged where they fit already.

    A bound that has to give way gives way by as little as the total asks.
    """
    return nearest(lower, np.zeros_like(lower), lower, total)


def _multiplier(wish: FloatArray, lower: FloatArray, upper: FloatArray, total: float) -> float:
    breaks = np.unique(np.concatenate([[0.0], wish - upper, wish - lower]))
    breaks = breaks[breaks >= 0.0]
    sums = np.clip(wish - breaks[:, None], lower, upper).sum(axis=1)
    after = min(int(np.searchsorted(-sums, -total)), len(breaks) - 1)  # the first break whose sum is at most the total
    if after == 0 or sums[after] >= total:
        return float(breaks[after])
    before = after - 1
    share = (sums[before] - total) / (sums[before] - sums[after])
    return float(breaks[before] + share * (breaks[after] - breaks[before]))
