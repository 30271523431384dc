"""The quant brain's predictions: probabilities, no look-ahead, nothing lost on noise, something won on an edge."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.brains.observations import CLASSES, ObservationsError
from agents.brains.port import PredictQuestion
from agents.brains.quant import QuantBrain, climatologies, predictions, walk_forward
from agents.brains.quant.climatology import NORMAL, NORMAL_MEANS, climatology, ranked_probability_score
from agents.brains.quant.forecasts import LEAST_WEIGHT, rounded
from agents.brains.quant.model import fit
from agents.brains.quant.predict import levels
from agents.strategies import BULLISH, MOMENTUM, STRATEGIES
from market.calendars import DAY_NS
from tests.agents.quant_brain_histories import START_NS, daily, drawn, real

DAYS = "us_day1_2018-05-01_2019-02-15_24sym"


def skill(market, policy):
    """Return 1 - RPS / RPS of climatology over the forecasts that a model had a part in, and the last weight."""
    seen = market.walked(policy)
    said = walk_forward(seen)
    tried = (seen.next_class >= 0) & np.array([said.bases[k].fit is not None for k in said.basis])
    own, usual = (
        ranked_probability_score(given[tried], seen.next_class[tried]).mean()
        for given in (said.probabilities, said.climatology)
    )
    return 1.0 - own / usual, said.bases[-1].weight


@pytest.fixture(scope="module")
def real_days(station_data):
    return real(station_data, DAYS)


def assert_same_until(whole, part):
    rows = len(part.basis)
    for name in ("probabilities", "climatology", "expected_return"):
        np.testing.assert_array_equal(getattr(whole, name)[:rows], getattr(part, name))


@given(seed=st.integers(0, 1000), cut=st.integers(45, 110), policy=st.sampled_from(STRATEGIES))
@settings(max_examples=4, derandomize=True)
def test_no_forecast_knows_what_came_later(seed, cut, policy):
    market = drawn(110, 3, seed, edge=0.5, missing=0.05)
    cut_ns = START_NS + cut * DAY_NS
    part = walk_forward(market.walked(policy, cut_ns))
    assert_same_until(walk_forward(market.walked(policy)), part)
    assert_same_until(walk_forward(market.with_another_future(cut_ns, seed).walked(policy)), part)


@pytest.mark.realdata
def test_no_forecast_of_real_days_knows_what_came_later(real_days):
    cut_ns = int(real_days.history.now_ns[150])
    for policy in STRATEGIES[::3]:
        part = walk_forward(real_days.walked(policy, cut_ns))
        assert part.bases[-1].fit is not None
        assert_same_until(walk_forward(real_days.with_another_future(cut_ns).walked(policy)), part)


@pytest.mark.realdata
def test_the_four_strategies_see_the_same_real_days_differently(real_days):
    sets = [walk_forward(real_days.walked(policy)) for policy in STRATEGIES]
    for k, one in enumerate(sets):
        assert one.bases[0].fit is None
        assert np.abs(one.probabilities.sum(axis=1) - 1.0).max() < 1e-9
        for two in sets[:k]:
            np.testing.assert_array_equal(one.climatology, two.climatology)
            apart = np.abs(one.probabilities[-24:] - two.probabilities[-24:]).max(axis=1)
            assert np.count_nonzero(apart > 1e-4) >= 20


@pytest.mark.realdata
def test_an_entry_of_a_past_sunday_is_what_was_known_on_it(real_days):
    sunday_ns = int(np.datetime64("2019-01-13T07:00", "ns").astype(np.int64))
    whole = real_days.walked(BULLISH)
    part = real_days.walked(BULLISH, sunday_ns)
    entry = predictions(whole, walk_forward(whole), sunday_ns)
    assert entry == QuantBrain().predict(PredictQuestion(part, sunday_ns))
    assert [each.symbol for each in entry] == real_days.symbols
    friday = whole.known_ns == int(np.datetime64("2019-01-11T21:00", "ns").astype(np.int64))
    for each, close, sigma in zip(entry, whole.close[friday], whole.sigma[friday], strict=True):
        assert abs(np.log(each.entry / close)) <= 0.11 * sigma
        assert abs(np.log(each.take_profit / each.entry)) == pytest.approx(sigma, rel=1e-3)
        assert (each.take_profit - each.entry) * each.expected_return >= 0.0
        assert (each.stop_loss - each.entry) * each.expected_return <= 0.0
        assert each.confidence == max(each.probabilities) >= 1 / 3
        named = re.findall(r"(\w+) [+-][\d.e-]+ adds [+-]\d", each.rationale)
        assert len(named) == 3
        assert set(named) <= {*BULLISH.features, "target"}


def test_noise_costs_next_to_nothing():
    """Four policies on three histories of nothing: the mean of the twelve skills, and the worst of them."""
    found = [skill(drawn(200, 5, seed), policy)[0] for seed in range(3) for policy in STRATEGIES]
    assert np.mean(found) > -0.001
    assert min(found) > -0.006
    assert max(found) < 0.01


def test_an_edge_is_found_by_the_policy_that_looks_at_it():
    gain, weight = skill(drawn(250, 6, seed=1, edge=0.6), MOMENTUM)
    assert gain > 0.04
    assert weight > 0.5
    assert skill(drawn(300, 1, seed=1, edge=-0.6), MOMENTUM)[0] > 0.05  # turns back: one symbol is enough


def test_a_model_without_proven_skill_has_the_least_weight():
    said = walk_forward(drawn(150, 4, seed=0).walked(MOMENTUM))
    weights = [basis.weight for basis in said.bases]
    assert set(weights) <= {0.0, LEAST_WEIGHT}
    assert weights[-1] == LEAST_WEIGHT
    away = np.abs(said.probabilities - said.climatology).max()
    assert 0.0 < away < 0.06


def test_with_too_little_history_every_strategy_says_the_climatology():
    market = drawn(36, 5, seed=4)
    sets = [walk_forward(market.walked(policy)) for policy in STRATEGIES]
    for said in sets:
        np.testing.assert_array_equal(said.probabilities, said.climatology)
        np.testing.assert_array_equal(said.probabilities, sets[0].probabilities)
    first = sets[0].probabilities[0]
    np.testing.assert_allclose(first, NORMAL, atol=1e-6)
    assert "no model could be asked" in predictions(market.walked(MOMENTUM), sets[3], market.end_ns)[0].rationale


def test_a_refit_comes_once_a_week_and_reads_settled_sessions_alone():
    seen = drawn(100, 2, seed=6).walked(MOMENTUM)
    said = walk_forward(seen)
    instants = np.array([basis.fitted_ns for basis in said.bases])
    assert np.all(np.diff(instants)[1:] == 7 * DAY_NS)
    for k, basis in enumerate(said.bases):
        begun = seen.known_ns[said.basis == k].min()
        assert basis.fitted_ns == begun
        assert basis.settled_sessions == len(np.unique(seen.known_ns[seen.settled_by(begun)]))


def test_the_same_twice_and_with_symbols_in_another_order():
    market = drawn(120, 3, seed=8, edge=0.5)
    one, two = (walk_forward(market.walked(BULLISH)) for _ in range(2))
    np.testing.assert_array_equal(one.probabilities, two.probabilities)
    bars = market.history.bars[::1, ::-1]
    turned = daily(bars["open"], bars["close"])
    entry = predictions(market.walked(BULLISH), one, market.end_ns)
    seen = turned.walked(BULLISH)
    other = predictions(seen, walk_forward(seen), turned.end_ns)[::-1]
    for mine, theirs in zip(entry, other, strict=True):
        assert theirs.probabilities == pytest.approx(mine.probabilities, abs=3e-6)


def test_a_price_that_stands_still_and_one_that_jumps():
    generator = np.random.default_rng(0)
    opens = np.column_stack((np.full(130, 50.0), np.exp(3.0 * generator.standard_normal(130)), np.full(130, 1e-7)))
    closes = np.column_stack((np.full(130, 50.0), np.exp(3.0 * generator.standard_normal(130)), np.full(130, 1.1e-7)))
    market = daily(opens, closes)
    for policy in STRATEGIES:
        seen = market.walked(policy)
        still, jumps, _ = predictions(seen, walk_forward(seen), market.end_ns)
        assert still.probabilities[1] > 0.5
        assert (still.entry, still.take_profit, still.stop_loss) == (50.0, 50.0, 50.0)
        assert jumps.stop_loss > 0.0


def test_a_symbol_without_a_bar_in_the_last_session_gets_its_climatology_and_says_so():
    market = drawn(150, 2, seed=3, edge=0.6)
    market.history.bars["present"][-1, 0] = False
    seen = market.walked(MOMENTUM)
    said = walk_forward(seen)
    gone, there = predictions(seen, said, market.end_ns)
    usual = climatologies(seen, said, market.end_ns)
    assert gone.probabilities == usual["S0"]
    assert "no bar in the last session" in gone.risk_factors[0]
    assert there.probabilities != usual["S1"]
    assert not any("no bar" in factor for factor in there.risk_factors)


def test_a_symbol_that_never_traded_has_no_prediction():
    market = drawn(20, 2, seed=3)
    market.history.bars["present"][:, 1] = False
    seen = market.walked(MOMENTUM)
    assert [each.symbol for each in predictions(seen, walk_forward(seen), market.end_ns)] == ["S0"]
    nothing = market.walked(MOMENTUM, START_NS - DAY_NS)
    assert predictions(nothing, walk_forward(nothing), START_NS - DAY_NS) == ()


def test_instants_outside_what_is_known_are_refused():
    market = drawn(20, 1, seed=3)
    seen = market.walked(MOMENTUM)
    with pytest.raises(ObservationsError, match="is later than the observations, which end at"):
        predictions(seen, walk_forward(seen), market.end_ns + 1)
    far = market.walked(MOMENTUM, market.end_ns + 30 * DAY_NS)
    with pytest.raises(ObservationsError, match="sessions of S0 end before as_of_ns"):
        predictions(far, walk_forward(far), market.end_ns + 30 * DAY_NS)


@given(
    shares=st.lists(st.lists(st.floats(0.0, 1.0), min_size=3, max_size=3).filter(any), min_size=1, max_size=30)
)  # fmt: skip
@settings(max_examples=200, derandomize=True)
def test_rounded_probabilities_still_sum_to_one(shares):
    given_ = np.array(shares)
    given_ = given_ / given_.sum(axis=1, keepdims=True)
    found = rounded(given_)
    assert np.all(found >= 0.0)
    assert np.abs(found.sum(axis=1) - 1.0).max() < 1e-12
    assert np.abs(found - given_).max() <= 1.6e-6


@given(rows=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2), st.floats(-1e9, 1e9)), max_size=60))
@settings(max_examples=100, derandomize=True)
def test_climatology_is_a_distribution_and_begins_with_the_normal_one(rows):
    symbol, classes, moved = (np.array([row[k] for row in rows]) for k in range(3))
    found = climatology(4, symbol.astype(np.int64), classes.astype(np.int64), moved.astype(np.float64))
    assert found.shares.shape == (4, 3)
    assert np.all(found.shares > 0.0)
    assert found.shares.sum(axis=1) == pytest.approx(1.0)
    assert np.all(np.abs(found.class_means) <= 5.0)
    if not rows:
        np.testing.assert_allclose(found.shares, np.tile(NORMAL, (4, 1)))
        np.testing.assert_allclose(found.class_means, NORMAL_MEANS)


def test_climatology_comes_to_what_a_symbol_did():
    classes = np.array([0] * 600 + [1] * 300 + [2] * 100, dtype=np.int64)
    found = climatology(2, np.zeros(1000, dtype=np.int64), classes, np.zeros(1000))
    assert found.shares[0] == pytest.approx([0.6, 0.3, 0.1], abs=0.02)


def test_ranked_probability_score_is_the_squared_distance_of_cumulative_shares():
    given_ = np.array([[0.2, 0.3, 0.5], [1.0, 0.0, 0.0], [1.0, 0.0, 0.0]])
    expected = [(0.2 - 0.0) ** 2 + (0.5 - 1.0) ** 2, 0.0, 2.0]
    assert ranked_probability_score(given_, np.array([1, 0, 2])) == pytest.approx(expected)


@given(
    close=st.floats(1e-6, 1e6), sigma=st.floats(0.0, 1e3) | st.just(float("nan")), expected=st.floats(-1.0, 1.0)
)  # fmt: skip
@settings(max_examples=200, derandomize=True)
def test_levels_are_prices_on_the_right_side(close, sigma, expected):
    entry, profit, stop = levels(close, sigma, expected)
    assert min(entry, profit, stop) > 0.0
    assert (profit - entry) * expected >= 0.0 >= (stop - entry) * expected


def test_features_that_are_no_numbers_are_refused():
    seen = drawn(60, 2, seed=0).walked(MOMENTUM)
    seen.features[100, 0] = np.nan
    with pytest.raises(ObservationsError, match=r"features: trend of S0 at .* is nan; allowed are finite numbers"):
        walk_forward(seen)


def test_one_class_alone_gives_no_fit():
    assert fit(np.ones((500, 2)), np.ones(500, dtype=np.int64), np.arange(500)) is None
    assert CLASSES == ("down", "flat", "up")
