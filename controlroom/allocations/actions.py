"""Allocations on their way to the engine: each a signed, numbered ControlEvent that the worker answers.

What a round decides goes at once where no strategy gets much more than it has; a larger step, and an override that
gives much more, waits for people (controlroom/access/approvals.py). Less capital takes one person.
"""

import json
import math
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from django.conf import settings
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from audit.errors import AuditError
from audit.keys import private_key
from controlroom.access import approvals
from controlroom.access.actions import audit
from controlroom.access.models import Approval, User
from controlroom.access.operators import held_configuration
from controlroom.access.permissions import named
from controlroom.access.stepup import StepUp, require
from controlroom.supervisor import control
from engine.allocation import Allocation, Override, fault, large
from events.actions import in_turn, put, send_request_again
from events.actors import STATION
from events.streams import CONTROL_WORKER
from events.types import ControlEvent
from tournaments.models import AllocationVersion
from tournaments.record import Allocated, RoundRecord
from tournaments.selectors import active_rules, allocation_in_force, allocation_of, benched
from worker.approvals import PURPOSE, TOURNAMENT, sign

DEPLOY, OVERRIDE = "deploy allocation", "override allocation"
PERMISSION = "override_allocation"
DAY_NS = 86_400_000_000_000
State = AllocationVersion.State


def request_of(version: int) -> str:
    """Return the request id with which an allocation goes to the worker."""
    return f"allocate-{version}"


def deploy(*, record: RoundRecord) -> AllocationVersion:
    """Tell the worker what a round has decided, within the transaction of its step; a larger step waits for people."""
    made, opened = record.allocated, record.opened
    if made is None or opened is None:
        raise ValueError(f"round {record.round.round_id} has allocated nothing")
    held = held_configuration()
    if held is None:
        raise ValueError("the station has no configuration; its first start makes it")
    weights = {name: made.base.get(name, 0.0) + made.competitive.get(name, 0.0) for name in held.settings.weights}
    in_force = AllocationVersion.objects.filter(state=State.TOLD).first() or allocation_in_force()
    at_ns = opened.as_of_ns
    before = None if in_force is None else allocation_of(in_force)
    running = {} if before is None else _kept(before, made)
    given = Allocation(
        version=_next(), round_id=record.round.round_id, weights=beside(weights, running), overrides=running
    )
    in_use = before or Allocation(version=0, round_id="", weights=held.settings.weights)
    automatic = made.automatic and not large(given, in_use, at_ns, by_round=True)
    row = _made(
        given, made.base, made.competitive, State.TOLD if automatic else State.PROPOSED, TOURNAMENT,
        f"round {record.round.round_id}", at_ns,
    )  # fmt: skip
    if automatic:
        try:
            _tell(row, [TOURNAMENT])
        except ValidationError as error:  # the round is void with this word; a job takes no form's
            raise ValueError(" ".join(error.messages)) from error
    return row


def beside(weights: Mapping[str, float], overrides: Mapping[str, Override]) -> dict[str, float]:
    """Return the weights with those of strategies that are not overridden shrunk alike, where all is more than 1."""
    taken = math.fsum(max(weights.get(name, 0.0), each.weight) for name, each in overrides.items())
    others = math.fsum(weight for name, weight in weights.items() if name not in overrides)
    share = min(1.0, max(0.0, 1.0 - taken) / others) if others > 0.0 else 1.0
    return {name: weight if name in overrides else weight * share for name, weight in weights.items()}


def override(
    *, strategy: str, weight: float, until_ns: int, reason: str, actor: User, proof: StepUp | None
) -> AllocationVersion | Approval:
    """Hold a strategy's weight until an instant of the market: at once where it is a small step, else as a request.

    Raises
    ------
    PermissionDenied
        if the person may not, or has not stepped up.
    ValidationError
        naming the field, its value and what is allowed; or the worker does not answer.
    """
    _may(actor, proof)
    reason, view, days = approvals.checked_reason(reason), _view(), active_rules().override_days
    now_ns = int(view["engine_ns"])
    if strategy not in view["strategies"]:
        raise ValidationError(f"strategy = {strategy[:40]!r} is none; there are {', '.join(view['strategies'])}.")
    if not (math.isfinite(weight) and 0.0 <= weight <= 1.0):
        raise ValidationError(f"weight = {weight} must be 0 to 1 of the capital.")
    if not now_ns < until_ns <= now_ns + days * DAY_NS:
        raise ValidationError(
            f"until = {_iso(until_ns)} must be after the market's {_iso(now_ns)} and within {days} days of it."
        )
    content = {"strategy": strategy, "weight": weight, "until_ns": until_ns}
    return _changed(content, view, reason, actor, proof)


