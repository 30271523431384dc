"""What each strategy does on real bars: its side, its entries and exits, its warm-up, how often it trades."""

from dataclasses import replace

import numpy as np
import pytest

from agents.lookahead import History, policy_run
from agents.strategies import STRATEGIES, Policy, by_name

SHARES = ("AAPL", "MSFT", "AMZN", "BAC", "JPM", "SPY", "TSLA", "MU")
FEEDS = {
    "minutes of shares": ("us_min1_2019-02-11_2019-02-15_24sym", *SHARES),
    "quarter hours of shares": ("us_min15_2019-01-04_2019-02-15_24sym", *SHARES),
    "hours of shares": ("us_hour1_lean_to2015", "SPY", "IBM"),
    "minutes of bitcoin": ("crypto_min1_btcperp_2021-12-31_2022-02-01",),
    "days of shares": ("us_day1_2018-05-01_2019-02-15_24sym", *SHARES),
}

every_policy = pytest.mark.parametrize("policy", STRATEGIES, ids=lambda policy: policy.name)


FILES = [pytest.param(name, marks=pytest.mark.realdata) for name in FEEDS]


@pytest.fixture(scope="session", params=[*FILES, "days of indices"])
def history(request) -> History:
    if request.param == "days of indices":
        return request.getfixturevalue("daily_history")
    return request.getfixturevalue("history_of")(*FEEDS[request.param])


def entries(targets: np.ndarray) -> np.ndarray:
    """Bars at which a flat strategy took a side."""
    return np.flatnonzero((targets != 0) & (np.concatenate(([0.0], targets[:-1])) == 0))


def exits(targets: np.ndarray) -> np.ndarray:
    return np.flatnonzero((targets == 0) & (np.concatenate(([0.0], targets[:-1])) != 0))


def closes(history: History, policy: Policy) -> list[np.ndarray]:
    """The closes that the policy saw, symbol by symbol, from a policy of its interval that says nothing else."""

    def loop(*arguments) -> None:
        _, _, bars, closed, targets, _, _ = arguments
        targets[closed] = bars["close"][closed]

    signals = policy_run(replace(policy, loop=loop))(history)
    return [signals.values[signals.symbol == index, 0] for index in np.unique(signals.symbol)]


@every_policy
def test_it_enters_and_leaves_and_keeps_its_size(history, policy, by_symbol):
    targets = [values[:, 0] for values in by_symbol(policy_run(policy)(history))]
    assert sum(len(entries(row)) for row in targets) >= 5
    assert sum(len(exits(row)) for row in targets) >= 5
    held = np.abs(np.concatenate(targets))
    assert held.max() <= 0.9
    assert held[held > 0].min() >= 0.3


@every_policy
def test_it_says_nothing_before_its_warm_up_and_no_longer_than_that(history, policy, by_symbol):
    for values in by_symbol(policy_run(policy)(history)):
        assert not values[: policy.warm_up_bars - 1].any()
        assert values[policy.warm_up_bars - 1 :, 2:].any()


@every_policy
def test_its_score_is_its_first_feature(history, policy):
    values = policy_run(policy)(history).values
    assert np.array_equal(values[:, 1], values[:, 2])


def test_bearish_never_buys_and_bullish_never_sells_short(history):
    assert policy_run(by_name("bearish"))(history).values[:, 0].max() == 0
    assert policy_run(by_name("bullish"))(history).values[:, 0].min() == 0


def test_a_score_points_to_the_side_that_is_taken(history, by_symbol):
    for policy in STRATEGIES:
        for values in by_symbol(policy_run(policy)(history)):
            at = entries(values[:, 0])
            assert (np.sign(values[at, 0]) == np.sign(values[at, 1])).all()


def test_mean_reversion_enters_against_the_move_on_both_sides(history, by_symbol):
    policy = by_name("mean_reversion")
    sides = set()
    for values, close in zip(by_symbol(policy_run(policy)(history)), closes(history, policy), strict=True):
        for at in entries(values[:, 0]):
            window = close[at - 23 : at + 1]
            assert np.sign(values[at, 0]) == -np.sign(close[at] - window.mean())
            sides.add(np.sign(values[at, 0]))
    assert sides == {-1.0, 1.0}


def test_momentum_enters_with_the_move_on_both_sides(history, by_symbol):
    policy = by_name("momentum")
    sides = set()
    for values, close in zip(by_symbol(policy_run(policy)(history)), closes(history, policy), strict=True):
        for at in entries(values[:, 0]):
            assert np.sign(values[at, 0]) == np.sign(close[at] - close[at - 26])
            sides.add(np.sign(values[at, 0]))
    assert sides == {-1.0, 1.0}


def test_bullish_enters_at_a_new_high_and_bearish_at_a_new_low(history, by_symbol):
    for name, side in (("bullish", 1.0), ("bearish", -1.0)):
        policy = by_name(name)
        for values, close in zip(by_symbol(policy_run(policy)(history)), closes(history, policy), strict=True):
            for at in entries(values[:, 0]):
                assert (side * close[at] > side * close[at - 5 : at]).all()


@pytest.mark.realdata
@every_policy
def test_it_trades_every_day_somewhere_but_no_symbol_all_day(history_of, policy, by_symbol):
    targets = [row[:, 0] for row in by_symbol(policy_run(policy)(history_of(*FEEDS["minutes of shares"])))]
    counts = [len(entries(row)) for row in targets]
    assert sum(counts) >= 10
    assert max(counts) <= 4 * 5
    first_two_sessions = 2 * 23_400 // policy.interval_s
    assert any(row[:first_two_sessions].any() for row in targets)


@pytest.mark.realdata
@every_policy
def test_costs_of_two_basis_points_a_side_stay_small(history_of, policy, by_symbol):
    targets = [row[:, 0] for row in by_symbol(policy_run(policy)(history_of(*FEEDS["minutes of shares"])))]
    turnover_a_day = np.mean([np.abs(np.diff(row)).sum() for row in targets]) / 5
    assert turnover_a_day * 2e-4 < 0.001
