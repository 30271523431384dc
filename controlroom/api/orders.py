"""Orders as the blotter has them: the same filter, sort and pages, from the recorder's store."""

from typing import Any

import msgspec
from django.http import HttpRequest
from ninja import Query, Router, Schema
from pydantic import Field

from controlroom.api.door import Token
from controlroom.pages.orders import filter_of
from controlroom.pages.store import station_store

router = Router()


class Asked(Schema):
    """The blotter's filter; a parameter that is left out asks for nothing."""

    symbol: str = ""
    side: str = Field(default="", description="BUY or SELL")
    state: str = ""
    strategy: str = ""
    denial: str = Field(default="", description="code of a denial")
    from_: str = Field(default="", alias="from", description="first day, YYYY-MM-DD, New York's")
    to: str = Field(default="", description="last day")
    sort: str = Field(default="-engine_ns", description="engine_ns, symbol or state; - before it turns it round")
    after: str = Field(default="", description="`next` of the page before")
    limit: int = Field(default=50, ge=1, le=500)


class Orders(Schema):
    """Rows of market/store/port.py, OrderRow; ``next``: what ``after`` asks for to go on, null at the end."""

    orders: list[dict[str, Any]]
    next: str | None


@router.get("", auth=Token("orders"), response=Orders, summary="Orders by filter, sort and page")
def orders(request: HttpRequest, asked: Query[Asked]) -> dict[str, Any]:
    """Return orders; denied ones are among them."""
    filters, after = filter_of(request.GET), asked.after or None
    page = station_store().orders(filters, sort=asked.sort, after_key=after, limit=asked.limit)
    return {"orders": [msgspec.to_builtins(row) for row in page.rows], "next": page.next_key}
