"""Seasons over history: each round knows what was settled before it, and a longer history changes no earlier one."""

from dataclasses import replace
from itertools import pairwise

import msgspec
import numpy as np
import pytest

from controlroom.supervisor.tournament_market import read_market
from market.calendars import DAY_NS
from tests.conftest import data_folder
from tests.tournaments.seasons import QUICK, days, season, with_another_future
from tournaments.season import SeasonError, rounds

MARKET = days(64)
CLOSES = MARKET.sessions[0].closes_ns


def held(given, first=38, last=63, later_ns=0):
    known = given.market.sessions[0].closes_ns
    return list(rounds(given, after_ns=int(known[first]), until_ns=int(known[last]) + later_ns))


def raw(records):
    return [msgspec.json.encode(each) for each in records]


@pytest.fixture(scope="module")
def whole():
    return held(season(MARKET), later_ns=6 * DAY_NS)


def ruled(**changes):
    return msgspec.structs.replace(QUICK, **changes)


def test_every_round_hands_its_allocation_and_outcome_to_the_next(whole):
    settled = [each for each in whole if each.round.state == "settled"]
    assert len(settled) >= 4
    for k, (before, after) in enumerate(pairwise(settled)):
        assert after.allocated.base_before == before.allocated.base
        assert after.allocated.competitive_before == before.allocated.competitive
        assert after.allocated.settled_rounds == k + 1
        assert after.round.started_ns > before.settlement.settled_ns
        assert before.opened.seed != after.opened.seed


def test_capital_is_shared_whole_and_moves_within_the_rules(whole):
    for each in whole:
        made = each.allocated
        total = sum(made.base.values()) + sum(made.competitive.values()) + made.cash
        assert total == pytest.approx(1.0)
        assert sum(made.competitive.values()) <= QUICK.pool_maximum + 1e-9
        for name, weight in made.base.items():
            assert abs(weight - made.base_before[name]) <= QUICK.base_move_cap + 1e-9


def test_a_round_whose_session_the_bars_do_not_hold_is_the_last_and_as_far_as_it_came(whole):
    last_ns = int(MARKET.daily.now_ns[-1])
    states = [each.round.state for each in whole]
    assert states[:-1] == ["settled"] * (len(whole) - 1)
    assert states[-1] == "settle"
    assert (whole[-1].allocated is not None, whole[-1].settlement) == (True, None)
    assert whole[-1].round.started_ns > last_ns or whole[-1].round.settles_ns > last_ns


def test_the_same_inputs_give_the_same_bytes(whole):
    assert raw(held(season(MARKET), later_ns=6 * DAY_NS)) == raw(whole)


def test_a_shorter_season_and_later_bars_change_no_earlier_round(whole):
    settled_ns = whole[2].round.settles_ns
    other = with_another_future(MARKET, settled_ns)
    assert raw(held(season(other)))[:3] == raw(whole)[:3]
    assert raw(rounds(season(MARKET), after_ns=int(CLOSES[38]), until_ns=settled_ns))[:3] == raw(whole)[:3]


def test_another_seed_draws_other_paths_and_predicts_the_same(whole):
    other = held(season(MARKET, seed=2))[0]
    assert other.entries == whole[0].entries
    assert other.scores[0].resilience != whole[0].scores[0].resilience


def test_a_void_round_changes_no_allocation():
    strict = ruled(min_strategies=5)
    found = held(season(MARKET, strict))
    assert {each.round.state for each in found} == {"void"}
    assert not any(each.allocated for each in found)


def test_rounds_before_anything_can_be_stressed_are_void_and_the_season_goes_on():
    gaps = [(20 + k, k) for k in range(5)]
    found = held(season(days(64, missing=gaps)), first=0)
    states = [each.round.state for each in found]
    assert "void" in states
    assert states[-1] == "settled"
    assert "no symbol has a bar" in next(each.round.reason for each in found if each.round.state == "void")


def test_a_symbol_that_stops_begins_late_or_misses_sessions_is_left_out_only_where_it_has_to_be():
    missing = [(k, 0) for k in range(45, 64)] + [(k, 1) for k in range(50)] + [(52, 2)]
    found = held(season(days(64, missing=missing)), first=35)
    assert {each.round.state for each in found} == {"settled"}
    last = found[-1]
    assert "AAA" not in last.opened.stressed
    assert "AAA" not in last.settlement.returns
    assert "BBB" in last.settlement.returns
    told = {each.symbol: each for each in last.entries["bullish"]}
    assert told["AAA"].probabilities == last.climatology["AAA"]
    assert last.opened.sigma["BBB"] is not None
    assert found[0].opened.sigma["BBB"] is None


def test_one_symbol_is_enough():
    found = held(season(days(64, 1)), first=50)
    assert {each.round.state for each in found} == {"settled"}
    assert {row.contribution for each in found for row in each.scores} == {0.0}


def test_a_price_that_never_moves_breaks_nothing():
    market = days(64, 3)
    for name in ("open", "high", "low", "close"):
        market.daily.bars[name][:, 0] = 100.0
    market.daily.bars["close"][40, 0] = market.daily.bars["high"][40, 0] = 101.0
    assert held(season(market), first=45)[-1].round.state == "settled"


