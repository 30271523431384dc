"""Value at risk and expected shortfall by three methods, each day's from the days before it alone.

historical  : the losses that today's weights would have had on each of the last ``window`` days.
parametric  : normal, with the exponentially weighted volatility of the portfolio's returns (RiskMetrics, J.P. Morgan
              1996: decay 0.94).
monte_carlo : simulated Student-t returns of all assets; volatilities exponentially weighted, correlations of the last
              ``window`` days shrunk, degrees of freedom fitted to what was seen before.

A mean of zero is assumed throughout: a day's mean return is small against its deviation, and its estimate is not.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import signal, stats

from risk.measures.covariance import shrunk_correlation
from risk.measures.monte_carlo import LEAST_DEGREES, NORMAL_DEGREES, Draws, draw, factor, tail_count

METHODS = ("historical", "parametric", "monte_carlo")
LEVELS = (0.95, 0.99)
HORIZON = 10
DECAY = 0.94
WINDOW = 500
START_DAYS = 75  # whose mean square the recursion starts from
LEAST_WINDOW = 100  # a loss of one day in a hundred needs as many
PATHS = 20_000  # of each day in a backtest
CORRELATIONS_EVERY, DEGREES_EVERY = 21, 63  # days between two estimates
TAIL_POINTS = 5_000

Float64Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Forecast:
    """VaR and ES [k] as fractions, positive for a loss; ``ratios``: losses beyond VaR by ES, as the method sees them.

    Of one day: for days ``window`` to t inclusive, the last one tomorrow's. Of ten: every tenth of them.
    """

    var: Float64Array
    es: Float64Array
    ratios: Float64Array


Forecasts = dict[str, dict[float, Forecast]]
"""Method to level to forecast."""


def check(returns: Float64Array, weights: Float64Array, window: int) -> None:
    """Refuse what cannot be forecast.

    Raises
    ------
    ValueError
        naming what is not finite, or the window and the days that there are.
    """
    if not np.isfinite(returns).all():
        raise ValueError("returns hold a number that is not finite")
    if not np.isfinite(weights).all() or weights.shape != returns.shape[1:]:
        raise ValueError(f"weights {weights.tolist()} must be {returns.shape[1:]} finite numbers")
    if not LEAST_WINDOW <= window <= len(returns):
        raise ValueError(f"window = {window} must be {LEAST_WINDOW} to {len(returns)}, the returns that there are")


def daily(
    returns: Float64Array, weights: Float64Array, *, window: int = WINDOW, paths: int = PATHS, seed: int = 1
) -> Forecasts:
    """Return one-day forecasts for days ``window`` to t, the last one for the day after the data.

    Parameters
    ----------
    returns : simple daily returns [t, n].
    weights : [n], each position at the previous close as a fraction of the capital; positions are frozen until the
        next close, so day k loses -returns[k] @ weights.

    Raises
    ------
    ValueError
        as :func:`check`.
    """
    check(returns, weights, window)
    losses = -(returns @ weights)
    windows = np.lib.stride_tricks.sliding_window_view(losses, window)
    volatility = ewma_volatility(losses[:, np.newaxis])[window:, 0]
    simulated = _simulated_days(returns, weights, window, paths, seed)
    return {
        "historical": {level: _of_samples(windows, level) for level in LEVELS},
        "parametric": {level: _normal(volatility, level) for level in LEVELS},
        "monte_carlo": simulated,
    }


def ten_days(
    returns: Float64Array, weights: Float64Array, *, window: int = WINDOW, paths: int = PATHS, seed: int = 1
) -> tuple[Forecasts, Float64Array]:
    """Return ten-day forecasts at every tenth day from ``window`` on, and what was lost over each whole ten days.

    The stretches do not overlap; the last forecast is for the ten days after the data, and no loss stands against it.
    """
    check(returns, weights, window)
    count = len(returns)
    days = np.arange(count, window - 1, -HORIZON)[::-1]
    index = np.vstack([np.ones(returns.shape[1]), np.cumprod(1.0 + returns, axis=0)])
    spans = -((index[HORIZON:] / index[:-HORIZON] - 1.0) @ weights)  # [t - 9]: lost over the ten days from each on
    losses = -(returns @ weights)
    samples = np.stack([spans[day - window : day - HORIZON + 1] for day in days])
    volatility = ewma_volatility(losses[:, np.newaxis])[days, 0] * np.sqrt(HORIZON)
    found: Forecasts = {
        "historical": {level: _of_samples(samples, level) for level in LEVELS},
        "parametric": {level: _normal(volatility, level) for level in LEVELS},
        "monte_carlo": _simulated_days(returns, weights, window, paths, seed, days=days, steps=HORIZON),
    }
    return found, spans[days[:-1]]


def ewma_volatility(returns: Float64Array) -> Float64Array:
    """Return each column's volatility [t + 1, n] of returns [t, n] about zero: row k from rows before k alone.

    RiskMetrics' recursion, started from the mean of the first 75 squares: rows before the 75th know a little of those.
    """
    squares = returns**2
    start = squares[:START_DAYS].mean(axis=0)
    variance = signal.lfilter([1.0 - DECAY], [1.0, -DECAY], squares, axis=0, zi=DECAY * start[np.newaxis])[0]
    return np.asarray(np.sqrt(np.vstack([start, variance])))


def _of_samples(samples: Float64Array, level: float) -> Forecast:
    """Return each row's tail: the m largest of its losses."""
    count = samples.shape[1]
    worst = tail_count(count, level)
    top = np.partition(samples, count - worst, axis=1)[:, count - worst :]
    es = top.mean(axis=1)
    ratios = (top[es > 0.0] / es[es > 0.0][:, np.newaxis]).ravel()
    return Forecast(np.maximum(top.min(axis=1), 0.0), np.maximum(es, 0.0), ratios if len(ratios) else np.ones(1))


