"""The posterior of a ranking where the agents' scores share their luck: all were judged by the same outcomes.

A bullish and a bearish agent err in opposite directions, which makes their difference less sure than independent errors
say; two agents alike err together, which makes it surer. The model is that of :mod:`tournaments.scores.hierarchy`.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tournaments.scores.checks import BoolArray, Float64Array, ScoreError, finite
from tournaments.scores.hierarchy import LEAST_ERROR, SAME, Nodes, intervals, nodes
from tournaments.scores.posterior import PRIOR_DEGREES, Posterior, checked, report, unit, without_errors

DRAWS = 20_000


def joint_errors(round_scores: npt.ArrayLike) -> Float64Array:
    """Return the error covariance [n, n] of the agents' mean scores over rounds [g, n] that weigh the same.

    The sample covariance of a round, g - 1 degrees, is drawn to uncorrelated errors of the pooled variance by four
    prior degrees, as :func:`tournaments.scores.posterior.moderated_errors` draws single variances. Fewer than two
    rounds tell nothing: infinite variances.

    Raises
    ------
    ScoreError
        if a score is not finite: a round that an agent sat out counts as 0, or the agent is left out.
    """
    table = finite("round_scores", round_scores, dimensions=2)
    rounds, count = table.shape
    if rounds < 2:
        return np.diag(np.full(count, np.inf))
    sample = np.atleast_2d(np.cov(table, rowvar=False))
    pooled = np.eye(count) * np.diag(sample).mean()
    degrees = rounds - 1.0
    return np.asarray((PRIOR_DEGREES * pooled + degrees * sample) / (PRIOR_DEGREES + degrees) / rounds)


def posterior_correlated(
    scores: npt.ArrayLike,
    covariance: npt.ArrayLike,
    generator: np.random.Generator,
    *,
    draws: int = DRAWS,
    same: float = SAME,
) -> Posterior:
    """Return who is best and how sure that is, with correlated errors; intervals exact, ``best`` by Monte Carlo.

    Parameters
    ----------
    scores : [n], n >= 1, higher is better.
    covariance : of their errors [n, n]; infinite on the diagonal, 0 beside it, where nothing is known of an agent yet.
    generator : of the draws; agents alike, or permuted, agree within the draws' error sqrt(p (1 - p) / draws).
    draws, same : number of draws; prior probability that all agents are equally good.

    Eigenvalues below a hundredth of the median variance are raised to it.

    Raises
    ------
    ScoreError
        if there is no agent, a score is not finite, the matrix is not a covariance of n agents or ``draws`` < 1.
    """
    matrix = np.asarray(covariance, dtype=np.float64)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise ScoreError(f"covariance has shape {matrix.shape}; it must be square")
    if np.isnan(matrix).any() or not np.array_equal(matrix, matrix.T) or (np.diag(matrix) < 0.0).any():
        raise ScoreError(
            "covariance holds a NaN or a negative variance, or is not symmetric; no covariance is like that"
        )
    if draws < 1:
        raise ScoreError(f"draws = {draws}; it must be 1 or more")
    numbers, errors = checked(scores, np.sqrt(np.diag(matrix)), same)
    known = np.isfinite(errors)
    beside = np.where(np.eye(len(matrix)) > 0.0, 0.0, matrix)
    if not np.isfinite(beside).all() or beside[~known].any():
        raise ScoreError("covariance is not 0 beside an infinite variance, or infinite beside a finite one")
    if not (errors[known] > 0.0).any():
        return without_errors(numbers, known)
    centre, scale = unit(numbers, errors, known)
    shifted = np.where(known, (numbers - centre) / scale, 0.0)
    inner = matrix[np.ix_(known, known)] / scale / scale
    model = _model(shifted, inner, known, same)
    best = _best(model, generator, draws)
    means, variances = _moments(model)
    low, high = intervals(model.found.weight, means, variances)
    return report(
        numbers, best, centre + scale * (model.found.weight @ means), centre + scale * low, centre + scale * high
    )


@dataclass(frozen=True)
class _Model:
    """Scores [n], eigenvalues [m] and vectors [n, m] of the known agents' errors (rows of unknown ones are 0), tau."""

    scores: Float64Array
    values: Float64Array
    vectors: Float64Array
    found: Nodes


def _model(scores: Float64Array, covariance: Float64Array, known: BoolArray, same: float) -> _Model:
    values, inner = np.linalg.eigh(covariance)
    values = np.maximum(values, LEAST_ERROR**2)
    vectors = np.zeros((len(scores), len(values)))
    vectors[known] = inner
    found = nodes(values, inner.sum(axis=0), inner.T @ scores[known], same)
    return _Model(scores, values, vectors, found)


def _gain(model: _Model, tau: Float64Array, residuals: Float64Array) -> Float64Array:
    """Return tau^2 (S + tau^2 I)^-1 residuals, each row [k, n] with its own tau [k]; 0 for unknown agents."""
    squares = np.square(tau)[:, np.newaxis]
    return np.asarray((residuals @ model.vectors * (squares / (model.values + squares))) @ model.vectors.T)


def _moments(model: _Model) -> tuple[Float64Array, Float64Array]:
    """Return mean and variance [t, n] of each skill given tau, the common mean integrated out."""
    found = model.found
    common = found.mean[:, np.newaxis]
    means = common + _gain(model, found.tau, model.scores - common)
    squares = np.square(found.tau)[:, np.newaxis]
    own = squares - (squares**2 / (model.values + squares)) @ np.square(model.vectors).T
    share = 1.0 - _gain(model, found.tau, np.ones_like(means))
    return means, np.maximum(own, 0.0) + np.square(share) * found.variance[:, np.newaxis]


def _best(model: _Model, generator: np.random.Generator, draws: int) -> Float64Array:
    """Return P(skill i is the highest) [n]: the mass at tau = 0 shared evenly, the rest drawn.

    A draw from the prior is moved to the posterior by what it gets wrong of the scores (Matheron's rule; Hoffman and
    Ribak 1991), so that one decomposition serves every tau.
    """
    found, count = model.found, len(model.scores)
    apart = found.tau > 0.0
    equal = float(found.weight[~apart].sum())
    if not apart.any():
        return np.full(count, 1.0 / count)
    which = generator.choice(np.flatnonzero(apart), draws, p=found.weight[apart] / found.weight[apart].sum())
    tau = found.tau[which]
    common = found.mean[which] + np.sqrt(found.variance[which]) * generator.standard_normal(draws)
    skills = common[:, np.newaxis] + tau[:, np.newaxis] * generator.standard_normal((draws, count))
    noise = np.sqrt(model.values) * generator.standard_normal((draws, len(model.values)))
    skills += _gain(model, tau, model.scores - skills - noise @ model.vectors.T)
    wins = np.bincount(skills.argmax(axis=1), minlength=count) / draws
    return np.asarray(equal / count + (1.0 - equal) * wins)
