"""Who may call what: a bearer token, its scopes, and what the page of the same act asks of its owner."""

from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from ninja.errors import HttpError
from ninja.security import HttpBearer

from controlroom.access import tokens
from controlroom.access.permissions import PERMISSIONS, named
from controlroom.access.routes import rule_for
from controlroom.access.tokens import SCOPES, Bearer
from controlroom.api.problems import PAGE_ONLY

TOO_MANY = "Too many wrong tokens came from this address; wrong ones are not looked at for a while"


class Token(HttpBearer):
    """``Authorization: Bearer …``; no cookie and no session is looked at.

    ``page``: the route of a page of the same act, whose permission is asked; ``permission``: a codename where the page
    asks by other means.
    """

    openapi_bearerFormat = "station_ and 43 letters, digits, dashes and underscores"  # noqa: N815 - ninja's names

    def __init__(self, page: str = "", *, permission: str = "") -> None:
        super().__init__()
        rule = rule_for(page) if page else None
        self.permission = rule.permission if rule is not None else named(permission)
        if self.permission.partition(".")[2] not in PERMISSIONS:
            raise ValueError(f"route {page!r} asks for no permission of the table")

    def authenticate(self, request: HttpRequest, token: str) -> Any:
        """Return who acts, None for a token that is no good now.

        Raises
        ------
        PermissionDenied
            if its owner or its scopes do not include what is asked for.
        HttpError
            429 for a wrong token, after too many of them.
        """
        bearer = tokens.bearer_of(token)
        if bearer is None:
            return _wrong(request, token)
        self._admit(bearer)
        if self.permission != named("press_kill"):  # nothing may hold a kill up
            tokens.touch(bearer.token)
        return bearer

    def _admit(self, bearer: Bearer) -> None:
        codename, owner = self.permission.partition(".")[2], bearer.token.owner
        if not owner.has_perm(self.permission):
            raise PermissionDenied(
                f"The token's owner, {owner.username}, does not hold {codename}: {PERMISSIONS[codename]}"
            )
        if bearer.covers(self.permission):
            return
        scopes = [name for name, scope in SCOPES.items() if codename in scope.permissions]
        if not scopes:
            raise PermissionDenied(PAGE_ONLY)
        raise PermissionDenied(f"The token's scopes ({bearer.token.scopes}) do not include {' or '.join(scopes)}")


def actor_of(request: HttpRequest) -> Bearer:
    """Return who acts; the door has let them in."""
    bearer: Bearer = request.auth  # type: ignore[attr-defined] # ninja puts it there
    return bearer


def _wrong(request: HttpRequest, token: str) -> None:
    """Note a wrong token; a good one is never kept waiting by wrong ones."""
    address = request.META.get("REMOTE_ADDR") or "local"
    if tokens.wait_s(secret=token, address=address):
        raise HttpError(429, TOO_MANY)
    tokens.note_wrong_token(secret=token, address=address)
