"""Rounds by the clock: named by the engine or found by the tick, opened once, told to the worker, or missed."""

import json
from dataclasses import replace

import msgspec
import numpy as np
import pandas as pd
import pytest

from controlroom.allocations.actions import answered
from controlroom.jobs import evolution, rounds, schedule
from controlroom.jobs.station_market import read_station, station_market
from engine.allocation import Allocation
from engine.configuration import Configuration
from events.codec import encode_payload
from events.models import Job, Outbox
from events.types import CorporateActionEvent, JobDue
from market.occurrences import latest
from risk.models import ConfigurationVersion
from tests.controlroom_backend.scheduled import (
    FAST,
    OPENING,
    at,
    configured,
    due,
    held,
    journaled,
    started,
    words,
)
from tournaments import actions
from tournaments.models import AllocationVersion, RulesVersion, TournamentRound
from tournaments.rounds import HOUR_NS
from tournaments.rules import schedule_of
from tournaments.selectors import allocation_in_force, record_of
from tournaments.station import RequestError, RoundRequest

pytestmark = pytest.mark.usefixtures("no_heartbeat")


@pytest.fixture
def station(db, paths):
    return started(paths)


def test_a_round_that_the_clock_names_is_held_on_the_journal_and_its_weights_go_to_the_worker(station):
    last = journaled(station, until_ns=OPENING.opens_ns)
    row = held(last)
    record = record_of(row)
    assert (row.state, row.station_bars, row.actor) == ("settle", True, "station")
    assert record.opened.as_of_ns == OPENING.opens_ns
    assert json.loads(row.request)["capital"] == 900_000.0 + last // 2  # the equity of the last record that it may read
    kinds = [kind for kind, _ in words()]
    assert kinds == ["ControlEvent", "ModelEvent"]  # the weights before the word for which a replay waits
    [(_, told), (_, word)] = words()
    assert (told["action"], told["actor"], bool(told["signature"])) == ("allocate", "station", True)
    assert (word["occurrence"], word["outcome"], bool(word["signature"])) == (OPENING.key, "fitted", True)
    given = msgspec.convert(told["content"], Allocation)
    made = record.allocated
    assert given.weights == {name: made.base[name] + made.competitive[name] for name in made.base}
    # the settings gave 25 % to each: 90 % is brought down alike, and no base has moved by more than 2 % of the capital
    assert all(abs(share - 0.225) <= 0.02 + 1e-9 for share in made.base.values())
    [deployed] = [payload for kind, payload in words("control.audit") if kind == "AllocationEvent"]
    assert deployed["deployed"] is True


def test_nothing_of_it_happens_twice(station):
    last = journaled(station, until_ns=OPENING.opens_ns)
    held(last)
    before = Outbox.objects.count()
    job = due("tournament", OPENING.key, OPENING.opens_ns, last)
    assert not rounds.scheduled(job_id=job.id, owner="you")
    assert (Outbox.objects.count(), AllocationVersion.objects.count(), TournamentRound.objects.count()) == (
        before,
        1,
        1,
    )


def test_bars_of_after_the_opening_are_left_out_wherever_the_record_stands(station):
    """A job that is heard of again after a crash names the journal's end."""
    last = journaled(station, until_ns=OPENING.opens_ns)
    row = held(last + 6)
    assert row.state == "settle"
    assert json.loads(row.request)["capital"] == 900_000.0 + last // 2


def test_a_round_that_could_not_be_settled_is_when_the_next_one_opens(station):
    last = journaled(station, until_ns=OPENING.opens_ns)
    row = held(last)
    later = latest(schedule_of(FAST), at("2018-07-15 02:00"))
    job = due("tournament", later.key, later.opens_ns, last + 10)
    assert rounds.scheduled(job_id=job.id, owner="me")
    row.refresh_from_db()
    assert row.state == "settled"
    assert record_of(TournamentRound.objects.get(round_id=later.key)).allocated.settled_rounds == 1


