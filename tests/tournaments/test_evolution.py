"""Variants: within bounds and never twice, judged against all the luck there was, shadowed on what came after."""

import numpy as np
import pytest

from agents.strategies import STRATEGIES, ParameterError, by_name
from tests.tournaments.seasons import QUICK, days, season, with_another_future
from tournaments.evolution.evaluate import (
    FOLD,
    PURGE,
    TRAINING,
    EvaluationError,
    Told,
    evaluate,
    out_of_sample,
    register,
)
from tournaments.evolution.night import Carried, Night
from tournaments.evolution.propose import complete, identity, propose
from tournaments.evolution.shadow import SESSIONS, shadow
from tournaments.unit_book import UnitBook

YEAR = 252
MOMENTUM = by_name("momentum")


# --- proposing --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", STRATEGIES, ids=lambda each: each.name)
def test_variants_lie_in_the_declared_ranges_and_differ_from_all_known(policy):
    known = {each.identity for each in propose(policy, {}, count=40, seed=1)}
    found = propose(policy, {}, count=40, seed=1, known=known)
    assert len(known) == len(found) == 40
    assert not known & {each.identity for each in found}
    assert identity(policy, {}) not in known | {each.identity for each in found}
    for variant in found:
        assert complete(policy, variant.parameters) == variant.parameters  # refuses what is outside or not whole
        assert 1 <= len(variant.changed) <= len(policy.parameters)


def test_a_seed_gives_its_variants_and_another_gives_others():
    one, same, other = (propose(MOMENTUM, {}, count=8, seed=seed) for seed in (7, 7, 8))
    assert one == same
    assert {each.identity for each in one}.isdisjoint({each.identity for each in other})


def test_variants_stay_about_their_parent_even_at_a_bound():
    parent = {"rest_bars": 0, "size": 1.0, "trail_ranges": 20.0}
    for variant in propose(MOMENTUM, parent, count=200, seed=3):
        assert variant.parameters["rest_bars"] <= 100
        assert variant.parameters["size"] >= 0.5
        assert variant.parameters["trail_ranges"] >= 10.0
        assert variant.parameters["fast_bars"] in range(3, 11)


def test_where_nothing_is_left_fewer_are_proposed():
    known = {each.identity for each in propose(MOMENTUM, {}, count=10_000, seed=1)}
    assert propose(MOMENTUM, {}, count=5, seed=1, known=known) == []


def test_a_parent_outside_its_range_is_refused():
    with pytest.raises(ParameterError, match=r"momentum: parameter entry = 9 is outside 0.2 to 2 deviations"):
        propose(MOMENTUM, {"entry": 9}, count=1, seed=1)


# --- judging ----------------------------------------------------------------------------------------------------------


def book(returns):
    returns = np.asarray(returns)
    return UnitBook(np.arange(len(returns)), returns, np.ones(len(returns)))


def batch(seed, *, alike, skill=0.0, planted=0.0, count=100, sessions=420):
    """Return books of variants and their parent: alike is their correlation, skills are Sharpe ratios a year."""
    generator = np.random.default_rng(seed)
    parent = generator.standard_normal(sessions)
    moves = alike * parent + np.sqrt(1.0 - alike**2) * generator.standard_normal((count, sessions))
    moves[0] += planted / np.sqrt(YEAR)
    drift = skill / np.sqrt(YEAR)
    return [out_of_sample(book(0.01 * (each + drift))) for each in moves], out_of_sample(book(0.01 * (parent + drift)))


def survivors(seed, **how):
    variants, parent = batch(seed, **how)
    return [not each.reasons for each in evaluate(variants, [parent] * len(variants), [])]


def test_the_luckiest_of_a_hundred_variants_without_skill_of_their_own_survives_in_one_search_of_twenty_at_most():
    """As different from their parent as can be and almost the same, of a parent with and without skill."""
    searches = [(seed, (0.0, 0.7, 0.95)[seed % 3], (0.0, 2.0)[seed % 2]) for seed in range(20)]
    assert sum(any(survivors(seed, alike=alike, skill=skill)) for seed, alike, skill in searches) <= 1


