"""Figures of many rounds: who came first how often, what settled, what the capital earned by the weights in force."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tournaments.allocation.evidence import log_evidence
from tournaments.allocation.metrics import CompetitiveDelta, competitive_delta
from tournaments.record import Allocated, RoundRecord
from tournaments.reporting.estimates import Interval, by_student, jackknifed, of_rounds, resampled
from tournaments.reporting.exposure import exposure
from tournaments.scores.accuracy import hit_rate
from tournaments.scores.clustered import clustered_mean
from tournaments.scores.performance import maximum_drawdown, sharpe, sharpe_error
from tournaments.simulation.honesty import binomial_error
from tournaments.unit_book import UnitBook

Float64Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Agent:
    """One strategy over the rounds that scored it.

    ``firsts`` by total score and ``bests`` by the settled session's skill; exact ties share one. Each has the binomial
    error of its share of ``rounds`` and ``settled`` rounds. ``skill`` (ranked probability score better than
    climatology) and ``hits`` of entries as they were revised, each round one observation; ``regained`` the share of the
    worst stress family's fall that came back within the path, and ``regain_bars`` how many bars that took.
    """

    name: str
    rounds: int
    firsts: float
    firsts_error: float
    mean_rank: float
    settled: int
    bests: float
    bests_error: float
    skill: Interval
    hits: Interval
    regained: Interval
    regain_bars: float | None


@dataclass(frozen=True)
class InForce:
    """Weights in force and unit books' returns of sessions, oldest first: ``base``, ``pool``, ``returns`` and, where
    it is known, ``gross`` are [session, agent]; weights are fractions of capital, ``known_ns`` the sessions' ends.
    """  # noqa: D205 - the fields are one sentence

    agents: tuple[str, ...]
    known_ns: tuple[int, ...]
    base: Float64Array
    pool: Float64Array
    returns: Float64Array
    gross: Float64Array | None = None


@dataclass(frozen=True)
class Capital:
    """What the whole capital earned by session, and the same capital by base weights alone.

    ``difference`` is of the two annualised Sharpe ratios, by a jackknife of the paired sessions. ``efficiency`` is the
    return on average gross exposure by the return on capital, which is 1 / average gross; of strategies' exposures
    added up, without netting. None where gross is not known or nothing was held.
    """

    whole: Float64Array
    alone: Float64Array
    delta: CompetitiveDelta
    sharpe: Interval
    sharpe_alone: Interval
    difference: Interval
    drawdown: Interval
    efficiency: Interval | None


def scored(records: Sequence[RoundRecord]) -> list[RoundRecord]:
    """Return the rounds that came as far as scores and an allocation, oldest first."""
    found = [each for each in records if each.scores and each.allocated and each.opened]
    return sorted(found, key=lambda each: (each.round.started_ns, each.round.round_id))


def settled(records: Sequence[RoundRecord]) -> list[RoundRecord]:
    """Return those of the scored rounds whose session has come true, oldest first."""
    return [each for each in scored(records) if each.settlement is not None]


def agents_in(records: Sequence[RoundRecord]) -> list[str]:
    """Return every strategy that any round scored, in the newest round's order by name, those that left last."""
    newest = {row.agent for each in scored(records)[-1:] for row in each.scores}
    every = {row.agent for each in records for row in each.scores}
    return [*sorted(newest), *sorted(every - newest)]


def agent_figures(records: Sequence[RoundRecord], name: str) -> Agent:
    """Return one strategy's figures over the rounds that scored it."""
    mine = [each for each in scored(records) if any(row.agent == name for row in each.scores)]
    rows = [next(row for row in each.scores if row.agent == name) for each in mine]
    firsts = sum(_share(name, {row.agent: -float(row.rank) for row in each.scores}) for each in mine)
    told = [_skills(each) for each in settled(mine)]
    skills = [known[name] for known in told if name in known]
    bests = sum(_share(name, known) for known in told if name in known)
    hits = [rate for each in settled(mine) if (rate := _hits(each, name)) is not None]
    back = [row.resilience.regained for row in rows if row.resilience.regained is not None]
    bars = [row.resilience.regain_bars for row in rows if row.resilience.regain_bars is not None]
    return Agent(
        name=name, rounds=len(rows), firsts=firsts, firsts_error=binomial_error(firsts, len(rows)),
        mean_rank=sum(row.rank for row in rows) / len(rows), settled=len(skills), bests=bests,
        bests_error=binomial_error(bests, len(skills)), skill=_mean(skills), hits=_mean(hits), regained=_mean(back),
        regain_bars=sum(bars) / len(bars) if bars else None,
    )  # fmt: skip


