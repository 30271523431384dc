"""The blotter: orders by filter, sort and page as the URL says, the same as CSV, and one order's whole life."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import chain, islice
from typing import Any

import msgspec
from django.core.handlers.asgi import ASGIRequest
from django.http import Http404, HttpRequest, HttpResponse, QueryDict, StreamingHttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from controlroom.live.patch import without_nulls
from controlroom.live.rows import order_row, strategy_title
from controlroom.live.source import read_now
from controlroom.pages.formats import NEW_YORK, Shown, show
from controlroom.pages.station import station_page
from controlroom.pages.store import station_store
from controlroom.pages.streaming import Line, later
from market.store.port import LifeRow, OrderFilter, OrderRow, QueryError, StoreUnavailableError

PAGE_ROWS = 50
MOST_COUNTED = 10_000
SORTS = ("engine_ns", "symbol", "state")
STATES = (
    "RISK_DENIED",
    "INTENT",
    "SUBMITTED",
    "ACCEPTED",
    "PARTIALLY_FILLED",
    "FILLED",
    "PENDING_UPDATE",
    "PENDING_CANCEL",
    "CANCELED",
    "REJECTED",
    "EXPIRED",
    "UNKNOWN",
    "EXTERNAL",
)


@dataclass(frozen=True)
class Column:
    """A column of the blotter: the row's field, its title, its format, what it is sorted by."""

    name: str
    title: str
    form: str
    sort: str = ""
    numeric: bool = True
    chosen: bool = True


COLUMNS = (
    Column("at_ms", "decided ET", "et_stamp", "engine_ns", numeric=False),
    Column("symbol", "symbol", "text", "symbol", numeric=False),
    Column("side", "side", "text", numeric=False),
    Column("lots", "lots", "integer"),
    Column("type", "type", "text", numeric=False, chosen=False),
    Column("filled", "filled", "integer"),
    Column("expected", "expected", "price"),
    Column("price", "obtained", "price"),
    Column("against", "against expected", "points"),
    Column("fee", "fee", "money", chosen=False),
    Column("slippage", "slippage", "money", chosen=False),
    Column("state", "state", "state", "state", numeric=False),
    Column("shares", "strategies", "text", numeric=False),
    Column("why", "denied because", "maybe", numeric=False),
)


def _day_ns(text: str, days: int = 0) -> int | None:
    """Return the beginning of a New York day (``days`` later), None if the text is empty.

    Raises
    ------
    QueryError
        if the text is no day.
    """
    if not text:
        return None
    try:
        day = date.fromisoformat(text) + timedelta(days=days)
    except (ValueError, OverflowError) as error:
        raise QueryError(f"day {text!r} is not one as YYYY-MM-DD") from error
    return int(datetime(day.year, day.month, day.day, tzinfo=NEW_YORK).timestamp()) * 1_000_000_000


def filter_of(query: QueryDict) -> OrderFilter:
    """Return the filter that the URL asks for.

    Raises
    ------
    QueryError
        if a field has a value that is not allowed.
    """
    side, state = query.get("side", "").upper(), query.get("state", "").upper()
    if side not in {"", "BUY", "SELL"}:
        raise QueryError(f"side {side!r} is unknown; allowed are BUY, SELL")
    if state and state not in STATES:
        raise QueryError(f"state {state!r} is unknown; allowed are {', '.join(STATES)}")
    return OrderFilter(
        symbol=query.get("symbol", "").strip().upper() or None,
        side=side or None,
        state=state or None,
        strategy=query.get("strategy", "") or None,
        denial=query.get("denial", "").strip().upper() or None,
        start_ns=_day_ns(query.get("from", "")),
        end_ns=_day_ns(query.get("to", ""), 1),
    )


def stored_row(view: dict[str, Any], order: OrderRow) -> dict[str, Any]:
    """Return an order of the store as the blotter shows it."""
    row = order_row(view, msgspec.structs.asdict(order))
    return dict(without_nulls({**row, "fee": order.fee, "slippage": order.slippage}))


def _with(query: QueryDict, **changes: str | None) -> str:
    """Return the URL's query with changes, from the first page on."""
    changed = query.copy()
    changed.pop("after", None)
    for name, value in changes.items():
        changed.pop(name, None)
        if value:
            changed[name] = value
    return changed.urlencode()


def _headings(query: QueryDict, sort: str, columns: list[Column]) -> list[dict[str, Any]]:
    column, descending = sort.removeprefix("-"), sort.startswith("-")
    return [
        {
            "column": item,
            "query": _with(query, sort=item.sort if descending and item.sort == column else f"-{item.sort}")
            if item.sort
            else "",
            "order": ("descending" if descending else "ascending") if item.sort == column else "",
        }
        for item in columns
    ]


def _cells(row: dict[str, Any], columns: list[Column]) -> list[tuple[Column, Shown, Any]]:
    values = ((column, row.get(column.name)) for column in columns)
    return [(column, show(value, column.form), value) for column, value in values]


