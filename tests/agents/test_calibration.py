"""Calibrators: a monotone map within (0, 1), the base rate while there is too little, content that stays what it is."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as draw

from agents.calibration import (
    CalibrationError,
    Calibrator,
    confidence,
    decode,
    encode,
    fit,
    probability,
    sha256,
)

outcomes = draw.lists(draw.tuples(draw.floats(-20, 20), draw.booleans()), min_size=200, max_size=400)


def settled(slope: float, count: int = 4000) -> list[tuple[float, bool]]:
    """Outcomes whose chance of a hit is 0.4 + slope x strength, strength in [0, 2], on both sides."""
    generator = np.random.default_rng(9)
    scores = generator.uniform(-2, 2, count)
    hits = generator.random(count) < 0.4 + slope * np.abs(scores)
    return list(zip(scores.tolist(), hits.tolist(), strict=True))


@given(outcomes=outcomes, scores=draw.lists(draw.floats(-1e6, 1e6), min_size=2, max_size=20))
@settings(max_examples=80, deadline=None)
def test_a_stronger_signal_is_never_less_probable_and_nothing_is_sure(outcomes, scores):
    calibrator = fit("momentum", 1, outcomes)
    values = [probability(calibrator, score) for score in sorted(scores, key=abs)]
    assert all(0.02 <= value <= 0.98 for value in values)
    assert all(low <= high + 1e-12 for low, high in pairwise(values))
    assert decode(encode(calibrator)) == calibrator


def test_it_finds_the_probabilities_that_made_the_outcomes():
    calibrator = fit("momentum", 1, settled(0.2))
    assert probability(calibrator, 0.2) == pytest.approx(0.44, abs=0.05)
    assert probability(calibrator, -1.0) == pytest.approx(0.6, abs=0.05)
    assert probability(calibrator, 1.8) == pytest.approx(0.76, abs=0.05)


def test_where_strength_says_nothing_the_map_stays_near_the_base_rate():
    calibrator = fit("bullish", 1, settled(0.0))
    assert calibrator.base_rate == pytest.approx(0.4, abs=0.02)
    assert max(calibrator.y) - min(calibrator.y) < 0.06


def test_where_stronger_signals_do_worse_the_map_is_flat():
    calibrator = fit("bearish", 1, settled(-0.15))
    assert max(calibrator.y) - min(calibrator.y) < 0.01


def test_the_map_is_linear_between_its_points_and_flat_outside():
    calibrator = Calibrator(
        name="calibrator.momentum", version=3, strategy="momentum", x=[1.0, 2.0], y=[0.5, 0.7], outcomes=200,
        base_rate=0.6, fitted_through_ns=0,
    )  # fmt: skip
    assert [probability(calibrator, score) for score in (0.0, 1.0, 1.5, -1.5, 2.0, 9.0)] == pytest.approx(
        [0.5, 0.5, 0.6, 0.6, 0.7, 0.7]
    )
    assert confidence(calibrator, 1.5, 0, 0) == (pytest.approx(0.6), "calibrator.momentum@3")


def test_without_a_calibrator_confidence_is_the_base_rate_so_far_and_says_so():
    assert confidence(None, 1.0, 0, 0) == (None, "uncalibrated")
    assert confidence(None, 1.0, 3, 4) == (0.75, "uncalibrated")
    thin = Calibrator(
        name="calibrator.bullish", version=1, strategy="bullish", x=[1.0], y=[0.9], outcomes=199, base_rate=0.9,
        fitted_through_ns=0,
    )  # fmt: skip
    assert confidence(thin, 1.0, 50, 199) == (50 / 199, "uncalibrated")


def test_too_few_outcomes_and_broken_scores_are_refused_in_a_sentence():
    with pytest.raises(
        CalibrationError, match="bullish: 199 settled outcomes are too few for a calibrator; it needs 200"
    ):
        fit("bullish", 1, settled(0.1)[:199])
    with pytest.raises(CalibrationError, match="bullish: an outcome's score is not a finite number"):
        fit("bullish", 1, [*settled(0.1), (float("nan"), True)])


def test_the_same_outcomes_in_any_order_give_the_same_hash_and_others_another():
    given_outcomes = settled(0.2)
    first = fit("momentum", 1, given_outcomes, fitted_through_ns=7)
    assert first.fitted_through_ns == 7
    assert sha256(first) == sha256(fit("momentum", 1, given_outcomes[::-1], fitted_through_ns=7))
    assert sha256(first) != sha256(fit("momentum", 2, given_outcomes, fitted_through_ns=7))
    assert len(sha256(first)) == 64


def test_scores_that_are_all_equal_give_the_base_rate():
    calibrator = fit("bullish", 1, [(1.0, index % 4 == 0) for index in range(400)])
    assert calibrator.y == [0.25]
    assert probability(calibrator, 5.0) == 0.25


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"y": [0.5]}, "must have as many probabilities as scores"),
        ({"x": [2.0, 1.0]}, "scores that rise"),
        ({"y": [0.7, 0.5]}, "never fall"),
        ({"y": [0.5, 1.5]}, "within 0 to 1"),
        ({"x": [], "y": []}, "calibrator.momentum@1: its map"),
    ],
)
def test_a_broken_artefact_is_refused(changed, sentence):
    good = {
        "name": "calibrator.momentum", "version": 1, "strategy": "momentum", "x": [1.0, 2.0], "y": [0.5, 0.6],
        "outcomes": 300, "base_rate": 0.5, "fitted_through_ns": 0,
    }  # fmt: skip
    assert decode(encode(Calibrator(**good))) == Calibrator(**good)
    with pytest.raises(CalibrationError, match=sentence):
        decode(encode(Calibrator(**{**good, **changed})))


def test_garbage_is_no_calibrator():
    with pytest.raises(CalibrationError, match="this is no calibrator"):
        decode(b'{"name": 1}')
    with pytest.raises(CalibrationError, match="this is no calibrator"):
        decode(b"\xff")
