"""Pages, curves and bars out of a QuestDB store."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

from market.store import event_queries
from market.store.port import BarRow, EquityRow, EventFilter, EventRow, Page, page_key, read_page_key
from market.store.questdb import queries
from market.store.questdb.client import Client
from market.store.questdb.queries import INTEGERS, Condition, Listing
from market.store.questdb.schema import EARLIEST_NS

Row = TypeVar("Row")
MOST_AT_ONCE = 10_000


class Span:
    """A time [start, end) and the conditions on what is in it."""

    def __init__(self, start_ns: int | None, end_ns: int | None, conditions: Sequence[Condition]) -> None:
        self.start_ns, self.end_ns, self.conditions = start_ns, end_ns, list(conditions)

    def where(self) -> tuple[str, tuple[str, ...]]:
        """Return the condition and the texts of its marks."""
        return queries.joined(self.conditions, queries.between(self.start_ns, self.end_ns))

    def narrowed(self, *, start_ns: int | None = None, end_ns: int | None = None) -> "Span":
        """Return the part of it that begins and ends there."""
        starts = [one for one in (self.start_ns, start_ns) if one is not None]
        ends = [one for one in (self.end_ns, end_ns) if one is not None]
        return Span(max(starts, default=None), min(ends, default=None), self.conditions)

    def also(self, *conditions: Condition) -> "Span":
        """Return it with more conditions."""
        return Span(self.start_ns, self.end_ns, [*self.conditions, *conditions])


class Cut(NamedTuple):
    """How rows are sorted and which of them are wanted: ``limit`` after the row with these values of the key."""

    key: tuple[str, ...]
    descending: bool
    values: Sequence[Any] | None
    limit: int


def cut(key: tuple[str, ...], after: str | None, limit: int, *, descending: bool) -> Cut:
    """Return the cut of a page; QueryError for a page key of another list."""
    types = tuple(int if name in INTEGERS else str for name in key)
    return Cut(key, descending, None if after is None else read_page_key(after, types), limit)


def page(client: Client, listing: Listing[Row], span: Span, wanted: Cut) -> Page[Row]:
    """Return a page; by time it looks at no more rows than it needs, by another column at all that are asked for."""
    if wanted.key[0] == "ts":
        span = _enough(client, listing.table, span, wanted)
    return _page(listing, _rows(client, listing, span, wanted._replace(limit=wanted.limit + 1)), wanted)


def search(client: Client, filters: EventFilter, span: Span, after: str | None, limit: int) -> Page[EventRow]:
    """Return a page of events with a text, newest first, looking through so many records of the rest of the filter."""
    listing = queries.EVENTS
    wanted = cut(("ts", *listing.ties), after, limit, descending=True)
    bound = span if wanted.values is None else span.narrowed(end_ns=_still_unseen(*wanted.values[:2]))
    floor = _nth_time(client, listing.table, bound, event_queries.LOOKED_AT, descending=True)
    text = filters.text or ""
    found = _rows(
        client,
        listing,
        bound.narrowed(start_ns=floor).also(queries.text_condition(text)),
        wanted._replace(limit=limit + 1),
    )
    exact = _page(listing, found, wanted)
    rows = [row for row in exact.rows if queries.holds_text(row, text)]
    if exact.next_key is not None:
        return Page(rows, exact.next_key, None if len(rows) == limit else exact.rows[-1].ts_ns)
    if floor is None or floor == EARLIEST_NS:
        return Page(rows, None)
    return Page(rows, page_key([floor, "", 0]), looked_to_ns=floor)  # all of that time was looked at


def _still_unseen(ts_ns: int, writer: str) -> int:
    """Return the end of what is behind a page's key: a key without a writer says that all of its time was looked at.

    Counted once more, as many records of one time as are looked through at once would lead to the same key for ever.
    """
    return ts_ns + 1 if writer else ts_ns


def every(client: Client, listing: Listing[Row]) -> Iterator[Row]:
    """Yield a table's rows, oldest first."""
    wanted = cut(("ts", *listing.ties), None, MOST_AT_ONCE, descending=False)
    while True:
        span = _enough(client, listing.table, Span(None, None, ()), wanted)
        found = _rows(client, listing, span, wanted)
        yield from (listing.make(row) for row in found)
        if len(found) < wanted.limit:
            return
        wanted = wanted._replace(values=found[-1][-len(wanted.key) :])