@pytest.mark.parametrize("alike", [0.3, 0.8])
def test_a_variant_that_is_better_survives_alone(alike):
    found = [survivors(seed, alike=alike, planted=7.0) for seed in range(3)]
    assert sum(each[0] for each in found) == 3
    assert not any(any(each[1:]) for each in found)


def test_without_deflation_luck_would_survive_often():
    """The same searches, judged as if each trial were the only one: what the register is for."""
    lucky = 0
    for seed in range(5):
        variants, parent = batch(seed, alike=0.0)
        lucky += any(not evaluate([each], [parent], [])[0].reasons for each in variants)
    assert lucky >= 3


def test_being_better_than_a_bad_parent_is_not_being_good():
    parent, own = 0.01 * np.random.default_rng(6).standard_normal((2, 420))
    one = evaluate([out_of_sample(book(own))], [out_of_sample(book(parent - 0.006))], [])[0]
    assert one.better > 0.99
    assert [reason[:16] for reason in one.reasons] == ["its Sharpe ratio"]


def test_earlier_trials_raise_what_a_later_one_has_to_show():
    variants, parent = batch(1, alike=0.5, planted=5.0, count=8)
    first = evaluate(variants, [parent] * 8, [])[0]
    many = [Told(sharpe, sharpe, 0.5) for sharpe in np.random.default_rng(0).normal(0.0, 1.0, 500)]
    later = evaluate(variants, [parent] * 8, many)[0]
    assert (later.sharpe, later.excess) == (first.sharpe, first.excess)
    assert later.deflated < first.deflated
    assert later.better < first.better


def test_alike_trials_count_as_one_and_different_ones_apart():
    alike, parent = batch(1, alike=0.95, count=20)
    found = evaluate(alike, [parent] * 20, [])
    assert sum(each.counts_as for each in found) == pytest.approx(1.0)
    apart, parent = batch(1, alike=0.0, count=20)
    assert sum(each.counts_as for each in evaluate(apart, [parent] * 20, [])) == pytest.approx(20.0)
    known = register([Told(1.0, 0.5, 0.5), Told(3.0, 0.5, 0.5), Told(2.0, 0.5, 1.0)])
    assert (known.trials, known.effective, known.variance, known.excess_variance) == (3, 2.0, 1.0, 0.0)


def test_a_copy_at_twice_the_size_is_no_better_than_its_parent():
    returns = 0.01 * np.random.default_rng(2).standard_normal(300) + 0.002
    one = evaluate([out_of_sample(book(2.0 * returns))], [out_of_sample(book(returns))], [])[0]
    assert (one.excess, one.won) == (0.0, 0)
    assert one.correlation == pytest.approx(1.0)
    assert any("beat its parent in 0 of" in reason for reason in one.reasons)


def test_a_fold_is_scaled_by_what_was_known_before_it_and_the_purge():
    returns = 0.01 * np.random.default_rng(3).standard_normal(TRAINING + PURGE + 3 * FOLD)
    before = out_of_sample(book(returns)).values
    later = returns.copy()
    later[-FOLD:] *= 50.0  # the last fold alone, which scales nothing
    later[-FOLD - PURGE : -FOLD] *= 50.0  # and its purge
    after = out_of_sample(book(later)).values
    assert np.array_equal(after[:FOLD], before[:FOLD])
    assert np.allclose(after[-FOLD:], 50.0 * before[-FOLD:])


def test_too_few_sessions_are_refused_in_a_sentence():
    with pytest.raises(EvaluationError, match="the bars hold 130 sessions of returns; a walk forward needs 131"):
        out_of_sample(book(np.ones(130)))


def test_a_book_that_never_moved_is_no_skill():
    still = out_of_sample(book(np.zeros(200)))
    one = evaluate([still], [still], [])[0]
    assert (one.sharpe, one.excess, one.deflated) == (0.0, 0.0, 0.5)
    assert one.reasons


# --- shadow -----------------------------------------------------------------------------------------------------------


