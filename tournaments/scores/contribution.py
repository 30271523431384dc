"""Contribution: what an entry knew of the outcome that the other entries together did not.

Numerai's "meta model contribution" (docs.numer.ai, "MMC", 2023): covariance with the outcome after the entry is
orthogonalised to an ensemble, here the equal-weight mean of the other entries, within each round.
"""

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri
from scipy.stats import rankdata

from tournaments.scores.checks import BoolArray, Float64Array, ScoreError, finite, same_length
from tournaments.scores.clustered import NOTHING, Estimate

OUTCOME_LIMIT = 3.0  # deviations: one gap must not decide a season
NO_VARIANCE = 1e-20  # mean square below which a vector counts as zero


def signal(probabilities: npt.ArrayLike) -> Float64Array:
    """Return each prediction's signal [...]: probability of up less that of down, -1 to 1, from [..., 3]."""
    chances = finite("probabilities", probabilities)
    if chances.ndim == 0 or chances.shape[-1] != 3:
        raise ScoreError(f"probabilities have shape {chances.shape}; the last axis must be down, flat, up")
    return np.asarray(chances[..., 2] - chances[..., 0])


def neutralised(own: Float64Array, ensemble: Float64Array) -> Float64Array:
    """Return ``own`` less its projection on ``ensemble``, both [n] and centred; an ensemble of zeros takes nothing."""
    square = float(ensemble @ ensemble)
    if square <= NO_VARIANCE * len(ensemble):
        return own
    rest = own - ensemble * (float(own @ ensemble) / square)
    return np.zeros_like(own) if float(rest @ rest) <= NO_VARIANCE * len(own) else rest


def round_contributions(
    signals: npt.ArrayLike, outcomes: npt.ArrayLike, *, present: npt.ArrayLike | None = None
) -> Float64Array:
    """Return each entrant's contribution [k] in one round.

    Signals become Gaussian scores of their ranks within the entry: (rank - 1/2) / n, ties at their mean rank, centred,
    so boldness buys nothing. The ensemble is the mean of the others' scores. The contribution is the mean
    product of the orthogonalised scores with the centred outcomes. It is 0 for an entry or outcomes without
    variance, for one that the ensemble explains, and in a round of one symbol; without others it is the plain
    covariance.

    Parameters
    ----------
    signals : [k, n], k entrants, n symbols; not read where absent.
    outcomes : the symbols' returns in units of their sigma [n], clipped to -3 to 3.
    present : [k, n], False where an entrant had no valid prediction: a score of 0, and no part in the ensemble.

    Raises
    ------
    ScoreError
        if a present number is not finite or the lengths differ.
    """
    moves = finite("outcomes", outcomes, dimensions=1)
    table = np.asarray(signals, dtype=np.float64)
    if table.ndim != 2 or table.shape[1] != len(moves):
        raise ScoreError(f"signals have shape {table.shape}; each entrant needs one for each of {len(moves)} symbols")
    there = np.ones(table.shape, dtype=np.bool_) if present is None else np.asarray(present)
    if there.dtype != np.bool_ or there.shape != table.shape:
        raise ScoreError(f"present is {there.dtype} of shape {there.shape}; it must be true or false of {table.shape}")
    finite("signals", table[there])
    clipped = np.clip(moves, -OUTCOME_LIMIT, OUTCOME_LIMIT)
    if len(moves) < 2 or np.ptp(clipped) == 0.0:
        return np.zeros(len(table))
    clipped = clipped - clipped.mean()
    scores = np.array([_gaussian(row, mask) for row, mask in zip(table, there, strict=True)]).reshape(table.shape)
    return np.array(
        [
            float(neutralised(scores[i], _ensemble(scores, there, i)) @ clipped) / len(clipped)
            for i in range(len(scores))
        ]
    )


def contributions(
    signals: npt.ArrayLike, outcomes: npt.ArrayLike, rounds: npt.ArrayLike, *, present: npt.ArrayLike | None = None
) -> Float64Array:
    """Return each entrant's contribution in each round [k, g], rounds by rising label.

    Parameters
    ----------
    signals, outcomes, present : as :func:`round_contributions`, over the items [n] of all rounds.
    rounds : the label of each item's round [n].
    """
    table, moves, labels = np.asarray(signals, dtype=np.float64), np.asarray(outcomes), np.asarray(rounds)
    same_length(outcomes=moves, rounds=labels)
    if table.ndim != 2 or table.shape[1] != len(labels):
        raise ScoreError(f"signals have shape {table.shape}; each entrant needs one for each of {len(labels)} items")
    there = None if present is None else np.asarray(present)
    found = [
        round_contributions(table[:, here], moves[here], present=None if there is None else there[:, here])
        for here in (labels == label for label in np.unique(labels))
    ]
    return np.array(found).T if found else np.empty((len(table), 0))


def contribution(by_round: npt.ArrayLike) -> Estimate:
    """Return the mean of an entrant's contributions over rounds [g] and its standard error; rounds are independent."""
    values = finite("by_round", by_round, dimensions=1)
    count = len(values)
    if count == 0:
        return NOTHING
    error = float(values.std(ddof=1) / np.sqrt(count)) if count > 1 else None
    return Estimate(mean=float(values.mean()), error=error, items=count, rounds=count)


def _gaussian(signals: Float64Array, present: BoolArray) -> Float64Array:
    """Return centred Gaussian scores of the ranks of the present signals, 0 elsewhere."""
    scores = np.zeros(len(signals))
    if present.any():
        ranked = ndtri((rankdata(signals[present]) - 0.5) / int(present.sum()))
        scores[present] = ranked - ranked.mean()
    return scores


def _ensemble(scores: Float64Array, present: BoolArray, own: int) -> Float64Array:
    """Return the centred mean of the others' scores, over those that are present at each symbol."""
    others = np.arange(len(scores)) != own
    counts = present[others].sum(axis=0)
    mean = scores[others].sum(axis=0) / np.maximum(counts, 1)
    return np.asarray(mean - mean.mean())
