"""Is the reported probability that the first is best as often right as it says? Equal agents, unequal ones, luck."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tournaments.scores.checks import ScoreError
from tournaments.scores.hierarchy import SAME
from tournaments.scores.posterior import posterior, probability_best

AGENTS = 4
EDGES = (0.0, 0.27, 0.3, 0.35, 0.45, 0.6, 0.8, 1.0 + 1e-9)

scores_and_errors = st.integers(1, 8).flatmap(
    lambda n: st.tuples(
        st.lists(st.floats(-5, 5), min_size=n, max_size=n), st.lists(st.floats(0.01, 5), min_size=n, max_size=n)
    )
)


def calibration(reported, came, edges=EDGES):
    """Return rows (low, high, seasons, mean reported, frequency) of the bins that hold seasons, and print them."""
    reported, came = np.asarray(reported), np.asarray(came, dtype=float)
    rows = []
    for low, high in pairwise(edges):
        here = (reported >= low) & (reported < high)
        if here.any():
            rows.append((low, high, int(here.sum()), float(reported[here].mean()), float(came[here].mean())))
    print("\n  reported P(first is best)  seasons  mean reported  best in truth")
    for low, high, count, said, true in rows:
        print(f"  {low:.2f} to {min(high, 1):.2f}               {count:7}  {said:13.3f}  {true:13.3f}")
    return rows


def within_binomial_error(rows, deviations=3.0):
    return all(abs(said - true) <= deviations * np.sqrt(said * (1 - said) / n) for _, _, n, said, true in rows)


def season(generator, tau, errors):
    """Return skills' best, by the convention a draw among equals, and the scores observed."""
    skills = tau * generator.standard_normal(len(errors))
    best = int(generator.choice(np.flatnonzero(skills == skills.max())))
    return best, skills + errors * generator.standard_normal(len(errors))


def reports(seed, seasons, draw_tau, errors, probability=probability_best):
    generator = np.random.default_rng(seed)
    reported, came = [], []
    for _ in range(seasons):
        best, scores = season(generator, draw_tau(generator), errors)
        first = int(np.argmax(scores))
        reported.append(probability(scores, errors)[first])
        came.append(first == best)
    return np.array(reported), np.array(came)


def tau_of_the_prior(generator):
    share = generator.uniform()
    return 0.0 if generator.uniform() < SAME else np.sqrt((1 - share) / share)


def naive(scores, errors):
    """Return what a bootstrap says: no common mean, each score as it is."""
    draws = scores + errors * np.random.default_rng(0).standard_normal((500, len(scores)))
    return np.bincount(draws.argmax(axis=1), minlength=len(scores)) / 500


def test_the_probability_is_calibrated_over_seasons_of_which_some_have_equal_agents():
    reported, came = reports(1, 2000, tau_of_the_prior, np.ones(AGENTS))
    rows = calibration(reported, came)
    assert len(rows) >= 6
    assert within_binomial_error(rows)


def test_a_naive_bootstrap_fails_the_same_calibration():
    reported, came = reports(1, 2000, tau_of_the_prior, np.ones(AGENTS), naive)
    assert not within_binomial_error(calibration(reported, came))


def test_calibrated_with_errors_that_differ():
    errors = np.array([0.5, 1.0, 1.5, 2.0])
    reported, came = reports(2, 500, lambda generator: np.median(errors) * tau_of_the_prior(generator), errors)
    assert within_binomial_error(calibration(reported, came))


def test_the_luckiest_of_four_equal_agents_is_not_believed_in():
    reported, came = reports(3, 1000, lambda _: 0.0, np.ones(AGENTS))
    unsure, _ = reports(3, 200, lambda _: 0.0, np.ones(AGENTS), naive)
    calibration(reported, came)
    print(f"  four equal agents: reported {reported.mean():.3f} (naive {unsure.mean():.3f}), best {came.mean():.3f}")
    assert came.mean() == pytest.approx(0.25, abs=3 * np.sqrt(0.25 * 0.75 / 1000))
    assert 0.25 <= reported.mean() <= 0.31
    assert np.quantile(reported, 0.95) < 0.45
    assert unsure.mean() > 0.55


