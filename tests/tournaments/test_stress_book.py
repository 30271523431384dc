"""The compiled book does what the engine does: unit books, whole engine with the paper broker, sigma, aggregation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from engine.kernel import mark_symbols
from engine.layout import ACCOUNT, BOOK, LIMITS, STRATEGY
from engine.units import fill_units, size_units
from market.aggregation import NOW, advance, new_buckets
from market.bars import empty_bars
from tests.engine.desk import NO_BOOKS, NO_SWANS, START_NS, Desk, instrument
from tests.tournaments.stressed import conditions, names, walk
from tournaments.stress.book import (
    COST,
    FALL,
    FLAT,
    GROSS,
    PNL,
    REGAIN,
    REGAINED,
    RESULTS,
    TURNOVER,
    dense_closes,
    deviation,
    recovery,
    room_of,
    run_path,
)
from tournaments.stress.paths import CLOSE, HISTORY
from tournaments.stress.policies import to_bars
from tournaments.stress.sizing import wanted_change

BAND = 0.1


def traded(path, targets, terms, *, group=1, budgets=None, weight=1.0, spread=1.0, depth=1.0, before=None):
    """Run a path from a flat book; return equity, result, symbols and account."""
    n = path.shape[1]
    closes = np.zeros((n, room_of(len(path))))
    closes[:, :HISTORY] = path[:1, :, 0].T if before is None else before.T
    dense_closes(path, closes)
    rows, account = terms.symbols.copy(), np.zeros(1, ACCOUNT)
    account["cash_micro"] = round(terms.capital * 1e6)
    equity, result = np.empty(len(path)), np.empty(RESULTS)
    shares = np.full(n, 1.0 / n) if budgets is None else budgets
    run_path(
        rows, account, path, closes, closes, False, np.zeros(n), targets, group, shares, weight, terms.band,  # noqa: FBT003
        terms.costs, 0, spread, depth, equity, result,
    )  # fmt: skip
    return equity, result, rows, account


def random_targets(bars: int, symbols: int, seed: int) -> np.ndarray:
    chance = np.random.default_rng(seed)
    kept = chance.random((bars, symbols)) < 0.9
    targets = chance.choice([-1.2, -0.7, -0.3, 0.0, 0.0, 0.4, 1.0], (bars, symbols))
    for t in range(1, bars):
        targets[t, kept[t]] = targets[t - 1, kept[t]]
    return targets


@pytest.mark.parametrize("seed", range(4))
def test_the_book_is_the_engines_unit_book_where_volume_is_no_limit(seed):
    path = walk(1, 200, 3, seed=seed, daily=0.1)[0]
    targets, terms = random_targets(200, 3, seed), conditions(3)
    terms.costs["volume_share"], terms.costs["impact_eta"] = 1.0, 1.5
    equity, result, rows, _ = traded(path, targets, terms)
    expected, lots = engine_units(path, targets, terms)
    assert np.count_nonzero(np.diff(equity)) > 150
    assert equity == pytest.approx(expected, rel=1e-13)
    assert rows["lots"].tolist() == lots
    assert result[PNL] == pytest.approx(expected[-1] / 1e6 - 1.0, abs=1e-12)


def engine_units(path, targets, terms):
    n = path.shape[1]
    symbols, bars = terms.symbols.copy(), empty_bars(n)
    books, strategies, limits = np.zeros((1, n), BOOK), np.zeros(1, STRATEGY), np.zeros(1, LIMITS)
    symbols["present"], symbols["tradable"], books["stance"], limits["no_trade_band"] = 1, 1, 1.0, BAND
    strategies["unit_cash_micro"], rates, equity = round(terms.capital * 1e6), np.ones(1), []
    before = np.repeat(path[:1, :, 0], HISTORY, axis=0)
    for closes in before:
        bars["close"], bars["volume"] = closes, 1.0
        mark_symbols(symbols, bars, terms.costs["volatility_bars"][0])
    for t in range(len(path)):
        for k, name in enumerate(("open", "high", "low", "close", "volume")):
            bars[name] = path[t, :, k]
        fill_units(symbols, bars, books, strategies, terms.costs[0], rates)
        mark_symbols(symbols, bars, terms.costs["volatility_bars"][0])
        books["target"] = targets[t]
        size_units(symbols, books, strategies, limits[0], rates, 1.0 / n)
        equity.append(strategies[0]["unit_equity"])
    return np.array(equity), books["unit_lots"][0].tolist()


@pytest.mark.parametrize("seed", range(3))
def test_the_book_is_the_whole_engine_with_the_paper_broker_where_volume_is_scarce(seed):
    symbols, bars = 2, 60
    path = walk(1, bars, symbols, seed=seed, daily=0.05)[0]
    path[..., 4] *= 0.05
    path[..., :4] = path[..., :4].round(2)
    path[..., 1], path[..., 2] = path[..., :4].max(axis=-1), path[..., :4].min(axis=-1)
    targets = random_targets(bars, symbols, seed + 10).clip(-1.0, 1.0)
    terms = conditions(symbols)
    desk = Desk(
        *(instrument(name) for name in names(symbols)), at_ns=START_NS,
        weights={"momentum": 1.0}, black_swan=NO_SWANS,
        limits=NO_BOOKS | dict.fromkeys(("drawdown_warning", "drawdown_reducing", "drawdown_halted", "daily_loss"), 1.0)
        | dict.fromkeys(("max_position", "max_strategy", "max_gross", "max_net"), 10.0)
        | {"max_order_value": 1e9, "price_collar": 1.0, "max_var": 10.0}
        | {"strategy_rate": 1000.0, "station_rate": 1000.0},
    )  # fmt: skip
    for _ in range(HISTORY):
        desk_slice(desk, np.column_stack([path[0, :, 0]] * 4 + [path[0, :, 4]]))
    expected, partial = [], 0
    for t in range(bars):
        for i, name in enumerate(names(symbols)):
            desk.want("momentum", name, float(targets[t, i]))
        desk_slice(desk, path[t])
        partial += any(order.filled_lots > 0 for order in desk.engine.state.orders.values())
        expected.append(float(desk.engine.state.account[0]["equity"]))
    equity, _, rows, account = traded(path, targets, terms)
    assert partial > 5, "the volume budget must have left something open"
    assert rows["lots"].tolist() == [desk.lots(name) for name in names(symbols)]
    assert equity == pytest.approx(expected, rel=1e-12)
    assert int(account[0]["fees_micro"]) == int(desk.engine.state.account[0]["fees_micro"])


def desk_slice(desk, bars):
    from events.types import Bar, MarketSlice  # noqa: PLC0415 - beside its only use

    desk.now_ns += 60_000_000_000
    made = [
        Bar(
            feed="test", symbol=name, open_ns=desk.now_ns - 60_000_000_000, interval_s=60, close_ns=desk.now_ns,
            **dict(zip(("open", "high", "low", "close", "volume"), map(float, row), strict=True)),
        )
        for name, row in zip(names(len(bars)), bars, strict=True)
    ]  # fmt: skip
    desk.feed(MarketSlice(feed="test", position="0-0", close_ns=desk.now_ns, bars=made))


@pytest.mark.parametrize("count", [2, 20, 64])
def test_sigma_is_the_kernels_to_the_last_bit(count):
    path = walk(1, 150, 2, daily=0.2)[0]
    symbols, bars = conditions(2).symbols.copy(), empty_bars(2)
    symbols["present"] = 1
    closes = path[..., CLOSE].T.copy()
    for t in range(len(path)):
        bars["close"] = closes[:, t]
        mark_symbols(symbols, bars, count)
        if t >= count:
            assert [deviation(closes[i], t, np.empty(count)) for i in (0, 1)] == symbols["sigma"].tolist()


@hypothesis_settings(derandomize=True)
@given(
    target=st.floats(-1.5, 1.5), capital=st.floats(-1e6, 1e7), price=st.floats(0.01, 1e4),
    has=st.integers(-10_000, 10_000), unit=st.sampled_from([1.0, 1e-4, 100.0]),
)  # fmt: skip
def test_the_short_cut_of_the_no_trade_band_changes_nothing(target, capital, price, has, unit):
    bounded = min(1.0, max(-1.0, target))
    lots = int(bounded * capital / price / unit) if capital > 0 else 0
    delta = lots - has
    if bounded != 0.0 and abs(delta) * unit * price < BAND * max(0.0, capital):
        delta = 0
    assert wanted_change(target, capital, price, unit, has, BAND) == delta


@pytest.mark.parametrize("minutes", [5, 15, 60])
def test_policies_see_the_bars_that_the_aggregator_makes(minutes):
    path = walk(1, 390, 3)
    opens = np.arange(390, dtype=np.int64) * 60_000_000_000
    made = empty_bars(-(-390 // minutes), 3)
    to_bars(path, minutes, opens, 60_000_000_000, made)
    buckets, closed, bars, found = new_buckets(3), empty_bars(2, 3), empty_bars(3), []
    session = np.zeros(3, np.int64), np.full(3, 390 * 60_000_000_000)
    for t in range(390):
        for k, name in enumerate(("open", "high", "low", "close", "volume")):
            bars[name] = path[0, t, :, k]
        bars["open_ns"], bars["close_ns"], bars["present"] = opens[t], opens[t] + 60_000_000_000, True
        if advance(buckets, minutes * 60_000_000_000, opens[t] + 60_000_000_000, bars, *session, closed):
            found.append(closed[NOW].copy())
    assert made.tolist() == np.array(found).tolist()


def test_a_drain_takes_volume_and_widens_the_spread():
    path, terms = walk(1, 30, 1)[0], conditions(1)
    path[..., 4] = 4e5
    targets = np.ones((30, 1))
    (_, wide, _, _), (_, thin, rows, _), (_, plain, _, _) = (
        traded(path, targets, terms, **drain) for drain in ({"spread": 5.0}, {"depth": 50.0}, {})
    )
    assert wide[COST] > plain[COST] * 2.5
    assert thin[GROSS] < plain[GROSS] * 0.7
    assert 0 < rows["lots"][0] <= 30 * 200, "two hundred a bar: 2.5 % of what is left"


def test_nothing_wanted_is_nothing_done():
    equity, result, rows, account = traded(walk(1, 30, 2)[0], np.zeros((30, 2)), conditions(2))
    assert set(equity.tolist()) == {1e6}
    assert (rows["lots"] == 0).all()
    assert account[0]["fees_micro"] == 0
    assert result.tolist() == [0.0] * 6 + [1.0, 0.0]


def test_a_book_that_leaves_is_flat_from_then_on():
    path = walk(1, 40, 1)[0]
    targets = np.zeros((40, 1))
    targets[:10] = 1.0
    _, result, rows, _ = traded(path, targets, conditions(1, 1e4))
    assert rows["lots"][0] == 0
    assert result[FLAT] == 0, "it was flat before its first fill"
    assert result[TURNOVER] == pytest.approx(2.0, abs=0.05)


@pytest.mark.parametrize(
    ("equity", "event", "expected"),
    [
        ([100.0, 90.0, 80.0, 95.0, 100.0, 70.0], 1, (0.3, 0.0, 0)),
        ([100.0, 90.0, 95.0, 100.0, 110.0], 1, (0.1, 1.0, 2)),
        ([100.0, 80.0, 85.0, 90.0], 1, (0.2, 0.5, 2)),
        ([100.0, 101.0, 102.0], 1, (0.0, 1.0, 0)),
        ([90.0, 95.0], 0, (0.1, 0.5, 1)),
    ],
)
def test_recovery_is_the_share_of_the_deepest_fall_that_comes_back(equity, event, expected):
    result = np.zeros(RESULTS)
    recovery(np.array(equity), event, 100.0, result)
    assert (result[FALL], result[REGAINED], result[REGAIN]) == pytest.approx(expected)
