"""What is a new approach, and what it gains."""

import msgspec
import pytest

from agents.strategies import parameter_array
from engine.configuration import load_settings
from market.occurrences import between
from tests.tournaments.seasons import QUICK, days, entrants
from tournaments.conduct import Conductor, Inputs, walked
from tournaments.novelty import MOST_EARLIER, earlier_approaches
from tournaments.record import RoundRecord
from tournaments.rounds import new_round
from tournaments.rules import schedule_of
from tournaments.stress.policies import Entrant

A, B, C = (1.0,), (2.0,), (3.0,)


def test_who_never_changed_has_no_earlier_approach():
    assert earlier_approaches(A, []) == []
    assert earlier_approaches(A, [A, A]) == []


def test_what_it_was_before_counts_once_newest_first():
    assert earlier_approaches(A, [A, B, B, C, B]) == [B, C]


def test_to_and_fro_is_nothing_new():
    assert earlier_approaches(A, [B, A]) == [B, A]
    assert earlier_approaches(A, [A, B, A]) == [B, A]


def test_no_more_than_a_few_are_compared():
    assert len(earlier_approaches(A, [(float(k),) for k in range(2, 40)])) == MOST_EARLIER


MARKET = days(200, symbols=4)
RULES = msgspec.structs.replace(QUICK, innovation_bonus=0.25)
OCCURRENCE = between(schedule_of(RULES), int(MARKET.daily.now_ns[180]), int(MARKET.daily.now_ns[-1]))[0]
OTHERS = {"bullish": "momentum", "bearish": "mean_reversion", "mean_reversion": "bullish", "momentum": "bearish"}


def allocated(earlier, *, walked_to_ns=None):
    """Return what a round decides whose entrants had earlier approaches, and its scores."""
    inputs = Inputs(
        market=MARKET, entrants=entrants(), rules=RULES, costs=load_settings().costs, capital=1e6, seed=11,
        as_of_ns=OCCURRENCE.opens_ns, threads=1, earlier=earlier,
    )  # fmt: skip
    record = RoundRecord(round=new_round(OCCURRENCE, RULES, started_ns=OCCURRENCE.opens_ns, calendars={"XNYS"}))
    seen = None
    if walked_to_ns is not None:
        seen = walked(MARKET, inputs.entrants, inputs.costs, RULES, as_of_ns=walked_to_ns)
    conductor = Conductor(inputs, seen)
    while record.round.state != "settle":
        record = conductor.step(record, record.round.deadlines_ns[record.round.state])
    return record.allocated, {row.agent: row for row in record.scores}


@pytest.fixture(scope="module")
def plain():
    return allocated({})


def test_a_new_approach_gains_inside_the_pool_where_it_contributes_and_nothing_where_not(plain):
    told = {each.name: each.policy for each in entrants()}
    earlier = {name: (Entrant(name, told[other], parameter_array(told[other], {})),) for name, other in OTHERS.items()}
    made, scores = allocated(earlier)
    assert all(0.0 < new <= 1.0 for new in made.novelty.values())
    adds = {name for name, row in scores.items() if row.contribution > 0.0}
    assert 0 < len(adds) < 4
    before = plain[0].stages["bonus"]
    grown = {name: weight / before[name] for name, weight in made.stages["bonus"].items()}
    least = min(grown.values())  # all shrink alike to make room
    bonus = {name: 0.25 * made.novelty[name] if name in adds else 0.0 for name in grown}
    assert grown == pytest.approx({name: least * (1.0 + each) for name, each in bonus.items()})
    assert sum(made.stages["bonus"].values()) == pytest.approx(sum(before.values()))
    assert made.base == plain[0].base  # inside the pool only


def test_an_approach_that_says_what_it_always_said_gains_nothing(plain):
    made, _ = allocated({each.name: (each,) for each in entrants()})
    assert made.novelty == dict.fromkeys(OTHERS, 0.0)
    assert made.stages == plain[0].stages


def test_bars_of_after_the_opening_change_nothing_of_it():
    """A station's history may reach beyond: the settlement walks to its end."""
    told = {each.name: each.policy for each in entrants()}
    earlier = {"momentum": (Entrant("momentum", told["bullish"], parameter_array(told["bullish"], {})),)}
    to_the_end, _ = allocated(earlier, walked_to_ns=int(MARKET.daily.now_ns[-1]))
    assert to_the_end.novelty == allocated(earlier)[0].novelty