def test_a_split_is_no_night_that_lost_nine_tenths(station):
    last = journaled(station, until_ns=OPENING.opens_ns)
    names = []
    bars = read_station(
        station.journal / "execution", names, symbols={"AAA"}, through_seq=last, until_ns=OPENING.opens_ns
    )
    split = CorporateActionEvent(
        feed="replay", symbol="AAA", kind="split", effective_from_ns=int(bars.rows.open_ns[20]), numerator=10
    )
    whole = station_market(bars, names, [], OPENING.opens_ns).daily.bars[:, 0]
    after = station_market(replace(bars, splits=(split,)), names, [], OPENING.opens_ns).daily.bars[:, 0]
    assert np.allclose(after["close"][:20], whole["close"][:20] / 10)
    assert np.allclose(after["volume"][:20], whole["volume"][:20] * 10)
    assert np.array_equal(after[20:], whole[20:])


def test_a_fault_that_nobody_expected_is_answered_too(station):
    last = journaled(station, until_ns=OPENING.opens_ns)
    journal = next((station.journal / "execution").glob("*.seg"))
    damaged = bytearray(journal.read_bytes())
    damaged[200] ^= 1
    journal.write_bytes(damaged)
    job = due("tournament", OPENING.key, OPENING.opens_ns, last)
    assert rounds.scheduled(job_id=job.id, owner="me")
    [(_, word)] = words()
    assert word["outcome"] == "unchanged"


def test_a_worker_that_names_the_round_again_gets_weights_and_word_again(station):
    """A bus that was emptied had both: the weights come before the word, as the first time."""
    last = journaled(station, until_ns=OPENING.opens_ns)
    held(last)
    Outbox.objects.filter(stream="control.worker").update(published_at=pd.Timestamp("2018-07-08", tz="UTC"))
    due("tournament", OPENING.key, OPENING.opens_ns, last, id_="again:1")
    waiting = Outbox.objects.filter(stream="control.worker", published_at=None).order_by("id")
    assert [row.type for row in waiting] == ["ControlEvent", "ModelEvent"]
    Outbox.objects.filter(stream="control.worker").update(published_at=pd.Timestamp("2018-07-08", tz="UTC"))
    answered(request_id="allocate-1", accepted=True, answer="")
    due("tournament", OPENING.key, OPENING.opens_ns, last, id_="again:2")
    assert [row.type for row in waiting.all()] == ["ModelEvent"]  # what was answered is not sent again


def test_what_came_after_the_opening_is_not_read_and_the_round_is_settled_when_it_has_come(station):
    last = journaled(station, until_ns=OPENING.opens_ns)
    row = held(last)
    assert row.state == "settle"
    later = due("tournament", f"settle_tournament:{OPENING.key}", OPENING.session.close_ns + 1, last + 2)
    assert rounds.scheduled(job_id=later.id, owner="me")
    row.refresh_from_db()
    assert row.state == "settled"
    assert words()[-1][1]["occurrence"] == f"settle_tournament:{OPENING.key}"
    assert not Job.objects.filter(name="propose_variants").exists()  # of two months nothing can be judged


def test_prices_that_lack_are_waited_for_and_after_the_rules_time_it_is_settled_without_them(station):
    last = journaled(station, until_ns=OPENING.opens_ns, missing=[(47, 1)])  # BBB is halted in the predicted session
    row = held(last)
    settles = due("tournament", f"settle_tournament:{OPENING.key}", OPENING.session.close_ns + 1, last + 2)
    assert rounds.scheduled(job_id=settles.id, owner="me")
    row.refresh_from_db()
    assert row.state == "settle"
    word = words()[-1][1]
    assert word["outcome"] == "unchanged"
    assert word["reason"].startswith("prices of BBB lack in the predicted session; they are waited for until 72 hours")
    held(last + 10, latest(schedule_of(FAST), at("2018-07-15 02:00")))
    row.refresh_from_db()
    assert row.state == "settled"
    assert set(record_of(row).settlement.returns) == {"AAA", "CCC"}


