"""Step-up: password and an unused one-time code, at most five minutes ago, kept in the session with the person.

A dangerous action takes a `StepUp` beside its actor and looks at it itself; a page only sends who has none to fetch it.
"""

import time
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.http import urlencode

from controlroom.access import throttle
from controlroom.access.actions import audit, devices, note_wrong_password
from controlroom.access.models import User
from controlroom.access.permissions import DANGEROUS, named
from events.actors import Actor
from worker.onetime import CodeRefusedError

FRESH_S = 300.0
ADDRESS = "step-up"  # the throttle's, beside the login's
_KEY = "stepped_up"


class StepUpNeededError(PermissionDenied):
    """A dangerous act was asked for without a fresh step-up of its actor."""


@dataclass(frozen=True)
class StepUp:
    """That this person gave password and code at this time, seconds since 1970."""

    username: str
    at: float


def is_dangerous(user: Any) -> bool:
    """Return whether any of a person's rights asks for step-up."""
    return any(user.has_perm(named(codename)) for codename in DANGEROUS)


def of(request: HttpRequest) -> StepUp | None:
    """Return this session's step-up if it is this person's and fresh."""
    kept, now = request.session.get(_KEY), time.time()
    username = request.user.get_username()
    if not kept or kept["username"] != username or not 0 <= now - kept["at"] <= FRESH_S:
        return None
    return StepUp(username=username, at=kept["at"])


def require(proof: StepUp | None, actor: Actor) -> None:
    """Refuse an act without a fresh step-up of exactly its actor.

    Raises
    ------
    StepUpNeededError
        if there is none.
    """
    if proof is None or proof.username != actor.get_username() or not 0 <= time.time() - proof.at <= FRESH_S:
        raise StepUpNeededError(f"{actor.get_username()} must give password and one-time code first; they hold 5 min")


def needed(request: HttpRequest, back: str) -> HttpResponse | None:
    """Return where a person must go first, None if they may act: to enrol a device, or to give password and code."""
    if not devices().enrolled(request.user.get_username()):
        return to_enrolment(back)
    if of(request) is None:
        return redirect(f"{reverse('step-up')}?{urlencode({'next': back})}")
    return None


def to_enrolment(back: str) -> HttpResponse:
    """Send a person to their first device."""
    return redirect(f"{reverse('one-time-codes')}?{urlencode({'next': back})}")


def step_up(*, request: HttpRequest, user: User, password: str, code: str) -> None:
    """Verify both, use the code up and keep the step-up in the session.

    Raises
    ------
    ValidationError
        with the form's sentence if either is wrong, or too many were.
    """
    verify(user=user, password=password, code=code)
    request.session[_KEY] = {"username": user.username, "at": time.time()}
    with transaction.atomic():
        throttle.forget(username=user.username, address=ADDRESS)
        audit(action="step up", target=user.username, actor=user)


def verify(*, user: User, password: str, code: str | None) -> None:
    """Verify a password, and a code unless it is None, under the throttle.

    Raises
    ------
    ValidationError
        as :func:`step_up`.
    """
    verdict = throttle.judge(username=user.username, address=ADDRESS)
    if not verdict.allowed:
        raise ValidationError(f"Too many wrong passwords or codes; try again in {-(-verdict.wait_s // 60)} min.")
    if not user.check_password(password):
        note_wrong_password(username=user.username, address=ADDRESS)
        raise ValidationError("The password is wrong.")
    try:
        if code is not None:
            devices().use(user.username, code)
    except CodeRefusedError as error:
        note_wrong_code(user=user)
        raise ValidationError(sentence(error)) from error


@transaction.atomic
def note_wrong_code(*, user: User) -> None:
    """Remember a wrong code as a wrong password, and tell the record of it."""
    throttle.note_failure(username=user.username, address=ADDRESS)
    audit(action="step up", target=user.username, actor=user, outcome="refused", reason="wrong one-time code")


def enrol(*, user: User, password: str, code: str, old: str) -> list[str]:
    """Take a new device by its first code; where there is one, a code of it (or a recovery code) comes first.

    Raises
    ------
    ValidationError
        if password or a code is wrong.
    """
    enrolled = devices().enrolled(user.username)
    verify(user=user, password=password, code=old if enrolled else None)
    try:
        shown = devices().confirm(user.username, code)
    except CodeRefusedError as error:
        note_wrong_code(user=user)
        raise ValidationError(sentence(error)) from error
    with transaction.atomic():
        throttle.forget(username=user.username, address=ADDRESS)
        audit(action="change one-time code device" if enrolled else "enrol one-time code device",
              target=user.username, actor=user)  # fmt: skip
    return shown


def sentence(error: Exception) -> str:
    """Return an error as a form says it."""
    text = str(error)
    return f"{text[:1].upper()}{text[1:]}."
