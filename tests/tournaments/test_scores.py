"""Accuracy: the score is proper, climatology scores 0, a better forecaster is found, luck has an error."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tournaments.scores.accuracy import (
    PRIOR_SHARES,
    accuracy,
    climatology,
    hit_rate,
    outcome_class,
    ranked_probability_score,
    skill,
    unit_score,
)
from tournaments.scores.checks import ScoreError
from tournaments.scores.clustered import clustered_mean

CLIMATE = np.array([0.4, 0.2, 0.4])

chances = st.tuples(*[st.floats(0, 1)] * 3).filter(lambda p: sum(p) > 0.01).map(lambda p: np.array(p) / sum(p))


def test_outcomes_are_down_flat_and_up_with_the_limit_outside_flat():
    returns = [-0.01, -0.003, -0.0029, 0.0, 0.0029, 0.003, 0.02]
    assert outcome_class(returns, 0.01).tolist() == [0, 0, 1, 1, 1, 2, 2]
    assert outcome_class([0.01, 0.01], [0.01, 0.1]).tolist() == [2, 1]


def test_climatology_is_smoothed_and_never_impossible():
    assert climatology([0, 0, 0]) == pytest.approx(PRIOR_SHARES, abs=1e-9)
    assert climatology([10, 0, 0]) == pytest.approx([0.691, 0.118, 0.191], abs=1e-3)
    assert climatology([[5e6, 1e6, 4e6], [0, 0, 20]]).sum(axis=1) == pytest.approx([1.0, 1.0])
    assert climatology([5e6, 1e6, 4e6]) == pytest.approx([0.5, 0.1, 0.4], abs=1e-5)


def test_the_score_is_the_one_worked_by_hand_and_knows_distance():
    assert ranked_probability_score([[0.2, 0.3, 0.5]], [2]) == pytest.approx([(0.04 + 0.25) / 2])
    assert ranked_probability_score([[1, 0, 0], [0, 1, 0], [0, 0, 1]], [0, 0, 0]).tolist() == [0.0, 0.5, 1.0]


@settings(derandomize=True, max_examples=150)
@given(chances, chances)
def test_the_expected_skill_is_highest_at_the_true_chances(true, said):
    honest = skill(np.tile(true, (3, 1)), [0, 1, 2], CLIMATE) @ true
    other = skill(np.tile(said, (3, 1)), [0, 1, 2], CLIMATE) @ true
    assert honest >= other - 1e-12
    if np.abs(np.cumsum(true - said)).max() > 1e-3:
        assert honest > other


@settings(derandomize=True, max_examples=60)
@given(st.lists(st.tuples(chances, chances, st.integers(0, 2)), min_size=1, max_size=8))
def test_skill_is_bounded_and_affine_in_the_score(rows):
    said, climate, came = (np.array(column) for column in zip(*rows, strict=True))
    found = skill(said, came, climate)
    assert (np.abs(found) <= 1.0).all()
    assert found + ranked_probability_score(said, came) == pytest.approx(ranked_probability_score(climate, came))
    assert ((unit_score(found) >= 0.0) & (unit_score(found) <= 1.0)).all()


@settings(derandomize=True, max_examples=60)
@given(st.lists(st.integers(0, 2), min_size=2, max_size=30))
def test_climatology_and_abstentions_score_nothing_at_all(came):
    count = len(came)
    assert not skill(np.tile(CLIMATE, (count, 1)), came, CLIMATE).any()
    garbage = np.full((count, 3), np.nan)
    assert not skill(garbage, came, CLIMATE, abstained=np.ones(count, dtype=bool)).any()
    found = accuracy(skill(np.tile(CLIMATE, (count, 1)), came, CLIMATE), np.arange(count))
    assert (found.mean, found.error) == (0.0, 0.0)


def forecasts(seed, rounds, symbols, knowledge):
    """Return probabilities, classes and round labels where a share of each outcome's chances is known."""
    generator = np.random.default_rng(seed)
    true = generator.dirichlet([4, 2, 4], rounds * symbols)
    came = (generator.uniform(size=len(true))[:, np.newaxis] > np.cumsum(true, axis=1)).sum(axis=1)
    return (1 - knowledge) * CLIMATE + knowledge * true, came, np.repeat(np.arange(rounds), symbols)


def test_estimated_climatology_scores_0_within_its_error():
    generator = np.random.default_rng(3)
    came = generator.choice(3, p=CLIMATE, size=52 * 20)
    window = np.bincount(generator.choice(3, p=CLIMATE, size=2000), minlength=3)
    found = accuracy(skill(np.tile(climatology(window), (len(came), 1)), came, CLIMATE), np.repeat(np.arange(52), 20))
    assert abs(found.mean) <= 2 * found.error
    assert abs(found.mean) < 0.002


