"""Two stores of one journal, row for row."""

import hashlib
from collections.abc import Iterator
from itertools import zip_longest
from typing import NotRequired, TypedDict

import msgspec

from events.commandline import Advance
from market.store.port import (
    BarRow,
    EquityRow,
    EventRow,
    LifeRow,
    OrderRow,
    Store,
    TournamentAuditRow,
    TournamentResultRow,
    TradeRow,
)

TABLES: dict[str, type[msgspec.Struct]] = {
    "ohlcv": BarRow,
    "agent_events": EventRow,
    "orders": OrderRow,
    "order_events": LifeRow,
    "trades": TradeRow,
    "equity": EquityRow,
    "tournament_results": TournamentResultRow,
    "tournament_audit": TournamentAuditRow,
}
"""Tables that the journals decide, and what one row of each is."""

LOOK = 5_000  # rows between two movements of the bar
_json = msgspec.json.Encoder().encode


class RowDifference(TypedDict):
    """The first row that differs, as each store has it, as JSON; "" where one has none."""

    number: int
    rebuilt: str
    other: str


class Table(TypedDict):
    """One table: rows and SHA-256 over their JSON lines in one order; the rest where it was compared."""

    rows: int
    sha256: str
    other_rows: NotRequired[int]
    other_sha256: NotRequired[str]
    equal: NotRequired[bool]
    first_difference: NotRequired[RowDifference | None]


class _Sum:
    """Rows and digest of what has passed."""

    def __init__(self) -> None:
        self.rows = 0
        self._digest = hashlib.sha256()

    def add(self, line: bytes) -> None:
        if line:
            self.rows += 1
            self._digest.update(line + b"\n")

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()


def count(store: Store, advance: Advance) -> dict[str, Table]:
    """Return rows and digest of every table."""
    found: dict[str, Table] = {}
    done = 0
    for table in TABLES:
        own = _Sum()
        for line in _lines(store, table):
            own.add(line)
            done += 1
            if done % LOOK == 0:
                advance(done)
        found[table] = {"rows": own.rows, "sha256": own.sha256}
    return found


def compare(rebuilt: Store, other: Store, advance: Advance) -> dict[str, Table]:
    """Return what the two hold, table by table; both are read once, side by side."""
    found: dict[str, Table] = {}
    done = 0
    for table in TABLES:
        own, others, first = _Sum(), _Sum(), None
        for number, (line, other_line) in enumerate(
            zip_longest(_lines(rebuilt, table), _lines(other, table), fillvalue=b"")
        ):
            own.add(line)
            others.add(other_line)
            if line != other_line and first is None:
                first = RowDifference(number=number, rebuilt=line.decode(), other=other_line.decode())
            done += 1
            if done % LOOK == 0:
                advance(done)
        found[table] = {
            "rows": own.rows,
            "sha256": own.sha256,
            "other_rows": others.rows,
            "other_sha256": others.sha256,
            "equal": first is None,
            "first_difference": first,
        }
    return found


def _lines(store: Store, table: str) -> Iterator[bytes]:
    for row in store.every(TABLES[table]):
        line = _json(row)
        yield _json(_without_negative_zeros(row)) if b":-0.0" in line else line


def _without_negative_zeros(row: msgspec.Struct) -> msgspec.Struct:
    """Return the row with 0.0 for -0.0, the same number: SQLite keeps no sign of a zero, QuestDB does."""
    floats = {name: value for name in row.__struct_fields__ if isinstance(value := getattr(row, name), float)}
    return msgspec.structs.replace(row, **{name: value + 0.0 for name, value in floats.items()})
