"""Phases of real days: half days, holidays, weekends and both clock changes."""

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from market.phase_table import jobs_due
from market.phases import phase_at


def at(text, zone="America/New_York"):
    return pd.Timestamp(text, tz=zone).value


@pytest.mark.parametrize(
    ("instant", "name", "session", "until", "following"),
    [
        ("2019-02-11 09:29", "extended", "2019-02-11", "2019-02-11 09:30", "market"),
        ("2019-02-11 09:30", "market", "2019-02-11", "2019-02-11 16:00", "transition"),
        ("2019-02-11 16:00", "transition", "2019-02-11", "2019-02-11 16:15", "after_hours"),
        ("2019-02-11 16:15", "after_hours", "2019-02-11", "2019-02-11 20:00", "preparation"),
        ("2019-02-11 20:00", "preparation", "2019-02-12", "2019-02-12 04:00", "extended"),
        ("2019-02-12 04:00", "extended", "2019-02-12", "2019-02-12 09:30", "market"),
        ("2015-12-24 12:59", "market", "2015-12-24", "2015-12-24 13:00", "transition"),
        ("2015-12-24 13:00", "transition", "2015-12-24", "2015-12-24 13:15", "after_hours"),
        ("2015-12-24 13:15", "after_hours", "2015-12-24", "2015-12-24 20:00", "closed"),
        ("2015-12-25 12:00", "closed", "2015-12-28", "2015-12-27 02:00", "tournament"),
        ("2015-12-27 02:00", "tournament", "2015-12-28", "2015-12-27 03:00", "closed"),
        ("2015-12-27 03:00", "closed", "2015-12-28", "2015-12-27 20:00", "preparation"),
        ("2015-12-27 20:00", "preparation", "2015-12-28", "2015-12-28 04:00", "extended"),
        ("2011-03-13 01:59", "closed", "2011-03-14", "2011-03-13 03:00", "tournament"),
        ("2011-03-13 03:00", "tournament", "2011-03-14", "2011-03-13 04:00", "closed"),
        ("2018-11-04 02:00", "tournament", "2018-11-05", "2018-11-04 03:00", "closed"),
    ],
)
def test_new_york(instant, name, session, until, following):
    phase = phase_at("XNYS", at(instant))
    assert (phase.name, phase.session, phase.until_ns, phase.next) == (name, session, at(until), following)


@settings(deadline=None)
@given(instant=st.integers(at("1998-01-02"), at("2027-12-31")), calendar=st.sampled_from(["XNYS", "24/7"]))
def test_a_phase_lasts_until_the_next_begins(instant, calendar):
    phase = phase_at(calendar, instant)
    assert phase.until_ns > instant
    assert phase_at(calendar, phase.until_ns - 1) == phase
    after = phase_at(calendar, phase.until_ns)
    assert after.name == phase.next
    assert after != phase


def test_a_year_holds_one_tournament_a_week():
    instant, count = at("2019-01-01"), 0
    while instant < at("2020-01-01"):
        phase = phase_at("XNYS", instant)
        count += phase.name == "tournament"
        instant = phase.until_ns
    assert count == 52


def test_coins_have_a_phase_a_day():
    phase = phase_at("24/7", at("2022-01-01 12:00", "UTC"))
    assert (phase.name, phase.session, phase.next) == ("market", "2022-01-01", "market")
    assert phase.until_ns == at("2022-01-02", "UTC")


@pytest.mark.parametrize(
    ("calendar", "instant", "session"),
    [
        ("XNYS", at("2019-02-11 16:00"), "XNYS:2019-02-11"),
        ("XNYS", at("2019-02-11 09:30"), ""),
        ("24/7", at("2022-01-02", "UTC"), "24/7:2022-01-01"),
    ],
)
def test_everything_fitted_is_refitted_after_a_session(calendar, instant, session):
    due = jobs_due(calendar, phase_at(calendar, instant))
    jobs = ("refit_calibrators", "refit_slippage", "refit_covariance") if session else ()
    assert [job.occurrence for job in due] == [f"{job}:{session}" for job in jobs]
    assert all(job.wait for job in due)
