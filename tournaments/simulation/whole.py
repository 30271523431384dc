"""Whole rounds, from opening to settlement, on resampled histories: who wins how often, and what the rules make of it.

No clock is read here: who asks puts in the seconds.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np

from tournaments.allocation import hedge
from tournaments.market import Market
from tournaments.occurrences import between, schedule_of
from tournaments.record import RoundRecord
from tournaments.rounds import new_round
from tournaments.rules import Rules, fingerprint
from tournaments.scores.accuracy import unit_score
from tournaments.scores.clustered import clustered_mean
from tournaments.season import Season, rounds
from tournaments.simulation.histories import resampled, source
from tournaments.simulation.honesty import (
    Evidence,
    Identical,
    Plain,
    Planted,
    binomial_error,
    evidence,
    identical,
    planted,
)
from tournaments.simulation.inputs import HISTORY, STRESS, TRIALS, SimulationError, Trials, chance, check, entrants

ROUNDS_A_HISTORY = 5
WARM_UP = 40  # sessions before a history's first round


class Simulated(Plain, frozen=True):
    """What came of it.

    Of the whole rounds: ``rounds`` settled, ``void`` others; ``wins`` of each agent, exact ties sharing one, they add
    up to ``rounds``; ``wins_error`` the standard error of each agent's share: clustered by history, since rounds of one
    share their past, and at least binomial; None with one history; ``first_is_best`` the mean reported probability;
    ``regret`` and ``regret_bound`` of AdaHedge's raw weights, losses a round over histories of at most five rounds;
    ``diversity`` the mean diversity index. ``seconds`` is 0 unless who asked measured it.

    Of synthetic agents, by the same scoring: ``false_winner_rate`` of four identical agents with its binomial error,
    and more in ``identical``, ``planted`` and ``evidence``.
    """

    rules_version: int
    rules_sha256: str
    rounds: int
    void: int
    histories: int
    wins: dict[str, float]
    wins_error: dict[str, float | None]
    first_is_best: float
    regret: float
    regret_bound: float
    diversity: float
    false_winner_rate: float
    false_winner_error: float
    identical: Identical
    planted: Planted
    evidence: Evidence
    seconds: float = 0.0


@dataclass(frozen=True)
class History:
    """The rounds of one resampled history, in order."""

    settled: tuple[RoundRecord, ...]
    void: int


def simulate(season: Season, rules: Rules, *, agents: int, iterations: int, trials: Trials = TRIALS) -> Simulated:
    """Return what so many whole rounds of so many agents, and the synthetic trials, come to under the rules.

    Parameters
    ----------
    season : market, entrants, costs, capital, seed and threads; its own rules are not read. The same seed gives the
        same histories and synthetic seasons whatever the rules, so that versions differ by nothing but themselves.
    agents : 2 to 16, at least the rules' ``min_strategies``; beyond the season's entrants variants of them take part.
    iterations : rounds, 1 to 10,000.

    Raises
    ------
    SimulationError
        if a number is outside, or the market has too few sessions for one round after ``WARM_UP`` of them.
    """
    check(rules, agents, iterations, trials)
    field = replace(season, entrants=entrants(season.entrants, agents, season.seed), rules=rules)
    held = list(histories(field, iterations))
    alike = identical(rules, trials.identical, season.seed)
    return Simulated(
        rules_version=rules.version, rules_sha256=fingerprint(rules),
        **_told(held, [each.name for each in field.entrants]),
        false_winner_rate=alike.false_winner_rate, false_winner_error=alike.false_winner_error, identical=alike,
        planted=planted(rules, trials.planted, season.seed), evidence=evidence(rules, trials.evidence, season.seed),
    )  # fmt: skip


def histories(season: Season, iterations: int) -> Iterator[History]:
    """Yield resampled histories with a chain of rounds each, until there are so many rounds."""
    drawn_from, number = source(season.market), 0
    after_ns, until_ns, count = _span(season.rules, drawn_from.market)
    while iterations > 0:
        stress = int(chance(season.seed, STRESS, number).integers(2**31))
        market = resampled(drawn_from, chance(season.seed, HISTORY, number))
        found = rounds(replace(season, market=market, seed=stress), after_ns=after_ns, until_ns=until_ns)
        held = list(islice(found, min(count, iterations)))
        settled = tuple(each for each in held if each.round.state == "settled")
        yield History(settled, len(held) - len(settled))
        iterations -= len(held)
        number += 1


def _span(rules: Rules, market: Market) -> tuple[int, int, int]:
    """Return the instants between which a history's rounds open, and how many: the last that its bars settle."""
    now_ns = market.daily.now_ns
    calendars = {each.calendar for each in market.instruments}
    found = [
        each
        for each in between(schedule_of(rules), int(now_ns[min(WARM_UP, len(now_ns)) - 1]), int(now_ns[-1]))
        if new_round(each, rules, started_ns=each.opens_ns, calendars=calendars).settles_ns <= now_ns[-1]
    ][-ROUNDS_A_HISTORY:]
    if not found:
        raise SimulationError(
            f"{len(now_ns)} sessions of daily bars hold no {rules.interval} round that opens after {WARM_UP} of them "
            "and settles by the last; give a longer time"
        )
    return found[0].opens_ns - 1, found[-1].opens_ns, len(found)


def _told(held: list[History], names: list[str]) -> dict[str, Any]:
    records = [record for each in held for record in each.settled]
    if not records:
        raise SimulationError(f"all {sum(each.void for each in held)} rounds were void; nobody entered enough of them")
    won = np.array([_winners(record, names) for record in records])
    history = np.repeat(np.arange(len(held)), [len(each.settled) for each in held])
    lost = [hedge.run(_losses(each.settled, names)).state for each in held if each.settled]
    return {
        "rounds": len(records),
        "void": sum(each.void for each in held),
        "histories": len(held),
        "wins": dict(zip(names, won.sum(axis=0).tolist(), strict=True)),
        "wins_error": {name: _share_error(won[:, k], history) for k, name in enumerate(names)},
        "first_is_best": float(np.mean([record.first_is_best for record in records])),
        "regret": sum(map(hedge.regret, lost)) / len(records),
        "regret_bound": sum(map(hedge.regret_bound, lost)) / len(records),
        "diversity": float(np.mean([each.allocated.diversity_index for each in records if each.allocated is not None])),
    }


def _share_error(won: np.ndarray, history: np.ndarray) -> float | None:
    clustered = clustered_mean(won, history).error
    return None if clustered is None else max(clustered, binomial_error(float(won.sum()), len(won)))


def _winners(record: RoundRecord, names: list[str]) -> list[float]:
    first = [row.agent for row in record.scores if row.rank == 1]
    return [(name in first) / len(first) for name in names]


def _losses(settled: tuple[RoundRecord, ...], names: list[str]) -> np.ndarray:
    """Return each agent's loss [round, agent], NaN where it slept."""
    rows = []
    for each in settled:
        skills = each.settlement.skill if each.settlement is not None else {}
        told = [skills.get(name) for name in names]
        rows.append([np.nan if skill is None else 1.0 - float(unit_score([skill])[0]) for skill in told])
    return np.array(rows)
