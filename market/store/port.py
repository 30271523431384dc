"""The time-series store: what the recorder writes and the pages read, whichever database is behind it.

Times are UTC nanoseconds, prices and money in the account's currency, quantities in units (``quantity``) or lots. Every
row can be made again from the journals; ``seq`` and ``writer`` name the record that it came from.
"""

import base64
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any, Generic, Protocol, TypeVar

import msgspec

Row = TypeVar("Row")


class StoreError(RuntimeError):
    """One sentence: what cannot be read or written, and why."""


class StoreUnavailableError(StoreError):
    """The store is not there, not readable, or busy for too long."""


class QueryError(StoreError):
    """A filter, sort or page key that the store does not take: the sentence names it and what is allowed."""


class StoreRefusedError(StoreUnavailableError):
    """The store cannot hold this row: the sentence says why; writing it again changes nothing."""


class BarRow(msgspec.Struct, frozen=True, kw_only=True):
    """A valid bar: ``ts_ns`` is its open, ``close_ns`` when it was known."""

    ts_ns: int
    symbol: str
    interval_s: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    close_ns: int
    exchange: str = ""
    data_source: str = ""
    revision: int = 0
    seq: int = -1
    writer: str = ""


class EventRow(msgspec.Struct, frozen=True, kw_only=True):
    """A record of a journal; ``metadata`` is its payload's JSON, the hashes are the journal's."""

    ts_ns: int
    agent_id: str
    event_type: str
    symbol: str
    signal_strength: float | None
    confidence: float | None
    competitive_score: float | None
    metadata: str
    hash_prev: str
    hash_current: str
    seq: int
    writer: str
    run: str
    utc_ns: int


class OrderRow(msgspec.Struct, frozen=True, kw_only=True):
    """An order as it is now. ``engine_ns`` is when it was decided, ``updated_ns`` when it entered its state.

    Written with what one OrderEvent says; the average price, fees and slippage follow from the order's trades.
    """

    order_id: str
    engine_ns: int
    updated_ns: int
    state: str
    symbol: str
    side: str
    lots: int
    filled_lots: int
    type: str
    limit_ticks: int | None
    stop_ticks: int | None
    time_in_force: str
    expires_ns: int | None
    lots_by_strategy: dict[str, int]
    expected_price: float
    denials: list[dict[str, Any]]
    reason: str
    seq: int
    writer: str
    mode: str = "PAPER"
    average_price: float | None = None
    fee: float = 0.0
    slippage: float = 0.0


class LifeRow(msgspec.Struct, frozen=True, kw_only=True):
    """One event in an order's life: OrderEvent, BrokerEvent, FillEvent or TradeEvent; ``payload`` is its JSON."""

    order_id: str
    ts_ns: int
    utc_ns: int
    type: str
    state: str
    payload: str
    seq: int
    writer: str
    hash_current: str


class TradeRow(msgspec.Struct, frozen=True, kw_only=True):
    """A fill as it was booked; ``strategy_id`` names every strategy with lots in it, comma-separated."""

    engine_ns: int
    execution_id: str
    order_id: str
    symbol: str
    side: str
    lots: int
    quantity: float
    price: float
    fee: float
    slippage: float
    strategy_id: str
    lots_by_strategy: dict[str, int]
    crossed_lots: int
    realised: dict[str, float]
    seq: int
    writer: str
    mode: str = "PAPER"
    execution_latency_ms: int | None = None


class EquityRow(msgspec.Struct, frozen=True, kw_only=True):
    """The account at a mark; profit and loss by strategy, and the equity of each unit book."""

    ts_ns: int
    equity: float
    cash: float
    fees: float
    gross: float
    net: float
    realised: float
    unrealised: float
    high_water: float
    drawdown: float
    day_pnl: float
    strategies: dict[str, float]
    units: dict[str, float]
    seq: int
    writer: str


class TournamentResultRow(msgspec.Struct, frozen=True, kw_only=True):
    """What a round made of one strategy, a row a TournamentResultEvent, under the source document's columns.

    ``prediction_accuracy`` is the hit rate, None where nothing had settled; ``challenge_resilience`` is 1 where the
    stress cost nothing; ``risk_adjusted_return`` is the probability that the Sharpe ratio is above nought, deflated for
    the trials (a ratio would need its error beside it). ``tournament_metrics`` holds the event's other numbers by its
    own names, capital there as fractions. ``ts_ns`` is when the journal took it: the event itself names no time.
    """

    ts_ns: int
    tournament_id: str
    strategy_id: str
    prediction_accuracy: float | None
    challenge_resilience: float
    risk_adjusted_return: float
    capital_allocation_percent: float
    tournament_metrics: dict[str, Any]
    seq: int
    writer: str
    mode: str = "PAPER"


