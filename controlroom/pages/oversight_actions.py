"""What oversight changes: limits and the number of operators. Tightening takes one person, loosening an approval."""

import json
from collections.abc import Mapping
from typing import Any

import msgspec
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction

from audit.errors import AuditError
from controlroom.access import approvals
from controlroom.access.models import Approval, User
from controlroom.access.operators import held_configuration
from controlroom.access.permissions import named
from controlroom.access.signature import signer
from controlroom.access.stepup import StepUp, require
from engine.configuration import Configuration, SettingsError, check_settings
from events.actions import in_turn
from risk.actions import Sign, create_configuration, request_of
from risk.limit_rules import LIMIT_RULES, range_problem
from risk.limits import Limits
from risk.models import ConfigurationVersion
from worker.approvals import loosening

LOOSEN, ONE_OPERATOR = "loosen limits", "one operator"


@transaction.atomic
def change_limits(
    *, actor: User, changes: Mapping[str, str], reason: str, proof: StepUp | None
) -> ConfigurationVersion | Approval:
    """Change limits, given as typed: at once where all of it is tighter, else as a request that another one approves.

    Raises
    ------
    PermissionDenied
        if the person may not, or it loosens and they have not stepped up.
    ValidationError
        naming the limit, its value and what is allowed, or that nothing would change.
    """
    _may(actor, "change_configuration")
    reason = approvals.checked_reason(reason)
    in_turn()  # before the limits are read: of two changes at once the second one builds on the first
    before = _held()
    after = _with_limits(before, {field: _number(field, text) for field, text in changes.items()})
    if after.settings.limits == before.settings.limits:
        raise ValidationError("Nothing changes: every limit is as it was.")
    loose = loosening(before, after)
    if not loose:
        return create_configuration(build=_builder(after), actor=actor, reason=reason)
    changed = _different(before.settings.limits, after.settings.limits)
    content = {"base": before.version, "limits": changed}
    target = ", ".join(f"{name} {_was(before, name)} to {value}" for name, value in changed.items())
    return approvals.request(act=LOOSEN, target=target, content=content, reason=reason, actor=actor, proof=proof)


def change_operators(*, actor: User, wanted: int, reason: str, proof: StepUp | None) -> ConfigurationVersion | Approval:
    """Let a loosening take two people, at once, or one: that takes two.

    Raises
    ------
    PermissionDenied
        if the person may not, or has not stepped up.
    ValidationError
        if nothing would change, or there is no second person who could approve.
    """
    _may(actor, "change_operators")
    require(proof, actor)
    reason = approvals.checked_reason(reason)
    before = _held()
    if wanted not in {1, 2} or wanted == before.operators:
        raise ValidationError(f"operators = {wanted}: there are {before.operators}; allowed is the other of 1 and 2.")
    if wanted == 1:
        content = {"base": before.version}
        return approvals.request(
            act=ONE_OPERATOR, target="operators 2 to 1", content=content, reason=reason, actor=actor, proof=proof
        )
    others = [one for one in User.objects.filter(is_active=True).exclude(pk=actor.pk) if one.has_perm(named("approve"))]
    if not others:
        raise ValidationError("Nobody else could approve: make a second person of the oversight group first.")
    return create_configuration(
        build=_builder(msgspec.structs.replace(before, operators=2)), actor=actor, reason=reason
    )


def _loosen(approval: Approval, approvers: list[str]) -> str:
    content = json.loads(approval.content)
    return _carry_out(approval, _with_limits(_base(content), content["limits"]), approvers)


def _one_operator(approval: Approval, approvers: list[str]) -> str:
    return _carry_out(approval, msgspec.structs.replace(_base(json.loads(approval.content)), operators=1), approvers)


approvals.ACTS[LOOSEN] = approvals.Act("change_configuration", _loosen)
approvals.ACTS[ONE_OPERATOR] = approvals.Act("change_operators", _one_operator)


def _carry_out(approval: Approval, after: Configuration, approvers: list[str]) -> str:
    reason = f"{approval.reason} (request {approval.pk}, approved by {', '.join(approvers)})"[:500]
    made = create_configuration(
        build=_builder(after), actor=approval.requested_by, reason=reason, sign=_signer(approvers)
    )
    return request_of(made.version)


def _signer(approvers: list[str]) -> Sign:
    try:
        return signer(approvers)
    except AuditError as error:
        raise ValidationError(f"It cannot be signed: {error}.") from error


def _base(content: dict[str, Any]) -> Configuration:
    held = _held()
    if held.version != content["base"]:
        raise ValidationError(
            f"Configuration {held.version} is in force and {content['base']} was when this was asked; ask again."
        )
    return held


def _held() -> Configuration:
    held = held_configuration()
    if held is None:
        raise ValidationError("There is no configuration yet: the station's first start makes it.")
    return held


def _with_limits(before: Configuration, changes: Mapping[str, Any]) -> Configuration:
    """Return a configuration with other limits, checked as at a start."""
    for field, value in changes.items():
        if problem := range_problem(field, value):
            raise ValidationError(f"{problem}.")
    limits = msgspec.structs.replace(before.settings.limits, **changes)
    after = msgspec.structs.replace(before, settings=msgspec.structs.replace(before.settings, limits=limits))
    try:
        check_settings(after.settings, "of this form")
    except SettingsError as error:
        raise ValidationError(f"{error}.") from error
    return after


def _number(field: str, text: str) -> float | int | bool:
    """Return what was typed as the limit's own type."""
    if field not in LIMIT_RULES:
        raise ValidationError(f"{field[:40]} is no limit; there are {', '.join(LIMIT_RULES)}.")
    kind = Limits.__annotations__[field]
    text = text.strip()
    if kind is bool:
        if text not in {"yes", "no"}:
            raise ValidationError(f"{field} = {text[:40]!r} must be yes or no.")
        return text == "yes"
    try:
        return int(text) if kind is int else float(text)
    except ValueError as error:
        word = "a whole number" if kind is int else "a number"
        raise ValidationError(f"{field} = {text[:40]!r} must be {word}.") from error


def _different(before: Limits, after: Limits) -> dict[str, Any]:
    old, new = msgspec.structs.asdict(before), msgspec.structs.asdict(after)
    return {name: value for name, value in new.items() if value != old[name]}


def _was(before: Configuration, name: str) -> Any:
    return getattr(before.settings.limits, name)


def _builder(after: Configuration) -> Any:
    return lambda version: msgspec.json.encode(msgspec.structs.replace(after, version=version))


def _may(actor: User, permission: str) -> None:
    if not actor.has_perm(named(permission)):
        raise PermissionDenied(f"{actor.get_username()} may not do this; oversight may")