def predicted(records: Sequence[RoundRecord]) -> InForce | None:
    """Return the sessions that settled rounds predicted, with each round's own weights; None before the first.

    ``gross`` is there where every round was settled with the exposure of all that it gave capital.
    """
    done, names = settled(records), agents_in(records)
    if not done:
        return None
    rows = [each.settlement.returns_of for each in done if each.settlement]
    gross = [_gross(each, names) for each in done]
    return InForce(
        agents=tuple(names), known_ns=tuple(each.round.settles_ns for each in done),
        base=np.array([_row(each.allocated, names, pool=False) for each in done]),
        pool=np.array([_row(each.allocated, names, pool=True) for each in done]),
        returns=np.array([[row.get(name, 0.0) for name in names] for row in rows]),
        gross=None if any(row is None for row in gross) else np.array(gross),
    )  # fmt: skip


def every_session(records: Sequence[RoundRecord], books: Mapping[str, UnitBook]) -> InForce | None:
    """Return every session since the first allocation, with the weights of the newest round before it opened."""
    made, names = scored(records), agents_in(records)
    if not made:
        return None
    known = next(iter(books.values())).known_ns
    begun = np.array([each.round.cutoff_ns for each in made])
    place = np.searchsorted(begun, known, side="left") - 1
    inside = place >= 0
    if not inside.any():
        return None
    base = np.array([_row(each.allocated, names, pool=False) for each in made])
    pool = np.array([_row(each.allocated, names, pool=True) for each in made])
    return InForce(
        agents=tuple(names), known_ns=tuple(known[inside].tolist()), base=base[place[inside]], pool=pool[place[inside]],
        returns=np.array([books[name].returns[inside] for name in names]).T,
        gross=np.array([books[name].gross[inside] for name in names]).T,
    )  # fmt: skip


def capital(held: InForce) -> Capital:
    """Return what the capital earned by the weights in force."""
    delta = competitive_delta(held.base, held.pool, held.returns)
    whole = ((held.base + held.pool) * held.returns).sum(axis=1)
    alone = whole - delta.delta
    pairs = np.column_stack([whole, alone])
    efficiency = None
    if held.gross is not None:
        exposure = ((held.base + held.pool) * held.gross).sum(axis=1)
        efficiency = resampled(lambda rows: 1.0 / float(rows.mean()), exposure) if exposure.min() > 0.0 else None
    return Capital(
        whole=whole, alone=alone, delta=delta, sharpe=_sharpe(whole), sharpe_alone=_sharpe(alone),
        difference=jackknifed(lambda rows: sharpe(rows[:, 0]) - sharpe(rows[:, 1]), pairs),
        drawdown=resampled(maximum_drawdown, whole), efficiency=efficiency,
    )  # fmt: skip


def evidence_after(records: Sequence[RoundRecord]) -> float:
    """Return ln E after every settled round; 0 before the first."""
    told = [each.settlement for each in settled(records) if each.settlement is not None]
    if not told:
        return 0.0
    return float(log_evidence([each.difference for each in told], [each.floor for each in told])[-1])


def interval_of_delta(delta: CompetitiveDelta) -> Interval:
    """Return the competitive delta a session with its interval."""
    error = None if np.isnan(delta.error) else delta.error
    return by_student(delta.mean, error, len(delta.delta))


def _share(name: str, values: Mapping[str, float]) -> float:
    """Return the part of a first place that is ``name``'s: exact ties share one."""
    most = max(values.values())
    first = [each for each, value in values.items() if value == most]
    return 1.0 / len(first) if name in first else 0.0


def _skills(record: RoundRecord) -> dict[str, float]:
    assert record.settlement is not None  # noqa: S101 - that is what settled means
    return {name: value for name, value in record.settlement.skill.items() if value is not None}


def _hits(record: RoundRecord, name: str) -> float | None:
    assert record.settlement is not None  # noqa: S101 - that is what settled means
    classes = record.settlement.classes
    told = [each for each in record.revised.get(name, ()) if each.symbol in classes]
    return hit_rate([each.probabilities for each in told], [classes[each.symbol] for each in told]) if told else None


def _mean(values: Sequence[float]) -> Interval:
    return of_rounds(clustered_mean(list(values), list(range(len(values)))))


def _sharpe(returns: Float64Array) -> Interval:
    return by_student(sharpe(returns), sharpe_error(returns), len(returns))


def _gross(record: RoundRecord, names: Sequence[str]) -> list[float] | None:
    """Return each unit book's mean gross exposure in the session, None where that of one with capital is not known."""
    assert record.allocated is not None and record.settlement is not None  # noqa: S101, PT018 - that is settled
    if exposure(record.allocated, record.settlement) is None:
        return None
    return [record.settlement.gross_of.get(name, 0.0) for name in names]


def _row(made: Allocated | None, names: Sequence[str], *, pool: bool) -> list[float]:
    assert made is not None  # noqa: S101 - scored rounds have allocated
    weights = made.competitive if pool else made.base
    return [weights.get(name, 0.0) for name in names]
