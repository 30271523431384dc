"""From bus entries to slices and stances."""

import msgspec
import pytest
from worker_station import FEED, feed_entries

from events.bus import Entry
from events.codec import envelope
from events.streams import CONTROL_WORKER, market_stream
from events.types import Bar, ControlEvent, ModelEvent, Quote, SliceEnd, StanceEvent
from market.instruments import Instrument
from market.validation import Validator
from worker.intake import EntriesLostError, MarketIntake, control_input

STREAM = market_stream(FEED)


def intake(position="0-0", stance="", last=0, refuse=lambda _bar, _last: None):
    return MarketIntake(STREAM, position, stance, last, refuse)


def entries(events, start=0):
    return [
        Entry(STREAM, f"{start + number}-0", envelope(kind, "feed", payload, 1000 + number))
        for number, (kind, payload) in enumerate(events, 1)
    ]


def taken(source, made):
    return [incoming for entry in made if (incoming := source.take(entry)) is not None]


def bar(symbol="A", close_ns=60_000_000_000, **changes):
    fields = {"open": 1.0, "high": 1.0, "low": 1.0, "close": 1.0, "volume": 1.0, **changes}
    return Bar(feed=FEED, symbol=symbol, open_ns=close_ns - 60_000_000_000, interval_s=60, close_ns=close_ns, **fields)


COIN = Instrument(symbol="A", asset_class="crypto", exchange="T", calendar="24/7", currency="USD", tick=1.0)


def end(close_ns=60_000_000_000, bars=1):
    return ("SliceEnd", SliceEnd(feed=FEED, close_ns=close_ns, bars=bars))


def test_a_close_becomes_one_slice_in_symbol_order_with_the_position_after_it():
    made = taken(intake(), entries([("MarketEvent", bar("B")), ("MarketEvent", bar("A")), end(bars=2)]))
    (incoming,) = made
    assert [each.symbol for each in incoming.event.payload.bars] == ["A", "B"]
    assert incoming.event.payload.position == "3-0"
    assert incoming.sent_ns == 1003


def test_the_feeds_end_closes_an_empty_slice():
    made = [incoming for close in feed_entries(3) for incoming in [close]]
    source, count, slices = intake(), 0, []
    for close in made:
        slices += taken(source, entries(close, count))
        count += len(close)
    assert [len(one.event.payload.bars) for one in slices] == [8, 8, 8, 0]
    assert [one.event.payload.ended for one in slices] == [False, False, False, True]


def quote(ts_ns, symbol="A", **changes):
    fields = {"bid": 1.0, "bid_size": 5.0, "ask": 1.1, "ask_size": 5.0, **changes}
    return ("MarketEvent", Quote(feed=FEED, symbol=symbol, ts_ns=ts_ns, **fields))


def test_quotes_come_with_their_slice_in_order_of_time_and_late_ones_change_nothing():
    judge = Validator([COIN])
    source = MarketIntake(STREAM, "0-0", "", 100, lambda _bar, _last: None, validate_quote=judge.check_quote)
    made = [quote(150), quote(120), quote(99), quote(201), quote(100, "Z"), end(200, bars=0), end(300, bars=0)]
    first, second = [each.event.payload for each in taken(source, entries(made))]
    assert [each.ts_ns for each in first.quotes] == [120, 150]
    assert [(each.code, each.open_ns) for each in first.refused] == [
        ("LATE", 99), ("OTHER_CLOSE", 201), ("UNKNOWN_SYMBOL", 100),
    ]  # fmt: skip
    assert second.quotes == []


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({}, None),
        ({"ask": 1.0}, None),
        ({"ask": 0.9}, "CROSSED_QUOTE"),
        ({"bid": None}, "BAD_NAN"),
        ({"ask_size": float("nan")}, "BAD_NAN"),
        ({"ask": float("inf")}, "BAD_INFINITE"),
        ({"bid": 0.0}, "NOT_POSITIVE"),
        ({"bid_size": -1.0}, "NEGATIVE_SIZE"),
        ({"bid_size": 0.0}, None),
    ],
)
def test_a_quote_must_be_one(changes, code):
    judge = Validator([COIN])
    assert judge.check_quote(quote(5, **changes)[1], 5) == code
    assert judge.counts == ({code: 1} if code else {})


