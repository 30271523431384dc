"""A round's steps: resumable, repeatable, blind to the future and to the order of those who take part."""

from dataclasses import replace
from itertools import pairwise

import msgspec
import numpy as np
import pytest

from agents.brains.port import RefusedError
from agents.brains.quant import QuantBrain
from market.calendars import next_session
from market.occurrences import between
from tests.tournaments.seasons import QUICK, days, entrants, season, with_another_future
from tournaments.allocation.drawdown import Standing
from tournaments.conduct import ConductError, Conductor, Inputs, seed_of, walked
from tournaments.record import RoundRecord
from tournaments.rounds import TERMINAL, new_round
from tournaments.rules import schedule_of
from tournaments.stress.policies import Entrant

MARKET = days(60, missing=[(40, 0), (54, 2)])
OCCURRENCE = between(schedule_of(QUICK), int(MARKET.daily.now_ns[44]), int(MARKET.daily.now_ns[-1]))[0]


def inputs(market=MARKET, **changes):
    held = season(market)
    given = Inputs(
        market=market, entrants=held.entrants, rules=QUICK, costs=held.costs, capital=1e6, seed=11,
        as_of_ns=OCCURRENCE.opens_ns, threads=1,
    )  # fmt: skip
    return replace(given, **changes)


def begun(given):
    calendars = {each.calendar for each in given.market.instruments}
    held = new_round(OCCURRENCE, given.rules, started_ns=OCCURRENCE.opens_ns, calendars=calendars)
    return RoundRecord(round=held)


def step(conductor, record):
    state = record.round.state
    at_ns = record.round.settles_ns if state == "settle" else record.round.deadlines_ns[state]
    return conductor.step(record, at_ns)


def driven(given, seen=None, until=TERMINAL):
    """Return the records after each step."""
    conductor, found = Conductor(given, seen), [begun(given)]
    while found[-1].round.state not in until:
        found.append(step(conductor, found[-1]))
        if found[-1].round.state in TERMINAL:
            break
    return found


@pytest.fixture(scope="module")
def held():
    return driven(inputs())


def raw(record):
    return msgspec.json.encode(record, order="deterministic")


def test_a_round_is_settled_and_its_record_holds_numbers_alone(held):
    record = held[-1]
    assert record.round.state == "settled"
    assert sorted(record.entries) == sorted(record.settlement.skill) == sorted(each.name for each in entrants())
    assert msgspec.json.decode(msgspec.json.encode(record), type=RoundRecord) == record  # an infinity would be null
    assert all(0.0 <= row.low <= row.high <= 1.0 for row in record.scores)


def test_any_process_goes_on_from_any_step_to_the_same_record(held):
    for before, after in pairwise(held):
        read = msgspec.json.decode(msgspec.json.encode(before), type=RoundRecord)
        assert raw(step(Conductor(inputs()), read)) == raw(after), before.round.state


def test_a_step_done_twice_is_the_same_and_changes_nothing_in_its_inputs(held):
    conductor = Conductor(inputs())
    for before, after in pairwise(held):
        text = raw(before)
        assert raw(step(conductor, before)) == raw(step(conductor, before)) == raw(after)
        assert raw(before) == text


def test_a_walk_to_the_end_of_the_bars_gives_what_one_to_the_opening_gives(held):
    given = inputs()
    seen = walked(MARKET, given.entrants, given.costs, QUICK, as_of_ns=int(MARKET.daily.now_ns[-1]))
    assert [raw(each) for each in driven(given, seen)] == [raw(each) for each in held]


@pytest.mark.parametrize("seed", range(3))
def test_no_step_before_the_settlement_knows_what_came_after_the_opening(held, seed):
    other = with_another_future(MARKET, OCCURRENCE.opens_ns, seed)
    seen = walked(other, entrants(), inputs().costs, QUICK, as_of_ns=int(MARKET.daily.now_ns[-1]))
    found = driven(inputs(other), seen)
    assert [raw(each) for each in found[:-1]] == [raw(each) for each in held[:-1]]
    assert found[-1].settlement.returns != held[-1].settlement.returns


def test_the_order_of_entrants_is_nobodys_advantage(held):
    assert raw(driven(inputs(entrants=tuple(reversed(entrants()))))[-1]) == raw(held[-1])


def test_who_has_another_name_and_the_same_policy_is_scored_alike():
    twin = replace(entrants()[0], name="twin")
    rows = {row.agent: row for row in driven(inputs(entrants=(*entrants(), twin)), until=("allocate",))[-1].scores}
    one, two = rows["twin"], rows[entrants()[0].name]
    fields = ("accuracy", "sharpe", "total", "rank")
    assert [getattr(one, name) for name in fields] == [getattr(two, name) for name in fields]
    assert one.resilience.resilience == two.resilience.resilience


