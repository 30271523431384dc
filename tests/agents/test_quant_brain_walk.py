"""What the quant brain learns from: the policy's words at each session's end, and the next session's return."""

from dataclasses import fields, replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from agents.brains.observations import DOWN, FLAT, UNKNOWN, UP, Observations, ObservationsError, classify
from agents.brains.quant import session_sigma, walk
from agents.lookahead import slices
from agents.strategies import BULLISH, MEAN_REVERSION, MOMENTUM, STRATEGIES
from market.bars import empty_bars
from market.calendars import DAY_NS, sessions
from tests.agents.quant_brain_histories import MINUTE_NS, START_NS, Market, daily, drawn, real

DAYS = "us_day1_2018-05-01_2019-02-15_24sym"
SAID_THEN = ("symbol", "known_ns", "features", "target", "score", "warm", "close", "sigma")


def assert_knows_no_later(whole: Observations, part: Observations, cut_ns: int) -> None:
    """Every column of the shorter one, bit for bit; what had not been settled by then is unknown in it."""
    rows = int(np.count_nonzero(whole.known_ns <= cut_ns))
    assert len(part) == rows
    for name in SAID_THEN:
        assert getattr(whole, name)[:rows].tobytes() == getattr(part, name).tobytes(), name
    settled = (whole.settled_ns[:rows] <= cut_ns) & (whole.settled_ns[:rows] > 0)
    for name, unknown in (("next_return", np.nan), ("next_class", UNKNOWN), ("settled_ns", 0)):
        expected = np.where(settled, getattr(whole, name)[:rows], unknown)
        np.testing.assert_array_equal(getattr(part, name), expected)


@given(
    shape=st.tuples(st.integers(1, 90), st.integers(1, 4), st.integers(0, 10_000)), missing=st.sampled_from([0.0, 0.3]),
    cut=st.integers(0, 90), policy=st.sampled_from(STRATEGIES),
)  # fmt: skip
@settings(max_examples=25, derandomize=True)
def test_no_row_knows_what_came_later(shape, missing, cut, policy):
    market = drawn(*shape, missing=missing)
    cut_ns = START_NS + min(cut, shape[0]) * DAY_NS
    whole = market.walked(policy)
    assert_knows_no_later(whole, market.walked(policy, cut_ns), cut_ns)
    assert_knows_no_later(market.with_another_future(cut_ns).walked(policy), market.walked(policy, cut_ns), cut_ns)


