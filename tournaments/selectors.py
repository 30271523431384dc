"""Reads of rules and rounds, as pages, commands and the next round need them."""

import json
from collections.abc import Iterable
from dataclasses import dataclass

import msgspec
from django.db.models import Q

from engine.allocation import Allocation
from engine.configuration import Configuration
from engine.rounds import HOLD, SETTLE
from events.models import Job
from risk.models import ConfigurationVersion
from risk.selectors import current_configuration
from tournaments.models import AllocationVersion, Readmission, RulesVersion, TournamentRound
from tournaments.record import RoundRecord
from tournaments.rules import Rules
from tournaments.station import RoundRequest

JOB = "tournament_round"
ALLOCATED = ("settle", "settled")  # states of a round that has decided weights


class _Standing(msgspec.Struct):
    status: str
    since_ns: int = 0


class _Allocated(msgspec.Struct):
    standing: dict[str, _Standing]


class _Record(msgspec.Struct):
    """Of a round's record what pages ask often, without its entries and debates."""

    allocated: _Allocated | None = None


@dataclass(frozen=True)
class Benched:
    """A strategy that its drawdown has benched, the newest round that says so, and who let it in again ("": nobody)."""

    strategy: str
    since_ns: int
    round_id: str
    readmitted_by: str


def rules_of(row: RulesVersion) -> Rules:
    """Return a version's rules."""
    return msgspec.json.decode(row.content, type=Rules)


def active_rules() -> Rules:
    """Return the rules in force; the defaults, as version 0, before anybody has activated any."""
    row = RulesVersion.objects.filter(status=RulesVersion.Status.ACTIVE).first()
    return msgspec.structs.replace(Rules(), version=0) if row is None else rules_of(row)


def rules_at(version: int) -> Rules:
    """Return the rules of a version; the defaults where none is kept under that number."""
    row = RulesVersion.objects.filter(version=version).first()
    return msgspec.structs.replace(Rules(), version=version) if row is None else rules_of(row)


def rules_versions() -> list[RulesVersion]:
    """Return every version, newest first."""
    return list(RulesVersion.objects.all())


def season(limit: int | None = None) -> list[TournamentRound]:
    """Return rounds, newest first, all of them or the newest few; sealed boxes stay where they are."""
    return list(TournamentRound.objects.defer("sealed")[:limit])


def round_by_id(round_id: str) -> TournamentRound | None:
    """Return a round, None if there is none of that id."""
    return TournamentRound.objects.filter(round_id=round_id).first()


def round_of(job: Job) -> TournamentRound:
    """Return the round that a job of a person's asking has."""
    return TournamentRound.objects.get(id=msgspec.json.decode(job.request, type=int))


def settlements(round_id: str) -> tuple[str, str]:
    """Return the occurrences that settle a round: at its session's close, and when lacking prices were waited for."""
    return f"{SETTLE}:{round_id}", f"{SETTLE}:{round_id}#2"


def settled_by(occurrence: str) -> str:
    """Return the round that an occurrence settles; a round's own is that round's."""
    return occurrence.removeprefix(f"{SETTLE}:").removesuffix("#2")


def newest_job(row: TournamentRound) -> Job | None:
    """Return the job that has the round, or had it last: a round that waited for its session has had several."""
    asked = Q(name=JOB, request=str(row.id))
    scheduled = Q(name=HOLD, occurrence__in=[row.round_id, *settlements(row.round_id)])
    return Job.objects.filter(asked | scheduled).order_by("id").last()


def record_of(row: TournamentRound) -> RoundRecord | None:
    """Return what may be read of a round, None before its first step."""
    return msgspec.json.decode(row.record, type=RoundRecord) if row.record else None


def earlier_records(*, before_ns: int, station_bars: bool) -> list[RoundRecord]:
    """Return the records of rounds that were held on an earlier instant, oldest first, without void ones.

    Those on the station's own bars and those on files of somebody's choice teach each other nothing.
    """
    rows = TournamentRound.objects.filter(as_of_ns__lt=before_ns, station_bars=station_bars)
    rows = rows.exclude(state="void").exclude(record="")
    return [msgspec.json.decode(row.record, type=RoundRecord) for row in rows.order_by("as_of_ns", "id")]


def earlier_parameters(*, before_ns: int, since_ns: int) -> list[dict[str, dict[str, float]]]:
    """Return by what parameters the station's own rounds of a time were held, newest first, as they were opened."""
    rows = TournamentRound.objects.filter(as_of_ns__lt=before_ns, as_of_ns__gte=since_ns, station_bars=True)
    told = (msgspec.json.decode(row.request, type=RoundRequest) for row in rows.exclude(state="void").only("request"))
    return [request.parameters for request in told if request.parameters is not None]


def benched() -> dict[str, Benched]:
    """Return whom the newest of the station's own rounds has benched, those among them that the next one lets in."""
    row = TournamentRound.objects.filter(station_bars=True, state__in=ALLOCATED).only("round_id", "record").first()
    left = None if row is None else msgspec.json.decode(row.record, type=_Record).allocated
    found: dict[str, Benched] = {}
    if row is None or left is None:
        return found
    for name, standing in left.standing.items():
        if standing.status == "benched":
            let_in = Readmission.objects.filter(strategy=name, benched_ns=standing.since_ns).first()
            found[name] = Benched(name, standing.since_ns, row.round_id, "" if let_in is None else let_in.people)
    return found


def round_ids() -> set[str]:
    """Return the keys of every round that there is, whatever became of it."""
    return set(TournamentRound.objects.values_list("round_id", flat=True))


def unsettled_rounds() -> list[TournamentRound]:
    """Return the rounds on the station's own bars that wait for their session's end."""
    return list(TournamentRound.objects.filter(state="settle", station_bars=True).defer("sealed"))


def scheduled_since_ns() -> int:
    """Return from when on the schedule holds: the activation of its rules, before any the station's first start."""
    active = RulesVersion.objects.filter(status=RulesVersion.Status.ACTIVE).first()
    first = ConfigurationVersion.objects.order_by("version").first()
    since = active.activated_at if active is not None else first.created if first is not None else None
    return 0 if since is None else int(since.timestamp()) * 1_000_000_000


def allocations(limit: int | None = None) -> list[AllocationVersion]:
    """Return every allocation that was made, newest first, or the newest few."""
    return list(AllocationVersion.objects.all()[:limit])


def allocations_of(round_ids: Iterable[str]) -> dict[str, AllocationVersion]:
    """Return the newest allocation of each of these rounds that has decided one."""
    rows = AllocationVersion.objects.filter(round_id__in=list(round_ids)).order_by("version")
    return {row.round_id: row for row in rows}


def allocation_of(row: AllocationVersion) -> Allocation:
    """Return what a version says."""
    return msgspec.json.decode(row.content, type=Allocation)


def allocation_in_force() -> AllocationVersion | None:
    """Return the newest allocation that the worker has taken, None where the settings' weights hold.

    One of before the settings' weights were changed is over (engine/state.py).
    """
    row = AllocationVersion.objects.filter(state=AllocationVersion.State.ACKNOWLEDGED).first()
    current = current_configuration()
    if row is None or current is None:
        return None
    since = ConfigurationVersion.objects.filter(created__gt=row.created, refused="")  # weights may have come back since
    known = {msgspec.json.encode(_weights(each)) for each in (current, *since)}
    return row if known == {msgspec.json.encode(json.loads(row.settings_weights))} else None


def _weights(version: ConfigurationVersion) -> dict[str, float]:
    return msgspec.json.decode(version.content, type=Configuration).settings.weights
