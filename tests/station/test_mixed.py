"""Shares beside a coin that never sleeps: a half day, Christmas and a weekend, in one run.

The coin's week is another year's, shifted onto the shares'; the file says so in every row and in its name.
"""

from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.compute as pc
import pysqlite3 as sqlite3
import pytest
from pyarrow import parquet

from tests.station.stations import (
    assert_equity_is_cash_and_positions,
    assert_nothing_twice,
    assert_the_record_gives_itself,
    finish,
)

pytestmark = [pytest.mark.station, pytest.mark.realdata]

SHARES, COIN = "us_min1_lean_2008-2023_days.parquet", "crypto_min1_btcperp_2021-12-31_2022-02-01.parquet"
SHIFT_DAYS = -2201
SESSIONS = {  # New York, in UTC: a whole day, a half day that ends at 13:00, then Christmas and a weekend
    "2015-12-23": ("2015-12-23T14:30", "2015-12-23T21:00"),
    "2015-12-24": ("2015-12-24T14:30", "2015-12-24T18:00"),
    "2015-12-28": ("2015-12-28T14:30", "2015-12-28T21:00"),
}
PHASES = [
    ("2015-12-23T01:00", "preparation", "2015-12-23"),
    ("2015-12-23T09:00", "extended", "2015-12-23"),
    ("2015-12-23T14:30", "market", "2015-12-23"),
    ("2015-12-23T21:00", "transition", "2015-12-23"),
    ("2015-12-23T21:15", "after_hours", "2015-12-23"),
    ("2015-12-24T01:00", "preparation", "2015-12-24"),
    ("2015-12-24T09:00", "extended", "2015-12-24"),
    ("2015-12-24T14:30", "market", "2015-12-24"),
    ("2015-12-24T18:00", "transition", "2015-12-24"),
    ("2015-12-24T18:15", "after_hours", "2015-12-24"),
    ("2015-12-25T01:00", "closed", "2015-12-28"),
    ("2015-12-27T07:00", "tournament", "2015-12-28"),
    ("2015-12-27T08:00", "closed", "2015-12-28"),
    ("2015-12-28T01:00", "preparation", "2015-12-28"),
    ("2015-12-28T09:00", "extended", "2015-12-28"),
    ("2015-12-28T14:30", "market", "2015-12-28"),
    ("2015-12-28T21:00", "transition", "2015-12-28"),
    ("2015-12-28T21:15", "after_hours", "2015-12-28"),
]


def ns(text):
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000_000


def day(engine_ns):
    return datetime.fromtimestamp(engine_ns / 1e9, UTC).date().isoformat()


def write_shares(source, path):
    """Write GOOG's three days, hours before and after the sessions included, and return how many bars those are."""
    table = parquet.read_table(source, filters=[("sym", "=", "GOOG")])
    parquet.write_table(table, path)
    return table.num_rows


def write_shifted(source, path):
    """Write six days of the coin, shifted, and return how many bars those are."""
    table = parquet.read_table(source)
    first, last = (pa.scalar(datetime(2022, 1, date, tzinfo=UTC), pa.timestamp("us", tz="UTC")) for date in (1, 7))
    table = table.filter(pc.and_(pc.greater_equal(table["ts"], first), pc.less(table["ts"], last)))
    shift = pa.scalar(SHIFT_DAYS * 86_400_000_000, pa.duration("us"))
    columns = {
        "ts": pc.add(table["ts"], shift),
        "sym": pc.cast(table["sym"], pa.string()),
        **{name: table[name] for name in "ohlcv"},
        "exchange": pa.array([f"FTX (SHIFTED by {SHIFT_DAYS} days)"] * table.num_rows),
        "data_source": pa.array([f"SHIFTED by {SHIFT_DAYS} days: nautechsystems/nautilus_trader"] * table.num_rows),
    }
    parquet.write_table(pa.table(columns), path)
    return table.num_rows


