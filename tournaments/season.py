"""A season over history: round after round by the rules' own schedule, each settled before the next one opens."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta

from agents.brains.port import Brain, Precedent
from agents.brains.quant import QuantBrain
from engine.configuration import Costs
from market.calendars import DAY_NS
from market.occurrences import EPOCH, Occurrence, between
from tournaments.conduct import Conductor, Inputs, Walked, seed_of, walked
from tournaments.debate import precedents_of
from tournaments.market import Market
from tournaments.record import Allocated, RoundRecord
from tournaments.rounds import TERMINAL, new_round
from tournaments.rules import Rules, schedule_of
from tournaments.stress.policies import Entrant

LATEST_NS = 7 * DAY_NS  # after the last bar: who opens later would predict from old news


class SeasonError(ValueError):
    """One sentence: the field, its value and what is allowed."""


@dataclass(frozen=True)
class Season:
    """What a season is held on. ``capital`` in the instruments' currency; ``threads`` of the stress simulator."""

    market: Market
    entrants: tuple[Entrant, ...]
    rules: Rules
    costs: Costs
    capital: float
    seed: int = 1
    threads: int = 1
    brain: Brain = field(default_factory=QuantBrain)


@dataclass
class Memory:
    """What rounds hand on: the allocation in force, settled rounds, and what became of claims."""

    before: Allocated | None = None
    settled: list[RoundRecord] = field(default_factory=list)
    precedents: dict[str, list[Precedent]] = field(default_factory=dict)

    def take(self, record: RoundRecord) -> None:
        """Keep what later rounds may use of a round that has ended."""
        if record.round.state == "void":
            return
        self.before = record.allocated
        self.settled.append(record)
        ruled = record.round.result("rule")
        for name, debate in record.debates.items():
            ruled_ns = record.round.started_ns if ruled is None else ruled.at_ns
            self.precedents.setdefault(name, []).extend(precedents_of(record.round.round_id, ruled_ns, debate))


def rounds(season: Season, *, after_ns: int, until_ns: int) -> Iterator[RoundRecord]:
    """Yield every round that opens in (``after_ns``, ``until_ns``], settled, in order.

    Occurrences before the first bar are left out. A round whose session the bars do not hold is yielded as far as it
    came, and is the last.

    Raises
    ------
    SeasonError
        if the rules' schedule has no occurrence there, or the bars are of another time.
    """
    begin_ns, end_ns = int(season.market.daily.now_ns[0]), int(season.market.daily.now_ns[-1])
    asked = f"from {_day(after_ns + 1)} to {_day(until_ns)}"
    if until_ns <= begin_ns or after_ns >= end_ns + LATEST_NS:
        raise SeasonError(f"{asked} there are no bars; these are of {_day(begin_ns)} to {_day(end_ns)}")
    found = between(schedule_of(season.rules), max(after_ns, begin_ns), min(until_ns, end_ns + LATEST_NS))
    if not found:
        raise SeasonError(f"{asked} the rules' schedule has no round on the bars; give a longer time")
    return _rounds(season, found, end_ns)


def _rounds(season: Season, found: list[Occurrence], end_ns: int) -> Iterator[RoundRecord]:
    as_of_ns = max(end_ns, found[-1].opens_ns)
    seen = walked(season.market, season.entrants, season.costs, season.rules, as_of_ns=as_of_ns)
    memory = Memory()
    for occurrence in found:
        record = hold(season, seen, occurrence, memory)
        yield record
        if record.round.state not in TERMINAL:
            return
        memory.take(record)


def hold(season: Season, seen: Walked, occurrence: Occurrence, memory: Memory) -> RoundRecord:
    """Return one round, held at its own time; settled where the bars reach beyond its sessions.

    Every step is done at its deadline, as if everybody took their time.
    """
    opens_ns = occurrence.opens_ns
    inputs = Inputs(
        market=season.market, entrants=season.entrants, rules=season.rules, costs=season.costs, capital=season.capital,
        seed=seed_of(season.seed, occurrence.key), as_of_ns=opens_ns, before=memory.before,
        settled=tuple(memory.settled), precedents=memory.precedents, brain=season.brain, threads=season.threads,
    )  # fmt: skip
    calendars = {each.calendar for each in season.market.instruments}
    begun = new_round(occurrence, season.rules, started_ns=opens_ns, calendars=calendars)
    record, conductor = RoundRecord(round=begun), Conductor(inputs, seen)
    last_ns = max(begun.sessions[each].close_ns for each in calendars)
    while record.round.state not in TERMINAL:
        if record.round.state != "settle":
            record = conductor.step(record, record.round.deadlines_ns[record.round.state])
        elif season.market.daily.now_ns[-1] >= last_ns:
            record = conductor.step(record, record.round.settles_ns)
        else:
            break  # it is to come
    return record


def _day(instant_ns: int) -> str:
    return str(EPOCH + timedelta(days=instant_ns // DAY_NS))