def test_a_shadow_counts_sessions_after_the_proposal_alone():
    generator = np.random.default_rng(4)
    parent, own = 0.01 * generator.standard_normal((2, 200))
    found = shadow(book(own), book(parent), proposed_ns=199 - SESSIONS + 1)
    assert (found.sessions, found.verdict) == (SESSIONS - 1, "waits")
    other = own.copy()
    other[:100] = other[:100][::-1]  # another past of the same restlessness
    again = shadow(book(other), book(parent), proposed_ns=199 - SESSIONS + 1)
    assert again.excess == pytest.approx(found.excess)


def test_who_has_lost_to_its_parent_in_shadow_does_not_enter():
    generator = np.random.default_rng(5)
    parent = 0.01 * generator.standard_normal(200)
    for drift, verdict in ((-0.01, "lost"), (0.0, "enters"), (0.01, "enters")):
        own = parent + np.where(np.arange(200) < 150, 0.0, drift)
        assert shadow(book(own), book(parent), proposed_ns=150).verdict == verdict


# --- a night on bars --------------------------------------------------------------------------------------------------


MARKET = days(180, seed=3)
CUT_NS = int(MARKET.daily.now_ns[150])


def night(market=MARKET, as_of_ns=CUT_NS):
    return Night(market, season(market).costs, QUICK, as_of_ns=as_of_ns)


def searched(one, **changes):
    given = {"count": 3, "seed": 5, "known": frozenset(), "earlier": ()} | changes
    return one.search({each.name: {} for each in STRATEGIES}, **given)


def test_a_night_reads_nothing_that_came_after_it():
    found, other = searched(night()), searched(night(with_another_future(MARKET, CUT_NS)))
    assert found == other
    assert len(found) == 12
    assert {each.tested_until_ns for each in found} == {CUT_NS}
    assert all(each.trials == 12 for each in found)


def test_a_second_night_tries_others_and_counts_the_first():
    first = searched(night())
    told = [Told(each.figures.sharpe, each.figures.excess, each.figures.counts_as) for each in first]
    known = {each.variant.identity for each in first}
    second = searched(night(as_of_ns=int(MARKET.daily.now_ns[151])), known=known, earlier=told)
    assert not known & {each.variant.identity for each in second}
    assert {each.trials for each in second} == {24}


def test_drawn_bars_without_any_pattern_have_no_survivor():
    assert not [each for each in searched(night(), count=8) if not each.figures.reasons]


def test_a_better_variant_of_a_bad_parent_survives_on_bars_that_trend_after_a_hundred_that_were_luck():
    """Bars whose moves go on for days; the parent leaves too soon and rests too long."""
    market = trending()
    end_ns = int(market.daily.now_ns[-1])
    parent = {"trail_ranges": 0.6, "patience_bars": 4, "rest_bars": 12}
    one = Night(market, season(market).costs, QUICK, as_of_ns=end_ns)
    before, after = (out_of_sample(one.book("momentum", each)) for each in (parent, {}))
    luck = np.random.default_rng(1).normal(0.0, 0.8, (100, 2))
    figures = evaluate([after], [before], [Told(*row, 1.0) for row in luck.tolist()])[0]
    assert figures.reasons == ()
    assert figures.excess > 2.0 * figures.excess_error
    carried = Carried(1, "momentum", complete(MOMENTUM, {}), parent, int(market.daily.now_ns[-40]))
    assert (one.carry(carried).sessions, one.carry(carried).verdict) == (39, "enters")


def trending():
    generator, shown = np.random.default_rng(11), days(420, seed=11)
    bars = shown.daily.bars
    steps = np.zeros(bars.shape)
    for k in range(1, len(bars)):
        steps[k] = 0.97 * steps[k - 1] + 0.0015 * generator.standard_normal(bars.shape[1])
    closes = 100.0 * np.exp(np.cumsum(steps + 0.002 * generator.standard_normal(bars.shape), axis=0))
    bars["close"], bars["open"] = closes, np.vstack([closes[:1], closes[:-1]])
    bars["high"], bars["low"] = np.maximum(bars["open"], bars["close"]), np.minimum(bars["open"], bars["close"])
    return shown
