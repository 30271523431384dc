"""Whether a variant is better than its parent, or the luckiest of many: walk-forward, against every trial ever made.

A policy is frozen and fits nothing, so what a fold learns from its past is how restless each book is: returns of a
fold's sessions are told in deviations of the training sessions before it, less those right before the fold (the
purge: what is held at their end still moves in it). Variant and parent so stand at equal risk, known beforehand.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tournaments.scores.performance import deflated_sharpe, effective_trials, sharpe, sharpe_error
from tournaments.unit_book import UnitBook

TRAINING, PURGE, FOLD = 63, 5, 21
"""Sessions: of the first fold's training at least, left out between training and fold, of a fold."""
FEWEST_FOLDS = 3
LEAST_SESSIONS = TRAINING + PURGE + FEWEST_FOLDS * FOLD
"""With fewer nothing can be judged."""
LEAST_DEVIATION = 1e-5  # of a session's return: a book that moved less in training is not traded in the fold
SURE = 0.95

Float64Array = npt.NDArray[np.float64]
Int64Array = npt.NDArray[np.int64]


class EvaluationError(ValueError):
    """One sentence: what there is too little of."""


@dataclass(frozen=True)
class Tested:
    """A book out of sample, fold after fold: ``known_ns`` (t,), ``values`` (t,) in deviations of training."""

    known_ns: Int64Array
    values: Float64Array


@dataclass(frozen=True)
class Told:
    """What the register keeps of a trial: annualised Sharpe ratios of book and excess, and how much of a trial it is.

    ``counts_as``: clusters of its batch over trials of its batch, so that their sum is the effective number.
    """

    sharpe: float
    excess: float
    counts_as: float


@dataclass(frozen=True)
class Register:
    """All trials ever made: their number, the effective one, and variances of their annualised Sharpe ratios."""

    trials: int
    effective: float
    variance: float
    excess_variance: float


@dataclass(frozen=True)
class Figures:
    """A trial, out of sample on its parent's sessions. Sharpe ratios and errors a year.

    ``excess``: of variant less parent at equal risk (as J. D. Jobson and B. M. Korkie 1981, "Performance hypothesis
    testing with the Sharpe and Treynor measures", compare two); ``won`` of ``folds`` had it above 0. ``deflated`` and
    ``better`` are probabilities that Sharpe ratio and excess are more than the luck of the best trial; ``reasons``
    say why it does not survive, empty where it does.
    """

    sharpe: float
    sharpe_error: float
    excess: float
    excess_error: float
    correlation: float
    won: int
    folds: int
    sessions: int
    deflated: float
    better: float
    counts_as: float
    reasons: tuple[str, ...]


def out_of_sample(book: UnitBook) -> Tested:
    """Return a book's returns in the newest whole folds, each in deviations of all sessions before it but the purge.

    Raises
    ------
    EvaluationError
        if it has sessions for fewer than three folds.
    """
    count = len(book.returns)
    folds = (count - TRAINING - PURGE) // FOLD
    if folds < FEWEST_FOLDS:
        raise EvaluationError(f"the bars hold {count} sessions of returns; a walk forward needs {LEAST_SESSIONS}")
    values, first = np.zeros(folds * FOLD), count - folds * FOLD
    for start in range(first, count, FOLD):
        deviation = float(book.returns[: start - PURGE].std(ddof=1))
        if deviation >= LEAST_DEVIATION:
            values[start - first : start - first + FOLD] = book.returns[start : start + FOLD] / deviation
    return Tested(book.known_ns[first:], values)


def evaluate(variants: Sequence[Tested], parents: Sequence[Tested], earlier: Sequence[Told]) -> list[Figures]:
    """Return what became of each variant of a batch, judged by the register with the whole batch in it.

    Parameters
    ----------
    variants, parents : each variant and its parent, all of the same sessions.
    earlier : every trial of earlier batches, whatever became of it.
    """
    if not variants:
        return []
    books = np.array([each.values for each in variants])
    excesses = books - np.array([each.values for each in parents])
    counts_as = effective_trials(correlation(books)) / len(books)
    batch = [Told(sharpe(book), sharpe(excess), counts_as) for book, excess in zip(books, excesses, strict=True)]
    known = register([*earlier, *batch])
    return [
        _figures(book, excess, parent.values, counts_as, known)
        for book, excess, parent in zip(books, excesses, parents, strict=True)
    ]


def register(trials: Sequence[Told]) -> Register:
    """Return all trials in four numbers.

    The effective number is the sum over batches of the clusters that each batch's correlations fall into: trials of
    two batches count apart, alike or not, which asks more of a variant than it need, never less.
    """
    several = len(trials) > 1
    return Register(
        trials=len(trials),
        effective=max(1.0, float(sum(each.counts_as for each in trials))),
        variance=float(np.var([each.sharpe for each in trials], ddof=1)) if several else 0.0,
        excess_variance=float(np.var([each.excess for each in trials], ddof=1)) if several else 0.0,
    )


def correlation(series: Float64Array) -> Float64Array:
    """Return the correlation [n, n] of series [n, t]; one that never moved is like no other."""
    centred = series - series.mean(axis=1, keepdims=True)
    size = np.sqrt(np.square(centred).sum(axis=1))
    scaled = centred / np.where(size > 0.0, size, 1.0)[:, np.newaxis]
    found = np.clip(scaled @ scaled.T, -1.0, 1.0)
    np.fill_diagonal(found, 1.0)
    return np.asarray(found)


def _figures(
    book: Float64Array, excess: Float64Array, parent: Float64Array, counts_as: float, known: Register
) -> Figures:
    by_fold = excess.reshape(-1, FOLD).mean(axis=1)
    won, folds = int((by_fold > 0.0).sum()), len(by_fold)
    deflated = deflated_sharpe(book, trials=known.effective, trial_variance=known.variance)
    # Clusters would count what trials share twice: their excesses share the parent, and their variance knows it.
    better = deflated_sharpe(excess, trials=known.trials, trial_variance=known.excess_variance)
    reasons = []
    if deflated < SURE:
        reasons.append(f"its Sharpe ratio is above luck with probability {deflated:.2f}; {SURE:g} is asked")
    if better < SURE:
        reasons.append(f"it is better than its parent with probability {better:.2f}; {SURE:g} is asked")
    if 2 * won <= folds:
        reasons.append(f"it beat its parent in {won} of {folds} folds; more than half are asked")
    return Figures(
        sharpe=sharpe(book), sharpe_error=sharpe_error(book) or 0.0, excess=sharpe(excess),
        excess_error=sharpe_error(excess) or 0.0, correlation=float(correlation(np.array([book, parent]))[0, 1]),
        won=won, folds=folds, sessions=len(book), deflated=deflated, better=better, counts_as=counts_as,
        reasons=tuple(reasons),
    )  # fmt: skip
