"""Accuracy: how much better than climatology an entrant's probabilities of down, flat and up turned out.

Sources: Epstein 1969, "A scoring system for probability forecasts of ranked categories", and Murphy 1971, "A note on
the ranked probability score", both Journal of Applied Meteorology. The skill is the difference of two scores, never
their ratio: a ratio to the realised score of climatology is not proper (Gneiting and Raftery 2007, "Strictly proper
scoring rules, prediction, and estimation", section 2.3).
"""

import numpy as np
import numpy.typing as npt

from tournaments.scores.checks import BoolArray, Float64Array, Int64Array, ScoreError, finite, same_length
from tournaments.scores.clustered import Estimate, clustered_mean

DOWN, FLAT, UP = 0, 1, 2
CLASSES = 3
FLAT_WIDTH = 0.3  # of sigma
PRIOR_SESSIONS = 10.0
PRIOR_SHARES = (0.3820886, 0.2358228, 0.3820886)  # a normal return's chances beyond and within 0.3 sigma
SUM_TOLERANCE = 1e-6


def outcome_class(returns: npt.ArrayLike, sigma: npt.ArrayLike) -> Int64Array:
    """Return the class of each return [n]: 0 down, 1 flat (absolute return below 0.3 sigma), 2 up.

    Parameters
    ----------
    returns : of the predicted session, fractions [n].
    sigma : each one's deviation as it was frozen when the round opened, > 0, [n] or one number.

    Raises
    ------
    ScoreError
        if a number is not finite or a sigma not above 0.
    """
    moves, deviations = finite("returns", returns), finite("sigma", sigma)
    if not (deviations > 0.0).all():
        raise ScoreError(f"sigma holds {deviations.min():g}; it must be above 0")
    classes = np.where(moves > 0.0, UP, DOWN)
    return np.where(np.abs(moves) < FLAT_WIDTH * deviations, FLAT, classes).astype(np.int64)


def climatology(outcome_counts: npt.ArrayLike) -> Float64Array:
    """Return the smoothed chances [..., 3] of down, flat and up from the data window's counts [..., 3].

    The posterior mean under a Dirichlet prior worth ten sessions of a normal return (38.2 %, 23.6 %, 38.2 %): no class
    is ever impossible, and an empty window gives the prior.

    Raises
    ------
    ScoreError
        if a count is negative or not finite, or there are not three.
    """
    counts = finite("outcome_counts", outcome_counts)
    if counts.ndim == 0 or counts.shape[-1] != CLASSES:
        raise ScoreError(f"outcome_counts has shape {counts.shape}; its last axis must be down, flat, up")
    if (counts < 0.0).any():
        raise ScoreError(f"outcome_counts holds {counts.min():g}; it must be 0 or more")
    smoothed = counts + PRIOR_SESSIONS * np.array(PRIOR_SHARES)
    return np.asarray(smoothed / smoothed.sum(axis=-1, keepdims=True))


def ranked_probability_score(probabilities: npt.ArrayLike, classes: npt.ArrayLike) -> Float64Array:
    """Return the score [n] of probabilities [n, 3] against what came [n]: 0 is perfect, 1 the worst.

    Half the sum of squared differences of the cumulative probabilities (Epstein 1969, in Murphy's form).

    Raises
    ------
    ScoreError
        if probabilities are not finite, negative or do not add up to 1 within 1e-6, or a class is not 0, 1 or 2.
    """
    chances, outcomes = _checked(probabilities, classes)
    came = outcomes[:, np.newaxis] <= np.arange(CLASSES - 1)
    apart = np.cumsum(chances, axis=1)[:, : CLASSES - 1] - came
    return np.asarray(np.square(apart).sum(axis=1) / (CLASSES - 1))