def test_a_symbol_that_is_gone_for_long_is_not_waited_for(station):
    last = journaled(station, until_ns=OPENING.opens_ns, missing=[(row, 1) for row in range(45, 60)])
    row = held(last)
    settles = due("tournament", f"settle_tournament:{OPENING.key}", OPENING.session.close_ns + 1, last + 2)
    assert rounds.scheduled(job_id=settles.id, owner="me")
    row.refresh_from_db()
    assert row.state == "settled"
    assert set(record_of(row).settlement.returns) == {"AAA", "CCC"}


def test_nobody_takes_the_schedules_place_by_a_round_of_their_own(station, person):
    boss = person("tournament administrator")
    request = RoundRequest(bars=["/data/daily.csv"], as_of_ns=OPENING.opens_ns)
    with pytest.raises(
        RequestError, match=f"as_of lies in {OPENING.key}, which the station's own schedule holds; give"
    ):
        actions.ask_round(request=request, reason="a trial", actor=boss)
    assert not TournamentRound.objects.exists()
    named = msgspec.structs.replace(request, name="trial")
    assert actions.ask_round(request=named, reason="a trial", actor=boss)[0].round_id == "tournament:hand:trial"


def test_a_round_by_hand_that_was_there_first_is_no_round_of_the_schedule(station):
    """As an older station let them be."""
    last = journaled(station, until_ns=OPENING.opens_ns)
    TournamentRound.objects.create(
        round_id=OPENING.key, rules_version=1, as_of_ns=OPENING.opens_ns, actor="ada", state="settle",
        request=msgspec.json.encode(RoundRequest(bars=[], as_of_ns=OPENING.opens_ns)).decode(),
    )  # fmt: skip
    held(last)
    [(_, word)] = words()
    assert (word["outcome"], "was held by hand on files" in word["reason"]) == ("unchanged", True)
    assert not AllocationVersion.objects.exists()


def test_a_round_of_another_calendar_is_settled_on_its_own_bars(station, person):
    last = journaled(station, until_ns=OPENING.opens_ns)
    row = held(last)
    boss = person("tournament administrator")
    actions.draft_rules(changes={"calendar": "24/7"}, reason="coins alone", actor=boss)
    actions.activate_rules(version=2, reason="coins alone", actor=boss)
    later = latest(schedule_of(msgspec.structs.replace(FAST, calendar="24/7")), at("2018-07-15 02:00"))
    held(last + 10, later)
    row.refresh_from_db()
    assert row.state == "settled"
    assert set(record_of(row).settlement.classes) == {"AAA", "BBB", "CCC"}


def test_a_fault_of_ours_ends_the_round_and_the_worker_hears_of_it(station, monkeypatch):
    last = journaled(station, until_ns=OPENING.opens_ns)

    def fault(*_):
        raise IndexError("boolean index did not match")

    monkeypatch.setattr("tournaments.conduct.Conductor._score", fault)
    row = held(last)
    assert (row.state, row.reason) == ("void", "boolean index did not match")
    assert words()[-1][1]["outcome"] == "unchanged"


def test_after_a_settlement_variants_are_looked_for_on_the_bars_that_are_there_now(station):
    opening = latest(schedule_of(FAST), at("2018-12-16 02:00"))
    last = journaled(station, until_ns=opening.session.close_ns, count=170)
    asked_for = due("tournament", opening.key, opening.opens_ns, last - 2)
    assert rounds.scheduled(job_id=asked_for.id, owner="me")
    settles = due("tournament", f"settle_tournament:{opening.key}", opening.session.close_ns + 1, last)
    assert rounds.scheduled(job_id=settles.id, owner="me")
    search = Job.objects.get(name="propose_variants")
    assert evolution.propose(job_id=search.id, owner="me")
    search.refresh_from_db()
    assert (search.state, search.error) == ("done", "")
    assert int(search.result) > 0


def test_the_workers_answer_is_what_makes_an_allocation_be_in_force(station):
    held(journaled(station, until_ns=OPENING.opens_ns))
    assert allocation_in_force() is None
    answered(request_id="allocate-1", accepted=True, answer="")
    assert allocation_in_force().version == 1
    answered(request_id="allocate-1", accepted=False, answer="late")  # what was taken stays taken
    assert allocation_in_force().version == 1
    configured(weights={"momentum": 0.2})  # other weights of the settings end it
    assert allocation_in_force() is None


