"""Changes of tournaments that people ask for: versions of the rules, and rounds; tournaments/holding holds these."""

import time
from collections.abc import Mapping

import msgspec
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from engine.configuration import Configuration
from events.actions import create_job, in_turn, put
from events.actors import STATION, Actor
from events.models import Job
from events.streams import CONTROL_AUDIT
from events.types import AuditEvent
from market.occurrences import Occurrence
from risk.actions import create_configuration, request_of, send_configuration
from risk.selectors import current_configuration
from tournaments.models import RulesVersion, TournamentRound
from tournaments.record import RoundRecord
from tournaments.rounds import TERMINAL, missed_round
from tournaments.rules import (
    Rules,
    RulesError,
    canonical_json,
    field_problem,
    fingerprint,
    from_json,
    loosened,
    problems,
    schedule_of,
)
from tournaments.selectors import JOB, active_rules, newest_job, rules_of
from tournaments.station import RequestError, RoundRequest, occurrence_of

CHANGE_RULES, RUN = "access.change_tournament_rules", "access.run_tournament"
REASON_LIMIT = 500


@transaction.atomic
def draft_rules(*, changes: Mapping[str, object], reason: str, actor: Actor) -> RulesVersion:
    """Make a new draft: the newest version with other values.

    Raises
    ------
    PermissionDenied
        if the person may not.
    RulesError
        naming the first field that is out of range, or that nothing changes.
    """
    _may(actor, CHANGE_RULES, "change the rules of tournaments; a tournament administrator may")
    reason = _reason(reason)
    in_turn()
    made = drafted(changes)
    row = RulesVersion.objects.create(
        version=made.version, content=canonical_json(made).decode(), sha256=fingerprint(made),
        author=actor.get_username(), reason=reason,
    )  # fmt: skip
    tell("draft tournament rules", f"rules {made.version}", actor, reason)
    return row


def drafted(changes: Mapping[str, object]) -> Rules:
    """Return the rules that a draft of these changes would be; nothing is stored.

    Raises
    ------
    RulesError
        as ``draft_rules``.
    """
    if found := [sentence for name, value in changes.items() if (sentence := field_problem(name, value))]:
        raise RulesError(found[0])
    newest = RulesVersion.objects.first()
    before = Rules() if newest is None else rules_of(newest)
    version = (RulesVersion.objects.aggregate(newest=Max("version"))["newest"] or 0) + 1
    try:
        made = msgspec.convert({**msgspec.to_builtins(before), **changes, "version": version}, Rules)
    except msgspec.ValidationError as error:
        raise RulesError(f"rules: {error}") from error
    if found := problems(made):
        raise RulesError(found[0])
    if msgspec.structs.replace(made, version=before.version) == before and newest is not None:
        raise RulesError("nothing changes: every field is as it was")
    return made


@transaction.atomic
def activate_rules(*, version: int, reason: str, actor: Actor) -> RulesVersion:
    """Put a draft, or a version that was retired, in force; rounds that have begun go on under theirs.

    Raises
    ------
    PermissionDenied
        if the person may not.
    RulesError
        if there is no such version, or it is in force.
    """
    _may(actor, CHANGE_RULES, "activate rules of tournaments; a tournament administrator may")
    reason = _reason(reason)
    in_turn()
    row = RulesVersion.objects.filter(version=version).first()
    if row is None:
        raise RulesError(f"version = {version} is no version of the rules")
    if row.status == RulesVersion.Status.ACTIVE:
        raise RulesError(f"version = {version} is in force already")
    wanted = from_json(row.content.encode())  # a version that was written under other ranges is not put in force unseen
    if not getattr(actor, "may_loosen", True) and (looser := loosened(active_rules(), wanted)):
        raise PermissionDenied(
            f"{actor.get_username()} loosens nothing, and rules {version} are looser in {', '.join(looser)}; a person "
            "puts them in force"
        )
    RulesVersion.objects.filter(status=RulesVersion.Status.ACTIVE).update(status=RulesVersion.Status.RETIRED)
    row.status, row.activated_by, row.activated_at = RulesVersion.Status.ACTIVE, actor.get_username(), timezone.now()
    row.save(update_fields=["status", "activated_by", "activated_at"])
    tell("activate tournament rules", f"rules {version}", actor, reason)
    _schedule(row, reason)
    return row


def _schedule(row: RulesVersion, reason: str) -> None:
    """Send the engine the rules' schedule where it holds rounds by one."""
    current = current_configuration()
    held = None if current is None else msgspec.json.decode(current.content, type=Configuration)
    if held is None or held.tournaments is None:
        return
    moved = msgspec.structs.replace(held.tournaments, schedule=schedule_of(rules_of(row)))
    made = create_configuration(
        build=lambda version: msgspec.json.encode(msgspec.structs.replace(held, tournaments=moved, version=version)),
        actor=None, reason=f"rules {row.version} of tournaments: {reason}"[:REASON_LIMIT],
    )  # fmt: skip
    if current is None or made.version != current.version:
        send_configuration(version=made, request_id=request_of(made.version))


