"""Sessions that end, routes that ask who comes, and the cookie that outlives the database.

None of it touches the database for a route whose rule is "anyone", "kill cookie" or "token"; the last of these know no
session at all.
"""

import time
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.http import urlencode

from controlroom.access import kill_cookie
from controlroom.access.permissions import named
from controlroom.access.refusal import refused
from controlroom.access.routes import WITH_ONE_TIME_PASSWORD, Rule, rule_for
from controlroom.access.selectors import roles_of

Answer = Callable[[HttpRequest], HttpResponse]
BEGAN, SEEN = "began", "seen"  # session keys, seconds since 1970
REFRESH_S = 60.0  # an idle time is written at most this often
BY_ITSELF = frozenset({"risk-figures", "var-data"})  # what a page asks again without a person: no use of the session


def begin(request: HttpRequest, **_signal: Any) -> None:
    """Note when a login began; connected to Django's signal, so that no way to log in can forget it."""
    request.session[BEGAN] = request.session[SEEN] = time.time()


class SessionLimits:
    """Ends a session 30 minutes after its last request (by its expiry) and 12 hours after its login."""

    def __init__(self, get_response: Answer) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer."""
        return self._get_response(request)

    def process_view(self, request: Any, _view: Any, _arguments: Any, _named: Any) -> None:
        """Look at the session's age, where the route has one."""
        if _without_database(request) or settings.SESSION_COOKIE_NAME not in request.COOKIES:
            return
        now, session = time.time(), request.session
        if BEGAN not in session:
            return
        if now - session[BEGAN] > settings.SESSION_ABSOLUTE_AGE:
            logout(request)
        elif now - session.get(SEEN, 0.0) > REFRESH_S and _route(request) not in BY_ITSELF:
            session[SEEN] = now


class RouteAccess:
    """Asks each route's rule; a route without one answers nobody."""

    def __init__(self, get_response: Answer) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer."""
        return self._get_response(request)

    def process_view(self, request: HttpRequest, _view: Any, _arguments: Any, _named: Any) -> HttpResponse | None:
        """Return the refusal, None to go on."""
        name = _route(request)
        rule = rule_for(name)
        if rule is None:
            return refused(request, f"Route {name!r} has no rule in the table of routes.")
        if rule.kind in {"anyone", "kill cookie", "token"}:
            return None
        if not request.user.is_authenticated:
            return _to(request, f"{reverse('login')}?{urlencode({'next': _return_to(request)})}")
        if request.user.must_replace_password and name not in WITH_ONE_TIME_PASSWORD:
            return _to(request, reverse("first-password"))
        if not _holds(request.user, rule):
            return refused(request, f"The roles of {request.user.get_username()} do not include {name}.")
        return None


class KillCookie:
    """Keeps the kill cookie as long as the session may last, and takes it back with the login."""

    def __init__(self, get_response: Answer) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer, with the cookie where it is due."""
        response = self._get_response(request)
        if getattr(request, "resolver_match", None) is None or _without_database(request):
            return response
        user: Any = request.user
        began = request.session.get(BEGAN)
        if user.is_authenticated and began is not None and getattr(request, "kill_cookie_due", True):
            if user.has_perm(named("press_kill")):
                expires = began + settings.SESSION_ABSOLUTE_AGE
                kill_cookie.issue(response, kill_cookie.Presser(user.get_username(), roles_of(user), expires))
            else:
                kill_cookie.withdraw(response)
        return response


def _route(request: Any) -> str:
    return str(request.resolver_match.view_name)


def _without_database(request: Any) -> bool:
    rule = rule_for(_route(request))
    return rule is not None and (rule.kind in {"kill cookie", "token"} or _route(request) in {"healthz", "favicon"})


def _holds(user: Any, rule: Rule) -> bool:
    if rule.kind == "superuser":
        return bool(user.is_active and user.is_superuser)
    return rule.kind == "signed in" or bool(user.has_perm(rule.permission))


def _return_to(request: HttpRequest) -> str:
    return request.get_full_path() if request.method == "GET" and not _is_htmx(request) else "/"


def _is_htmx(request: HttpRequest) -> bool:
    return request.headers.get("HX-Request") == "true"


def _to(request: HttpRequest, url: str) -> HttpResponse:
    """Send a person elsewhere; htmx follows a header instead of swapping the login page into a fragment."""
    if _is_htmx(request):
        return HttpResponse(status=401, headers={"HX-Redirect": url})
    return redirect(url)
