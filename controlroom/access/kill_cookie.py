"""The signed cookie with which a person presses kill while sessions and database are gone.

It holds name and roles, is signed with the station's key, and ends with the session's absolute age. Whoever loses their
role in between keeps the kill for at most that long: stopping is the safe side, and the record says who did it.
"""

import time
from dataclasses import dataclass

from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponse

NAME = "station_kill"
PATH = "/kill"
SALT = "station.kill"


@dataclass(frozen=True)
class Presser:
    """Who presses, as the cookie says."""

    username: str
    roles: tuple[str, ...]
    expires: float  # seconds since 1970


def issue(response: HttpResponse, presser: Presser) -> None:
    """Put the cookie on a response."""
    value = signing.dumps({"u": presser.username, "r": list(presser.roles), "e": presser.expires}, salt=SALT)
    response.set_cookie(
        NAME,
        value,
        max_age=max(0, int(presser.expires - time.time())),
        path=PATH,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Strict",
    )


def withdraw(response: HttpResponse) -> None:
    """Take the cookie back."""
    response.delete_cookie(NAME, path=PATH, samesite="Strict")


def read(request: HttpRequest) -> Presser | None:
    """Return who presses, None if the cookie is missing, forged or too old. Touches nothing but the request."""
    try:
        found = signing.loads(request.COOKIES.get(NAME, ""), salt=SALT)
        presser = Presser(username=str(found["u"]), roles=tuple(found["r"]), expires=float(found["e"]))
    except (signing.BadSignature, KeyError, TypeError, ValueError):
        return None
    return presser if presser.expires > time.time() else None
