"""Every change of people, roles and passwords: one transaction, one audit event in the outbox."""

import secrets
import time
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.contrib.auth import login, logout
from django.contrib.auth.models import Group, Permission
from django.contrib.auth.password_validation import validate_password
from django.contrib.sessions.models import Session
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone

from agents.actions import assign_strategies
from controlroom.access import release_file, throttle
from controlroom.access.models import User
from controlroom.access.permissions import OVERSIGHT, PERMISSIONS, ROLES
from events.actions import in_turn, put
from events.actors import STATION, Actor
from events.streams import CONTROL_AUDIT
from events.types import AuditEvent
from worker.onetime import NAME as CODES
from worker.onetime import Codes

ONE_TIME_LIFE = timedelta(hours=24)
FIRST_USER, SECOND_USER = "operator", "operator2"
_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"  # none that looks like another


@dataclass(frozen=True)
class OneTime:
    """A one-time password on its way to the person; kept nowhere."""

    username: str
    password: str
    until: datetime


def audit(*, action: str, target: str, actor: Actor | None, outcome: str = "done", reason: str = "") -> None:
    """Promise an audit event with the caller's transaction."""
    name = actor.get_username() if actor else STATION
    event = AuditEvent(wall_ns=time.time_ns(), action=action, target=target, actor=name, outcome=outcome, reason=reason)
    put(stream=CONTROL_AUDIT, payload=event, actor=name)


@transaction.atomic
def sign_in(*, request: HttpRequest, user: User, address: str) -> None:
    """Begin a person's session, and forget their earlier wrong passwords from that address."""
    throttle.forget(username=user.username, address=address)
    login(request, user)
    audit(action="sign in", target=user.username, actor=user, reason=f"from {address}")


@transaction.atomic
def sign_out(*, request: HttpRequest) -> None:
    """End the session, whoever's it is."""
    user = request.user
    if isinstance(user, User):
        audit(action="sign out", target=user.username, actor=user)
    logout(request)


@transaction.atomic
def note_wrong_password(*, username: str, address: str) -> None:
    """Remember a wrong password, and tell the record of it; the throttle bounds how many there can be."""
    throttle.note_failure(username=username, address=address)
    known = User.objects.filter(username=username).exists()  # an unknown name may be a password in the wrong field
    target = username if known else "unknown name"
    audit(action="sign in", target=target, actor=None, outcome="refused", reason=f"wrong password, from {address}")


@transaction.atomic
def sync_roles() -> None:
    """Make the groups and give each exactly the permissions of the table."""
    in_turn()
    known = {
        found.codename: found
        for found in Permission.objects.filter(content_type__app_label="access", codename__in=PERMISSIONS)
    }
    for role, codenames in ROLES.items():
        group, _ = Group.objects.get_or_create(name=role)
        group.permissions.set([known[codename] for codename in codenames if codename in known])


@transaction.atomic
def create_first_operator() -> OneTime | None:
    """Make the first account, of the oversight group and superuser, unless somebody exists already."""
    in_turn()
    if User.objects.exists():
        return None
    return _first(FIRST_USER, manages_people=True)


@transaction.atomic
def create_second_operator() -> OneTime | None:
    """Make the second account of a first run with two operators, unless it exists; it manages nobody."""
    in_turn()
    return None if User.objects.filter(username=SECOND_USER).exists() else _first(SECOND_USER, manages_people=False)


def _first(name: str, *, manages_people: bool) -> OneTime:
    user = User(username=name, is_staff=manages_people, is_superuser=manages_people, first_run=True)
    user.set_unusable_password()
    user.save()
    user.groups.add(Group.objects.get(name=OVERSIGHT))
    audit(action="create user", target=user.username, actor=None, reason="first run")
    return _issue(user, actor=None)


@transaction.atomic
def reset_login(*, username: str, actor: Actor | None) -> OneTime:
    """Replace a person's password by a one-time one and end their sessions.

    Raises
    ------
    User.DoesNotExist
        if there is nobody of that name.
    PermissionDenied
        if a person asks who does not manage people.
    """
    _must_manage_people(actor)
    in_turn()
    user = User.objects.select_for_update().get(username=username)
    return _issue(user, actor=actor)


