"""The table of a round: each entrant's parts on one scale, their weighted total, ranks, and the total's error.

Every part is mapped to 0 to 1 by a strictly monotone map of plain arithmetic, the same on every machine:

* accuracy and contribution: ``soft_sign``, 0.5 at 0 (climatology; nothing added), 0.75 at one unit, 0.25 at minus
  one. A unit of accuracy is 0.02 of ranked probability score (a twelfth of climatology's), of contribution 0.05.
* resilience is a share already.
* risk-adjusted return: half the Sharpe ratio's ``soft_sign`` with unit 1, a quarter the deflated probability, a
  quarter drawdown's 0.2 / (0.2 + drawdown): a Sharpe ratio counts less where it is luck or was sat through in pain.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, ndtri
from scipy.stats import rankdata

from tournaments.scores.checks import ScoreError, finite, within
from tournaments.scores.clustered import Estimate
from tournaments.scores.performance import Performance

ACCURACY_UNIT = 0.02
CONTRIBUTION_UNIT = 0.05
SHARPE_UNIT = 1.0
DRAWDOWN_UNIT = 0.2
SHARPE_SHARE, DEFLATED_SHARE, DRAWDOWN_SHARE = 0.5, 0.25, 0.25
WEIGHT_TOLERANCE = 1e-9
LARGEST_ERROR = 1e300
LEAST_CHANCE = 1e-6
POINTS, MASSES = np.polynomial.hermite_e.hermegauss(15)
MASSES /= MASSES.sum()


@dataclass(frozen=True)
class Weights:
    """The rules' weights of the parts; 0 or more, adding up to 1."""

    accuracy: float = 0.35
    resilience: float = 0.30
    risk_adjusted_return: float = 0.25
    contribution: float = 0.10

    def __post_init__(self) -> None:
        """Raise ScoreError unless every weight is within 0 to 1 and they add up to 1."""
        for name, weight in vars(self).items():
            within(f"the weight of {name}", weight, 0.0, 1.0)
        total = sum(vars(self).values())
        if abs(total - 1.0) > WEIGHT_TOLERANCE:
            raise ScoreError(f"the weights add up to {total:g}; they must add up to 1")


@dataclass(frozen=True)
class Parts:
    """What was measured of one entrant. ``resilience_error`` is the stress battery's, 0 where not asked for."""

    accuracy: Estimate
    resilience: float
    performance: Performance
    contribution: Estimate
    resilience_error: float = 0.0


@dataclass(frozen=True)
class Standing:
    """One entrant's row: its parts on 0 to 1, their total, rank (1 is best, exact ties share) and the total's error.

    ``error`` is None where a part with weight has no error of its own yet.
    """

    accuracy: float
    resilience: float
    risk_adjusted_return: float
    contribution: float
    total: float
    rank: int
    error: float | None


def soft_sign(value: float, unit: float) -> float:
    """Return 0.5 at 0, 0.75 at ``unit``, towards 0 and 1 far out: (1 + x / (1 + |x|)) / 2, x = value / unit."""
    x = float(finite("value", value)) / unit
    return 1.0 - 0.5 / (1.0 + x) if x >= 0.0 else 0.5 / (1.0 - x)


def risk_adjusted(figures: Performance) -> float:
    """Return the risk-adjusted return on 0 to 1: rises with Sharpe and deflated probability, falls with drawdown."""
    drawdown = within("drawdown", figures.drawdown, 0.0, 1.0)
    return (
        SHARPE_SHARE * soft_sign(figures.sharpe, SHARPE_UNIT)
        + DEFLATED_SHARE * within("deflated", figures.deflated, 0.0, 1.0)
        + DRAWDOWN_SHARE * DRAWDOWN_UNIT / (DRAWDOWN_UNIT + drawdown)
    )


def standings(entrants: Sequence[Parts], weights: Weights = Weights()) -> tuple[Standing, ...]:
    """Return each entrant's row, in the order given.

    Raises
    ------
    ScoreError
        if a measure is not finite, or resilience, deflated probability or drawdown is outside 0 to 1.
    """
    rows = [_mapped(parts) for parts in entrants]
    totals = [_total(row, weights) for row in rows]
    centre = centre_of(entrants) if entrants else None
    return tuple(
        Standing(*row, total=total, rank=rank, error=total_error(parts, weights, centre))
        for row, total, rank, parts in zip(rows, totals, ranks(totals), entrants, strict=True)
    )


