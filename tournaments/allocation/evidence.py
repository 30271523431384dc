"""How much of the competitive pool the evidence opens: a bet against "the ensemble is no better than climatology".

Source: Waudby-Smith and Ramdas 2024, "Estimating means of bounded random variables by betting", Journal of the Royal
Statistical Society B 86; the mixture over bet sizes is Cover's universal portfolio (1991), on a grid.

The evidence E itself opens the pool, not its highest value so far: the pool closes again when the skill goes. The
chance that skill-less forecasts ever open it in full is at most 1/20 either way (Ville's inequality), however often
one looks.
"""

import math

import numpy as np
import numpy.typing as npt
from scipy import special

from tournaments.allocation.inputs import ROUNDING, AllocationError, FloatArray, number

BETS = 10  # equal parts of the stake, each betting k / 10 of the most that cannot lead to debt
LEAST_POOL, MOST_POOL = 0.02, 0.10  # of capital
FULL_AT = 20.0  # the evidence at which the pool is fully open
SMALLEST_FLOOR = 1e-6


def log_evidence(differences: npt.ArrayLike, floor: npt.ArrayLike = -1.0) -> FloatArray:
    """Return ln E after each round, of the same shape as ``differences`` ([round] or [round, run]).

    E is the mean over bets b = 0.1, 0.2, ..., 1 of prod(1 + b x / |floor|). While the ensemble's expected difference,
    given all that was before, is at most 0, E is a non-negative supermartingale that starts at 1, whatever the
    distribution and the dependence between rounds.

    Parameters
    ----------
    differences : score of the ensemble less score of climatology of each settled round; positive is better.
    floor : the least that a difference could have been (below 0), known before the round was settled: one number, or
        one for each round [round], as ``least_difference`` gives. A nearer floor lets the bet be larger, so skill
        shows earlier. Nothing is asked of the largest difference.

    Raises
    ------
    AllocationError
        if a difference is not finite or below its floor, or a floor is not between -1e6 and -1e-6.
    """
    told = np.asarray(differences, dtype=np.float64)
    least = np.asarray(floor, dtype=np.float64)
    if told.ndim not in {1, 2} or least.shape not in {(), told.shape[:1]}:
        raise AllocationError(
            f"floor has shape {least.shape}; it needs one number, or one for each round of differences {told.shape}"
        )
    if not ((least >= -1e6) & (least <= -SMALLEST_FLOOR)).all():
        raise AllocationError(f"floor = {least.min():g} to {least.max():g} is outside -1e+06 to -{SMALLEST_FLOOR:g}")
    least = np.broadcast_to(least.reshape((-1,) + (1,) * (told.ndim - 1)), told.shape)
    if not (np.isfinite(told) & (told >= least * (1.0 + ROUNDING))).all():
        raise AllocationError(f"differences = {told.min():g} at the least; each must be finite and not below its floor")
    bets = (np.arange(BETS) + 1.0) / BETS
    payoff = np.maximum(told / -least, -1.0)[..., None] * bets
    with np.errstate(divide="ignore"):  # the whole stake of the largest bet may be lost: ln 0
        wealth = np.cumsum(np.log1p(payoff), axis=0)
    result: FloatArray = special.logsumexp(wealth, axis=-1) - math.log(BETS)
    return result


def pool_fraction(
    log_e: float, most: float = MOST_POOL, *, least: float = LEAST_POOL, full_at: float = FULL_AT
) -> float:
    """Return the competitive pool as a fraction of capital: 2 % + 8 % x clip(ln E / ln 20, 0, 1).

    ``most`` and ``least`` are the rules' own largest and smallest pool, at most 10 %; where ``most`` is below ``least``
    the pool is that. ``full_at`` is the evidence at which it is fully open, above 1.

    Raises
    ------
    AllocationError
        if ``log_e`` is NaN, ``most`` or ``least`` outside 0 to 0.1, or ``full_at`` outside 1.01 to a million.
    """
    if math.isnan(log_e):
        raise AllocationError("log_e = nan is no evidence; it must be a number")
    opened = min(max(log_e / math.log(number("full_at", full_at, 1.01, 1e6)), 0.0), 1.0)
    closed = number("least", least, 0.0, MOST_POOL)
    return min(closed + (MOST_POOL - closed) * opened, number("most", most, 0.0, MOST_POOL))


def least_difference(ensemble: npt.ArrayLike, climatology: npt.ArrayLike) -> float:
    """Return the least that a round's mean difference of ranked probability scores can become.

    Both are sealed before the outcome, so each symbol's worst outcome is known: the floor of ``log_evidence``. The
    score is sum((cumulative forecast - cumulative outcome)^2) / 2 over three ordered outcomes, within 0 to 1
    (Epstein 1969), the difference climatology's less the ensemble's, the mean over symbols.

    Parameters
    ----------
    ensemble, climatology : probabilities of down, flat and up [symbol, 3], each row summing to 1.

    Raises
    ------
    AllocationError
        if the shapes differ or are others, or a row is no distribution.
    """
    ours, theirs = _distributions("ensemble", ensemble), _distributions("climatology", climatology)
    if ours.shape != theirs.shape:
        raise AllocationError(f"ensemble has shape {ours.shape} and climatology {theirs.shape}; they must be the same")
    worst = (_scores(theirs) - _scores(ours)).min(axis=1)
    return min(float(worst.mean()), -SMALLEST_FLOOR)


def _distributions(name: str, values: npt.ArrayLike) -> FloatArray:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 2 or array.shape[1] != 3 or not len(array):
        raise AllocationError(f"{name} has shape {array.shape}; it needs three probabilities for each symbol")
    if not ((array >= 0.0).all() and (abs(array.sum(axis=1) - 1.0) <= ROUNDING).all()):
        raise AllocationError(f"{name} has a row that is no distribution; each needs three numbers >= 0 that sum to 1")
    return array


def _scores(forecast: FloatArray) -> FloatArray:
    outcomes = np.array([[1.0, 1.0], [0.0, 1.0], [0.0, 0.0]])  # cumulative, of down, flat and up
    cumulative = np.cumsum(forecast, axis=1)[:, None, :2]
    result: FloatArray = ((cumulative - outcomes) ** 2).sum(axis=2) / 2.0
    return result
