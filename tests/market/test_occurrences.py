"""One occurrence a week, on both clock changes too, whoever starts it and however late the station is."""

import bisect
from datetime import date, timedelta

import msgspec
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from market.occurrences import (
    OccurrenceError,
    between,
    by_hand,
    latest,
    opening_ns,
    pending,
    predicted_sessions,
    upcoming,
)
from market.phases import tournament_window
from tournaments.rules import Rules, schedule_of

MINUTE = 60_000_000_000
HOUR = 60 * MINUTE
WEEK = 7 * 24 * HOUR
DEFAULT = schedule_of(Rules())


def at(text, zone="America/New_York"):
    return pd.Timestamp(text, tz=zone).value


def utc(text):
    return at(text, "UTC")


def schedule(**fields):
    return schedule_of(msgspec.structs.replace(Rules(), **fields))


def opened_during(schedule_, start, end):
    return [(each.key, each.opens_ns) for each in between(schedule_, start - 1, end)]


def test_the_missing_hour_in_march_opens_at_three_edt_the_instant_of_two_est():
    found = latest(DEFAULT, utc("2019-03-10 12:00"))
    assert found.opens_ns == utc("2019-03-10 07:00") == at("2019-03-10 03:00")
    assert found.opens_ns == at("2019-03-10 01:00") + HOUR
    assert found.key == "tournament:XNYS:2019-03-11"
    assert latest(DEFAULT, found.opens_ns - 1).key == "tournament:XNYS:2019-03-04"
    assert len(between(DEFAULT, utc("2019-03-10 00:00"), utc("2019-03-11 00:00"))) == 1


def test_an_opening_inside_the_missing_hour_is_an_hour_later_by_the_clock():
    found = between(schedule(minute=30), utc("2019-03-10 00:00"), utc("2019-03-11 00:00"))
    assert [each.opens_ns for each in found] == [at("2019-03-10 03:30")]


def test_the_double_hour_in_november_opens_once_the_first_time():
    found = between(schedule(hour=1, minute=30), utc("2019-11-03 00:00"), utc("2019-11-04 00:00"))
    assert [each.opens_ns for each in found] == [utc("2019-11-03 05:30")]  # 01:30 EDT; 01:30 EST is an hour later
    assert [each.key for each in found] == ["tournament:XNYS:2019-11-04"]


def test_two_oclock_on_the_sunday_in_november_is_two_est():
    found = between(DEFAULT, utc("2019-11-03 00:00"), utc("2019-11-04 00:00"))
    assert [each.opens_ns for each in found] == [utc("2019-11-03 07:00")]


@pytest.mark.parametrize("day", [date(2000, 1, 2) + timedelta(weeks=week) for week in range(0, 1600, 7)])
def test_the_default_opening_is_the_tournament_hour_of_the_phases(day):
    begin, end = tournament_window(day)
    found = latest(DEFAULT, begin)
    assert (found.opens_ns, found.closes_ns) == (begin, end)


def test_a_holiday_moves_the_predicted_session_and_not_the_round():
    found = between(DEFAULT, utc("2019-01-05"), utc("2019-02-11"))
    assert [each.session.date for each in found] == [
        "2019-01-07", "2019-01-14", "2019-01-22", "2019-01-28", "2019-02-04", "2019-02-11",
    ]  # fmt: skip
    assert [pd.Timestamp(each.opens_ns, tz="America/New_York").strftime("%a %d") for each in found] == [
        "Sun 06", "Sun 13", "Sun 20", "Sun 27", "Sun 03", "Sun 10",
    ]  # fmt: skip


def test_a_holiday_longer_than_a_week_has_one_round_the_last_before_its_session():
    found = between(schedule(calendar="XSHG"), utc("2023-09-23"), utc("2023-10-12"))
    assert [each.key for each in found] == ["tournament:XSHG:2023-09-25", "tournament:XSHG:2023-10-09"]
    assert found[1].opens_ns == at("2023-10-08 02:00")


