"""Whole rounds, from opening to settlement, on resampled histories: who wins how often, and what the rules make of it.

No clock is read here: who asks puts in the seconds.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np

from market.occurrences import between
from tournaments.allocation import hedge
from tournaments.allocation.metrics import competitive_delta
from tournaments.market import Market
from tournaments.record import RoundRecord
from tournaments.rounds import new_round
from tournaments.rules import Rules, fingerprint, schedule_of
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
from tournaments.simulation.inputs import (
    HISTORY,
    STRESS,
    TRIALS,
    Progress,
    SimulationError,
    Trials,
    chance,
    check,
    entrants,
    silent,
)
from tournaments.simulation.paired import OfHistory

ROUNDS_A_HISTORY = 5
WARM_UP = 40  # sessions before a history's first round


class Simulated(Plain, frozen=True):
    """What came of it.

    Of the whole rounds: ``rounds`` settled, ``void`` others; ``wins`` of each agent, exact ties sharing one, they add
    up to ``rounds``; ``wins_error`` the standard error of each agent's share: clustered by history, since rounds of one
    share their past, and at least binomial; None with one history; ``first_is_best`` the mean reported probability;
    ``regret`` and ``regret_bound`` of AdaHedge's raw weights, losses a round over histories of at most five rounds;
    ``diversity`` the mean diversity index; ``delta`` the competitive delta a round, a fraction of the capital, with its
    error clustered by history; ``by_history`` the same by history, for ``paired``. ``seconds`` is 0 unless who asked
    measured it.

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
    delta: float | None = None  # so are those that an older station kept
    delta_error: float | None = None
    by_history: tuple[OfHistory, ...] = ()


@dataclass(frozen=True)
class History:
    """The rounds of one resampled history, in order."""

    settled: tuple[RoundRecord, ...]
    void: int


class Kept(Plain, frozen=True):
    """All that the sums need of one history, in JSON's own types.

    By settled round: ``won`` each agent's share of the win, ``lost`` its loss (None where it slept), ``sure`` the
    reported probability that the first is best, ``diversity`` the index, ``delta`` what the pool earned beyond the same
    capital by base weights, a fraction of the capital; ``void``: rounds that were.
    """

    won: list[list[float]]
    lost: list[list[float | None]]
    sure: list[float]
    diversity: list[float]
    void: int
    delta: tuple[float, ...] = ()


def simulate(
    season: Season, rules: Rules, *, agents: int, iterations: int, trials: Trials = TRIALS,
    progress: Progress = silent, kept: list[Kept] | None = None,
) -> Simulated:  # fmt: skip
    """Return what so many whole rounds of so many agents, and the synthetic trials, come to under the rules.

    Parameters
    ----------
    season : market, entrants, costs, capital, seed and threads; its own rules are not read. The same seed gives the
        same histories and synthetic seasons whatever the rules, so that versions differ by nothing but themselves.
    agents : 2 to 16, at least the rules' ``min_strategies``; beyond the season's entrants variants of them take part.
    iterations : rounds, 1 to 10,000.
    progress : hears which part is under way, how much of it is done and of how much; what it raises ends all.
    kept : histories that an earlier call with the same arguments was through with, the first ones: they are not
        simulated again. Further ones are appended as they come.

    Raises
    ------
    SimulationError
        if a number is outside, or the market has too few sessions for one round after ``WARM_UP`` of them.
    """
    check(rules, agents, iterations, trials)
    field = replace(season, entrants=entrants(season.entrants, agents, season.seed), rules=rules)
    names, kept = [each.name for each in field.entrants], [] if kept is None else kept
    told = next((k for k, each in enumerate(kept) if len(each.delta) != len(each.won)), len(kept))
    del kept[told:]  # an older station kept less of a history than is asked now
    done = sum(len(each.won) + each.void for each in kept)

    def one_more() -> None:
        nonlocal done
        done += 1
        progress("rounds", done, iterations)

    for each in histories(field, iterations - done, first=len(kept), one_more=one_more):
        kept.append(_kept(each, names))
    alike = identical(rules, trials.identical, season.seed, progress)
    return Simulated(
        rules_version=rules.version, rules_sha256=fingerprint(rules), **_told(kept, names),
        false_winner_rate=alike.false_winner_rate, false_winner_error=alike.false_winner_error, identical=alike,
        planted=planted(rules, trials.planted, season.seed, progress=progress),
        evidence=evidence(rules, trials.evidence, season.seed, progress),
    )  # fmt: skip


