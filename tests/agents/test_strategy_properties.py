"""What holds for any path of positive prices, and how each strategy's own exits work on paths made for them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as draw

from agents.strategies import STRATEGIES, Policy, by_name, parameter_array
from market.bars import BarArray, empty_bars

every_policy = pytest.mark.parametrize("policy", STRATEGIES, ids=lambda policy: policy.name)


def bars_of(closes: np.ndarray, wick: float = 0.001, volume: float = 1000.0) -> BarArray:
    bars = empty_bars(len(closes))
    bars["close"] = closes
    bars["open"] = np.concatenate((closes[:1], closes[:-1]))
    bars["high"] = np.maximum(bars["open"], bars["close"]) * (1 + wick)
    bars["low"] = np.minimum(bars["open"], bars["close"]) * (1 - wick)
    bars["volume"] = volume
    bars["present"] = True
    return bars


def targets_of(policy: Policy, bars: BarArray, **overrides: float) -> tuple[np.ndarray, np.ndarray]:
    """Return targets (bars,) and features (bars, F) of one symbol."""
    state, target, score = np.zeros(1, policy.state_dtype), np.zeros(1), np.zeros(1)
    features, parameters = np.zeros((1, len(policy.features))), parameter_array(policy, overrides)
    said, why = [], []
    for i in range(len(bars)):
        policy.loop(state, parameters, bars[i : i + 1], np.ones(1, bool), target, score, features)
        said.append(target[0])
        why.append(features[0].copy())
    return np.array(said), np.array(why)


@draw.composite
def paths(make) -> BarArray:
    """Positive prices from 1e-9 to 1e12: calm stretches, jumps by any factor, standstills, any volume."""
    steps = make(
        draw.lists(
            draw.one_of(
                draw.floats(0.99, 1.01), draw.just(1.0), draw.floats(1e-6, 1e6), draw.sampled_from([0.5, 2.0, 0.2, 5.0])
            ),
            min_size=30,
            max_size=150,
        )
    )
    price, closes = make(draw.sampled_from([1e-9, 0.01, 100.0, 1e9])), []
    for step in steps:
        price = min(max(price * step, 1e-9), 1e12)
        closes.append(price)
    bars = bars_of(np.array(closes), wick=make(draw.sampled_from([0.0, 0.001, 0.9])))
    bars["volume"] = make(draw.sampled_from([0.0, 1e-8, 1000.0, 1e15]))
    return bars


@every_policy
@given(bars=paths())
@settings(max_examples=60, deadline=None)
def test_targets_stay_bounded_and_every_number_finite_whatever_prices_do(policy, bars):
    targets, features = targets_of(policy, bars)
    assert np.isfinite(features).all()
    assert ((targets == 0) | ((np.abs(targets) >= 0.3) & (np.abs(targets) <= 0.9))).all()
    assert not targets[: policy.warm_up_bars - 1].any()
    if policy.name == "bullish":
        assert (targets >= 0).all()
    if policy.name == "bearish":
        assert (targets <= 0).all()


@every_policy
@given(bars=paths(), unit=draw.sampled_from([0.25, 8.0, 1024.0]))
@settings(max_examples=20, deadline=None)
def test_the_unit_of_the_price_changes_nothing(policy, bars, unit):
    scaled = bars.copy()
    for field in ("open", "high", "low", "close"):
        scaled[field] *= unit
    assert np.array_equal(targets_of(policy, bars)[0], targets_of(policy, scaled)[0])


@every_policy
def test_symbols_do_not_touch_each_other_and_only_closed_ones_move(policy):
    generator = np.random.default_rng(5)
    closes = 100 * np.cumprod(1 + generator.normal(0, 0.003, (300, 3)), axis=0)
    table = np.stack([bars_of(closes[:, i]) for i in range(3)], axis=1)
    alone = np.stack([targets_of(policy, table[:, i])[0] for i in range(3)], axis=1)
    state, targets, scores = np.zeros(3, policy.state_dtype), np.zeros(3), np.zeros(3)
    features, parameters = np.zeros((3, len(policy.features))), parameter_array(policy, {})
    for i in range(300):
        for symbol in range(3):
            closed = np.arange(3) == symbol
            before = (targets.copy(), state.tobytes())
            policy.loop(state, parameters, table[i], closed, targets, scores, features)
            assert np.array_equal(targets[~closed], before[0][~closed])
        assert np.array_equal(targets, alone[i])
    before_bytes = state.tobytes()
    policy.loop(state, parameters, table[0], np.zeros(3, bool), targets, scores, features)
    assert state.tobytes() == before_bytes
    assert alone.any()


@every_policy
def test_a_state_copied_byte_for_byte_goes_on_alike(policy):
    generator = np.random.default_rng(6)
    bars = bars_of(100 * np.cumprod(1 + generator.normal(0, 0.003, 400)))
    whole, _ = targets_of(policy, bars)
    state, target, score = np.zeros(1, policy.state_dtype), np.zeros(1), np.zeros(1)
    features, parameters = np.zeros((1, len(policy.features))), parameter_array(policy, {})
    for i in range(400):
        state = np.frombuffer(bytearray(state.tobytes()), policy.state_dtype)
        policy.loop(state, parameters, bars[i : i + 1], np.ones(1, bool), target, score, features)
        assert target[0] == whole[i]


@every_policy
def test_longer_windows_make_it_wait_longer(policy):
    longest = {
        "bullish": {"channel_bars": 60},
        "bearish": {"window_bars": 60, "slope_bars": 30},
        "mean_reversion": {"window_bars": 60},
        "momentum": {"slow_bars": 60},
    }[policy.name]
    generator = np.random.default_rng(7)
    bars = bars_of(100 * np.cumprod(1 + generator.normal(0, 0.003, 2000)))
    targets, features = targets_of(policy, bars, **longest)
    first = np.flatnonzero(features.any(axis=1))[0]
    assert first >= 60
    assert not targets[:first].any()
    assert targets.any()


def rise(bars: int, step: float = 0.002) -> np.ndarray:
    """A rise after a quiet stretch of forty bars."""
    quiet = 100 + 0.05 * np.sin(np.arange(40))
    return np.concatenate((quiet, quiet[-1] * np.cumprod(np.full(bars, 1 + step))))


def test_bullish_rides_a_rise_and_leaves_when_it_gives_back():
    closes = np.concatenate((rise(30), rise(30)[-1] * np.cumprod(np.full(20, 0.996))))
    targets, _ = targets_of(by_name("bullish"), bars_of(closes))
    assert targets[45:70].all()
    assert not targets[80:].any()


def test_bullish_gives_up_what_does_not_gain():
    closes = np.concatenate((rise(1), np.full(60, rise(1)[-1])))
    held = []
    for patience in (20, 1000):
        targets, _ = targets_of(by_name("bullish"), bars_of(closes), trend=0.0, exit_bars=30, patience_bars=patience)
        held.append(np.count_nonzero(targets))
    assert held == [20, 61]


def test_bearish_shorts_a_fall_takes_its_gain_and_covers_a_rebound():
    fall = 200 - rise(12)
    targets, _ = targets_of(
        by_name("bearish"), bars_of(np.concatenate((fall, fall[-1] * np.cumprod(np.full(20, 1.004)))))
    )
    assert (targets[40:52] < 0).any()
    assert not targets[60:].any()
    gain, _ = targets_of(by_name("bearish"), bars_of(200 - rise(30)), goal_ranges=1.0, rest_bars=100)
    assert (gain < 0).any()
    assert gain[-1] == 0


def test_mean_reversion_leaves_at_the_mean_and_does_not_repeat_a_fade_that_failed():
    ragged = 100 + 0.2 * np.sin(np.arange(60) * 2.1)
    back = np.concatenate((ragged, [99.3, 99.2, 99.6, 100.0, 100.0]))
    targets, _ = targets_of(by_name("mean_reversion"), bars_of(back))
    assert targets[60] > 0
    assert targets[-1] == 0
    slide = np.concatenate((ragged, 99.3 - 0.4 * np.arange(20)))
    failed, _ = targets_of(by_name("mean_reversion"), bars_of(slide), trend=1.0, rest_bars=0)
    sides = np.flatnonzero((failed[1:] != 0) & (failed[:-1] == 0))
    assert len(sides) == 1
    assert failed[-1] == 0


def test_momentum_turns_with_the_market():
    closes = np.concatenate((rise(40), rise(40)[-1] * np.cumprod(np.full(60, 0.998))))
    targets, _ = targets_of(by_name("momentum"), bars_of(closes))
    assert (targets[60:80] > 0).all()
    assert targets[-1] < 0


@every_policy
def test_the_target_shrinks_when_the_market_gets_restless(policy):
    generator = np.random.default_rng(8)

    def usual(noise: float) -> float:
        returns = generator.normal(0, 0.002, (30, 260))
        returns[:, 200:] *= noise / 0.002
        targets, _ = targets_of(policy, bars_of(100 * np.cumprod(1 + returns.ravel())))
        held = np.abs(targets.reshape(30, 260)[:, 212:])
        return float(held[held > 0].mean())

    assert usual(0.006) < usual(0.002) < usual(0.0007)