def test_ticking_every_minute_for_two_years_starts_every_week_once():
    """A tick starts what it does not know yet."""
    start, end = utc("2018-01-01"), utc("2020-01-01")
    known, starts = set(), []
    for now in range(start, end, MINUTE):
        found = latest(DEFAULT, now)
        if found.key not in known:
            known.add(found.key)
            starts.append(now)
    sundays = list(pd.date_range("2018-01-01", "2020-01-01", freq="W-SUN", inclusive="left"))
    assert starts.pop(0) == start  # the week that had begun before the year
    assert len(starts) == len(sundays)
    local = pd.DatetimeIndex(pd.to_datetime(starts, utc=True)).tz_convert("America/New_York")
    assert [each.date() for each in local] == [each.date() for each in sundays]
    assert set(local.hour) <= {2, 3}
    assert sum(local.hour == 3) == 2  # the two Sundays in March
    assert set(np.diff(starts)) <= {WEEK - HOUR, WEEK, WEEK + HOUR}


SCHEDULES = st.builds(
    schedule,
    weekday=st.sampled_from(["monday", "saturday", "sunday"]),
    hour=st.integers(0, 23),
    minute=st.integers(0, 59),
    zone=st.sampled_from(
        ["America/New_York", "Europe/London", "Australia/Lord_Howe", "Pacific/Apia", "Pacific/Kiritimati"]
    ),
    calendar=st.sampled_from(["XNYS", "24/7"]),
)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    schedule_=SCHEDULES,
    start=st.integers(utc("2018-01-01"), utc("2024-01-01")),
    steps=st.lists(st.integers(1, 10 * 24 * 60), min_size=1, max_size=80),
)
def test_however_the_ticks_come_every_occurrence_is_started_or_void_once(schedule_, start, steps):
    now, known, ended = start, set(), []
    for minutes in steps:
        now += minutes * MINUTE
        for each in pending(schedule_, since_ns=start, now_ns=now, known=known):
            assert each.due == (now < each.occurrence.session.open_ns)
            assert each.occurrence.opens_ns <= now
            known.add(each.occurrence.key)
            ended.append((each.occurrence.key, each.occurrence.opens_ns))
        assert pending(schedule_, since_ns=start, now_ns=now, known=known) == []
    assert ended == opened_during(schedule_, start + 1, now)
    assert len(known) == len(ended)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(schedule_=SCHEDULES, instant=st.integers(utc("1995-01-01"), utc("2026-01-01")))
def test_the_last_and_the_next_occurrence_are_neighbours_and_predict_what_comes(schedule_, instant):
    last, following = latest(schedule_, instant), upcoming(schedule_, instant)
    assert last.opens_ns <= instant < following.opens_ns
    assert between(schedule_, last.opens_ns, following.opens_ns) == [following]
    assert WEEK - 25 * HOUR <= following.opens_ns - last.opens_ns <= WEEK + 25 * HOUR
    for each in (last, following):
        assert each.opens_ns < each.session.open_ns < each.session.close_ns
        assert each.closes_ns - each.opens_ns == HOUR
    assert last.session.open_ns <= following.opens_ns
    assert last.key != following.key


def test_the_key_is_the_same_whoever_starts_it_and_when():
    keys = {latest(DEFAULT, at(text)).key for text in ("2019-01-06 02:00", "2019-01-06 02:59", "2019-01-07 09:29")}
    assert keys == {"tournament:XNYS:2019-01-07"}


def test_a_schedule_moved_within_the_week_does_not_hold_a_second_round_for_the_session():
    sunday = latest(DEFAULT, at("2019-01-06 02:00"))
    later, saturday = schedule(hour=5), schedule(weekday="saturday")
    assert pending(later, since_ns=at("2019-01-06 03:00"), now_ns=at("2019-01-06 06:00"), known={sunday.key}) == []
    assert latest(saturday, at("2019-01-06 00:00")).key == sunday.key


