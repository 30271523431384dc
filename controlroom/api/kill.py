"""The kill by token: the same three ways as the page's, without waiting for a database once the token is known."""

import logging
from typing import Literal

from django.conf import settings
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from ninja import Router, Schema
from pydantic import Field

from controlroom.access import kill as switch
from controlroom.access import tokens
from controlroom.access.approvals import checked_reason
from controlroom.api.door import Token, actor_of
from controlroom.api.problems import problem
from controlroom.api.reading import Given
from worker.kill import word

router = Router()
log = logging.getLogger(__name__)


class KillAsked(Given):
    """What to kill: everything unless a scope names a strategy or a symbol."""

    reason: str = Field(description="why, for the journal; 3 to 500 characters")
    scope: Literal["all", "account", "strategy", "symbol"] = "all"
    target: str = Field(default="", description="name of the strategy or the symbol")


class Killed(Schema):
    """What became of it, way by way: "" where it worked, else the reason. One that worked is enough.

    ``canceled``: orders, as the worker said at once; null where it has not answered. ``noted``: whether the record was
    promised the reason.
    """

    request_id: str
    scope: str
    target: str
    paths: dict[str, str]
    killed: list[str]
    canceled: int | None
    noted: bool


@router.post("", auth=Token(permission="press_kill"), response=Killed, summary="Press kill")
def press(request: HttpRequest, given: KillAsked) -> dict[str, object] | HttpResponse:
    """Block new orders and cancel open ones; 502 where it reached nothing. A person releases it, on a page."""
    bearer, reason = actor_of(request), checked_reason(given.reason)
    scope, target = switch.checked(given.scope, given.target)
    outcome = switch.press(settings.DATA, scope=scope, target=target, actor=bearer.get_username(), reason=reason)
    noted = True
    try:
        tokens.note_kill(bearer=bearer, word=word(scope, target), reason=reason)
        tokens.touch(bearer.token)
    except DatabaseError as error:
        log.warning("the reason of a kill by token was not noted: %s", error)
        noted = False
    if not outcome.reached:
        reasons = "; ".join(f"{name}: {why}" for name, why in outcome.paths.items())
        return problem(502, f"The kill reached nothing ({reasons}). Type manage.py kill on the station")
    return {**vars(outcome), "noted": noted}
