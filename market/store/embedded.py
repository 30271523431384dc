"""The embedded store: SQLite with a write-ahead log, written by the recorder alone and read by any process."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import pysqlite3 as sqlite3

from market.store import event_queries, queries
from market.store.port import (
    BarRow,
    Batch,
    EquityRow,
    EventFilter,
    EventRow,
    LifeRow,
    OrderFilter,
    OrderRow,
    Page,
    Position,
    QueryError,
    StoreUnavailableError,
    TournamentAuditRow,
    TournamentFilter,
    TournamentResultRow,
    TradeFilter,
    TradeRow,
    page_key,
)
from market.store.schema import TABLES, VERSION
from market.store.writes import write_rows

BUSY_S = 10.0  # how long a writer or reader waits for another's lock
MOST_ROWS = 10_000  # of a page
FOREVER_NS = (1 << 63) - 1

Row = TypeVar("Row")


class EmbeddedStore:
    """See :class:`market.store.port.Store`; each thread that reads has a connection of its own.

    Raises
    ------
    StoreUnavailableError
        if the file cannot be opened, is not a store or of another version; without ``writing`` also if it is not there.
    """

    def __init__(self, path: Path, *, writing: bool = False) -> None:
        self.path, self._writing = path, writing
        self._local = threading.local()
        self._opened: list[Any] = []
        with self._guarded():
            self._connection()

    def write(self, batch: Batch) -> None:
        """Write a batch and its position in one transaction; a batch that is there already changes nothing."""
        with self._guarded():
            connection = self._connection()
            connection.execute("BEGIN IMMEDIATE")
            try:
                write_rows(connection, batch)
                connection.execute(
                    "INSERT INTO projection VALUES (?, ?, ?) ON CONFLICT (writer) DO UPDATE SET "
                    "seq = excluded.seq, hash = excluded.hash WHERE excluded.seq > projection.seq",
                    (batch.writer, batch.position.seq, batch.position.hash),
                )
                connection.execute("COMMIT")
            except BaseException:
                connection.execute("ROLLBACK")
                raise

    def position(self, writer: str) -> Position:
        """Return how far a journal is in the store."""
        rows = self._rows("SELECT seq, hash FROM projection WHERE writer = ?", (writer,))
        return Position(seq=rows[0][0], hash=rows[0][1]) if rows else Position()

    def settle(self, seconds: float = 0.0) -> None:
        """Do nothing: what is written can be read at once."""

    def every(self, kind: type[Row]) -> Iterator[Row]:
        """Yield every row of one kind, oldest first, in an order of its own."""
        query = queries.EVERY[kind]
        with self._guarded():
            for row in self._connection().execute(query.sql):
                yield query.make(row)

    def bars(
        self,
        symbol: str,
        interval_s: int | None = None,
        start_ns: int = 0,
        end_ns: int | None = None,
        limit: int = 5000,
    ) -> list[BarRow]:
        """Return the newest ``limit`` bars that open in [start, end), oldest first; missing lengths are made."""
        stored = self.bar_intervals(symbol)
        if not stored:
            return []
        wanted = interval_s or stored[0]
        source = wanted if wanted in stored else max((one for one in stored if wanted % one == 0), default=0)
        if not source:
            return []
        most = _limit(limit)
        rows = self._rows(
            queries.BARS, (symbol, source, start_ns, end_ns or FOREVER_NS, most * (wanted // source) + wanted // source)
        )
        found = [queries.bar_row(row) for row in reversed(rows)]
        return (found if source == wanted else queries.longer_bars(found, wanted))[-most:]

    def bar_intervals(self, symbol: str) -> list[int]:
        """Return the stored lengths of a symbol's bars, in seconds, shortest first."""
        return [row[0] for row in self._rows(queries.INTERVALS, (symbol,))]

    def orders(
        self,
        filters: OrderFilter | None = None,
        *,
        sort: str = "-engine_ns",
        after_key: str | None = None,
        limit: int = 100,
    ) -> Page[OrderRow]:
        """Return a page of orders; sorts: engine_ns, symbol, state."""
        query = queries.orders(filters or OrderFilter(), sort, after_key, _limit(limit))
        return query.page(self._rows(query.sql, query.parameters))

    def count_orders(self, filters: OrderFilter | None = None, *, most: int = 10_000) -> int:
        """Return how many orders there are, counting no further than ``most``."""
        query = queries.orders(filters or OrderFilter(), "-engine_ns", None, max(1, most) - 1)
        counted = self._rows(f"SELECT count(*) FROM ({query.sql})", query.parameters)  # noqa: S608 - built of constants
        return int(counted[0][0])

    def every_order(self, filters: OrderFilter | None = None, *, sort: str = "-engine_ns") -> Iterator[OrderRow]:
        """Yield all of exactly this filter, page by page: for a CSV file."""
        page = self.orders(filters, sort=sort, limit=MOST_ROWS)
        while True:
            yield from page.rows
            if page.next_key is None:
                return
            page = self.orders(filters, sort=sort, after_key=page.next_key, limit=MOST_ROWS)

    def order(self, order_id: str) -> OrderRow | None:
        """Return one order."""
        rows = self._rows(f"SELECT {queries.ORDER} FROM orders x WHERE order_id = ?", (order_id,))  # noqa: S608 - a constant
        return queries.order_row(rows[0]) if rows else None

    def order_life(self, order_id: str) -> list[LifeRow]:
        """Return everything that happened to an order, in journal order."""
        return [queries.life_row(row) for row in self._rows(queries.LIFE, (order_id,))]

    def fills(
        self,
        filters: TradeFilter | None = None,
        *,
        sort: str = "-engine_ns",
        after_key: str | None = None,
        limit: int = 100,
    ) -> Page[TradeRow]:
        """Return a page of trades; sorts: engine_ns, symbol."""
        query = queries.trades(filters or TradeFilter(), sort, after_key, _limit(limit))
        return query.page(self._rows(query.sql, query.parameters))

    def every_fill(self, filters: TradeFilter | None = None, *, sort: str = "-engine_ns") -> Iterator[TradeRow]:
        """Yield all of exactly this filter, page by page."""
        page = self.fills(filters, sort=sort, limit=MOST_ROWS)
        while True:
            yield from page.rows
            if page.next_key is None:
                return
            page = self.fills(filters, sort=sort, after_key=page.next_key, limit=MOST_ROWS)

    def equity(self, start_ns: int = 0, end_ns: int | None = None, points: int = 1000) -> list[EquityRow]:
        """Return at most ``points`` marks in [start, end), oldest first: first, last and each bucket's extremes."""
        if points < 4:
            raise QueryError(f"points = {points}; at least 4")
        between = (start_ns, end_ns or FOREVER_NS)
        count, first, last = self._rows(queries.EQUITY_RANGE, between)[0]
        if count <= points:
            return [queries.equity_row(row) for row in self._rows(queries.EQUITY, between)]
        width = (last - first) // ((points - 2) // 2) + 1
        found = [
            *self._rows(queries.EQUITY_ENDS, (*between, *between)),
            *self._rows(queries.EQUITY_LOWEST, (*between, first, width)),
            *self._rows(queries.EQUITY_HIGHEST, (*between, first, width)),
        ]
        rows = {(row.ts_ns, row.seq): row for row in map(queries.equity_row, found)}
        return [rows[key] for key in sorted(rows)]

    def events(
        self, filters: EventFilter | None = None, *, after_key: str | None = None, limit: int = 100
    ) -> Page[EventRow]:
        """Return a page of events, newest first; a free text is looked for in so many records at a time."""
        asked = filters or EventFilter()
        if asked.text:
            return self._events_with(asked, after_key, _limit(limit))
        query = event_queries.events(asked, after_key, _limit(limit))
        return query.page(self._rows(query.sql, query.parameters))

    def _events_with(self, asked: EventFilter, key: str | None, limit: int) -> Page[EventRow]:
        """Look for a text piece by piece, until the page is full, the record ends, or the time is up."""
        rows: list[EventRow] = []
        until = time.monotonic() + event_queries.LOOK_S
        while True:
            floor = next(iter(self._rows(*event_queries.furthest(asked, key))), None)
            query = event_queries.events(asked, key, limit - len(rows), floor)
            page = query.page(self._rows(query.sql, query.parameters))
            rows += page.rows
            if floor is None or page.next_key is not None:
                return Page(rows, page.next_key)
            key = page_key(list(floor))
            if len(rows) == limit:
                return Page(rows, key)
            if time.monotonic() >= until:
                return Page(rows, key, looked_to_ns=floor[0])

    def every_event(self, filters: EventFilter | None = None) -> Iterator[EventRow]:
        """Yield all of exactly this filter, page by page, newest first: for a file."""
        page = self.events(filters, limit=MOST_ROWS)
        while True:
            yield from page.rows
            if page.next_key is None:
                return
            page = self.events(filters, after_key=page.next_key, limit=MOST_ROWS)

    def tournament_results(
        self, filters: TournamentFilter | None = None, *, after_key: str | None = None, limit: int = 100
    ) -> Page[TournamentResultRow]:
        """Return a page of results, of a round or of a strategy through time, newest first."""
        query = queries.tournament_results(filters or TournamentFilter(), after_key, _limit(limit))
        return query.page(self._rows(query.sql, query.parameters))

    def tournament_audit(
        self, filters: TournamentFilter | None = None, *, after_key: str | None = None, limit: int = 100
    ) -> Page[TournamentAuditRow]:
        """Return a page of the tournaments' events, newest first."""
        query = queries.tournament_audit(filters or TournamentFilter(), after_key, _limit(limit))
        return query.page(self._rows(query.sql, query.parameters))

    @contextmanager
    def steady(self) -> Iterator[None]:
        """Let this thread read one state of the store, whatever the recorder writes meanwhile."""
        with self._guarded():
            connection = self._connection()
            connection.execute("BEGIN")
            connection.execute("SELECT count(*) FROM projection").fetchone()  # the first read fixes the state
        try:
            yield
        finally:
            connection.execute("COMMIT")

    def close(self) -> None:
        """Close every connection."""
        for connection in self._opened:
            connection.close()
        self._opened.clear()
        self._local = threading.local()

    def _rows(self, sql: str, parameters: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        with self._guarded():
            return list(self._connection().execute(sql, parameters))

    def _connection(self) -> Any:
        found = getattr(self._local, "connection", None)
        if found is None:
            found = self._local.connection = self._open()
        return found

    def _open(self) -> Any:
        mode = "rwc" if self._writing else "ro"
        connection = sqlite3.connect(
            f"{self.path.absolute().as_uri()}?mode={mode}",
            uri=True,
            timeout=BUSY_S,
            isolation_level=None,
            check_same_thread=False,  # closed by whoever closes the store
        )
        self._opened.append(connection)
        if self._writing:
            self.path.chmod(0o600)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")  # a lost commit is projected again from its journal
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if self._writing and version == 0:
            connection.executescript(f"BEGIN IMMEDIATE; {TABLES} PRAGMA user_version = {VERSION}; COMMIT;")
        elif version == 0:
            raise StoreUnavailableError(f"store {self.path} is empty: nothing has been recorded yet")
        elif version != VERSION:
            raise StoreUnavailableError(
                f"store {self.path} has version {version}, this station's is {VERSION}; "
                "remove it: the recorder makes it again"
            )
        return connection

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.OperationalError, sqlite3.DatabaseError, OSError) as error:
            raise StoreUnavailableError(f"store {self.path}: {error}") from error


def _limit(limit: int) -> int:
    if not 1 <= limit <= MOST_ROWS:
        raise QueryError(f"limit = {limit} is outside 1 to {MOST_ROWS}")
    return limit
