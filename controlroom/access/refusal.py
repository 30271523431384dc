"""The answers that come when nothing else can: not allowed, not there, failed. None of them asks the database."""

import logging

from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string

log = logging.getLogger(__name__)


def refused(request: HttpRequest, exception: Exception | str = "") -> HttpResponse:
    """Say what a person may not do; no context processors, since a refusal may come before a session is known."""
    log.info("refused: %s %s: %s", request.method, request.path, exception)
    return HttpResponse(render_to_string("access/refused.html", {"exception": str(exception)}), status=403)


def missing(request: HttpRequest, exception: Exception | str = "") -> HttpResponse:
    """Say that there is no such page."""
    del exception
    context = {"title": "Not here", "sentence": f"There is no page {request.path}."}
    return HttpResponse(render_to_string("access/failed.html", context), status=404)


def failed(_request: HttpRequest) -> HttpResponse:
    """Say that a page failed, and what still works."""
    context = {
        "title": "This page failed",
        "sentence": "It could not be made; the reason is in the web process's log. Trading does not depend on it.",
        "kill": True,
    }
    return HttpResponse(render_to_string("access/failed.html", context), status=500)
