"""Silent processes around the worker, a feed from which nothing comes, a bus that refuses, a clock that jumps."""

import time

import pytest
from worker_station import FEED

from engine.output import Output
from events.codec import decode_payload
from worker.neighbours import Neighbours

BEATING = {"feed": {"metrics": {"speed": 60.0}}, "recorder": {"metrics": {}}}


class Around:
    """Neighbours whose beats, refusals and seconds the test sets."""

    def __init__(self, bench):
        self.bench = bench
        self.beats = dict(BEATING)
        self.refused = ""
        self.now = 1000.0
        self.watch = Neighbours(bench.core, lambda _: self.beats, lambda: self.refused, lambda: self.now)

    def look(self, seconds=1.0):
        self.now += seconds
        self.watch.look()
        return self.rules()

    def rules(self):
        found = [decode_payload("RiskAlert", r.payload) for r in self.bench.records if r.type == "RiskAlert"]
        return [(alert.rule, alert.message.split(" ")[0]) for alert in found if alert.rule != "CLOCK_JUMP"]


@pytest.fixture
def around(bench):
    bench.configure()
    for one in bench.slices(30):
        bench.core.apply(Output("MarketSlice", f"feed:{FEED}", one))
    return Around(bench)


def test_a_process_without_a_beat_is_told_once_and_so_is_its_return(around):
    assert around.look() == []
    del around.beats["recorder"]
    assert [around.look(0.1) for _ in range(3)][-1] == [("PROCESS_DOWN", "recorder")]
    around.beats = dict(BEATING)
    assert around.look(0.1)[1:] == [("PROCESS_UP", "recorder")]


def test_a_process_that_never_beat_is_not_missed(around):
    around.beats = {}
    assert around.look() == []


def test_a_bus_away_for_three_seconds_is_told(around):
    around.beats = None
    assert around.look(2.0) == []
    assert around.look(1.5) == [("PROCESS_DOWN", "bus")]
    around.beats = dict(BEATING)
    assert around.look(0.1)[1:] == [("PROCESS_UP", "bus")]


def test_a_feed_silent_in_an_open_market_is_told_after_two_bars_and_the_stale_age(around):
    around.look(0.1)
    assert around.look(6.9) == []  # two minutes at sixty times are two seconds, and five more
    assert around.look(0.3) == [("FEED_SILENT", "nothing")]
    around.look(60)
    for one in around.bench.slices(31, first=30):
        around.bench.core.apply(Output("MarketSlice", f"feed:{FEED}", one))
    assert around.look(0.1)[1:] == [("FEED_HEARD", "the")]


def test_a_paused_feed_and_a_closed_market_are_not_silent(around):
    around.beats = {"feed": {"metrics": {"speed": 60.0, "paused": 1}}}
    assert around.look(100) == []
    around.bench.trade(390, first=30)
    around.beats = dict(BEATING)
    assert around.look(0.1) == []
    assert around.look(10_000) == []


def test_a_bus_that_refuses_is_told_once(around):
    around.refused = "OOM command not allowed"
    around.look(0.1)
    assert around.look(0.1) == [("BUS_REFUSES", "the")]
    around.refused = ""
    assert around.look(0.1)[1:] == [("BUS_TAKES", "the")]


def test_a_clock_that_is_set_is_told(around, monkeypatch):
    real = time.time()
    around.now = 0.0
    monkeypatch.setattr(time, "time", lambda: real + around.now)
    around.watch = Neighbours(around.bench.core, lambda _: around.beats, lambda: "", lambda: around.now)
    around.look(0.1)
    monkeypatch.setattr(time, "time", lambda: real + around.now - 3600.0)
    around.look(0.1)
    around.look(0.1)
    found = [decode_payload("RiskAlert", r.payload) for r in around.bench.records if r.type == "RiskAlert"]
    assert [alert.message for alert in found if alert.rule == "CLOCK_JUMP"] == ["the host's clock was set by -3,600 s"]
