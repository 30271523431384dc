"""A book that rests between its trades is the engine's unit book: flat for long, or with targets within the band."""

import numpy as np
import pytest

from tests.tournaments.stressed import conditions, walk
from tests.tournaments.test_stress_book import BAND, engine_units, traded
from tournaments.stress.book import BLOCK, stays

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


def quiet(target: float, units: float) -> int:
    """Return how many bars of a block a book of a million rests with so many units at a price of 100."""
    closes, alone = np.full((1, BLOCK), 100.0), np.ones(1)
    return stays(
        alone * units, alone * target, alone, np.zeros(1, np.int64), 1, closes, 0, alone, 1.0, np.full(BLOCK, 1e6),
        BAND, np.empty(BLOCK, np.int64),
    )  # fmt: skip


def test_a_book_rests_within_the_band_but_not_on_the_rest_of_what_it_was_told_to_leave():
    assert quiet(0.05, 400.0) == BLOCK
    assert quiet(0.05, 1600.0) == 0, "beyond the band"
    assert quiet(0.0, 3.0) == 0, "a sale of it was cancelled, and the next close decides anew"