def test_a_market_that_never_closes_is_settled_on_the_predicted_day_not_on_the_one_that_runs():
    market = days(64, 3, calendar="24/7")
    found = held(season(market), first=40)
    assert {each.round.state for each in found} == {"settled"}
    for each in found:
        session = each.round.sessions["24/7"]
        assert session.open_ns > each.round.started_ns
        row = int(np.flatnonzero(market.daily.session_open_ns[:, 0] == session.open_ns)[0])
        bar = market.daily.bars[row, 0]
        assert each.settlement.returns["AAA"] == bar["close"] / bar["open"] - 1.0


def test_a_round_that_opens_before_the_last_is_settled_does_not_know_it():
    daily = ruled(interval="daily")
    found = held(season(days(64, 3, calendar="24/7"), daily), first=54)
    assert len(found) > 6
    for each in found:
        told = [one for one in found if one.settlement and one.settlement.settled_ns <= each.round.started_ns]
        assert each.allocated.settled_rounds == len(told)
    assert any(each.allocated.settled_rounds < k for k, each in enumerate(found))


def test_a_round_shortly_before_its_session_is_done_by_then():
    soon = ruled(interval="daily", hour=9, minute=0)
    found = held(season(MARKET, soon), first=58)
    assert found
    assert {each.round.state for each in found} == {"settled"}
    assert not any(each.round.late_steps for each in found)


@pytest.mark.parametrize(
    ("after", "until", "says"),
    [
        (-400 * DAY_NS, -300 * DAY_NS, "there are no bars; these are of 2018-05-01 to 2018-07-31"),
        (400 * DAY_NS, 500 * DAY_NS, "there are no bars"),
        (-(10**20), -(10**20) + 7, "there are no bars"),
        (35 * DAY_NS, 36 * DAY_NS, "has no round on the bars"),
    ],
)
def test_a_season_outside_the_bars_or_the_schedule_is_refused(after, until, says):
    start_ns = int(CLOSES[0])
    after = after if after > -(10**19) else -62_135_596_800 * 10**9
    until = until if until > -(10**19) else after + DAY_NS
    shift = start_ns if abs(after) < 10**18 else 0
    with pytest.raises(SeasonError, match=says):
        rounds(season(MARKET), after_ns=shift + after, until_ns=shift + until)


CHANGES = {
    "claims_per_entry": 5, "flat_band": 0.6, "sigma_window": 40, "climatology_window": 20, "scoring_window": 20,
    "weight_accuracy": 0.25, "stress_paths": 25, "stress_sessions": 12, "stress_symbols": 2, "risk_budget": 1.0,
    "least_exposure": 0.9, "base_performance": 0.0, "sharpe_offset": 4.0, "strategy_cap": 0.2, "base_move_cap": 0.001,
    "pool_minimum": 0.05, "pool_maximum": 0.01, "evidence": False, "agent_cap": 0.001, "pool_move_cap": 0.001,
    "diversity_adjustment": 0.0, "automatic_limit": 0.001, "drawdown_halved": 0.01,
}  # fmt: skip
ALSO = {"weight_accuracy": {"weight_resilience": 0.40}, "pool_maximum": {"pool_minimum": 0.01}}


@pytest.fixture(scope="module")
def falling():
    return days(64, jump=(slice(40, 48), slice(None), -0.03))


@pytest.fixture(scope="module")
def usual(falling):
    return held(season(falling), first=50)


@pytest.mark.parametrize("name", CHANGES)
def test_a_field_of_the_rules_changes_what_comes_of_a_season(falling, usual, name):
    changed = ruled(**{name: CHANGES[name], **ALSO.get(name, {})})
    found = held(season(falling, changed), first=50)
    assert [replaced(each) for each in found] != [replaced(each) for each in usual]


def replaced(record):
    """Return a record without what only names the rules."""
    opened = msgspec.structs.replace(record.opened, paths=0, risk_budget=0.0, stressed=[])
    return msgspec.json.encode(msgspec.structs.replace(record, round=None, opened=opened))


@pytest.mark.realdata
def test_real_weeks_before_their_settlement_do_not_know_what_came():
    folder = data_folder()
    names = ("us_day1_2018-05-01_2019-02-15_24sym", "us_min15_2019-01-04_2019-02-15_24sym")
    market = read_market([folder / f"{name}.parquet" for name in names])
    given = season(market, ruled(stress_paths=20, stress_symbols=4))
    after_ns = int(np.datetime64("2019-01-12", "ns").astype(np.int64))
    one = next(rounds(given, after_ns=after_ns, until_ns=after_ns + 2 * DAY_NS))
    other = replace(given, market=with_another_future(market, one.round.started_ns))
    two = next(rounds(other, after_ns=after_ns, until_ns=after_ns + 2 * DAY_NS))
    ended = {"round": None, "settlement": None}
    assert raw([msgspec.structs.replace(one, **ended)]) == raw([msgspec.structs.replace(two, **ended)])
    assert one.round.results[:-1] == two.round.results[:-1]
    assert one.opened.interval_s == 900
    assert one.settlement.returns != two.settlement.returns


@pytest.mark.realdata
def test_a_real_minute_market_that_never_closes_is_held():
    market = read_market([data_folder() / "crypto_min1_btcperp_2021-12-31_2022-02-01.parquet"])
    after_ns = int(np.datetime64("2022-01-15", "ns").astype(np.int64))
    found = list(rounds(season(market), after_ns=after_ns, until_ns=after_ns + 2 * DAY_NS))
    assert [each.round.state for each in found] == ["settled"]
    assert sorted(found[0].round.sessions) == ["24/7", "XNYS"]
    assert found[0].opened.interval_s == 60