def test_a_refused_allocation_is_none_to_go_on_from(station):
    held(journaled(station, until_ns=OPENING.opens_ns))
    answered(request_id="allocate-1", accepted=False, answer="version = 1 is not above 1")
    row = AllocationVersion.objects.get()
    assert (row.state, row.answer) == ("refused", "version = 1 is not above 1")
    assert allocation_in_force() is None


@pytest.mark.parametrize("job", ["tournament", "settle"])
def test_a_job_without_a_round_is_answered_all_the_same(station, job):
    last = journaled(station, until_ns=OPENING.opens_ns)
    occurrence = "tournament:XNYS:2018-07-10" if job == "tournament" else "settle_tournament:tournament:XNYS:2018-07-10"
    found = due("tournament", occurrence, OPENING.opens_ns, last)
    assert rounds.scheduled(job_id=found.id, owner="me")
    [(_, word)] = words()
    assert (word["occurrence"], word["outcome"]) == (occurrence, "unchanged")
    assert not TournamentRound.objects.exists()


def test_a_round_that_cannot_be_held_is_void_answered_and_leaves_the_weights(station):
    last = journaled(station, until_ns=OPENING.opens_ns, count=2)
    row = held(last)
    assert row.state == "void"
    assert row.reason
    [(kind, word)] = words()
    assert (kind, word["outcome"], word["reason"]) == ("ModelEvent", "unchanged", row.reason)
    assert not AllocationVersion.objects.exists()


# --- by the wall clock ------------------------------------------------------------------------------------------------


@pytest.fixture
def live(station):
    """As ``station``, of a source whose time is the wall clock's."""
    ConfigurationVersion.objects.all().delete()
    configured(waits=False)
    journaled(station, until_ns=0)
    return station


def asked(now_ns):
    return [job.occurrence for job in schedule.tick(now_ns)]


def since(text):
    RulesVersion.objects.update(activated_at=pd.Timestamp(text, tz="America/New_York"))


def test_the_tick_leaves_a_source_whose_time_is_its_bars_to_the_engine(station):
    assert asked(at("2018-07-08 02:00")) == []


def test_the_missing_hour_in_march_is_held_once_at_three_daylight_time(live):
    since("2019-03-05")
    assert asked(at("2019-03-10 01:59:00")) == []  # a minute later it is 03:00
    assert asked(at("2019-03-10 03:00:00")) == ["tournament:XNYS:2019-03-11"]
    assert asked(at("2019-03-10 03:01:00")) == asked(at("2019-03-10 04:00:00")) == []
    assert Job.objects.filter(name="tournament").count() == 1


def test_the_double_hour_in_november_is_held_once_at_its_first_two_oclock(live):
    since("2019-10-29")
    first = pd.Timestamp("2019-11-03 01:30").tz_localize("America/New_York", ambiguous=True).value
    again = pd.Timestamp("2019-11-03 01:30").tz_localize("America/New_York", ambiguous=False).value
    assert asked(first) == asked(again) == []
    assert asked(at("2019-11-03 02:00:00")) == ["tournament:XNYS:2019-11-04"]
    assert asked(at("2019-11-03 02:01:00")) == []


def test_a_station_that_was_off_on_sunday_holds_the_round_before_the_session_and_not_after_it(live):
    since("2019-01-22")
    assert asked(at("2019-01-28 09:29:00")) == ["tournament:XNYS:2019-01-28"]
    assert asked(at("2019-02-04 09:30:00")) == []
    row = TournamentRound.objects.get(round_id="tournament:XNYS:2019-02-04")
    assert row.state == "void"
    assert "was not started between 2019-02-03T07:00:00Z and 2019-02-04T14:30:00Z" in row.reason
    assert asked(at("2019-02-04 09:31:00")) == []


