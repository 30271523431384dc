"""A mean of settled items and its standard error when items of one round share the round's luck."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tournaments.scores.checks import finite, same_length


@dataclass(frozen=True)
class Estimate:
    """A mean of ``items`` values out of ``rounds`` rounds; ``error`` is its standard error, None where unknown.

    Nothing settled is a mean of 0. One round shows no spread between rounds, so it has no error.
    """

    mean: float
    error: float | None
    items: int
    rounds: int


NOTHING = Estimate(mean=0.0, error=None, items=0, rounds=0)


def clustered_mean(values: npt.ArrayLike, rounds: npt.ArrayLike) -> Estimate:
    """Return the mean of values [n] with the error clustered by ``rounds`` [n], any labels.

    Every item weighs the same. The variance is CR1 for a mean: G / (G - 1) x sum over rounds of (sum of the round's
    residuals)^2 / n^2, G rounds (Liang and Zeger 1986; Cameron and Miller 2015, "A practitioner's guide to
    cluster-robust inference", section II). With few rounds use Student's t with G - 1 degrees.

    Raises
    ------
    ScoreError
        if a value is not finite or the lengths differ.
    """
    numbers, labels = finite("values", values, dimensions=1), np.asarray(rounds)
    count = same_length(values=numbers, rounds=labels)
    if count == 0:
        return NOTHING
    mean = float(numbers.mean())
    found, where = np.unique(labels, return_inverse=True)
    groups = len(found)
    if groups == 1:
        return Estimate(mean=mean, error=None, items=count, rounds=1)
    sums = np.bincount(where, weights=numbers - mean)
    error = float(np.sqrt(groups / (groups - 1) * np.square(sums).sum())) / count
    return Estimate(mean=mean, error=error, items=count, rounds=groups)