def end_override(*, strategy: str, reason: str, actor: User, proof: StepUp | None) -> AllocationVersion | Approval:
    """End a strategy's override; where that gives it much more than it has now, as a request.

    Raises
    ------
    PermissionDenied
        if the person may not, or has not stepped up.
    ValidationError
        if there is none, or the worker does not answer.
    """
    _may(actor, proof)
    reason, view = approvals.checked_reason(reason), _view()
    if strategy not in _base(view).overrides:
        raise ValidationError(f"strategy = {strategy[:40]!r} has no override that runs.")
    return _changed({"strategy": strategy, "weight": None, "until_ns": 0}, view, reason, actor, proof)


def ask_deployment(*, version: int, reason: str, actor: User, proof: StepUp | None) -> Approval:
    """Ask for the deployment of what a round has proposed: a second person approves it.

    Raises
    ------
    PermissionDenied
        if the person may not, or has not stepped up.
    ValidationError
        if there is no such version, or it waits for nobody.
    """
    row = AllocationVersion.objects.filter(version=version).first()
    if row is None or row.state != State.PROPOSED:
        what = "unknown" if row is None else row.state
        raise ValidationError(f"version = {version} is {what}; a proposed one can be deployed.")
    return approvals.request(
        act=DEPLOY, target=f"allocation {version} of {row.round_id}", content={"version": version}, reason=reason,
        actor=actor, proof=proof,
    )  # fmt: skip


@transaction.atomic
def answered(*, request_id: str, accepted: bool, answer: str) -> None:
    """Note the worker's word on an allocation; a repeated one changes nothing."""
    for row in AllocationVersion.objects.filter(request_id=request_id, state=State.TOLD):
        in_turn()
        row.state, row.answer = (State.ACKNOWLEDGED, "") if accepted else (State.REFUSED, answer[:500])
        row.acknowledged_at = timezone.now()
        row.save(update_fields=["state", "answer", "acknowledged_at"])
        outcome = "done" if accepted else "refused"
        audit(action="deploy allocation", target=str(row.version), actor=None, outcome=outcome, reason=row.answer)


def send_again() -> int:
    """Let the relay send once more what the worker has not answered: a bus that was emptied may have had it."""
    waiting = AllocationVersion.objects.filter(state=State.TOLD).values_list("request_id", flat=True)
    return send_request_again(request_ids=list(waiting))


def _changed(
    content: Mapping[str, Any], view: Mapping[str, Any], reason: str, actor: User, proof: StepUp | None
) -> AllocationVersion | Approval:
    """Tell the worker an allocation with one override more or less, or ask for it where that takes people."""
    now_ns, name = int(view["engine_ns"]), str(content["strategy"])
    with transaction.atomic():
        in_turn()
        _hear(view)
        before = _base(view)
        given = _with(before, content, _next())
        if problem := fault(given, list(given.weights), given.version - 1) or _benched(name, content["weight"]):
            raise ValidationError(f"{problem}.")
        if name not in large(given, before, now_ns, by_round=False):
            return _told(given, reason, [actor.username], now_ns)
    held = content["weight"]
    what = "end of the override" if held is None else f"{held:.2%} until {_iso(int(content['until_ns']))}"
    return approvals.request(
        act=OVERRIDE, target=f"{name}: {what}", content=dict(content), reason=reason, actor=actor, proof=proof
    )


def _perform_override(approval: Approval, approvers: list[str]) -> str:
    view, content = _view(), json.loads(approval.content)
    in_turn()
    _hear(view)
    given, now_ns = _with(_base(view), content, _next()), int(view["engine_ns"])
    problem = fault(given, list(given.weights), given.version - 1)
    if problem := problem or _benched(str(content["strategy"]), content["weight"]):
        raise ValidationError(f"{problem}.")
    return _told(given, f"{approval.reason} (request {approval.pk})", approvers, now_ns).request_id


def _perform_deployment(approval: Approval, approvers: list[str]) -> str:
    """Tell the worker a proposed allocation under a new number: others may have been told since."""
    version = json.loads(approval.content)["version"]
    row = AllocationVersion.objects.filter(version=version, state=State.PROPOSED).first()
    if row is None:
        raise ValidationError(f"Allocation {version} is not proposed any more.")
    decided = AllocationVersion.objects.filter(actor=TOURNAMENT).first()
    if decided is not None and decided.round_id != row.round_id:
        raise ValidationError(f"Allocation {version} is of {row.round_id}, and {decided.round_id} came later.")
    view = _view()
    in_turn()
    _hear(view)
    row.state, row.answer = State.REFUSED, f"superseded by what {', '.join(approvers)} approved"
    row.save(update_fields=["state", "answer"])
    proposed, running = allocation_of(row), _base(view).running(int(view["engine_ns"])).overrides
    running = {name: each for name, each in running.items() if not _benched(name, each.weight)}
    given = msgspec.structs.replace(
        proposed, version=_next(), weights=beside(proposed.weights, running), overrides=running
    )
    made = _made(
        given, json.loads(row.base), json.loads(row.competitive), State.TOLD, ", ".join(approvers),
        f"{approval.reason} (request {approval.pk})", row.at_ns,
    )  # fmt: skip
    _tell(made, approvers)
    return made.request_id


