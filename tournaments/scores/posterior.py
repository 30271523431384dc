"""How sure a ranking is: the probability that each agent is best, and intervals of their scores.

The posterior of the hierarchical normal model in :mod:`tournaments.scores.hierarchy`. Scores are drawn together as far
as their errors say they must, so that "first" is not mistaken for "best". Convention: where several agents are
equally best, best is one of them by an even draw; so equal agents are each best with probability 1 / n.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

from tournaments.scores.checks import BoolArray, Float64Array, ScoreError, finite, same_length, within
from tournaments.scores.hierarchy import LEAST_ERROR, SAME, Nodes, intervals, nodes

LARGEST = 1e100  # squares of larger scores would not fit a double
FURTHEST = 1e9  # errors are no smaller than this part of the scores' spread: surer than that nobody needs to be
COMMON_NODES = 5
SKILL_STEPS = np.linspace(-4.5, 4.5, 19)


@dataclass(frozen=True)
class Posterior:
    """What the scores say about the skills behind them.

    ``best`` [n] adds up to 1; ``first_is_best`` is that of the agent with the highest score (of several, their mean);
    ``mean`` [n], ``low`` [n] and ``high`` [n]: skill and its central 95 % interval, in the scores' unit.
    """

    best: tuple[float, ...]
    first_is_best: float
    mean: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


def posterior(scores: npt.ArrayLike, errors: npt.ArrayLike, *, same: float = SAME) -> Posterior:
    """Return who is best and how sure that is, by quadrature over tau, the common mean and the skills.

    Parameters
    ----------
    scores : [n], n >= 1, higher is better, any unit.
    errors : standard errors [n] in that unit, independent between agents; infinite where nothing is known yet.
    same : prior probability that all agents are equally good.

    Errors below a tenth of the median positive one are raised to it. Where no error is positive the scores are taken
    as exact. Agents whose scores and errors are the same get the same figures; permuted agents get permuted ones.

    Raises
    ------
    ScoreError
        if there is no agent, a score is not finite, an error is NaN or negative, or ``same`` is outside 0 to 1.
    """
    numbers, deviations = checked(scores, errors, same)
    known = np.isfinite(deviations)
    if not (deviations[known] > 0.0).any():
        return without_errors(numbers, known)
    centre, scale, shifted, deviations = _standardised(numbers, deviations, known)
    found = nodes(np.square(deviations[known]), np.ones(int(known.sum())), shifted[known], same)
    best = _best(found, shifted, deviations)
    means, variances = _moments(found, shifted, deviations)
    low, high = intervals(found.weight, means, variances)
    return report(numbers, best, centre + scale * (found.weight @ means), centre + scale * low, centre + scale * high)


def probability_best(scores: npt.ArrayLike, errors: npt.ArrayLike, *, same: float = SAME) -> Float64Array:
    """Return only the probability [n] that each agent is best; as :func:`posterior`, in half the time."""
    numbers, deviations = checked(scores, errors, same)
    known = np.isfinite(deviations)
    if not (deviations[known] > 0.0).any():
        return np.asarray(without_errors(numbers, known).best)
    _, _, shifted, deviations = _standardised(numbers, deviations, known)
    found = nodes(np.square(deviations[known]), np.ones(int(known.sum())), shifted[known], same)
    return _best(found, shifted, deviations)


def report(
    scores: Float64Array, best: Float64Array, mean: Float64Array, low: Float64Array, high: Float64Array
) -> Posterior:
    """Return the figures as one value."""
    first = best[scores == scores.max()].mean()
    return Posterior(
        tuple(best.tolist()), float(first), tuple(mean.tolist()), tuple(low.tolist()), tuple(high.tolist())
    )


def checked(scores: npt.ArrayLike, errors: npt.ArrayLike, same: float) -> tuple[Float64Array, Float64Array]:
    """Return scores and errors [n] as arrays; raise ScoreError as :func:`posterior` says."""
    numbers = finite("scores", scores, dimensions=1)
    deviations = np.asarray(errors, dtype=np.float64)
    if same_length(scores=numbers, errors=deviations) == 0:
        raise ScoreError("scores is empty; at least one agent is needed")
    if not (deviations >= 0.0).all():
        raise ScoreError(f"errors holds {deviations[~(deviations >= 0.0)][0]}; it must be 0 or more, or infinite")
    within("same", same, 0.0, 1.0)
    within("the largest score", float(np.abs(numbers).max()), 0.0, LARGEST)
    return numbers, deviations


def without_errors(scores: Float64Array, known: BoolArray) -> Posterior:
    """Exact scores: the highest are best. Where an agent's score says nothing, nobody is known to be best."""
    leaders = scores == scores.max() if known.all() else np.ones(len(scores), dtype=np.bool_)
    low, high = np.where(known, scores, -np.inf), np.where(known, scores, np.inf)
    return report(scores, leaders / leaders.sum(), scores, low, high)


