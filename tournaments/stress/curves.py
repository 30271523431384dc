"""A claim's paths in a few numbers: what a page needs to draw them, small enough for the round's record."""

import numpy as np
import numpy.typing as npt

from tournaments.stress.families import event_bar
from tournaments.stress.marks import StressPath
from tournaments.stress.resilience import excess
from tournaments.stress.simulate import Outcomes

POINTS = 60
BAND = (0.05, 0.50, 0.95)
DECIMALS = 6  # of a fraction of the capital: a hundredth of a basis point

Float64Array = npt.NDArray[np.float64]


def stress_path(outcomes: Outcomes, k: int, s: int) -> StressPath:
    """Return entrant k's equity under scenario s, beside the same paths without it.

    Quantiles are taken at each point over the paths; the worst path is one path, that of the largest excess loss.

    Raises
    ------
    ValueError
        if the outcomes were simulated without curves.
    """
    if not outcomes.equity.shape[2]:
        raise ValueError("outcomes were simulated with curves = False; a stress path needs curves = True")
    given = outcomes.stage
    begins = event_bar(given.pool, outcomes.scenarios[s].parameters.get("at", 0.0))
    bars = points(outcomes.equity.shape[3], begins)
    change = outcomes.equity[k][:, :, bars] / given.terms.capital - 1.0
    low, median, high = np.quantile(change[1 + s], BAND, axis=0)
    worst = int(np.argmax(excess(outcomes, k, s)))
    return StressPath(
        bars=(0, *(bars + 1).tolist()), low=_from_nothing(low), median=_from_nothing(median), high=_from_nothing(high),
        worst=_from_nothing(change[1 + s, worst]), calm=_from_nothing(np.median(change[0], axis=0)), begins=begins,
    )  # fmt: skip


def points(bars: int, begins: int) -> npt.NDArray[np.int64]:
    """Return which bars are kept: evenly spread, the last one, and both sides of where the stress begins."""
    spread = np.linspace(0, bars - 1, min(bars, POINTS - 3)).round().astype(np.int64)
    jump = np.array([begins - 1, begins]) if begins else np.array([0])
    return np.unique(np.concatenate((spread, jump)))


def _from_nothing(change: Float64Array) -> tuple[float, ...]:
    return (0.0, *(change.round(DECIMALS) + 0.0).tolist())  # + 0.0 makes a minus nought a nought