def _table(query: QueryDict, view: dict[str, Any]) -> dict[str, Any]:
    """Return all that the blotter's table needs: rows, totals, links; ``problem`` in their place if there are none."""
    asked = set(query.getlist("col"))
    columns = [column for column in COLUMNS if (column.name in asked if asked else column.chosen)]
    sort, after = query.get("sort", "-engine_ns"), query.get("after") or None
    shared = {
        "columns": columns,
        "query": _with(query),
        "first": after is None and sort == "-engine_ns",
        "store_total": 0,
    }
    try:
        filters, store = filter_of(query), station_store()
        page = store.orders(filters, sort=sort, after_key=after, limit=PAGE_ROWS)
        count = store.count_orders(filters, most=MOST_COUNTED)
    except (QueryError, StoreUnavailableError) as error:
        return {**shared, "problem": str(error), "headings": _headings(query, "", columns)}
    rows = [stored_row(view, order) for order in page.rows]
    return {
        **shared,
        "rows": [{"order_id": row["order_id"], "cells": _cells(row, columns)} for row in rows],
        "headings": _headings(query, sort, columns),
        "count": count,
        "counted_all": count < MOST_COUNTED,
        "shown_filled": sum(row.get("filled") or 0 for row in rows),
        "shown_fee": sum(row["fee"] for row in rows),
        "shown_slippage": sum(row["slippage"] for row in rows),
        "next_query": f"{_with(query)}&after={page.next_key}" if page.next_key else "",
    }


@require_GET
def page(request: HttpRequest) -> HttpResponse:
    """Show the blotter; htmx gets its table alone."""
    now = read_now()
    view = now[0].view or {}
    context = {"table": _table(request.GET, view), "asked": request.GET, "states": STATES, "all_columns": COLUMNS}
    if getattr(request, "htmx", None):
        return render(request, "pages/orders_table.html", context)
    context["strategy_names"] = [(name, strategy_title(view, name)) for name in view.get("strategies", {})]
    return station_page(request, "pages/orders.html", page="Orders", topics=("orders",), context=context, now=now)


FIELDS = (
    "order_id",
    "engine_ns",
    "symbol",
    "side",
    "lots",
    "type",
    "time_in_force",
    "filled_lots",
    "expected_price",
    "average_price",
    "fee",
    "slippage",
    "state",
    "reason",
)


def _lines(orders: Iterator[OrderRow]) -> Iterator[str]:
    writer: Any = csv.writer(Line())
    yield writer.writerow([*FIELDS, "lots_by_strategy", "denials"])
    for order in orders:
        shares = " ".join(f"{name}:{lots}" for name, lots in order.lots_by_strategy.items())
        denials = " ".join(f"{denial['code']}({denial['value']!r}>{denial['limit']!r})" for denial in order.denials)
        yield writer.writerow([*(getattr(order, name) for name in FIELDS), shares, denials])


@require_GET
def as_csv(request: HttpRequest) -> HttpResponse | StreamingHttpResponse:
    """Return all orders of exactly the blotter's filter and sort, as they are read."""
    try:
        lines = _lines(station_store().every_order(filter_of(request.GET), sort=request.GET.get("sort", "-engine_ns")))
        begun = list(islice(lines, 2))  # the first row, so that a wrong filter is a sentence and not half a file
    except (QueryError, StoreUnavailableError) as error:
        return HttpResponse(str(error), status=400, content_type="text/plain; charset=utf-8")
    whole = chain(begun, lines)
    return StreamingHttpResponse(
        later(whole) if isinstance(request, ASGIRequest) else whole,
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": 'attachment; filename="orders.csv"'},
    )


@require_GET
def life(request: HttpRequest, order_id: str) -> HttpResponse:
    """Show one order: every event of its life, its denials with their numbers, expected against obtained price."""
    now = read_now()
    view = now[0].view or {}
    context: dict[str, Any] = {"order_id": order_id}
    try:
        order, events = station_store().order(order_id), station_store().order_life(order_id)
    except StoreUnavailableError as error:
        context["problem"] = str(error)
    else:
        context |= _told(view, order, events) if order is not None else _not_stored(view, order_id)
    return station_page(request, "pages/order.html", page="Orders", topics=("orders",), context=context, now=now)


def _told(view: dict[str, Any], order: OrderRow, events: list[LifeRow]) -> dict[str, Any]:
    return {
        "order": order,
        "row": stored_row(view, order),
        "shares": [(strategy_title(view, name), lots) for name, lots in order.lots_by_strategy.items()],
        "steps": [_step(event) for event in events],
    }


def _not_stored(view: dict[str, Any], order_id: str) -> dict[str, Any]:
    """Return what to say of an order that the store does not have.

    Raises
    ------
    Http404
        if the worker does not know it either.
    """
    if order_id not in {order["order_id"] for order in view.get("orders", [])}:
        raise Http404
    return {"problem": "the recorder has not stored it yet (System shows its lag); load the page again"}


def _step(event: LifeRow) -> dict[str, Any]:
    payload: dict[str, Any] = msgspec.json.decode(event.payload)
    told = {
        name: value
        for name, value in payload.items()
        if name not in {"order_id", "engine_ns", "broker_ns", "symbol", "state", "denials"}
        and value not in (None, "", [], {})
    }
    return {"event": event, "at_ms": event.ts_ns // 1_000_000, "wall_ms": event.utc_ns // 1_000_000, "payload": told}
