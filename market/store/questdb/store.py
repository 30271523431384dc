"""The QuestDB store. Nothing is asked when it is opened: a server that is away is said where it is needed."""

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import TypeVar

import questdb

from market.store import queries as shared
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
    StoreRefusedError,
    StoreUnavailableError,
    TournamentAuditRow,
    TournamentFilter,
    TournamentResultRow,
    TradeFilter,
    TradeRow,
    read_sort,
)
from market.store.questdb import queries, reads, schema
from market.store.questdb.address import Address
from market.store.questdb.client import ANSWER_S, Client
from market.store.questdb.orders import OrderBook
from market.store.questdb.queries import Listing
from market.store.questdb.reads import Span
from market.store.questdb.writes import Line, send_batch, send_position

MOST_ROWS = 10_000  # of a page
SETTLE_S = 0.01  # between two looks at what can be read
WRITER_ANSWER_S = 5.0
"""The writer has a thread of its own and may wait longer than a page: a busy server is not a missing one."""

Row = TypeVar("Row")


class QuestDBStore:
    """See :class:`market.store.port.Store`. Readers in any thread; one writer, in one thread.

    Parameters
    ----------
    answer_s : how long one answer is waited for (default: a second for a page, WRITER_ANSWER_S for the writer).
    """

    def __init__(self, address: Address, *, writing: bool = False, answer_s: float | None = None) -> None:
        self._client = Client(address, answer_s=answer_s or (WRITER_ANSWER_S if writing else ANSWER_S))
        self._writing = writing
        self._book: OrderBook | None = None  # None: the server has to be looked at before anything is written
        self._positions: dict[str, Position] = {}

    def write(self, batch: Batch) -> None:
        """Send a batch's rows, then its position; what is there already changes nothing.

        Rows may be there without their position: the next writer finds them re-sent and the same.
        """
        if not self._writing:
            raise StoreUnavailableError(f"{self._client.address} was opened readonly: the recorder alone writes")
        try:
            book = self._ready()
            unknown = book.unknown(batch)
            if unknown:
                self.settle()
                book.load(unknown)
            line = Line(self._client.sender(), self._client.address.prefix)
            send_batch(line, batch, book.merge(batch))
            self._client.flush()
            if batch.position.seq > self._positions.get(batch.writer, Position()).seq:
                send_position(line, batch.writer, batch.position)
                self._client.flush()
                self._positions[batch.writer] = batch.position
        except StoreUnavailableError:
            self._forget()
            raise
        except (TypeError, ValueError, OverflowError, AttributeError, questdb.QuestDBError) as error:
            self._forget()
            raise StoreRefusedError(f"a row of journal {batch.writer} up to {batch.position.seq}: {error}") from error

    def position(self, writer: str) -> Position:
        """Return how far a journal is in the store."""
        if self._writing:
            try:
                self._ready()
            except StoreUnavailableError:
                self._forget()
                raise
            return self._positions.get(writer, Position())
        rows = self._client.rows("SELECT seq, hash FROM ~projection WHERE writer = %s", (writer,))
        return Position(seq=rows[0][0], hash=rows[0][1]) if rows else Position()

    def settle(self, seconds: float = 30.0) -> None:
        """Wait until everything that was written can be read."""
        until = time.monotonic() + seconds
        while waiting := schema.unapplied(self._client):
            if time.monotonic() > until:
                raise StoreUnavailableError(
                    f"{self._client.address} has not applied its log to {', '.join(waiting)} after {seconds:g} s"
                )
            time.sleep(SETTLE_S)

    def every(self, kind: type[Row]) -> Iterator[Row]:
        """Yield every row of one kind, oldest first, in an order of its own."""
        return reads.every(self._client, queries.LISTINGS[kind])

    def steady(self) -> AbstractContextManager[None]:
        """Promise nothing: QuestDB has no transaction that reads several tables; let nobody write meanwhile."""
        return nullcontext()

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
        most, each = _limit(limit), wanted // source
        found = reads.bars(self._client, symbol, source, Span(start_ns, end_ns, ()), most * each + each)
        return (found if source == wanted else shared.longer_bars(found, wanted))[-most:]

    def bar_intervals(self, symbol: str) -> list[int]:
        """Return the stored lengths of a symbol's bars, in seconds, shortest first."""
        rows = self._client.rows("SELECT DISTINCT interval_s FROM ~ohlcv WHERE sym = %s", (symbol,))
        return sorted(row[0] for row in rows)

    def orders(
        self,
        filters: OrderFilter | None = None,
        *,
        sort: str = "-engine_ns",
        after_key: str | None = None,
        limit: int = 100,
    ) -> Page[OrderRow]:
        """Return a page of orders; sorts: engine_ns, symbol, state."""
        column, descending = read_sort(sort, tuple(queries.KEYS))
        asked = filters or OrderFilter()
        span = Span(asked.start_ns, asked.end_ns, queries.order_conditions(asked))
        key = (*queries.KEYS[column], *queries.ORDERS.ties)
        return reads.page(
            self._client, queries.ORDERS, span, reads.cut(key, after_key, _limit(limit), descending=descending)
        )

    def count_orders(self, filters: OrderFilter | None = None, *, most: int = 10_000) -> int:
        """Return how many orders there are, counting no further than ``most``."""
        asked = filters or OrderFilter()
        where, texts = Span(asked.start_ns, asked.end_ns, queries.order_conditions(asked)).where()
        sql = f"SELECT count() FROM (SELECT ts FROM ~orders WHERE {where} LIMIT {max(1, most)})"  # noqa: S608 - constants
        return int(self._client.rows(sql, texts)[0][0])

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
        sql = f"SELECT {queries.ORDERS.columns} FROM ~orders WHERE order_id = %s LIMIT 1"  # noqa: S608 - constants
        return next((queries.ORDERS.make(row) for row in self._client.rows(sql, (order_id,))), None)

    def order_life(self, order_id: str) -> list[LifeRow]:
        """Return everything that happened to an order, in journal order."""
        sql = f"SELECT {queries.LIFE.columns} FROM ~order_events WHERE order_id = %s ORDER BY writer, seq"  # noqa: S608
        return [queries.LIFE.make(row) for row in self._client.rows(sql, (order_id,))]

    def fills(
        self,
        filters: TradeFilter | None = None,
        *,
        sort: str = "-engine_ns",
        after_key: str | None = None,
        limit: int = 100,
    ) -> Page[TradeRow]:
        """Return a page of trades; sorts: engine_ns, symbol."""
        column, descending = read_sort(sort, ("engine_ns", "symbol"))
        asked = filters or TradeFilter()
        span = Span(asked.start_ns, asked.end_ns, queries.trade_conditions(asked))
        key = (*queries.KEYS[column], *queries.TRADES.ties)
        return reads.page(
            self._client, queries.TRADES, span, reads.cut(key, after_key, _limit(limit), descending=descending)
        )

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
        return reads.equity(self._client, Span(start_ns, end_ns, ()), points)

    def events(
        self, filters: EventFilter | None = None, *, after_key: str | None = None, limit: int = 100
    ) -> Page[EventRow]:
        """Return a page of events, newest first; a free text is looked for in so many records at a time."""
        asked, most = filters or EventFilter(), _limit(limit)
        span = Span(asked.start_ns, asked.end_ns, queries.event_conditions(asked))
        if asked.text:
            return reads.search(self._client, asked, span, after_key, most)
        key = ("ts", *queries.EVENTS.ties)
        return reads.page(self._client, queries.EVENTS, span, reads.cut(key, after_key, most, descending=True))

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
        return self._tournaments(queries.RESULTS, filters, after_key, limit)

    def tournament_audit(
        self, filters: TournamentFilter | None = None, *, after_key: str | None = None, limit: int = 100
    ) -> Page[TournamentAuditRow]:
        """Return a page of the tournaments' events, newest first."""
        return self._tournaments(queries.AUDIT, filters, after_key, limit)

    def close(self) -> None:
        """Give every connection back."""
        self._client.close()

    def _tournaments(
        self, listing: Listing[Row], filters: TournamentFilter | None, after_key: str | None, limit: int
    ) -> Page[Row]:
        span = Span(None, None, queries.tournament_conditions(filters or TournamentFilter()))
        cut = reads.cut(("ts", *listing.ties), after_key, _limit(limit), descending=True)
        return reads.page(self._client, listing, span, cut)

    def _ready(self) -> OrderBook:
        """Make sure that the tables are there, before each batch: a server may have come back empty."""
        if self._book is not None:
            there = schema.state(self._client)
            gone = sorted(set(schema.TABLES) - set(there)) or sorted(name for name in there if there[name])
            if not gone:
                return self._book
            raise StoreUnavailableError(f"{self._client.address} has lost or suspended {', '.join(gone)}")
        schema.prepare(self._client)
        self.settle()
        schema.check_version(self._client)
        found = self._client.rows("SELECT writer, seq, hash FROM ~projection")
        self._positions = {writer: Position(seq=seq, hash=digest) for writer, seq, digest in found}
        self._book = OrderBook(self._client)
        return self._book

    def _forget(self) -> None:
        self._client.forget_rows()
        self._book = None
        self._positions = {}


def _limit(limit: int) -> int:
    if not 1 <= limit <= MOST_ROWS:
        raise QueryError(f"limit = {limit} is outside 1 to {MOST_ROWS}")
    return limit
