"""The aggregator against pandas, and its promises on any data."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from market.aggregation import EARLIER, MINUTE_NS, NOW, advance, new_buckets
from market.bars import empty_bars
from market.calendars import session_of_bar, session_on

NEW_YORK = "America/New_York"


def drive(rows, calendar, interval_minutes, bar_minutes=1):
    """Feed (open_ns, price, volume) rows of one symbol, one slice each; return the bars handed out."""
    state, closed, got = new_buckets(1), empty_bars(2, 1), []
    for open_ns, price, volume in rows:
        bars = empty_bars(1)
        close_ns = open_ns + bar_minutes * MINUTE_NS
        bars[0] = (price, price + 1, price - 1, price + 0.5, volume, open_ns, close_ns, True)
        session = session_of_bar(calendar, open_ns, close_ns)
        opens = np.array([session.open_ns if session else 0])
        closes = np.array([session.close_ns if session else 0])
        count = advance(state, interval_minutes * MINUTE_NS, close_ns, bars, opens, closes, closed)
        found = [closed[row, 0].copy() for row in (EARLIER, NOW) if closed[row, 0]["present"]]
        assert len(found) == count
        assert all(bar["close_ns"] <= close_ns for bar in found)
        got.extend(found)
    return got


def reference(rows, calendar, interval_minutes):
    """Return the same by pandas: group the session's bars by bucket, drop the unfinished last one."""
    table = []
    for open_ns, price, volume in rows:
        session = session_of_bar(calendar, open_ns, open_ns + MINUTE_NS)
        if session is not None:
            table.append((session.open_ns, session.close_ns, open_ns, price, volume))
    if not table:
        return []
    frame = pd.DataFrame(table, columns=["session", "end", "open_ns", "price", "volume"])
    frame["start"] = frame.session + (frame.open_ns - frame.session) // (interval_minutes * MINUTE_NS) * (
        interval_minutes * MINUTE_NS
    )
    frame["close_ns"] = (frame.start + interval_minutes * MINUTE_NS).clip(upper=frame.end)
    grouped = frame.groupby("start").agg(
        open=("price", "first"),
        high=("price", "max"),
        low=("price", "min"),
        close=("price", "last"),
        volume=("volume", "sum"),
        close_ns=("close_ns", "first"),
    )
    last_close = rows[-1][0] + MINUTE_NS
    return [
        (row.open, row.high + 1, row.low - 1, row.close + 0.5, row.volume, start, int(row.close_ns))
        for start, row in grouped.iterrows()
        if row.close_ns <= last_close
    ]


def plain(bars):
    return [
        (b["open"], b["high"], b["low"], b["close"], b["volume"], int(b["open_ns"]), int(b["close_ns"])) for b in bars
    ]


@settings(deadline=None)
@given(
    minutes=st.lists(st.integers(0, 3 * 24 * 60), min_size=1, max_size=150, unique=True).map(sorted),
    prices=st.lists(st.integers(50, 150), min_size=150, max_size=150),
    interval=st.sampled_from([5, 15, 60]),
    calendar=st.sampled_from(["XNYS", "24/7"]),
    start=st.sampled_from(["2015-12-23", "2019-02-11", "2011-03-11"]),
)
def test_equals_pandas(minutes, prices, interval, calendar, start):
    base = pd.Timestamp(start, tz="UTC").value
    rows = [(base + minute * MINUTE_NS, float(prices[i]), 10.0) for i, minute in enumerate(minutes)]
    assert plain(drive(rows, calendar, interval)) == reference(rows, calendar, interval)


def minutes_of(date, first, last):
    return [
        (stamp.value, 100.0, 1.0)
        for stamp in pd.date_range(f"{date} {first}", f"{date} {last}", freq="min", tz=NEW_YORK, inclusive="left")
    ]


@pytest.mark.parametrize(
    ("date", "ends"),
    [
        ("2019-02-11", ["10:30", "11:30", "12:30", "13:30", "14:30", "15:30", "16:00"]),
        ("2015-12-24", ["10:30", "11:30", "12:30", "13:00"]),
    ],
)
def test_hours_of_a_session_end_at_its_close(date, ends):
    got = drive(minutes_of(date, "08:00", "20:00"), "XNYS", 60)
    clock = [pd.Timestamp(int(bar["close_ns"]), tz=NEW_YORK).strftime("%H:%M") for bar in got]
    assert clock == ends
    assert got[-1]["volume"] == 30.0  # the last half hour, and nothing of after hours


def test_a_gap_hands_out_the_old_bucket_and_the_one_that_ends_now():
    opens = session_on("XNYS", "2019-02-11").open_ns
    got = drive([(opens, 100.0, 1.0), (opens + 9 * MINUTE_NS, 110.0, 2.0)], "XNYS", 5)
    assert plain(got) == [
        (100.0, 101.0, 99.0, 100.5, 1.0, opens, opens + 5 * MINUTE_NS),
        (110.0, 111.0, 109.0, 110.5, 2.0, opens + 5 * MINUTE_NS, opens + 10 * MINUTE_NS),
    ]


def test_bars_as_long_as_the_interval_pass_through_in_session_only():
    first = pd.Timestamp("2015-12-23 09:00", tz=NEW_YORK).value  # an hour bar that covers 09:30-10:00
    night = pd.Timestamp("2015-12-23 20:00", tz=NEW_YORK).value
    got = drive([(first, 100.0, 5.0), (night, 1.0, 1.0)], "XNYS", 60, bar_minutes=60)
    assert plain(got) == [(100.0, 101.0, 99.0, 100.5, 5.0, first, first + 60 * MINUTE_NS)]


def test_a_bar_that_closes_after_the_session_enters_no_bucket():
    late = pd.Timestamp("2019-02-11 15:57", tz=NEW_YORK).value
    after = pd.Timestamp("2019-02-11 16:04", tz=NEW_YORK).value
    assert drive([(late, 100.0, 5.0), (after, 1.0, 1.0)], "XNYS", 60, bar_minutes=7) == []
