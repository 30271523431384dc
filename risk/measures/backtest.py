"""Every method's value at risk of some weights, with the verdict of the days on which it was tried."""

import msgspec
import numpy as np
import numpy.typing as npt

from risk.measures.forecasts import HORIZON, LEVELS, METHODS, PATHS, WINDOW, daily, ten_days
from risk.measures.verdicts import Verdict, judge

Float64Array = npt.NDArray[np.float64]


class Exceeded(msgspec.Struct, frozen=True, kw_only=True):
    """A day that lost more than was forecast; fractions."""

    date: str
    loss: float
    var: float


class TenDays(msgspec.Struct, frozen=True, kw_only=True):
    """The next ten days' figures, and how often the stretches before, none overlapping, exceeded theirs: no verdict."""

    var: float
    es: float
    stretches: int
    exceptions: int


class Measure(msgspec.Struct, frozen=True, kw_only=True):
    """One method at one level: tomorrow's VaR and ES as positive fractions, its verdict, its exceptions."""

    method: str
    level: float
    var: float
    es: float
    verdict: Verdict
    exceptions: list[Exceeded]
    ten_days: TenDays


def measure(
    returns: Float64Array,
    weights: Float64Array,
    dates: npt.NDArray[np.datetime64],
    *,
    window: int = WINDOW,
    paths: int = PATHS,
    seed: int = 1,
) -> list[Measure]:
    """Return every method at every level, forecast out of sample on each day after the first ``window``.

    Parameters
    ----------
    returns : simple daily returns [t, n], rows of ``dates`` [t].
    weights : [n], fractions of the capital.

    Raises
    ------
    ValueError
        if a number is not finite, or the window longer than the data.
    """
    ones = daily(returns, weights, window=window, paths=paths, seed=seed)
    tens, lost = ten_days(returns, weights, window=window, paths=paths, seed=seed)
    losses, tried = -(returns @ weights)[window:], dates[window:]
    found = []
    for method in METHODS:
        for level in LEVELS:
            one, ten = ones[method][level], tens[method][level]
            hits = np.flatnonzero(losses > one.var[:-1])
            found.append(
                Measure(
                    method=method, level=level, var=float(one.var[-1]), es=float(one.es[-1]),
                    verdict=judge(losses, one.var[:-1], one.es[:-1], level, one.ratios),
                    exceptions=[
                        Exceeded(date=str(tried[k]), loss=float(losses[k]), var=float(one.var[k])) for k in hits
                    ],
                    ten_days=TenDays(
                        var=float(ten.var[-1]), es=float(ten.es[-1]), stretches=len(lost),
                        exceptions=int((lost > ten.var[:-1]).sum()),
                    ),
                )
            )  # fmt: skip
    return found


__all__ = ["HORIZON", "Exceeded", "Measure", "TenDays", "measure"]
