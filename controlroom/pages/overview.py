"""The first page: the account's curve, the strategies, the watchlist, latest orders, alerts, health."""

from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_GET

from controlroom.live.rows import strategies
from controlroom.live.source import read_now
from controlroom.pages.history import history
from controlroom.pages.ranges import LIVE, range_of
from controlroom.pages.station import station_page
from controlroom.pages.store import station_store
from market.store.port import EventFilter, StoreUnavailableError

POINTS = 1500
MARKS = 50


def capital(view: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the bar of capital: each strategy's share of the account, in percent, and where it begins."""
    parts, x = [], 0.0
    for row in strategies(view)["by"].values():
        width = 100 * (row["weight"] or 0.0)
        parts.append(
            {"tone": row["tone"], "x": f"{x:.3f}", "width": f"{width:.3f}", "title": f"{row['title']} {width:.1f} %"}
        )
        x += width
    return parts


@require_GET
def page(request: HttpRequest) -> HttpResponse:
    """Show the overview."""
    now = read_now()
    view = now[0].view or {}
    span = range_of(request, view.get("engine_ns"))
    context = {"range": span, "ranges": LIVE, "capital": capital(view)}
    return station_page(request, "pages/overview.html", page="Overview", topics=("overview",), context=context, now=now)


@require_GET
def equity(request: HttpRequest) -> HttpResponse:
    """Return the account's curve as columns, oldest first, with the marks of what changed its state."""
    now = read_now()[0]
    span = range_of(request, (now.view or {}).get("engine_ns"))
    try:
        store = station_store()
        rows = store.equity(span.start_ns, span.end_ns, POINTS)
        states = store.events(
            EventFilter(event_type="StateEvent", start_ns=span.start_ns, end_ns=span.end_ns), limit=MARKS
        ).rows
    except StoreUnavailableError as error:
        return JsonResponse({"error": str(error)}, status=503)
    return JsonResponse(
        {
            "at_ms": [row.ts_ns // 1_000_000 for row in rows],
            "equity": [row.equity for row in rows],
            "drawdown": [-row.drawdown for row in rows],
            "marks": [{"at_ms": state.ts_ns // 1_000_000, "metadata": state.metadata} for state in states],
        }
    )


@require_GET
def sparks(_request: HttpRequest) -> HttpResponse:
    """Return the latest values of every number that has a sparkline."""
    return JsonResponse(history(read_now()[0].view or {}))
