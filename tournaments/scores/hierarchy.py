"""How far apart agents' skills lie: the between-agent deviation tau and common mean of a hierarchical normal model.

Score y ~ N(theta, S), skill theta_i ~ N(mu, tau^2), mu flat. Prior of tau: with probability ``SAME`` all agents are
equal (tau = 0: one skill, and who is best is then a draw); otherwise the uniform shrinkage prior: s^2 / (s^2 + tau^2)
uniform on 0 to 1, s the median error (Christiansen and Morris 1997, "Hierarchical Poisson regression modeling"; Daniels
1999, "A prior for the variance in hierarchical models"; they take means of the variances, which one agent could
rule). It is proper and has no unit, so one prior serves skills, Sharpe ratios and totals.

Without the mass at 0 the luckiest of equal agents is called best too often, since no continuous prior ever believes in
equals: of four equal agents the first is best with a reported 45 % on average where ``SAME`` is 0, 34 % at 1/2, 30 % at
3/4. Agents that differ by as much as their errors pay for that: 55 %, 43 % and 37 % where 58 % is true. Doubt is the
safer side to err on.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from tournaments.scores.checks import Float64Array

SAME = 0.75
LEAST_ERROR = 0.1  # of the median positive error: agents that agree by construction do not prove that all are equal
LEVEL = 0.95
BISECTIONS = 60
NODES = 32
REACH = 6.0  # the grid of ln(tau / s) goes from -REACH to REACH, and further where the scores lie further apart
LEAST_WEIGHT = 1e-5  # nodes that are less probable are left out


@dataclass(frozen=True)
class Nodes:
    """Posterior of tau on a grid [t], and of the common mean given tau: normal with ``mean`` and ``variance`` [t]."""

    tau: Float64Array
    weight: Float64Array
    mean: Float64Array
    variance: Float64Array


def nodes(variances: Float64Array, loadings: Float64Array, scores: Float64Array, same: float) -> Nodes:
    """Return the posterior of tau and mu.

    Parameters
    ----------
    variances : eigenvalues [m] of the error covariance, > 0, in units of the median error's square; of uncorrelated
        errors the variances themselves.
    loadings : the vector of ones in the eigenvectors' basis [m]; ones for uncorrelated errors.
    scores : in that basis [m], centred, in units of the median error.
    same : prior probability of tau = 0.

    mu is integrated out in closed form (Gelman et al. 2013, Bayesian Data Analysis, equation 5.21).
    """
    tau, prior = _prior(scores, same)
    total = variances + np.square(tau)[:, np.newaxis]
    precision = (np.square(loadings) / total).sum(axis=1)
    mean = (loadings * scores / total).sum(axis=1) / precision
    rest = np.square(scores - loadings * mean[:, np.newaxis]) / total
    evidence = -0.5 * (np.log(total).sum(axis=1) + np.log(precision) + rest.sum(axis=1))
    weight = prior * np.exp(np.minimum(evidence - evidence[prior > 0.0].max(), 0.0))
    kept = weight > LEAST_WEIGHT * weight.max()
    return Nodes(tau[kept], weight[kept] / weight[kept].sum(), mean[kept], 1.0 / precision[kept])


def intervals(weight: Float64Array, means: Float64Array, variances: Float64Array) -> tuple[Float64Array, Float64Array]:
    """Return the ends [n] of the central 95 % interval of each mixture of normals, by bisection.

    Parameters
    ----------
    weight : of the mixture's parts [t].
    means, variances : of each skill in each part [t, n], variances > 0.
    """
    deviations = np.sqrt(variances)
    targets = np.array([(1.0 - LEVEL) / 2.0, (1.0 + LEVEL) / 2.0])[:, np.newaxis]
    below = np.tile((means - 10.0 * deviations).min(axis=0), (2, 1))
    above = np.tile((means + 10.0 * deviations).max(axis=0), (2, 1))
    for _ in range(BISECTIONS):
        middle = (below + above) / 2.0
        reached = np.einsum("t,etn->en", weight, ndtr((middle[:, np.newaxis, :] - means) / deviations))
        below, above = np.where(reached < targets, middle, below), np.where(reached < targets, above, middle)
    return below[0], above[1]


def _prior(scores: Float64Array, same: float) -> tuple[Float64Array, Float64Array]:
    """Return tau [t], 0 first, and its prior probabilities [t]."""
    spread = float(np.abs(scores).max())
    logs = np.linspace(-REACH, max(REACH, np.log(max(spread, 1.0)) + 3.0), NODES)
    density = np.exp(-2.0 * np.logaddexp(logs, -logs))  # of ln(tau / s) where 1 / (1 + tau^2 / s^2) is uniform
    prior = np.concatenate([[same], (1.0 - same) * density / density.sum()])
    return np.concatenate([[0.0], np.exp(logs)]), prior
