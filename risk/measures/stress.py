"""Monte Carlo stress: what a hundred thousand simulated days do to the positions, in calm and in stressed markets."""

import msgspec
import numpy as np
import numpy.typing as npt

from risk.measures.covariance import METHOD, Regimes, regimes, shrunk_correlation, shrunk_covariance
from risk.measures.forecasts import HORIZON, LEVELS, START_DAYS, ewma_volatility, student
from risk.measures.monte_carlo import draw, factor, tail
from risk.measures.prices import Panel
from risk.measures.scenarios import Scenario, table

PATHS = 100_000
MOST_PATHS = 2_000_000
DEGREES = 5.0  # of freedom where the data are too few to fit them
FITTED_DAYS = 250
LARGE = (0.05, 0.10, 0.20)

Float64Array = npt.NDArray[np.float64]


class Tail(msgspec.Struct, frozen=True, kw_only=True):
    """Losses of one market: fractions of the capital; ``beyond`` maps a loss to the share of paths that exceed it."""

    market: str  # calm, stressed, all days
    days: int  # of the market that its covariance was estimated from; 0: it was given
    horizon_days: int
    volatility: float
    var_95: float
    es_95: float
    var_99: float
    es_99: float
    worst: float
    beyond: dict[str, float]


class Stress(msgspec.Struct, frozen=True, kw_only=True):
    """Scenario table, simulated tails and the correlation matrix behind them."""

    scenarios: list[Scenario]
    paths: int
    seed: int
    degrees: float
    tails: list[Tail]
    regime: str  # calm, stressed; "" where two cannot be told apart
    estimator: str
    symbols: list[str]
    correlation: list[list[float]]


def stress(panel: Panel, weights: Float64Array, *, paths: int = PATHS, seed: int = 1) -> Stress:
    """Return scenarios and M-path stress of positions ``weights`` [n], fractions of the capital.

    Raises
    ------
    ValueError
        if a weight is not finite, or paths are not 1,000 to 2,000,000.
    """
    returns = panel.returns
    if not np.isfinite(weights).all() or weights.shape != returns.shape[1:]:
        raise ValueError(f"weights {weights.tolist()} must be {returns.shape[1:]} finite numbers")
    check_paths(paths)
    whole, found = shrunk_covariance(returns), regimes(returns)
    degrees = _degrees(returns @ weights)
    return Stress(
        scenarios=table(panel, weights, np.sqrt(np.diag(whole))), paths=paths, seed=seed, degrees=degrees,
        tails=tails(_markets(returns, whole, found), weights, paths=paths, seed=seed, degrees=degrees),
        regime="" if found is None else "stressed" if found.now_stressed else "calm", estimator=METHOD,
        symbols=list(panel.symbols), correlation=shrunk_correlation(returns).tolist(),
    )  # fmt: skip


def check_paths(paths: int) -> None:
    """Refuse a number of paths that tells nothing or never ends.

    Raises
    ------
    ValueError
        naming it and what is allowed.
    """
    if not 1_000 <= paths <= MOST_PATHS:
        raise ValueError(f"paths = {paths} must be 1,000 to {MOST_PATHS:,}")


def tails(
    markets: dict[str, tuple[int, Float64Array]], weights: Float64Array, *,
    paths: int = PATHS, seed: int = 1, degrees: float = DEGREES,
) -> list[Tail]:  # fmt: skip
    """Return the tail of one day and of ten in each market: name to (days, covariance [n, n]), on the same draws."""
    shocks = _moves(paths, len(weights), seed * HORIZON, degrees)
    total = shocks.copy()
    for step in range(1, HORIZON):
        total += _moves(paths, len(weights), seed * HORIZON + step, degrees)
    found = []
    for horizon, moves in ((1, shocks), (HORIZON, total)):
        for name, (days, covariance) in markets.items():
            losses = -(moves @ (factor(covariance).T @ weights))
            (var_95, es_95), (var_99, es_99) = (tail(losses, level) for level in LEVELS)
            variance = float(weights @ covariance @ weights) * horizon
            found.append(
                Tail(
                    market=name, days=days, horizon_days=horizon, volatility=max(variance, 0.0) ** 0.5, var_95=var_95,
                    es_95=es_95, var_99=var_99, es_99=es_99, worst=float(losses.max()),
                    beyond={f"{large:g}": float((losses > large).mean()) for large in LARGE},
                )
            )  # fmt: skip
    return found


def _moves(paths: int, assets: int, seed: int, degrees: float) -> Float64Array:
    drawn = draw(paths, assets, seed=seed, degrees=degrees)
    return np.asarray(drawn.normals * drawn.mixing[:, np.newaxis])


def _markets(returns: Float64Array, whole: Float64Array, found: Regimes | None) -> dict[str, tuple[int, Float64Array]]:
    markets = {"all days": (len(returns), whole)}
    if found is not None:
        stressed = int(found.stressed.sum())
        markets |= {"calm": (len(returns) - stressed, found.calm), "stressed": (stressed, found.wild)}
    return markets


def _degrees(gains: Float64Array) -> float:
    """Return the degrees of freedom of the portfolio's returns by their exponentially weighted volatility."""
    if len(gains) < FITTED_DAYS:
        return DEGREES
    volatility = ewma_volatility(gains[:, np.newaxis])[START_DAYS:-1, 0]
    if not (volatility > 0.0).all():
        return DEGREES
    return student(gains[START_DAYS:] / volatility)[0]
