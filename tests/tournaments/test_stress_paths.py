"""Paths keep what the window shows: joint moves, time of day, valid bars; and a path never depends on its company."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pyarrow import parquet

from agents.strategies import STRATEGIES, parameter_array
from engine.configuration import load_settings
from market.bars import empty_bars
from market.calendars import sessions
from market.instruments import instrument_for
from tests.tournaments.stressed import conditions, instruments, minutes, names, staged, walk
from tournaments.stress.families import FLOOR, correlate, drift, gap, mirror, mislead, multiply, plan, spoil
from tournaments.stress.paths import CLOSE, HIGH, LOW, OPEN, VOLUME, PathsError, bootstrap, draw, pool, sessions_of
from tournaments.stress.paths import window as made_window
from tournaments.stress.policies import Entrant, opens_of
from tournaments.stress.resilience import score
from tournaments.stress.scenarios import FAMILIES, Claim, Scenario, ScenarioError
from tournaments.stress.simulate import simulate
from tournaments.stress.stage import stage, terms, weight_of

MINUTE_NS = 60_000_000_000


def returns(paths: np.ndarray) -> np.ndarray:
    closes = paths[..., CLOSE]
    return closes[:, 1:] / closes[:, :-1] - 1.0


def valid(bars: np.ndarray) -> bool:
    top, bottom = bars[..., [OPEN, CLOSE]].max(axis=-1), bars[..., [OPEN, CLOSE]].min(axis=-1)
    kept = (bars[..., HIGH] >= top * (1 - 1e-12)).all() and (bars[..., LOW] <= bottom * (1 + 1e-12)).all()
    return bool(kept and (bars[..., :VOLUME] > 0).all() and np.isfinite(bars).all())


def test_every_bar_of_a_path_is_a_bar_of_the_window_at_its_time_of_day_for_all_symbols_at_once():
    known = pool(minutes(walk(5, 60, 3)))
    draws = draw(known, 20, seed=3)
    paths = bootstrap(known, draws)
    assert valid(paths)
    assert paths.shape == (20, 60, 3, 5)
    for path, chosen in zip(paths, draws.sessions, strict=True):
        for t in range(60):
            before = path[t - 1, :, CLOSE] if t else known.start
            moves = known.moves[chosen[t], t]
            assert path[t, :, :VOLUME] == pytest.approx(moves[:, :VOLUME] * before[:, np.newaxis], rel=1e-12)
            assert (path[t, :, VOLUME] == moves[:, VOLUME]).all()


def test_correlation_and_volatility_stay():
    known = pool(minutes(walk()))
    moves = returns(bootstrap(known, draw(known, 100, seed=1)))
    flat = moves.reshape(-1, 8)
    off_diagonal = np.corrcoef(flat.T)[np.triu_indices(8, 1)]
    assert off_diagonal.mean() == pytest.approx(known.correlation, abs=0.03)
    assert flat.std(axis=0) == pytest.approx(known.sigma, rel=0.05)


@pytest.mark.parametrize("block", [5.0, 40.0])
def test_blocks_have_the_mean_length_asked_for(block):
    known = pool(minutes(walk(20, 390, 1)))
    chosen = draw(known, 100, seed=1, block=block).sessions
    changes = (chosen[:, 1:] != chosen[:, :-1]).mean()
    assert changes == pytest.approx((1 / block) * (19 / 20), rel=0.1)


def test_days_make_paths_of_twenty_days_and_follow_each_other():
    known = pool(made_window(names(2), 86_400, walk(30, 1, 2)))
    draws = draw(known, 50, seed=1)
    assert known.length == 20
    assert draws.sessions.max() == 19
    steps = (draws.sessions[:, 1:] - draws.sessions[:, :-1]) % 20
    assert (steps == 1).mean() > 0.7


def test_days_stand_in_for_missing_sessions_with_their_own_open_close_range_and_volume():
    minutes_of_two, days = walk(2, 390, 3), walk(25, 1, 3, daily=0.03)[:, 0]
    made = made_window(names(3), 60, minutes_of_two, days).bars
    assert made.shape == (20, 390, 3, 5)
    assert (made[-2:] == minutes_of_two).all()
    wanted = days[-18:]
    assert made[:18, 0, :, OPEN] == pytest.approx(wanted[..., OPEN])
    assert made[:18, -1, :, CLOSE] == pytest.approx(wanted[..., CLOSE])
    assert made[:18, ..., VOLUME].sum(axis=1) == pytest.approx(wanted[..., VOLUME])
    assert valid(made)
    assert made_window(names(3), 60, walk(21, 30, 3), days).bars.shape == (20, 30, 3, 5)


def test_slices_become_full_sessions():
    table, opens, closes = empty_bars(5, 2), np.zeros((5, 2), np.int64), np.full((5, 2), 3 * MINUTE_NS)
    for t in range(3):
        table[t] = [(10.0, 12.0, 9.0, 11.0 + t, 5.0, t * MINUTE_NS, (t + 1) * MINUTE_NS, True)] * 2
    table[1, 1]["present"] = False
    half = 86_400 * 10**9
    table[3:] = (10.0, 12.0, 9.0, 11.0, 5.0, half, half + MINUTE_NS, True)
    opens[3:], closes[3:] = half, half + 2 * MINUTE_NS
    made = sessions_of(table, opens, closes, 60)
    assert made.shape == (1, 3, 2, 5), "the half day is left out"
    assert made[0, 1, 0].tolist() == [10.0, 12.0, 9.0, 12.0, 5.0]
    assert made[0, 1, 1].tolist() == [11.0, 11.0, 11.0, 11.0, 0.0]
    table["present"] = False
    with pytest.raises(PathsError, match="no full session"):
        sessions_of(table, opens, closes, 60)


@pytest.mark.parametrize(
    ("spoil_it", "message"),
    [
        (lambda bars: bars[..., :2, :], "must have shape"),
        (lambda bars: bars * np.nan, "finite prices above 0"),
        (lambda bars: -bars, "finite prices above 0"),
        (lambda bars: bars[..., [0, 2, 1, 3, 4]], "no high below"),
        (lambda bars: bars[:0], "none of them 0"),
    ],
)
def test_bars_that_are_none_are_refused(spoil_it, message):
    with pytest.raises(PathsError, match=message):
        made_window(names(3), 60, spoil_it(walk(2, 10, 3)))


def test_numbers_out_of_range_are_refused():
    known = pool(minutes(walk(2, 10, 2)))
    for call in (
        lambda: draw(known, 0, seed=1), lambda: draw(known, 1, seed=-1), lambda: draw(known, 1, seed=1, block=0.5),
        lambda: made_window(names(2), 0, walk(2, 10, 2)), lambda: conditions(2, capital=0.0),
        lambda: stage(known.window, conditions(3), seed=1), lambda: stage(known.window, conditions(2), seed=1, paths=0),
        lambda: stage(known.window, conditions(2), seed=1, risk_budget=0.0),
        lambda: stage(minutes(walk(2, 10, 2, daily=0.0)), conditions(2), seed=1),
        lambda: terms([*instruments(1), *instruments(1, currency="EUR")], load_settings().costs, capital=1e6),
    ):  # fmt: skip
        with pytest.raises(PathsError):
            call()


@hypothesis_settings(max_examples=30, derandomize=True)
@given(
    family=st.sampled_from(sorted(FAMILIES)), seed=st.integers(0, 2**64 - 1), symbols=st.integers(1, 4),
    daily=st.sampled_from([0.001, 0.02, 0.5]), bars=st.sampled_from([1, 26, 60]),
)  # fmt: skip
def test_every_family_leaves_valid_bars(family, seed, symbols, daily, bars):
    known = pool(made_window(names(symbols), 86_400 if bars == 1 else 900, walk(3, bars, symbols, daily=daily)))
    draws = draw(known, 2, seed=seed)
    planned = plan(Scenario(family=family), known, draws)
    assert 0 <= planned.event < known.length
    path = np.array([known.moves[s, t % bars] for t, s in enumerate(draws.sessions[0])])
    arguments = {
        "volatility": lambda: multiply(path, planned.size[0]),
        "regime_flip": lambda: drift(path, planned.event, planned.size[0], known.daily_sigma),
        "overnight_gap": lambda: gap(path, planned.event, planned.size[0], known.daily_sigma),
        "correlation": lambda: (correlate(path, planned.first, planned.second, known.sigma), mirror(path)),
        "stale_data": lambda: spoil(
            path, known.start, planned.turned[0], planned.event, 0.1, planned.size[0], draws.bars[0], known.daily_sigma
        ),
    }
    arguments.get(family, lambda: None)()
    assert valid(path)
    assert path[..., :VOLUME].min() >= FLOOR * 0.05


def test_families_do_what_their_numbers_say():
    known = pool(minutes(walk()))
    draws = draw(known, 100, seed=1)
    base = np.array([known.moves[s, np.arange(390)] for s in draws.sessions])

    wild = base.copy()
    for path in wild:
        multiply(path, 3.0)
    assert (wild[..., CLOSE] - 1).std() == pytest.approx(3.0 * (base[..., CLOSE] - 1).std(), rel=1e-9)

    tied, planned = base.copy(), plan(Scenario(family="correlation"), known, draws)
    for path in tied:
        correlate(path, planned.first, planned.second, known.sigma)
    moves = (tied[..., CLOSE] - 1).reshape(-1, 8)
    assert np.corrcoef(moves.T)[np.triu_indices(8, 1)].mean() == pytest.approx(0.9, abs=0.01)
    assert moves.std(axis=0) == pytest.approx((base[..., CLOSE] - 1).reshape(-1, 8).std(axis=0), rel=0.03)

    turned = base.copy()
    for path in turned:
        mirror(path)
    table = np.corrcoef((turned[..., CLOSE] - 1).reshape(-1, 8).T)
    assert (table[0, 1::2] < -0.3).all()
    assert (table[0, 2::2] > 0.3).all()

    flipped = base[0].copy()
    drift(flipped, 180, 2.0, known.daily_sigma)
    added = flipped[..., CLOSE] - base[0][..., CLOSE]
    assert added[:180].sum(axis=0) == pytest.approx(2.0 * known.daily_sigma)
    assert added[180:].sum(axis=0) == pytest.approx(-2.0 * known.daily_sigma)

    jumped = base[0].copy()
    gap(jumped, 180, -5.0, known.daily_sigma)
    assert jumped[180, :, OPEN] / base[0][180, :, OPEN] == pytest.approx(1.0 - 5.0 * known.daily_sigma)
    assert (np.delete(jumped, 180, axis=0) == np.delete(base[0], 180, axis=0)).all()


def test_sizes_are_drawn_within_their_range_and_both_ways():
    known = pool(minutes(walk(2, 60, 2)))
    draws = draw(known, 200, seed=1)
    gaps = plan(Scenario(family="overnight_gap"), known, draws)
    assert 3.0 <= np.abs(gaps.size).min() < 3.5
    assert 7.5 < np.abs(gaps.size).max() <= 8.0
    assert 70 < (gaps.size > 0).sum() < 130
    assert 70 < plan(Scenario(family="correlation"), known, draws).turned.sum() < 130


def test_a_night_lies_before_the_gap_and_no_bar_of_a_policy_contains_it():
    given_stage = staged(paths=2, sessions=2)
    event = plan(Scenario(family="overnight_gap"), given_stage.pool, given_stage.draws).event
    opens = opens_of(given_stage, event, 20, 390)
    assert event == 180
    assert set(np.diff(opens)[: event - 1].tolist()) == {MINUTE_NS}
    assert (opens[event - 1] + MINUTE_NS) % (86_400 * 10**9) == 390 * MINUTE_NS
    assert opens[event] % (86_400 * 10**9) == 0


def test_a_misleading_stance_grows_losers_and_shrinks_winners():
    path = np.ones((4, 2, 5)) * 100.0
    path[-1, 0, CLOSE], path[-1, 1, CLOSE] = 90.0, 110.0
    targets = np.ones((4, 2)) * 0.5
    mislead(targets, path, 2, 1, 1.5, 0.5)
    assert targets.tolist() == [[0.5, 0.5], [0.5, 0.5], [0.75, 0.25], [0.75, 0.25]]


def test_equal_volatility_beforehand():
    given_stage = staged(paths=1, sessions=5)
    assert given_stage.budgets.sum() == pytest.approx(1.0)
    risks = given_stage.budgets * given_stage.pool.sigma
    assert risks == pytest.approx(risks[0])
    long_only = np.ones((7, 8))
    assert weight_of(given_stage, long_only) == pytest.approx(0.5)
    assert weight_of(given_stage, long_only * 0.5) == pytest.approx(1.0)
    assert weight_of(given_stage, long_only * 0.01) == weight_of(given_stage, long_only * 0.0) == 2.0


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"family": "earthquake"}, "there is no family 'earthquake'; there are volatility"),
        ({"family": "volatility", "parameters": {"size": 2.0}}, "there is no parameter 'size'"),
        ({"family": "volatility", "parameters": {"low": 5.0}}, "low = 5 is outside 2 to 4 times"),
        ({"family": "volatility", "parameters": {"low": float("nan")}}, "low = nan is not a finite number"),
        ({"family": "overnight_gap", "parameters": {"low": 7.0, "high": 4.0}}, "low = 7 is above high = 4"),
    ],
)
def test_scenarios_out_of_range_are_refused(fields, message):
    with pytest.raises(ScenarioError, match=message):
        Scenario(**fields)


def test_a_claim_is_a_sentence_with_its_numbers_and_refuses_nonsense():
    scenario = Scenario(family="liquidity_drain", parameters={"spread": 3.0})
    claim = Claim(scenario=scenario, measure="cvar95", exceeds=0.4)
    assert claim.statement() == (
        "spread widens, depth goes (spread 3 times, depth 5 times less, at 0 of the session): excess loss at CVaR95 "
        "exceeds 0.4 of the risk budget"
    )
    assert scenario == Scenario(family="liquidity_drain", parameters={"spread": 3, "depth": 5})
    assert hash(scenario) == hash(Scenario(family="liquidity_drain", parameters={"depth": 5, "spread": 3}))
    for fields in ({"measure": "median", "exceeds": 1.0}, {"measure": "mean", "exceeds": float("nan")}):
        with pytest.raises(ScenarioError):
            Claim(scenario=scenario, **fields)


@pytest.mark.realdata
def test_the_four_strategies_on_real_minutes(station_data):
    symbols = ("AAPL", "AMZN", "BAC", "JPM", "MSFT", "QQQ", "SPY", "TSLA")
    table = parquet.read_table(
        station_data / "us_min1_2019-02-11_2019-02-15_24sym.parquet", filters=[("sym", "in", list(symbols))]
    )
    fine = real_sessions(table, symbols)
    days = parquet.read_table(
        station_data / "us_day1_2018-05-01_2019-02-15_24sym.parquet", filters=[("sym", "in", list(symbols))]
    ).to_pandas()
    days = days[days.ts < "2019-02-11"]
    daily = np.stack(
        [days.pivot(index="ts", columns="sym", values=key)[list(symbols)].to_numpy() for key in "ohlcv"], 2
    )
    assert fine.shape == (5, 390, 8, 5)
    costs = terms([instrument_for(symbol) for symbol in symbols], load_settings().costs, capital=1e6)
    made = stage(made_window(symbols, 60, fine, daily), costs, seed=1, paths=40)
    entrants = [Entrant(policy.name, policy, parameter_array(policy, {})) for policy in STRATEGIES]
    found = score(simulate(made, entrants, threads=2))
    assert [each.entrant for each in found] == [policy.name for policy in STRATEGIES]
    for each in found:
        assert 0.0 < each.resilience < 1.0
        assert each.gross > 0.0
        assert {family.family for family in each.families} == {name for name in FAMILIES if name != "fake_headline"}
        assert all(family.turnover > 0.0 for family in each.families)
    assert len({each.resilience for each in found}) == 4
    assert dataclasses.asdict(made.draws)["sessions"].shape == (40, 390)


def real_sessions(table, symbols):
    ts = table["ts"].to_numpy().astype("datetime64[ns]").astype(np.int64)
    closes, row = np.unique(ts + MINUTE_NS, return_inverse=True)
    column = np.array([symbols.index(name) for name in table["sym"].to_pylist()])
    bars = empty_bars(len(closes), len(symbols))
    for name in ("open", "high", "low", "close", "volume"):
        bars[name][row, column] = table[name[0]].to_numpy()
    bars["open_ns"][row, column], bars["close_ns"][row, column] = ts, ts + MINUTE_NS
    bars["present"][row, column] = True
    known = sessions("XNYS", int(ts.min()) - 86_400 * 10**9, int(ts.max()) + 86_400 * 10**9)
    place = np.searchsorted(known.closes_ns, closes, side="left")
    inside = known.opens_ns[place] < closes
    shape = (1, len(symbols))
    opened = np.tile(np.where(inside, known.opens_ns[place], 0)[:, np.newaxis], shape)
    closed = np.tile(np.where(inside, known.closes_ns[place], 0)[:, np.newaxis], shape)
    return sessions_of(bars, opened, closed, 60)
