"""Risk-adjusted return of a unit book: Sharpe ratio, how sure it is, how much of it is luck among trials, drawdown."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats
from scipy.special import ndtr, ndtri

from tournaments.scores.checks import Float64Array, ScoreError, finite

SESSIONS_A_YEAR = 252
LEAST_FOR_SHAPE = 4  # observations below which skewness and kurtosis are taken as a normal law's
NO_VARIANCE = 1e-12  # of the mean's size: what rounding leaves of a constant series
SAME_TRIAL = 0.5  # correlation from which two groups of trials count as one


@dataclass(frozen=True)
class Performance:
    """``sharpe`` and ``sharpe_error`` a year, two probabilities, ``drawdown`` 0 to 1, over ``observations`` sessions.

    ``sharpe_error`` is None with fewer than two observations.
    """

    sharpe: float
    sharpe_error: float | None
    probabilistic: float
    deflated: float
    drawdown: float
    observations: int


def performance(
    returns: npt.ArrayLike, *, trials: float = 1.0, trial_variance: float = 0.0, periods: float = SESSIONS_A_YEAR
) -> Performance:
    """Return all figures of daily net returns [t].

    Parameters
    ----------
    returns : simple returns after costs, one a session, fractions.
    trials, trial_variance : effective number of variants tried, variance of their annualised Sharpe ratios.
    periods : sessions a year: 252, of 24/7 books 365.
    """
    ratio = sharpe(returns, periods=periods)
    return Performance(
        sharpe=ratio,
        sharpe_error=sharpe_error(returns, periods=periods),
        probabilistic=probabilistic_sharpe(returns, periods=periods),
        deflated=deflated_sharpe(returns, trials=trials, trial_variance=trial_variance, periods=periods),
        drawdown=maximum_drawdown(returns),
        observations=len(np.asarray(returns)),
    )


def sharpe(returns: npt.ArrayLike, *, periods: float = SESSIONS_A_YEAR) -> float:
    """Return the annualised Sharpe ratio of returns [t] (Sharpe 1994), without a riskless rate.

    Mean over deviation (t - 1 degrees) times the root of ``periods``. 0 with fewer than two returns or no variance: a
    book that never moved has shown nothing.

    Raises
    ------
    ScoreError
        if a return is not finite or ``periods`` not above 0.
    """
    return _scaled(returns, periods)[1] * float(np.sqrt(periods))


def sharpe_error(returns: npt.ArrayLike, *, periods: float = SESSIONS_A_YEAR) -> float | None:
    """Return the standard error of :func:`sharpe`, None with fewer than two returns.

    Independent returns of any skewness g3 and kurtosis g4: variance of a session's ratio SR is
    (1 - g3 SR + (g4 - 1) / 4 SR^2) / (t - 1) (Lo 2002, "The statistics of Sharpe ratios"; Mertens 2002, "Comments on
    variance of the IID estimator in Lo"; t - 1 as Bailey and Lopez de Prado 2012). Autocorrelation is not corrected.
    """
    _, deviation, count = _moments(returns, periods)
    return deviation / float(np.sqrt(count - 1)) * float(np.sqrt(periods)) if count > 1 else None


def ratio_deviation(ratio: float, skewness: float, kurtosis: float) -> float:
    """Return sqrt(t - 1) times the error of a session's Sharpe ratio; see :func:`sharpe_error`."""
    return float(np.sqrt(max(1.0 - skewness * ratio + (kurtosis - 1.0) / 4.0 * ratio**2, 0.0)))


def probabilistic_sharpe(returns: npt.ArrayLike, *, benchmark: float = 0.0, periods: float = SESSIONS_A_YEAR) -> float:
    """Return the probability that the true Sharpe ratio exceeds ``benchmark`` (annualised).

    Bailey and Lopez de Prado 2012, "The Sharpe ratio efficient frontier": the normal distribution of
    (SR - benchmark) / error. Fewer than two returns say nothing: 0.5.
    """
    ratio, deviation, count = _moments(returns, periods)
    if not np.isfinite(benchmark):
        raise ScoreError(f"benchmark = {benchmark}; it must be a finite number")
    if count < 2:
        return 0.5
    apart = (ratio - benchmark / np.sqrt(periods)) * np.sqrt(count - 1)
    return float(ndtr(apart / max(deviation, NO_VARIANCE)))


def deflated_sharpe(
    returns: npt.ArrayLike, *, trials: float, trial_variance: float, periods: float = SESSIONS_A_YEAR
) -> float:
    """Return the probability that the Sharpe ratio is more than the luck of the best of ``trials``.

    :func:`probabilistic_sharpe` above :func:`expected_maximum` (Bailey and Lopez de Prado 2014, "The deflated Sharpe
    ratio"). ``trials`` is the effective number (:func:`effective_trials`), ``trial_variance`` the variance of the
    trials' annualised Sharpe ratios.
    """
    return probabilistic_sharpe(returns, benchmark=expected_maximum(trials, trial_variance), periods=periods)


def expected_maximum(trials: float, trial_variance: float) -> float:
    """Return the expected highest Sharpe ratio of skill-less trials, in the unit of the root of ``trial_variance``.

    sqrt(V) ((1 - g) z(1 - 1 / N) + g z(1 - 1 / (N e))), g Euler's constant, z the normal quantile (Bailey and Lopez de
    Prado 2014, equation 1); never below 0, which one trial has.

    Raises
    ------
    ScoreError
        if ``trials`` is below 1, ``trial_variance`` below 0 or one of them not finite.
    """
    if not (np.isfinite(trials) and trials >= 1.0):
        raise ScoreError(f"trials = {trials}; it must be a finite number of at least 1")
    if not (np.isfinite(trial_variance) and trial_variance >= 0.0):
        raise ScoreError(f"trial_variance = {trial_variance}; it must be a finite number of at least 0")
    if trials == 1.0:
        return 0.0
    high, higher = -ndtri(1.0 / trials), -ndtri(1.0 / (trials * np.e))
    return float(np.sqrt(trial_variance) * max((1.0 - np.euler_gamma) * high + np.euler_gamma * higher, 0.0))


def effective_trials(correlation: npt.ArrayLike) -> int:
    """Return the number of different trials behind a correlation matrix [n, n] of their returns.

    Average-linkage clustering on the distance 1 - correlation, cut at a mean correlation of 0.5: groups that
    are more alike count once, so a hundred small changes of one idea are few trials. After Lopez de Prado and Lewis
    2019, "Detection of false investment strategies using unsupervised learning methods", with a fixed cut in place of
    their silhouettes, which know neither one cluster nor n.

    Raises
    ------
    ScoreError
        if the matrix is empty, not square, not symmetric within 1e-8, outside -1 to 1 or without ones on its diagonal.
    """
    matrix = finite("correlation", correlation, dimensions=2)
    if matrix.shape[0] != matrix.shape[1] or len(matrix) == 0:
        raise ScoreError(f"correlation has shape {matrix.shape}; it must be square and not empty")
    if not np.allclose(matrix, matrix.T, atol=1e-8) or not np.allclose(np.diag(matrix), 1.0, atol=1e-8):
        raise ScoreError("correlation is not symmetric or has no ones on its diagonal; it must be and have")
    if np.abs(matrix).max() > 1.0 + 1e-8:
        raise ScoreError(f"correlation holds {matrix.flat[np.abs(matrix).argmax()]:g}; allowed is -1 to 1")
    if len(matrix) == 1:
        return 1
    from scipy.cluster.hierarchy import fcluster, linkage  # noqa: PLC0415 - only the trial register needs it

    distance = np.maximum(1.0 - (matrix + matrix.T) / 2.0, 0.0)
    tree = linkage(distance[np.triu_indices(len(matrix), 1)], method="average")
    return int(fcluster(tree, 1.0 - SAME_TRIAL, criterion="distance").max())


def maximum_drawdown(returns: npt.ArrayLike) -> float:
    """Return the largest fall of compounded wealth from its peak, 0 to 1, the start being a peak.

    A book that lost all it had, or more, stays at nothing: 1.
    """
    factors = np.maximum(1.0 + finite("returns", returns, dimensions=1), 0.0)
    with np.errstate(over="ignore"):
        wealth = np.cumprod(factors)
    path = np.concatenate([[1.0], wealth])
    if not np.isfinite(path).all():
        raise ScoreError("returns compound to more than a double holds; they must be fractions, 0.01 for 1 %")
    return float((1.0 - path / np.maximum.accumulate(path)).max())


def _scaled(returns: npt.ArrayLike, periods: float) -> tuple[Float64Array, float]:
    """Return the returns in units of the largest and a session's Sharpe ratio, 0 without variance or two returns."""
    series = finite("returns", returns, dimensions=1)
    if not (np.isfinite(periods) and periods > 0.0):
        raise ScoreError(f"periods = {periods}; it must be above 0")
    if len(series) < 2:
        return series, 0.0
    largest = float(np.abs(series).max())
    scaled: Float64Array = series / largest if largest > 0.0 else series
    deviation = float(scaled.std(ddof=1))
    return scaled, float(scaled.mean()) / deviation if deviation > NO_VARIANCE else 0.0


def _moments(returns: npt.ArrayLike, periods: float) -> tuple[float, float, int]:
    """Return a session's Sharpe ratio, :func:`ratio_deviation` of it, and the number of returns."""
    scaled, ratio = _scaled(returns, periods)
    if ratio == 0.0:
        return 0.0, 1.0, len(scaled)
    shaped = len(scaled) >= LEAST_FOR_SHAPE
    skewness = float(stats.skew(scaled)) if shaped else 0.0
    kurtosis = float(stats.kurtosis(scaled, fisher=False)) if shaped else 3.0
    return ratio, ratio_deviation(ratio, skewness, kurtosis), len(scaled)