approvals.ACTS[OVERRIDE] = approvals.Act(PERMISSION, _perform_override)
approvals.ACTS[DEPLOY] = approvals.Act(PERMISSION, _perform_deployment)


def _told(given: Allocation, reason: str, approvers: Sequence[str], at_ns: int) -> AllocationVersion:
    """Store an allocation that people have decided, and tell the worker: the shares beneath stay the round's."""
    in_force = allocation_in_force()
    base = given.weights if in_force is None else json.loads(in_force.base)
    competitive = {} if in_force is None else json.loads(in_force.competitive)
    row = _made(given, base, competitive, State.TOLD, ", ".join(approvers), reason, at_ns)
    _tell(row, approvers)
    return row


def _made(  # noqa: PLR0917 - one caller's columns
    given: Allocation, base: Mapping[str, float], competitive: Mapping[str, float], state: str, actor: str,
    reason: str, at_ns: int,
) -> AllocationVersion:  # fmt: skip
    held = held_configuration()
    weights = {} if held is None else held.settings.weights
    return AllocationVersion.objects.create(
        version=given.version, round_id=given.round_id, content=msgspec.json.encode(given).decode(),
        base=json.dumps(dict(base)), competitive=json.dumps(dict(competitive)), settings_weights=json.dumps(weights),
        state=state, request_id=request_of(given.version), actor=actor[:150], reason=reason[:500], at_ns=at_ns,
    )  # fmt: skip


def _tell(row: AllocationVersion, approvers: Sequence[str]) -> None:
    who = STATION if list(approvers) == [TOURNAMENT] else row.actor
    event = ControlEvent(
        action="allocate", scope="all", target="", actor=who, reason=row.reason, request_id=row.request_id,
        content=msgspec.Raw(row.content.encode()),
    )  # fmt: skip
    try:
        key = private_key(settings.DATA, PURPOSE)
    except AuditError as error:
        raise ValidationError(f"It cannot be signed: {error}.") from error
    word = sign(event, key, approvers=approvers, version=row.version, issued_ns=time.time_ns())
    put(
        stream=CONTROL_WORKER, payload=msgspec.structs.replace(event, signature=word), actor=who,
        request_id=row.request_id,
    )  # fmt: skip


def _with(before: Allocation, content: Mapping[str, Any], version: int) -> Allocation:
    overrides = {name: each for name, each in before.overrides.items() if name != content["strategy"]}
    if content["weight"] is not None:
        overrides[content["strategy"]] = Override(weight=content["weight"], until_ns=content["until_ns"])
    return msgspec.structs.replace(before, version=version, overrides=overrides)


def _base(view: Mapping[str, Any]) -> Allocation:
    """Return the allocation in force in the worker, or what the settings' weights say as one."""
    if view.get("allocation") is not None:
        return msgspec.convert(view["allocation"], Allocation)
    weights = {name: float(each["weight"]) for name, each in view["strategies"].items()}
    return Allocation(version=0, round_id="", weights=weights)


def _kept(before: Allocation, made: Allocated) -> dict[str, Override]:
    """Return the overrides that go on, those that have ended for the engine to drop: a bench goes before them."""
    benched = {name for name, each in made.standing.items() if each.status == "benched"}
    return {name: each for name, each in before.overrides.items() if name not in benched or each.weight == 0.0}


def _benched(name: str, weight: float | None) -> str:
    """Return why a strategy may not have a weight, "" if it may: nobody but a re-admission undoes a bench."""
    held = benched().get(name) if weight else None
    return "" if held is None else f"{name} is benched for its drawdown by {held.round_id}; it may have 0"


def _hear(view: Mapping[str, Any]) -> None:
    """Note what the worker's view says of allocations that it has not answered: an answer may have been lost.

    Raises
    ------
    ValidationError
        if one is on its way still.
    """
    last = int(view.get("allocation_version", 0))
    for row in AllocationVersion.objects.filter(state=State.TOLD, version__lte=last).order_by("version"):
        word = "" if row.version == last else f"version {last} came before its answer"
        answered(request_id=row.request_id, accepted=row.version == last, answer=word)
    if AllocationVersion.objects.filter(state=State.TOLD).exists():
        raise ValidationError("Another allocation is on its way to the worker; try again when it has answered.")


def _view() -> Mapping[str, Any]:
    try:
        view = control.ask(settings.DATA, {"op": "status"})
    except control.WorkerAwayError as error:
        raise ValidationError("The worker does not answer; nothing was changed.") from error
    if "strategies" not in view:
        raise ValidationError("The worker has no configuration yet; nothing was changed.")
    return view


def _next() -> int:
    return (AllocationVersion.objects.aggregate(newest=Max("version"))["newest"] or 0) + 1


def _may(actor: User, proof: StepUp | None) -> None:
    if not actor.has_perm(named(PERMISSION)):
        raise PermissionDenied(f"{actor.username} may not override an allocation; oversight may")
    require(proof, actor)


def _iso(instant_ns: int) -> str:
    try:
        return datetime.fromtimestamp(instant_ns // 10**9, tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        return str(instant_ns)
