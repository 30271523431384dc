"""The filter of the event search, as its URL says it."""

from datetime import UTC, datetime, timedelta
from typing import Any

from django.http import QueryDict

from controlroom.pages.formats import NEW_YORK
from market.store.port import EventFilter, EventScope, QueryError

ZONES: dict[str, Any] = {"utc": UTC, "et": NEW_YORK}
LONGEST_TEXT = 200


def zone_of(query: QueryDict) -> str:
    """Return in which zone times are typed and shown: "utc", or "et"."""
    asked = query.get("tz", "utc")
    return asked if asked in ZONES else "utc"


def instant_ns(name: str, text: str, zone: str, *, day_after: bool = False) -> int | None:
    """Return an instant, None for an empty text; a day without a time is its beginning, or that of the day after.

    Raises
    ------
    QueryError
        if the text is neither a day nor a time.
    """
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text)
        if len(text) == len("2019-02-13") and day_after:
            at += timedelta(days=1)
        at = at if at.tzinfo else at.replace(tzinfo=ZONES[zone])
        return (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 1000
    except (ValueError, OverflowError) as error:
        raise QueryError(f"{name} {text[:40]!r} is no time; allowed are YYYY-MM-DD and YYYY-MM-DDTHH:MM:SS") from error


def filter_of(query: QueryDict, area: EventScope | None) -> EventFilter:
    """Return the filter that a URL asks for, inside what its reader may see.

    Raises
    ------
    QueryError
        if a field has a value that is not allowed.
    """
    zone, text = zone_of(query), query.get("text", "").strip()
    if len(text) > LONGEST_TEXT:
        raise QueryError(f"text has {len(text)} characters; allowed are at most {LONGEST_TEXT}")
    start = instant_ns("from", query.get("from", "").strip(), zone)
    end = instant_ns("to", query.get("to", "").strip(), zone, day_after=True)
    if start is not None and end is not None and start >= end:
        raise QueryError(f"from {query.get('from', '')} is not before to {query.get('to', '')}")
    return EventFilter(
        event_type=query.get("type", "").strip() or None,
        agent_id=query.get("agent", "").strip() or None,
        symbol=query.get("symbol", "").strip().upper() or None,
        writer=query.get("writer", "").strip() or None,
        start_ns=start,
        end_ns=end,
        text=text or None,
        scope=area,
    )