def test_a_planted_better_forecaster_is_found_and_a_wrong_one_is_negative():
    said, came, rounds = forecasts(4, 26, 20, 1.0)
    better = accuracy(skill(said, came, CLIMATE), rounds)
    assert better.mean > 3 * better.error > 0.0
    worse = accuracy(skill(said[:, ::-1], came, CLIMATE), rounds)
    assert worse.mean < -3 * worse.error


def test_the_error_counts_rounds_not_items():
    generator = np.random.default_rng(5)
    luck = generator.standard_normal(200)
    values, rounds = np.repeat(luck, 20), np.repeat(np.arange(200), 20)
    found = clustered_mean(values, rounds)
    assert found.error == pytest.approx(luck.std(ddof=1) / np.sqrt(200))
    assert found.error > 4 * values.std() / np.sqrt(len(values))
    assert (found.items, found.rounds) == (4000, 200)


def test_the_clustered_error_covers_the_mean_of_rounds_of_any_size():
    generator, held = np.random.default_rng(6), 0
    for _ in range(300):
        sizes = generator.integers(1, 15, size=40)
        rounds = np.repeat(np.arange(40), sizes)
        values = generator.standard_normal(40)[rounds] + generator.standard_normal(len(rounds))
        found = clustered_mean(values, rounds)
        held += abs(found.mean) <= 2.02 * found.error
    assert held / 300 == pytest.approx(0.95, abs=0.035)


def test_nothing_settled_is_0_and_one_round_has_no_error():
    assert accuracy([], []).mean == 0.0
    assert accuracy([], []).error is None
    one = accuracy([0.1, 0.3], ["a", "a"])
    assert one.mean == pytest.approx(0.2)
    assert one.error is None
    assert skill(np.empty((0, 3)), [], CLIMATE).shape == (0,)


@settings(derandomize=True, max_examples=60)
@given(
    st.lists(st.tuples(st.floats(-1, 1), st.integers(0, 5)), min_size=1, max_size=40), st.randoms(use_true_random=False)
)
def test_the_order_of_items_does_not_matter(items, shuffler):
    shuffled = shuffler.sample(items, len(items))
    one, other = (clustered_mean(*zip(*rows, strict=True)) for rows in (items, shuffled))
    assert one.mean == pytest.approx(other.mean, abs=1e-12)
    assert (one.error is None) == (other.error is None)
    assert one.error is None or one.error == pytest.approx(other.error, abs=1e-12)


def test_the_hit_rate_shares_ties_and_is_none_without_predictions():
    assert hit_rate([[0.5, 0.2, 0.3], [0.1, 0.2, 0.7]], [0, 0]) == 0.5
    assert hit_rate([[0.4, 0.2, 0.4]], [2]) == 0.5
    assert hit_rate(np.empty((0, 3)), []) is None


@pytest.mark.parametrize(
    ("probabilities", "classes", "word"),
    [
        ([[np.nan, 0.5, 0.5]], [0], "finite"), ([[0.5, 0.5, 0.5]], [0], "add up"),
        ([[1.5, -0.5, 0.0]], [0], "0 or more"),
        ([[0.5, 0.5]], [0], "shape"), ([[0.2, 0.3, 0.5]], [3], "classes"), ([[0.2, 0.3, 0.5]], [0.5], "classes"),
        ([[0.2, 0.3, 0.5]], [0, 1], "lengths"), ([[0.2, 0.3, 0.5]], [np.nan], "classes"),
    ],
)  # fmt: skip
def test_bad_predictions_are_refused(probabilities, classes, word):
    for score in (ranked_probability_score, hit_rate, lambda p, c: skill(p, c, np.array(p)[0])):
        with pytest.raises(ScoreError, match=word):
            score(probabilities, classes)


@pytest.mark.parametrize(
    "call",
    [
        lambda: outcome_class([np.nan], 0.01), lambda: outcome_class([0.0], 0.0), lambda: outcome_class([0.0], np.nan),
        lambda: climatology([1, -1, 0]), lambda: climatology([1, 2]), lambda: climatology([np.inf, 0, 0]),
        lambda: accuracy([np.nan], [1]), lambda: accuracy([0.1, 0.2], [1]), lambda: unit_score([np.nan]),
        lambda: skill([CLIMATE], [0], [0.5, 0.5]), lambda: skill([CLIMATE], [0], [np.nan, 0.5, 0.5]),
        lambda: skill([CLIMATE], [0], CLIMATE, abstained=[1]),
        lambda: skill([CLIMATE], [0], CLIMATE, abstained=[True] * 2),
        lambda: accuracy([[0.1]], [1]),
    ],
)  # fmt: skip
def test_bad_input_is_refused(call):
    with pytest.raises(ScoreError):
        call()
