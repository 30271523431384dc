"""Sessions: half days, holidays, far years, what overlaps them, and what is refused."""

import numpy as np
import pandas as pd
import pytest

from market import calendars


def utc(text):
    return pd.Timestamp(text, tz="UTC").value


@pytest.mark.parametrize(
    ("date", "opens", "closes"),
    [
        ("1998-01-02", "1998-01-02 14:30", "1998-01-02 21:00"),
        ("2011-03-14", "2011-03-14 13:30", "2011-03-14 20:00"),
        ("2015-12-24", "2015-12-24 14:30", "2015-12-24 18:00"),
        ("2027-11-26", "2027-11-26 14:30", "2027-11-26 18:00"),
    ],
)
def test_new_york_sessions(date, opens, closes):
    session = calendars.session_on("XNYS", date)
    assert (session.date, session.open_ns, session.close_ns) == (date, utc(opens), utc(closes))


@pytest.mark.parametrize("date", ["2015-12-25", "2015-12-26", "2019-01-21", "2001-09-11"])
def test_no_session_on_weekends_and_holidays(date):
    assert calendars.session_on("XNYS", date) is None
    assert calendars.session_containing("XNYS", utc(f"{date} 16:00")) is None


def test_a_range_holds_every_session_that_it_touches():
    found = calendars.sessions("XNYS", utc("2015-12-23 20:59"), utc("2015-12-28 14:30"))
    assert found.dates == ("2015-12-23", "2015-12-24", "2015-12-28")
    assert found.opens_ns.dtype == found.closes_ns.dtype == np.int64
    assert calendars.sessions("XNYS", utc("2015-12-23 21:00"), utc("2015-12-24 14:29")).dates == ()
    assert len(calendars.sessions("XNYS", utc("1998-01-01"), utc("2027-12-31"))) == 7544


def test_neighbours():
    holiday = utc("2015-12-25")
    assert calendars.next_session("XNYS", holiday).date == "2015-12-28"
    assert calendars.previous_session("XNYS", holiday).date == "2015-12-24"
    assert calendars.next_session("XNYS", utc("2015-12-24 14:30")).date == "2015-12-28"


@pytest.mark.parametrize(
    ("opens", "closes", "date"),
    [
        ("2015-12-23 14:00", "2015-12-23 15:00", "2015-12-23"),  # an hour that begins before the session
        ("2015-12-23 14:00", "2015-12-23 14:30", None),
        ("2015-12-23 21:00", "2015-12-23 21:01", None),
        ("2015-12-23 20:59", "2015-12-23 21:04", "2015-12-23"),
        ("2015-12-24 00:00", "2015-12-24 18:00", "2015-12-24"),  # a daily bar
    ],
)
def test_a_bar_is_in_session_if_it_overlaps_one(opens, closes, date):
    session = calendars.session_of_bar("XNYS", utc(opens), utc(closes))
    assert (session.date if session else None) == date


def test_coins_have_the_utc_day():
    session = calendars.session_of_bar("24/7", utc("2022-01-01 23:59"), utc("2022-01-02"))
    assert (session.date, session.open_ns, session.close_ns) == ("2022-01-01", utc("2022-01-01"), utc("2022-01-02"))


def test_unknown_calendar_and_range_are_refused_in_a_sentence():
    with pytest.raises(calendars.CalendarError, match='calendar "NOWHERE" is unknown'):
        calendars.sessions("NOWHERE", 0, 1)
    with pytest.raises(calendars.CalendarError, match="is outside"):
        calendars.sessions("XNYS", utc("1960-01-01"), utc("1961-01-01"))


def test_a_calendar_whose_record_begins_later():
    assert calendars.session_on("XTKS", "2015-01-05") is not None
