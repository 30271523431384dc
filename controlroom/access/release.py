"""What the worker does by password and one-time code of one person: release, flatten, maintenance."""

from dataclasses import dataclass

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db import transaction

from controlroom.access.actions import audit
from controlroom.access.kill import ask_worker
from controlroom.access.models import User
from controlroom.access.permissions import named

PATIENCE_S = 10.0  # the worker computes a slow hash
REASON_LIMIT = 500


@dataclass(frozen=True)
class Released:
    """What the worker said."""

    done: bool
    reason: str


ACTS = {
    "release": ("release_kill", "release kill"),
    "flatten": ("flatten", "flatten"),
    "maintenance": ("set_maintenance", "begin maintenance"),
    "resume_maintenance": ("set_maintenance", "end maintenance"),
}
"""The control socket's operation to the permission that it takes and the name that the record gives it."""


def release_kill(
    *, actor: User, password: str, code: str, reason: str, scope: str = "all", target: str = ""
) -> Released:
    """Lift the kill, all of it or that of one strategy or symbol alone; see :func:`ask_act`."""
    return ask_act("release", actor=actor, password=password, code=code, reason=reason, scope=scope, target=target)


def ask_act(
    operation: str,
    *,
    actor: User,
    password: str,
    code: str,
    reason: str,
    scope: str = "all",
    target: str = "",
) -> Released:
    """Ask the worker to act; it verifies password and code itself, uses the code up and journals what it does.

    Raises
    ------
    PermissionDenied
        if the person's roles do not include it.
    """
    permission, action = ACTS[operation]
    if not actor.has_perm(named(permission)):
        raise PermissionDenied(f"{actor.get_username()} may not {action}; oversight may")
    reason = reason.strip()
    if not 3 <= len(reason) <= REASON_LIMIT:
        return Released(
            done=False, reason=f"The reason has {len(reason)} characters; the journal wants 3 to {REASON_LIMIT}."
        )
    request = {"op": operation, "user": actor.get_username(), "password": password, "code": code, "reason": reason}
    try:
        answer = ask_worker(settings.DATA, request | {"scope": scope, "target": target}, timeout_s=PATIENCE_S)
    except OSError as error:
        stands = "the kill stands" if operation == "release" else "nothing has changed"
        found = Released(done=False, reason=f"The worker cannot be asked ({error}); {stands}.")
        return _noted(actor, action, target or scope, found, reason)
    done = answer.get("ok") is True
    word = "released" if operation == "release" else "done"
    found = Released(done=done, reason=str(answer.get("reason", "")) or (word if done else "refused"))
    return _noted(actor, action, target or scope, found, reason)


@transaction.atomic
def _noted(actor: User, action: str, target: str, released: Released, reason: str) -> Released:
    outcome = "done" if released.done else f"refused: {released.reason}"
    audit(action=action, target=target, actor=actor, outcome=outcome, reason=reason)
    return released
