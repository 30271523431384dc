"""Events of the record as the Audit page finds them, inside what the token's owner may see."""

from typing import Any

import msgspec
from django.http import HttpRequest
from ninja import Query, Router, Schema
from pydantic import Field

from controlroom.api.door import Token, actor_of
from controlroom.pages.audit.area import area_of
from controlroom.pages.audit.asked import filter_of
from controlroom.pages.store import station_store

router = Router()


class Asked(Schema):
    """The search's filter; a parameter that is left out asks for nothing."""

    type: str = ""
    agent: str = ""
    symbol: str = ""
    writer: str = ""
    text: str = ""
    from_: str = Field(default="", alias="from", description="YYYY-MM-DD or a time, UTC")
    to: str = ""
    after: str = Field(default="", description="`next` of the page before")
    limit: int = Field(default=50, ge=1, le=500)


class Events(Schema):
    """Rows of market/store/port.py, EventRow, with ``payload`` as it stands in the journal.

    ``next``: what ``after`` asks for to go on, null at the end; a search may stop early, with few rows or none.
    """

    events: list[dict[str, Any]]
    next: str | None


@router.get("/events", auth=Token("audit"), response=Events, summary="Events of the record, newest first")
def events(request: HttpRequest, asked: Query[Asked]) -> dict[str, Any]:
    """Return events by filter."""
    filters = filter_of(request.GET, area_of(actor_of(request).token.owner))
    page = station_store().events(filters, after_key=asked.after or None, limit=asked.limit)
    return {"events": [_row(event) for event in page.rows], "next": page.next_key}


def _row(event: Any) -> dict[str, Any]:
    row: dict[str, Any] = msgspec.to_builtins(event)
    return row | {"payload": msgspec.json.decode(row.pop("metadata"))}
