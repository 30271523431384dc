"""VAR_LIMIT: the one-day value at risk of the account after a trade, compiled, in plain loops and square roots.

Parametric value at risk with normal returns and no drift (J.P. Morgan and Reuters 1996, "RiskMetrics Technical
Document", chapter 1): z99 x sqrt(w'Cw), w the positions' values with what works counted as filled, C the covariance of
daily returns that was fitted and published (a ModelEvent). Symbols without a row in C are added as if they moved all
together, |w| x sigma, and so is everything until a covariance has come: the most that any correlation allows.
"""

from math import sqrt
from typing import Any

import numpy as np
from numba import njit

from risk.checks import above, lot_size
from risk.codes import Code

Z99 = 2.3263478740408408  # the normal distribution's 99 % quantile
VAR = int(Code.VAR_LIMIT)

RISK = np.dtype(
    [
        ("fitted", "i8"),  # a covariance has come
        ("age", "i8"),  # sessions begun since the last one it was fitted on
        ("variance", "f8"),  # w'Cw, of the symbols in C
        ("outside", "f8"),  # sum of |w| x sigma of all others
    ]
)
"""One row: what the portfolio risks as it stands, renewed with each order that is allowed."""


@njit(cache=True)
def covers(covariance: Any, i: int) -> bool:
    """Whether the covariance has symbol i; what is no number there is had, and denies."""
    return bool(covariance[i, i] != 0.0)


@njit(cache=True)
def begin(risk: Any, weights: Any, covariance: Any, variances: Any) -> None:
    """Reckon the portfolio's risk anew.

    Parameters
    ----------
    risk : one row of RISK, variance and outside overwritten.
    weights : f8 [n], signed values in account currency.
    covariance : f8 [n, n] of daily fractional returns, zeros where a symbol is not in it.
    variances : f8 [n], each symbol's own daily variance.
    """
    risk.variance = 0.0
    risk.outside = 0.0
    for i in range(len(weights)):
        if covers(covariance, i):
            for j in range(len(weights)):
                risk.variance += weights[i] * covariance[i, j] * weights[j]
        else:
            risk.outside += abs(weights[i]) * sqrt(variances[i])


@njit(cache=True)
def moved(  # noqa: PLR0917 - compiled code is called with positions
    risk: Any, weights: Any, covariance: Any, variances: Any, i: int, weight: float
) -> tuple[float, float]:
    """Return (variance, outside) if symbol i had another weight: with d the change, v + 2 d (Cw)_i + d^2 C_ii."""
    change = weight - weights[i]
    if not covers(covariance, i):
        return risk.variance, risk.outside + (abs(weight) - abs(weights[i])) * sqrt(variances[i])
    along = 0.0
    for j in range(len(weights)):
        along += covariance[i, j] * weights[j]
    return risk.variance + 2.0 * change * along + change * change * covariance[i, i], risk.outside


@njit(cache=True)
def value_at_risk(variance: float, outside: float) -> float:
    """Return the one-day value at risk at 99 %; a variance that rounding took below zero is none."""
    return Z99 * (sqrt(max(0.0, variance)) + outside) if np.isfinite(variance) else np.nan


@njit(cache=True)
def after_order(symbol: Any, lots: int, price: float) -> float:
    """Return symbol's signed value with everything on the order's side filled, and the order."""
    filled = symbol.lots + symbol.working_buy if lots > 0 else symbol.lots - symbol.working_sell
    value: float = (filled + lots) * price * lot_size(symbol)
    return value


@njit(cache=True)
def check_var(  # noqa: PLR0917 - compiled code is called with positions
    mask: int,
    i: int,
    symbol: Any,
    lots: int,
    price: float,
    equity: float,
    risk: Any,
    weights: Any,
    covariance: Any,
    variances: Any,
    limits: Any,
    values: Any,
    limits_met: Any,
) -> int:
    """Check an order that raises exposure: the risk after it, where it is more than before, and the covariance's age.

    Where the covariance is too old its age in sessions is the value that is noted.
    """
    before = value_at_risk(risk.variance, risk.outside)
    weight = after_order(symbol, lots, price)
    variance, outside = moved(risk, weights, covariance, variances, i, weight)
    after = value_at_risk(variance, outside)
    if not after <= before:
        mask = above(mask, VAR, after, limits.max_var * equity, values, limits_met)
    if risk.fitted != 0 and risk.age > limits.covariance_max_age_sessions:
        mask = above(mask, VAR, float(risk.age), limits.covariance_max_age_sessions, values, limits_met)
    return mask


@njit(cache=True)
def take_order(  # noqa: PLR0917 - compiled code is called with positions
    risk: Any, weights: Any, covariance: Any, variances: Any, i: int, weight: float
) -> None:
    """Count an allowed order as filled before the next one is judged."""
    risk.variance, risk.outside = moved(risk, weights, covariance, variances, i, weight)
    weights[i] = weight


@njit(cache=True)
def is_covariance(matrix: Any) -> bool:
    """Whether a square matrix can be a covariance: finite, symmetric to 1e-9, positive definite (Cholesky)."""
    n = len(matrix)
    for i in range(n):
        if not (np.isfinite(matrix[i, i]) and matrix[i, i] > 0.0):
            return False
        for j in range(i):
            apart = abs(matrix[i, j] - matrix[j, i])
            if not apart <= 1e-9 * sqrt(matrix[i, i] * matrix[j, j]):
                return False
    factor = np.zeros((n, n))
    for i in range(n):
        for j in range(i + 1):
            rest = matrix[i, j]
            for k in range(j):
                rest -= factor[i, k] * factor[j, k]
            if i == j:
                if not rest > 0.0:
                    return False
                factor[i, i] = sqrt(rest)
            else:
                factor[i, j] = rest / factor[j, j]
    return True
