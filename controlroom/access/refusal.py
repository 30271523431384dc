"""The answer to a person who may not: a sentence, without the database."""

import logging

from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string

log = logging.getLogger(__name__)


def refused(request: HttpRequest, exception: Exception | str = "") -> HttpResponse:
    """Say what a person may not do; no context processors, since a refusal may come before a session is known."""
    log.info("refused: %s %s: %s", request.method, request.path, exception)
    return HttpResponse(render_to_string("access/refused.html", {"exception": str(exception)}), status=403)
