"""The answers that come when nothing else can: not allowed, not there, failed. None of them asks the database."""

import logging
import sys

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string

from controlroom.access.theme import theme_of

log = logging.getLogger(__name__)


def refused(request: HttpRequest, exception: Exception | str = "") -> HttpResponse:
    """Say what a person may not do; no context processors, since a refusal may come before a session is known."""
    log.info("refused: %s %s: %s", request.method, request.path, exception)
    return HttpResponse(
        render_to_string("access/refused.html", {"exception": str(exception), "theme": theme_of(request)}), status=403
    )


def missing(request: HttpRequest, exception: Exception | str = "") -> HttpResponse:
    """Say that there is no such page."""
    del exception
    context = {"title": "Not here", "sentence": f"There is no page {request.path}.", "theme": theme_of(request)}
    return HttpResponse(render_to_string("access/failed.html", context), status=404)


def failed(request: HttpRequest) -> HttpResponse:
    """Say that a page failed, or that the database is away, and what still works."""
    context: dict[str, object] = {"kill": True, "theme": theme_of(request)}
    if isinstance(sys.exc_info()[1], OperationalError | InterfaceError):
        context["title"] = "The database does not answer"
        context["sentence"] = "Pages come back with it; nothing is lost, and trading does not depend on it."
        page = render_to_string("access/failed.html", context)
        return HttpResponse(page, status=503, headers={"Retry-After": "5"})
    context["title"] = "This page failed"
    context["sentence"] = "It could not be made; the reason is in the web process's log. Trading does not depend on it."
    return HttpResponse(render_to_string("access/failed.html", context), status=500)
