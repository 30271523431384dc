"""Tables of a QuestDB store: the source document's five under its names, with its columns first, ours after them.

Each is partitioned by year: a replay of twenty years of daily bars would have five thousand partitions by day, of
fourteen files each and more than the kernel lets one process map; by month it would still open hundreds for one batch,
and take half as long again. Re-sent rows have the key of those that are there, so that
``DEDUP UPSERT KEYS`` writes the same over them. TIMESTAMP_NS keeps every nanosecond, from 1970 to 2261.
"""

from typing import Any, NamedTuple

from market.store.port import StoreUnavailableError
from market.store.questdb.client import Client
from market.store.schema import VERSION

EARLIEST_NS, LATEST_NS = 0, 9_214_646_399_999_999_999
"""What a designated timestamp may be: 1970-01-01 to the end of 2261."""
NULL_LONG = -(1 << 63)
"""The one 64-bit number that QuestDB takes for NULL."""


class Table(NamedTuple):
    """Columns as ``name TYPE`` in order, the designated timestamp first; with it, ``keys`` make a row one."""

    columns: str
    keys: str


TABLES = {
    "ohlcv": Table(
        "ts TIMESTAMP_NS, sym SYMBOL CAPACITY 4096 CACHE, o DOUBLE, h DOUBLE, l DOUBLE, c DOUBLE, v DOUBLE, "
        "exchange SYMBOL, data_source SYMBOL, interval_s LONG, revision LONG, close_ns LONG, seq LONG, writer SYMBOL",
        "sym, interval_s, exchange, data_source, revision, writer, seq",
    ),
    "agent_events": Table(
        "ts TIMESTAMP_NS, agent_id SYMBOL, event_type SYMBOL, symbol SYMBOL, signal_strength DOUBLE, "
        "confidence DOUBLE, competitive_score DOUBLE, metadata VARCHAR, hash_prev VARCHAR, hash_current VARCHAR, "
        "seq LONG, writer SYMBOL, run VARCHAR, utc_ns LONG",
        "writer, seq",
    ),
    "tournament_results": Table(
        "ts TIMESTAMP_NS, tournament_id SYMBOL, strategy_id SYMBOL, prediction_accuracy DOUBLE, "
        "challenge_resilience DOUBLE, risk_adjusted_return DOUBLE, capital_allocation_percent DOUBLE, "
        "tournament_metrics VARCHAR, seq LONG, writer SYMBOL, mode SYMBOL",
        "writer, seq",
    ),
    "trades": Table(
        "ts TIMESTAMP_NS, symbol SYMBOL, side SYMBOL, quantity DOUBLE, price DOUBLE, commission DOUBLE, "
        "slippage DOUBLE, strategy_id SYMBOL, execution_latency_ms INT, seq LONG, writer SYMBOL, mode SYMBOL, "
        "execution_id VARCHAR, order_id VARCHAR, lots LONG, lots_by_strategy VARCHAR, crossed_lots LONG, "
        "realised VARCHAR",
        "writer, seq",
    ),
    "tournament_audit": Table(
        "ts TIMESTAMP_NS, tournament_id SYMBOL, strategy_id SYMBOL, event_type SYMBOL, event_data VARCHAR, "
        "cryptographic_hash VARCHAR, previous_hash VARCHAR, seq LONG, writer SYMBOL",
        "writer, seq",
    ),
    "orders": Table(
        "ts TIMESTAMP_NS, order_id VARCHAR, updated_ns LONG, state SYMBOL, symbol SYMBOL, side SYMBOL, lots LONG, "
        "filled_lots LONG, type SYMBOL, limit_ticks LONG, stop_ticks LONG, time_in_force SYMBOL, expires_ns LONG, "
        "lots_by_strategy VARCHAR, expected_price DOUBLE, denials VARCHAR, reason VARCHAR, seq LONG, writer SYMBOL, "
        "mode SYMBOL, average_price DOUBLE, fee DOUBLE, slippage DOUBLE, tags VARCHAR",
        "order_id",
    ),
    "order_events": Table(
        "ts TIMESTAMP_NS, order_id VARCHAR, utc_ns LONG, type SYMBOL, state SYMBOL, payload VARCHAR, seq LONG, "
        "writer SYMBOL, hash_current VARCHAR",
        "writer, seq",
    ),
    "equity": Table(
        "ts TIMESTAMP_NS, equity DOUBLE, cash DOUBLE, fees DOUBLE, gross DOUBLE, net DOUBLE, realised DOUBLE, "
        "unrealised DOUBLE, high_water DOUBLE, drawdown DOUBLE, day_pnl DOUBLE, strategies VARCHAR, units VARCHAR, "
        "seq LONG, writer SYMBOL",
        "writer, seq",
    ),
    "projection": Table("ts TIMESTAMP_NS, writer SYMBOL, seq LONG, hash VARCHAR", "writer"),
}
"""``orders`` is a row an order as it is now, at the time when it was decided; ``projection`` a row a journal, at time
zero: how far it is in the store, written after its rows are, and one of VERSIONED."""

