"""What is told beside a season: does the competition earn its keep."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tournaments.allocation.inputs import AllocationError, FloatArray, matrix

LARGEST_RETURN = 1e3
LARGEST_GROSS = 1e3


@dataclass(frozen=True)
class CompetitiveDelta:
    """Returns on the whole capital [round]: of the competitive pool, of the same capital by base weights, and less it.

    ``mean`` is the delta's mean over rounds, ``error`` its standard error (NaN with fewer than two rounds).
    """

    competitive: FloatArray
    by_base: FloatArray
    delta: FloatArray
    mean: float
    error: float


def competitive_delta(base: npt.ArrayLike, competitive: npt.ArrayLike, returns: npt.ArrayLike) -> CompetitiveDelta:
    """Return what the pool earned beyond the same capital by base weights.

    In a round without any base weight there is nothing to compare with: the same capital is taken to be cash.

    Parameters
    ----------
    base, competitive : weights in force during each round [round, entrant], fractions of capital.
    returns : of each strategy's unit book on its capital over the round [round, entrant].

    Raises
    ------
    AllocationError
        if shapes differ or a number is not finite or absurd.
    """
    slow, fast = matrix("base", base, 0.0, 1.0), matrix("competitive", competitive, 0.0, 1.0)
    earned = matrix("returns", returns, -LARGEST_RETURN, LARGEST_RETURN)
    if not slow.shape == fast.shape == earned.shape or not len(slow):
        raise AllocationError(
            f"base {slow.shape}, competitive {fast.shape} and returns {earned.shape} must have the same rounds, at "
            "least one, and the same entrants"
        )
    held = slow.sum(axis=1)
    mix = np.divide(slow, held[:, None], out=np.zeros_like(slow), where=held[:, None] > 0.0)
    pool, same = (fast * earned).sum(axis=1), fast.sum(axis=1) * (mix * earned).sum(axis=1)
    delta = pool - same
    error = float(delta.std(ddof=1) / np.sqrt(len(delta))) if len(delta) > 1 else float("nan")
    return CompetitiveDelta(competitive=pool, by_base=same, delta=delta, mean=float(delta.mean()), error=error)