def test_the_session_after_a_holiday_is_what_is_predicted(live):
    since("2019-01-15")
    assert asked(at("2019-01-20 02:00:00")) == ["tournament:XNYS:2019-01-22"]  # Monday is Martin Luther King's


def test_the_tick_asks_for_the_settlement_once_the_session_has_closed(live):
    since("2018-07-03")
    [job] = schedule.tick(OPENING.opens_ns)
    last = JobDue(
        engine_ns=OPENING.opens_ns, job=job.name, occurrence=job.occurrence, effective_from_ns=OPENING.opens_ns,
        through_seq=2 * 47 - 1, wait=False,
    )  # fmt: skip
    Job.objects.update(request=encode_payload(last).decode())
    ticks = iter(range(OPENING.opens_ns, OPENING.opens_ns + 10 * 10**9, 10**9))
    assert rounds.scheduled(job_id=job.id, owner="me", now_ns=lambda: next(ticks))
    row = TournamentRound.objects.get()
    assert row.state == "settle"
    assert [each.at_ns - OPENING.opens_ns for each in record_of(row).round.results] == [k * 10**9 for k in range(7)]
    assert asked(OPENING.session.close_ns - 1) == []
    assert asked(OPENING.session.close_ns) == [f"settle_tournament:{OPENING.key}"]
    assert asked(OPENING.session.close_ns + 60 * 10**9) == []


def test_prices_that_lack_are_asked_for_once_more_when_they_were_waited_for(live):
    since("2018-07-03")
    [job] = schedule.tick(OPENING.opens_ns)
    request = msgspec.structs.replace(msgspec.json.decode(job.request, type=JobDue), through_seq=2 * 47 - 1)
    Job.objects.update(request=encode_payload(request).decode())
    times = iter(range(OPENING.opens_ns, OPENING.opens_ns + 10 * 10**9, 10**9))
    assert rounds.scheduled(job_id=job.id, owner="me", now_ns=lambda: next(times))
    assert asked(OPENING.session.close_ns) == [f"settle_tournament:{OPENING.key}"]
    Job.objects.filter(occurrence__startswith="settle").update(state="failed")  # it had no prices
    assert asked(OPENING.session.close_ns + 71 * HOUR_NS) == []
    [again] = schedule.tick(OPENING.session.close_ns + 72 * HOUR_NS)
    assert again.occurrence == f"settle_tournament:{OPENING.key}#2"
    assert rounds.scheduled(job_id=again.id, owner="me", now_ns=lambda: OPENING.session.close_ns + 72 * HOUR_NS)
    assert TournamentRound.objects.get().state == "settled"
    assert asked(OPENING.session.close_ns + 73 * HOUR_NS) == []


def test_a_round_that_overruns_says_so_and_one_that_reaches_the_session_is_void(live):
    since("2018-07-03")
    [job] = schedule.tick(OPENING.opens_ns)
    request = msgspec.structs.replace(msgspec.json.decode(job.request, type=JobDue), through_seq=2 * 47 - 1)
    Job.objects.update(request=encode_payload(request).decode())
    times = iter([OPENING.opens_ns, OPENING.opens_ns + 3600 * 10**9, OPENING.session.open_ns])
    assert rounds.scheduled(job_id=job.id, owner="me", now_ns=lambda: next(times))
    row = TournamentRound.objects.get()
    assert [each.late for each in record_of(row).round.results] == [False, True]
    assert row.state == "void"
    assert "comes too late" in row.reason
    assert not AllocationVersion.objects.exists()


def test_rules_that_are_activated_move_the_engines_schedule(station, person):
    boss = person("tournament administrator")
    actions.draft_rules(changes={"weekday": "saturday", "hour": 10}, reason="another day", actor=boss)
    actions.activate_rules(version=2, reason="another day", actor=boss)
    newest = ConfigurationVersion.objects.first()
    moved = msgspec.json.decode(newest.content, type=Configuration).tournaments.schedule
    assert (newest.version, moved.weekday, moved.hour) == (2, "saturday", 10)
    assert words()[-1][1]["action"] == "configure"