VERSIONED = "version"
"""The row of ``projection`` whose ``seq`` says by which version of the projection the tables were filled."""


def prepare(client: Client) -> None:
    """Make what is missing, and wake a table that the server has stopped applying its log to.

    Raises
    ------
    StoreUnavailableError
        if the server is away or a table of that name has other columns.
    """
    for name, table in TABLES.items():
        client.rows(
            f"CREATE TABLE IF NOT EXISTS ~{name} ({table.columns}) TIMESTAMP(ts) PARTITION BY YEAR WAL "
            f"DEDUP UPSERT KEYS(ts, {table.keys})"
        )
        wanted = [tuple(column.split()[:2]) for column in table.columns.split(", ")]
        found = client.rows(f"SELECT \"column\", type FROM table_columns('~{name}')")  # noqa: S608 - a constant
        if found != wanted:
            raise StoreUnavailableError(
                f"table {client.address.prefix}{name} of {client.address} has other columns than this station's; "
                "drop the station's tables there: the recorder makes them again from the journals"
            )
    for name, suspended in state(client).items():
        if suspended:
            client.rows(f"ALTER TABLE ~{name} RESUME WAL")


def check_version(client: Client) -> None:
    """Note which version fills empty tables; all that was written must be readable by now.

    Raises
    ------
    StoreUnavailableError
        if the server is away, or another version has filled the tables: they would lack rows of this one.
    """
    filled: dict[str, int] = dict(client.rows("SELECT writer, seq FROM ~projection"))
    if filled and filled.get(VERSIONED) != VERSION:
        raise StoreUnavailableError(
            f"tables {client.address.prefix}* of {client.address} were filled by version {filled.get(VERSIONED, 2)} "
            f"of the projection, this station's is {VERSION}; drop them there: the recorder makes them again from the "
            "journals"
        )
    if not filled:
        client.rows(f"INSERT INTO ~projection (ts, writer, seq, hash) VALUES (0, '{VERSIONED}', {VERSION}, '')")  # noqa: S608


def state(client: Client) -> dict[str, bool]:
    """Return which of the tables are there, and whether the server has stopped applying their log."""
    return dict(_logged(client, "SELECT name, suspended FROM wal_tables()"))


def unapplied(client: Client) -> list[str]:
    """Return the tables with acknowledged rows that cannot be read yet."""
    return sorted(name for (name,) in _logged(client, "SELECT name FROM wal_tables() WHERE writerTxn <> sequencerTxn"))


def _logged(client: Client, sql: str) -> list[tuple[Any, ...]]:
    prefix = client.address.prefix
    found = ((name.removeprefix(prefix), name, rest) for name, *rest in client.rows(sql))
    return [(short, *rest) for short, name, rest in found if short in TABLES and name == prefix + short]
