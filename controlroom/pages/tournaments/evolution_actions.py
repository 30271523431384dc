"""Promotion of a variant: two people put its parameters in force by a signed configuration; nobody does so alone."""

import json
from collections.abc import Mapping
from typing import Any

import msgspec
from django.core.exceptions import PermissionDenied, ValidationError

from audit.errors import AuditError
from controlroom.access import approvals
from controlroom.access.models import Approval, User
from controlroom.access.operators import held_configuration
from controlroom.access.permissions import named
from controlroom.access.signature import signer
from controlroom.access.stepup import StepUp
from engine.configuration import Configuration, SettingsError, check_settings
from risk.actions import Sign, create_configuration, request_of
from tournaments.evolution import actions
from tournaments.evolution.models import Trial
from tournaments.evolution.selectors import may_be_promoted, parameters_of, trial_by_name

PROMOTE, PERMISSION = "promote variant", "change_configuration"


def promote(*, trial: Trial, actor: User, proof: StepUp | None, reason: str) -> Approval:
    """Ask for a challenger to take its strategy's place, or for parameters that one replaced to come back.

    Raises
    ------
    PermissionDenied
        if the person may not, or has not stepped up.
    ValidationError
        if it is neither, nothing would change, or the reason is too short or too long.
    """
    if not actor.has_perm(named(PERMISSION)):
        raise PermissionDenied(f"{actor.username} may not promote a variant; oversight may")
    held = _held()
    moved = _moved(held, _promotable(trial.name))
    target = f"{trial.name}: {', '.join(f'{name} {old:g} to {new:g}' for name, (old, new) in moved.items())}"
    content = {"base": held.version, "trial": trial.name}
    return approvals.request(act=PROMOTE, target=target, content=content, reason=reason, actor=actor, proof=proof)


def _perform(approval: Approval, approvers: list[str]) -> str:
    """Make the configuration that these people have approved, and write the promotion down with it."""
    content = json.loads(approval.content)
    held, trial = _held(), _promotable(content["trial"])
    if held.version != content["base"]:
        raise ValidationError(
            f"Configuration {held.version} is in force and {content['base']} was when this was asked; ask again."
        )
    after = _with(held, trial)
    reason = f"{approval.reason} (request {approval.pk}, approved by {', '.join(approvers)})"[:500]
    made = create_configuration(
        build=lambda version: msgspec.json.encode(msgspec.structs.replace(after, version=version)),
        actor=approval.requested_by, reason=reason, sign=_signer(approvers),
    )  # fmt: skip
    before = held.settings.strategies.get(trial.strategy, {})
    actions.promote(trial=trial, before=before, version=made.version, actor=approval.requested_by, reason=reason)
    return request_of(made.version)


approvals.ACTS[PROMOTE] = approvals.Act(PERMISSION, _perform)


def _promotable(name: str) -> Trial:
    trial = trial_by_name(name)
    if trial is None or not may_be_promoted(trial):
        state = "unknown" if trial is None else trial.status
        raise ValidationError(
            f"{name[:80]} is {state}; a challenger may be promoted, and what a promotion replaced may come back."
        )
    return trial


def _with(held: Configuration, trial: Trial) -> Configuration:
    """Return a configuration with a trial's parameters, checked as at a start."""
    strategies = {**held.settings.strategies, trial.strategy: parameters_of(trial)}
    changed = msgspec.structs.replace(held.settings, strategies=strategies)
    try:
        check_settings(changed, "of this promotion")
    except SettingsError as error:
        raise ValidationError(f"{error}.") from error
    return msgspec.structs.replace(held, settings=changed)


def _moved(held: Configuration, trial: Trial) -> Mapping[str, tuple[float, float]]:
    """Return the parameters that a promotion would change, each from and to."""
    from agents.strategies import by_name  # noqa: PLC0415 - compiled code is slow to load
    from tournaments.evolution.propose import complete  # noqa: PLC0415

    before: dict[str, Any] = complete(by_name(trial.strategy), held.settings.strategies.get(trial.strategy, {}))
    moved = {name: (before[name], value) for name, value in parameters_of(trial).items() if value != before[name]}
    if not moved:
        raise ValidationError(f"Nothing changes: the parameters of {trial.name} are in force.")
    return moved


def _signer(approvers: list[str]) -> Sign:
    try:
        return signer(approvers)
    except AuditError as error:
        raise ValidationError(f"It cannot be signed: {error}.") from error


def _held() -> Configuration:
    held = held_configuration()
    if held is None:
        raise ValidationError("There is no configuration yet: the station's first start makes it.")
    return held
