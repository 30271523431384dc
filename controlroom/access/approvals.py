"""Approvals, one mechanism for all that one person may not do alone: ask, approve or refuse, do, hear the worker.

Two people, never the same one twice. With a single operator the same person confirms after ten minutes. Each change of
state is one transaction with an audit event; what is approved is the content that was asked for, exactly.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib import import_module
from typing import Any

from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.utils import timezone

from controlroom.access import stepup
from controlroom.access.actions import audit, devices
from controlroom.access.models import Approval, Consent, User
from controlroom.access.operators import operators
from controlroom.access.permissions import named
from events.actions import in_turn

WAIT = timedelta(minutes=10)
LIFE = timedelta(hours=24)
COOL = timedelta(hours=24)
REASON = (3, 500)
State = Approval.State


@dataclass(frozen=True)
class Act:
    """Something that takes approval: who may ask for and approve it, and what does it."""

    permission: str
    perform: Callable[[Approval, list[str]], str]
    """Does it for these approvers, within the approving transaction; returns the request id that the worker will
    answer, "" where it is done with the transaction. A ValidationError refuses it."""


ACTS: dict[str, Act] = {}
"""Acts by name, as far as the modules of ``HOMES`` are imported; ``act_named`` looks them up."""
HOMES = (
    "controlroom.pages.oversight_actions", "controlroom.allocations.actions", "controlroom.allocations.readmission",
    "controlroom.pages.tournaments.evolution_actions",
)  # fmt: skip
"""Modules that put acts into ``ACTS``: imported when one is first asked for, since some bring the tournament along."""


def act_named(name: str) -> Act:
    """Return an act; who approves may be the first in a process to need it."""
    if name not in ACTS:
        for module in HOMES:
            import_module(module)
    return ACTS[name]


def request(*, act: str, target: str, content: Any, reason: str, actor: User, proof: stepup.StepUp | None) -> Approval:
    """Ask for an act; the asking person's own yes is part of it.

    Raises
    ------
    PermissionDenied
        if the person may not ask for it, or has not stepped up.
    ValidationError
        if the reason is too short or too long.
    """
    _may(actor, act_named(act).permission)
    stepup.require(proof, actor)
    reason = checked_reason(reason)
    with transaction.atomic():
        in_turn()
        now = timezone.now()
        made = Approval.objects.create(
            act=act, target=target[:300], content=json.dumps(content, sort_keys=True), reason=reason,
            requested_by=actor, expires=now + LIFE, ready_at=now + WAIT if operators() == 1 else None,
        )  # fmt: skip
        Consent.objects.create(approval=made, person=actor)
        _tell(made, "request", actor)
    return made


def approve(*, approval_id: int, actor: User, proof: stepup.StepUp | None) -> Approval:
    """Add a person's yes, and do it: the second person's, or the single operator's after the wait.

    Raises
    ------
    PermissionDenied
        if this person may not approve it (yet), is the one who asked, or has not stepped up.
    ValidationError
        if it is not open any more, or can no longer be done; then it is refused.
    """
    stepup.require(proof, actor)
    expire_due()
    try:
        with transaction.atomic():
            return _approve(approval_id, actor)
    except ValidationError as error:
        _cannot_be_done(approval_id, actor, error)
        raise


def refuse(*, approval_id: int, actor: User, reason: str) -> Approval:
    """Refuse what somebody asked for, or take back what one asked for oneself.

    Raises
    ------
    PermissionDenied
        if this person may do neither.
    ValidationError
        if it is not open any more, or the reason is too short or too long.
    """
    reason = checked_reason(reason)
    with transaction.atomic():
        found = _open(approval_id)
        if found.requested_by_id != actor.pk:
            _may(actor, "approve")
            _may(actor, act_named(found.act).permission)
        _end(found, State.REFUSED, reason)
        _tell(found, "refuse", actor)
    return found


def expire_due() -> int:
    """End what nobody has approved in a day; return how many."""
    if not Approval.objects.filter(state=State.REQUESTED, expires__lte=timezone.now()).exists():
        return 0
    with transaction.atomic():
        in_turn()
        due = list(Approval.objects.filter(state=State.REQUESTED, expires__lte=timezone.now()))
        for found in due:
            _end(found, State.EXPIRED, "nobody approved it in time")
            _tell(found, "expire", None)
    return len(due)


@transaction.atomic
def acknowledged(*, request_id: str, accepted: bool, answer: str) -> None:
    """Note the worker's word on what was approved; a repeated one changes nothing."""
    for found in Approval.objects.filter(request_id=request_id, state=State.APPROVED).exclude(request_id=""):
        in_turn()
        _end(found, State.DONE if accepted else State.REFUSED, answer)
        _tell(found, "done" if accepted else "refused by the worker", None)