def test_who_else_takes_part_changes_nobodys_claims(held):
    record = driven(inputs(entrants=(*entrants(), replace(entrants()[2], name="a newcomer"))), until=("score",))[-1]
    assert {name: record.debates[name] for name in held[-1].debates} == held[-1].debates


def test_seeds_depend_on_what_they_are_for_alone():
    assert seed_of(1, "challenge", "a") == seed_of(1, "challenge", "a")
    assert len({seed_of(k, *words) for k in range(50) for words in (("practice",), ("challenge", "a"), ())}) == 150
    assert 0 <= seed_of(2**31, "a") < 2**53


def test_two_of_one_name_are_refused():
    with pytest.raises(ConductError, match="bullish, bullish must have different names"):
        Conductor(inputs(entrants=(entrants()[0], entrants()[0])))


class Stubborn(QuantBrain):
    """Will not speak for some policies, in one of three ways."""

    def __init__(self, how, *names):
        self.how, self.names = how, names

    def predict(self, question):
        entry = super().predict(question)
        if question.observations.strategy not in self.names:
            return entry
        if self.how == "refuses":
            raise RefusedError("no")
        return {
            "nothing": (), "twice": (*entry, entry[0]),
            "strange": (*entry[1:], msgspec.structs.replace(entry[0], symbol="ZZZ")),
        }[self.how]  # fmt: skip


FIVE = (*entrants(), replace(entrants()[0], name="fifth"))


@pytest.mark.parametrize("how", ["refuses", "nothing", "twice", "strange"])
def test_who_hands_in_no_entry_sleeps_and_is_no_climatology(how):
    record = driven(inputs(entrants=FIVE, brain=Stubborn(how, "momentum")))[-1]
    assert record.round.state == "settled"
    for told in (record.entries, record.debates, record.revised, record.settlement.skill):
        assert sorted(told) == ["bearish", "bullish", "fifth", "mean_reversion"]
    assert record.allocated.competitive["momentum"] == 0.0
    assert sum(record.allocated.competitive.values()) > 0.0
    assert {row.agent for row in record.scores} == {each.name for each in FIVE}


def test_too_few_entries_make_the_round_void():
    record = driven(inputs(brain=Stubborn("refuses", "momentum")))[-1]
    assert (record.round.state, record.allocated) == ("void", None)
    assert "3 valid entries" in record.round.reason


@pytest.mark.parametrize("count", [0, 1, 3])
def test_too_few_entrants_make_the_round_void(count):
    record = driven(inputs(entrants=entrants()[:count]))[-1]
    assert (record.round.state, record.allocated) == ("void", None)
    assert record.round.reason.startswith(f"{count} entrants")


def test_bars_that_cannot_be_stressed_make_the_round_void_with_the_reason():
    market = days(60, 3, missing=[(30 + k, k) for k in range(3)])
    record = driven(inputs(market, rules=msgspec.structs.replace(QUICK, stress_sessions=40)))[-1]
    assert record.round.state == "void"
    assert "no symbol has a bar in each of the last 40 sessions" in record.round.reason


def allocated_after(record, **changes):
    """Let the round be allocated again on other inputs."""
    given = inputs(**changes)
    return step(Conductor(given), record).allocated


def test_a_benched_strategy_has_no_weight_and_stays_benched_where_it_was_away(held):
    scored, before = held[6], held[-1].allocated
    assert scored.round.state == "allocate"
    benched = msgspec.structs.replace(before, standing={**before.standing, "bullish": Standing("benched", 0.0)})
    found = allocated_after(scored, before=benched)
    assert (found.base["bullish"], found.competitive["bullish"]) == (0.0, 0.0)
    away = [row for row in scored.scores if row.agent != "bullish"]
    without = msgspec.structs.replace(scored, scores=away)
    left = allocated_after(without, before=benched)
    assert "bullish" not in left.base
    back = allocated_after(scored, before=left)
    assert (back.base["bullish"], back.standing["bullish"].status) == (0.0, "benched")


def test_one_that_people_let_in_starts_anew_at_nothing(held):
    scored, before = held[6], held[-1].allocated
    standing = {**before.standing, "bullish": Standing("benched", 0.0)}
    benched = msgspec.structs.replace(before, standing=standing)  # the engine never took its weight: it has one still
    found = allocated_after(scored, before=benched, readmitted={"bullish": "ada, bob", "momentum": "nobody"})
    back = found.standing["bullish"]
    assert (back.status, back.readmitted_by, back.counted_from_ns) == ("active", "ada, bob", OCCURRENCE.opens_ns)
    assert 0.0 < found.base["bullish"] <= QUICK.base_move_cap + 1e-12
    assert found.standing["momentum"] == before.standing["momentum"]  # who is not benched is not let in


