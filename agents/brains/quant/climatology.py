"""How often sessions end down, flat and up whatever anybody says: the forecast that every other one has to beat."""

import math
from dataclasses import dataclass

import numpy as np

from agents.brains.observations import FLAT_SIGMAS, Float64Array, Int64Array

NORMAL = np.array([0.3820885778, 0.2358228444, 0.3820885778])
"""Shares of a normal return beyond and within 0.3 deviations: what is assumed before anything is known."""

NORMAL_MEANS = np.array([-0.998166, 0.0, 0.998166])
"""Mean of a standard normal return in each class, in deviations: density at 0.3 over the share beyond it."""

PRIOR_SESSIONS = 20.0  # weight of the normal shares against what all symbols showed
POOLED_SESSIONS = 60.0  # weight of all symbols against what one showed: a quarter of sessions
CLIPPED_SIGMAS = 5.0  # a return beyond this counts as this much in a mean


@dataclass(frozen=True)
class Climatology:
    """Shares of the classes for each symbol (n, 3), and the pooled mean return of each class in deviations (3,)."""

    shares: Float64Array
    class_means: Float64Array


def normal_classes(flat_sigmas: float) -> tuple[Float64Array, Float64Array]:
    """Return a standard normal return's shares of down, flat and up (3,), and its mean in each (3,), in deviations."""
    if flat_sigmas == FLAT_SIGMAS:
        return NORMAL, NORMAL_MEANS
    beyond = 0.5 * math.erfc(flat_sigmas / math.sqrt(2.0))
    mean = math.exp(-0.5 * flat_sigmas**2) / math.sqrt(2.0 * math.pi) / beyond
    return np.array([beyond, 1.0 - 2.0 * beyond, beyond]), np.array([-mean, 0.0, mean])


def climatology(
    symbols: int,
    symbol: Int64Array,
    classes: Int64Array,
    deviations: Float64Array,
    flat_sigmas: float = FLAT_SIGMAS,
) -> Climatology:
    """Return smoothed shares of settled sessions.

    Each symbol's counts are drawn to the pooled shares, and those to a normal return's: the posterior mean under a
    Dirichlet prior (Gelman et al., Bayesian Data Analysis, 3rd edition, section 3.4).

    Parameters
    ----------
    symbols
        how many there are.
    symbol, classes, deviations
        (rows,) of settled sessions: index of the symbol, 0 down, 1 flat, 2 up, and the return over sigma.
    flat_sigmas
        the band within which a return was flat.
    """
    usual, means = normal_classes(flat_sigmas)
    counts = np.bincount(symbol * 3 + classes, minlength=symbols * 3).reshape(symbols, 3).astype(np.float64)
    # Symbols of one session move together, so that all of them are worth about as many sessions as one has.
    pooled = counts.sum(axis=0) / max(symbols, 1)
    pooled = (pooled + PRIOR_SESSIONS * usual) / (pooled.sum() + PRIOR_SESSIONS)
    shares = (counts + POOLED_SESSIONS * pooled) / (counts.sum(axis=1, keepdims=True) + POOLED_SESSIONS)
    clipped = np.clip(deviations, -CLIPPED_SIGMAS, CLIPPED_SIGMAS)
    rows = np.bincount(classes, minlength=3)
    sums = np.bincount(classes, weights=clipped, minlength=3)
    return Climatology(shares, (sums + PRIOR_SESSIONS * means) / (rows + PRIOR_SESSIONS))


def steps(probabilities: Float64Array) -> Float64Array:
    """Return the cumulative probabilities of "down" and "down or flat"; shape (rows, 2) from (rows, 3).

    The ranked probability score is the squared distance of these from the outcome's (Epstein, "A Scoring System for
    Probability Forecasts of Ranked Categories", Journal of Applied Meteorology 8, 1969), so every gain by mixing two
    forecasts is a product of distances.
    """
    return np.cumsum(probabilities[:, :2], axis=1)


def outcome_steps(classes: Int64Array) -> Float64Array:
    """Return the cumulative outcome that ``steps`` is compared with, shape (rows, 2)."""
    return np.column_stack((classes <= 0, classes <= 1)).astype(np.float64)


def ranked_probability_score(probabilities: Float64Array, classes: Int64Array) -> Float64Array:
    """Return the ranked probability score of each row, 0 best, 2 worst (Epstein 1969; not divided by classes - 1)."""
    return np.asarray(np.sum((steps(probabilities) - outcome_steps(classes)) ** 2, axis=1))