def _normal(volatility: Float64Array, level: float) -> Forecast:
    quantile = float(stats.norm.ppf(level))
    shortfall = float(stats.norm.pdf(quantile)) / (1.0 - level)
    points = level + (1.0 - level) * (np.arange(TAIL_POINTS) + 0.5) / TAIL_POINTS
    return Forecast(quantile * volatility, shortfall * volatility, stats.norm.ppf(points) / shortfall)


def _simulated_days(
    returns: Float64Array, weights: Float64Array, window: int, paths: int, seed: int, *,
    days: npt.NDArray[np.int64] | None = None, steps: int = 1,
) -> dict[float, Forecast]:  # fmt: skip
    """Simulate every day asked for (default: each from ``window`` on), estimates renewed every few weeks."""
    volatility = ewma_volatility(returns)
    wanted = np.arange(window, len(returns) + 1) if days is None else days
    losses, spread = -(returns @ weights), np.empty(len(returns) + 1)
    chunks: list[Float64Array] = []
    for start in range(window, len(returns) + 1, CORRELATIONS_EVERY):
        end = min(start + CORRELATIONS_EVERY, len(returns) + 1)
        first = 0 if start == window else start
        past = slice(start - window, start)
        root = factor(shrunk_correlation(returns[past] / _above_zero(volatility[past])))
        loaded = (volatility[first:end] * weights) @ root  # [days, n]: a day's loss is loaded @ shock
        spread[first:end] = np.sqrt((loaded**2).sum(axis=1))
        if (start - window) % DEGREES_EVERY == 0:
            degrees, stretch = student(losses[:start] / _above_zero(spread[:start]))
            shocks = _shocks(draw(paths * steps, returns.shape[1], seed=seed, degrees=degrees), steps)
        now = wanted[(wanted >= start) & (wanted < end)] - first
        chunks.append(_tails(shocks @ (loaded[now] * stretch).T))
    together = np.concatenate(chunks, axis=1)
    unit = np.sort(shocks @ loaded[-1] / max(spread[-1], 1e-300))
    return {level: _of_tails(together[2 * k : 2 * k + 2], unit, level) for k, level in enumerate(LEVELS)}


def _shocks(draws: Draws, steps: int) -> Float64Array:
    """Return shocks [paths, n] of the sum of so many days."""
    each = draws.normals * draws.mixing[:, np.newaxis]
    return np.asarray(each.reshape(-1, steps, each.shape[1]).sum(axis=1))


def _tails(losses: Float64Array) -> Float64Array:
    """Return rows VaR and ES of every level, columns the days of simulated losses [paths, days]."""
    count, rows = len(losses), []
    wide = tail_count(count, min(LEVELS))
    top = np.sort(np.partition(losses, count - wide, axis=0)[count - wide :], axis=0)
    for level in LEVELS:
        worst = tail_count(count, level)
        rows += [top[wide - worst], top[wide - worst :].mean(axis=0)]
    return np.asarray(rows)


def _of_tails(rows: Float64Array, unit: Float64Array, level: float) -> Forecast:
    top = unit[len(unit) - tail_count(len(unit), level) :]
    return Forecast(rows[0], rows[1], top / top.mean() if top.mean() > 0.0 else np.ones(1))


def student(residuals: Float64Array) -> tuple[float, float]:
    """Return degrees of freedom and how many times the forecast volatility the deviation was, by maximum likelihood."""
    degrees, _, scale = stats.t.fit(residuals, 8.0, floc=0.0)
    degrees = min(max(float(degrees), LEAST_DEGREES), NORMAL_DEGREES)
    return degrees, float(scale) * float(np.sqrt(degrees / (degrees - 2.0)))


def _above_zero(values: Float64Array) -> Float64Array:
    return np.where(values > 0.0, values, 1.0)
