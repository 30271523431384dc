"""What a round may look at: representative symbols and the stress window, point in time."""

from dataclasses import replace

import numpy as np
import pytest

from agents.lookahead import slices
from market.bars import empty_bars
from market.calendars import DAY_NS
from tests.tournaments.seasons import days, with_another_future
from tournaments.market import MarketError, representative, stress_window

HOUR_NS = 3_600_000_000_000


def closes_of(market):
    return market.sessions[0].closes_ns


def hourly(market, first, last):
    """Give sessions [first, last) six hourly bars each."""
    known, columns = market.sessions[0], len(market.symbols)
    session, hour, symbol = (part.ravel() for part in np.indices((last - first, 6, columns)))
    session += first
    bars = empty_bars(len(session))
    bars["open_ns"] = known.opens_ns[session] + hour * HOUR_NS
    bars["close_ns"] = bars["open_ns"] + HOUR_NS
    daily = {int(o): row for row, o in enumerate(market.daily.session_open_ns[:, 0])}
    row = np.array([daily[int(known.opens_ns[s])] for s in session])
    start, end = market.daily.bars["open"][row, symbol], market.daily.bars["close"][row, symbol]
    bars["open"], bars["close"] = start + (end - start) * hour / 6, start + (end - start) * (hour + 1) / 6
    bars["high"], bars["low"] = np.maximum(bars["open"], bars["close"]), np.minimum(bars["open"], bars["close"])
    bars["volume"] = 1000.0
    fine = slices(symbol, bars, list(market.sessions))
    return replace(market, fine=fine, interval_s=3600)


def test_the_symbols_that_trade_most_money_come_in_the_order_of_the_columns():
    assert representative(days(40), int(closes_of(days(40))[-1]), 2).tolist() == [3, 4]
    assert representative(days(40), int(closes_of(days(40))[-1]), 9).tolist() == [0, 1, 2, 3, 4]


def test_a_symbol_that_missed_one_of_the_last_sessions_is_none_and_is_again_when_that_is_long_ago():
    market = days(60, missing=[(30, 4)])
    at = closes_of(market)
    assert 4 in representative(market, int(at[29]), 5)
    assert 4 not in representative(market, int(at[49]), 5)
    assert 4 in representative(market, int(at[50]), 5)
    assert 4 in representative(market, int(at[40]), 5, sessions=5)


def test_a_bar_outside_every_session_hides_no_symbol():
    market = days(40)
    saturday = empty_bars(1)
    friday = int(np.flatnonzero(np.diff(closes_of(market)[:40]) > 2 * DAY_NS)[-1])
    saturday["open_ns"] = closes_of(market)[friday] + 6 * HOUR_NS
    saturday["close_ns"] = saturday["open_ns"] + HOUR_NS
    saturday[["open", "high", "low", "close", "volume"]] = (1.0, 1.0, 1.0, 1.0, 1.0)
    there = market.daily.bars["present"]
    symbol = np.nonzero(there)[1]
    both = np.concatenate([market.daily.bars[there], saturday])
    stray = replace(market, daily=slices(np.append(symbol, 0), both, list(market.sessions)))
    at = int(closes_of(market)[39])
    assert representative(stray, at, 5).tolist() == [0, 1, 2, 3, 4]
    np.testing.assert_array_equal(
        stress_window(stray, at, np.arange(5)).bars, stress_window(market, at, np.arange(5)).bars
    )


def test_before_the_first_bar_and_where_everybody_missed_one_there_is_nothing():
    with pytest.raises(MarketError, match="no symbol has a bar in each of the last 20 sessions"):
        representative(days(40), int(closes_of(days(40))[0]) - 1, 5)
    market = days(40, 3, missing=[(30 + k, k) for k in range(3)])
    with pytest.raises(MarketError):
        representative(market, int(closes_of(market)[-1]), 5)


def test_the_window_has_the_sessions_that_the_rules_ask_for_and_no_later_one():
    market = days(60)
    at = int(closes_of(market)[49])
    found = stress_window(market, at, np.array([1, 3]), 7)
    assert (found.symbols, found.interval_s, found.bars.shape) == (("BBB", "DDD"), 86_400, (7, 1, 2, 5))
    np.testing.assert_array_equal(found.bars[-1, 0, :, 3], market.daily.bars["close"][49, [1, 3]])


def test_daily_bars_stand_in_for_the_sessions_before_the_finer_ones():
    market = hourly(days(60), 45, 60)
    found = stress_window(market, int(closes_of(market)[49]), np.arange(5))
    assert (found.interval_s, found.bars.shape[:2]) == (3600, (20, 6))
    np.testing.assert_allclose(found.bars[-1, -1, :, 3], market.daily.bars["close"][49])
    closes = found.bars[:, -1, :, 3]
    np.testing.assert_allclose(closes, market.daily.bars["close"][30:50])  # each session once


def test_finer_bars_that_begin_later_or_ended_long_ago_are_not_taken():
    early, late = hourly(days(60), 0, 30), hourly(days(60), 55, 60)
    for market in (early, late):
        found = stress_window(market, int(closes_of(market)[49]), np.arange(5))
        assert found.interval_s == 86_400
        np.testing.assert_array_equal(found.bars[-1, 0, :, 3], market.daily.bars["close"][49])


def test_a_session_that_is_still_open_is_left_out():
    market = hourly(days(60), 20, 60)
    at = int(closes_of(market)[49])
    before, within = (stress_window(market, at + later, np.arange(5)) for later in (0, DAY_NS - 2 * HOUR_NS))
    np.testing.assert_array_equal(before.bars, within.bars)


@pytest.mark.parametrize("seed", range(5))
def test_another_future_changes_nothing(seed):
    market = hourly(days(60), 40, 60)
    at = int(closes_of(market)[49]) + HOUR_NS
    other = with_another_future(market, at, seed)
    assert not np.array_equal(other.daily.bars["close"], market.daily.bars["close"])
    np.testing.assert_array_equal(representative(other, at, 3), representative(market, at, 3))
    one, two = (stress_window(each, at, np.array([0, 2])) for each in (market, other))
    np.testing.assert_array_equal(one.bars, two.bars)
