"""When a refit of the covariance is due: from event time and what has been seen alone, seldom enough for a replay."""

import msgspec
import pytest

from engine.clock import LONGEST, Clock
from engine.configuration import Configuration, Source, load_settings
from engine.universe import Universe
from market.calendars import sessions
from market.instruments import Instrument

YEARS = sessions("XNYS", 946_684_800_000_000_000, 1_577_836_800_000_000_000)  # 2000 to 2019


def clock_of(interval_s: int, calendar: str = "XNYS") -> Clock:
    instrument = Instrument(
        symbol="AAA", asset_class="equity", exchange="XNYS", calendar=calendar, currency="USD", tick=0.01
    )
    source = Source(feed="t", label="REPLAY", detail="", interval_s=interval_s)
    settings = load_settings()
    return Clock(
        Universe(Configuration(version=1, mode="PAPER", settings=settings, instruments=[instrument], source=source))
    )


def run(clock: Clock, first: int, last: int, *, oldest: int = LONGEST, traded: bool = True) -> list[str]:
    """Go through sessions first to last (not included); return the sessions after which a refit was due."""
    due = []
    clock.start(int(YEARS.opens_ns[first]))
    for k in range(first, last):
        clock.traded = clock.traded or traded
        outputs = clock.advance(int(YEARS.closes_ns[k]) + 1, 0, oldest)
        due += [o.payload.occurrence for o in outputs if o.type == "JobDue" and o.payload.job == "refit_covariance"]
    return due


def test_twenty_years_of_daily_bars_cost_some_dozens_of_refits():
    assert 20 < len(run(clock_of(86_400), 0, len(YEARS), oldest=126)) < 80


def test_a_year_of_minutes_is_fitted_more_often_than_one_of_days():
    assert len(run(clock_of(60), 0, 250)) > 2 * len(run(clock_of(86_400), 0, 250))


def test_daily_bars_first_need_twenty_returns():
    assert run(clock_of(86_400), 0, 20) == []
    assert run(clock_of(86_400), 0, 21) == [f"refit_covariance:XNYS:{YEARS.dates[20]}"]


@pytest.mark.parametrize(("interval_s", "first"), [(60, 0), (300, 0), (900, 2), (3600, 8)])
def test_shorter_bars_need_sixty_returns(interval_s, first):
    due = run(clock_of(interval_s), 0, 12)
    assert due[0].endswith(YEARS.dates[first])
    assert len(due) == 12 - first


def test_the_rules_may_ask_for_a_younger_one():
    assert len(run(clock_of(86_400), 0, 1000, oldest=6)) > 180
    assert len(run(clock_of(86_400), 0, 100, oldest=1)) == 80


def test_sessions_without_a_bar_do_not_count():
    clock = clock_of(60)
    assert len(run(clock, 0, 3)) == 3
    assert run(clock, 3, 300, traded=False) == []
    assert len(run(clock, 300, 301)) == 1


def test_after_a_failure_the_next_session_tries_again():
    clock = clock_of(86_400)
    run(clock, 0, 1000)
    while not run(clock, clock.sessions, clock.sessions + 1):
        pass
    assert run(clock, clock.sessions, clock.sessions + 1) == []
    clock.covariance_failed()
    assert len(run(clock, clock.sessions, clock.sessions + 1)) == 1


def test_a_restored_clock_goes_on_as_the_other_one():
    whole, first, second = clock_of(86_400), clock_of(86_400), clock_of(86_400)
    due = run(whole, 0, 300)
    before = run(first, 0, 150)
    second.restore(msgspec.msgpack.decode(msgspec.msgpack.encode(first.keep()), type=type(first.keep())))
    assert before + run(second, 150, 300) == due


def test_only_the_home_calendar_brings_one():
    clock = clock_of(60, calendar="24/7")
    clock.start(int(YEARS.opens_ns[0]))
    clock.traded = True
    outputs = clock.advance(int(YEARS.opens_ns[1]), 0)
    due = [o.payload for o in outputs if o.type == "JobDue"]
    assert [job.occurrence for job in due] == [f"refit_covariance:24/7:{YEARS.dates[0]}"]
    assert all(job.wait for job in due)