def test_daily_there_is_one_round_for_every_session_the_night_before():
    daily = schedule(interval="daily")
    found = between(daily, at("2019-01-18 00:00"), at("2019-01-24 00:00"))
    assert [each.session.date for each in found] == ["2019-01-18", "2019-01-22", "2019-01-23"]
    assert [each.opens_ns for each in found] == [at(f"2019-01-{day} 02:00") for day in (18, 22, 23)]


def test_a_station_off_on_sunday_holds_the_round_at_its_next_start_before_the_session():
    found = pending(DEFAULT, since_ns=at("2019-01-05 00:00"), now_ns=at("2019-01-07 09:29:59.999"), known=set())
    assert [(each.occurrence.key, each.due) for each in found] == [("tournament:XNYS:2019-01-07", True)]


def test_a_station_off_until_the_session_opened_voids_the_round_with_the_reason():
    found = pending(DEFAULT, since_ns=at("2019-01-05 00:00"), now_ns=at("2019-01-07 09:30"), known=set())
    assert [each.due for each in found] == [False]
    assert found[0].reason == (
        "the round was not started between 2019-01-06T07:00:00Z and 2019-01-07T14:30:00Z, when session 2019-01-07 "
        "opened; a round must start before the session that it predicts"
    )


def test_a_station_off_for_weeks_voids_each_and_holds_the_last():
    found = pending(DEFAULT, since_ns=at("2019-01-05 00:00"), now_ns=at("2019-01-20 12:00"), known=set())
    assert [(each.occurrence.session.date, each.due) for each in found] == [
        ("2019-01-07", False), ("2019-01-14", False), ("2019-01-22", True),
    ]  # fmt: skip


def test_before_the_schedule_held_nothing_is_missed_and_switched_off_nothing_is_due():
    activated, now = at("2019-01-06 02:00"), at("2019-01-06 12:00")
    assert pending(DEFAULT, since_ns=activated, now_ns=now, known=set()) == []
    assert len(pending(DEFAULT, since_ns=activated - 1, now_ns=now, known=set())) == 1
    assert pending(schedule(enabled=False), since_ns=activated - 1, now_ns=now, known=set()) == []


def test_by_hand_has_its_own_key_one_a_request():
    now = at("2019-01-09 12:00")
    found = by_hand(DEFAULT, now, "4f2c")
    assert (found.key, found.opens_ns, found.session.date) == ("tournament:hand:4f2c", now, "2019-01-10")
    assert found.by_hand
    assert by_hand(DEFAULT, now + MINUTE, "4f2c").key == found.key != by_hand(DEFAULT, now, "5a").key
    assert found.key != latest(DEFAULT, now).key


@pytest.mark.parametrize("request_", ["", "x" * 101, "a\nb", "a\x00"])
def test_a_request_without_a_name_is_refused(request_):
    with pytest.raises(OccurrenceError, match="request = "):
        by_hand(DEFAULT, at("2019-01-09 12:00"), request_)


def test_each_calendar_predicts_its_own_next_session():
    sealed = at("2019-01-20 02:20")
    found = predicted_sessions(["24/7", "XNYS", "XNYS"], sealed)
    assert {name: each.date for name, each in found.items()} == {"24/7": "2019-01-21", "XNYS": "2019-01-22"}
    midnight = utc("2019-01-21 00:00")
    assert predicted_sessions(["24/7"], midnight)["24/7"].date == "2019-01-22"


@pytest.mark.parametrize("zone", ["Pacific/Apia", "Pacific/Kiritimati", "Pacific/Pago_Pago"])
@pytest.mark.parametrize("hour", [0, 23])
def test_far_zones_lose_no_opening_between_two_blocks_of_days(zone, hour):
    far = schedule(zone=zone, calendar="24/7", hour=hour, minute=59)
    found = [each.opens_ns for each in between(far, utc("2015-01-01"), utc("2020-01-01"))]
    sundays = [date(2014, 12, 28) + timedelta(weeks=week) for week in range(264)]
    opens = sorted(opening_ns(far, day) for day in sundays)
    low, high = bisect.bisect_right(opens, utc("2015-01-01")), bisect.bisect_right(opens, utc("2020-01-01"))
    assert found == opens[low:high]
