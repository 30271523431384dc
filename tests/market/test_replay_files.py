"""Files as feeds: what is sent in which order, and what is refused in one sentence."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from events.types import Bar, FeedEnd, Quote, SliceEnd, StanceEvent
from market.calendars import session_on
from market.feeds.inspect import FeedError, describe_run, feed_of_run
from market.feeds.merge import Slice, merge
from market.instruments import Instrument
from market.validation import DUPLICATE, LATE, OUT_OF_ORDER, Validator

MINUTE_NS = 60_000_000_000
QUOTES = ("ts", "sym", "bid_c", "bid_sz", "ask_c", "ask_sz")


def bar_row(stamp, symbol="AAPL", close=10.0):
    return (stamp, symbol, 10.0, 11.0, 9.0, close, 100.0)


def minute(number):
    return f"2019-02-11T14:{30 + number}:00Z"


def events_of(make, feed, **changes):
    description = describe_run(make.options(feed, **changes))
    return description, [event for batch in feed_of_run(description).batches() for event in batch.events]


def bars_of(events):
    return [event for event in events if isinstance(event, Bar)]


def test_slices_are_by_close_then_symbol_and_end_with_slice_end(make, tmp_path):
    rows = [bar_row(minute(n), symbol) for symbol in ("MSFT", "AAPL") for n in (0, 1, 2, 4)]
    _, events = events_of(make, f"replay:{make.csv(tmp_path / 'a.csv', rows)}")
    assert [type(event) for event in events] == [Bar, Bar, SliceEnd] * 4 + [FeedEnd]
    assert [bar.symbol for bar in bars_of(events)] == ["AAPL", "MSFT"] * 4
    closes = [event.close_ns for event in events if isinstance(event, SliceEnd)]
    first = pd.Timestamp(minute(0)).value
    assert closes == [first + n * MINUTE_NS for n in (1, 2, 3, 5)]  # the missing minute stays missing
    assert events[-1] == FeedEnd(feed="replay", bars=8, last_close_ns=closes[-1])


def test_a_quote_is_sent_with_the_slice_that_begins_as_it_stands(make, tmp_path):
    bars = make.csv(tmp_path / "a.csv", [bar_row(minute(n)) for n in range(4)])
    times = ["2019-02-11T14:28:00Z", "2019-02-11T14:29:00Z", minute(0), minute(1), minute(3)]
    rows = [(time, "AAPL", 9.99, 100 * n, "nan" if n == 3 else 10.01, 50) for n, time in enumerate(times)]
    quotes = make.csv(tmp_path / "q.csv", rows, QUOTES)
    description, events = events_of(make, f"replay:{quotes},{bars}")
    assert [type(event) for event in events] == [
        Quote, Bar, SliceEnd, Quote, Bar, SliceEnd, Quote, Bar, SliceEnd, Bar, SliceEnd, FeedEnd
    ]  # fmt: skip
    first = pd.Timestamp(minute(0)).value
    assert [(each.ts_ns - first, each.bid_size, each.ask) for each in events if isinstance(each, Quote)] == [
        (0, 100.0, 10.01), (MINUTE_NS, 200.0, 10.01), (2 * MINUTE_NS, 300.0, None)
    ]  # fmt: skip
    assert description["source"]["detail"] == "a.csv, q.csv"
    assert description["bars"] == events[-1].bars == 4
    assert description["warnings"] == ["1 quotes outside their symbol's sessions are left out"]


def test_a_resumed_feed_sends_the_same_quotes(make, tmp_path):
    bars = make.csv(tmp_path / "a.csv", [bar_row(minute(n), symbol) for symbol in "AB" for n in range(6)])
    rows = [(minute(n), symbol, 9.0, 1, 11.0, 1) for symbol in "BA" for n in range(5)]
    feed = feed_of_run(describe_run(make.options(f"replay:{bars},{make.csv(tmp_path / 'q.csv', rows, QUOTES)}")))
    whole = [event for batch in feed.batches() for event in batch.events]
    assert sum(isinstance(event, Quote) for event in whole) == 10
    for start in range(1, len(whole) + 1):
        assert [event for batch in feed.batches(start) for event in batch.events] == whole[start - 1 :]


@pytest.mark.parametrize("stamp", [
    lambda t: t.isoformat(), lambda t: t.strftime("%Y-%m-%d %H:%M:%S"),
    lambda t: t.tz_convert("America/New_York").isoformat(),
    lambda t: t.value // 10**9, lambda t: t.value // 10**6, lambda t: t.value // 10**3, lambda t: t.value,
    lambda t: f"{t.value / 1e9:.1f}",
])  # fmt: skip
def test_every_way_to_write_a_time(make, tmp_path, stamp):
    times = pd.date_range(minute(0), periods=3, freq="min")
    file = make.csv(tmp_path / "a.csv", [bar_row(stamp(time)) for time in times])
    _, events = events_of(make, f"replay:{file}")
    assert [bar.open_ns for bar in bars_of(events)] == [time.value for time in times]
    assert {bar.interval_s for bar in bars_of(events)} == {60}


def test_two_files_become_one_feed(make, tmp_path):
    a = make.csv(tmp_path / "a.csv", [bar_row(minute(n), "MSFT") for n in range(3)])
    b = make.parquet(tmp_path / "b.parquet", [bar_row(pd.Timestamp(minute(n)), "AAPL") for n in range(1, 4)])
    description, events = events_of(make, f"replay:{a},{b}")
    assert [bar.symbol for bar in bars_of(events)] == ["MSFT", "AAPL", "MSFT", "AAPL", "MSFT", "AAPL"]
    assert description["source"]["detail"] == "a.csv, b.parquet"
    assert description["symbols"] == ["AAPL", "MSFT"]


def test_daily_bars_close_with_their_session(make, tmp_path):
    days = ["2015-12-23", "2015-12-24", "2015-12-28", "2015-12-29", "2015-12-30", "2015-12-31"]
    _, events = events_of(make, f"replay:{make.csv(tmp_path / 'a.csv', [bar_row(day) for day in days])}")
    assert [bar.close_ns for bar in bars_of(events)] == [session_on("XNYS", day).close_ns for day in days]


def test_an_interval_overrides_the_most_common_step(make, tmp_path):
    file = make.csv(tmp_path / "a.csv", [bar_row(minute(n)) for n in range(0, 20, 5)])
    assert describe_run(make.options(f"replay:{file}"))["source"]["interval_s"] == 300
    description, events = events_of(make, f"replay:{file}", interval_s=60)
    assert description["source"]["interval_s"] == 60
    assert bars_of(events)[0].close_ns - bars_of(events)[0].open_ns == MINUTE_NS


def test_numbers_that_json_cannot_carry_arrive_as_nothing(make, tmp_path):
    rows = [(minute(0), "AAPL", "nan", 11, 9, 10, 1), (minute(1), "AAPL", "", 11, 9, "inf", 1), bar_row(minute(2))]
    _, events = events_of(make, f"replay:{make.csv(tmp_path / 'a.csv', rows)}")
    assert [(bar.open, bar.close) for bar in bars_of(events)] == [(None, 10.0), (None, None), (10.0, 10.0)]


def test_duplicate_and_late_rows_reach_the_validator(make, tmp_path):
    order = [0, 1, 1, 2, 0, 3, 5, 4, 6, 7, 8, 9]
    file = make.csv(tmp_path / "a.csv", [bar_row(minute(n), close=10 + 0.01 * i) for i, n in enumerate(order)])
    description, events = events_of(make, f"replay:{file}")
    assert len(bars_of(events)) == len(order)
    validator = Validator([Instrument(**description["instruments"][0])])
    refused, last_close = [], 0
    for event in events:
        if isinstance(event, Bar):
            refused.append(validator.check(event, last_close))
        elif isinstance(event, SliceEnd):
            assert event.close_ns > last_close
            last_close = event.close_ns
    assert [code for code in refused if code] == [DUPLICATE, LATE, OUT_OF_ORDER]
    assert refused.index(DUPLICATE) == 2  # the row that stands second in the file


def test_symbols_choose(make, tmp_path):
    file = make.csv(tmp_path / "a.csv", [bar_row(minute(n), symbol) for symbol in "BCA" for n in range(3)])
    description, events = events_of(make, f"replay:{file}", symbols=("C", "A"))
    assert description["symbols"] == ["A", "C"]
    assert {bar.symbol for bar in bars_of(events)} == {"A", "C"}
    assert "no definition of A" in description["warnings"][0]
    with pytest.raises(FeedError, match=r"--symbols: NVDA not in a\.csv, which has A, B, C"):
        describe_run(make.options(f"replay:{file}", symbols=("A", "NVDA")))


def bad_files(folder, make):
    good = [bar_row(minute(n)) for n in range(9)]
    whole = make.parquet(folder / "whole.parquet", good)
    (folder / "torn.parquet").write_bytes(whole.read_bytes()[:300])
    (folder / "torn.csv").write_text("ts,sym,o,h,l,c,v\n2019-02-11T14:30:00Z,AAPL,1,2,1,2,5\n2019-02-11T14:31:00Z,AA")
    (folder / "empty.csv").write_text("")
    (folder / "empty.parquet").write_text("")
    (folder / "noise.parquet").write_bytes(bytes(range(256)) * 9)
    (folder / "noise.csv").write_bytes(b"\xff\xfe\x00\x01" * 99)
    (folder / "bars.txt").write_text("hello")
    (folder / "folder.parquet").mkdir()
    make.csv(folder / "header.csv", [])
    make.csv(folder / "columns.csv", [(1, 2)], ("ts", "price"))
    make.csv(folder / "words.csv", [(minute(0), "AAPL", "cheap", 2, 1, 2, 5)])
    make.csv(folder / "times.csv", [("yesterday", "AAPL", 1, 2, 1, 2, 5)])
    make.csv(folder / "past.csv", [("1950-01-01T00:00:00Z", "AAPL", 1, 2, 1, 2, 5)])
    make.csv(folder / "nameless.csv", [(minute(0), "", 1, 2, 1, 2, 5)])
    make.csv(folder / "one.csv", [bar_row(minute(0))])
    make.csv(folder / "backwards.csv", good[::-1])
    make.csv(folder / "weekly.csv", [bar_row(day) for day in ("2019-02-04", "2019-02-11", "2019-02-18")])
    make.csv(folder / "hours.csv", [bar_row(f"2019-02-11T{hour}:00:00Z") for hour in range(14, 20)])
    for name, symbol, columns in (
        ("quotes", "AAPL", QUOTES), ("lame", "AAPL", QUOTES[:-1]), ("foreign", "MSFT", QUOTES),
    ):  # fmt: skip
        rows = [(pd.Timestamp(minute(n)), symbol, 1.0, 5, 1.0, 5)[: len(columns)] for n in range(3)]
        make.parquet(folder / f"{name}.parquet", rows, columns)


@pytest.mark.parametrize(
    ("feed", "sentence"),
    [
        ("replay:D/absent.parquet", "does not exist"),
        ("replay:D/empty.csv", "is empty"),
        ("replay:D/empty.parquet", "is empty"),
        ("replay:D/header.csv", "has no rows"),
        ("replay:D/torn.parquet", "cannot be read as Parquet"),
        ("replay:D/torn.csv", "cannot be read as CSV"),
        ("replay:D/noise.parquet", "cannot be read as Parquet"),
        ("replay:D/noise.csv", "cannot be read as CSV|has no column"),
        ("replay:D/bars.txt", "must be a Parquet"),
        ("replay:D/folder.parquet", "is a folder"),
        ("replay:D/columns.csv", "has no column sym, o, h, l, c, v"),
        ("replay:D/words.csv", "cheap"),
        ("replay:D/times.csv", "column ts holds no time"),
        ("replay:D/past.csv", "is not within 1980 to 2049"),
        ("replay:D/nameless.csv", "row 1 has no sym"),
        ("replay:D/one.csv", "give --interval SECONDS"),
        ("replay:D/backwards.csv", "is not sorted by time"),
        ("replay:D/weekly.csv", "the most common step of AAPL is 604800 s"),
        ("replay:D/quotes.parquet", "holds quotes .* and no bars; name the bars too"),
        ("replay:D/whole.parquet,D/lame.parquet", "has no column ask_sz; quotes need"),
        ("replay:D/whole.parquet,D/foreign.parquet", "has quotes of MSFT, none of which has bars"),
        ("replay:D/whole.parquet,D/hours.csv", "has bars of 60 s in whole.parquet and of 3600 s in hours.csv"),
        ("replay:D/whole.parquet,D/whole.parquet", "names a file twice"),
        ("replay:", "must name files"),
        ("replay", "must name files"),
        ("sample:1", "takes none"),
        ("simulated:seed=x", 'seed = "x" must be a whole number'),
        ("simulated:speed=1", "is unknown"),
        ("simulated:start=never", "must be a date"),
        ("bloomberg", "use replay, sample, simulated"),
    ],
)
def test_a_bad_source_is_one_sentence(make, tmp_path, feed, sentence):
    bad_files(tmp_path, make)
    with pytest.raises(FeedError, match=sentence) as caught:
        describe_run(make.options(feed.replace("D/", f"{tmp_path}/")))
    assert "\n" not in str(caught.value)


STANCE = ("strategy", "symbol", "bias", "confidence", "effective_from", "expiry", "source")


def stances(make, path, *rows):
    return make.parquet(path, rows, STANCE)


def stance(  # noqa: PLR0917 - a row of the file
    begins="2019-02-11T14:31:30Z", ends="2019-02-11T15:00:00Z", bias=0.5, confidence=0.8, symbol="*", name="momentum"
):
    return (name, symbol, bias, confidence, pd.Timestamp(begins), pd.Timestamp(ends), "test")


def test_stances_come_before_the_slice_in_which_they_begin(make, tmp_path):
    file = make.csv(tmp_path / "a.csv", [bar_row(minute(n)) for n in range(4)])
    late, first = stance("2019-02-11T20:00:00Z", "2019-02-11T21:00:00Z"), stance("2019-02-11T14:31:00Z")
    series = stances(make, tmp_path / "s.parquet", late, stance(), first)
    _, events = events_of(make, f"replay:{file}", stances=series)
    kinds = [type(event).__name__[0] for event in events]
    assert "".join(kinds) == "SBS" + "SBS" + "BS" + "BS" + "SF"
    given = [event for event in events if isinstance(event, StanceEvent)]
    assert [event.version for event in given] == [1, 2, 3]
    assert given[0].effective_from_ns == pd.Timestamp(minute(1)).value
    assert (given[0].bias, given[0].confidence, given[0].symbol) == (0.5, 0.8, "*")


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        (stance(bias=1.5), "row 1: bias = 1.5 is outside -1 to 1"),
        (stance(bias=float("nan")), "row 1: bias = nan is outside"),
        (stance(confidence=-0.1), "confidence = -0.1 is outside 0 to 1"),
        (stance(symbol="MSFT"), 'symbol = "MSFT" is unknown; use \\*, AAPL'),
        (stance(name="astrology"), 'strategy = "astrology" is unknown; use momentum'),
        (stance(ends="2019-02-11T14:31:30Z"), "expiry is not after effective_from"),
    ],
)
def test_a_bad_stance_is_one_sentence(make, tmp_path, row, sentence):
    file = make.csv(tmp_path / "a.csv", [bar_row(minute(n)) for n in range(4)])
    series = stances(make, tmp_path / "s.parquet", row)
    with pytest.raises(FeedError, match=sentence):
        describe_run(make.options(f"replay:{file}", stances=series), strategies=["momentum"])


@settings(deadline=None)
@given(
    sizes=st.lists(st.integers(0, 3), min_size=1, max_size=8),
    begins=st.lists(st.integers(0, 12), max_size=5),
    cut=st.integers(1, 60),
)
def test_resuming_anywhere_gives_the_rest(sizes, begins, cut):
    def bars(close, size):
        return [Bar(feed="f", symbol=f"S{i}", open_ns=close - 1, interval_s=1, open=1.0, high=1.0, low=1.0, close=1.0,
                    volume=1.0, close_ns=close) for i in range(size)]  # fmt: skip

    slices = [Slice(n, size, lambda n=n, size=size: bars(n, size)) for n, size in enumerate(sizes, start=1)]
    opinions = [StanceEvent(strategy="a", symbol="*", bias=0.0, confidence=0.0, effective_from_ns=begin, expiry_ns=99,
                            source="t", version=i) for i, begin in enumerate(sorted(begins))]  # fmt: skip
    whole = list(merge("f", slices, opinions, 1))
    events = [event for batch in whole for event in batch.events]
    rest = list(merge("f", slices, opinions, cut))
    assert [event for batch in rest for event in batch.events] == events[cut - 1 :]
    assert all(batch.first == (cut if i == 0 else rest[i - 1].last + 1) for i, batch in enumerate(rest))
    assert whole[-1].bars == sum(sizes)


def test_history_gives_what_closed_between(make, tmp_path):
    file = make.csv(tmp_path / "a.csv", [bar_row(minute(n)) for n in range(5)])
    feed = feed_of_run(describe_run(make.options(f"replay:{file}")))
    begin = pd.Timestamp(minute(1)).value
    assert [bar.open_ns for bar in feed.history(begin, begin + 2 * MINUTE_NS)] == [begin, begin + MINUTE_NS]
    assert feed.health().ok
    file.unlink()
    assert not feed.health().ok
    assert np.all([bar.close_ns > 0 for bar in feed.history(0, 2**62)])
