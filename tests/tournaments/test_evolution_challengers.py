"""Challengers in a round: predicted, attacked and ranked with the others, and nobody's capital is theirs or changes."""

from dataclasses import replace

import pytest

from agents.strategies import by_name, parameter_array
from tests.tournaments.seasons import QUICK, days, entrants
from tests.tournaments.test_conduct import driven, inputs
from tournaments import scoring
from tournaments.conduct import ConductError, Conductor, walked
from tournaments.journaled import events_of
from tournaments.season import Memory
from tournaments.stress.policies import Entrant

VARIANT = Entrant("momentum~3f2a90c1", by_name("momentum"), parameter_array(by_name("momentum"), {"entry": 0.5}))
SECOND = Entrant("bullish~00aa11bb", by_name("bullish"), parameter_array(by_name("bullish"), {"channel_bars": 9}))
BOTH = frozenset({VARIANT.name, SECOND.name})


def with_challengers(order=1, **changes):
    given = (*entrants(), VARIANT, SECOND)[::order]
    return inputs(entrants=given, challengers=BOTH, **changes)


@pytest.fixture(scope="module")
def records():
    """The same round with challengers, with them in another order, and without."""
    return driven(with_challengers())[-1], driven(with_challengers(-1))[-1], driven(inputs())[-1]


def test_challengers_are_predicted_attacked_settled_and_ranked_with_the_others(records):
    record = records[0]
    assert record.round.state == "settled"
    assert record.opened.challengers == sorted(BOTH)
    assert set(record.entries) >= BOTH
    for name in BOTH:
        assert len(record.debates[name].rulings) == QUICK.claims_per_entry
        assert name in record.settlement.skill
        assert name in record.settlement.returns_of
    assert len(record.scores) == 6
    assert {row.rank for row in record.scores} == set(range(1, 7))


def test_no_capital_is_theirs_and_the_strategies_have_what_they_would_have_without_them(records):
    record, _, without = records
    assert record.allocated == without.allocated
    assert not BOTH & record.allocated.base.keys()
    assert not BOTH & record.allocated.competitive.keys()
    assert record.settlement.difference == without.settlement.difference
    assert record.settlement.floor == without.settlement.floor


def test_what_a_strategy_is_scored_by_does_not_change(records):
    record, _, without = records
    before = {row.agent: row for row in without.scores}
    for row in record.scores:
        if row.agent in before:
            assert (row.accuracy, row.contribution, row.deflated, row.resilience, row.total) == (
                before[row.agent].accuracy, before[row.agent].contribution, before[row.agent].deflated,
                before[row.agent].resilience, before[row.agent].total,
            )  # fmt: skip


def test_a_copy_of_a_strategy_takes_nothing_of_what_that_one_contributes():
    """Walked far enough for predictions that differ; the copy stands beside the others, not beside its parent."""
    market = days(200, seed=2)
    twin = replace(entrants()[3], name="momentum~copy")
    as_of_ns = int(market.daily.now_ns[-1])
    seen = walked(market, (*entrants(), twin), inputs().costs, QUICK, as_of_ns=as_of_ns)
    rows = scoring._scored(seen.observations["momentum"], QUICK.scoring_window, as_of_ns)
    told = scoring._contributions(seen.observations, seen.forecasts, rows, {"momentum~copy": "momentum"})
    alone = {name: each for name, each in seen.observations.items() if name != "momentum~copy"}
    before = scoring._contributions(alone, seen.forecasts, rows, {})
    assert {name: told[name] for name in before} == before
    assert told["momentum~copy"] == before["momentum"]
    assert before["momentum"].mean != 0.0
    figures = scoring._performances(seen.books, 252, as_of_ns, {"momentum~copy": "momentum"})
    own = {name: seen.books[name] for name in before}
    assert {name: figures[name] for name in before} == scoring._performances(own, 252, as_of_ns, {})


def test_the_order_of_challengers_and_strategies_changes_nothing(records):
    assert records[0] == records[1]


def test_the_next_round_goes_on_from_the_capital_of_the_strategies_alone(records):
    memories = [Memory(), Memory()]
    for memory, record in zip(memories, (records[0], records[2]), strict=True):
        memory.take(record)
    later = [
        driven(made(before=memory.before, settled=tuple(memory.settled)), until=("settle",))[-1].allocated
        for made, memory in zip((with_challengers, inputs), memories, strict=True)
    ]
    assert later[0] == later[1]


def test_challengers_do_not_stand_in_for_strategies_that_are_missing():
    few = inputs(entrants=(*entrants()[:3], VARIANT, SECOND), challengers=BOTH)
    record = driven(few)[-1]
    assert record.round.state == "void"
    assert record.round.reason.startswith("3 entrants (bearish, bullish, mean_reversion) are fewer than min_strategies")


def test_a_challenger_that_does_not_take_part_is_refused():
    with pytest.raises(ConductError, match="challengers = momentum~3f2a90c1 must be among the entrants"):
        Conductor(inputs(challengers=frozenset({VARIANT.name})))


def test_the_record_says_of_a_challenger_that_it_has_nothing(records):
    record = records[0]
    told = {agent: payload for _, agent, payload in events_of("allocate", record, {}, "", None)}
    assert told[VARIANT.name].capital_allocation == told[VARIANT.name].competitive_allocation == 0.0
    assert told["momentum"].capital_allocation > 0.0
