"""Simulated losses: correlated Student-t returns of all positions at once, one matrix product for every portfolio.

Draws are made beforehand by NumPy's Philox generator, keyed (seed, chunk): a chunk is always the same ten thousand
paths, however many there are and whoever asks.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

CHUNK = 10_000
LEAST_DEGREES = 2.1  # of a Student t: at 2 it has no variance
NORMAL_DEGREES = 200.0  # above it a Student t is a normal distribution

Float64Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Draws:
    """Independent shocks of unit variance, ``normals`` [paths, n], and each path's ``mixing`` [paths].

    A path's shock is normal x mixing: jointly Student t, so that everything may move far on the same day.
    """

    normals: Float64Array
    mixing: Float64Array


def draw(paths: int, assets: int, *, seed: int, degrees: float = NORMAL_DEGREES) -> Draws:
    """Return shocks of a multivariate Student t with unit covariance; from 200 degrees on they are normal.

    Parameters
    ----------
    paths, assets : how many rows and columns.
    seed : of the key; the first paths of a longer draw are those of a shorter one.
    degrees : of freedom, above 2.
    """
    normals, mixing = np.empty((paths, assets)), np.ones(paths)
    for chunk, start in enumerate(range(0, paths, CHUNK)):
        end = min(start + CHUNK, paths)
        generator = np.random.Generator(np.random.Philox(key=np.array([seed, chunk], dtype=np.uint64)))
        spread = generator.chisquare(degrees, CHUNK) if degrees < NORMAL_DEGREES else None
        normals[start:end] = generator.standard_normal((CHUNK, assets))[: end - start]
        if spread is not None:
            mixing[start:end] = np.sqrt((degrees - 2.0) / spread[: end - start])
    return Draws(normals, mixing)


def factor(covariance: Float64Array) -> Float64Array:
    """Return L [n, n] with L L' = covariance, also where the covariance is only positive semi-definite.

    Raises
    ------
    ValueError
        if it is not square, finite, symmetric and without negative variance.
    """
    if covariance.ndim != 2 or covariance.shape[0] != covariance.shape[1] or not np.isfinite(covariance).all():
        raise ValueError(f"a covariance of shape {covariance.shape} must be square and finite")
    scale = max(float(np.abs(covariance).max(initial=0.0)), 1e-300)
    if np.abs(covariance - covariance.T).max(initial=0.0) > 1e-9 * scale:
        raise ValueError("a covariance must be symmetric")
    values, vectors = np.linalg.eigh(covariance)
    if values.min(initial=0.0) < -1e-6 * scale:
        raise ValueError(f"a covariance must not have a negative variance; its least eigenvalue is {values.min():g}")
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0)))


def simulate(draws: Draws, covariance: Float64Array, exposures: Float64Array) -> Float64Array:
    """Return the losses [paths, p] of p portfolios over one step.

    Parameters
    ----------
    draws : shocks for n assets.
    covariance : of one step's returns [n, n].
    exposures : [p, n], value of each position as a fraction of what the losses shall be a fraction of.
    """
    loaded = factor(covariance).T @ exposures.T  # (Z L') w = Z (L' w): one product serves every portfolio
    losses = draws.normals @ loaded
    losses *= -draws.mixing[:, np.newaxis]
    return np.asarray(losses)


def tail(losses: Float64Array, level: float) -> tuple[float, float]:
    """Return value at risk and expected shortfall of a sample of losses [k] at a level such as 0.99.

    VaR is the m-th largest loss, m the number whose probability m / (k + 1) of being exceeded by a further draw is
    nearest to 1 - level; ES the mean of the m largest. A partition finds them: no sort of all.

    Raises
    ------
    ValueError
        if there is no loss, or one is not finite.
    """
    count = len(losses)
    if count == 0 or not np.isfinite(losses).all():
        raise ValueError(f"{count} losses: at least one is needed and each must be finite")
    worst = tail_count(count, level)
    top = np.partition(losses, count - worst)[count - worst :]
    return float(top.min()), float(top.mean())


def tail_count(count: int, level: float) -> int:
    """Return how many of ``count`` losses lie at or beyond the value at risk."""
    return max(1, round((1.0 - level) * (count + 1)))
