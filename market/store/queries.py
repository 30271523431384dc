"""Statements and rows of the embedded store's reads. Values travel as parameters; names come from tables here."""

from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

import msgspec

from market.store.port import (
    BarRow,
    EquityRow,
    EventRow,
    LifeRow,
    OrderFilter,
    OrderRow,
    Page,
    TournamentAuditRow,
    TournamentFilter,
    TournamentResultRow,
    TradeFilter,
    TradeRow,
    page_key,
    read_page_key,
    read_sort,
)

Row = TypeVar("Row")
_load = msgspec.json.Decoder().decode

INTERVALS = """
WITH RECURSIVE lengths (n) AS (
  SELECT min(interval_s) FROM ohlcv WHERE sym = ?1
  UNION ALL
  SELECT (SELECT min(interval_s) FROM ohlcv WHERE sym = ?1 AND interval_s > n) FROM lengths WHERE n IS NOT NULL
) SELECT n FROM lengths WHERE n IS NOT NULL"""
"""Skips from length to length in the primary key instead of reading every bar."""

BARS = """
SELECT ts, sym, interval_s, o, h, l, c, v, close_ns, exchange, data_source, max(revision), seq, writer FROM ohlcv
WHERE sym = ? AND interval_s = ? AND ts >= ? AND ts < ? GROUP BY ts, exchange, data_source ORDER BY ts DESC LIMIT ?"""

_LIFE = "order_id, ts, utc_ns, type, state, payload, seq, writer, hash_current"
LIFE = f"SELECT {_LIFE} FROM order_events WHERE order_id = ? ORDER BY writer, seq"  # noqa: S608 - constants

_EQUITY = ", ".join("ts" if name == "ts_ns" else name for name in EquityRow.__struct_fields__)
_BETWEEN = "FROM equity WHERE ts >= ? AND ts < ?"
EQUITY = f"SELECT {_EQUITY} {_BETWEEN} ORDER BY ts, seq"
EQUITY_RANGE = f"SELECT count(*), min(ts), max(ts) {_BETWEEN}"
EQUITY_ENDS = (
    f"SELECT * FROM (SELECT {_EQUITY} {_BETWEEN} ORDER BY ts, writer, seq LIMIT 1) UNION ALL "  # noqa: S608 - constants
    f"SELECT * FROM (SELECT {_EQUITY} {_BETWEEN} ORDER BY ts DESC, writer DESC, seq DESC LIMIT 1)"
)
EQUITY_LOWEST = f"SELECT {_EQUITY}, min(equity) {_BETWEEN} GROUP BY (ts - ?) / ?"
EQUITY_HIGHEST = f"SELECT {_EQUITY}, max(equity) {_BETWEEN} GROUP BY (ts - ?) / ?"

ORDER = ", ".join(f"x.{name}" for name in OrderRow.__struct_fields__)
_TRADE = (
    "x.ts, x.execution_id, x.order_id, x.symbol, x.side, x.lots, x.quantity, x.price, x.commission, x.slippage, "
    "x.strategy_id, x.lots_by_strategy, x.crossed_lots, x.realised, x.seq, x.writer, x.mode, x.execution_latency_ms"
)
RESULT, AUDIT = (
    ", ".join("x.ts" if name == "ts_ns" else f"x.{name}" for name in kind.__struct_fields__)
    for kind in (TournamentResultRow, TournamentAuditRow)
)
ORDER_SORTS = {"engine_ns": ("engine_ns", "order_id"), "symbol": ("symbol", "engine_ns", "order_id"),
               "state": ("state", "engine_ns", "order_id")}  # fmt: skip
TRADE_SORTS = {"engine_ns": ("ts", "writer", "seq"), "symbol": ("symbol", "ts", "writer", "seq")}
_TAGGED = (
    "EXISTS (SELECT 1 FROM order_tags e WHERE e.tag = ? AND e.engine_ns = x.engine_ns AND e.order_id = x.order_id)"
)
_TRADED = (
    "EXISTS (SELECT 1 FROM trade_strategies e "
    "WHERE e.strategy = ? AND e.ts = x.ts AND e.writer = x.writer AND e.seq = x.seq)"
)
_INTEGERS = frozenset({"engine_ns", "ts", "seq"})


class Query(msgspec.Struct, Generic[Row], frozen=True):
    """A statement that reads one row more than the page, to know whether there is a next one."""

    sql: str
    parameters: tuple[Any, ...]
    limit: int
    make: Callable[[Sequence[Any]], Row]
    key: tuple[str, ...]  # columns, given by the rows' fields

    def page(self, rows: list[tuple[Any, ...]]) -> Page[Row]:
        """Return the rows of the page and where the next one begins; the key's values are a row's last columns."""
        made = [self.make(row) for row in rows[: self.limit]]
        more = len(rows) > self.limit
        return Page(made, page_key(list(rows[self.limit - 1][-len(self.key) :])) if more else None)


