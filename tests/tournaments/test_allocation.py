"""What the weekly decision promises, in thousands of random cases; base weights and projection."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize

from tournaments.allocation.base import base_shares, shrink
from tournaments.allocation.decide import Weights, Wishes, decide
from tournaments.allocation.inputs import AllocationError
from tournaments.allocation.limits import AllocationLimits
from tournaments.allocation.projection import lowered, project

EPS = 1e-11
CASES = 4500  # of decisions; with those of the projection, of AdaHedge and of the evidence they are over 10,000
NOBODY = np.zeros(4, dtype=bool)


# base weights ---------------------------------------------------------------------------------------------------------


def test_shrinking_is_the_posterior_mean_of_the_model():
    """Against the same model drawn at random: true ratios weighted by how likely they make what was seen."""
    rng, draws = np.random.default_rng(13), 400_000
    sharpe, years = np.array([2.0, 0.5, -0.6]), np.array([3.0, 9.0, 5.0])
    deviation, common = np.abs(rng.normal(0, 0.25, draws)), rng.normal(0.5, 1.5, draws)
    true = common[:, None] + deviation[:, None] * rng.normal(size=(draws, 3))
    likely = np.exp(-0.5 * (years * (sharpe - true) ** 2).sum(axis=1) + (common - 0.5) ** 2 / 4.5)  # flat in the mean
    expected = (likely[:, None] * true).sum(axis=0) / likely.sum()
    done = shrink(sharpe, years)
    assert done.sharpe == pytest.approx(expected, abs=0.02)
    assert done.pooled == pytest.approx((likely * common).sum() / likely.sum(), abs=0.02)
    assert done.between_variance == pytest.approx((likely * deviation**2).sum() / likely.sum(), abs=0.01)


def test_shrinking_is_strong_with_a_short_history_and_weak_with_a_long_one():
    sharpe = np.array([1.5, 0.5, 0.0, -0.5])
    kept = [np.ptp(shrink(sharpe, np.full(4, years)).sharpe) / 2.0 for years in (0.25, 1, 5, 20, 200)]
    assert kept == sorted(kept)
    assert kept[0] < 0.05
    assert kept[-1] > 0.95
    assert shrink(np.full(3, 0.2), np.ones(3)).sharpe == pytest.approx(np.full(3, 0.2))
    alone = shrink([1.5], [2.0])
    assert alone.sharpe[0] == pytest.approx(1.5)  # nothing to pool with


def test_base_shares_of_the_formula():
    sharpe, years = np.array([3.0, 1.0, -2.0, 0.0]), np.full(4, 5.0)
    merit = np.maximum(0.0, shrink(sharpe, years).sharpe + 0.25)
    assert base_shares(sharpe, years) == pytest.approx(0.7 * merit / merit.sum() + 0.075)
    assert base_shares(np.full(4, math.nan), np.zeros(4)) == pytest.approx(np.full(4, 0.25))
    assert base_shares([-3.0, -3.0], [9.0, 9.0]) == pytest.approx([0.5, 0.5])  # nobody has merit
    newcomer = base_shares([1.0, math.nan, -1.0], [50.0, 0.0, 50.0])
    assert newcomer[0] > newcomer[1] > newcomer[2]
    assert base_shares([5.0], [3.0]).tolist() == [1.0]


@settings(derandomize=True, max_examples=200)
@given(
    history=st.lists(st.tuples(st.floats(-1000, 1000), st.floats(0, 1000), st.booleans()), min_size=1, max_size=8),
    order=st.randoms(use_true_random=False),
)
def test_base_shares_sum_to_one_and_follow_their_entrants(history, order):
    sharpe, years, here = (np.array(column) for column in zip(*history, strict=True))
    shares = base_shares(sharpe, years, here)
    assert shares.sum() == pytest.approx(1.0 if here.any() else 0.0)
    assert (shares >= 0.0).all()
    assert (shares[~here] == 0.0).all()
    if here.any():
        assert (shares[here] >= 0.3 / here.sum() - EPS).all()
    places = list(range(len(history)))
    order.shuffle(places)
    assert base_shares(sharpe[places], years[places], here[places]) == pytest.approx(shares[places], abs=1e-6)


def luckiest(returns, weeks):
    """Return the largest share of each kind after so many weeks, of one path [day, strategy]."""
    past = returns[: 5 * weeks]
    sharpe = past.mean(axis=0) / past.std(axis=0, ddof=1) * math.sqrt(252)
    merit = np.maximum(0.0, sharpe + 0.25)
    raw = merit / merit.sum() if merit.sum() > 0 else np.full(4, 0.25)
    shares = base_shares(sharpe, np.full(4, weeks / 52))
    return raw.max(), (0.7 * raw + 0.075).max(), shares.max()


def test_four_strategies_without_skill_hardly_move_the_base_weights():
    rng, horizons = np.random.default_rng(17), (13, 26, 52)
    paths = rng.normal(0.0, 0.01, (250, 260, 4))
    print("\nlargest share of the base pool of four zero-skill strategies (mean of 250 paths, 95 % point)")
    for weeks in horizons:
        raw, mixed, shrunk = (
            np.array(column) for column in zip(*(luckiest(path, weeks) for path in paths), strict=True)
        )
        point = np.quantile(shrunk, 0.95)
        print(f"{weeks} weeks: unshrunken {raw.mean():.1%}, with the equal part {mixed.mean():.1%}, "
              f"shrunk {shrunk.mean():.1%} ({point:.1%})")  # fmt: skip
        assert shrunk.mean() < 0.32
        assert 0.5 < mixed.mean() < raw.mean()
        assert point < 0.55 < np.quantile(mixed, 0.95)
    ever = [walk(path) for path in paths[:12]]
    print(f"deployed with cap and move limit: largest base weight ever in 52 weeks {np.mean(ever):.1%} of capital")
    assert np.mean(ever) < 0.33
    assert max(ever) <= 0.40 + EPS


def walk(returns):
    held, most = Weights(np.full(4, 0.225), np.zeros(4)), 0.0
    for weeks in range(4, 53):
        past = returns[: 5 * weeks]
        shares = base_shares(past.mean(axis=0) / past.std(axis=0, ddof=1) * math.sqrt(252), np.full(4, weeks / 52))
        decision = decide(held, Wishes(shares, np.zeros(4), 0.02), benched=NOBODY)
        held, most = Weights(decision.base, decision.competitive), max(most, decision.base.max())
    return most


# projection -----------------------------------------------------------------------------------------------------------


def box(rng):
    count = int(rng.integers(1, 9))
    lower = rng.uniform(0, 0.2, count) * (rng.random(count) < 0.5)
    upper = lower + rng.uniform(0, 0.5, count) * (rng.random(count) < 0.8)
    wish = rng.choice([rng.uniform(-1, 2, count), np.full(count, 0.3), lower, upper])
    return wish, lower, upper, float(lower.sum() + rng.uniform(0, 1) * rng.integers(0, 2))


def test_the_projection_is_allowed_and_no_other_point_is_nearer():
    rng = np.random.default_rng(23)
    for _ in range(3000):
        wish, lower, upper, total = box(rng)
        found = project(wish, lower, upper, total)
        assert (found >= lower).all()
        assert (found <= upper).all()
        assert found.sum() <= total + EPS
        other = rng.uniform(lower, upper)  # any allowed point: the angle at the nearest one is never acute
        span = other.sum() - lower.sum()
        other = lower + (other - lower) * (min(1.0, (total - lower.sum()) / span) if span > 0 else 1.0)
        assert (wish - found) @ (other - found) <= 1e-9
        kept = wish.clip(lower, upper).sum() <= total
        assert kept or found.sum() == pytest.approx(total, abs=1e-9)


def test_the_projection_is_that_of_a_general_solver():
    rng = np.random.default_rng(29)
    for _ in range(25):
        wish, lower, upper, total = box(rng)
        solved = optimize.minimize(
            lambda w, wish=wish: ((w - wish) ** 2).sum(), lower, jac=lambda w, wish=wish: 2 * (w - wish),
            bounds=list(zip(lower, upper, strict=True)), method="SLSQP", options={"ftol": 1e-14},
            constraints={"type": "ineq", "fun": lambda w, total=total: total - w.sum()},
        )  # fmt: skip
        assert project(wish, lower, upper, total) == pytest.approx(solved.x, abs=1e-5)


@settings(derandomize=True, max_examples=200)
@given(
    rows=st.lists(st.tuples(st.floats(-1e6, 1e6), st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=8),
    spare=st.floats(0, 5),
)
def test_the_projection_keeps_its_bounds_for_extreme_wishes(rows, spare):
    wish, lower, width = (np.array(column) for column in zip(*rows, strict=True))
    found = project(wish, lower, lower + width, float(lower.sum()) + spare)
    assert ((found >= lower) & (found <= lower + width)).all()
    assert found.sum() <= lower.sum() + spare + 1e-8
    tight = lowered(lower, spare)
    assert ((tight >= 0) & (tight <= lower)).all()
    assert tight.sum() == pytest.approx(min(spare, lower.sum()), abs=1e-9)


# the decision ---------------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Case:
    before: Weights
    wishes: Wishes
    benched: np.ndarray
    overrides: np.ndarray
    ceilings: np.ndarray
    limits: AllocationLimits

    def decide(self, **changes):
        wishes = dataclasses.replace(self.wishes, **changes)
        return decide(
            self.before, wishes, benched=self.benched, overrides=self.overrides, ceilings=self.ceilings,
            limits=self.limits,
        )  # fmt: skip

    def permuted(self, order):
        wishes = dataclasses.replace(
            self.wishes, base=self.wishes.base[order], hedge=self.wishes.hedge[order],
            factors=self.wishes.factors[order], bonus=self.wishes.bonus[order],
        )  # fmt: skip
        before = Weights(self.before.base[order], self.before.competitive[order])
        return Case(before, wishes, self.benched[order], self.overrides[order], self.ceilings[order], self.limits)


def shares_of(rng, count, most=1.0):
    drawn = rng.dirichlet(np.full(count, rng.choice([0.1, 1.0, 30.0])))
    return drawn * most * rng.choice([0.0, 0.5, 1.0], p=[0.1, 0.3, 0.6])


def case_of(rng):
    count = int(rng.integers(1, 9))
    ordinary = rng.random() < 0.5
    limits = AllocationLimits() if ordinary else AllocationLimits(*(
        rng.uniform(0, most) for most in (1.0, 0.9, 0.2, 0.1, 0.1, 0.1, 0.2)
    ))  # fmt: skip
    some = lambda share: rng.random(count) < share * (rng.random() < 0.6)  # noqa: E731 - one line, used three times
    wishes = Wishes(
        base=shares_of(rng, count), hedge=shares_of(rng, count),
        pool=float(rng.choice([rng.uniform(0, 0.1), 0.1, 1.0])),
        factors=rng.uniform(1 / count, 1, count), bonus=rng.uniform(0, 0.25, count) * some(0.5),
    )  # fmt: skip
    return Case(
        before=Weights(shares_of(rng, count, 0.9), shares_of(rng, count, 0.1)), wishes=wishes, benched=some(0.4),
        overrides=np.where(some(0.5), rng.uniform(0, 1, count) ** 2, np.nan),
        ceilings=np.where(some(0.5), rng.uniform(0, 0.4, count), 1.0), limits=limits,
    )  # fmt: skip


def assert_sound(case, done):
    limits, most = case.limits, np.minimum(case.limits.strategy_cap, case.ceilings)
    fixed = ~np.isnan(case.overrides) & ~case.benched
    open_pool = min(case.wishes.pool, limits.pool_cap, 0.1)
    assert (done.base >= 0).all()
    assert (done.competitive >= 0).all()
    assert done.base.sum() <= limits.base_pool + EPS
    assert done.competitive.sum() <= open_pool + EPS <= 0.1 + 2 * EPS
    assert done.total.sum() <= 1 + EPS
    assert done.cash == pytest.approx(1 - done.base.sum() - done.competitive.sum())
    assert (done.total == done.base + done.competitive).all()
    assert (done.total <= most + EPS).all()
    assert (done.competitive <= limits.agent_cap + EPS).all()
    assert (done.total[case.benched] == 0).all()
    assert (done.competitive[fixed] == 0).all()
    free = ~case.benched & ~fixed
    held = done.base[fixed].sum()
    base_room, pool_room = limits.base_pool - held, open_pool
    assert_moves(case.before.base, done.base, free, limits.base_move, caps=most, room=base_room)
    caps = np.minimum(limits.agent_cap, most - done.base)
    assert_moves(case.before.competitive, done.competitive, free, limits.pool_move, caps=caps, room=pool_room)
    asked = np.minimum(case.overrides[fixed], most[fixed])
    if asked.sum() <= limits.base_pool:
        assert done.base[fixed] == pytest.approx(asked, abs=EPS)
    else:
        assert held == pytest.approx(limits.base_pool)


def assert_moves(before, after, free, move, *, caps, room):
    """Up never more than the move limit; down more only at a cap, or where all bounds need more than is there."""
    assert (after - before <= move + EPS)[free].all()
    floor = np.minimum(np.maximum(before - move, 0), np.maximum(caps, 0)) * free
    if floor.sum() <= room:
        assert (after >= floor - EPS)[free].all()
    else:
        assert after[free].sum() == pytest.approx(max(room, 0.0), abs=1e-9)
        assert (after <= floor + EPS)[free].all()


def assert_reasons(case, done):
    fixed = ~np.isnan(case.overrides) & ~case.benched
    wished = np.where(fixed, case.overrides, case.wishes.base * case.limits.base_pool)
    for place, rule in enumerate(done.base_rules):
        assert (rule == "bench") == case.benched[place]
        assert rule in {"bench", "override", "pool", "strategy cap", "ceiling"} or not fixed[place]
        assert (rule in {"wish", "override"}) == (abs(done.base[place] - wished[place]) < 1e-10) or rule != "wish"
    assert all((rule == "bench") == case.benched[place] for place, rule in enumerate(done.pool_rules))


def test_thousands_of_decisions_keep_every_bound():
    rng, seen = np.random.default_rng(31), set()
    for number in range(CASES):
        case = case_of(rng)
        done = case.decide()
        assert_sound(case, done)
        assert_reasons(case, done)
        seen |= {*done.base_rules, *done.pool_rules}
        if number % 4 == 0:
            order = rng.permutation(len(done.base))
            other = case.permuted(order).decide()
            assert other.base == pytest.approx(done.base[order], abs=1e-10)
            assert other.competitive == pytest.approx(done.competitive[order], abs=1e-10)
        if number % 4 == 1:
            plain = case.decide(factors=None, bonus=None)
            assert (plain.base == done.base).all()
            assert done.competitive.sum() <= plain.competitive.sum() + EPS
    assert seen == {"bench", "ceiling", "override", "pool", "strategy cap", "agent cap", "move limit", "wish"}


weight = st.floats(0.0, 1.0)


@settings(derandomize=True, max_examples=250)
@given(
    rows=st.lists(
        st.tuples(weight, weight, weight, weight, st.booleans(), st.one_of(st.just(math.nan), weight), weight,
                  weight, st.floats(0, 0.25)),
        min_size=1, max_size=8,
    ),
    pool=weight,
)  # fmt: skip
def test_any_decision_keeps_every_bound(rows, pool):
    columns = [np.array(column) for column in zip(*rows, strict=True)]
    count = len(rows)
    base, fast, wish, hedge = (column / count for column in columns[:4])
    wishes = Wishes(wish, hedge, pool, factors=columns[7], bonus=columns[8])
    case = Case(Weights(base, fast), wishes, columns[4], columns[5], columns[6], AllocationLimits())
    assert_sound(case, case.decide())


def quarter(**changes):
    settled = {"before": Weights(np.full(4, 0.225), np.full(4, 0.02)), "benched": NOBODY} | changes
    wishes = settled.pop("wishes", Wishes(np.full(4, 0.25), np.full(4, 0.25), 0.08))
    return decide(settled.pop("before"), wishes, **settled)


def test_a_quiet_week_changes_nothing():
    done = quarter()
    assert done.base == pytest.approx(np.full(4, 0.225))
    assert done.competitive == pytest.approx(np.full(4, 0.02))
    assert (done.change, done.automatic, done.cash) == (pytest.approx(0.0), True, pytest.approx(0.02))
    assert set(done.base_rules) | set(done.pool_rules) == {"wish"}


def test_benching_takes_everything_at_once_waits_for_nobody_and_beats_an_override():
    benched = np.array([True, False, False, False])
    done = quarter(benched=benched, overrides=np.array([0.3, np.nan, np.nan, np.nan]))
    assert (done.total[0], done.base_rules[0], done.pool_rules[0]) == (0.0, "bench", "bench")
    assert done.automatic
    assert done.base[1:] == pytest.approx(np.full(3, 0.225))  # what is freed is cash until the others may rise


def test_an_override_beats_the_move_limit_and_goes_before_people():
    done = quarter(overrides=np.array([0.35, np.nan, np.nan, np.nan]))
    assert (done.base[0], done.competitive[0], done.base_rules[0]) == (pytest.approx(0.35), 0.0, "override")
    assert done.base[1:] == pytest.approx(np.full(3, 0.55 / 3))  # the others give way beyond their own move limit
    assert done.base_rules[1:] == ("pool",) * 3
    assert not done.automatic
    assert done.change == pytest.approx(0.125 + 0.02)
    within = quarter(overrides=np.array([0.22, np.nan, np.nan, np.nan]))
    assert within.automatic
    capped = quarter(overrides=np.array([0.9, np.nan, np.nan, np.nan]))
    assert (capped.base[0], capped.base_rules[0]) == (pytest.approx(0.4), "strategy cap")
    lower = quarter(overrides=np.array([0.3, np.nan, np.nan, np.nan]), ceilings=np.array([0.1, 1.0, 1.0, 1.0]))
    assert (lower.base[0], lower.base_rules[0]) == (pytest.approx(0.1), "ceiling")


def test_a_pool_cut_ignores_the_move_limit_by_as_little_as_it_needs():
    held = Weights(np.full(4, 0.225), np.array([0.04, 0.03, 0.02, 0.01]))
    done = quarter(before=held, wishes=Wishes(np.full(4, 0.25), np.full(4, 0.25), 0.02))
    assert done.competitive.sum() == pytest.approx(0.02)
    assert done.competitive == pytest.approx([0.04 / 3, 0.02 / 3, 0.0, 0.0], abs=0.005)
    assert done.automatic
    assert done.pool_rules[0] == "pool"


def test_caps_beat_move_limits_and_move_limits_the_wish():
    held = Weights(np.array([0.45, 0.15, 0.15, 0.15]), np.array([0.07, 0.0, 0.01, 0.0]))
    done = quarter(before=held, wishes=Wishes(np.array([0.7, 0.1, 0.1, 0.1]), np.array([1.0, 0, 0, 0]), 0.1))
    assert (done.base[0], done.base_rules[0]) == (pytest.approx(0.40), "strategy cap")
    assert (done.base[1], done.base_rules[1]) == (pytest.approx(0.13), "move limit")
    assert (done.competitive[0], done.pool_rules[0]) == (0.0, "strategy cap")  # 40 % are of both weights together
    slow = Weights(np.full(4, 0.225), np.array([0.045, 0.02, 0.0, 0.0]))
    done = quarter(before=slow, wishes=Wishes(np.full(4, 0.25), np.array([0.5, 0.0, 0.5, 0.0]), 0.1))
    assert done.competitive == pytest.approx([0.05, 0.01, 0.01, 0.0])
    assert done.pool_rules == ("wish", "move limit", "move limit", "wish")
    most = Weights(np.full(4, 0.225), np.array([0.045, 0.0, 0.0, 0.0]))
    done = quarter(before=most, wishes=Wishes(np.full(4, 0.25), np.array([1.0, 0.0, 0.0, 0.0]), 0.1))
    assert (done.competitive[0], done.pool_rules[0]) == (pytest.approx(0.05), "agent cap")


def test_a_ceiling_binds_at_once_and_waits_for_nobody():
    done = quarter(ceilings=np.array([0.1225, 1.0, 1.0, 1.0]))
    assert done.total[0] == pytest.approx(0.1225)
    assert done.base_rules[0] == done.pool_rules[0] == "ceiling"
    assert done.automatic
    low = quarter(
        ceilings=np.array([0.1, 1, 1, 1]), wishes=Wishes(np.array([0.05, 0.3, 0.3, 0.3]), np.full(4, 0.25), 0.08)
    )
    assert (low.base[0], low.automatic) == (pytest.approx(0.1), True)


def test_the_pool_is_never_above_a_tenth_whatever_the_rules_say():
    with pytest.raises(AllocationError, match=r"pool_cap = 0.2 is outside 0 to 0.1"):
        AllocationLimits(pool_cap=0.2)
    forged = AllocationLimits(agent_cap=1.0, pool_move=1.0)
    for name in ("pool_cap", "base_pool"):
        object.__setattr__(forged, name, 1.0)
    done = quarter(wishes=Wishes(np.full(4, 0.25), np.full(4, 0.25), 1.0), limits=forged)
    assert done.competitive.sum() <= 0.1 + EPS
    assert done.base.sum() <= 0.9 + EPS


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"before": Weights(np.full(4, 0.3), np.zeros(4))}, "before.base sums to 1.2"),
        ({"before": Weights(np.full(3, 0.3), np.zeros(4))}, "before.base has shape"),
        ({"wishes": Wishes(np.full(4, np.nan), np.zeros(4), 0.1)}, r"wishes.base\[0\] = nan"),
        ({"wishes": Wishes(np.full(4, 0.25), np.full(4, 0.25), math.nan)}, "wishes.pool = nan"),
        ({"wishes": Wishes(np.zeros(4), np.zeros(4), 0.1, factors=np.full(4, 2.0))}, "wishes.factors"),
        ({"wishes": Wishes(np.zeros(4), np.zeros(4), 0.1, bonus=np.full(4, 0.5))}, "wishes.bonus"),
        ({"benched": np.zeros(4)}, "benched"),
        ({"overrides": np.full(4, -0.1)}, "overrides"),
        ({"overrides": np.full(4, math.inf)}, "overrides"),
        ({"ceilings": np.full(4, math.nan)}, "ceilings"),
    ],
)
def test_a_decision_on_bad_numbers_is_refused(changes, said):
    with pytest.raises(AllocationError, match=said):
        quarter(**changes)
