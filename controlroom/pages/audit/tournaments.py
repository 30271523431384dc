"""What tournaments have decided, as the record holds it."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_GET

from controlroom.pages.audit.area import TOURNAMENT_TYPES, area_of, holds
from controlroom.pages.audit.search import PAGE_ROWS, row_of
from controlroom.pages.station import station_page
from controlroom.pages.store import station_store
from market.store.port import EventFilter, EventScope, QueryError, StoreUnavailableError


@require_GET
def page(request: HttpRequest) -> HttpResponse:
    """Show the tournaments' events, newest first, inside what the person may see."""
    area, after = area_of(request.user), request.GET.get("after") or None
    context: dict[str, Any] = {"tab": "tournaments", "first": after is None}
    try:
        page = station_store().events(
            EventFilter(scope=EventScope(types=TOURNAMENT_TYPES)), after_key=after, limit=PAGE_ROWS
        )
    except (QueryError, StoreUnavailableError) as error:
        context["problem"] = str(error)
    else:
        context["rows"] = [
            row_of(event) for event in page.rows if holds(area, agent_id=event.agent_id, event_type=event.event_type)
        ]
        context["next_key"] = page.next_key
    return station_page(request, "pages/audit/tournaments.html", page="Audit", context=context)
