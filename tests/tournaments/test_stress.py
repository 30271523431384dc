"""Stress tells the weak from the robust, gives the same bytes whatever runs it, and has no favourites."""

import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from agents.strategies import STRATEGIES, parameter_array
from tests.tournaments.stressed import (
    ALWAYS_LONG,
    BLOWS_UP,
    CHURNS,
    IDLE,
    IGNORES_GAPS,
    POLICY,
    ROBUST,
    SAYS_NAN,
    TURNS_SOMETIMES,
    planted,
    staged,
)
from tournaments.stress.book import COST, FLAT, GROSS, PNL, REGAINED
from tournaments.stress.paths import PathsError
from tournaments.stress.policies import Entrant, drive
from tournaments.stress.resilience import Resilience, excess, score
from tournaments.stress.rule import rule
from tournaments.stress.scenarios import BATTERY, FAMILIES, Claim, Scenario
from tournaments.stress.simulate import simulate


@pytest.fixture(scope="module")
def stage():
    return staged()


@pytest.fixture(scope="module")
def small():
    return staged(paths=6, sessions=3, symbols=2)


def families(found: Resilience) -> dict[str, float]:
    return {family.family: family.clipped for family in found.families}


@pytest.fixture(scope="module")
def scores(stage):
    modes = (ROBUST, IGNORES_GAPS, BLOWS_UP, IDLE, CHURNS, TURNS_SOMETIMES, ALWAYS_LONG)
    return dict(zip(modes, score(simulate(stage, [planted(mode) for mode in modes])), strict=True))


def test_the_robust_policy_keeps_most_of_its_score(scores):
    assert scores[ROBUST].resilience > 0.9
    assert max(families(scores[ROBUST]).values()) < 0.25
    assert not scores[ROBUST].idle
    assert scores[ALWAYS_LONG].weight == pytest.approx(0.5), "half of the basket's volatility"


@pytest.mark.parametrize(("mode", "family"), [(IGNORES_GAPS, "overnight_gap"), (BLOWS_UP, "volatility")])
def test_a_planted_weakness_costs_resilience_in_exactly_its_family(scores, mode, family):
    weak, robust = families(scores[mode]), families(scores[ROBUST])
    assert scores[mode].worst == family
    assert weak[family] > robust[family] + 0.2
    for other in set(robust) - {family}:
        assert weak[other] < robust[other] + 0.05, other
    assert scores[mode].resilience < scores[ROBUST].resilience - 0.03


def test_who_does_not_trade_scores_a_half(scores):
    idle = scores[IDLE]
    assert (idle.resilience, idle.idle, idle.gross, idle.weight) == (0.5, True, 0.0, 2.0)
    assert all(family.clipped == family.turnover == family.cost == 0.0 for family in idle.families)
    assert all(family.regained is None for family in idle.families)


def test_a_liquidity_drain_costs_more_with_more_turnover(scores):
    by_turnover = [
        next(f for f in scores[mode].families if f.family == "liquidity_drain")
        for mode in (ROBUST, TURNS_SOMETIMES, CHURNS)
    ]
    for less, more in itertools.pairwise(by_turnover):
        assert less.turnover < more.turnover
        assert less.cost < more.cost
        assert less.mean < more.mean


def test_a_drain_multiplies_what_a_trade_costs(stage):
    dry = Scenario(family="liquidity_drain", parameters={"spread": 5.0, "depth": 1.0})
    plain = Scenario(family="liquidity_drain", parameters={"spread": 1.0, "depth": 1.0})
    outcomes = simulate(stage, [planted(CHURNS)], [plain, dry])
    assert outcomes.results[0, 1].tobytes() == outcomes.results[0, 0].tobytes(), "a drain of nothing changes nothing"
    assert (outcomes.results[0, 2, :, COST] > 2.0 * outcomes.results[0, 0, :, COST]).all()


def test_a_larger_gap_hurts_more_and_only_one_side_of_it_loses(stage):
    gaps = [Scenario(family="overnight_gap", parameters={"low": size, "high": size}) for size in (3.0, 8.0)]
    outcomes = simulate(stage, [planted(ALWAYS_LONG)], gaps)
    smaller, larger = excess(outcomes, 0, 0), excess(outcomes, 0, 1)
    assert (np.sign(smaller) == np.sign(larger)).all()
    assert (np.abs(larger) > 1.5 * np.abs(smaller)).all()
    assert 0.25 < (smaller > 0).mean() < 0.75


