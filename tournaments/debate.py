"""Steps 3 to 5 of a round: claims against each entry, the defence, and the simulator's rulings."""

from collections.abc import Mapping, Sequence

import numpy as np

from agents.brains.port import (
    Brain,
    ChallengeQuestion,
    Claim,
    DefendQuestion,
    JudgeQuestion,
    Precedent,
    Prediction,
    Probabilities,
    ScenarioLosses,
)
from tournaments.record import Debate, Ruled
from tournaments.stress.policies import Entrant
from tournaments.stress.resilience import excess
from tournaments.stress.rule import rule
from tournaments.stress.scenarios import BATTERY, Scenario
from tournaments.stress.scenarios import Claim as Stressed
from tournaments.stress.simulate import simulate
from tournaments.stress.stage import Stage

MOST_BUDGETS = 10.0
MEASURES = {"mean_loss": "mean", "tail_loss": "cvar95"}


def losses_of(practice: Stage, entrant: Entrant, *, threads: int = 1) -> list[ScenarioLosses]:
    """Return the excess losses of one entrant in each family, fractions of the capital, on the challenger's paths."""
    outcomes = simulate(practice, [entrant], BATTERY, threads=threads)
    return [
        ScenarioLosses(scenario.family, scenario.parameters, excess(outcomes, 0, s) * practice.risk_budget)
        for s, scenario in enumerate(BATTERY)
    ]


def challenge(
    brain: Brain, entry: Sequence[Prediction], practice: Stage, entrant: Entrant, *, seed: int, claims: int,
    threads: int = 1,
) -> Debate:  # fmt: skip
    """Return the claims against one entry; ``practice`` has other seeds than the ruling's stage."""
    question = ChallengeQuestion(
        entry=tuple(entry), losses=lambda: losses_of(practice, entrant, threads=threads), seed=seed, claims=claims
    )
    return Debate(claims=list(brain.challenge(question)))


def defend(
    brain: Brain, entry: Sequence[Prediction], debate: Debate, *, climatology: Mapping[str, Probabilities],
    precedents: Sequence[Precedent], as_of_ns: int,
) -> tuple[Debate, list[Prediction]]:  # fmt: skip
    """Return the debate with its replies, and the entry as revised once."""
    answer = brain.defend(
        DefendQuestion(
            entry=tuple(entry), climatology=climatology, claims=tuple(debate.claims), precedents=tuple(precedents),
            as_of_ns=as_of_ns,
        )
    )  # fmt: skip
    return Debate(claims=debate.claims, replies=list(answer.replies)), list(answer.revised)


def decide(
    brain: Brain, debate: Debate, precedents: Sequence[Precedent], stage: Stage, entrant: Entrant, *, threads: int = 1
) -> Debate:
    """Return the debate with the checklist's scores and the simulator's rulings, on the round's own paths."""
    judgements = []
    for claim, reply in zip(debate.claims, debate.replies, strict=True):
        alike = [each for each in precedents if each.family == claim.family]
        held = sum(each.held for each in alike)
        judgements.append(
            brain.judge(JudgeQuestion(claim=claim, reply=reply, precedents=len(alike), precedents_held=held))
        )
    rulings = rule(stage, entrant, [_stressed(claim, stage) for claim in debate.claims], threads=threads)
    ruled = []
    for claim, reply, found in zip(debate.claims, debate.replies, rulings, strict=True):
        measured, came = found.measured * stage.risk_budget, float(found.holds)
        ruled.append(
            Ruled(
                measured=measured, threshold=claim.threshold, holds=found.holds,
                challenger_brier=(claim.probability - came) ** 2, defender_brier=(reply.probability - came) ** 2,
                path=found.path,
            )
        )  # fmt: skip
    return Debate(claims=debate.claims, replies=debate.replies, judgements=judgements, rulings=ruled)


def precedents_of(round_id: str, ruled_ns: int, debate: Debate) -> list[Precedent]:
    """Return what later defences of the same entrant may quote."""
    return [
        Precedent(round_id, ruled_ns, claim.family, claim.parameters, claim.metric, claim.threshold, ruling.holds)
        for claim, ruling in zip(debate.claims, debate.rulings, strict=True)
    ]


def _stressed(claim: Claim, stage: Stage) -> Stressed:
    """Return a claim in the stage's unit; one about a gain is one about no loss at all."""
    exceeds = float(np.clip(claim.threshold / stage.risk_budget, 0.0, MOST_BUDGETS))
    scenario = Scenario(family=claim.family, parameters=claim.parameters)
    return Stressed(scenario=scenario, measure=MEASURES[claim.metric], exceeds=exceeds)  # type: ignore[arg-type] # the two literals