def bars(client: Client, symbol: str, interval_s: int, span: Span, limit: int) -> list[BarRow]:
    """Return the newest bars of one length, oldest first; of one bar the newest revision, and its first record."""
    mine = span.also(("sym = %s", (symbol,)), (f"interval_s = {interval_s}", ()))
    found: dict[tuple[int, str, str], BarRow] = {}
    while True:
        where, texts = mine.where()
        most = limit + 1 - len(found) + 64  # a few bars may come more than once
        rows = client.rows(
            f"SELECT {queries.BARS.columns} FROM ~ohlcv WHERE {where} ORDER BY ts DESC LIMIT {most}",  # noqa: S608
            texts,
        )
        for row in map(queries.BARS.make, rows):
            key = (row.ts_ns, row.exchange, row.data_source)
            kept = found.get(key)
            if kept is None or (-row.revision, row.writer, row.seq) < (-kept.revision, kept.writer, kept.seq):
                found[key] = row
        if len(rows) < most or len(found) > limit:
            return [found[key] for key in sorted(found)][-limit:]
        mine = mine.narrowed(end_ns=rows[-1][0])


def equity(client: Client, span: Span, points: int) -> list[EquityRow]:
    """Return at most ``points`` marks, oldest first: first, last and each bucket's extremes."""
    where, _ = span.where()
    count, first, last = client.rows(f"SELECT count(), min(ts)::long, max(ts)::long FROM ~equity WHERE {where}")[0]  # noqa: S608
    if count <= points:
        return _marks(client, where)
    width = (last - first) // ((points - 2) // 2) + 1
    bucket = f"(ts::long - {first}) / {width}"
    times = {first, last}
    for extreme in ("min", "max"):
        sql = (
            f"SELECT e.b, min(e.t) FROM (SELECT ts::long t, {bucket} b, equity FROM ~equity WHERE {where}) e "  # noqa: S608
            f"JOIN (SELECT {bucket} b, {extreme}(equity) m FROM ~equity WHERE {where}) x ON e.b = x.b "
            "WHERE e.equity = x.m"
        )
        times |= {time for _, time in client.rows(sql)}
    return _marks(client, f"ts IN ({', '.join(map(str, sorted(times)))})")


def _marks(client: Client, where: str) -> list[EquityRow]:
    listing = queries.EQUITY
    return [
        listing.make(row)
        for row in client.rows(f"SELECT {listing.columns} FROM ~equity WHERE {where} ORDER BY ts, writer, seq")  # noqa: S608
    ]


def _enough(client: Client, table: str, span: Span, wanted: Cut) -> Span:
    """Return the part of a span that holds a page by time: up to the time of the last row that it may need."""
    if wanted.values is None:
        beyond = span
    elif wanted.descending:
        span, beyond = span.narrowed(end_ns=wanted.values[0] + 1), span.narrowed(end_ns=wanted.values[0])
    else:
        span, beyond = span.narrowed(start_ns=wanted.values[0]), span.narrowed(start_ns=wanted.values[0] + 1)
    edge = _nth_time(client, table, beyond, wanted.limit + 1, descending=wanted.descending)
    if edge is None:
        return span
    return span.narrowed(start_ns=edge) if wanted.descending else span.narrowed(end_ns=edge + 1)


def _nth_time(client: Client, table: str, span: Span, number: int, *, descending: bool) -> int | None:
    """Return the time of a span's nth row by time, None if it has fewer."""
    where, texts = span.where()
    by = queries.order_by(("ts",), descending=descending)
    sql = f"SELECT ts::long FROM ~{table} WHERE {where} ORDER BY {by} LIMIT {number - 1}, {number}"  # noqa: S608
    return next((row[0] for row in client.rows(sql, texts)), None)


def _rows(client: Client, listing: Listing[Row], span: Span, wanted: Cut) -> list[tuple[Any, ...]]:
    if wanted.values is not None:
        span = span.also(queries.after(wanted.key, wanted.values, descending=wanted.descending))
    where, texts = span.where()
    kept = ", ".join("ts::long" if name == "ts" else name for name in wanted.key)
    by = queries.order_by(wanted.key, descending=wanted.descending)
    sql = f"SELECT {listing.columns}, {kept} FROM ~{listing.table} WHERE {where} ORDER BY {by} LIMIT {wanted.limit}"  # noqa: S608
    return client.rows(sql, texts)


def _page(listing: Listing[Row], found: list[tuple[Any, ...]], wanted: Cut) -> Page[Row]:
    rows = [listing.make(row) for row in found[: wanted.limit]]
    more = len(found) > wanted.limit
    return Page(rows, page_key(list(found[wanted.limit - 1][-len(wanted.key) :])) if more else None)