def skill(
    probabilities: npt.ArrayLike,
    classes: npt.ArrayLike,
    reference: npt.ArrayLike,
    *,
    abstained: npt.ArrayLike | None = None,
) -> Float64Array:
    """Return the skill [n] of each prediction: climatology's score less the entry's; 0 = climatology, within -1 to 1.

    Affine in the entry's score with a slope that the entry cannot touch, so it is as proper as the score.

    Parameters
    ----------
    probabilities : of down, flat, up [n, 3].
    classes : what came [n].
    reference : climatology [n, 3], or [3] for all.
    abstained : [n], True where there was no valid entry: 0, neither paid nor charged; its probabilities are not read.

    Raises
    ------
    ScoreError
        as :func:`ranked_probability_score`, or if the lengths differ.
    """
    chances = np.asarray(probabilities, dtype=np.float64)
    if np.shape(reference) not in {chances.shape, (CLASSES,)}:
        raise ScoreError(f"reference has shape {np.shape(reference)}; it must be (3,) or that of probabilities")
    expected = np.broadcast_to(np.asarray(reference, dtype=np.float64), chances.shape)
    if abstained is not None:
        absent = _mask("abstained", abstained, len(chances))
        chances = np.where(absent[:, np.newaxis], expected, chances)
    return ranked_probability_score(expected, classes) - ranked_probability_score(chances, classes)


def unit_score(skills: npt.ArrayLike) -> Float64Array:
    """Return skills mapped affinely to 0 to 1: (1 + skill) / 2; climatology has 0.5. AdaHedge's loss is 1 less it."""
    return (1.0 + finite("skills", skills)) / 2.0


def accuracy(skills: npt.ArrayLike, rounds: npt.ArrayLike) -> Estimate:
    """Return the mean skill over settled predictions [n], its standard error clustered by round [n].

    Nothing settled is 0 without an error; one round has a mean and no error
    (:func:`tournaments.scores.clustered.clustered_mean`).
    """
    return clustered_mean(skills, rounds)


def hit_rate(probabilities: npt.ArrayLike, classes: npt.ArrayLike) -> float | None:
    """Return how often the most probable class came, None without predictions; k classes tied at the top count 1 / k.

    Leave abstentions out. The rate is for show: it is not proper, a bold guess hits as often as a modest one.
    """
    chances, outcomes = _checked(probabilities, classes)
    if len(outcomes) == 0:
        return None
    top = chances == chances.max(axis=1, keepdims=True)
    return float((top[np.arange(len(outcomes)), outcomes] / top.sum(axis=1)).mean())


def _checked(probabilities: npt.ArrayLike, classes: npt.ArrayLike) -> tuple[Float64Array, Int64Array]:
    chances, outcomes = finite("probabilities", probabilities), np.asarray(classes)
    if chances.size == 0 and outcomes.size == 0:
        return np.empty((0, CLASSES)), np.empty(0, dtype=np.int64)
    if chances.ndim != 2 or chances.shape[1] != CLASSES:
        raise ScoreError(f"probabilities have shape {chances.shape}; each row must be down, flat, up")
    same_length(probabilities=chances, classes=outcomes)
    if (chances < 0.0).any():
        raise ScoreError(f"probabilities hold {chances.min():g}; they must be 0 or more")
    sums = chances.sum(axis=1)
    if (np.abs(sums - 1.0) > SUM_TOLERANCE).any():
        raise ScoreError(f"probabilities add up to {sums[np.argmax(np.abs(sums - 1.0))]:g}; they must add up to 1")
    if not np.isin(outcomes, (DOWN, FLAT, UP)).all():
        raise ScoreError(f"classes hold {outcomes[~np.isin(outcomes, (DOWN, FLAT, UP))][0]}; allowed are 0, 1 and 2")
    return chances, outcomes.astype(np.int64)


def _mask(name: str, values: npt.ArrayLike, length: int) -> BoolArray:
    mask = np.asarray(values)
    if mask.dtype != np.bool_ or mask.shape != (length,):
        raise ScoreError(f"{name} is {mask.dtype} of shape {mask.shape}; it must be true or false for each of {length}")
    return mask
