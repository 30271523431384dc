"""Statements of the embedded store's search through events: an index a filter, a free text so many records at a time.

An index's other columns are there to be tested without reading the row: a second filter costs no row of the first.
"""

from typing import Any

from market.store.port import EventFilter, EventRow, EventScope, read_page_key
from market.store.queries import Query, event_row

LOOKED_AT = 2_000
"""Records that a free text is looked for in at a time, newest first."""

LOOK_S = 0.1
"""After this long a page of a free text ends where it is: a fast machine looks further than a busy one."""

KEY = ("x.ts", "x.writer", "x.seq")
_KEY = ", ".join(KEY)
_NEWEST_FIRST = ", ".join(f"{name} DESC" for name in KEY)
_COLUMNS = ", ".join("x.ts" if name == "ts_ns" else f"x.{name}" for name in EventRow.__struct_fields__)
_POSITIONS = ", ".join(f"{len(EventRow.__struct_fields__) + number} DESC" for number in range(1, len(KEY) + 1))

Conditions = list[tuple[str, tuple[Any, ...]]]
Floor = tuple[int, str, int]


def events(filters: EventFilter, after: str | None, limit: int, floor: Floor | None = None) -> Query[EventRow]:
    """Return the statement of a page of events, newest first, none older than ``floor``.

    Raises
    ------
    QueryError
        for a page key that this list did not give.
    """
    common = _common(filters, after)
    if floor is not None:
        common.append((f"({_KEY}) >= (?, ?, ?)", floor))
    if filters.text:
        common.append(("x.metadata LIKE ? ESCAPE '\\'", (_containing(filters.text),)))
    if filters.scope is None or filters.text:
        scope = [] if filters.scope is None else [_either(filters.scope)]
        sql, parameters = _statement(_COLUMNS, [*common, *scope], limit + 1)
        return Query(sql, parameters, limit, event_row, KEY)
    arms = [_statement(_COLUMNS, [*common, arm], limit + 1) for arm in _arms(filters.scope)]
    # an arm a value: each ends at its own index's first rows, where one OR would sort everything that it matches
    union = " UNION ALL ".join(f"SELECT * FROM ({sql})" for sql, _ in arms)  # noqa: S608 - constants
    merged = f"{union} ORDER BY {_POSITIONS} LIMIT ?"
    return Query(merged, (*(one for _, values in arms for one in values), limit + 1), limit, event_row, KEY)


def furthest(filters: EventFilter, after: str | None) -> tuple[str, tuple[Any, ...]]:
    """Return the statement of the last record that a free text is looked for in next; no row where it sees the rest."""
    sql, parameters = _statement(_KEY, _common(filters, after), 1)
    return f"{sql} OFFSET ?", (*parameters, LOOKED_AT - 1)


def _common(filters: EventFilter, after: str | None) -> Conditions:
    columns = ("event_type", "agent_id", "symbol", "writer")
    wanted = [(f"x.{name} = ?", getattr(filters, name)) for name in columns]
    wanted += [("x.ts >= ?", filters.start_ns), ("x.ts < ?", filters.end_ns)]
    conditions: Conditions = [(text, (value,)) for text, value in wanted if value is not None]
    if filters.symbol:
        conditions.append(("x.symbol <> ''", ()))  # what the index of symbols holds, said so that it is used
    if after is not None:
        conditions.append((f"({_KEY}) < (?, ?, ?)", tuple(read_page_key(after, (int, str, int)))))
    return conditions


def _either(scope: EventScope) -> tuple[str, tuple[Any, ...]]:
    # the plus signs keep the planner from sorting two indexes' matches: the scan is bounded already
    text = f"(+x.agent_id IN ({_marks(scope.agents)}) OR +x.event_type IN ({_marks(scope.types)}))"
    return text, (*scope.agents, *scope.types)


def _arms(scope: EventScope) -> Conditions:
    arms: Conditions = [("x.agent_id = ?", (agent,)) for agent in sorted(set(scope.agents))]
    others = f"x.event_type = ? AND +x.agent_id NOT IN ({_marks(scope.agents)})"
    arms += [(others, (kind, *scope.agents)) for kind in sorted(set(scope.types))]
    return arms or [("0", ())]


def _statement(columns: str, conditions: Conditions, limit: int) -> tuple[str, tuple[Any, ...]]:
    where = f"WHERE {' AND '.join(text for text, _ in conditions)} " if conditions else ""
    key = "" if columns == _KEY else f", {_KEY}"
    sql = f"SELECT {columns}{key} FROM agent_events x {where}ORDER BY {_NEWEST_FIRST} LIMIT ?"  # noqa: S608 - constants
    return sql, (*(one for _, values in conditions for one in values), limit)


def _marks(values: tuple[str, ...]) -> str:
    return ", ".join("?" * len(values))


def _containing(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"
