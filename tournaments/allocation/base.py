"""Base weights: how the slow 90 % is shared by Sharpe ratios that were shrunk to their pooled mean.

Left as they are, the luckiest of several skill-less strategies would take most of it.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from tournaments.allocation.inputs import AllocationError, FloatArray, flags, number, vector

BY_SHARPE = 0.7  # of the base pool; the rest is shared equally
HEAD_START = 0.25  # added to each shrunk ratio, so that a share does not jump at a ratio of zero
SPREAD = 0.25  # scale of the prior of the true annual ratios' deviation between strategies
LARGEST_SHARPE = 1000.0
LONGEST_YEARS = 1000.0
SHORTEST_YEARS = 1e-6  # less is no history

_PARTS = 200
_DEVIATIONS = SPREAD * special.ndtri(0.5 + (np.arange(_PARTS) + 0.5) / (2.0 * _PARTS))  # equally likely before the data


@dataclass(frozen=True)
class Shrunk:
    """Sharpe ratios after shrinking [entrant], the pooled mean, and the variance of the true ratios between them."""

    sharpe: FloatArray
    pooled: float
    between_variance: float


def shrink(sharpe: npt.ArrayLike, years: npt.ArrayLike) -> Shrunk:
    """Return the posterior means of annual Sharpe ratios in a normal hierarchical model.

    Each ratio is its true one with error 1/sqrt(years) (Lo 2002, small ratios); the true ones are normal around a
    common mean of which nothing is known beforehand (Efron and Morris 1975). The deviation between them is half-normal
    beforehand, of scale 0.25, and averaged over by quadrature (Gelman 2006, "Prior distributions for variance
    parameters in hierarchical models", Bayesian Analysis 1): with few strategies and a short history a moment
    estimator such as Paule and Mandel's (1982) is often far too large by chance alone.

    Parameters
    ----------
    sharpe : annual ratios [entrant]; NaN is allowed where ``years`` is 0.
    years : of returns behind each [entrant]. Who has none (less than a millionth) is put at the pooled mean.

    Raises
    ------
    AllocationError
        for an infinite or absurd ratio, a missing one with a history, or negative years.
    """
    count = np.size(sharpe)
    ratios = vector("sharpe", sharpe, count, -LARGEST_SHARPE, LARGEST_SHARPE, missing=True)
    length = vector("years", years, count, 0.0, LONGEST_YEARS)
    known = length >= SHORTEST_YEARS
    if np.isnan(ratios[known]).any():
        raise AllocationError("sharpe = nan is only allowed where years is 0")
    if not known.any():
        return Shrunk(sharpe=np.zeros(count), pooled=0.0, between_variance=0.0)
    found = np.zeros(count)
    found[known], pooled, between = _posterior(ratios[known], length[known])
    found[~known] = pooled
    return Shrunk(sharpe=found, pooled=pooled, between_variance=between)


def _posterior(ratios: FloatArray, years: FloatArray) -> tuple[FloatArray, float, float]:
    """Return the means of the true ratios [entrant], of their common mean and of the variance between them."""
    between = _DEVIATIONS[:, None] ** 2
    precision = years / (between * years + 1.0)
    total = precision.sum(axis=1, keepdims=True)
    pooled = (precision * ratios).sum(axis=1, keepdims=True) / total
    distance = ratios - pooled
    # the likelihood of a deviation, the common mean integrated out (Gelman et al., Bayesian Data Analysis, 5.21)
    fit = 0.5 * (np.log(precision) - precision * distance**2).sum(axis=1, keepdims=True) - 0.5 * np.log(total)
    likely = np.exp(fit - fit.max())
    likely /= likely.sum()
    true = pooled + between * precision * distance
    return (likely * true).sum(axis=0), float((likely * pooled).sum()), float((likely * between).sum())


def base_shares(
    sharpe: npt.ArrayLike, years: npt.ArrayLike, present: npt.ArrayLike | None = None, *,
    by_sharpe: float = BY_SHARPE, head_start: float = HEAD_START,
) -> FloatArray:  # fmt: skip
    """Return each entrant's share of the base pool [entrant], summing to 1: 0.7 by shrunken ratio, 0.3 equal.

    The first part is in proportion to max(0, shrunken ratio + 0.25), equal where all of those are 0 or nobody has a
    history. Entrants that are not ``present`` (benched ones) get nothing, and their ratios count for nothing; with
    nobody present all shares are 0. ``by_sharpe`` and ``head_start`` are the rules' own 0.7 and 0.25.

    Raises
    ------
    AllocationError
        as ``shrink``; if ``by_sharpe`` is not 0 to 1, or ``head_start`` not 0 to 1000.
    """
    part, added = number("by_sharpe", by_sharpe, 0.0, 1.0), number("head_start", head_start, 0.0, LARGEST_SHARPE)
    count = np.size(sharpe)
    here = np.ones(count, dtype=np.bool_) if present is None else flags("present", present, count)
    ratios = vector("sharpe", sharpe, count, -LARGEST_SHARPE, LARGEST_SHARPE, missing=True)
    length = vector("years", years, count, 0.0, LONGEST_YEARS)
    shares = np.zeros(count)
    if here.any():
        shares[here] = _shares(shrink(ratios[here], length[here]).sharpe, part, added)
    return shares


def _shares(shrunk: FloatArray, part: float, added: float) -> FloatArray:
    equal = np.full(len(shrunk), 1.0 / len(shrunk))
    merit = np.maximum(0.0, shrunk + added)
    by_sharpe = merit / merit.sum() if merit.sum() > 0.0 else equal
    mixed: FloatArray = part * by_sharpe + (1.0 - part) * equal
    return mixed
