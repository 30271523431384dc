"""Agents judged by the same outcomes: shared luck makes differences surer, opposed luck makes them less sure."""

import numpy as np
import pytest

from tournaments.scores.checks import ScoreError
from tournaments.scores.correlated import joint_errors, posterior_correlated
from tournaments.scores.posterior import posterior

SCORES = np.array([1.0, 0.3, -0.5, 2.0])


def generator(seed=1):
    return np.random.default_rng(seed)


@pytest.mark.parametrize("errors", [[0.5, 1.0, 2.0, 0.2], [0.5, np.inf, 2.0, 0.2], [1.0] * 4])
def test_uncorrelated_errors_give_the_quadratures_figures(errors):
    one = posterior(SCORES, errors)
    other = posterior_correlated(SCORES, np.diag(np.square(errors)), generator(), draws=100_000)
    assert other.best == pytest.approx(one.best, abs=0.006)
    for name in ("mean", "low", "high"):
        assert getattr(other, name) == pytest.approx(getattr(one, name), abs=1e-6)


def test_shared_luck_makes_the_first_surer_and_opposed_luck_less_sure():
    scores = [0.0, 2.5]
    shared, none, opposed = (
        posterior_correlated(scores, [[1.0, rho], [rho, 1.0]], generator()).first_is_best for rho in (0.9, 0.0, -0.9)
    )
    assert shared > none + 0.1
    assert none > opposed + 0.02


def test_equal_agents_with_opposed_luck_are_not_believed_in():
    correlation = np.array([[1, -0.8, 0, 0], [-0.8, 1, 0, 0], [0, 0, 1, 0.6], [0, 0, 0.6, 1.0]])
    root, draws, reported = np.linalg.cholesky(correlation), generator(2), []
    for _ in range(150):
        rounds = draws.standard_normal((6, 4)) @ root.T
        reported.append(
            posterior_correlated(rounds.mean(axis=0), joint_errors(rounds), generator(), draws=2000).first_is_best
        )
    assert 0.25 <= np.mean(reported) <= 0.35


def test_joint_errors_are_those_of_the_mean_drawn_to_the_pooled_variance():
    rounds = generator().standard_normal((400, 3)) * [1.0, 2.0, 3.0]
    rounds[:, 1] += rounds[:, 0]
    found = joint_errors(rounds)
    assert found == pytest.approx(np.cov(rounds, rowvar=False) / 400, rel=0.15, abs=5e-4)
    assert np.isinf(np.diag(joint_errors(rounds[:1]))).all()
    assert joint_errors(np.zeros((5, 2))).tolist() == [[0.0, 0.0], [0.0, 0.0]]
    with pytest.raises(ScoreError, match="round_scores"):
        joint_errors([[np.nan, 1.0], [0.0, 1.0]])


def test_the_same_seed_gives_the_same_and_edges_are_sensible():
    covariance = np.full((4, 4), 0.3) + 0.7 * np.eye(4)
    assert posterior_correlated(SCORES, covariance, generator()) == posterior_correlated(
        SCORES, covariance, generator()
    )
    assert posterior_correlated([1.0], [[1.0]], generator()).best == (1.0,)
    assert posterior_correlated([1.0, 2.0], np.zeros((2, 2)), generator()).best == (0.0, 1.0)
    assert posterior_correlated([1.0, 2.0], np.diag([np.inf, np.inf]), generator()).best == (0.5, 0.5)
    singular = posterior_correlated([0.0, 0.0], np.ones((2, 2)), generator())
    assert singular.best == pytest.approx((0.5, 0.5), abs=0.02)
    assert posterior_correlated([0.0, 1.0], np.eye(2), generator(), same=1.0).best == (0.5, 0.5)


@pytest.mark.parametrize(
    ("covariance", "draws"),
    [
        ([[1.0, np.nan], [np.nan, 1.0]], 10), ([[1.0, 0.5], [0.4, 1.0]], 10), ([[-1.0, 0.0], [0.0, 1.0]], 10),
        ([1.0, 1.0], 10), (np.eye(3), 10), (np.eye(2), 0), ([[1.0, np.inf], [np.inf, 1.0]], 10),
        ([[np.inf, 1.0], [1.0, 1.0]], 10),
    ],
)  # fmt: skip
def test_what_is_no_covariance_is_refused(covariance, draws):
    with pytest.raises(ScoreError):
        posterior_correlated([0.0, 1.0], covariance, generator(), draws=draws)
