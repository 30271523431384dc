"""What any chain of weekly decisions keeps: more than ten thousand whole decisions, each from what the last one left.

A case is the whole decision: Sharpe ratios to base shares, settled losses to AdaHedge's weights, score differences to
evidence and pool, entries to diversity, and all of it through bench, ceilings, overrides, caps and move limits.
"""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tournaments.allocation import hedge
from tournaments.allocation.base import base_shares
from tournaments.allocation.decide import PoolStages, Weights, Wishes, decide
from tournaments.allocation.diversity import diversity_factors, innovation_bonus, look_alikes
from tournaments.allocation.evidence import log_evidence, pool_fraction
from tournaments.allocation.limits import AllocationLimits
from tournaments.allocation.regret import deployed_regret

SEASONS, WEEKS = 1300, 8
DECISIONS = SEASONS * WEEKS
MOST_AGENTS, POOL = 16, 0.10
EPS = 1e-11


@dataclasses.dataclass
class Season:
    """A season's rules and agents, and what rounds have left so far."""

    rng: np.random.Generator
    agents: int
    limits: AllocationLimits
    least_pool: float
    evidence: bool
    held: Weights
    losses: list = dataclasses.field(default_factory=list)
    differences: list = dataclasses.field(default_factory=list)
    stages: list[PoolStages] = dataclasses.field(default_factory=list)


def drawn(rng):
    """Return a season; every kind of extreme comes up often."""
    agents = int(rng.choice([1, 2, 3, 4, 8, MOST_AGENTS]))
    most = float(rng.choice([0.0, 0.02, POOL]))
    limits = AllocationLimits(
        strategy_cap=float(rng.choice([0.0, 0.1, 0.4, 1.0])), base_pool=float(rng.choice([0.0, 0.5, 0.9])),
        base_move=float(rng.choice([0.0, 0.02, 1.0])), agent_cap=float(rng.choice([0.01, 0.05, POOL])),
        pool_cap=most, pool_move=float(rng.choice([0.001, 0.01, 1.0])),
    ) if rng.random() < 0.6 else AllocationLimits(pool_cap=most)  # fmt: skip
    tiny = np.full(agents, 1e-12)
    start = [
        Weights(np.full(agents, 0.9 / agents), np.zeros(agents)), Weights(tiny, tiny),
        Weights(0.9 * rng.dirichlet(np.full(agents, 0.1)), POOL * rng.dirichlet(np.full(agents, 0.1))),
    ][rng.integers(3)]  # fmt: skip
    return Season(rng, agents, limits, min(most, 0.02), bool(rng.random() < 0.7), start)


def benched(season):
    """Return who is benched: nobody, some, all but one, or all."""
    rng, agents = season.rng, season.agents
    some = rng.random(agents) < 0.2
    but_one = np.arange(agents) != rng.integers(agents)
    return [np.zeros(agents, dtype=bool), some, but_one, np.ones(agents, dtype=bool)][
        rng.choice(4, p=[0.5, 0.35, 0.1, 0.05])
    ]


@dataclasses.dataclass(frozen=True)
class Week:
    """One decision's inputs [agent]; ``entries`` [forecast, agent]."""

    held: Weights
    sharpe: np.ndarray
    years: np.ndarray
    losses: np.ndarray
    entries: np.ndarray
    added: np.ndarray
    benched: np.ndarray
    ceilings: np.ndarray
    overrides: np.ndarray
    pool: float
    limits: AllocationLimits

    def permuted(self, order):
        turned = {
            field.name: getattr(self, field.name)[..., order]
            for field in dataclasses.fields(self) if isinstance(getattr(self, field.name), np.ndarray)
        }  # fmt: skip
        held = Weights(self.held.base[order], self.held.competitive[order])
        return dataclasses.replace(self, held=held, **turned)

    def decision(self, *, adjusted=True):
        awake = ~np.isnan(self.entries).all(axis=0)
        run = hedge.run(self.losses) if len(self.losses) else None
        state = hedge.start(len(self.sharpe)) if run is None else run.state
        alike = look_alikes(self.entries, awake)
        wishes = Wishes(
            base=base_shares(self.sharpe, self.years, ~self.benched), hedge=hedge.weights(state, awake & ~self.benched),
            pool=self.pool, factors=diversity_factors(alike, awake) if adjusted else None,
            bonus=innovation_bonus(self.added, np.ones_like(self.added)) if adjusted else None,
        )  # fmt: skip
        return decide(
            self.held, wishes, benched=self.benched, overrides=self.overrides, ceilings=self.ceilings,
            limits=self.limits,
        )  # fmt: skip


