"""Reads of rules and rounds, as pages, commands and the next round need them."""

import msgspec

from events.models import Job
from tournaments.models import RulesVersion, TournamentRound
from tournaments.record import RoundRecord
from tournaments.rules import Rules

JOB = "tournament_round"


def rules_of(row: RulesVersion) -> Rules:
    """Return a version's rules."""
    return msgspec.json.decode(row.content, type=Rules)


def active_rules() -> Rules:
    """Return the rules in force; the defaults, as version 0, before anybody has activated any."""
    row = RulesVersion.objects.filter(status=RulesVersion.Status.ACTIVE).first()
    return msgspec.structs.replace(Rules(), version=0) if row is None else rules_of(row)


def rules_versions() -> list[RulesVersion]:
    """Return every version, newest first."""
    return list(RulesVersion.objects.all())


def season(limit: int | None = None) -> list[TournamentRound]:
    """Return rounds, newest first, all of them or the newest few; sealed boxes stay where they are."""
    return list(TournamentRound.objects.defer("sealed")[:limit])


def round_by_id(round_id: str) -> TournamentRound | None:
    """Return a round, None if there is none of that id."""
    return TournamentRound.objects.filter(round_id=round_id).first()


def newest_job(row: TournamentRound) -> Job | None:
    """Return the job that has the round, or had it last: a round that waited for its session has had several."""
    return Job.objects.filter(name=JOB, request=str(row.id)).order_by("id").last()


def record_of(row: TournamentRound) -> RoundRecord | None:
    """Return what may be read of a round, None before its first step."""
    return msgspec.json.decode(row.record, type=RoundRecord) if row.record else None


def earlier_records(*, before_ns: int) -> list[RoundRecord]:
    """Return the records of rounds that were held on an earlier instant, oldest first, without void ones."""
    rows = TournamentRound.objects.filter(as_of_ns__lt=before_ns).exclude(state="void").exclude(record="")
    return [msgspec.json.decode(row.record, type=RoundRecord) for row in rows.order_by("as_of_ns", "id")]
