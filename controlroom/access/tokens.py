"""Tokens: what a script shows to /api/v1. Made and revoked by who manages people; each change tells the record.

A token reads, asks, tightens and stops. What it may is its scopes and, of that, what its owner may at that moment: a
permission that no scope names is out of its reach, whoever owns it and whatever a handler forgets to ask.
"""

import hashlib
import logging
import secrets
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

from django.core.exceptions import PermissionDenied, ValidationError
from django.db import OperationalError, transaction
from django.db.models import Q
from django.utils import timezone

from controlroom.access import throttle
from controlroom.access.actions import audit
from controlroom.access.handover import write_private
from controlroom.access.models import ApiToken, User
from controlroom.access.permissions import named
from events.actions import in_turn
from events.actors import Actor
from events.paths import DataPaths

PREFIX = "station_"  # by which a search for leaked secrets finds one
SECRET_BYTES = 32
USUAL_DAYS, MOST_DAYS = 90, 365
LONGEST_NAME = 40
LONGEST_OWNER = 100  # characters of an owner's name beside the token's, in 150
REFRESH = timedelta(minutes=1)
ADDRESS, NOBODY = "api", "wrong token"  # the throttle's, beside the login's: a wrong token locks no person out
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Scope:
    """What a token may with it, in words and as permissions of permissions.py."""

    words: str
    permissions: frozenset[str]


SCOPES: dict[str, Scope] = {
    "read": Scope(
        "see what the owner's pages show",
        frozenset({
            "view_overview", "view_market", "view_positions", "view_orders", "view_risk", "view_system", "view_audit",
            "view_tournament_audit", "view_whole_audit", "view_limits", "view_tournaments",
        }),
    ),
    "tournaments": Scope(
        "draft rules of tournaments and activate what is no looser, run and simulate rounds",
        frozenset({"run_tournament", "change_tournament_rules"}),
    ),
    "limits": Scope("tighten limits; nothing is loosened", frozenset({"change_configuration"})),
    "kill": Scope("press the kill switch", frozenset({"press_kill"})),
}  # fmt: skip


@dataclass(frozen=True)
class Issued:
    """A new token with its secret on its way to the owner; the secret is kept nowhere."""

    token: ApiToken
    secret: str


@dataclass(frozen=True)
class Bearer:
    """Who acts by a token, as actions see it; the record keeps the owner's name with the token's."""

    token: ApiToken
    may_loosen: ClassVar = False  # whatever its scopes are; actions that can loosen ask

    def get_username(self) -> str:
        """Return the name that the record keeps."""
        return f"{self.token.owner.get_username()[:LONGEST_OWNER]} (token {self.token.name})"

    def has_perm(self, perm: str, obj: object = None) -> bool:
        """Return whether a scope of the token names this permission and its owner holds it."""
        return self.covers(perm) and self.token.owner.has_perm(perm, obj)

    def covers(self, perm: str) -> bool:
        """Return whether a scope of the token names this permission."""
        return any(perm in map(named, SCOPES[scope].permissions) for scope in scopes_of(self.token))


@transaction.atomic
def issue_token(
    *, owner: User, name: str, scopes: Iterable[str], actor: Actor | None, days: int = USUAL_DAYS
) -> Issued:
    """Make a token; ``actor`` None is the shell's own user.

    Raises
    ------
    PermissionDenied
        if a person asks who does not manage people.
    ValidationError
        naming the field, its value and what is allowed.
    """
    _must_manage_people(actor, "access.add_apitoken")
    name, scopes = checked_name(name), checked_scopes(scopes)
    if not 1 <= days <= MOST_DAYS:
        raise ValidationError(f"days = {days} must be 1 to {MOST_DAYS}.")
    in_turn()
    check_owner(owner, name)
    secret = PREFIX + secrets.token_urlsafe(SECRET_BYTES)
    token = ApiToken.objects.create(
        owner=owner, name=name, sha256=_hash(secret), scopes=" ".join(scopes),
        expires=timezone.now() + timedelta(days=days),
    )  # fmt: skip
    until = f"scopes {', '.join(scopes)}; until {token.expires:%Y-%m-%d %H:%M} UTC"
    audit(action="issue token", target=_target(token), actor=actor, reason=until)
    return Issued(token, secret)


@transaction.atomic
def revoke_token(*, token_id: int, actor: Actor | None) -> ApiToken:
    """End a token at once.

    Raises
    ------
    PermissionDenied
        if a person asks who does not manage people.
    ValidationError
        if there is none of that number, or it is revoked already.
    """
    _must_manage_people(actor, "access.change_apitoken")
    in_turn()
    token = ApiToken.objects.select_related("owner").filter(pk=token_id).first()
    if token is None:
        raise ValidationError(f"token = {token_id} is unknown; the list of tokens has their numbers.")
    if token.revoked_at is not None:
        raise ValidationError(f"token = {token_id} was revoked at {token.revoked_at:%Y-%m-%d %H:%M} UTC already.")
    token.revoked_at = timezone.now()
    token.save(update_fields=["revoked_at"])
    audit(action="revoke token", target=_target(token), actor=actor)
    return token