def week(season):
    rng, agents = season.rng, season.agents
    told = log_evidence(season.differences, -1.0)[-1] if season.differences else 0.0
    most = season.limits.pool_cap
    entries = rng.normal(size=(6, agents))
    if rng.random() < 0.3:
        entries[:, -1] = entries[:, 0]  # a copy, where there are two
    entries[:, rng.random(agents) < 0.1] = np.nan
    some = rng.random(agents) < 0.15
    return Week(
        held=season.held, sharpe=rng.normal(0.0, 10.0 ** rng.uniform(-2, 2), agents).clip(-900, 900),
        years=rng.choice([0.0, 1e-9, 0.3, 30.0], agents), losses=np.array(season.losses).reshape(-1, agents),
        entries=entries, added=rng.normal(size=agents), benched=benched(season),
        ceilings=np.where(rng.random(agents) < 0.15, rng.uniform(0, 0.3, agents), 1.0),
        overrides=np.where(some, rng.uniform(0, 0.5, agents), np.nan),
        pool=pool_fraction(float(told), most, least=season.least_pool) if season.evidence else most,
        limits=season.limits,
    )  # fmt: skip


def settle(season, decision):
    """Let the week's outcome come; a loss is missing where one slept."""
    rng, agents = season.rng, season.agents
    losses = np.clip(rng.normal(0.5, rng.choice([0.0, 0.02, 0.5]), agents), 0.0, 1.0)
    losses[rng.random(agents) < 0.1] = np.nan
    season.losses.append(losses)
    season.differences.append(float(rng.uniform(-1.0, 1.0) ** 3))
    season.stages.append(decision.stages)
    season.held = Weights(decision.base, decision.competitive)


def keeps_its_bounds(case, done):
    limits = case.limits
    overridden = ~np.isnan(case.overrides) & ~case.benched
    most = np.where(case.benched, 0.0, np.minimum(limits.strategy_cap, case.ceilings))
    assert np.isfinite(done.total).all()
    assert min(done.base.min(), done.competitive.min(), done.cash) >= 0.0
    assert done.base.sum() + done.competitive.sum() + done.cash == pytest.approx(1.0)
    assert done.base.sum() <= limits.base_pool + EPS
    assert done.competitive.sum() <= min(case.pool, limits.pool_cap, POOL) + EPS
    assert (done.total <= most + EPS).all()
    assert (done.competitive <= limits.agent_cap + EPS).all()
    assert (done.total[case.benched] == 0.0).all()
    assert (done.competitive[overridden] == 0.0).all()
    rises = done.base - case.held.base
    assert (rises[~overridden] <= limits.base_move + EPS).all()
    assert (done.competitive - case.held.competitive <= limits.pool_move + EPS).all()
    falls_slowly(case.held.base, done.base, done.base_rules, limits.base_move)
    falls_slowly(case.held.competitive, done.competitive, done.pool_rules, limits.pool_move)


def falls_slowly(before, after, rules, move):
    """A weight falls by more than the move limit only where what ranks above it says so."""
    for was, is_now, rule in zip(before, after, rules, strict=True):
        assert was - is_now <= move + EPS or rule in {
            "bench", "ceiling", "override", "pool", "strategy cap", "agent cap"
        }  # fmt: skip