def test_stale_and_corrupt_bars_are_seen_and_not_traded_at(stage):
    none = Scenario(family="stale_data", parameters={"stale": 0.0, "corrupt": 0.0})
    both = [none, Scenario(family="stale_data")]
    outcomes = simulate(stage, [planted(ALWAYS_LONG), planted(ROBUST)], both, curves=True)
    assert outcomes.results[:, 1].tobytes() == outcomes.results[:, 0].tobytes()
    assert (outcomes.equity[0, 2] == outcomes.equity[0, 0]).all(), "who holds the same is worth what is true"
    assert (outcomes.results[1, 2] != outcomes.results[1, 0]).any(), "who looks at bars is misled"


def test_a_fake_headline_always_costs_its_believer(stage):
    outcomes = simulate(stage, [planted(ROBUST)], [Scenario(family="fake_headline")])
    losses = excess(outcomes, 0, 0)
    assert losses.mean() > 0.0
    assert (losses > 0.0).mean() > 0.9


def test_same_seeds_give_the_same_bytes_whatever_the_threads(stage):
    entrants = [planted(ROBUST), planted(ALWAYS_LONG)]
    once = simulate(stage, entrants, threads=1, curves=True)
    for threads in (2, 3):
        again = simulate(stage, entrants, threads=threads, curves=True)
        assert again.results.tobytes() == once.results.tobytes()
        assert again.equity.tobytes() == once.equity.tobytes()
    other = simulate(staged(seed=8), entrants)
    assert other.results.tobytes() != once.results.tobytes()


def test_a_path_is_the_same_in_a_longer_run():
    few, many = (simulate(staged(paths=paths, sessions=3), [planted(ROBUST)]) for paths in (7, 30))
    assert many.results[:, :, :7].tobytes() == few.results.tobytes()


@hypothesis_settings(max_examples=12, derandomize=True)
@given(order=st.permutations(range(8)), count=st.integers(1, 8))
def test_neither_order_nor_company_changes_an_entrant(small, order, count):
    alone = {mode: score(simulate(small, [planted(mode)]))[0] for mode in (ROBUST, IDLE, ALWAYS_LONG)}
    entrants = [planted(mode if mode != SAYS_NAN else ROBUST, f"e{mode}") for mode in order[:count]]
    for mode, found in zip(order[:count], score(simulate(small, entrants)), strict=True):
        if mode in alone:
            assert found == Resilience(**{**_fields(alone[mode]), "entrant": f"e{mode}"})


def _fields(found: Resilience) -> dict[str, object]:
    return {name: getattr(found, name) for name in Resilience.__struct_fields__}


def test_identical_entrants_score_the_same(small):
    first, second = score(simulate(small, [planted(ROBUST, "one"), planted(ROBUST, "two")]))
    assert _fields(first) == _fields(second) | {"entrant": "one"}


def test_scores_are_what_the_definitions_say(stage):
    outcomes = simulate(stage, [planted(ALWAYS_LONG)], curves=True)
    found = score(outcomes)[0]
    results, equity = outcomes.results[0], outcomes.equity[0]
    share = (results[0, :, PNL] - results[1:, :, PNL]) / outcomes.stage.risk_budget
    assert found.resilience == pytest.approx(1.0 - share.clip(0, 1).mean(), rel=1e-12)
    assert 0.0 < found.resilience < 1.0
    worst = np.sort(share.ravel())[-round(0.05 * (share.size + 1)) :]
    assert found.cvar95 == pytest.approx(worst.mean(), rel=1e-12)
    assert results[..., PNL] == pytest.approx(equity[..., -1] / 1e6 - 1.0, abs=1e-12)
    assert results[..., FLAT] == pytest.approx(np.where(results[..., FLAT] > 0, results[..., FLAT], 0))
    assert (results[..., GROSS] > 0.45).all(), "half of the basket, for the volatility that is aimed at"
    assert ((results[..., REGAINED] >= 0.0) & (results[..., REGAINED] <= 1.0)).all()