def orders(filters: OrderFilter, sort: str, after: str | None, limit: int) -> Query[OrderRow]:
    """Return the statement of a page of orders.

    Raises
    ------
    QueryError
        for a sort or page key that is not possible.
    """
    column, descending = read_sort(sort, tuple(ORDER_SORTS))
    conditions = _conditions(filters, {"symbol": "x.symbol", "side": "x.side", "state": "x.state"}, "x.engine_ns")
    tags = [f"denial:{filters.denial}"] if filters.denial else []
    tags += [f"strategy:{filters.strategy}"] if filters.strategy else []
    source, prefix = "orders x", "x"
    if tags and column == "engine_ns":
        source, prefix = "order_tags t CROSS JOIN orders x ON x.order_id = t.order_id", "t"
        conditions.insert(0, ("t.tag = ?", tags.pop(0)))
        conditions = [(text.replace("x.engine_ns", "t.engine_ns"), value) for text, value in conditions]
    conditions += [(_TAGGED, tag) for tag in tags]
    key = tuple(f"{prefix}.{name}" for name in ORDER_SORTS[column])
    return _query(
        ORDER, source, conditions, _Order(key=key, descending=descending, after=after, limit=limit), order_row
    )


def trades(filters: TradeFilter, sort: str, after: str | None, limit: int) -> Query[TradeRow]:
    """Return the statement of a page of trades; errors as :func:`orders`."""
    column, descending = read_sort(sort, tuple(TRADE_SORTS))
    conditions = _conditions(filters, {"symbol": "x.symbol", "side": "x.side", "order_id": "x.order_id"}, "x.ts")
    if filters.strategy:
        conditions.append((_TRADED, filters.strategy))
    key = tuple(f"x.{name}" for name in TRADE_SORTS[column])
    return _query(
        _TRADE, "trades x", conditions, _Order(key=key, descending=descending, after=after, limit=limit), trade_row
    )


def tournament_results(filters: TournamentFilter, after: str | None, limit: int) -> Query[TournamentResultRow]:
    """Return the statement of a page of results, newest first; errors as :func:`orders`."""
    return _tournaments(RESULT, "tournament_results x", filters, (after, limit), result_row)


def tournament_audit(filters: TournamentFilter, after: str | None, limit: int) -> Query[TournamentAuditRow]:
    """Return the statement of a page of the tournaments' events, newest first; errors as :func:`orders`."""
    return _tournaments(AUDIT, "tournament_audit x", filters, (after, limit), audit_row)


def _tournaments(
    columns: str,
    source: str,
    filters: TournamentFilter,
    wanted: tuple[str | None, int],
    make: Callable[[Sequence[Any]], Row],
) -> Query[Row]:
    conditions = _conditions(filters, {"tournament_id": "x.tournament_id", "strategy_id": "x.strategy_id"}, "x.ts")
    if filters.within is not None:
        names = msgspec.json.encode(filters.within).decode()
        conditions.append(("x.strategy_id IN (SELECT value FROM json_each(?))", names))
    key = tuple(f"x.{name}" for name in TRADE_SORTS["engine_ns"])
    return _query(columns, source, conditions, _Order(key=key, descending=True, after=wanted[0], limit=wanted[1]), make)


class _Order(msgspec.Struct, frozen=True, kw_only=True):
    key: tuple[str, ...]
    descending: bool
    after: str | None
    limit: int


def _conditions(filters: msgspec.Struct, columns: dict[str, str], time: str) -> list[tuple[str, Any]]:
    wanted = [(f"{column} = ?", getattr(filters, name)) for name, column in columns.items()]
    wanted += [(f"{time} >= ?", getattr(filters, "start_ns", None)), (f"{time} < ?", getattr(filters, "end_ns", None))]
    return [(text, value) for text, value in wanted if value is not None]


def _query(
    columns: str, source: str, conditions: list[tuple[str, Any]], order: _Order, make: Callable[[Sequence[Any]], Row]
) -> Query[Row]:
    parameters = [value for _, value in conditions]
    texts = [text for text, _ in conditions]
    if order.after is not None:
        types = tuple(int if name.partition(".")[2] in _INTEGERS else str for name in order.key)
        parameters += read_page_key(order.after, types)
        marks = ", ".join("?" * len(order.key))
        texts.append(f"({', '.join(order.key)}) {'<' if order.descending else '>'} ({marks})")
    where = f"WHERE {' AND '.join(texts)} " if texts else ""
    by = ", ".join(f"{name} {'DESC' if order.descending else 'ASC'}" for name in order.key)
    sql = f"SELECT {columns}, {', '.join(order.key)} FROM {source} {where}ORDER BY {by} LIMIT ?"  # noqa: S608 - constants
    return Query(sql, (*parameters, order.limit + 1), order.limit, make, order.key)