def test_where_agents_do_differ_the_first_is_never_oversold():
    for tau in (0.5, 1.0, 2.0, 4.0):
        reported, came = reports(4, 150, lambda _, tau=tau: tau, np.ones(AGENTS))
        print(f"  tau = {tau} errors: reported {reported.mean():.3f}, best {came.mean():.3f}")
        assert reported.mean() <= came.mean() + 2 * np.sqrt(came.mean() * (1 - came.mean()) / 150)
    assert reported.mean() > 0.75


def test_intervals_hold_the_skill_in_95_of_100_seasons():
    generator = np.random.default_rng(6)
    held = []
    for _ in range(200):
        skills = 3.0 + tau_of_the_prior(generator) * generator.standard_normal(AGENTS)
        found = posterior(skills + generator.standard_normal(AGENTS), np.ones(AGENTS))
        held.append((np.array(found.low) <= skills) & (skills <= np.array(found.high)))
    assert np.mean(held) == pytest.approx(0.95, abs=0.03)


def test_agrees_with_a_monte_carlo_of_the_same_model():
    scores, errors = np.array([1.0, 0.3, -0.5, 2.0]), np.array([0.5, 1.0, 2.0, 0.2])
    generator = np.random.default_rng(7)
    scale = np.median(errors)
    share = generator.uniform(size=400_000)
    tau = np.where(generator.uniform(size=share.size) < SAME, 0.0, scale * np.sqrt((1 - share) / share))
    total = errors**2 + tau[:, np.newaxis] ** 2
    centre = (scores / total).sum(axis=1) / (1 / total).sum(axis=1)
    evidence = -0.5 * (
        np.log(total).sum(axis=1)
        + np.log((1 / total).sum(axis=1))
        + ((scores - centre[:, np.newaxis]) ** 2 / total).sum(1)
    )
    weight = np.exp(evidence - evidence.max())
    common = centre + generator.standard_normal(share.size) / np.sqrt((1 / total).sum(axis=1))
    kept = errors**2 / total
    skills = (1 - kept) * scores + kept * common[:, np.newaxis]
    skills += tau[:, np.newaxis] * np.sqrt(kept) * generator.standard_normal(skills.shape)
    best = np.where(tau > 0, skills.argmax(axis=1), generator.integers(AGENTS, size=share.size))
    drawn = np.bincount(best, weight, AGENTS) / weight.sum()
    found = posterior(scores, errors)
    assert found.best == pytest.approx(drawn, abs=0.005)
    assert found.mean == pytest.approx((weight @ skills) / weight.sum(), abs=0.01)
    for i in range(AGENTS):
        inside = (skills[:, i] >= found.low[i]) & (skills[:, i] <= found.high[i])
        assert (weight * inside).sum() / weight.sum() == pytest.approx(0.95, abs=0.005)


@settings(derandomize=True, max_examples=40)
@given(scores_and_errors, st.randoms(use_true_random=False))
def test_permuting_agents_permutes_the_result(agents, shuffler):
    scores, errors = map(np.array, agents)
    order = np.array(shuffler.sample(range(len(scores)), len(scores)))
    one, other = posterior(scores, errors), posterior(scores[order], errors[order])
    for name in ("best", "mean", "low", "high"):
        assert np.array(getattr(one, name))[order] == pytest.approx(getattr(other, name), abs=1e-7)
    assert one.first_is_best == pytest.approx(other.first_is_best, abs=1e-7)


@settings(derandomize=True, max_examples=40)
@given(scores_and_errors, st.floats(-100, 100), st.floats(1e-3, 1e3))
def test_moving_and_scaling_all_scores_changes_no_probability(agents, shift, scale):
    scores, errors = map(np.array, agents)
    one, other = posterior(scores, errors), posterior(shift + scale * scores, scale * errors)
    assert one.best == pytest.approx(other.best, abs=1e-6)
    assert shift + scale * np.array(one.low) == pytest.approx(other.low, abs=1e-5 * scale * 10)


@settings(derandomize=True, max_examples=40)
@given(scores_and_errors)
def test_probabilities_add_up_and_intervals_hold_the_mean(agents):
    found = posterior(*agents)
    assert sum(found.best) == pytest.approx(1.0, abs=1e-9)
    assert min(found.best) >= 0.0
    assert all(low < mean < high for low, mean, high in zip(found.low, found.mean, found.high, strict=True))


