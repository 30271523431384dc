"""Statements of the QuestDB store's reads. Text travels as parameters, numbers as literals, names come from here.

A question about time always names both its ends: of ``ts < X ORDER BY ts DESC LIMIT n`` without a lower end, QuestDB
9.2.2 returns no row.
"""

from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

import msgspec

from market.store import queries as shared
from market.store.port import (
    BarRow,
    EquityRow,
    EventFilter,
    EventRow,
    LifeRow,
    OrderFilter,
    OrderRow,
    TournamentAuditRow,
    TournamentFilter,
    TournamentResultRow,
    TradeFilter,
    TradeRow,
)
from market.store.questdb.schema import EARLIEST_NS, LATEST_NS

Row = TypeVar("Row")
Condition = tuple[str, tuple[str, ...]]
"""A piece of SQL and the texts of its marks."""

KEYS = {"engine_ns": ("ts",), "symbol": ("symbol", "ts"), "state": ("state", "ts")}
"""Columns that a sort compares before those that make a row of one time unique."""


class Listing(msgspec.Struct, Generic[Row], frozen=True):
    """A table with the row that it holds: ``ties`` make rows of one time an order, ``make`` takes its columns."""

    kind: type[Row]
    table: str
    columns: str
    ties: tuple[str, ...]
    make: Callable[[Sequence[Any]], Row]


def _columns(kind: type[msgspec.Struct], **others: str) -> str:
    return ", ".join(others.get(name, name) for name in kind.__struct_fields__)


EVENTS = Listing(EventRow, "agent_events", _columns(EventRow, ts_ns="ts::long"), ("writer", "seq"), shared.event_row)
ORDERS = Listing(OrderRow, "orders", _columns(OrderRow, engine_ns="ts::long"), ("order_id",), shared.order_row)
TRADES = Listing(
    TradeRow, "trades", _columns(TradeRow, engine_ns="ts::long", fee="commission"), ("writer", "seq"), shared.trade_row
)
LIFE = Listing(LifeRow, "order_events", _columns(LifeRow, ts_ns="ts::long"), ("writer", "seq"), shared.life_row)
EQUITY = Listing(EquityRow, "equity", _columns(EquityRow, ts_ns="ts::long"), ("writer", "seq"), shared.equity_row)
BARS = Listing(
    BarRow,
    "ohlcv",
    _columns(BarRow, ts_ns="ts::long", symbol="sym", open="o", high="h", low="l", close="c", volume="v"),
    ("writer", "seq", "sym", "interval_s", "exchange", "data_source", "revision"),
    shared.bar_row,
)
RESULTS = Listing(
    TournamentResultRow,
    "tournament_results",
    _columns(TournamentResultRow, ts_ns="ts::long"),
    ("writer", "seq"),
    shared.result_row,
)
AUDIT = Listing(
    TournamentAuditRow,
    "tournament_audit",
    _columns(TournamentAuditRow, ts_ns="ts::long"),
    ("writer", "seq"),
    shared.audit_row,
)
LISTINGS: dict[type[Any], Listing[Any]] = {
    listing.kind: listing for listing in (BARS, EVENTS, ORDERS, LIFE, TRADES, EQUITY, RESULTS, AUDIT)
}

INTEGERS = frozenset({"ts", "seq", "interval_s", "revision"})


def between(start_ns: int | None, end_ns: int | None) -> str:
    """Return the condition of a time in [start, end)."""
    start = EARLIEST_NS if start_ns is None else min(max(start_ns, EARLIEST_NS), LATEST_NS + 1)
    end = LATEST_NS + 1 if end_ns is None else min(max(end_ns, EARLIEST_NS), LATEST_NS + 1)
    if start >= end:
        return "1 = 0"
    return f"ts >= {start} AND ts <= {end - 1}"


def order_conditions(filters: OrderFilter) -> list[Condition]:
    """Return what a filter asks of ``orders``, its time aside."""
    found = _equal(filters, ("symbol", "side", "state"))
    wanted = (("strategy", filters.strategy), ("denial", filters.denial))
    found += [("strpos(tags, %s) > 0", (f"\n{name}:{value}\n",)) for name, value in wanted if value is not None]
    return found


def trade_conditions(filters: TradeFilter) -> list[Condition]:
    """Return what a filter asks of ``trades``, its time aside."""
    found = _equal(filters, ("symbol", "side", "order_id"))
    if filters.strategy is not None:
        found.append(("strpos(concat(',', strategy_id, ','), %s) > 0", (f",{filters.strategy},",)))
    return found


def event_conditions(filters: EventFilter) -> list[Condition]:
    """Return what a filter asks of ``agent_events``, its time and text aside."""
    found = _equal(filters, ("event_type", "agent_id", "symbol", "writer"))
    if filters.scope is None:
        return found
    return [*found, _one_of((("agent_id", filters.scope.agents), ("event_type", filters.scope.types)))]


def tournament_conditions(filters: TournamentFilter) -> list[Condition]:
    """Return what a filter asks of ``tournament_results`` and ``tournament_audit``."""
    found = _equal(filters, ("tournament_id", "strategy_id"))
    return found if filters.within is None else [*found, _one_of((("strategy_id", filters.within),))]


def text_condition(text: str) -> Condition:
    """Return the condition of a text in ``metadata``; it folds more letters than A to Z, see :func:`holds_text`."""
    return "strpos(lower(metadata), lower(%s)) > 0", (text,)


def holds_text(row: EventRow, text: str) -> bool:
    """Return whether a text occurs in an event's metadata, A to Z alike in both cases."""
    return _folded(text) in _folded(row.metadata)


def after(key: Sequence[str], values: Sequence[Any], *, descending: bool) -> Condition:
    """Return the condition of rows that come after a row, by these columns one after the other."""
    sign, either, texts = "<" if descending else ">", [], list[str]()
    for index in range(len(key)):
        same = [*zip(key[:index], values[:index], strict=True)]
        parts = [f"{column} = {_literal(value)}" for column, value in same]
        parts.append(f"{key[index]} {sign} {_literal(values[index])}")
        texts += [value for _, value in [*same, (key[index], values[index])] if isinstance(value, str)]
        either.append(f"({' AND '.join(parts)})")
    return f"({' OR '.join(either)})", tuple(texts)


def order_by(key: Sequence[str], *, descending: bool) -> str:
    """Return how rows are sorted."""
    return ", ".join(f"{column} {'DESC' if descending else 'ASC'}" for column in key)


def joined(conditions: Sequence[Condition], time: str) -> tuple[str, tuple[str, ...]]:
    """Return conditions as one, and the texts of its marks."""
    return " AND ".join((time, *(text for text, _ in conditions))), tuple(
        value for _, values in conditions for value in values
    )


def _equal(filters: msgspec.Struct, columns: Sequence[str]) -> list[Condition]:
    given = ((name, getattr(filters, name)) for name in columns)
    return [(f"{name} = %s", (value,)) for name, value in given if value is not None]


def _one_of(parts: Sequence[tuple[str, tuple[str, ...]]]) -> Condition:
    texts = [f"{column} IN ({', '.join(['%s'] * len(values))})" for column, values in parts if values]
    return f"({' OR '.join(texts)})" if texts else "1 = 0", tuple(value for _, values in parts for value in values)


def _literal(value: Any) -> str:
    return "%s" if isinstance(value, str) else str(int(value))


def _folded(text: str) -> str:
    return text.translate(_SMALL)


_SMALL = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}
