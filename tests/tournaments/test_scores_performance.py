"""Sharpe ratios against their papers' numbers and simulation, trials counted once, drawdown against plain loops."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtr

from tournaments.scores.checks import ScoreError
from tournaments.scores.performance import (
    deflated_sharpe,
    effective_trials,
    expected_maximum,
    maximum_drawdown,
    performance,
    probabilistic_sharpe,
    ratio_deviation,
    sharpe,
    sharpe_error,
)

series = st.lists(st.floats(-0.2, 0.2), min_size=0, max_size=60)


def returns_of(count, ratio=0.0, seed=1):
    return np.random.default_rng(seed).standard_normal(count) * 0.01 + ratio * 0.01 / np.sqrt(252)


def test_the_deflated_ratio_is_that_of_bailey_and_lopez_de_prados_example():
    # 100 trials of variance 1/2 a year, the best with 2.5 over 1250 days of 250 a year, skewness -3, kurtosis 10
    threshold = expected_maximum(100, 0.5 / 250)
    assert threshold == pytest.approx(0.1132, abs=5e-5)
    ratio = 2.5 / np.sqrt(250)
    found = ndtr((ratio - threshold) * np.sqrt(1249) / ratio_deviation(ratio, -3.0, 10.0))
    assert found == pytest.approx(0.9004, abs=5e-4)


def test_the_sharpe_ratio_and_its_error_are_annualised():
    returns = returns_of(504, 1.0)
    assert sharpe(returns) == pytest.approx(returns.mean() / returns.std(ddof=1) * np.sqrt(252))
    assert sharpe(returns, periods=365) == pytest.approx(sharpe(returns) * np.sqrt(365 / 252))
    assert sharpe_error(returns) == pytest.approx(1 / np.sqrt(2), rel=0.05)


def test_the_error_is_the_deviation_over_many_skewed_years():
    generator = np.random.default_rng(2)
    years = 0.01 * (0.3 - (generator.exponential(size=(2000, 252)) - 1.0))
    ratios = [sharpe(year) for year in years]
    errors = [sharpe_error(year) for year in years[:150]]
    assert np.mean(errors) == pytest.approx(np.std(ratios), rel=0.07)
    assert abs(np.std(ratios) - 1.0) > 0.25  # the plain 1 / sqrt(years) would be wrong here


def test_the_best_of_100_lucky_trials_is_deflated():
    trials = [returns_of(252, seed=seed) for seed in range(100)]
    ratios = [sharpe(trial) for trial in trials]
    best = trials[int(np.argmax(ratios))]
    assert probabilistic_sharpe(best) > 0.98
    assert deflated_sharpe(best, trials=100, trial_variance=np.var(ratios, ddof=1)) < 0.75
    assert np.mean([deflated_sharpe(t, trials=100, trial_variance=1.0) > 0.95 for t in trials]) == 0.0


def test_the_expected_maximum_is_that_of_simulated_normals_and_rises():
    generator = np.random.default_rng(3)
    for trials in (10, 100):
        simulated = generator.standard_normal((20_000, trials)).max(axis=1).mean()
        assert expected_maximum(trials, 1.0) == pytest.approx(simulated, rel=0.03)
    values = [expected_maximum(trials, 1.0) for trials in (1, 1.01, 1.5, 2, 3, 10, 1e6)]
    assert values[0] == 0.0
    assert (np.diff(values) >= 0.0).all()
    assert expected_maximum(50, 0.0) == 0.0


def correlation_of_families(families, size, seed=4):
    generator = np.random.default_rng(seed)
    ideas = generator.standard_normal((500, families))
    trials = np.repeat(ideas, size, axis=1) + 0.3 * generator.standard_normal((500, families * size))
    return np.corrcoef(trials, rowvar=False)


@pytest.mark.parametrize(("families", "size"), [(1, 20), (2, 10), (5, 8), (12, 1)])
def test_small_changes_of_one_idea_are_one_trial(families, size):
    matrix = correlation_of_families(families, size)
    assert effective_trials(matrix) == families
    order = np.random.default_rng(5).permutation(len(matrix))
    assert effective_trials(matrix[np.ix_(order, order)]) == families


def test_opposites_are_two_trials_and_extremes_are_one_and_all():
    assert effective_trials([[1.0, -1.0], [-1.0, 1.0]]) == 2
    assert effective_trials(np.ones((7, 7))) == 1
    assert effective_trials(np.eye(7)) == 7
    assert effective_trials([[1.0]]) == 1


@settings(derandomize=True, max_examples=60)
@given(series)
def test_drawdown_is_that_of_a_plain_loop(returns):
    wealth = peak = 1.0
    worst = 0.0
    for one in returns:
        wealth *= 1.0 + one
        peak = max(peak, wealth)
        worst = max(worst, 1.0 - wealth / peak)
    assert maximum_drawdown(returns) == pytest.approx(worst, abs=1e-12)


def test_a_lost_book_stays_lost():
    assert maximum_drawdown([0.1, -1.5, 3.0]) == 1.0
    assert maximum_drawdown([0.1, 0.1]) == 0.0


@settings(derandomize=True, max_examples=60)
@given(series)
def test_every_figure_is_within_its_range(returns):
    found = performance(returns, trials=10, trial_variance=1.0)
    assert np.isfinite(found.sharpe)
    assert 0.0 <= found.deflated <= 1.0
    assert 0.0 <= found.probabilistic <= 1.0
    assert found.deflated <= found.probabilistic
    assert 0.0 <= found.drawdown <= 1.0
    assert found.observations == len(returns)


@pytest.mark.parametrize("returns", [[], [0.01]])
def test_no_history_says_nothing(returns):
    found = performance(returns, trials=10, trial_variance=1.0)
    assert (found.sharpe, found.sharpe_error, found.deflated, found.probabilistic) == (0.0, None, 0.5, 0.5)


@pytest.mark.parametrize("value", [0.0, 0.001, -0.3, 0.1])
def test_a_book_without_variance_has_shown_nothing(value):
    returns = np.full(252, value)
    assert sharpe(returns) == 0.0
    assert sharpe_error(returns) == pytest.approx(1.0, rel=0.01)
    assert probabilistic_sharpe(returns) == 0.5
    assert deflated_sharpe(returns, trials=100, trial_variance=1.0) < 0.05


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e12])
def test_a_ratio_has_no_unit(scale):
    returns = returns_of(100, 1.0)
    assert sharpe(returns * scale) == pytest.approx(sharpe(returns))


@pytest.mark.parametrize(
    "call",
    [
        lambda: sharpe([np.nan, 0.1]), lambda: sharpe([0.1, 0.2], periods=0.0), lambda: sharpe_error([np.inf, 0.1]),
        lambda: maximum_drawdown([np.nan]), lambda: maximum_drawdown(np.full(400, 1e9)),
        lambda: probabilistic_sharpe([0.1, 0.2], benchmark=np.nan), lambda: expected_maximum(0.5, 1.0),
        lambda: expected_maximum(np.nan, 1.0), lambda: expected_maximum(2.0, -1.0),
        lambda: expected_maximum(2.0, np.nan),
        lambda: effective_trials([[1.0, np.nan], [np.nan, 1.0]]), lambda: effective_trials([[1.0, 0.5]]),
        lambda: effective_trials([[1.0, 0.5], [0.2, 1.0]]), lambda: effective_trials([[2.0, 0.0], [0.0, 1.0]]),
        lambda: effective_trials([[1.0, 1.5], [1.5, 1.0]]), lambda: effective_trials(np.empty((0, 0))),
        lambda: performance([[0.1]]),
    ],
)  # fmt: skip
def test_bad_input_is_refused(call):
    with pytest.raises(ScoreError):
        call()
