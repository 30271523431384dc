"""What tournaments have decided, as the record holds it: their events by round and strategy, and what came of them."""

from typing import Any

import msgspec
from django.http import HttpRequest, HttpResponse, QueryDict
from django.views.decorators.http import require_GET

from controlroom.pages.audit.area import TOURNAMENT_TYPES, area_of, in_words
from controlroom.pages.audit.search import PAGE_ROWS, says, without
from controlroom.pages.station import station_page
from controlroom.pages.store import station_store
from market.store.port import (
    EventScope,
    QueryError,
    StoreUnavailableError,
    TournamentAuditRow,
    TournamentFilter,
    TournamentResultRow,
)

RESULTS = 20  # newest results beside the events
LONGEST_NAME = 200
IN_COLUMNS = ("round_id", "strategy_id", "agent")  # of what an event says


def filter_of(query: QueryDict, area: EventScope | None) -> TournamentFilter:
    """Return the filter that a URL asks for, inside what its reader may see.

    Raises
    ------
    QueryError
        if a name is longer than any.
    """
    given = {name: query.get(name, "").strip() for name in ("round", "strategy")}
    for name, value in given.items():
        if len(value) > LONGEST_NAME:
            raise QueryError(f"{name} has {len(value)} characters; allowed are at most {LONGEST_NAME}")
    whole = area is None or set(TOURNAMENT_TYPES) <= set(area.types)
    return TournamentFilter(
        tournament_id=given["round"] or None,
        strategy_id=given["strategy"] or None,
        within=None if area is None or whole else area.agents,
    )


def said_by(row: TournamentAuditRow) -> str:
    """Return what an event says beyond its columns in one line, a sealed text as no more than that."""
    payload = msgspec.json.decode(row.event_data)
    if not isinstance(payload, dict):
        return says(row.event_data)
    sealed = {"text": "sealed"} if "box" in payload else {}
    told = {name: value for name, value in payload.items() if name not in {*IN_COLUMNS, "box"}}
    return says(msgspec.json.encode(sealed | told).decode())


def _event(row: TournamentAuditRow) -> dict[str, Any]:
    return {"event": row, "at_ms": row.ts_ns // 1_000_000, "says": said_by(row)}


def _result(row: TournamentResultRow) -> dict[str, Any]:
    return {"result": row, "at_ms": row.ts_ns // 1_000_000, "capital": row.capital_allocation_percent / 100.0}


def _nothing(filters: TournamentFilter, *, later_page: bool) -> str:
    """Return why a page of events is empty."""
    if filters.within == ():
        return (
            "Your roles see the audit of their own area, and no strategy is yours yet: "
            "whoever manages people assigns one to you under Admin, People."
        )
    if later_page:
        return "There is nothing older."
    if filters.tournament_id is not None or filters.strategy_id is not None:
        return "No tournament event that you may see matches all of this filter. Loosen it, or clear it."
    if filters.within is not None:
        return "No tournament event of your strategies is in this record yet."
    return (
        "No tournament has been held in this record. The table fills with the first round: "
        "each challenge, defence and result as it was decided, with its hash."
    )


def _table(query: QueryDict, area: EventScope | None) -> dict[str, Any]:
    """Return the page's rows and links, ``problem`` in their place where there is none."""
    after = query.get("after") or None
    shared = {"query": without(query), "first": after is None}
    try:
        filters, store = filter_of(query, area), station_store()
        page = store.tournament_audit(filters, after_key=after, limit=PAGE_ROWS)
        results = store.tournament_results(filters, limit=RESULTS)
    except (QueryError, StoreUnavailableError) as error:
        return {**shared, "problem": str(error)}
    seen: list[TournamentAuditRow | TournamentResultRow] = [*page.rows, *results.rows]
    return {
        **shared,
        "rows": [_event(row) for row in page.rows],
        "next_query": f"{without(query)}&after={page.next_key}".removeprefix("&") if page.next_key else "",
        "results": [_result(row) for row in results.rows],
        "more_results": results.next_key is not None,
        "rounds": sorted({row.tournament_id for row in seen} - {""}, reverse=True),
        "strategies": sorted({row.strategy_id for row in seen} - {""}),
        "nothing": _nothing(filters, later_page=after is not None),
    }


@require_GET
def page(request: HttpRequest) -> HttpResponse:
    """Show the tournaments' events, newest first, inside what the person may see."""
    area = area_of(request.user)
    context = {"tab": "tournaments", "asked": request.GET, "area": in_words(area), **_table(request.GET, area)}
    return station_page(request, "pages/audit/tournaments.html", page="Audit", context=context)