class TournamentAuditRow(msgspec.Struct, frozen=True, kw_only=True):
    """A tournament's event as its journal holds it; ``strategy_id`` is "" for what the round itself says.

    ``event_data`` is the payload's JSON, its texts sealed as they are there; the hashes are the record's own.
    """

    ts_ns: int
    tournament_id: str
    strategy_id: str
    event_type: str
    event_data: str
    cryptographic_hash: str
    previous_hash: str
    seq: int
    writer: str


ROWS = (BarRow, EventRow, OrderRow, LifeRow, TradeRow, EquityRow, TournamentResultRow, TournamentAuditRow)
"""Kinds of row that a store holds, for :meth:`Store.every`."""


class Position(msgspec.Struct, frozen=True, kw_only=True):
    """The last record of a journal that the store holds; -1 and zeros before the first."""

    seq: int = -1
    hash: str = "0" * 64


class Batch(msgspec.Struct, kw_only=True):
    """What the records after the stored position, up to ``position``, add. All of it is written, or nothing."""

    writer: str
    position: Position
    bars: list[BarRow] = []
    events: list[EventRow] = []
    orders: list[OrderRow] = []
    life: list[LifeRow] = []
    trades: list[TradeRow] = []
    equity: list[EquityRow] = []
    tournament_results: list[TournamentResultRow] = []
    tournament_audit: list[TournamentAuditRow] = []

    def rows(self) -> int:
        """Return how many rows the batch holds."""
        orders = len(self.orders) + len(self.life) + len(self.trades)
        tournaments = len(self.tournament_results) + len(self.tournament_audit)
        return orders + tournaments + len(self.bars) + len(self.events) + len(self.equity)


class OrderFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which orders: None means any. ``strategy`` had lots in it, ``denial`` is one of its codes; end exclusive."""

    symbol: str | None = None
    side: str | None = None
    state: str | None = None
    strategy: str | None = None
    denial: str | None = None
    start_ns: int | None = None
    end_ns: int | None = None


class TradeFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which trades: None means any; end exclusive."""

    symbol: str | None = None
    side: str | None = None
    strategy: str | None = None
    order_id: str | None = None
    start_ns: int | None = None
    end_ns: int | None = None


class EventScope(msgspec.Struct, frozen=True, kw_only=True):
    """What a reader may see at all: an event of any of these agents or of any of these types, whoever it is by."""

    agents: tuple[str, ...] = ()
    types: tuple[str, ...] = ()


class EventFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which events: None means any; end exclusive. All that is given must hold.

    ``text`` occurs in ``metadata`` as it stands, upper and lower case of A to Z alike; "" is the same as None.
    ``scope`` comes beside what a person asked for: None is everything, an empty one nothing.
    """

    event_type: str | None = None
    agent_id: str | None = None
    symbol: str | None = None
    writer: str | None = None
    start_ns: int | None = None
    end_ns: int | None = None
    text: str | None = None
    scope: EventScope | None = None


class TournamentFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which rows of tournaments: None means any. All that is given must hold.

    ``within`` comes beside what a person asked for: the strategies whose rows a reader may see at all, an empty one
    nothing.
    """

    tournament_id: str | None = None
    strategy_id: str | None = None
    within: tuple[str, ...] | None = None


class Page(msgspec.Struct, Generic[Row], frozen=True):
    """Rows in the order asked for; ``next_key`` asks for those after them, None at the end.

    ``looked_to_ns`` is set where a search stopped before it had ``limit`` rows, because it had looked at enough
    records: the time of the last one. ``next_key`` then goes on from there, however few rows there are, even none.
    """

    rows: list[Row]
    next_key: str | None
    looked_to_ns: int | None = None


