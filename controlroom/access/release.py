"""Releasing the kill under PAPER: one person of the oversight group, their password, a reason."""

from dataclasses import dataclass

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db import transaction

from controlroom.access.actions import audit
from controlroom.access.kill import ask_worker
from controlroom.access.models import User

PATIENCE_S = 5.0  # the worker computes a slow hash
REASON_LIMIT = 500


@dataclass(frozen=True)
class Released:
    """What the worker said."""

    done: bool
    reason: str


def release_kill(*, actor: User, password: str, reason: str) -> Released:
    """Ask the worker to lift the kill; it verifies the password itself, and journals the release.

    Raises
    ------
    PermissionDenied
        if the person is not of the oversight group.
    """
    if not actor.has_perm("access.release_kill"):
        raise PermissionDenied(f"{actor.get_username()} may not release the kill; oversight may")
    reason = reason.strip()
    if not 3 <= len(reason) <= REASON_LIMIT:
        return Released(
            done=False, reason=f"The reason has {len(reason)} characters; the journal wants 3 to {REASON_LIMIT}."
        )
    request = {"op": "release", "user": actor.get_username(), "password": password, "reason": reason}
    try:
        answer = ask_worker(settings.DATA, request, timeout_s=PATIENCE_S)
    except OSError as error:
        return _noted(
            actor, Released(done=False, reason=f"The worker cannot be asked ({error}); the kill stands."), reason
        )
    done = answer.get("ok") is True
    return _noted(
        actor, Released(done=done, reason=str(answer.get("reason", "")) or ("released" if done else "refused")), reason
    )


@transaction.atomic
def _noted(actor: User, released: Released, reason: str) -> Released:
    outcome = "done" if released.done else f"refused: {released.reason}"
    audit(action="release kill", target="all", actor=actor, outcome=outcome, reason=reason)
    return released