@pytest.fixture(scope="module")
def mixed(folder, station_data):
    shares, coin = folder / "GOOG.parquet", folder / "BTC-PERP_SHIFTED.parquet"
    bars = write_shares(station_data / SHARES, shares) + write_shifted(station_data / COIN, coin)
    finished = finish(folder / "mixed", "--feed", f"replay:{shares},{coin}", "--speed", "max")
    assert finished.result["bars"] == bars
    return finished


def in_session(instant_ns):
    return any(ns(begin) <= instant_ns <= ns(end) for begin, end in SESSIONS.values())


def test_money_adds_up_nothing_is_twice_and_the_record_gives_itself(mixed, folder):
    assert mixed.result["chain_ok"] is True
    assert_equity_is_cash_and_positions(mixed)
    assert_nothing_twice(mixed)
    assert_the_record_gives_itself(mixed, folder)


def test_shares_are_decided_and_filled_in_their_sessions_only(mixed):
    orders = [order for order in mixed.payloads("OrderEvent") if order.symbol == "GOOG"]
    decided = [order.engine_ns for order in orders if order.state in {"INTENT", "RISK_DENIED"}]
    assert {day(instant) for instant in decided} == set(SESSIONS)
    assert all(in_session(instant) for instant in decided)
    fills = [trade.engine_ns for trade in mixed.payloads("TradeEvent") if trade.symbol == "GOOG"]
    assert {day(instant) for instant in fills} == set(SESSIONS)
    assert all(in_session(instant) for instant in fills)
    signals = [signal.engine_ns for signal in mixed.payloads("SignalEvent") if signal.symbol == "GOOG"]
    assert all(in_session(instant) for instant in signals)


def test_the_coin_trades_around_the_clock(mixed):
    fills = [trade.engine_ns for trade in mixed.payloads("TradeEvent") if trade.symbol == "BTC-PERP"]
    assert {day(instant) for instant in fills} == {f"2015-12-{date}" for date in range(23, 29)}
    assert sum(not in_session(instant) for instant in fills) > len(fills) // 2


def test_phases_follow_each_calendar_and_stop_nothing(mixed):
    phases = mixed.payloads("PhaseEvent")
    shares = [(event.engine_ns, event.phase, event.session) for event in phases if event.calendar == "XNYS"]
    assert shares[1:] == [(ns(begin), phase, session) for begin, phase, session in PHASES]
    assert shares[0][1:] == ("after_hours", "2015-12-22")
    coin = [event for event in phases if event.calendar == "24/7"]
    assert {event.phase for event in coin} == {"market"}
    assert [event.session for event in coin] == [f"2015-12-{date}" for date in range(23, 30)]
    assert {event.state for event in mixed.payloads("StateEvent")} == {"ACTIVE"}


def test_orders_of_a_sessions_last_slice_live_until_the_next_close(mixed):
    closes = sorted(ns(end) for _, end in SESSIONS.values())
    for order in mixed.intents():
        if order.symbol == "GOOG":
            assert order.expires_ns == min(
                (close for close in closes if close > order.engine_ns), default=order.expires_ns
            )


def test_every_place_says_that_the_coins_bars_are_shifted(mixed):
    store = sqlite3.connect(f"file:{mixed.data_dir / 'store.sqlite3'}?mode=ro", uri=True)
    try:
        found = store.execute("SELECT sym, exchange, data_source, count(*) FROM ohlcv GROUP BY 1, 2, 3").fetchall()
    finally:
        store.close()
    assert sum(row[3] for row in found) == mixed.result["bars"]
    for symbol, exchange, data_source, _ in found:
        assert ("SHIFTED" in exchange and "SHIFTED" in data_source) == (symbol == "BTC-PERP")
    view = (mixed.data_dir / "run" / "worker-view.json").read_text()
    assert '"detail":"GOOG.parquet, BTC-PERP_SHIFTED.parquet"' in view
