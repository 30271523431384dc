"""Every code of the validator, and that its state can be put away and taken up."""

import json
import math

import msgspec
import pandas as pd
import pytest

from events.types import Bar
from market import validation
from market.instruments import Instrument, instrument_for
from market.validation import CODES, GAP, Validator

OPENS = pd.Timestamp("2019-02-11 14:30", tz="UTC").value
MINUTE_NS = 60_000_000_000
GOOD = Bar(
    feed="replay", symbol="AAPL", open_ns=OPENS, interval_s=60, open=10.0, high=11.0, low=9.0, close=10.5, volume=100.0,
    close_ns=OPENS + MINUTE_NS,
)  # fmt: skip


def at(number, **changes):
    open_ns = OPENS + number * MINUTE_NS
    return msgspec.structs.replace(GOOD, **{"open_ns": open_ns, "close_ns": open_ns + MINUTE_NS, **changes})


def validator():
    return Validator([instrument_for("AAPL", "US-consolidated"), instrument_for("BTC-PERP", "ftx")])


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({}, None),
        ({"volume": 0.0}, None),
        ({"open": 10.123456789}, None),
        ({"symbol": "MSFT"}, validation.UNKNOWN_SYMBOL),
        ({"interval_s": 0}, validation.BAD_LENGTH),
        ({"interval_s": -60}, validation.BAD_LENGTH),
        ({"close_ns": OPENS + MINUTE_NS - 1}, validation.BAD_LENGTH),
        ({"close_ns": OPENS}, validation.BAD_LENGTH),
        ({"close": None}, validation.BAD_NAN),
        ({"volume": None}, validation.BAD_NAN),
        ({"open": math.nan}, validation.BAD_NAN),
        ({"high": math.inf}, validation.BAD_INFINITE),
        ({"low": -math.inf}, validation.BAD_INFINITE),
        ({"low": 0.0}, validation.NOT_POSITIVE),
        ({"open": -10.0}, validation.NOT_POSITIVE),
        ({"high": 10.4}, validation.INVERTED_OHLC),
        ({"low": 10.2}, validation.INVERTED_OHLC),
        ({"high": 9.0, "low": 11.0}, validation.INVERTED_OHLC),
        ({"volume": -1.0}, validation.NEGATIVE_VOLUME),
    ],
)
def test_each_fault_has_its_code_and_is_counted(changes, code):
    judge = validator()
    assert judge.check(at(0, **changes), 0) == code
    assert judge.counts == ({} if code is None else {code: 1})
    assert code is None or code in CODES


def test_what_came_before_decides():
    judge = validator()
    assert judge.check(at(0), 0) is None
    assert judge.check(at(0), 0) == validation.DUPLICATE
    assert judge.check(at(0, revision=1), 0) is None
    assert judge.check(at(0, revision=1), 0) == validation.DUPLICATE
    assert judge.check(at(2), OPENS) is None
    assert judge.check(at(1), OPENS) == validation.OUT_OF_ORDER
    assert judge.check(at(1), OPENS + 2 * MINUTE_NS) == validation.LATE
    assert judge.check(at(3, interval_s=60), OPENS + 3 * MINUTE_NS) is None


def test_a_refused_bar_leaves_room_for_the_right_one():
    judge = validator()
    assert judge.check(at(0, close=None), 0) == validation.BAD_NAN
    assert judge.check(at(0), 0) is None


def test_gaps_are_flagged_within_a_session_only():
    judge = validator()
    numbers = [0, 1, 4, 5, 389, 390 + 60, 24 * 60, 24 * 60 + 3]  # … the last minute, after hours, next day's open
    assert [judge.check(at(number), 0) for number in numbers] == [None] * 8
    assert judge.counts == {GAP: 3}  # before 4, before 389, and next day before the fourth minute
    coins = validator()
    assert [coins.check(at(number, symbol="BTC-PERP"), 0) for number in (0, 1, 3)] == [None] * 3
    assert coins.counts == {GAP: 1}


def test_daily_gaps_are_missed_sessions():
    judge = validator()
    for day, close in (
        ("2015-12-23", "21:00"),
        ("2015-12-24", "18:00"),
        ("2015-12-28", "21:00"),
        ("2015-12-30", "21:00"),
    ):
        begin = pd.Timestamp(day, tz="UTC")
        closes = pd.Timestamp(f"{day} {close}", tz="UTC").value
        assert judge.check(at(0, open_ns=begin.value, close_ns=closes, interval_s=86400), 0) is None
    assert judge.counts == {GAP: 1}


def test_the_state_survives_being_put_away():
    judge = validator()
    judge.check(at(0), 0)
    judge.check(at(0), 0)
    again = validator()
    again.restore(json.loads(json.dumps(judge.snapshot())))
    assert again.snapshot() == judge.snapshot()
    assert again.check(at(0), 0) == validation.DUPLICATE
    assert again.counts == {validation.DUPLICATE: 2}
    assert again.check(at(1), 0) is None


@pytest.mark.parametrize(
    ("symbol", "exchange", "price", "wanted"),
    [
        ("AAPL", "US-consolidated", 170.0, ("equity", "XNYS", "USD", 0.01, 1, "technology", True)),
        ("SPY", "", None, ("etf", "XNYS", "USD", 0.01, 1, "broad market", True)),
        ("VIX", "CBOE-index", 15.0, ("index", "XNYS", "USD", 0.01, 1, "volatility", False)),
        ("SP500", "SAMPLE-index", 1200.0, ("index", "XNYS", "USD", 0.01, 1, "broad market", True)),
        ("QWXYZ", "US-consolidated", 5.0, ("equity", "XNYS", "USD", 0.01, 1, "", True)),
        ("BTC-PERP", "FTX(inferred)", 46000.0, ("crypto", "24/7", "USD", 0.01, 10000, "digital assets", True)),
        ("BTCEUR@coinbase", "coinbase", 9000.0, ("crypto", "24/7", "EUR", 0.01, 10000, "digital assets", True)),
        ("BTCBUSD@binance", "binance", 9000.0, ("crypto", "24/7", "BUSD", 0.01, 10000, "digital assets", True)),
        ("BTCUSDT.PERP@bybit", "bybit", 9000.0, ("crypto", "24/7", "USDT", 0.01, 10000, "digital assets", True)),
        ("ADAUSDT.PERP@binance", "", 0.3, ("crypto", "24/7", "USDT", 1e-05, 10000, "digital assets", True)),
        ("ETHUSD", "", 1000.0, ("crypto", "24/7", "USD", 0.01, 10000, "digital assets", True)),
    ],
)
def test_instruments_by_symbol_and_exchange(symbol, exchange, price, wanted):
    found: Instrument = instrument_for(symbol, exchange, price)
    fields = ("asset_class", "calendar", "currency", "tick", "lot_denominator", "sector", "tradable")
    assert tuple(getattr(found, field) for field in fields) == wanted
    assert found.proxy == (symbol == "SP500")