def checked_reason(reason: str) -> str:
    """Return a reason without its margins.

    Raises
    ------
    ValidationError
        if the journal wants more or less of it.
    """
    reason = reason.strip()
    if not REASON[0] <= len(reason) <= REASON[1]:
        raise ValidationError(f"The reason has {len(reason)} characters; the journal wants {REASON[0]} to {REASON[1]}.")
    return reason


def cooling_until(person: User) -> datetime | None:
    """Return until when a person may not approve: a day from account, change of roles, password or device.

    What a first-run account does in its first day counts as its making, not as a change.
    """
    since = devices().since_ns(person.username)
    changes = [person.date_joined, person.roles_changed_at, person.password_set_at]
    changes.append(datetime.fromtimestamp(since / 1e9, UTC) if since else None)
    born = person.date_joined + COOL if person.first_run else None
    counted = [at for at in changes if at is not None and not (born and at < born)]
    until = max(counted) + COOL if counted else None
    return until if until is not None and until > timezone.now() else None


def _approve(approval_id: int, actor: User) -> Approval:
    found = _open(approval_id)
    act = act_named(found.act)
    _may(actor, "approve")
    _may(actor, act.permission)
    if (until := cooling_until(actor)) is not None:
        raise PermissionDenied(
            f"{actor.username} cannot approve until {until:%Y-%m-%d %H:%M} UTC: account, roles, password or device "
            "are younger than 24 hours"
        )
    if found.requested_by_id == actor.pk:
        _single(found, actor)
    else:
        Consent.objects.create(approval=found, person=actor)
    _still_may(found, actor, act.permission)
    approvers = list(found.consents.order_by("id").values_list("person__username", flat=True))
    _end(found, State.APPROVED, "")
    _tell(found, "approve", actor)
    found.request_id = act.perform(found, approvers)
    if not found.request_id:
        _end(found, State.DONE, "")
        _tell(found, "done", actor)
    found.save()
    return found


def _still_may(found: Approval, actor: User, permission: str) -> None:
    """Let who has said yes before count only if they still may: who asked is one of the approvers."""
    for consent in found.consents.select_related("person").exclude(person=actor):
        other = consent.person
        _may(other, "approve")
        _may(other, permission)
        if (until := cooling_until(other)) is not None:
            raise PermissionDenied(f"{other.username}, who asked, is too new until {until:%Y-%m-%d %H:%M} UTC")


def _single(found: Approval, actor: User) -> None:
    """Let the only operator confirm what they asked for, after the wait."""
    if operators() != 1 or found.ready_at is None:
        raise PermissionDenied(f"{actor.username} asked for it: somebody else has to approve it")
    if timezone.now() < found.ready_at:
        raise PermissionDenied(f"SINGLE OPERATOR: it can be confirmed from {found.ready_at:%H:%M:%S} UTC, not before")


def _cannot_be_done(approval_id: int, actor: User, error: ValidationError) -> None:
    with transaction.atomic():
        in_turn()
        found = Approval.objects.filter(pk=approval_id, state=State.REQUESTED).first()
        if found is not None:
            _end(found, State.REFUSED, " ".join(error.messages))
            _tell(found, "refuse", actor)


def _open(approval_id: int) -> Approval:
    in_turn()
    found = Approval.objects.select_for_update().filter(pk=approval_id).first()
    if found is None:
        raise ValidationError(f"There is no request {approval_id}.")
    if found.state != State.REQUESTED:
        raise ValidationError(f"Request {approval_id} is {found.state}; nothing was changed.")
    return found


def _end(found: Approval, state: str, answer: str) -> None:
    found.state, found.answer, found.decided_at = state, answer[:500], timezone.now()
    found.save()


def _tell(found: Approval, verb: str, actor: User | None) -> None:
    single = ", SINGLE OPERATOR" if found.ready_at is not None else ""
    reason = f"request {found.pk}{single}: {found.answer or found.reason}"
    outcome = "refused" if found.state in {State.REFUSED, State.EXPIRED} else "done"
    audit(action=f"{verb}: {found.act}", target=found.target, actor=actor, outcome=outcome, reason=reason)


def _may(actor: User, permission: str) -> None:
    if not actor.has_perm(named(permission)):
        raise PermissionDenied(f"{actor.get_username()} may not do this; oversight may")
