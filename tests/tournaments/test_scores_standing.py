"""The table: better parts never lower a total, ties share, the total's error is the one simulated."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtr

from tournaments.scores.checks import ScoreError
from tournaments.scores.clustered import NOTHING, Estimate
from tournaments.scores.performance import Performance
from tournaments.scores.standing import Parts, Weights, ranks, risk_adjusted, soft_sign, standings, total_error


def performance_of(sharpe=0.0, deflated=0.5, drawdown=0.1, error=0.5):
    return Performance(sharpe, error, 0.5, deflated, drawdown, 252)


def parts_of(accuracy=0.0, resilience=0.5, contribution=0.0, **figures):
    return Parts(
        Estimate(accuracy, 0.005, 200, 20), resilience, performance_of(**figures), Estimate(contribution, 0.01, 20, 20)
    )


entrants = st.builds(
    parts_of,
    accuracy=st.floats(-1, 1), resilience=st.floats(0, 1), contribution=st.floats(-3, 3), sharpe=st.floats(-20, 20),
    deflated=st.floats(0, 1), drawdown=st.floats(0, 1),
)  # fmt: skip


@settings(derandomize=True, max_examples=80)
@given(st.floats(-1000, 1000), st.floats(1e-3, 1000))
def test_the_map_rises_strictly_and_stays_within_0_and_1(value, step):
    low, high = soft_sign(value, 0.5), soft_sign(value + step, 0.5)
    assert 0.0 < low < high < 1.0
    assert soft_sign(-value, 0.5) == pytest.approx(1.0 - low)


def test_the_map_has_its_documented_points():
    assert [soft_sign(x, 0.02) for x in (0.0, 0.02, -0.02)] == pytest.approx([0.5, 0.75, 0.25])
    assert soft_sign(1e300, 1.0) <= 1.0
    assert soft_sign(-1e300, 1.0) >= 0.0


@settings(derandomize=True, max_examples=80)
@given(entrants, st.floats(1e-3, 1.0))
def test_the_total_rises_with_every_part(parts, step):
    better = {
        "accuracy": replace(parts, accuracy=replace(parts.accuracy, mean=parts.accuracy.mean + step)),
        "contribution": replace(parts, contribution=replace(parts.contribution, mean=parts.contribution.mean + step)),
        "sharpe": replace(parts, performance=replace(parts.performance, sharpe=parts.performance.sharpe + step)),
    }
    if parts.resilience + step <= 1:
        better["resilience"] = replace(parts, resilience=parts.resilience + step)
    if parts.performance.deflated + step <= 1:
        deflated = parts.performance.deflated + step
        better["deflated"] = replace(parts, performance=replace(parts.performance, deflated=deflated))
    if parts.performance.drawdown >= step:
        drawdown = parts.performance.drawdown - step
        better["drawdown"] = replace(parts, performance=replace(parts.performance, drawdown=drawdown))
    for name, other in better.items():
        low, high = standings([parts, other])
        assert low.total < high.total, name
        assert (low.rank, high.rank) == (2, 1)


@settings(derandomize=True, max_examples=50)
@given(st.lists(entrants, min_size=0, max_size=8), st.randoms(use_true_random=False))
def test_permuting_entrants_permutes_their_rows(field, shuffler):
    order = shuffler.sample(range(len(field)), len(field))
    rows = standings(field)
    assert standings([field[i] for i in order]) == tuple(rows[i] for i in order)
    assert all(0.0 <= row.total <= 1.0 for row in rows)


def test_the_total_is_the_weighted_sum_and_weights_act():
    row = standings([parts_of(accuracy=0.02, resilience=0.8, contribution=-0.05, sharpe=1.0)])[0]
    risk = risk_adjusted(performance_of(sharpe=1.0))
    assert risk == pytest.approx(0.5 * 0.75 + 0.25 * 0.5 + 0.25 * 0.2 / 0.3)
    assert row.total == pytest.approx(0.35 * 0.75 + 0.3 * 0.8 + 0.25 * risk + 0.1 * 0.25)
    assert standings([parts_of(resilience=0.8)], Weights(0.0, 1.0, 0.0, 0.0))[0].total == 0.8


def test_exact_ties_share_the_better_rank():
    assert ranks([0.2, 0.9, 0.9, 0.1]) == (3, 1, 1, 4)
    assert ranks([0.5]) == (1,)
    assert ranks([]) == ()
    assert [row.rank for row in standings([parts_of()] * 4)] == [1, 1, 1, 1]


def test_an_entrant_without_history_stands_in_the_middle_with_its_error_unknown():
    empty = Parts(NOTHING, 0.5, Performance(0.0, None, 0.5, 0.5, 0.0, 0), NOTHING)
    row = standings([empty])[0]
    assert (row.accuracy, row.contribution, row.error) == (0.5, 0.5, None)
    assert total_error(replace(empty, resilience_error=0.1), Weights(0.0, 1.0, 0.0, 0.0)) == pytest.approx(0.1)


@pytest.mark.parametrize("wide", [1.0, 6.0])
@pytest.mark.parametrize("together", [True, False])
def test_the_totals_error_is_the_deviation_of_totals_over_luck_that_the_parts_share(wide, together):
    generator = np.random.default_rng(1)
    drawn = generator.standard_normal((3000, 4))
    if together:  # as of the same sessions
        drawn[:, 2:] = drawn[:, :1]
    found = [
        parts_of(
            accuracy=0.01 + wide * 0.005 * a, resilience=0.7 + 0.03 * r, contribution=0.02 + wide * 0.01 * c,
            sharpe=0.8 + wide * 0.2 * s, deflated=float(ndtr(0.3 + s)),
        )
        for a, r, c, s in drawn
    ]  # fmt: skip
    mean = Parts(
        Estimate(0.01, wide * 0.005, 200, 20), 0.7, performance_of(sharpe=0.8, deflated=ndtr(0.3), error=wide * 0.2),
        Estimate(0.02, wide * 0.01, 20, 20), resilience_error=0.03,
    )  # fmt: skip
    seen = np.std([row.total for row in standings(found)])
    assert total_error(mean) == pytest.approx(seen, rel=0.08) if together else total_error(mean) > seen


def test_an_entrants_own_luck_does_not_shrink_its_error():
    lucky, others = parts_of(accuracy=0.2), [parts_of(accuracy=0.0)] * 3
    errors = [row.error for row in standings([lucky, *others])]
    assert errors[0] == errors[1]


@pytest.mark.parametrize(
    "call",
    [
        lambda: Weights(0.5, 0.5, 0.5, 0.5), lambda: Weights(1.5, -0.5, 0.0, 0.0),
        lambda: Weights(np.nan, 1.0, 0.0, 0.0),
        lambda: standings([parts_of(accuracy=np.nan)]), lambda: standings([parts_of(resilience=1.1)]),
        lambda: standings([parts_of(resilience=np.nan)]), lambda: standings([parts_of(sharpe=np.inf)]),
        lambda: standings([parts_of(deflated=np.nan)]), lambda: standings([parts_of(drawdown=-0.1)]),
        lambda: standings([parts_of(error=np.nan)]), lambda: ranks([np.nan, 1.0]),
    ],
)  # fmt: skip
def test_bad_input_is_refused(call):
    with pytest.raises(ScoreError):
        call()
