"""AdaHedge: the paper's algorithm, its bound on any losses, sleepers and newcomers; the deployed weights' regret."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tournaments.allocation import hedge
from tournaments.allocation.decide import Weights, Wishes, decide
from tournaments.allocation.inputs import AllocationError
from tournaments.allocation.regret import deployed_regret


def papers_own(losses):
    """The listing of the paper (figure 1), with its differences of mix losses."""

    def mix(rate, lost):
        least = lost.min()
        w = (lost == least).astype(float) if math.isinf(rate) else np.exp(-rate * (lost - least))
        total = w.sum()
        return w / total, least - (0.0 if math.isinf(rate) else math.log(total / len(lost)) / rate)

    lost, gap, rows, mine = np.zeros(losses.shape[1]), 0.0, [], 0.0
    for told in losses:
        rate = math.log(len(told)) / gap if gap > 0 else math.inf
        w, before = mix(rate, lost)
        rows.append(w)
        lost = lost + told
        gap += max(0.0, float(w @ told) - (mix(rate, lost)[1] - before))
        mine += float(w @ told)
    return np.array(rows), mine - lost.min()


@pytest.mark.parametrize("entrants", range(2, 9))
def test_the_weights_are_those_of_the_papers_listing(entrants):
    losses = np.random.default_rng(entrants).random((120, entrants))
    weights, regret = papers_own(losses)
    mine = hedge.run(losses)
    assert mine.weights == pytest.approx(weights, abs=1e-9)
    assert hedge.regret(mine.state) == pytest.approx(regret, abs=1e-9)


def punish_the_heaviest(rng, rounds, entrants):
    state, rows = hedge.start(entrants), []
    for _ in range(rounds):
        told = np.zeros(entrants)
        told[int(np.argmax(hedge.weights(state) + 1e-9 * rng.random(entrants)))] = 1.0
        state = hedge.update(state, told)
        rows.append(told)
    return np.array(rows)


def against_the_leader(rng, rounds, entrants):  # the sequence on which following the leader loses every round
    losses = np.zeros((rounds, entrants))
    losses[0, 0] = 0.5
    losses[1::2, 1], losses[2::2, 0] = 1.0, 1.0
    losses[:, 2:] = 1.0
    return losses


def changing_best(rng, rounds, entrants):
    best = (np.arange(rounds) * entrants // rounds)[:, None]
    return np.clip(rng.random((rounds, entrants)) - 0.3 * (np.arange(entrants) == best), 0, 1)


SEQUENCES = {
    "uniform": lambda rng, rounds, entrants: rng.random((rounds, entrants)),
    "coins": lambda rng, rounds, entrants: rng.integers(0, 2, (rounds, entrants)).astype(float),
    "one is better": lambda rng, rounds, entrants: np.clip(
        rng.normal(0.5 - 0.1 * (np.arange(entrants) == 1), 0.2, (rounds, entrants)), 0, 1
    ),
    "tiny": lambda rng, rounds, entrants: 1e-9 * rng.random((rounds, entrants)),
    "all equal": lambda rng, rounds, entrants: np.tile(rng.random((rounds, 1)), (1, entrants)),
    "changing best": changing_best,
    "against the leader": against_the_leader,
    "punish the heaviest": punish_the_heaviest,
}


@pytest.mark.parametrize("name", SEQUENCES)
def test_the_raw_regret_is_below_the_printed_bound(name):
    rng, closest = np.random.default_rng(11), 0.0
    for case in range(56):
        entrants, rounds = 2 + case % 7, int(rng.integers(2, 60))
        state = hedge.run(SEQUENCES[name](rng, rounds, entrants)).state
        bound = hedge.regret_bound(state)
        assert hedge.regret(state) < bound
        assert hedge.regret(state) <= 2 * state.gap + 1e-9  # lemma 3
        assert bound <= hedge.worst_case_bound(rounds, entrants) + 1e-9
        closest = max(closest, hedge.regret(state) / bound)
    print(f"{name}: raw regret {hedge.regret(state):.3f}, bound {bound:.3f}; at most {closest:.0%} of the bound")


@settings(derandomize=True, max_examples=100)
@given(
    table=st.integers(2, 8).flatmap(
        lambda k: st.lists(
            st.lists(st.one_of(st.floats(0.0, 1.0), st.just(math.nan)), min_size=k, max_size=k), min_size=1, max_size=25
        )
    )
)
def test_any_losses_and_absences_keep_the_bound_and_give_weights(table):
    losses = np.array(table)
    run = hedge.run(losses, slots=losses.shape[1] + 2)
    awake = ~np.isnan(losses)
    assert np.isfinite(run.weights).all()
    assert (run.weights >= 0.0).all()
    assert run.weights.sum(axis=1) == pytest.approx(awake.any(axis=1).astype(float), abs=1e-12)
    assert (run.weights[~awake] == 0.0).all()
    assert hedge.regret(run.state, losses.shape[1]) < hedge.regret_bound(run.state)


def test_sleepers_are_adahedge_over_losses_filled_with_the_mixtures_own():
    rng = np.random.default_rng(4)
    for _ in range(20):
        entrants = int(rng.integers(2, 9))
        losses = rng.random((50, entrants))
        losses[rng.random(losses.shape) < 0.3] = np.nan
        losses[:, 0] = rng.random(50)
        run = hedge.run(losses)
        full = hedge.run(run.filled)
        mixed = (run.weights * run.filled).sum(axis=1)
        assert (full.weights * run.filled).sum(axis=1) == pytest.approx(mixed, abs=1e-9)
        assert full.state.cumulative == pytest.approx(run.state.cumulative, abs=1e-9)
        assert run.state.gap == pytest.approx(full.state.gap, abs=1e-9)
        assert run.state.variance == pytest.approx(full.state.variance, abs=1e-9)


def test_a_newcomer_starts_at_the_mixtures_standing_and_a_benched_one_keeps_its_own():
    losses = np.tile([0.2, 0.6, np.nan], (30, 1))
    run = hedge.run(losses, slots=4)
    before = hedge.weights(run.state)
    assert before[0] > before[2] > before[1]  # better than the mixture, as good, worse
    shadow = hedge.update(run.state, np.array([0.2, np.nan, 0.2, np.nan]))  # benched without an entry
    after = hedge.weights(shadow)
    assert after[1] < before[1] + 0.02
    without = hedge.weights(run.state, np.array([True, False, True, False]))
    assert without[[1, 3]].tolist() == [0.0, 0.0]
    assert without[0] / without[2] == pytest.approx(before[0] / before[2])
    nobody = hedge.update(run.state, np.full(4, np.nan))
    assert nobody is run.state


def test_scaling_shifting_and_permuting_losses_change_nothing_but_the_order():
    rng = np.random.default_rng(6)
    for _ in range(14):
        losses = rng.random((50, int(rng.integers(2, 9)))) * 0.4
        weights, order = hedge.run(losses).weights, rng.permutation(losses.shape[1])
        assert hedge.run(2.0 * losses).weights == pytest.approx(weights, abs=1e-7)
        assert hedge.run(losses + rng.random((50, 1)) * 0.5).weights == pytest.approx(weights, abs=1e-7)
        assert hedge.run(losses[:, order]).weights == pytest.approx(weights[:, order], abs=1e-9)


def test_one_entrant_ties_and_long_records_stay_numbers():
    alone = hedge.run(np.random.default_rng(1).random((20, 1)))
    assert alone.weights.tolist() == [[1.0]] * 20
    assert hedge.regret(alone.state) == pytest.approx(0.0)
    ties = hedge.run(np.full((20, 4), 0.3))
    assert ties.weights == pytest.approx(np.full((20, 4), 0.25))
    long = hedge.run(np.tile([0.0, 1.0], (1200, 1)))
    assert long.weights[-1] == pytest.approx([1.0, 0.0])
    asleep = np.tile([0.0, 1.0], (1200, 1))
    asleep[1000:, 0] = np.nan  # the leader leaves; what is left of the other's weight has long underflowed
    assert hedge.run(asleep).weights[1001].tolist() == [0.0, 1.0]
    assert hedge.run(np.empty((0, 3))).state.rounds == 0


def season(rng, rounds, entrants):
    losses = np.clip(rng.normal(0.5 - 0.05 * (np.arange(entrants) == 0), 0.15, (rounds, entrants)), 0, 1)
    losses[rng.random(losses.shape) < 0.1] = np.nan
    losses[:, -1] = rng.random(rounds)
    run = hedge.run(losses)
    held = Weights(np.full(entrants, 0.9 / entrants), np.full(entrants, 0.02 / entrants))
    decisions = []
    for index in range(rounds):
        benched = rng.random(entrants) < 0.1
        wishes = Wishes(
            base=np.full(entrants, 1.0 / entrants), hedge=run.weights[index], pool=float(rng.uniform(0.02, 0.1)),
            factors=rng.uniform(0.3, 1.0, entrants), bonus=rng.uniform(0.0, 0.25, entrants),
        )  # fmt: skip
        decision = decide(held, wishes, benched=benched)
        held = Weights(decision.base, decision.competitive)
        decisions.append(decision)
    return run, decisions


def test_the_deployed_regret_is_the_raw_one_and_what_each_rule_cost():
    rng = np.random.default_rng(8)
    for _ in range(8):
        run, decisions = season(rng, 40, int(rng.integers(2, 9)))
        split = deployed_regret(run, [decision.stages for decision in decisions])
        parts = (split.raw, split.bench, split.bonus, split.evidence, split.cap, split.move_limit)
        assert sum(parts) == pytest.approx(split.deployed, abs=1e-9)
        assert split.raw == pytest.approx(hedge.regret(run.state), abs=1e-9)
        assert split.raw < hedge.regret_bound(run.state)
        held = np.array([decision.competitive for decision in decisions]) / 0.1
        lost = (held * run.filled).sum() + 0.5 * (40 - held.sum())
        assert split.deployed == pytest.approx(lost - run.filled.sum(axis=0).min(), abs=1e-9)
    print(f"bound of the raw weights {hedge.regret_bound(run.state):.3f}: {split}")


def test_each_part_of_the_regret_is_that_of_its_rule():
    losses = np.tile([0.0, 1.0], (20, 1))
    run, none = hedge.run(losses), np.array([False, False])
    base = np.array([0.5, 0.5])

    def split(pool=0.1, benched=none, start=(0.05, 0.05), **adjust):
        stages, held = [], Weights(0.4 * base, np.array(start))
        for row in run.weights:
            decision = decide(held, Wishes(base, row, pool, **adjust), benched=benched)
            held = Weights(decision.base, decision.competitive)
            stages.append(decision.stages)
        return deployed_regret(run, stages)

    plain = split()
    assert (plain.bench, plain.bonus, plain.evidence) == pytest.approx((0.0, 0.0, 0.0), abs=1e-12)
    assert plain.cap > 0.0  # the better one would have all of the pool, its cap is half of it
    assert plain.move_limit > 0.0  # and the worse one may only leave slowly
    assert split(pool=0.02, start=(0.01, 0.01)).evidence > plain.evidence
    assert split(benched=np.array([True, False])).bench > 0.0
    assert split(bonus=np.array([0.0, 0.25])).bonus > 0.0


def test_a_season_without_a_settled_round_has_no_regret():
    run = hedge.run(np.full((2, 3), np.nan))
    zeros = np.zeros(3)
    stages = [decide(Weights(zeros, zeros), Wishes(zeros, zeros, 0.1), benched=np.zeros(3, dtype=bool)).stages] * 2
    assert deployed_regret(run, stages).rounds == 0
    with pytest.raises(AllocationError, match="stages has 1 rounds"):
        deployed_regret(run, stages[:1])


def test_the_loss_is_one_less_the_score():
    assert hedge.losses_of([[0.25, 1.0]]).tolist() == [[0.75, 0.0]]
    assert np.isnan(hedge.losses_of([[math.nan, 1.0]])[0, 0])


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: hedge.run([[0.5, 1.5]]), r"losses\[0, 1\] = 1.5 is outside 0 to 1"),
        (lambda: hedge.run([[0.5, math.inf]]), "losses"),
        (lambda: hedge.run([[0.5, 0.5]], slots=1), "slots = 1"),
        (lambda: hedge.start(0), "slots = 0"),
        (lambda: hedge.update(hedge.start(3), [0.5, 0.5]), "3 slots"),
        (lambda: hedge.weights(hedge.start(2), [1.0, 0.0]), "awake"),
        (lambda: hedge.losses_of([[-0.1]]), "scores"),
    ],
)
def test_what_is_no_loss_is_refused(call, said):
    with pytest.raises(AllocationError, match=said):
        call()
