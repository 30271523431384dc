"""Covariances and correlations with shrinkage, one for calm and one for stressed days.

Estimators are scikit-learn's. Shrinkage works on standardised returns (Ledoit and Wolf 2004, "A well-conditioned
estimator for large-dimensional covariance matrices"): a quiet bond and a wild coin keep their own variances, and the
correlations are drawn together to none.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

METHOD = "ledoit-wolf"
VOLATILITY_DAYS = 10  # the market's state is read from so many days' mean squared return
LEAST_OF_REGIME = 40  # fewer days of a regime give no covariance of its own
SEED = 1

Float64Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Regimes:
    """``stressed`` [t] marks days of the wilder of two states; calm and wild covariance [n, n] of a day's returns."""

    stressed: npt.NDArray[np.bool_]
    calm: Float64Array
    wild: Float64Array
    now_stressed: bool


def shrunk_covariance(returns: Float64Array, estimator: str = METHOD) -> Float64Array:
    """Return the covariance [n, n] of one step's returns [t, n] about zero, its correlations shrunk.

    Parameters
    ----------
    returns : fractions, finite; a column without variance stays without.
    estimator : "ledoit-wolf", or "oas" (Chen, Wiesel, Eldar and Hero 2010).

    Raises
    ------
    ValueError
        with fewer than two rows, a number that is not finite or an unknown estimator.
    """
    scale, correlation = _correlation(returns, estimator)
    return np.asarray(correlation * np.outer(scale, scale))


def shrunk_correlation(returns: Float64Array, estimator: str = METHOD) -> Float64Array:
    """Return the correlation matrix [n, n] behind :func:`shrunk_covariance`, ones on its diagonal."""
    return _correlation(returns, estimator)[1]


def correlation_of(covariance: Float64Array) -> Float64Array:
    """Return the correlations of a covariance [n, n]; a symbol without variance is uncorrelated."""
    scale = np.sqrt(np.diag(covariance))
    outer = np.outer(scale, scale)
    found = np.divide(covariance, outer, out=np.zeros_like(covariance), where=outer > 0.0)
    np.fill_diagonal(found, 1.0)
    return np.asarray(np.clip(found, -1.0, 1.0))


def regimes(returns: Float64Array, estimator: str = METHOD) -> Regimes | None:
    """Return calm and stressed covariances, or None where the days do not fall into two states that can be told apart.

    A day's state is read from the mean squared standardised return of the ten days that it ends; a Gaussian mixture of
    two components over its logarithm (scikit-learn) says which of the two it is.
    """
    from sklearn.mixture import GaussianMixture  # noqa: PLC0415 - a process that only reads matrices must not carry it

    if len(returns) < VOLATILITY_DAYS + 2 * LEAST_OF_REGIME:
        return None
    scale = _scale(returns)
    squares = np.mean((returns / np.where(scale > 0.0, scale, 1.0)) ** 2, axis=1)
    means = np.convolve(squares, np.full(VOLATILITY_DAYS, 1.0 / VOLATILITY_DAYS), mode="valid")
    levels = np.log(np.maximum(means, 1e-12))[:, np.newaxis]
    mixture: Any = GaussianMixture(n_components=2, random_state=SEED).fit(levels)
    wilder = int(np.argmax(mixture.means_[:, 0]))
    stressed = np.zeros(len(returns), dtype=np.bool_)
    stressed[VOLATILITY_DAYS - 1 :] = mixture.predict(levels) == wilder
    if min(stressed.sum(), (~stressed).sum()) < LEAST_OF_REGIME:
        return None
    return Regimes(
        stressed,
        shrunk_covariance(returns[~stressed], estimator),
        shrunk_covariance(returns[stressed], estimator),
        bool(stressed[-1]),
    )


def _scale(returns: Float64Array) -> Float64Array:
    return np.asarray(np.sqrt(np.mean(returns**2, axis=0)))


def _correlation(returns: Float64Array, estimator: str) -> tuple[Float64Array, Float64Array]:
    from sklearn.covariance import ledoit_wolf, oas  # noqa: PLC0415 - see above

    known = {METHOD: ledoit_wolf, "oas": oas}
    if estimator not in known:
        raise ValueError(f"estimator = {estimator!r} is unknown; allowed are {', '.join(known)}")
    if returns.ndim != 2 or len(returns) < 2:
        raise ValueError(f"returns of shape {returns.shape} are too few; at least two rows are needed")
    if not np.isfinite(returns).all():
        raise ValueError("returns hold a number that is not finite")
    scale = _scale(returns)
    moving = np.flatnonzero(scale > 0.0)
    correlation = np.eye(returns.shape[1])
    if len(moving) > 1:
        shrunk, _ = known[estimator](returns[:, moving] / scale[moving], assume_centered=True)
        correlation[np.ix_(moving, moving)] = (shrunk + shrunk.T) / 2.0
        np.fill_diagonal(correlation, 1.0)
    return scale, correlation
