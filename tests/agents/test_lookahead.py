"""No strategy looks ahead: on a shorter history each says, bit for bit, what it said on the whole one."""

import numpy as np
import pytest

from agents.lookahead import History, Signals, first_difference, policy_run
from agents.strategies import STRATEGIES

MINUTE_FILES = [
    "us_min1_2019-02-11_2019-02-15_24sym",
    "us_min1_lean_2008-2023_days",
    "us_min1_spy_2011-01_2011-03",
    "crypto_min1_btcperp_2021-12-31_2022-02-01",
    "crypto_min1_lean_2016-2026_days",
]


def lengths(history: History, cuts: int) -> list[int]:
    """Cuts anywhere within sessions and buckets, the second slice and the last but one among them."""
    count = len(history.now_ns)
    drawn = np.random.default_rng(count).integers(2, count - 1, cuts)
    return [2, *sorted(drawn.tolist()), count - 1]


@pytest.mark.realdata
@pytest.mark.parametrize("policy", STRATEGIES, ids=lambda policy: policy.name)
@pytest.mark.parametrize("name", MINUTE_FILES)
def test_minutes_give_the_same_signals_on_truncated_as_on_full_history(history_of, name, policy):
    history = history_of(name)
    run = policy_run(policy)
    assert len(run(history).at) > policy.warm_up_bars
    assert first_difference(run, history, lengths(history, 3)) is None


@pytest.mark.realdata
def test_every_file_of_minute_bars_is_covered(station_data):
    there = {path.stem for path in station_data.glob("*_min1_*.parquet") if "quotes" not in path.name}
    assert there == set(MINUTE_FILES)


@pytest.mark.parametrize("policy", STRATEGIES, ids=lambda policy: policy.name)
def test_days_give_the_same_signals_on_truncated_as_on_full_history(daily_history, policy):
    assert first_difference(policy_run(policy), daily_history, lengths(daily_history, 3)) is None


def test_a_policy_that_reads_the_last_bar_of_the_history_is_caught(daily_history):
    honest = policy_run(STRATEGIES[0])

    def cheat(history: History) -> Signals:
        said = honest(history)
        said.values[:, 0] = np.sign(history.bars["close"][-1, 0] - history.bars["close"][said.at, 0])
        return said

    difference = first_difference(cheat, daily_history, [1000])
    assert difference is not None
    assert difference.field == "target"
    assert difference.at < 1000
    assert difference.now_ns == daily_history.now_ns[difference.at]
    assert difference.full != difference.truncated


def test_a_feature_scaled_by_the_whole_history_is_caught_though_no_target_changes(daily_history):
    honest = policy_run(STRATEGIES[0])

    def cheat(history: History) -> Signals:
        said = honest(history)
        said.values[:, -1] /= said.values[:, -1].std()
        return said

    difference = first_difference(cheat, daily_history, [2000])
    assert difference is not None
    assert difference.field == STRATEGIES[0].features[-1]


def test_a_bar_handed_out_early_is_caught_as_a_signal_that_is_not_there(daily_history):
    honest = policy_run(STRATEGIES[0])

    def early(history: History) -> Signals:
        said = honest(history)
        return Signals(np.maximum(said.at - 1, 0), said.symbol, said.values, said.fields)

    difference = first_difference(early, daily_history, [500])
    assert difference is not None
    assert difference.at == 499
    assert difference.truncated is None
