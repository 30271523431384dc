"""Bars that cannot be right, come twice, late or in another order: refused with their code, the rest untouched."""

import msgspec
import pytest
import worker_station as made

from events.types import SliceEnd
from tests.faults.stage import Stage
from worker.intake import OTHER_CLOSE

MINUTES = 200
EVERY = 10  # slices between two bad bars


def bad_bars(bar, before):
    """Return code to a bar that deserves it, made of a good one and the good one before it."""
    replace = msgspec.structs.replace
    return {
        "BAD_NAN": replace(bar, symbol="SYMA", close=None, revision=1),
        "NOT_POSITIVE": replace(bar, low=-1.0, revision=1),
        "INVERTED_OHLC": replace(bar, high=bar.low, low=bar.high + 1.0, revision=1),
        "NEGATIVE_VOLUME": replace(bar, volume=-5.0, revision=1),
        "DUPLICATE": bar,
        "LATE": replace(before, revision=1),
        "UNKNOWN_SYMBOL": replace(bar, symbol="NOBODY"),
        "BAD_LENGTH": replace(bar, interval_s=0, revision=1),
        OTHER_CLOSE: replace(bar, open_ns=bar.open_ns + 60_000_000_000, close_ns=bar.close_ns + 60_000_000_000),
    }


def closes(*, with_bad):
    """Return the feed's closes; with bad bars, every tenth one has one of each kind, and its good ones reversed."""
    found, before = [], None
    for number, (close_ns, bars) in enumerate(made.market(MINUTES)):
        sent = list(bars)
        if with_bad and number % EVERY == EVERY - 1:
            sent = [*reversed(bars), *bad_bars(bars[-1], before[-1]).values()]
        end = SliceEnd(feed=made.FEED, close_ns=close_ns, bars=len(sent))
        found.append([*(("MarketEvent", bar) for bar in sent), ("SliceEnd", end)])
        before = bars
    return found


def run(paths, bus, worker, entries):
    worker.start()
    bus.control(made.configure_event(made.configuration()))
    worker.until(lambda view: view["state"] == "ACTIVE")
    for close in entries:
        bus.send_close(close)
    view = worker.until(lambda view: view["counts"]["slices"] == len(entries))
    worker.stop()
    return view


@pytest.fixture
def clean(short_dir):
    paths = made.data_paths(short_dir / "clean")
    bus, worker = made.Bus(paths).start(), made.WorkerThread(paths)
    try:
        yield run(paths, bus, worker, closes(with_bad=False))
    finally:
        worker.stop()
        bus.stop()


def test_bad_bars_are_refused_and_counted(paths, bus, worker, clean, fault_row):
    view = run(paths, bus, worker, closes(with_bad=True))
    times = MINUTES // EVERY
    refused = view["counts"]["refused"]
    codes = set(bad_bars(next(iter(made.market(1)))[1][0], next(iter(made.market(1)))[1][0]))
    assert refused.keys() <= codes
    assert sum(refused.values()) == times * len(codes)
    for name in ("orders_sha256", "positions"):
        assert view[name] == clean[name]
    assert view["counts"]["orders"] == clean["counts"]["orders"] > 0
    fault_row(
        fault="bars NaN, negative, inverted, doubled, late, reordered, of an unknown symbol or length",
        orders="those of the run without them; the order within a slice does not matter",
        state=f"{view['state']} throughout",
        sees=f"counts by code on System: {', '.join(sorted(refused))}",
        recovers="nothing to recover: a bar that is refused changes nothing",
        measured=f"{sum(refused.values())} bars refused, the same {view['counts']['orders']} orders",
    )


def test_a_feed_that_falls_silent_is_told_within_its_stale_age(paths, fault_row):
    stage = Stage(paths)
    try:
        stage.start().until_slices(40)
        stage.feed.kill()
        stage.feed.wait()
        silent = stage.until_alert("FEED_SILENT")
        stage.until_alert("PROCESS_DOWN")
        stage.start_feed()
        view = stage.finish()
    finally:
        stage.close()
    assert stage.twice() == 0
    assert view["counts"]["bars"] == 390 * 8
    rules = stage.rules()
    fault_row(
        fault="feed ends or falls silent in an open market",
        orders="none without bars; new ones are denied STALE_PRICE where prices are too old",
        state=f"{silent['state']} throughout",
        sees=f"alerts {', '.join(rules)}; bars stale in the header",
        recovers="the supervisor starts it again, it goes on with the next entry",
        measured=f"bars {view['counts']['bars']} of {390 * 8}, twice 0",
    )
