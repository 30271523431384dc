"""What people asked for in the pages, and how far it has come: requested, sent, acknowledged, done."""

from datetime import datetime
from typing import Any

import msgspec
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET

from controlroom.access.permissions import named
from controlroom.pages.station import station_page
from events.models import Outbox
from events.selectors import latest_requests, request_of
from events.streams import CONTROL_AUDIT, CONTROL_FEED, CONTROL_WORKER

LATE_S = 10.0
"""Sent for longer than this without an answer is said."""

ANSWERS = {CONTROL_FEED: "feed", CONTROL_WORKER: "worker", CONTROL_AUDIT: "recorder"}
"""Stream to the process that acknowledges: it has done, or journaled, what was asked."""


def _ms(at: datetime | None) -> int | None:
    return int(at.timestamp() * 1000) if at else None


def state_of(row: Outbox, now: datetime) -> tuple[str, str]:
    """Return a request's state and, where it waits or was refused, the sentence on that."""
    by = ANSWERS.get(row.stream, "reader")
    if row.acknowledged_at and not row.done_at:
        return "refused", row.answer or f"the {by} refused it"
    if row.done_at:
        return "done", row.answer
    if row.published_at is None:
        waited = (now - row.created).total_seconds()
        return "requested", f"not sent for {waited:.0f} s: the relay is away" if waited > LATE_S else ""
    waited = (now - row.published_at).total_seconds()
    return "sent", f"not acknowledged for {waited:.0f} s: the {by} may be away" if waited > LATE_S else ""


def what(row: Outbox) -> str:
    """Return what was asked, in words."""
    try:
        payload: Any = msgspec.json.decode(row.payload)
    except msgspec.DecodeError:
        return row.type
    names = ("action", "scope", "target", "speed", "name", "outcome", "occurrence", "reason")
    said = [str(payload[name]) for name in names if payload.get(name) not in (None, "", 0.0)]
    return " · ".join(said) or row.type


def _shown(row: Outbox, now: datetime) -> dict[str, Any]:
    state, note = state_of(row, now)
    return {
        "row": row,
        "what": what(row),
        "state": state,
        "note": note,
        "by": ANSWERS.get(row.stream, ""),
        "requested_ms": _ms(row.created),
        "sent_ms": _ms(row.published_at),
        "acknowledged_ms": _ms(row.acknowledged_at),
        "done_ms": _ms(row.done_at),
    }


def _own(request: HttpRequest) -> str | None:
    """Return whose requests a person sees: None is everybody's."""
    whole = request.user.has_perm(named("view_whole_audit"))
    return None if whole else request.user.get_username()


@require_GET
def page(request: HttpRequest) -> HttpResponse:
    """Show the last requests; htmx gets their table alone."""
    now, actor = timezone.now(), _own(request)
    context: dict[str, Any] = {
        "tab": "requests",
        "rows": [_shown(row, now) for row in latest_requests(limit=50, actor=actor)],
        "own": actor is not None,
    }
    if getattr(request, "htmx", None):
        return render(request, "pages/audit/requests_table.html", context)
    return station_page(request, "pages/audit/requests.html", page="Audit", context=context)


@require_GET
def one(request: HttpRequest, number: int) -> HttpResponse:
    """Return how far one of a person's own requests has come: for the line that says so where it was asked."""
    row = request_of(number, actor=request.user.get_username())
    if row is None:
        raise Http404
    shown = _shown(row, timezone.now())
    names = ("what", "state", "note", "by", "requested_ms", "sent_ms", "acknowledged_ms", "done_ms")
    return JsonResponse({name: shown[name] for name in names})