def _named(kind: type[Row], row: Sequence[Any], json: tuple[str, ...] = ()) -> Row:
    values = dict(zip(kind.__struct_fields__, row, strict=False))  # type: ignore[attr-defined]
    for name in json:
        values[name] = _load(values[name])
    return kind(**values)


def bar_row(row: Sequence[Any]) -> BarRow:
    """Return a bar of its columns, in the order of BarRow's fields."""
    return _named(BarRow, row)


def order_row(row: Sequence[Any]) -> OrderRow:
    """Return an order of its columns, in the order of OrderRow's fields."""
    return _named(OrderRow, row, ("lots_by_strategy", "denials"))


def trade_row(row: Sequence[Any]) -> TradeRow:
    """Return a trade of its columns, in the order of TradeRow's fields."""
    return _named(TradeRow, row, ("lots_by_strategy", "realised"))


def life_row(row: Sequence[Any]) -> LifeRow:
    """Return an event of an order's life of its columns, in the order of LifeRow's fields."""
    return _named(LifeRow, row)


def equity_row(row: Sequence[Any]) -> EquityRow:
    """Return a mark of the account of its columns, in the order of EquityRow's fields."""
    return _named(EquityRow, row, ("strategies", "units"))


def result_row(row: Sequence[Any]) -> TournamentResultRow:
    """Return a strategy's result of its columns, in the order of TournamentResultRow's fields."""
    return _named(TournamentResultRow, row, ("tournament_metrics",))


def audit_row(row: Sequence[Any]) -> TournamentAuditRow:
    """Return a tournament's event of its columns, in the order of TournamentAuditRow's fields."""
    return _named(TournamentAuditRow, row)


def event_row(row: Sequence[Any]) -> EventRow:
    """Return a record of its columns, in the order of EventRow's fields."""
    return _named(EventRow, row)


class Every(msgspec.Struct, Generic[Row], frozen=True):
    """A statement that reads a whole table, and what takes its rows."""

    sql: str
    make: Callable[[Sequence[Any]], Row]


_EVENTS = ", ".join("ts" if name == "ts_ns" else name for name in EventRow.__struct_fields__)
_BY_RECORD = "ORDER BY ts, writer, seq"
_BAR = "ts, sym, interval_s, o, h, l, c, v, close_ns, exchange, data_source, revision, seq, writer"
EVERY: dict[type[Any], Every[Any]] = {
    BarRow: Every(
        f"SELECT {_BAR} FROM ohlcv {_BY_RECORD}, sym, interval_s, exchange, data_source, revision",  # noqa: S608
        bar_row,
    ),
    EventRow: Every(
        f"SELECT {_EVENTS} FROM agent_events {_BY_RECORD}",  # noqa: S608
        event_row,
    ),
    OrderRow: Every(f"SELECT {ORDER} FROM orders x ORDER BY engine_ns, order_id", order_row),  # noqa: S608
    LifeRow: Every(
        f"SELECT {_LIFE} FROM order_events {_BY_RECORD}",  # noqa: S608
        life_row,
    ),
    TradeRow: Every(f"SELECT {_TRADE} FROM trades x {_BY_RECORD}", trade_row),  # noqa: S608
    EquityRow: Every(f"SELECT {_EQUITY} FROM equity {_BY_RECORD}", equity_row),  # noqa: S608
    TournamentResultRow: Every(f"SELECT {RESULT} FROM tournament_results x {_BY_RECORD}", result_row),  # noqa: S608
    TournamentAuditRow: Every(f"SELECT {AUDIT} FROM tournament_audit x {_BY_RECORD}", audit_row),  # noqa: S608
}


def longer_bars(bars: list[BarRow], interval_s: int) -> list[BarRow]:
    """Return bars of ``interval_s`` made from shorter ones in time order; the last one may be unfinished."""
    length_ns, made = interval_s * 1_000_000_000, list[BarRow]()
    for bar in bars:
        start_ns = bar.ts_ns // length_ns * length_ns
        begun = made[-1] if made and made[-1].ts_ns == start_ns else None
        made[len(made) - (begun is not None) :] = [
            msgspec.structs.replace(
                bar,
                ts_ns=start_ns,
                interval_s=interval_s,
                open=begun.open if begun else bar.open,
                high=max(begun.high, bar.high) if begun else bar.high,
                low=min(begun.low, bar.low) if begun else bar.low,
                volume=(begun.volume if begun else 0.0) + bar.volume,
            )
        ]
    return made