@settings(derandomize=True, max_examples=40)
@given(scores_and_errors, st.floats(0.1, 5))
def test_a_higher_score_is_never_less_probably_best_among_equal_errors(agents, error):
    scores = np.array(agents[0])
    best = np.array(probability_best(scores, np.full(len(scores), error)))
    order = np.argsort(scores)
    assert (np.diff(best[order]) >= -1e-6).all()


def test_ties_share_and_nothing_known_is_an_even_draw():
    assert posterior([1.0] * 4, [0.3] * 4).best == pytest.approx([0.25] * 4, abs=1e-12)
    two = posterior([1.0, 1.0, 0.0], [0.5] * 3)
    assert two.best[0] == two.best[1] == two.first_is_best
    assert posterior([0.0] * 4, [np.inf] * 4).best == (0.25,) * 4
    assert posterior([3.0], [1.0]).best == (1.0,)


def test_an_agent_without_history_takes_the_others_spread():
    found = posterior([1.0, 0.0, -1.0, 0.0], [0.1, 0.1, 0.1, np.inf])
    assert sum(found.best) == pytest.approx(1.0)
    assert 0.1 < found.best[3] < 0.5
    assert found.high[3] - found.low[3] > 5 * (found.high[0] - found.low[0])
    assert np.isfinite(found.low).all()


def test_scores_without_errors_are_exact():
    found = posterior([1.0, 2.0, 2.0], [0.0, 0.0, 0.0])
    assert found.best == (0.0, 0.5, 0.5)
    assert found.low == found.high == (1.0, 2.0, 2.0)


def test_two_agents_that_agree_by_construction_do_not_prove_all_equal():
    found = posterior([0.0, 0.0, 0.05], [0.0, 0.0, 0.01])  # two entrants that always submit climatology
    assert found.best[2] > 0.9


@pytest.mark.parametrize("spread", [1e3, 1e12, 1e90])
def test_scores_far_apart_are_sure_and_finite(spread):
    found = posterior([0.0, spread, -spread], [1.0, 2.0, 1e-3])
    assert found.best[1] > 0.999
    assert np.isfinite([*found.low, *found.high, *found.mean]).all()
    assert found.mean[1] == pytest.approx(spread, rel=0.01)


def test_a_planted_better_agent_is_found_with_time():
    generator = np.random.default_rng(8)
    found = []
    for rounds in (6, 26, 104):
        luck = generator.standard_normal((80, AGENTS)) / np.sqrt(rounds)
        luck[:, 2] += 0.6  # of one round's deviation
        found.append(np.mean([probability_best(row, np.full(AGENTS, 1 / np.sqrt(rounds)))[2] for row in luck]))
    print(f"  planted agent after 6, 26, 104 rounds: {np.round(found, 3)}")
    assert found[0] < found[1] < found[2]
    assert found[2] > 0.95


@pytest.mark.parametrize(
    ("scores", "errors", "word"),
    [
        ([np.nan, 1.0], [1.0, 1.0], "scores"), ([np.inf, 1.0], [1.0, 1.0], "scores"), ([], [], "empty"),
        ([0.0, 1.0], [1.0, np.nan], "errors"), ([0.0, 1.0], [1.0, -1.0], "errors"), ([0.0, 1.0], [1.0], "lengths"),
        ([0.0, 1e200], [1.0, 1.0], "largest score"),
    ],
)  # fmt: skip
def test_bad_input_is_refused_with_its_name(scores, errors, word):
    with pytest.raises(ScoreError, match=word):
        posterior(scores, errors)
    with pytest.raises(ScoreError, match=word):
        probability_best(scores, errors)


def test_a_prior_probability_beyond_one_is_refused():
    with pytest.raises(ScoreError, match="same"):
        posterior([0.0, 1.0], [1.0, 1.0], same=1.5)
    assert posterior([0.0, 1.0], [1.0, 1.0], same=1.0).best == (0.5, 0.5)
    assert posterior([0.0, 1.0], [1.0, 1.0], same=0.0).best[1] > 0.5