def bearer_of(secret: str) -> Bearer | None:
    """Return who acts by a secret, None where it is no token, or one that has ended, or its owner may not act now.

    It is looked up by its hash, so that no comparison's time tells anything of a secret.
    """
    token = _known(secret)
    if token is None or token.revoked_at is not None or token.expires <= timezone.now():
        return None
    if not token.owner.is_active or token.owner.must_replace_password:
        return None
    return Bearer(token)


def touch(token: ApiToken) -> None:
    """Note that a token is in use, once a minute at most; that it cannot be noted refuses nothing."""
    now = timezone.now()
    if token.last_used is not None and now - token.last_used < REFRESH:
        return
    due = Q(last_used=None) | Q(last_used__lt=now - REFRESH)
    try:
        ApiToken.objects.filter(due, pk=token.pk).update(last_used=now)
    except OperationalError as error:
        log.warning("the use of token %s was not noted: %s", token.pk, error)


def wait_s(*, secret: str, address: str) -> int:
    """Return for how many seconds wrong tokens from an address are not looked at any more, 0 where they are.

    A token that was good once has a throttle of its own: guesses of others do not hide that somebody still uses it.
    """
    name, place = _throttled(_known(secret), address)
    return throttle.judge(username=name, address=place).wait_s


@transaction.atomic
def note_wrong_token(*, secret: str, address: str) -> None:
    """Remember a wrong token as a wrong password, and tell the record of it; the throttle bounds how many."""
    known = _known(secret)
    name, place = _throttled(known, address)
    throttle.note_failure(username=name, address=place)
    target = "unknown token" if known is None else _target(known)
    audit(action="use token", target=target, actor=None, outcome="refused", reason=f"wrong token, from {address}")


@transaction.atomic
def note_kill(*, bearer: Bearer, word: str, reason: str) -> None:
    """Tell the record why a token has pressed kill, afterwards: the kill itself waits for no database."""
    audit(action="kill by token", target=word, actor=bearer, reason=reason)


def hand_over(paths: DataPaths, issued: Issued, *, terminal: bool) -> str:
    """Say a token's secret, on the terminal or in a private file; return where, in words that do not contain it."""
    token, until = issued.token, f"{issued.token.expires:%Y-%m-%d %H:%M} UTC"
    if terminal:
        sys.stderr.write(f"\n  Token {token.pk} {token.name} of {token.owner}: {issued.secret} (until {until})\n\n")
        sys.stderr.flush()
        return f"on this terminal, until {until}"
    file = paths.secrets / f"token-{token.pk}"
    write_private(file, f"owner: {token.owner}\nname: {token.name}\ntoken: {issued.secret}\nuntil: {until}\n")
    return f"in {file}, until {until}; move it to where it is used"


def scopes_of(token: ApiToken) -> list[str]:
    """Return a token's scopes; one that this version does not know any more gives nothing."""
    return [scope for scope in token.scopes.split() if scope in SCOPES]


def checked_name(name: str) -> str:
    """Return a token's name without its margins.

    Raises
    ------
    ValidationError
        if it is empty, too long or has characters that a record cannot show.
    """
    name = name.strip()
    if not 1 <= len(name) <= LONGEST_NAME or not name.isprintable():
        raise ValidationError(f"name = {name[:LONGEST_NAME]!r} must be 1 to {LONGEST_NAME} printable characters.")
    return name


def checked_scopes(scopes: Iterable[str]) -> list[str]:
    """Return scopes in the table's order.

    Raises
    ------
    ValidationError
        if there is none, or one is unknown.
    """
    asked = set(scopes)
    if unknown := sorted(asked - SCOPES.keys()):
        raise ValidationError(f"scope = {unknown[0][:40]!r} is unknown; allowed are {', '.join(SCOPES)}.")
    if not asked:
        raise ValidationError(f"scopes is empty; name at least one of {', '.join(SCOPES)}.")
    return [scope for scope in SCOPES if scope in asked]


def check_owner(owner: User, name: str) -> None:
    """Refuse an owner who may do nothing, or who has a token of this name already.

    Raises
    ------
    ValidationError
        in either case.
    """
    if not owner.is_active:
        raise ValidationError(f"owner = {owner.username!r} is not active; a token has no more power than its owner.")
    if ApiToken.objects.filter(owner=owner, name=name, revoked_at=None).exists():
        raise ValidationError(
            f"name = {name!r} is that of another token of {owner.username}; revoke it, or choose one."
        )


def _known(secret: str) -> ApiToken | None:
    return ApiToken.objects.select_related("owner").filter(sha256=_hash(secret)).first()


def _throttled(known: ApiToken | None, address: str) -> tuple[str, str]:
    return (NOBODY, _from(address)) if known is None else (f"token {known.pk}", f"{ADDRESS} token {known.pk}")


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _target(token: ApiToken) -> str:
    return f"token {token.pk} {token.name} of {token.owner.username}"


def _from(address: str) -> str:
    return f"{ADDRESS} {address}"[:64]


def _must_manage_people(actor: Actor | None, permission: str) -> None:
    if actor is not None and not actor.has_perm(permission):
        raise PermissionDenied(f"{actor.get_username()} does not manage tokens; a superuser does")
