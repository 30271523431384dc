"""The first page: the account's curve, the strategies, the watchlist, latest orders, alerts, health."""

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_GET

from controlroom.access.permissions import named
from controlroom.live.source import read_now
from controlroom.pages.allocation import brief
from controlroom.pages.history import history
from controlroom.pages.ranges import LIVE, range_of
from controlroom.pages.station import station_page
from controlroom.pages.store import station_store
from market.store.port import EventFilter, StoreUnavailableError

POINTS = 1500
MARKS = 50


@require_GET
def page(request: HttpRequest) -> HttpResponse:
    """Show the overview."""
    now = read_now()
    view = now[0].view or {}
    span = range_of(request, view.get("engine_ns"))
    context = {"range": span, "ranges": LIVE, "capital": brief.capital(view)}
    if request.user.has_perm(named("view_tournaments")):
        context["coming"] = brief.tournament(view, now[0].now_ms)
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
