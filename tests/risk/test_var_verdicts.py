"""The tests of risk forecasts, against their papers' own tables and against forecasts that are right or wrong."""

import numpy as np
import pytest
from scipy import stats

from risk.measures import verdicts
from risk.measures.verdicts import NEEDED, acerbi_szekely, christoffersen, conditional_coverage, judge, kupiec

RATIOS = stats.norm.ppf(0.99 + 0.01 * (np.arange(2000) + 0.5) / 2000) / (stats.norm.pdf(stats.norm.ppf(0.99)) / 0.01)


@pytest.mark.parametrize(
    ("level", "days", "low", "high"),
    [
        (0.99, 255, 0, 7), (0.99, 510, 1, 11), (0.99, 1000, 4, 17),
        (0.95, 255, 6, 21), (0.95, 510, 16, 36), (0.95, 1000, 37, 65),
    ],
)  # fmt: skip
def test_kupiec_holds_within_the_regions_of_his_table(level, days, low, high):
    held = [x for x in range(3 * high) if kupiec(x, days, level).holds]
    assert held == list(range(low + 1, high))


@pytest.mark.parametrize(("count", "zone"), [(0, "green"), (4, "green"), (5, "yellow"), (9, "yellow"), (10, "red")])
def test_the_traffic_light_has_basels_zones(count, zone):
    assert verdicts.traffic_light(count, 250, 0.99).zone == zone


def test_exceptions_that_come_together_are_not_independent():
    together, apart = np.zeros(1000, dtype=bool), np.zeros(1000, dtype=bool)
    together[500:510] = apart[50::100] = True
    assert kupiec(10, 1000, 0.99).holds
    assert not christoffersen(together).holds
    assert not conditional_coverage(together, 0.99).holds
    assert christoffersen(apart).holds
    assert conditional_coverage(apart, 0.99).holds


def test_christoffersens_ratio_is_the_one_worked_by_hand():
    hits = np.array([0, 1, 1, 0, 0, 1, 0, 0, 0, 1], dtype=bool)
    # of 9 steps: after none 6 days, 3 then hit; after a hit 3 days, 1 then hit; together 4 of 9
    free = 6 * np.log(0.5) + np.log(1 / 3) + 2 * np.log(2 / 3)
    bound = 4 * np.log(4 / 9) + 5 * np.log(5 / 9)
    assert christoffersen(hits).statistic == pytest.approx(-2 * (bound - free), abs=1e-12)


@pytest.mark.parametrize("hits", [np.zeros(1000, dtype=bool), np.ones(1000, dtype=bool)])
def test_no_exception_and_nothing_but_exceptions_give_numbers(hits):
    for test in (kupiec(int(hits.sum()), 1000, 0.99), christoffersen(hits), conditional_coverage(hits, 0.99)):
        assert np.isfinite(test.statistic)
        assert 0.0 <= test.p_value <= 1.0


def losses_of(count: int, seed: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(count) * 0.01


def forecasts(count: int, level: float = 0.99) -> tuple[np.ndarray, np.ndarray]:
    quantile = stats.norm.ppf(level)
    return np.full(count, 0.01 * quantile), np.full(count, 0.01 * stats.norm.pdf(quantile) / (1 - level))


def test_a_right_forecast_holds_and_a_wrong_shortfall_is_found():
    losses = losses_of(4000)
    var, es = forecasts(4000)
    assert judge(losses, var, es, 0.99, RATIOS).holds
    wrong = judge(np.where(losses > var, losses * 1.5, losses), var, es, 0.99, RATIOS)
    assert (wrong.holds, wrong.shortfall.holds, wrong.kupiec.holds) == (False, False, True)
    assert "shortfall" in wrong.said


def test_the_shortfall_test_rejects_a_right_forecast_about_one_time_in_twenty():
    var, es = forecasts(1000)
    rejected = sum(
        not acerbi_szekely(losses_of(1000, seed), var, es, 0.99, RATIOS, seed=seed).holds for seed in range(200)
    )
    assert 2 <= rejected <= 20


def test_too_low_a_forecast_is_red():
    losses = losses_of(2000)
    var, es = forecasts(2000, 0.95)
    verdict = judge(losses, var, es, 0.99, RATIOS)
    assert (verdict.basel.zone, verdict.whole.zone, verdict.holds) == ("red", "red", False)


@pytest.mark.parametrize(("count", "judged"), [(NEEDED - 1, False), (NEEDED, True)])
def test_fewer_than_a_thousand_days_have_no_verdict_and_say_so(count, judged):
    verdict = judge(losses_of(count), *forecasts(count), 0.99, RATIOS)
    assert (verdict.holds is not None) is judged
    assert judged or (verdict.kupiec is None and f"{count} days, {NEEDED} are needed" in verdict.said)