def unit(scores: Float64Array, errors: Float64Array, known: BoolArray) -> tuple[float, float]:
    """Return the centre and the unit that scores are computed in, so that the model sees numbers of size 1."""
    centre = float(scores[known].mean())
    return centre, max(float(np.median(errors[known & (errors > 0.0)])), float(np.ptp(scores[known])) / FURTHEST)


def _standardised(
    scores: Float64Array, errors: Float64Array, known: BoolArray
) -> tuple[float, float, Float64Array, Float64Array]:
    """Return centre, unit, and scores and errors in it, the smallest errors raised."""
    centre, scale = unit(scores, errors, known)
    shifted = np.where(known, (scores - centre) / scale, 0.0)
    return centre, scale, shifted, np.maximum(errors / scale, LEAST_ERROR)


def _kept(tau: Float64Array, errors: Float64Array) -> Float64Array:
    """Return the share [t, n] of the common mean in each agent's skill: s^2 / (s^2 + tau^2)."""
    return np.asarray(1.0 / (1.0 + np.square(tau[:, np.newaxis] / errors)))


def _moments(found: Nodes, scores: Float64Array, errors: Float64Array) -> tuple[Float64Array, Float64Array]:
    """Return mean and variance [t, n] of each skill given tau."""
    shrink = _kept(found.tau, errors)
    means = (1.0 - shrink) * scores + shrink * found.mean[:, np.newaxis]
    own = np.square(found.tau)[:, np.newaxis] * shrink
    return means, own + np.square(shrink) * found.variance[:, np.newaxis]


def _best(found: Nodes, scores: Float64Array, errors: Float64Array) -> Float64Array:
    """Return P(skill i is the highest) [n]: skills are independent normals given tau and the common mean."""
    count = len(scores)
    apart = found.tau > 0.0
    equal = float(found.weight[~apart].sum())
    if not apart.any() or count == 1:
        return np.full(count, 1.0 / count)
    tau = found.tau[apart]
    alike = bool((errors == errors[0]).all())  # a common mean then moves all skills by as much
    points, masses = np.polynomial.hermite_e.hermegauss(1 if alike else COMMON_NODES)
    common = found.mean[apart, np.newaxis] + np.sqrt(found.variance[apart])[:, np.newaxis] * points
    shrink = _kept(tau, errors).T[:, :, np.newaxis]
    means = (1.0 - shrink) * scores[:, np.newaxis, np.newaxis] + shrink * common
    deviations = np.broadcast_to(tau[:, np.newaxis] * np.sqrt(shrink), means.shape)
    given_tau = np.einsum("m,ntm->tn", masses / masses.sum(), _highest(means, deviations))
    return np.asarray(equal / count + found.weight[apart] @ given_tau)


def _highest(means: Float64Array, deviations: Float64Array) -> Float64Array:
    """Return P(normal i is the highest) [n, ...] of independent ones: the integral of dF_i times the others' F.

    A Stieltjes trapezoid on the union of all agents' own grids, so that narrow and wide ones are both resolved.
    """
    count = len(means)
    grid = means[..., np.newaxis] + deviations[..., np.newaxis] * SKILL_STEPS
    grid = np.sort(np.concatenate(list(grid), axis=-1), axis=-1)
    below = ndtr((grid - means[..., np.newaxis]) / deviations[..., np.newaxis])
    found = np.empty(means.shape)
    for i in range(count):
        others = np.prod(below[np.arange(count) != i], axis=0)
        found[i] = (np.diff(below[i]) * (others[..., 1:] + others[..., :-1])).sum(axis=-1)
    return np.asarray(found / found.sum(axis=0))
