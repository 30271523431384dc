"""Scores what the stress left of each entrant: resilience, worst family, tail loss, time to flat, recovery.

An excess loss is a path's loss under stress less its loss on the same path without; what counts of it is its share of
the risk budget, within 0 and 1. resilience = 1 - the mean of that over all paths and families.
"""

import numpy as np
import numpy.typing as npt

from risk.measures.monte_carlo import tail
from tournaments.stress.book import COST, FALL, FLAT, GROSS, PNL, REGAIN, REGAINED, TURNOVER
from tournaments.stress.marks import FamilyScore, Resilience
from tournaments.stress.simulate import Outcomes

LEVEL = 0.95
LEAST_GROSS = 0.10
IDLE = 0.5  # what a book is worth at most that is not there to be hurt

Float64Array = npt.NDArray[np.float64]


def excess(outcomes: Outcomes, k: int, s: int) -> Float64Array:
    """Return entrant k's excess loss under scenario s on each path, in risk budgets, unclipped."""
    results = outcomes.results[k]
    return np.asarray((results[0, :, PNL] - results[1 + s, :, PNL]) / outcomes.stage.risk_budget)


def score(outcomes: Outcomes, least_gross: float = LEAST_GROSS) -> list[Resilience]:
    """Return every entrant's resilience, in the order of the entrants; below ``least_gross`` exposure one is idle.

    Raises
    ------
    ValueError
        if no scenario was simulated.
    """
    if not outcomes.scenarios:
        raise ValueError("scenarios = () leave nothing to score; at least one is needed")
    return [_score(outcomes, k, least_gross) for k in range(len(outcomes.names))]


def _score(outcomes: Outcomes, k: int, least_gross: float) -> Resilience:
    losses = np.array([excess(outcomes, k, s) for s in range(len(outcomes.scenarios))])
    clipped = losses.clip(0.0, 1.0)
    families = [_family(outcomes, k, s, losses[s]) for s in range(len(losses))]
    worst = int(np.argmax(clipped.mean(axis=1)))
    gross = float(outcomes.results[k, 0, :, GROSS].mean())
    resilience, idle = 1.0 - float(clipped.mean()), gross < least_gross
    return Resilience(
        entrant=outcomes.names[k],
        resilience=min(resilience, IDLE) if idle else resilience,
        error=_error(clipped.mean(axis=0)),  # a path is the same draw in every family: they are not independent
        worst=families[worst].family,
        cvar95=tail(losses.ravel(), LEVEL)[1],
        flat_bars=float(outcomes.results[k, 1:, :, FLAT].mean()),
        regained=families[worst].regained,
        regain_bars=families[worst].regain_bars,
        gross=gross,
        idle=idle,
        weight=float(outcomes.weights[k]),
        families=families,
    )


def _family(outcomes: Outcomes, k: int, s: int, losses: Float64Array) -> FamilyScore:
    results = outcomes.results[k, 1 + s]
    clipped, fell = losses.clip(0.0, 1.0), results[:, FALL] > 0.0
    return FamilyScore(
        family=outcomes.scenarios[s].family,
        clipped=float(clipped.mean()),
        error=_error(clipped),
        mean=float(losses.mean()),
        cvar95=tail(losses, LEVEL)[1],
        turnover=float(results[:, TURNOVER].mean()),
        cost=float(results[:, COST].mean()),
        flat_bars=float(results[:, FLAT].mean()),
        fall=float(results[:, FALL].mean()),
        regained=float(results[fell, REGAINED].mean()) if fell.any() else None,
        regain_bars=float(results[fell, REGAIN].mean()) if fell.any() else None,
    )


def _error(sample: Float64Array) -> float:
    return float(sample.std(ddof=1) / np.sqrt(len(sample))) if len(sample) > 1 else 0.0
