"""How far a simulation is, and going on with one that was cut off: the same bytes, and nothing simulated twice."""

import msgspec
import pytest

from tests.tournaments.test_simulation import FEW, RULES, season
from tournaments.simulation import Kept, simulate

ROUNDS = 11  # two histories of five, and one of one


class CutError(RuntimeError):
    """The process dies."""


def simulated(kept=None, cut_at=None):
    heard = []

    def hear(part, done, total):
        heard.append((part, done, total))
        if (part, done) == cut_at:
            raise CutError

    found = simulate(season(), RULES, agents=2, iterations=ROUNDS, trials=FEW, progress=hear, kept=kept)
    return msgspec.json.encode(found), heard


@pytest.fixture(scope="module")
def whole():
    return simulated()


def test_every_part_is_heard_of_from_its_first_to_its_last(whole):
    _, heard = whole
    parts = {"rounds": ROUNDS, "identical": 2, "planted": 1, "evidence": 2}
    assert heard == [(part, done, total) for part, total in parts.items() for done in range(1, total + 1)]


@pytest.mark.parametrize("cut_at", [("rounds", 7), ("rounds", 10), ("planted", 1)])
def test_who_goes_on_where_it_was_cut_off_finds_the_same_and_does_no_history_twice(whole, cut_at):
    kept: list[Kept] = []
    with pytest.raises(CutError):
        simulated(kept=kept, cut_at=cut_at)
    through = {("rounds", 7): 5, ("rounds", 10): 5, ("planted", 1): ROUNDS}[cut_at]  # the tenth was not kept yet
    read = msgspec.json.decode(msgspec.json.encode(kept), type=list[Kept])
    found, heard = simulated(kept=read)
    assert found == whole[0]
    assert [done for part, done, _ in heard if part == "rounds"] == list(range(through + 1, ROUNDS + 1))