@pytest.mark.realdata
@pytest.mark.parametrize("name", [DAYS, "us_min15_2019-01-04_2019-02-15_24sym"])
def test_no_row_of_real_days_knows_what_came_later(station_data, name):
    market = real(station_data, name)
    cut_ns = int(market.history.now_ns[len(market.history.now_ns) * 2 // 3])
    for policy in STRATEGIES:
        part = market.walked(policy, cut_ns)
        assert part.warm.any()
        assert_knows_no_later(market.walked(policy), part, cut_ns)
        assert_knows_no_later(market.with_another_future(cut_ns).walked(policy), part, cut_ns)


@pytest.mark.realdata
def test_real_days_give_the_returns_and_sigmas_of_their_own_table(station_data):
    market = real(station_data, DAYS)
    seen = market.walked(MOMENTUM)
    assert len(seen) == 24 * 201
    assert np.count_nonzero(seen.next_class == UNKNOWN) == 24 * 10  # nine without sigma, and the last
    table = parquet.read_table(station_data / f"{DAYS}.parquet", filters=[("sym", "=", "SPY")]).to_pandas()
    returns = table["c"] / table["o"] - 1.0
    mine = seen.symbol == market.symbols.index("SPY")
    np.testing.assert_allclose(seen.next_return[mine][:-1], returns[1:])
    sigma = np.sqrt((returns**2).rolling(60, min_periods=10).mean())
    np.testing.assert_allclose(seen.sigma[mine], sigma)
    edge = 0.3 * sigma[:-1].to_numpy()
    expected = np.where(np.abs(returns[1:]) < edge, FLAT, np.where(returns[1:] > 0.0, UP, DOWN))
    np.testing.assert_array_equal(seen.next_class[mine][9:-1], expected[9:])


def minutes(length: int) -> Market:
    """Forty sessions of New York, the half day after Thanksgiving among them, in bars of ``length`` minutes.

    The minutes are the same whatever the length; the night's bars move the price, and are out of session.
    """
    known = sessions("XNYS", 1_540_000_000_000_000_000, 1_545_000_000_000_000_000)
    generator = np.random.default_rng(3)
    opens, closes, starts, ends = [], [], [], []
    price = 100.0
    for open_ns, close_ns in zip(known.opens_ns[:-1].tolist(), known.closes_ns[:-1].tolist(), strict=True):
        ticks = price * np.exp(np.cumsum(0.0005 * generator.standard_normal((close_ns - open_ns) // MINUTE_NS + 1)))
        step = min(length, len(ticks) - 1)
        opens += ticks[:-1:step].tolist()
        closes += ticks[step::step].tolist()
        starts += list(range(open_ns, close_ns, step * MINUTE_NS))
        ends += list(range(open_ns + step * MINUTE_NS, close_ns + 1, step * MINUTE_NS))
        night_ns, price = close_ns + 30 * MINUTE_NS, ticks[-1] * 1.2
        opens.append(price), closes.append(price), starts.append(night_ns), ends.append(night_ns + step * MINUTE_NS)
    bars = empty_bars(len(opens))
    bars["open"], bars["close"], bars["open_ns"], bars["close_ns"] = opens, closes, starts, ends
    bars["high"], bars["low"] = np.maximum(bars["open"], bars["close"]), np.minimum(bars["open"], bars["close"])
    return Market(["S"], slices(np.zeros(len(bars), dtype=np.int64), bars, [known]), [known], int(ends[-1]))


def test_minutes_quarter_hours_and_days_tell_of_the_same_sessions():
    one, fifteen, day = (minutes(length).walked(MOMENTUM) for length in (1, 15, 1440))
    assert len(one) > 30
    for other in (fifteen, day):
        for name in ("known_ns", "close", "sigma", "next_return", "next_class", "settled_ns"):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    np.testing.assert_array_equal(one.features, fifteen.features)  # momentum reads quarter hours
    assert not np.array_equal(one.features, day.features)
    assert np.abs(one.next_return[:-1]).max() < 0.1  # the night's jump of 20 % is in none of them


def test_a_session_without_a_bar_settles_nothing_and_is_not_skipped():
    market = drawn(30, 2, seed=1)
    market.history.bars["present"][20, 0] = False
    seen = market.walked(BULLISH)
    first = {int(known): row for row, known in enumerate(seen.known_ns) if seen.symbol[row] == 0}
    closes = START_NS + DAY_NS * np.arange(1, 31)
    assert int(closes[20]) not in first
    before = first[int(closes[19])]
    assert np.isnan(seen.next_return[before])
    assert (seen.next_class[before], seen.settled_ns[before]) == (UNKNOWN, 0)
    assert seen.settled_ns[first[int(closes[18])]] == closes[19]


def test_the_policy_says_what_it_says_live_and_is_silent_before_its_warm_up():
    market = drawn(60, 1, seed=2)
    seen = market.walked(MEAN_REVERSION)
    state = np.zeros(1, MEAN_REVERSION.state_dtype)
    parameters = np.array([parameter.default for parameter in MEAN_REVERSION.parameters])
    targets, scores, features = np.zeros(1), np.zeros(1), np.zeros((1, len(MEAN_REVERSION.features)))
    for row, bars in enumerate(market.history.bars):
        MEAN_REVERSION.loop(state, parameters, bars, bars["present"], targets, scores, features)
        assert (seen.target[row], seen.score[row]) == (targets[0], scores[0])
        np.testing.assert_array_equal(seen.features[row], features[0])
        assert seen.warm[row] == (row + 1 >= MEAN_REVERSION.warm_up_bars)
    longer = market.walked(MEAN_REVERSION, window_bars=40)
    assert np.flatnonzero(longer.warm)[0] == 40
    slower = market.walked(replace(MEAN_REVERSION, warm_up_bars=50))  # features alone do not make it warm
    assert np.flatnonzero(slower.warm)[0] == 49


def test_a_market_that_never_closes_and_an_exchange_keep_their_own_sessions():
    start, end = 1_545_000_000_000_000_000, 1_547_000_000_000_000_000  # over Christmas
    known = [sessions("24/7", start, end), sessions("XNYS", start, end)]
    opens, closes, symbol = [], [], []
    for index, each in enumerate(known):
        opens += each.opens_ns[:-1].tolist()
        closes += each.closes_ns[:-1].tolist()
        symbol += [index] * (len(each) - 1)
    bars = empty_bars(len(opens))
    bars["open_ns"], bars["close_ns"] = opens, closes
    bars["close"] = 100.0 + np.arange(len(opens)) % 7
    bars["open"] = bars["high"] = bars["low"] = 101.0
    history = slices(np.array(symbol), bars, known)
    seen = walk(BULLISH, ["BTC-PERP", "SPY"], history, known, as_of_ns=int(history.now_ns[-1]))
    assert np.all(np.diff(seen.known_ns) >= 0)
    for index, each in enumerate(known):
        mine = seen.symbol == index
        np.testing.assert_array_equal(seen.known_ns[mine], each.closes_ns[:-1])
        np.testing.assert_array_equal(seen.settled_ns[mine][:-1], each.closes_ns[1:-1])


def test_a_session_that_is_not_over_is_not_told_of():
    market = minutes(15)
    open_ns = int(market.sessions[0].opens_ns[20])
    early = market.walked(MOMENTUM, open_ns + 60 * MINUTE_NS)
    assert len(early) == 20
    assert early.next_class[-1] == UNKNOWN


def test_a_bar_that_reaches_beyond_its_session_is_not_its_close():
    known = sessions("XNYS", START_NS, START_NS + 20 * DAY_NS)
    bars = empty_bars(2 * len(known))
    for name in ("open", "high", "low"):
        bars[name] = 100.0
    bars["close"][::2], bars["close"][1::2] = 101.0, 150.0
    bars["open_ns"][::2], bars["close_ns"][::2] = known.opens_ns, known.opens_ns + 60 * MINUTE_NS
    bars["open_ns"][1::2], bars["close_ns"][1::2] = known.closes_ns - MINUTE_NS, known.closes_ns + MINUTE_NS
    history = slices(np.zeros(len(bars), dtype=np.int64), bars, [known])
    seen = walk(MOMENTUM, ["S"], history, [known], as_of_ns=int(history.now_ns[-1]))
    assert len(seen) == len(known)
    assert set(seen.close.tolist()) == {101.0}


def test_no_bars_at_all_give_no_rows():
    empty = daily(np.full((5, 2), 1.0), np.full((5, 2), 1.0), np.zeros((5, 2), dtype=np.bool_))
    assert len(empty.walked(MOMENTUM)) == 0
    assert len(drawn(5, 1, seed=0).walked(MOMENTUM, START_NS - 1)) == 0
    half = daily(np.full((5, 2), 1.0), np.full((5, 2), 1.0), np.repeat([[True, False]], 5, axis=0))
    assert half.walked(MOMENTUM).symbol.tolist() == [0] * 5


@pytest.mark.parametrize(("field", "value"), [("close", np.nan), ("open", 0.0), ("high", np.inf), ("volume", np.nan)])
def test_a_broken_bar_is_refused_with_its_symbol(field, value):
    market = drawn(5, 2, seed=0)
    market.history.bars[field][3, 1] = value
    with pytest.raises(ObservationsError, match=r"bars: S1 has .* finite prices above 0"):
        market.walked(MOMENTUM)
    assert len(market.walked(MOMENTUM, market.end_ns - 2 * DAY_NS)) == 6  # it comes later than what is asked for
    market.history.bars["present"][3, 1] = False
    assert len(market.walked(MOMENTUM)) == 9


def test_calendars_and_names_must_fit_the_bars():
    market = drawn(5, 2, seed=0)
    with pytest.raises(ObservationsError, match="symbols has 1 names and sessions 2 calendars; both must have 2"):
        walk(MOMENTUM, ["S0"], market.history, market.sessions, as_of_ns=market.end_ns)
    other = [sessions("XNYS", START_NS, market.end_ns)] * 2
    with pytest.raises(ObservationsError, match="sessions of column 0 \\(XNYS\\) are not those"):
        walk(MOMENTUM, market.symbols, market.history, other, as_of_ns=market.end_ns)


def test_classes_lie_at_three_tenths_of_sigma():
    sigma = np.array([0.01] * 5 + [0.0, 0.0, np.nan])
    returns = np.array([-0.0031, -0.0029, 0.0, 0.0029, 0.0031, 0.0, 1e-9, 0.1])
    assert classify(returns, sigma).tolist() == [DOWN, FLAT, FLAT, FLAT, UP, FLAT, UP, UNKNOWN]
    assert classify(np.array([0.003, -0.003]), np.array([0.01, 0.01])).tolist() == [UP, DOWN]


def test_one_wild_print_counts_as_half_in_sigma():
    calm = np.full(60, 0.01)
    wild = np.append(calm, 9.0)
    assert session_sigma(wild)[-1] == pytest.approx(np.sqrt((59 * 0.01**2 + 0.5**2) / 60))
    assert np.isnan(session_sigma(calm)[:9]).all()
    assert session_sigma(calm)[9:] == pytest.approx(0.01)
    assert len(session_sigma(np.empty(0))) == 0


def test_prices_at_the_ends_of_what_a_number_holds_leave_the_return_unknown():
    opens, closes = np.full((14, 1), 1.0), np.full((14, 1), 1.01)
    opens[12], closes[12] = 1e-300, 1e300
    seen = daily(opens, closes).walked(BULLISH)
    assert np.isnan(seen.next_return[11])
    assert seen.next_class[11] == UNKNOWN
    assert all(len(getattr(seen, field.name)) == 14 for field in fields(seen) if field.name in SAID_THEN)


def test_pandas_reads_the_same_days():
    """The last days of a drawn market by an independent way: nothing is shifted by one."""
    market = drawn(40, 1, seed=5)
    bars = pd.DataFrame({name: market.history.bars[name][:, 0] for name in ("open", "close")})
    following = (bars["close"] / bars["open"] - 1.0).shift(-1)
    np.testing.assert_allclose(market.walked(BULLISH).next_return, following)