def test_resilience_stays_within_nought_and_one_where_everything_breaks():
    wild = staged(paths=5, sessions=2, bars=30, symbols=1, daily=0.5)
    for found in score(simulate(wild, [planted(ALWAYS_LONG), planted(CHURNS)])):
        assert 0.0 <= found.resilience <= 1.0
        assert np.isfinite(found.cvar95)


def test_claims_are_ruled_by_the_same_paths(stage):
    gap = Scenario(family="overnight_gap", parameters={"low": 5.0, "high": 5.0})
    sample = excess(simulate(stage, [planted(ALWAYS_LONG)], [gap]), 0, 0)
    mean = float(sample.mean())
    claims = [
        Claim(scenario=gap, measure="cvar95", exceeds=0.9),
        Claim(scenario=gap, measure="cvar95", exceeds=9.9),
        Claim(scenario=gap, measure="mean", exceeds=max(0.0, mean)),
        Claim(scenario=Scenario(family="liquidity_drain"), measure="mean", exceeds=0.5),
    ]
    rulings = rule(stage, planted(ALWAYS_LONG), claims)
    assert [ruling.holds for ruling in rulings] == [True, False, False, False], "equal is not above"
    assert rulings[2].measured == mean
    assert [ruling.claim for ruling in rulings] == claims
    assert rule(stage, planted(ALWAYS_LONG), claims, threads=2) == rulings
    assert rule(stage, planted(ALWAYS_LONG), claims[::-1]) == rulings[::-1]
    assert rule(stage, planted(ALWAYS_LONG), []) == []


def test_the_same_claim_can_hold_for_one_and_not_for_another(stage):
    claim = Claim(scenario=Scenario(family="overnight_gap"), measure="cvar95", exceeds=0.5)
    assert [rule(stage, planted(mode), [claim])[0].holds for mode in (IGNORES_GAPS, ROBUST)] == [True, False]


def test_a_policy_is_compiled_once_for_all_its_runs(small):
    simulate(small, [planted(ROBUST)])
    known = len(drive.signatures)
    simulate(staged(paths=3, sessions=2, bars=60, symbols=3), [planted(ROBUST), planted(CHURNS)])
    assert len(drive.signatures) == known


def test_what_cannot_be_simulated_is_refused(small):
    with pytest.raises(PathsError, match="entrants = a, a must have different names"):
        simulate(small, [planted(ROBUST, "a"), planted(IDLE, "a")])
    with pytest.raises(PathsError, match="threads = 0 must be 1 to 64"):
        simulate(small, [planted(ROBUST)], threads=0)
    with pytest.raises(PathsError, match="planted-6: its policy gave a target that is not finite"):
        simulate(small, [planted(SAYS_NAN)])
    with pytest.raises(PathsError, match=r"n: parameters \[nan\] must be finite"):
        simulate(small, [Entrant("n", POLICY, np.array([np.nan]))])
    with pytest.raises(ValueError, match="leave nothing to score"):
        score(simulate(small, [planted(ROBUST)], []))


def test_nobody_comes(small):
    assert score(simulate(small, [])) == []


def test_the_battery_is_the_six_families_of_the_market():
    assert [scenario.family for scenario in BATTERY] == [
        "volatility", "regime_flip", "overnight_gap", "correlation", "liquidity_drain", "stale_data",
    ]  # fmt: skip
    assert [family.name for family in FAMILIES.values() if family.for_brains] == ["fake_headline"]


def test_a_policy_of_longer_bars_than_the_window_has_takes_them_as_they_come():
    daily = staged(paths=5, sessions=20, bars=1, symbols=3)
    daily_window = dataclasses.replace(daily.pool.window, interval_s=86_400)
    assert daily.pool.length == 20
    assert daily_window.bars.shape == (20, 1, 3, 5)
    entrant = Entrant("momentum", STRATEGIES[3], parameter_array(STRATEGIES[3], {}))
    assert 0.0 <= score(simulate(daily, [entrant, planted(ALWAYS_LONG)]))[0].resilience <= 1.0
