"""A book that rests between its trades is the engine's unit book: flat for long, or with targets within the band."""

import numpy as np
import pytest

from tests.tournaments.stressed import conditions, walk
from tests.tournaments.test_stress_book import BAND, engine_units, traded

BARS, SYMBOLS = 240, 3


def resting(seed):
    """Return targets [bars, symbols] that stand still for long, at nothing, within the band, or at something."""
    chance = np.random.default_rng(seed)
    targets = np.repeat(chance.choice([0.0, 0.0, 0.05, -0.08, 0.3, -1.0, 1.2], (BARS // 20, SYMBOLS)), 20, axis=0)
    targets[40:80] = 0.0  # all of it flat, then back
    return targets


@pytest.mark.parametrize("capital", [3e3, 1e6], ids=["a lot is much", "a lot is little"])
@pytest.mark.parametrize("daily", [0.005, 0.1])
@pytest.mark.parametrize("seed", range(6))
def test_a_resting_book_is_the_engines(seed, daily, capital):
    path, targets = walk(1, BARS, SYMBOLS, seed=seed, daily=daily)[0], resting(seed)
    terms = conditions(SYMBOLS, capital)
    terms.costs["volume_share"] = 1.0
    equity, _, rows, _ = traded(path, targets, terms)
    expected, lots = engine_units(path, targets, terms)
    assert equity == pytest.approx(expected, rel=1e-13)
    assert rows["lots"].tolist() == lots
    assert np.ptp(equity[45:80]) == 0.0, "it was flat"
    assert np.ptp(equity[81:]) > 0.0, "and came back"


def test_a_small_position_within_the_band_is_closed_where_its_target_goes():
    path, terms = walk(1, 60, 1, daily=0.005)[0], conditions(1)
    terms.costs["volume_share"] = 1.0
    targets = np.full((60, 1), 0.5)
    targets[20:] = 0.5 + 0.8 * BAND  # within the band: nothing happens
    targets[40:] = 0.0
    equity, _, rows, _ = traded(path, targets, terms)
    expected, lots = engine_units(path, targets, terms)
    assert equity == pytest.approx(expected, rel=1e-13)
    assert rows["lots"].tolist() == lots == [0]
