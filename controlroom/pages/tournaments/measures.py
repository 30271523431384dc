"""The season through its rounds: what each decided and left of every strategy under stress, without entries.

Views import this module inside functions: the records' types bring the compiled simulator with them.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec
from django.db.models import Count, Max

from controlroom.pages.allocation.past import Decided, earned, newest_change
from tournaments.allocation.metrics import CompetitiveDelta
from tournaments.evolution.models import Trial
from tournaments.models import AllocationVersion, TournamentRound
from tournaments.record import Allocated, Settlement
from tournaments.reporting.innovation import Innovation, innovated

ROUNDS = 104  # two years
ACKNOWLEDGED = AllocationVersion.State.ACKNOWLEDGED


class Stress(msgspec.Struct, frozen=True):
    """Of a strategy's SIMULATED stress what is followed through rounds; as tournaments.stress.marks.Resilience."""

    resilience: float
    error: float
    worst: str
    regained: float | None
    regain_bars: float | None
    idle: bool


class _Score(msgspec.Struct):
    agent: str
    resilience: Stress


class _Opened(msgspec.Struct):
    challengers: list[str] = []


class _Round(msgspec.Struct):
    rules_version: int


class _Record(msgspec.Struct):
    round: _Round
    opened: _Opened | None = None
    scores: list[_Score] = []
    allocated: Allocated | None = None
    settlement: Settlement | None = None


@dataclass(frozen=True)
class Measured:
    """A round that has allocated: its weights and what came of them, and the stress of those that may get capital.

    ``weights``: the state of its weights where the engine has not taken them, "" where it has, and in SHADOW.
    """

    decided: Decided
    stress: Mapping[str, Stress]
    weights: str = ""

    @property
    def counts(self) -> bool:
        """Return whether its session has come true under its weights."""
        return not self.weights and self.decided.settlement is not None


@dataclass(frozen=True)
class Season:
    """Rounds of one kind, oldest first, and of each what people had promoted by then on the same kind of bars."""

    rounds: Sequence[Measured]
    promoted: Sequence[Innovation | None]

    @property
    def done(self) -> list[Measured]:
        """Return the rounds whose session has come true under their weights."""
        return [each for each in self.rounds if each.counts]

    @property
    def delta(self) -> CompetitiveDelta | None:
        """Return what the pool earned beyond the same capital by base weights, None before any round is settled."""
        return earned([each.decided for each in self.done])


def measured(*, station_bars: bool) -> Season:
    """Return the newest rounds of one kind that have allocated: those on the station's own bars, or those in SHADOW.

    In SHADOW of one instant the round that was held last, as on Allocation.
    """
    rows = TournamentRound.objects.filter(station_bars=station_bars).exclude(state="void").exclude(record="")
    kept = list(rows.defer("sealed", "request")[:ROUNDS])[::-1]
    states = _states([row.round_id for row in kept]) if station_bars else {}
    found: dict[tuple[int, str], Measured] = {}
    for row in kept:
        record = msgspec.json.decode(row.record, type=_Record)
        if record.allocated is not None:
            made = Decided(row.round_id, row.as_of_ns, record.round.rules_version, record.allocated, record.settlement)
            tried = record.opened.challengers if record.opened else ()
            stress = {each.agent: each.resilience for each in record.scores if each.agent not in tried}
            state = states.get(row.round_id, "not told yet") if station_bars else ""
            found[row.as_of_ns, row.round_id if station_bars else ""] = Measured(made, stress, state)
    rounds = list(found.values())
    return Season(rounds, _promoted(rounds, station_bars=station_bars))


def _states(round_ids: Sequence[str]) -> dict[str, str]:
    """Return of each round "" if the engine has taken its weights, else the state of those that were made last."""
    found: dict[str, str] = {}
    rows = AllocationVersion.objects.filter(round_id__in=round_ids).order_by("version")
    for round_id, state in rows.values_list("round_id", "state"):
        found[round_id] = "" if state == ACKNOWLEDGED or found.get(round_id) == "" else state
    return found


def _promoted(rounds: Sequence[Measured], *, station_bars: bool) -> list[Innovation | None]:
    proposed, promoted = promotions(station_bars=station_bars)
    return [innovated(proposed, promoted, each.decided.at_ns) for each in rounds]


def promotions(*, station_bars: bool) -> tuple[list[int], list[int]]:
    """Return when variants were proposed on one kind of bars, and when people promoted some; UTC nanoseconds."""
    rows = Trial.objects.filter(station_bars=station_bars, parent__isnull=False)
    told = list(rows.order_by("id").values_list("proposed_ns", "promoted_ns"))
    return [at_ns for at_ns, _ in told], [at_ns for _, at_ns in told if at_ns is not None]


def digest(*shown: object) -> str:
    """Return what tells one state of rounds, their weights and trials from another, without reading records."""
    versions = list(AllocationVersion.objects.order_by("version").values_list("version", "state"))
    trials = sorted(Trial.objects.aggregate(Count("id"), Max("changed")).items())
    return hashlib.sha256(repr([newest_change(), versions, trials, shown]).encode()).hexdigest()[:16]