def test_a_high_water_mark_is_an_instant_whatever_history_comes_before_it(held):
    scored, before = held[6], held[-1].allocated
    at_ns = int(MARKET.daily.now_ns[40])
    known = msgspec.structs.replace(before, standing={name: Standing(counted_from_ns=at_ns) for name in before.base})
    rules = msgspec.structs.replace(QUICK, drawdown_halved=0.01, drawdown_benched=0.01)
    crashed = days(60, jump=(slice(20, 28), slice(None), -0.2))
    given = inputs(crashed, rules=rules, before=known)
    found = step(Conductor(given), driven(given, until=("allocate",))[-1]).allocated
    assert {each.status for each in found.standing.values()} == {"active"}
    whole = msgspec.structs.replace(known, standing={})
    found = step(Conductor(replace(given, before=whole)), driven(given, until=("allocate",))[-1]).allocated
    assert "benched" in {each.status for each in found.standing.values()}
    assert scored.round.state == "allocate"


def test_a_fall_beyond_the_limit_takes_the_weight_at_once():
    rules = msgspec.structs.replace(QUICK, drawdown_halved=0.01, drawdown_benched=0.01)
    falling = days(60, jump=(slice(36, 44), slice(None), -0.03))
    record = driven(inputs(falling, rules=rules))[-1]
    benched = [name for name, each in record.allocated.standing.items() if each.status == "benched"]
    assert 0 < len(benched) < 4
    assert set(benched) <= {row.agent for row in record.scores if row.drawdown > 0.01}
    assert all(record.allocated.base[name] == record.allocated.competitive[name] == 0.0 for name in benched)


def test_a_newcomers_fall_counts_within_the_scoring_window_alone():
    falling = days(60, jump=(slice(10, 18), slice(None), -0.03))
    rules = msgspec.structs.replace(QUICK, drawdown_halved=0.01, drawdown_benched=0.01, scoring_window=20)
    record = driven(inputs(falling, rules=rules))[-1]
    for row in record.scores:
        standing = record.allocated.standing[row.agent]
        assert standing.counted_from_ns > falling.daily.now_ns[18]
        assert standing.status == "active" or row.drawdown > 0.01


def test_one_that_comes_later_starts_at_nothing_and_rises_by_the_move_limit(held):
    record = driven(inputs(entrants=FIVE, before=held[-1].allocated, settled=()))[-1]
    assert 0.0 < record.allocated.base["fifth"] <= QUICK.base_move_cap + 1e-12
    assert record.allocated.base_before["fifth"] == 0.0


def test_a_round_that_is_settled_after_the_opening_is_not_known_yet(held):
    scored = held[6]
    assert allocated_after(scored, settled=(held[-1],)).settled_rounds == 0
    past = msgspec.structs.replace(held[-1].settlement, settled_ns=OCCURRENCE.opens_ns)
    known = msgspec.structs.replace(held[-1], settlement=past)
    assert allocated_after(scored, settled=(known,)).settled_rounds == 1


def test_the_settlement_is_of_the_predicted_session_with_the_frozen_sigma(held):
    record = held[-1]
    session = next_session("XNYS", OCCURRENCE.opens_ns)
    row = int(np.flatnonzero(MARKET.daily.session_open_ns[:, 1] == session.open_ns)[0])
    bars = MARKET.daily.bars[row]
    for k, name in enumerate(MARKET.symbols):
        came = bars["close"][k] / bars["open"][k] - 1.0
        band = QUICK.flat_band * record.opened.sigma[name]
        assert record.settlement.returns[name] == came
        assert record.settlement.classes[name] == (1 if abs(came) < band else 2 if came > 0 else 0)
    seen = Conductor(inputs(as_of_ns=session.close_ns)).seen
    assert record.settlement.returns_of == {name: book.returns[-1] for name, book in seen.books.items()}
    assert record.settlement.gross_of == {name: book.gross[-1] for name, book in seen.books.items()}


def test_parameters_count_by_entrant():
    given = entrants()[0]
    other = Entrant("other", given.policy, given.parameters * 1.0)
    other.parameters[0] += 3.0
    seen = walked(MARKET, (given, other), inputs().costs, QUICK, as_of_ns=OCCURRENCE.opens_ns)
    assert not np.array_equal(seen.observations[given.name].features, seen.observations["other"].features)
