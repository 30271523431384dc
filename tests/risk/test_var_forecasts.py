"""Value at risk by three methods: what is forecast, from what, and that it holds where the market is as assumed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from risk.measures.backtest import measure
from risk.measures.covariance import correlation_of, regimes, shrunk_correlation, shrunk_covariance
from risk.measures.forecasts import LEVELS, METHODS, daily, ten_days
from risk.measures.monte_carlo import draw, factor, simulate, tail

WEIGHTS = np.array([0.5, 0.3, -0.2])
COVARIANCE = np.array([[4.0, 1.0, 0.5], [1.0, 1.0, 0.2], [0.5, 0.2, 2.25]]) * 1e-4


def market(days: int, seed: int = 5, degrees: float = 6.0) -> np.ndarray:
    shocks = draw(days, 3, seed=seed, degrees=degrees)
    return (shocks.normals * shocks.mixing[:, None]) @ factor(COVARIANCE).T


@pytest.fixture(scope="module")
def quiet():
    return market(1700)


def test_no_forecast_knows_a_later_day(quiet):
    whole, short = (daily(returns, WEIGHTS, window=250, paths=2000) for returns in (quiet[:700], quiet[:600]))
    spans, cut = (ten_days(returns, WEIGHTS, window=250, paths=500)[0] for returns in (quiet[:700], quiet[:600]))
    for method in METHODS:
        for level in LEVELS:
            for name in ("var", "es"):
                early, late = getattr(short[method][level], name), getattr(whole[method][level], name)
                assert early.tolist() == pytest.approx(late[: len(early)].tolist(), rel=1e-12)
                early, late = getattr(cut[method][level], name), getattr(spans[method][level], name)
                assert early.tolist() == pytest.approx(late[: len(early)].tolist(), rel=1e-12)


def test_in_a_market_as_assumed_the_simulated_forecast_holds(quiet):
    dates = np.arange(len(quiet)).astype("datetime64[D]")
    found = {(one.method, one.level): one for one in measure(quiet, WEIGHTS, dates, window=300, paths=5000)}
    assert len(found) == 6
    for level in LEVELS:
        one = found["monte_carlo", level]
        assert one.verdict.kupiec.holds
        assert 0.0 < one.var < one.es
        assert len(one.exceptions) == one.verdict.exceptions
        assert all(day.loss > day.var for day in one.exceptions)
        assert one.ten_days.var > one.var
        assert one.ten_days.stretches == 140
    assert not found["parametric", 0.99].verdict.shortfall.holds  # tails of a Student t are no normal one's


def test_twice_the_position_is_twice_the_risk_and_none_is_none(quiet):
    one, two = (daily(quiet[:400], WEIGHTS * factor_, window=250, paths=2000) for factor_ in (1.0, 2.0))
    none = daily(quiet[:400], WEIGHTS * 0.0, window=250, paths=2000)
    for method in METHODS:
        for level in LEVELS:
            assert (one[method][level].var * 2.0).tolist() == pytest.approx(two[method][level].var.tolist(), rel=1e-6)
            assert not none[method][level].es.any()


@pytest.mark.parametrize(
    ("weights", "window", "word"),
    [(WEIGHTS, 401, "window = 401"), (WEIGHTS, 99, "window = 99"), (np.array([0.5, np.nan, 0.1]), 250, "finite"),
     (WEIGHTS[:2], 250, "finite")],
)  # fmt: skip
def test_what_cannot_be_forecast_is_refused(quiet, weights, window, word):
    with pytest.raises(ValueError, match=word):
        daily(quiet[:400], weights, window=window)


@given(losses=st.lists(st.floats(-1.0, 1.0), min_size=1, max_size=300), level=st.sampled_from(LEVELS))
@settings(max_examples=50)
def test_the_tail_is_that_of_a_sorted_sample(losses, level):
    worst = max(1, round((1 - level) * (len(losses) + 1)))
    top = sorted(losses)[-worst:]
    var, es = tail(np.array(losses), level)
    assert var == top[0]
    assert es == pytest.approx(sum(top) / worst, abs=1e-12)


@pytest.mark.parametrize("losses", [[], [0.1, np.nan], [np.inf]])
def test_a_tail_of_what_is_no_number_is_refused(losses):
    with pytest.raises(ValueError, match="finite"):
        tail(np.array(losses), 0.99)


def test_draws_are_the_same_for_the_same_seed_however_many():
    long, short, other = draw(25_000, 3, seed=7, degrees=5), draw(12_345, 3, seed=7, degrees=5), draw(10, 3, seed=8)
    assert np.array_equal(long.normals[:12_345], short.normals)
    assert np.array_equal(long.mixing[:12_345], short.mixing)
    assert not np.array_equal(other.normals, short.normals[:10])


def test_simulated_losses_have_the_covariance_that_was_asked_for():
    losses = simulate(draw(200_000, 3, seed=1, degrees=8), COVARIANCE, np.vstack([WEIGHTS, np.eye(3)]))
    wanted = [WEIGHTS @ COVARIANCE @ WEIGHTS, *np.diag(COVARIANCE)]
    assert losses.var(axis=0) == pytest.approx(wanted, rel=0.02)


@pytest.mark.parametrize("wrong", [np.ones((2, 3)), np.array([[1.0, np.nan], [np.nan, 1.0]]),
                                   np.array([[1.0, 0.0], [0.5, 1.0]]), np.diag([1.0, -1.0])])  # fmt: skip
def test_what_is_no_covariance_is_refused(wrong):
    with pytest.raises(ValueError, match="covariance"):
        factor(wrong)


def test_a_position_that_cannot_move_and_two_that_move_alike_are_simulated():
    alike = np.array([[1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 0.0]])
    losses = simulate(draw(1000, 3, seed=1), alike, np.array([[1.0, -1.0, 5.0]]))
    assert np.abs(losses).max() < 1e-6


def test_shrinkage_keeps_variances_and_draws_correlations_together(quiet):
    few = quiet[:20] * np.array([1.0, 100.0, 1e-3])
    for estimator in ("ledoit-wolf", "oas"):
        shrunk = shrunk_covariance(few, estimator)
        assert np.diag(shrunk) == pytest.approx((few**2).mean(axis=0), rel=1e-12)
        assert np.linalg.eigvalsh(shrunk_correlation(few, estimator)).min() > 0.0
        plain = correlation_of(few.T @ few)
        ratio = shrunk_correlation(few, estimator)[0, 1] / plain[0, 1]
        assert 0.0 <= ratio < 1.0
    with pytest.raises(ValueError, match="estimator = 'mine'"):
        shrunk_covariance(few, "mine")


def test_a_symbol_that_never_moved_has_no_variance_and_disturbs_nobody(quiet):
    still = np.column_stack([quiet[:50], np.zeros(50)])
    found = shrunk_covariance(still)
    assert not found[3].any()
    assert found[:3, :3] == pytest.approx(shrunk_covariance(quiet[:50]))


def test_stressed_days_have_a_covariance_of_their_own(quiet):
    returns = quiet[:600].copy()
    returns[300:400] *= 4.0
    found = regimes(returns)
    assert found.stressed[310:400].mean() > 0.9
    assert found.stressed[:300].mean() < 0.1
    assert np.trace(found.wild) > 8.0 * np.trace(found.calm)
    assert not found.now_stressed
    assert regimes(quiet[:60]) is None
