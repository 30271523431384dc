"""What stands beside the weekly decision: look-alikes, innovation, drawdown, the charted figures, and bad numbers."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tournaments.allocation import drawdown, metrics
from tournaments.allocation.base import base_shares, shrink
from tournaments.allocation.diversity import diversity_factors, innovation_bonus, inside_pool, look_alikes, novelty
from tournaments.allocation.inputs import AllocationError
from tournaments.allocation.projection import project

EPS = 1e-11
NOBODY = np.zeros(4, dtype=bool)


# look-alikes and innovation -------------------------------------------------------------------------------------------


def test_copies_count_once_and_independent_entries_fully():
    rng = np.random.default_rng(37)
    for count in (2, 4, 8):
        own = rng.normal(size=(4000, count))
        assert look_alikes(own).index == pytest.approx(1.0, abs=0.02)
        assert look_alikes(np.tile(own[:, :1], (1, count))).effective == pytest.approx(1.0)
    opposite = np.column_stack([own[:, 0], -own[:, 0]])
    assert look_alikes(opposite).effective == pytest.approx(1.0)
    pair = np.column_stack([own[:, 0], own[:, 0], own[:, 1], own[:, 2]])
    factors = diversity_factors(look_alikes(pair))
    assert factors == pytest.approx([0.5, 0.5, 1.0, 1.0], abs=0.01)
    assert inside_pool(np.full(4, 0.25), factors, np.zeros(4)) == pytest.approx([1 / 6, 1 / 6, 1 / 3, 1 / 3], abs=0.01)
    alone = diversity_factors(look_alikes(pair), np.array([True, False, True, True]))  # its copy is benched
    assert alone[0] == pytest.approx(1.0, abs=0.01)


def test_few_forecasts_do_not_make_independent_entries_look_alike():
    rng = np.random.default_rng(41)
    numbers = [look_alikes(rng.normal(size=(8, 4))).effective for _ in range(300)]
    print(f"\neffective number of four independent entrants from 8 forecasts: mean {np.mean(numbers):.2f}")
    assert 3.3 < np.mean(numbers) <= 4.0


def test_constant_missing_and_single_entries_have_numbers():
    rng = np.random.default_rng(43)
    table = rng.normal(size=(30, 4))
    table[:, 0], table[:, 1], table[:15, 2], table[15:, 3] = 0.1, 0.1, np.nan, np.nan
    alike = look_alikes(table)
    assert np.isfinite(alike.correlation).all()
    assert (alike.correlation[0, 1], alike.correlation[0, 2], alike.correlation[2, 3]) == (1.0, 0.0, 0.0)
    assert look_alikes(np.full((5, 3), 0.2)).effective == pytest.approx(1.0)
    assert look_alikes(table[:, :1]).index == 1.0
    assert look_alikes(np.empty((0, 3))).effective == 3.0  # nothing was shown against anybody
    assert look_alikes(table, NOBODY).index == 0.0
    with pytest.raises(AllocationError, match="entries"):
        look_alikes([[math.inf, 0.0]])


@settings(derandomize=True, max_examples=100)
@given(
    table=st.tuples(st.integers(1, 8), st.integers(0, 12)).flatmap(
        lambda shape: st.lists(
            st.lists(st.one_of(st.just(math.nan), st.floats(-1, 1)), min_size=shape[0], max_size=shape[0]),
            min_size=shape[1], max_size=shape[1],
        ).map(lambda rows, count=shape[0]: np.array(rows, dtype=float).reshape(-1, count))
    ),
    order=st.randoms(use_true_random=False),
)  # fmt: skip
def test_any_entries_give_bounded_numbers_that_follow_their_entrants(table, order):
    alike, count = look_alikes(table), table.shape[1]
    factors = diversity_factors(alike)
    assert 1.0 <= alike.effective <= count
    assert ((factors >= 1.0 / count - EPS) & (factors <= 1.0)).all()
    places = list(range(count))
    order.shuffle(places)
    again = look_alikes(table[:, places])
    assert again.effective == pytest.approx(alike.effective, abs=1e-6)
    assert diversity_factors(again) == pytest.approx(factors[places], abs=1e-6)


def test_the_bonus_needs_a_contribution_and_something_new():
    rng = np.random.default_rng(47)
    old, other = rng.normal(size=(200, 1)), rng.normal(size=200)
    assert novelty(old[:, 0], old) == 0.0
    assert novelty(-3.0 * old[:, 0], old) == pytest.approx(0.0, abs=1e-12)  # a flipped sign is no new idea
    assert novelty(other, old) > 0.8
    assert novelty(other, np.column_stack([old, other])) == 0.0  # nor is a return to an earlier one
    assert novelty(other, np.empty((200, 0))) == 0.0
    assert novelty(np.full(200, 0.3), old) == 0.0
    assert novelty(other, np.zeros((200, 1))) == 0.0
    bonus = innovation_bonus([0.1, 0.1, 0.0, -0.1, math.nan], [1.0, 0.0, 1.0, 1.0, 1.0])
    assert bonus.tolist() == [0.25, 0.0, 0.0, 0.0, 0.0]
    with pytest.raises(AllocationError, match=r"largest = 0.5 is outside 0 to 0.25"):
        innovation_bonus([0.1], [1.0], largest=0.5)


# drawdown -------------------------------------------------------------------------------------------------------------


def test_a_drawdown_halves_then_benches_and_only_a_person_lets_it_in_again():
    assert drawdown.drawdown([100.0, 120.0, 90.0]) == pytest.approx(0.25)
    assert drawdown.drawdown([100.0, 120.0, 90.0, 99.0], counted_from=2) == 0.0
    now = drawdown.Standing()
    assert drawdown.review(now, 0.15, 0.24) == now
    now = drawdown.review(now, 0.16, 0.24)
    assert (now.status, now.ceiling) == ("halved", 0.12)
    assert drawdown.review(now, 0.05, 0.1).status == "active"
    for _ in range(3):
        now = drawdown.review(now, 0.16, 0.1)
        assert (now.status, now.ceiling) == ("halved", 0.12)
    assert drawdown.review(now, 0.16, 0.1).status == "benched"
    benched = drawdown.review(drawdown.Standing(), 0.4, 0.24)
    assert (benched.status, benched.ceiling) == ("benched", 0.0)
    assert drawdown.review(benched, 0.0, 0.0) == benched  # no recovery re-admits
    back = drawdown.readmit(benched, "ada", at_ns=300)
    assert (back.status, back.ceiling, back.counted_from_ns, back.readmitted_by) == ("active", 1.0, 300, "ada")
    with pytest.raises(AllocationError, match="person is empty"):
        drawdown.readmit(benched, " ", at_ns=300)
    with pytest.raises(AllocationError, match="only a benched"):
        drawdown.readmit(back, "ada", at_ns=400)
    with pytest.raises(AllocationError, match="at_ns = 5 is before the round of 10"):
        drawdown.readmit(drawdown.review(drawdown.Standing(), 0.4, 0.24, at_ns=10), "ada", at_ns=5)


@settings(derandomize=True, max_examples=100)
@given(path=st.lists(st.floats(0, 2), max_size=30), weights=st.floats(0, 1))
def test_a_benched_strategy_stays_benched_and_no_ceiling_rises_beyond_the_limit(path, weights):
    now = drawdown.Standing()
    for fallen in path:
        later = drawdown.review(now, fallen, weights)
        assert later.status == "benched" or now.status != "benched"
        assert fallen <= 0.15 or later.ceiling <= min(now.ceiling, weights / 2)
        assert fallen <= 0.25 or later.status == "benched"
        now = later


@pytest.mark.parametrize(
    "call",
    [
        lambda: drawdown.drawdown([]),
        lambda: drawdown.drawdown([1.0, math.nan]),
        lambda: drawdown.drawdown([-1.0]),
        lambda: drawdown.review(drawdown.Standing(), math.nan, 0.1),
        lambda: drawdown.review(drawdown.Standing(), 0.1, 1.5),
        lambda: drawdown.DrawdownLimits(halve=0.3, bench=0.2),
    ],
)
def test_a_drawdown_of_bad_numbers_is_refused(call):
    with pytest.raises(AllocationError):
        call()


# what is charted ------------------------------------------------------------------------------------------------------


def test_the_competitive_delta_is_the_pool_against_the_same_capital_by_base():
    base, fast = [[0.6, 0.3], [0.6, 0.3]], [[0.0, 0.09], [0.05, 0.0]]
    done = metrics.competitive_delta(base, fast, [[0.01, 0.04], [-0.02, 0.01]])
    by_base = [0.09 * (0.01 * 2 / 3 + 0.04 / 3), 0.05 * (-0.02 * 2 / 3 + 0.01 / 3)]
    assert done.by_base == pytest.approx(by_base)
    assert done.delta == pytest.approx([0.0036 - by_base[0], -0.001 - by_base[1]])
    assert done.error == pytest.approx(np.std(done.delta, ddof=1) / math.sqrt(2))
    same = metrics.competitive_delta(base, np.array(base) / 9, [[0.5, -0.3], [0.1, 0.2]])
    assert same.delta == pytest.approx([0.0, 0.0])
    alone = metrics.competitive_delta([[0.0, 0.0]], [[0.05, 0.0]], [[0.1, 0.0]])
    assert (alone.mean, math.isnan(alone.error)) == (pytest.approx(0.005), True)


@pytest.mark.parametrize(
    "call",
    [
        lambda: metrics.competitive_delta([[0.1]], [[0.1, 0.2]], [[0.1]]),
        lambda: metrics.competitive_delta([[0.1]], [[0.1]], [[math.nan]]),
        lambda: shrink([math.nan], [1.0]),
        lambda: shrink([1.0], [-1.0]),
        lambda: base_shares([math.inf], [1.0]),
        lambda: project([0.1], [0.2], [0.1], 1.0),
        lambda: project([0.1], [0.2], [0.3], 0.1),
        lambda: project([0.1], [0.0], [0.3], math.nan),
        lambda: project([math.nan], [0.0], [0.3], 1.0),
        lambda: novelty([0.1, 0.2], [[0.1]]),
    ],
)
def test_bad_numbers_are_refused(call):
    with pytest.raises(AllocationError):
        call()