def histories(
    season: Season, iterations: int, *, first: int = 0, one_more: Callable[[], None] = lambda: None
) -> Iterator[History]:
    """Yield resampled histories from the ``first`` on with a chain of rounds each, until there are so many rounds.

    ``one_more`` is called after each round.
    """
    drawn_from, number = source(season.market), first
    after_ns, until_ns, count = _span(season.rules, drawn_from.market)
    while iterations > 0:
        stress = int(chance(season.seed, STRESS, number).integers(2**31))
        market = resampled(drawn_from, chance(season.seed, HISTORY, number))
        found = rounds(replace(season, market=market, seed=stress), after_ns=after_ns, until_ns=until_ns)
        held = []
        for each in islice(found, min(count, iterations)):
            held.append(each)
            one_more()
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


def _kept(history: History, names: list[str]) -> Kept:
    settled = history.settled
    return Kept(
        won=[_winners(record, names) for record in settled], lost=[_losses(record, names) for record in settled],
        sure=[record.first_is_best for record in settled if record.first_is_best is not None],
        diversity=[record.allocated.diversity_index for record in settled if record.allocated is not None],
        delta=_deltas(settled, names), void=history.void,
    )  # fmt: skip


def _deltas(settled: tuple[RoundRecord, ...], names: list[str]) -> tuple[float, ...]:
    done = [(each.allocated, each.settlement) for each in settled if each.allocated and each.settlement]
    if not done:
        return ()
    base = [[made.base.get(name, 0.0) for name in names] for made, _ in done]
    fast = [[made.competitive.get(name, 0.0) for name in names] for made, _ in done]
    returns = [[came.returns_of[name] for name in names] for _, came in done]
    return tuple(float(each) for each in competitive_delta(base, fast, returns).delta)


def _told(kept: list[Kept], names: list[str]) -> dict[str, Any]:
    void, rounds_each = sum(each.void for each in kept), [len(each.won) for each in kept]
    if not any(rounds_each):
        raise SimulationError(f"all {void} rounds were void; nobody entered enough of them")
    won = np.array([row for each in kept for row in each.won])
    history = np.repeat(np.arange(len(kept)), rounds_each)
    lost = [hedge.run(np.array(each.lost, dtype=np.float64)).state for each in kept if each.lost]
    delta = clustered_mean([value for each in kept for value in each.delta], _of_history(kept))
    return {
        "rounds": len(won),
        "void": void,
        "histories": len(kept),
        "wins": dict(zip(names, won.sum(axis=0).tolist(), strict=True)),
        "wins_error": {name: _share_error(won[:, k], history) for k, name in enumerate(names)},
        "first_is_best": float(np.mean([sure for each in kept for sure in each.sure])),
        "regret": sum(map(hedge.regret, lost)) / len(won),
        "regret_bound": sum(map(hedge.regret_bound, lost)) / len(won),
        "diversity": float(np.mean([index for each in kept for index in each.diversity])),
        "delta": delta.mean if delta.items else None,
        "delta_error": delta.error,
        "by_history": tuple(_means(each, len(names)) for each in kept),
    }


def _of_history(kept: list[Kept]) -> list[int]:
    return [number for number, each in enumerate(kept) for _ in each.delta]


def _means(kept: Kept, agents: int) -> OfHistory:
    count = len(kept.won)
    if not count:
        return OfHistory(rounds=0, won=[0.0] * agents, sure=0.0, regret=0.0, diversity=0.0, delta=0.0)
    run = hedge.run(np.array(kept.lost, dtype=np.float64)).state
    return OfHistory(
        rounds=count, won=np.mean(kept.won, axis=0).tolist(), sure=_mean(kept.sure), regret=hedge.regret(run) / count,
        diversity=_mean(kept.diversity), delta=_mean(kept.delta),
    )  # fmt: skip


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else 0.0


def _share_error(won: np.ndarray, history: np.ndarray) -> float | None:
    clustered = clustered_mean(won, history).error
    return None if clustered is None else max(clustered, binomial_error(float(won.sum()), len(won)))


def _winners(record: RoundRecord, names: list[str]) -> list[float]:
    first = [row.agent for row in record.scores if row.rank == 1]
    return [(name in first) / len(first) for name in names]


def _losses(record: RoundRecord, names: list[str]) -> list[float | None]:
    """Return each agent's loss, None where it slept."""
    skills = record.settlement.skill if record.settlement is not None else {}
    told = [skills.get(name) for name in names]
    return [None if skill is None else 1.0 - float(unit_score([skill])[0]) for skill in told]