def _issue(user: User, *, actor: Actor | None) -> OneTime:
    password = "-".join("".join(secrets.choice(_LETTERS) for _ in range(5)) for _ in range(4))
    until = timezone.now() + ONE_TIME_LIFE
    user.set_password(password)
    user.one_time_until = until
    user.password_set_at = None
    user.save(update_fields=["password", "one_time_until", "password_set_at"])
    release_file.unseal(settings.DATA, user=user.username)
    if actor is None:  # the shell: who has lost the device too begins anew; a superuser's reset leaves it in force
        devices().remove(user.username)
    audit(action="issue one-time password", target=user.username, actor=actor)
    return OneTime(username=user.username, password=password, until=until)


@transaction.atomic
def set_own_password(*, user: User, current: str, new: str) -> None:
    """Give a person the password they chose, and the worker the means to check it if they may release the kill.

    Raises
    ------
    ValidationError
        if the current password is wrong, or the new one too weak or the same; the sentences are for the form.
    """
    if not user.check_password(current):
        raise ValidationError("The current password is wrong.")
    if user.check_password(new):
        raise ValidationError("The new password is the current one; choose another.")
    validate_password(new, user)
    in_turn()
    user.set_password(new)
    user.one_time_until = None
    user.password_set_at = timezone.now()
    user.save(update_fields=["password", "one_time_until", "password_set_at"])
    audit(action="set own password", target=user.username, actor=user)
    if user.has_perm("access.release_kill"):
        release_file.seal(settings.DATA, user=user.username, password=new)
    else:
        release_file.unseal(settings.DATA, user=user.username)


@transaction.atomic
def change_person(
    *,
    user: User,
    roles: list[str],
    is_active: bool,
    is_superuser: bool,
    actor: Actor,
    strategies: list[str] | None = None,
) -> None:
    """Create a person, or change roles, standing and own strategies; who loses oversight loses the release with it.

    Raises
    ------
    PermissionDenied
        if the actor does not manage people.
    ValidationError
        if a role is unknown, or nobody who manages people would be left.
    """
    _must_manage_people(actor)
    if unknown := sorted(set(roles) - set(ROLES)):
        raise ValidationError(f"role {unknown[0]!r} is unknown; allowed are {', '.join(ROLES)}")
    in_turn()
    others = User.objects.filter(is_active=True, is_superuser=True).exclude(pk=user.pk)
    if not (is_active and is_superuser) and not others.exists():
        raise ValidationError("Somebody must be left who manages people: make another active superuser first.")
    new = user.pk is None
    if not new and set(user.groups.values_list("name", flat=True)) != set(roles):
        user.roles_changed_at = timezone.now()
    user.is_active, user.is_superuser, user.is_staff = is_active, is_superuser, is_superuser
    if new:
        user.set_unusable_password()
    user.save()
    user.groups.set(Group.objects.filter(name__in=roles))
    if not is_active or OVERSIGHT not in roles:
        release_file.unseal(settings.DATA, user=user.username)
    if strategies is not None:
        assign_strategies(user=user, names=strategies)
    standing = f"roles {', '.join(sorted(roles)) or 'none'}; active {is_active}; superuser {is_superuser}"
    if strategies is not None:
        standing += f"; strategies {', '.join(sorted(strategies)) or 'none'}"
    audit(action="create user" if new else "change user", target=user.username, actor=actor, reason=standing)


def devices() -> Codes:
    """Return everybody's one-time code devices, which the worker reads too."""
    return Codes(settings.DATA.secrets / CODES)


def end_sessions(*, user: User) -> None:
    """End every session of a person, at once."""
    for session in Session.objects.filter(expire_date__gt=timezone.now()):
        if session.get_decoded().get("_auth_user_id") == str(user.pk):
            session.delete()


def _must_manage_people(actor: Actor | None) -> None:
    if actor is not None and not actor.has_perm("access.change_user"):
        raise PermissionDenied(f"{actor.get_username()} does not manage people; a superuser does")