class Store(Protocol):
    """Written by the recorder alone; readers may be many, in any process.

    ``sort`` is a column name, with a minus before it for descending; ``after_key`` is the ``next_key`` of the page
    before, of the same filter and sort. Every method raises StoreUnavailableError if the store cannot be read or
    written, those with filters QueryError for what they do not take.
    """

    def write(self, batch: Batch) -> None:
        """Write a batch and its position together; what is there already changes nothing."""

    def position(self, writer: str) -> Position:
        """Return how far a journal is in the store."""

    def settle(self, seconds: float = 30.0) -> None:
        """Wait until everything that was written can be read; StoreUnavailableError if that takes longer."""

    def every(self, kind: type[Row]) -> Iterator[Row]:
        """Yield every row of one of ``ROWS``, oldest first, rows of one time by writer and sequence.

        Orders by the time when they were decided and their names. Two stores of the same journals yield the same.
        """

    def bars(
        self,
        symbol: str,
        interval_s: int | None = None,
        start_ns: int = 0,
        end_ns: int | None = None,
        limit: int = 5000,
    ) -> list[BarRow]:
        """Return the newest ``limit`` bars that open in [start, end), oldest first.

        Without ``interval_s`` those of the shortest stored length; of a length that is not stored, bars made from the
        longest stored one that divides it, in buckets that begin at multiples of the length since 1970 (UTC).
        """

    def bar_intervals(self, symbol: str) -> list[int]:
        """Return the stored lengths of a symbol's bars, in seconds, shortest first."""

    def orders(
        self,
        filters: OrderFilter | None = None,
        *,
        sort: str = "-engine_ns",
        after_key: str | None = None,
        limit: int = 100,
    ) -> Page[OrderRow]:
        """Return a page of orders; sorts: engine_ns, symbol, state."""

    def count_orders(self, filters: OrderFilter | None = None, *, most: int = 10_000) -> int:
        """Return how many orders there are, counting no further than ``most``."""

    def every_order(self, filters: OrderFilter | None = None, *, sort: str = "-engine_ns") -> Iterator[OrderRow]:
        """Yield all of exactly this filter, page by page: for a CSV file."""

    def order(self, order_id: str) -> OrderRow | None:
        """Return one order."""

    def order_life(self, order_id: str) -> list[LifeRow]:
        """Return everything that happened to an order, in journal order."""

    def fills(
        self,
        filters: TradeFilter | None = None,
        *,
        sort: str = "-engine_ns",
        after_key: str | None = None,
        limit: int = 100,
    ) -> Page[TradeRow]:
        """Return a page of trades; sorts: engine_ns, symbol."""

    def every_fill(self, filters: TradeFilter | None = None, *, sort: str = "-engine_ns") -> Iterator[TradeRow]:
        """Yield all of exactly this filter, page by page."""

    def equity(self, start_ns: int = 0, end_ns: int | None = None, points: int = 1000) -> list[EquityRow]:
        """Return at most ``points`` marks in [start, end), oldest first; first, last and extremes are kept."""

    def events(
        self, filters: EventFilter | None = None, *, after_key: str | None = None, limit: int = 100
    ) -> Page[EventRow]:
        """Return a page of events, newest first: by ``ts_ns``, then writer, then ``seq``.

        A free text may be looked for in a bounded number of records at a time: ``looked_to_ns`` says how far.
        """

    def every_event(self, filters: EventFilter | None = None) -> Iterator[EventRow]:
        """Yield all of exactly this filter, page by page, newest first: for a file."""

    def tournament_results(
        self, filters: TournamentFilter | None = None, *, after_key: str | None = None, limit: int = 100
    ) -> Page[TournamentResultRow]:
        """Return a page of results, of a round or of a strategy through time, newest first as events are."""

    def tournament_audit(
        self, filters: TournamentFilter | None = None, *, after_key: str | None = None, limit: int = 100
    ) -> Page[TournamentAuditRow]:
        """Return a page of the tournaments' events, newest first as events are."""

    def steady(self) -> AbstractContextManager[None]:
        """Let this thread read one state of the store from here on, as far as its database can do that."""

    def close(self) -> None:
        """Give its connections back."""


def page_key(values: list[Any]) -> str:
    """Return where a page ended, as text that a URL can carry."""
    return base64.urlsafe_b64encode(msgspec.json.encode(values)).decode().rstrip("=")


def read_page_key(text: str, types: tuple[type, ...]) -> list[Any]:
    """Return the values of a page key.

    Raises
    ------
    QueryError
        if it is not one of this filter and sort.
    """
    try:
        values = msgspec.json.decode(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), type=list[Any])
    except (ValueError, msgspec.DecodeError) as error:
        raise QueryError(f"page key {text!r} is not one that this list gave; start from its first page") from error
    if len(values) != len(types) or any(type(value) is not kind for value, kind in zip(values, types, strict=True)):
        raise QueryError(f"page key {text!r} belongs to another list or order; start from the first page")
    return values


def read_sort(text: str, allowed: tuple[str, ...]) -> tuple[str, bool]:
    """Return (column, descending).

    Raises
    ------
    QueryError
        if the column may not be sorted by.
    """
    column, descending = text.removeprefix("-"), text.startswith("-")
    if column not in allowed:
        raise QueryError(
            f"sort {text!r} is not possible; allowed are {', '.join(allowed)}, with a minus for descending"
        )
    return column, descending
