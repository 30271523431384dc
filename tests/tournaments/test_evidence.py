"""The bet against the ensemble: fair for whatever has no skill, and what it takes to open the pool with some."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tournaments.allocation.evidence import FULL_AT, least_difference, log_evidence, pool_fraction
from tournaments.allocation.inputs import AllocationError

FULL = math.log(FULL_AT)
RUNS, WEEKS = 1000, 208


def coins(rng, shape):
    return rng.choice([-1.0, 1.0], shape)


def long_right_tail(rng, shape):
    return np.where(rng.random(shape) < 0.05, 0.95, -0.05)


def long_left_tail(rng, shape):
    return np.where(rng.random(shape) < 0.05, -0.95, 0.05)


def changing_size(rng, shape):
    signs, sizes = coins(rng, shape), np.full(shape, 0.1)
    for week in range(1, shape[0]):  # a win doubles the next stake, a loss halves it
        sizes[week] = np.clip(sizes[week - 1] * np.where(signs[week - 1] > 0, 2.0, 0.5), 0.01, 1.0)
    return signs * sizes


def skew_after_signs(rng, shape):
    signs = np.ones(shape)
    for week in range(1, shape[0]):  # the past decides which tail is long; the mean is 0 all the same
        p = np.where(signs[max(0, week - 3) : week].sum(axis=0) > 0, 0.2, 0.8)
        signs[week] = np.where(rng.random(shape[1]) < p, 1 - p, -p)
    signs[0] = 0.0
    return signs


SKILL_LESS = {
    "coins": coins,
    "uniform": lambda rng, shape: rng.uniform(-1, 1, shape),
    "small normal": lambda rng, shape: np.clip(rng.normal(0, 0.1, shape), -1, 1),
    "long right tail": long_right_tail,
    "long left tail": long_left_tail,
    "changing size": changing_size,
    "skew after signs": skew_after_signs,
    "worse than climatology": lambda rng, shape: np.clip(rng.normal(-0.1, 0.3, shape), -1, 1),
    "nothing": lambda _, shape: np.zeros(shape),
}


@pytest.mark.parametrize("name", SKILL_LESS)
def test_without_skill_hardly_any_run_is_ever_fully_open(name):
    differences = SKILL_LESS[name](np.random.default_rng(7), (WEEKS, RUNS))
    least = min(float(differences.min()), -0.01)
    for floor in (-1.0, least):  # a nearer floor bets more
        ever = float((log_evidence(differences, floor) >= FULL).any(axis=0).mean())
        print(f"{name}, floor {floor:.2f}: ever fully open in {ever:.2%} of {RUNS} runs of {WEEKS} weeks")
        assert ever <= 0.05


def test_an_adversary_who_sees_the_evidence_gains_at_most_what_ville_allows():
    """It plays boldly: each week the fair gamble whose win lands exactly on the threshold; its loss is the floor."""
    rng, runs, weeks = np.random.default_rng(3), 2000, 30
    differences, opened = np.zeros((weeks, runs)), np.zeros(runs, dtype=bool)
    for week in range(weeks):
        flat, risen = (np.vstack([differences[:week], np.full((1, runs), x)]) for x in (0.0, 0.1))
        now = np.exp(log_evidence(flat, -0.1)[-1])
        slope = (np.exp(log_evidence(risen, -0.1)[-1]) - now) / 0.1  # the evidence is linear in the next difference
        win = np.where(opened, 1.0, (FULL_AT * (1 + 1e-9) - now) / slope)
        drawn = np.where(rng.random(runs) < 0.1 / (0.1 + win), win, -0.1)
        differences[week] = np.where(opened, 0.0, drawn)
        opened |= log_evidence(differences[: week + 1], -0.1)[-1] >= FULL
    print(f"bold adversary: ever fully open in {opened.mean():.2%} of {runs} runs")
    assert 0.03 < opened.mean() <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / runs)


@settings(derandomize=True, max_examples=150)
@given(
    past=st.lists(st.floats(-0.9, 1.0), max_size=20),
    worst=st.floats(-0.9, -0.01),
    best=st.floats(0.01, 50.0),
    shift=st.floats(0.0, 0.3),
)
def test_what_is_expected_next_is_never_more_than_what_is_there(past, worst, best, shift):
    p = -worst / (best - worst)  # the mean is 0, and below it after the shift
    low = max(worst - shift, -0.95)
    after = [math.exp(log_evidence(np.array([*past, x]), -0.95)[-1]) for x in (best, low)]
    before = math.exp(log_evidence(np.array(past), -0.95)[-1]) if past else 1.0
    expected = p * after[0] + (1 - p) * after[1]
    assert expected <= before * (1 + 1e-9)
    if low == worst:
        assert expected == pytest.approx(before, rel=1e-9)


def test_the_evidence_of_two_rounds_is_the_one_worked_by_hand():
    bets = [k / 10 for k in range(1, 11)]
    by_hand = [sum(1 + b * 0.5 for b in bets) / 10, sum((1 + b * 0.5) * (1 - b * 0.25) for b in bets) / 10]
    assert np.exp(log_evidence([0.5, -0.25])) == pytest.approx(by_hand, rel=1e-12)
    doubled = np.exp(log_evidence([0.25, -0.25], [-0.5, -1.0]))  # the floor of each round sets its bets
    assert doubled == pytest.approx(by_hand, rel=1e-12)
    together = np.column_stack([[0.5, -0.25], [0.25, -0.125]])
    assert np.exp(log_evidence(together)[:, 0]) == pytest.approx(by_hand, rel=1e-12)


def test_weeks_until_full_with_an_information_ratio_of_two_fifths_a_week():
    rng, medians = np.random.default_rng(5), {}
    for deviation, floor in [(0.05, -1.0), (0.05, -0.25), (0.1, -1.0), (0.1, -0.5), (0.2, -1.0), (0.4, -1.0)]:
        drawn = rng.normal(0.4 * deviation, deviation, (520, 500))
        opened = log_evidence(np.maximum(drawn, floor), floor) >= FULL
        weeks = np.where(opened.any(axis=0), opened.argmax(axis=0) + 1, 10_000)
        low, median, high = np.quantile(weeks, [0.1, 0.5, 0.9])
        medians[deviation, floor] = median
        print(f"deviation {deviation}, floor {floor}: full after {median:.0f} weeks (80 %: {low:.0f} to {high:.0f})")
    assert medians[0.05, -0.25] < medians[0.05, -1.0]  # knowing how little can be lost is worth months
    assert 40 < medians[0.2, -1.0] < 90
    assert medians[0.1, -1.0] < 160


def test_the_pool_opens_with_the_evidence_and_closes_when_skill_goes():
    log_e = log_evidence(np.concatenate([np.full(60, 0.1), np.full(200, -0.1)]))
    pools = [pool_fraction(float(value)) for value in log_e]
    assert max(pools) == pytest.approx(0.10)
    assert pools[-1] == pytest.approx(0.02)
    assert [pool_fraction(x) for x in (-math.inf, -5.0, 0.0, FULL / 2, FULL, 99.0)] == pytest.approx(
        [0.02, 0.02, 0.02, 0.06, 0.10, 0.10]
    )
    assert pool_fraction(FULL, most=0.05) == 0.05  # the rules may lower it
    assert pool_fraction(0.0, most=0.01) == 0.01


def test_a_total_loss_ends_the_largest_bet_only():
    log_e = log_evidence([-1.0, *[0.5] * 40])
    assert np.isfinite(log_e).all()
    assert log_e[-1] > FULL


def test_the_floor_is_the_worst_of_all_outcomes_and_never_broken():
    rng = np.random.default_rng(2)
    for _ in range(300):
        symbols = int(rng.integers(1, 9))
        ours, theirs = rng.dirichlet(np.ones(3), symbols), rng.dirichlet(np.ones(3) * 5, symbols)
        floor = least_difference(ours, theirs)
        outcomes = rng.integers(0, 3, symbols)
        reached = [(outcomes[:, None] <= np.arange(2)).astype(float)][0]
        rps = [((np.cumsum(p, axis=1)[:, :2] - reached) ** 2).sum(axis=1) / 2 for p in (theirs, ours)]
        assert -1.0 <= floor <= float((rps[0] - rps[1]).mean()) + 1e-12
    sure = np.array([[1.0, 0.0, 0.0]])
    assert least_difference(sure, np.array([[0.0, 0.0, 1.0]])) == pytest.approx(-1.0)
    assert least_difference(sure, sure) < 0.0  # a bet needs a floor below nothing


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: log_evidence([0.1, math.nan]), "finite"),
        (lambda: log_evidence([0.1, -2.0]), "below its floor"),
        (lambda: log_evidence([0.1], 0.0), "floor = 0"),
        (lambda: log_evidence([0.1], math.nan), "floor"),
        (lambda: log_evidence([0.1, 0.2], [-1.0]), "shape"),
        (lambda: pool_fraction(math.nan), "log_e"),
        (lambda: pool_fraction(1.0, most=0.2), r"most = 0.2 is outside 0 to 0.1"),
        (lambda: least_difference([[0.5, 0.5]], [[0.5, 0.5]]), "shape"),
        (lambda: least_difference([[0.5, 0.5, 0.5]], [[0.2, 0.3, 0.5]]), "distribution"),
        (lambda: least_difference([[0.2, 0.3, 0.5]] * 2, [[0.2, 0.3, 0.5]]), "must be the same"),
    ],
)
def test_what_is_no_evidence_is_refused(call, said):
    with pytest.raises(AllocationError, match=said):
        call()


def test_no_round_yet_is_no_evidence():
    assert log_evidence([]).shape == (0,)
