"""Decides claims: the named scenario on the round's own paths, the number against the number that was claimed."""

from collections.abc import Sequence

import msgspec
import numpy as np

from risk.measures.monte_carlo import tail
from tournaments.stress.curves import stress_path
from tournaments.stress.marks import StressPath
from tournaments.stress.policies import Entrant
from tournaments.stress.resilience import LEVEL, excess
from tournaments.stress.scenarios import Claim
from tournaments.stress.simulate import simulate
from tournaments.stress.stage import Stage


class Ruling(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a claim holds: ``measured``, in risk budgets, is above what it says; equal is not above."""

    entrant: str
    claim: Claim
    measured: float
    holds: bool
    path: StressPath


def rule(stage: Stage, entrant: Entrant, claims: Sequence[Claim], *, threads: int = 1) -> list[Ruling]:
    """Return a ruling for each claim about one entrant, in their order; the paths are those of the round's stage.

    Excess loss is not clipped here: a claim may say more than one risk budget.

    Raises
    ------
    ValueError
        as tournaments.stress.simulate.simulate does.
    """
    scenarios = list(dict.fromkeys(claim.scenario for claim in claims))
    if not scenarios:
        return []
    outcomes = simulate(stage, [entrant], scenarios, threads=threads, curves=True)
    seen = {each: (excess(outcomes, 0, s), stress_path(outcomes, 0, s)) for s, each in enumerate(scenarios)}
    found = []
    for claim in claims:
        sample, path = seen[claim.scenario]
        measured = float(np.mean(sample)) if claim.measure == "mean" else tail(sample, LEVEL)[1]
        holds = measured > claim.exceeds
        found.append(Ruling(entrant=entrant.name, claim=claim, measured=measured, holds=holds, path=path))
    return found
