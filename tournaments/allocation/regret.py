"""What the deployed competitive weights lost to the best entrant, and which rule cost how much of it.

The bound of AdaHedge is claimed for the raw weights only; every rule after them may cost or save something.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tournaments.allocation.decide import PoolStages
from tournaments.allocation.hedge import HedgeRun
from tournaments.allocation.inputs import AllocationError, FloatArray, number

CASH_LOSS = 0.5  # that of climatology: an affine settled score of one half


@dataclass(frozen=True)
class RegretSplit:
    """Regret in losses added over the rounds: ``raw`` and the five steps' costs (negative: saved) sum to ``deployed``.

    ``bonus`` is innovation and diversity together; ``bench`` is overrides too; ``evidence`` is of the pool's part that
    is closed. ``rounds`` are those with a settled loss.
    """

    raw: float
    bench: float
    bonus: float
    evidence: float
    cap: float
    move_limit: float
    deployed: float
    rounds: int


def deployed_regret(run: HedgeRun, stages: Sequence[PoolStages], cash_loss: float = CASH_LOSS) -> RegretSplit:
    """Return the regret of the deployed weights, split by the step that caused it.

    Weights are fractions of the largest pool (10 %); what they leave is cash, with the loss of climatology. The best
    entrant is the one with the least losses [round, entrant], sleepers' filled in, so that ``raw`` is the regret that
    ``hedge.regret_bound`` bounds.

    Parameters
    ----------
    run : AdaHedge over the rounds, without unused slots.
    stages : of each round's decision, as many as rounds.
    cash_loss : within 0 to 1.

    Raises
    ------
    AllocationError
        if the numbers of rounds or entrants differ, or ``cash_loss`` is outside.
    """
    rounds, entrants = run.filled.shape
    number("cash_loss", cash_loss, 0.0, 1.0)
    if len(stages) != rounds or any(stage.deployed.shape != (entrants,) for stage in stages):
        raise AllocationError(f"stages has {len(stages)} rounds; it needs {rounds}, of {entrants} entrants each")
    settled = ~np.isnan(run.filled).any(axis=1)
    filled = run.filled[settled]
    if not len(filled):
        return RegretSplit(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0)

    def lost(weights: Sequence[FloatArray]) -> float:
        held = np.asarray(weights)[settled]
        return float((held * filled).sum() + cash_loss * (1.0 - held.sum(axis=1)).sum())

    raw, best = lost(list(run.weights)), float(filled.sum(axis=0).min())
    names = ("eligible", "bonus", "evidence", "cap", "deployed")
    losses = [raw, *(lost([getattr(stage, name) for stage in stages]) for name in names)]
    bench, bonus, evidence, cap, move = (float(cost) for cost in np.diff(losses))
    return RegretSplit(raw - best, bench, bonus, evidence, cap, move, losses[-1] - best, len(filled))