@pytest.mark.parametrize("after", ["3-0", "1-0", "9-0"])
def test_an_entry_that_is_not_the_next_one_is_a_loss(after):
    source = intake("1-0")
    with pytest.raises(EntriesLostError, match="journal stands at 1-0"):
        source.take(Entry(STREAM, after, b""))


def test_refused_bars_keep_their_code_and_reach_nobody():
    source = intake(refuse=lambda one, _last: "BAD_NAN" if one.close is None else None)
    (incoming,) = taken(
        source, entries([("MarketEvent", bar("A", close=None)), ("MarketEvent", bar("B")), end(bars=2)])
    )
    assert [each.symbol for each in incoming.event.payload.bars] == ["B"]
    assert [(each.code, each.symbol) for each in incoming.event.payload.refused] == [("BAD_NAN", "A")]


def test_garbage_and_bars_of_another_close_are_counted():
    made = entries([("MarketEvent", bar("A", close_ns=120_000_000_000)), end()])
    made.insert(0, Entry(STREAM, "1-0", b"\xff garbage"))
    made = [Entry(STREAM, f"{n}-0", one.event) for n, one in enumerate(made, 1)]
    (incoming,) = taken(intake(), made)
    assert [each.code for each in incoming.event.payload.refused] == ["UNREADABLE", "OTHER_CLOSE"]
    assert not incoming.event.payload.bars


def test_the_higher_revision_of_a_bar_stays():
    made = entries([("MarketEvent", bar(close=1.0)), ("MarketEvent", bar(close=2.0, high=2.0, revision=1)), end()])
    (incoming,) = taken(intake(), made)
    assert [(each.close, each.revision) for each in incoming.event.payload.bars] == [(2.0, 1)]


def test_engine_time_never_runs_backwards():
    (incoming,) = taken(intake(last=500_000_000_000), entries([end(60_000_000_000, 0)]))
    assert incoming.event.payload.close_ns == 500_000_000_000


def stance():
    return StanceEvent(
        strategy="momentum", symbol="*", bias=0.5, confidence=0.5, effective_from_ns=0, expiry_ns=1, source="x"
    )


def test_a_stance_passes_in_order_with_its_place_and_is_not_taken_twice():
    events = [("MarketEvent", bar()), ("StanceEvent", stance()), end()]
    first, second = taken(intake(), entries(events))
    assert first.event.payload.position == f"{STREAM} 2-0"
    assert second.event.type == "MarketSlice"
    again = taken(intake(stance=first.event.payload.position), entries(events))
    assert [one.event.type for one in again] == ["MarketSlice"]


def test_control_entries_carry_their_place():
    event = ControlEvent(action="kill", scope="all", target="", actor="a", reason="", request_id="1")
    made = control_input(Entry(CONTROL_WORKER, "7-1", envelope("ControlEvent", "relay", event, 1)))
    assert made.payload.position == f"{CONTROL_WORKER} 7-1"
    model = ModelEvent(
        name="calibrators",
        version=1,
        outcome="fitted",
        occurrence="o",
        sha256="",
        effective_from_ns=0,
        content=msgspec.Raw(b"{}"),
    )
    assert control_input(Entry(CONTROL_WORKER, "8-1", envelope("ModelEvent", "relay", model, 1))).type == "ModelEvent"
    assert control_input(Entry(CONTROL_WORKER, "9-1", b"garbage")) is None
    assert control_input(Entry(CONTROL_WORKER, "9-2", envelope("SliceEnd", "x", end()[1], 1))) is None
