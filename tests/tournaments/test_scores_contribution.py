"""Contribution pays for what the others did not know: nothing for copies, noise or boldness."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tournaments.scores.checks import ScoreError
from tournaments.scores.contribution import contribution, contributions, neutralised, round_contributions, signal

SYMBOLS = 20

vectors = st.lists(st.floats(-1, 1), min_size=12, max_size=12)


def season(seed, rounds=60, entrants=4):
    """Return signals [k, n], outcomes [n] and labels: 0 alone knows a part, 1 and 2 share another, 3 is noise."""
    generator = np.random.default_rng(seed)
    size = rounds * SYMBOLS
    unique, common, noise = generator.standard_normal((3, size))
    outcomes = 0.3 * unique + 0.3 * common + 0.9 * noise
    signals = generator.standard_normal((entrants, size)) * 0.3
    signals[0] += unique
    signals[1] += common
    signals[2] = signals[1]
    return np.tanh(signals), outcomes, np.repeat(np.arange(rounds), SYMBOLS)


def test_the_signal_is_up_less_down():
    assert signal([[0.2, 0.3, 0.5], [1.0, 0.0, 0.0]]) == pytest.approx([0.3, -1.0])


@settings(derandomize=True, max_examples=60)
@given(vectors, vectors)
def test_what_is_neutralised_has_nothing_of_the_ensemble_left(own, ensemble):
    own, ensemble = (np.array(v) - np.mean(v) for v in (own, ensemble))
    rest = neutralised(own, ensemble)
    if ensemble @ ensemble > 1e-12:
        assert abs(rest @ ensemble) <= 1e-9 * np.sqrt((ensemble @ ensemble) * max(own @ own, 1.0))
    assert rest @ rest <= own @ own + 1e-12


def test_unique_knowledge_is_paid_and_a_copy_and_noise_are_not():
    signals, outcomes, rounds = season(1)
    unique, first, copy, noise = (contribution(row) for row in contributions(signals, outcomes, rounds))
    assert unique.mean > 5 * unique.error
    assert first.mean == pytest.approx(copy.mean, abs=1e-12)
    assert first.mean < 0.5 * unique.mean
    assert abs(noise.mean) < 2.5 * noise.error
    assert unique.rounds == 60


def test_of_two_entrants_alike_both_add_nothing():
    signals, outcomes, rounds = season(2)
    assert not contributions(signals[[0, 0]], outcomes, rounds).any()


def test_one_entrant_alone_has_its_plain_covariance():
    signals, outcomes, _ = season(3, rounds=1)
    found = round_contributions(signals[:1], outcomes)
    clipped = np.clip(outcomes, -3, 3)
    assert np.sign(found[0]) == np.sign(np.corrcoef(signals[0], clipped)[0, 1])
    assert 0.0 < found[0] < 1.0


@settings(derandomize=True, max_examples=50)
@given(st.lists(vectors, min_size=1, max_size=8), vectors, st.randoms(use_true_random=False))
def test_permuting_entrants_or_symbols_permutes_the_result(signals, outcomes, shuffler):
    signals, outcomes = np.array(signals), np.array(outcomes)
    rows = shuffler.sample(range(len(signals)), len(signals))
    columns = shuffler.sample(range(12), 12)
    found = round_contributions(signals, outcomes)
    assert round_contributions(signals[rows], outcomes) == pytest.approx(found[rows], abs=1e-9)
    assert round_contributions(signals[:, columns], outcomes[columns]) == pytest.approx(found, abs=1e-9)


@settings(derandomize=True, max_examples=50)
@given(st.lists(st.integers(-100, 100), min_size=12, max_size=12), st.floats(0.001, 0.009))
def test_boldness_buys_nothing(own, scale):
    outcomes = np.random.default_rng(4).standard_normal(12)
    other = np.linspace(-1, 1, 12)
    modest = round_contributions([np.array(own) * scale, other], outcomes)
    bold = round_contributions([np.array(own) * 0.01, other], outcomes)
    assert modest == pytest.approx(bold, abs=1e-12)


def test_no_variance_is_0():
    generator = np.random.default_rng(5)
    outcomes = generator.standard_normal(SYMBOLS)
    signals = np.vstack([np.full(SYMBOLS, 0.3), generator.uniform(-1, 1, (2, SYMBOLS))])
    assert round_contributions(signals, outcomes)[0] == 0.0
    assert not round_contributions(signals, np.full(SYMBOLS, 0.1)).any()
    assert not round_contributions(signals[:, :1], outcomes[:1]).any()
    assert round_contributions(signals[[0, 0, 1]], outcomes)[2] == round_contributions(signals[[1]], outcomes)[0]
    assert round_contributions(np.empty((0, 3)), [0.0, 1.0, 2.0]).shape == (0,)


def test_the_absent_are_neither_paid_nor_part_of_the_ensemble():
    signals, outcomes, _ = season(6, rounds=1)
    there = np.ones(signals.shape, dtype=bool)
    there[3] = False
    broken = signals.copy()
    broken[3] = np.nan
    found = round_contributions(broken, outcomes, present=there)
    assert found[3] == 0.0
    assert found[:3] == pytest.approx(round_contributions(signals[:3], outcomes), abs=1e-12)
    there[0, :5] = False
    assert np.isfinite(round_contributions(broken, outcomes, present=there)).all()


def test_one_gap_counts_no_more_than_three_deviations():
    signals, outcomes, _ = season(7, rounds=1)
    wild, capped = outcomes.copy(), outcomes.copy()
    wild[0], capped[0] = 1e9, 3.0
    assert round_contributions(signals, wild) == pytest.approx(round_contributions(signals, capped))


def test_no_and_one_round_have_no_error():
    assert contribution([]).mean == 0.0
    assert contribution([]).error is None
    assert contribution([0.1]).error is None
    assert contribution([0.1, 0.3]).error == pytest.approx(0.1)
    assert contributions(np.empty((3, 0)), [], []).shape == (3, 0)


@pytest.mark.parametrize(
    "call",
    [
        lambda: signal([[np.nan, 0.5, 0.5]]), lambda: signal([[0.5, 0.5]]), lambda: contribution([np.nan]),
        lambda: round_contributions([[np.nan, 1.0]], [0.0, 1.0]), lambda: round_contributions([[1.0]], [0.0, 1.0]),
        lambda: round_contributions([[0.0, 1.0]], [0.0, np.nan]),
        lambda: round_contributions([[0.0, 1.0]], [0.0, 1.0], present=[[1, 1]]),
        lambda: contributions([[0.0, 1.0]], [0.0, 1.0], [1]), lambda: contributions([0.0, 1.0], [0.0, 1.0], [1, 1]),
    ],
)  # fmt: skip
def test_bad_input_is_refused(call):
    with pytest.raises(ScoreError):
        call()