@transaction.atomic
def ask_round(*, request: RoundRequest, reason: str, actor: Actor | None) -> tuple[TournamentRound, Job]:
    """Ask for a round, or for the rest of one that waits for its session; the job still has to be rung for.

    The same occurrence a second time is the same round.

    ``actor`` None: the shell's own user.

    Raises
    ------
    PermissionDenied
        if the person may not.
    RequestError
        if the request names no instant of a round or no file, or a round of that name was asked for with other inputs.
    """
    if actor is not None:
        _may(actor, RUN, "run a tournament; a tournament administrator may")
    reason = _reason(reason)
    if not request.bars:
        raise RequestError("bars is empty; name at least one file")
    in_turn()
    rules = active_rules()
    occurrence = occurrence_of(request, rules)
    if not request.name and _holds_by_schedule():
        raise RequestError(
            f"as_of lies in {occurrence.key}, which the station's own schedule holds; give this round a name of its own"
        )
    who = actor.get_username() if actor is not None else STATION
    row, new = TournamentRound.objects.get_or_create(
        round_id=occurrence.key,
        defaults={
            "rules_version": rules.version, "as_of_ns": request.as_of_ns, "actor": who,
            "request": msgspec.json.encode(request).decode(),
        },
    )  # fmt: skip
    if not new and msgspec.json.decode(row.request, type=RoundRequest) != request:
        raise RequestError(f"round {row.round_id} was asked for with other inputs; give this one a name of its own")
    job = _job(row)
    if new:
        tell("run tournament", occurrence.key, actor, reason)
    return row, job


def _holds_by_schedule() -> bool:
    """Return whether rounds open by the schedule in this station: their keys are not for rounds on chosen files."""
    current = current_configuration()
    return current is not None and msgspec.json.decode(current.content, type=Configuration).tournaments is not None


@transaction.atomic
def open_scheduled(*, request: RoundRequest, occurrence: str) -> TournamentRound:
    """Open a round that the engine's clock has named, once; the allocation that it makes is for the engine.

    Raises
    ------
    RequestError
        if the rules in force know no such occurrence.
    """
    in_turn()
    rules = active_rules()
    known = occurrence_of(request, rules)
    if not rules.enabled or known.key != occurrence:
        raise RequestError(f"{occurrence} is no round of the rules in force, {rules.version}; they name {known.key}")
    row, new = TournamentRound.objects.get_or_create(
        round_id=occurrence,
        defaults={
            "rules_version": rules.version, "as_of_ns": request.as_of_ns, "actor": STATION, "station_bars": True,
            "request": msgspec.json.encode(request).decode(),
        },
    )  # fmt: skip
    if new:
        tell("open tournament", occurrence, None, "by the schedule")
    return row


@transaction.atomic
def miss_round(*, occurrence: Occurrence, reason: str, at_ns: int) -> TournamentRound:
    """Note a round that nobody started in time: it is void, and allocations stay."""
    in_turn()
    rules = active_rules()
    held = missed_round(occurrence, rules, at_ns=at_ns, reason=reason)
    row, new = TournamentRound.objects.get_or_create(
        round_id=occurrence.key,
        defaults={
            "rules_version": rules.version, "as_of_ns": occurrence.opens_ns, "actor": STATION, "station_bars": True,
            "request": msgspec.json.encode(RoundRequest(bars=[], as_of_ns=occurrence.opens_ns)).decode(),
            "state": held.state, "reason": held.reason,
            "record": msgspec.json.encode(RoundRecord(round=held)).decode(),
        },
    )  # fmt: skip
    if new:
        tell("void tournament", occurrence.key, None, reason)
    return row


def _job(row: TournamentRound) -> Job:
    """Return the job that has or had the round: another one where the last has ended and the round has not."""
    last = newest_job(row)
    ended = last is not None and last.state not in {Job.State.WAITING, Job.State.RUNNING}
    if last is not None and (not ended or row.state in TERMINAL):
        return last
    count = Job.objects.filter(name=JOB, request=str(row.id)).count()
    occurrence = f"{row.round_id}#{count + 1}" if count else row.round_id
    return create_job(name=JOB, occurrence=occurrence, request=str(row.id))[0]


def _may(actor: Actor, permission: str, what: str) -> None:
    if not actor.has_perm(permission):
        raise PermissionDenied(f"{actor.get_username()} may not {what}")


def _reason(reason: str) -> str:
    reason = reason.strip()
    if not 3 <= len(reason) <= REASON_LIMIT:
        raise RulesError(f"The reason has {len(reason)} characters; the journal wants 3 to {REASON_LIMIT}.")
    return reason


def tell(action: str, target: str, actor: Actor | None, reason: str) -> None:
    """Promise the record's word of what was done; without an actor the station did it."""
    who = actor.get_username() if actor is not None else STATION
    told = AuditEvent(
        wall_ns=time.time_ns(), action=action, target=target, actor=who, outcome="done", reason=reason[:REASON_LIMIT]
    )
    put(stream=CONTROL_AUDIT, payload=told, actor=who)