def acts_inside_the_pool(case, done):
    plain = case.decision(adjusted=False)
    assert (plain.base == done.base).all()
    assert done.competitive.sum() <= plain.competitive.sum() + EPS


def follows_its_agents(case, done, rng):
    order = rng.permutation(len(done.base))
    other = case.permuted(order).decision()
    assert other.base == pytest.approx(done.base[order], abs=1e-8)
    assert other.competitive == pytest.approx(done.competitive[order], abs=1e-8)
    assert other.cash == pytest.approx(done.cash, abs=1e-8)


def the_better_weigh_more(case):
    """Before any rule, who lost less so far never has less of the competition than who lost more."""
    state = hedge.run(case.losses).state
    weights = hedge.weights(state)[np.argsort(state.cumulative)]
    assert (np.diff(weights) <= EPS).all()
    assert weights.sum() == pytest.approx(1.0)


def regret_is_bounded(season):
    run = hedge.run(np.array(season.losses).reshape(-1, season.agents))
    split = deployed_regret(run, season.stages)
    assert split.raw == pytest.approx(hedge.regret(run.state), abs=1e-9)
    assert split.raw <= hedge.regret_bound(run.state) + EPS
    parts = (split.raw, split.bench, split.bonus, split.evidence, split.cap, split.move_limit)
    assert math.fsum(parts) == pytest.approx(split.deployed, abs=1e-9)
    return split.deployed > hedge.regret_bound(run.state)


def test_ten_thousand_decisions_in_seasons_keep_every_promise():
    rng, decided, extremes, beyond = np.random.default_rng(97), 0, set(), 0
    for _ in range(SEASONS):
        season = drawn(rng)
        for number in range(WEEKS):
            case = week(season)
            done = case.decision()
            decided += 1
            keeps_its_bounds(case, done)
            if number % 4 == 1:
                acts_inside_the_pool(case, done)
                the_better_weigh_more(case)
            if number % 4 == 3:
                follows_its_agents(case, done, rng)
            extremes |= told(season, case)
            settle(season, done)
        beyond += regret_is_bounded(season)
    print(
        f"\n{decided:,} decisions in {SEASONS:,} seasons; in {beyond} the rules cost more than the raw weights' bound"
    )
    assert decided >= 10_000
    assert extremes == {"one agent", "sixteen", "all but one benched", "no pool", "evidence off", "tiny weights"}


def told(season, case):
    """Return which extremes a decision is of."""
    tests = {
        "one agent": season.agents == 1, "sixteen": season.agents == MOST_AGENTS,
        "all but one benched": season.agents > 1 and case.benched.sum() == season.agents - 1,
        "no pool": season.limits.pool_cap == season.least_pool == 0.0, "evidence off": not season.evidence,
        "tiny weights": bool((case.held.base == 1e-12).all()),
    }  # fmt: skip
    return {name for name, holds in tests.items() if holds}


@settings(derandomize=True, max_examples=120, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), weeks=st.integers(1, 5))
def test_any_season_keeps_every_promise(seed, weeks):
    season = drawn(np.random.default_rng(seed))
    for _ in range(weeks):
        case = week(season)
        done = case.decision()
        keeps_its_bounds(case, done)
        acts_inside_the_pool(case, done)
        follows_its_agents(case, done, season.rng)
        settle(season, done)
    regret_is_bounded(season)


def test_without_a_pool_nothing_is_competitive_and_what_there_was_goes_at_once():
    limits = AllocationLimits(pool_cap=0.0)
    held = Weights(np.full(4, 0.225), np.full(4, 0.02))
    done = decide(held, Wishes(np.full(4, 0.25), np.full(4, 0.25), 0.0), benched=np.zeros(4, dtype=bool), limits=limits)
    assert (done.competitive == 0.0).all()
    assert set(done.pool_rules) == {"pool"}
    assert done.cash == pytest.approx(0.1)
