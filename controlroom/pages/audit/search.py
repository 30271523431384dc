"""The event search: a page of events by the filter of its URL, and all of exactly that filter as a file."""

import csv
from collections.abc import Iterator
from itertools import chain, islice
from typing import Any

import msgspec
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, HttpResponse, QueryDict, StreamingHttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from controlroom.live.source import read_now
from controlroom.pages.audit.area import area_of, in_words
from controlroom.pages.audit.asked import filter_of, zone_of
from controlroom.pages.station import station_page
from controlroom.pages.store import station_store
from controlroom.pages.streaming import Line, later
from events import tournament
from events.types import PAYLOADS
from market.store.port import EventFilter, EventRow, EventScope, QueryError, StoreUnavailableError
from recorder.projector import QUIET

PAGE_ROWS = 50
WRITERS = ("execution", "station")
PROCESSES = ("engine", "worker", "controlroom", "calibrators", "recorder", "relay")
LONGEST_SAYING = 400  # characters of what an event says
TYPES = sorted({*PAYLOADS, *tournament.TYPES} - QUIET)


def says(metadata: str) -> str:
    """Return the plain values of a payload in one line; what it nests is on the event's page."""
    payload = msgspec.json.decode(metadata)
    if not isinstance(payload, dict):
        return metadata[:LONGEST_SAYING]
    parts = [
        f"{name} {_short(value)}"
        for name, value in payload.items()
        if value not in (None, "", [], {}) and not name.endswith("_ns")
    ]
    return " · ".join(parts)[:LONGEST_SAYING]


def _short(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name} {_short(inner)}" for name, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_short(inner) for inner in value) + "]"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def row_of(event: EventRow) -> dict[str, Any]:
    """Return an event as a row of a table."""
    return {
        "event": event,
        "at_ms": event.ts_ns // 1_000_000,
        "written_ms": event.utc_ns // 1_000_000,
        "says": says(event.metadata),
    }


def without(query: QueryDict, *names: str) -> str:
    """Return the URL's query without these fields and without the page."""
    left = query.copy()
    for name in ("after", *names):
        left.pop(name, None)
    return left.urlencode()


def _nothing(filters: EventFilter, area: EventScope | None, *, later_page: bool, looked: bool) -> str:
    """Return why a page of events is empty."""
    if area is not None and not area.agents and not area.types:
        return (
            "Your roles see the audit of their own area, and no strategy is yours yet: "
            "whoever manages people assigns one to you under Admin, People."
        )
    if filters.event_type in QUIET:
        return (
            f"{filters.event_type} records stand in the journal but not in this list: they are every second record and "
            "have tables of their own. Open one by its number below."
        )
    if looked:
        return "No event among those looked at holds this text."
    if later_page:
        return "There is nothing older."
    asked = any(getattr(filters, name) is not None for name in filters.__struct_fields__ if name != "scope")
    if asked:
        return "No event matches all of this filter. Loosen it, or clear it."
    return "Nothing has been recorded yet that you may see: the recorder writes an event here within a second."


def _table(query: QueryDict, area: EventScope | None) -> dict[str, Any]:
    """Return what the table needs: rows and links; ``problem`` in their place where there is none."""
    after = query.get("after") or None
    shared = {"query": without(query), "first": after is None, "zone": zone_of(query)}
    try:
        filters = filter_of(query, area)
        page = station_store().events(filters, after_key=after, limit=PAGE_ROWS)
    except (QueryError, StoreUnavailableError) as error:
        return {**shared, "problem": str(error)}
    link = f"{without(query)}&after={page.next_key}".removeprefix("&") if page.next_key else ""
    looked = page.looked_to_ns
    return {
        **shared,
        "rows": [row_of(event) for event in page.rows],
        "next_query": link,
        "looked_ms": None if looked is None else looked // 1_000_000,
        "nothing": _nothing(filters, area, later_page=after is not None, looked=looked is not None),
    }


@require_GET
def page(request: HttpRequest) -> HttpResponse:
    """Show the search; htmx gets its table alone."""
    area = area_of(request.user)
    context: dict[str, Any] = {"table": _table(request.GET, area), "asked": request.GET, "tab": "events"}
    if getattr(request, "htmx", None):
        return render(request, "pages/audit/events_table.html", context)
    now = read_now()
    view = now[0].view or {}
    context |= {
        "types": TYPES,
        "agents": [*view.get("strategies", {}), *PROCESSES],
        "symbols": sorted(view.get("symbols", {})),
        "writers": WRITERS,
        "zone": zone_of(request.GET),
        "other_zone": without(request.GET, "tz") + ("" if zone_of(request.GET) == "et" else "&tz=et"),
        "area": in_words(area),
        "whole": area is None,
    }
    return station_page(request, "pages/audit/events.html", page="Audit", context=context, now=now)


FIELDS = (
    "ts_ns", "utc_ns", "writer", "seq", "event_type", "agent_id", "symbol", "signal_strength", "confidence",
    "competitive_score", "run", "hash_prev", "hash_current", "metadata",
)  # fmt: skip


def _csv_lines(events: Iterator[EventRow]) -> Iterator[str]:
    writer: Any = csv.writer(Line())
    yield writer.writerow(FIELDS)
    for event in events:
        yield writer.writerow([getattr(event, name) for name in FIELDS])


def _json_lines(events: Iterator[EventRow]) -> Iterator[str]:
    for event in events:
        fields = {name: getattr(event, name) for name in FIELDS if name != "metadata"}
        payload = msgspec.Raw(event.metadata.encode())
        yield msgspec.json.encode({**fields, "payload": payload}).decode() + "\n"


@require_GET
def download(request: HttpRequest, form: str) -> HttpResponse | StreamingHttpResponse:
    """Return all events of exactly the search's filter, newest first, as they are read."""
    kinds = {"csv": (_csv_lines, "text/csv"), "jsonl": (_json_lines, "application/jsonl")}
    make, content_type = kinds[form]
    try:
        lines = make(station_store().every_event(filter_of(request.GET, area_of(request.user))))
        begun = list(islice(lines, 2))  # the first row, so that a wrong filter is a sentence and not half a file
    except (QueryError, StoreUnavailableError) as error:
        return HttpResponse(str(error), status=400, content_type="text/plain; charset=utf-8")
    whole = chain(begun, lines)
    return StreamingHttpResponse(
        later(whole) if isinstance(request, ASGIRequest) else whole,
        content_type=f"{content_type}; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="events.{form}"'},
    )