def ranks(totals: npt.ArrayLike) -> tuple[int, ...]:
    """Return the rank of each total [n], 1 the highest; exact ties share the better one ("1, 2, 2, 4")."""
    return tuple(int(rank) for rank in rankdata(-finite("totals", totals, dimensions=1), method="min"))


@dataclass(frozen=True)
class Centre:
    """Where the maps' slopes are taken: means over entrants, of the deflated probability that of its normal deviate."""

    accuracy: float
    sharpe: float
    contribution: float
    deviate: float


def centre_of(entrants: Sequence[Parts]) -> Centre:
    """Return the entrants' mean parts; an entrant's own luck would flatten its own map and shrink its own error."""
    deviates = [float(ndtri(np.clip(each.performance.deflated, LEAST_CHANCE, 1.0 - LEAST_CHANCE))) for each in entrants]
    return Centre(
        accuracy=_mean([each.accuracy.mean for each in entrants]),
        sharpe=_mean([each.performance.sharpe for each in entrants]),
        contribution=_mean([each.contribution.mean for each in entrants]),
        deviate=_mean(deviates),
    )


def _mean(values: Sequence[float]) -> float:
    """Return the mean, the same in any order to the last bit; not finite where a value is not."""
    return math.fsum(values) / len(values)


def total_error(parts: Parts, weights: Weights = Weights(), centre: Centre | None = None) -> float | None:
    """Return the total's standard error from those of its parts; None if one is unknown.

    The deviation of each mapped part by Gauss-Hermite quadrature around ``centre`` (left out: the entrant's own parts).
    Accuracy, risk-adjusted return and contribution come from the same sessions and rise and fall together, so their
    deviations are added, the most that any correlation allows; the stress battery's is independent of them. The
    deflated probability moves with the Sharpe ratio, one standard error of which is one of its normal deviate. Drawdown
    adds no error.
    """
    figures, at = parts.performance, centre or centre_of([parts])

    def risk(sharpe: float, luck: float) -> float:
        return SHARPE_SHARE * soft_sign(sharpe, SHARPE_UNIT) + DEFLATED_SHARE * float(ndtr(at.deviate + luck))

    maps: list[tuple[float, float, float | None, Callable[[float, float], float]]] = [
        (weights.accuracy, at.accuracy, parts.accuracy.error, lambda x, _: soft_sign(x, ACCURACY_UNIT)),
        (weights.risk_adjusted_return, at.sharpe, figures.sharpe_error, risk),
        (
            weights.contribution, at.contribution, parts.contribution.error,
            lambda x, _: soft_sign(x, CONTRIBUTION_UNIT),
        ),
    ]  # fmt: skip
    together = 0.0
    for weight, mean, error, mapped in maps:
        if weight > 0.0:
            if error is None:
                return None
            together += weight * float(np.sqrt(_variance(mapped, mean, within("an error", error, 0.0, LARGEST_ERROR))))
    stress = weights.resilience * within("an error", parts.resilience_error, 0.0, LARGEST_ERROR)
    return float(np.hypot(together, stress))


def _variance(mapped: Callable[[float, float], float], mean: float, error: float) -> float:
    """Return the variance of mapped(mean + error z, z), z standard normal."""
    values = np.array([mapped(mean + error * float(z), float(z)) for z in POINTS])
    return float(MASSES @ np.square(values - MASSES @ values))


def _mapped(parts: Parts) -> tuple[float, float, float, float]:
    return (
        soft_sign(parts.accuracy.mean, ACCURACY_UNIT),
        within("resilience", parts.resilience, 0.0, 1.0),
        risk_adjusted(parts.performance),
        soft_sign(parts.contribution.mean, CONTRIBUTION_UNIT),
    )


def _total(row: tuple[float, float, float, float], weights: Weights) -> float:
    accuracy, resilience, risk, contribution = row
    return (
        weights.accuracy * accuracy
        + weights.resilience * resilience
        + weights.risk_adjusted_return * risk
        + weights.contribution * contribution
    )
