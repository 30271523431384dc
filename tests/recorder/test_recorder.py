"""The recorder on a real bus, with real journals and the real store, killed and cut off at bad moments."""

import json
import random
import signal
import time

import pytest

from audit.verification import verify_data_directory
from events import bus
from events.codec import decode_payload, envelope
from events.journal import JournalReader, JournalWriter, verify
from events.types import ControlEvent, FeedEnd
from market.store import open_store
from market.store.port import EventFilter, OrderFilter
from recorder.intake import Intake


def recorded_bars(station):
    """The open times of all bars in the station journal, in order."""
    return [
        decode_payload("MarketEvent", record.payload).open_ns
        for record in JournalReader(station.paths.journal / "station").read()
        if record.type == "MarketEvent"
    ]


def check_complete(station):
    """Everything is there once, and the chains hold."""
    assert recorded_bars(station) == [number * 60_000_000_000 for number in range(station.published)]
    store = open_store(station.paths)
    assert store.count_orders() == station.steps
    assert [row.order_id for row in store.every_order(sort="engine_ns")] == [f"o{n:06d}" for n in range(station.steps)]
    assert len(list(store.every_fill())) == station.steps
    assert len(store.bars("AAPL", limit=10_000)) == station.steps
    assert len(store.equity(points=10_000)) == station.steps
    assert store.position("execution").seq == station.steps * 8 - 1
    store.close()
    assert verify_data_directory(station.paths)["ok"]


def test_bus_and_execution_journal_reach_journal_and_store(station):
    station.start_recorder()
    station.publish(500)
    station.work(120)
    seen = station.caught_up()
    assert seen["rows_per_s"] >= 0
    assert seen["not_projected"] == 0
    check_complete(station)
    store = open_store(station.paths)
    found = store.order("o000007")
    assert (found.state, found.average_price, found.fee, found.slippage, found.filled_lots) == (
        "FILLED",
        11.25,
        0.011,
        2.5,
        10,
    )
    life = store.order_life("o000007")
    assert [(row.type, row.state) for row in life] == [
        ("OrderEvent", "INTENT"),
        ("BrokerEvent", "ACCEPTED"),
        ("FillEvent", ""),
        ("OrderEvent", "FILLED"),
        ("TradeEvent", ""),
    ]
    stored = JournalReader(station.paths.journal / "execution").get(life[0].seq)
    assert life[0].payload == bytes(stored.record.payload).decode()
    signal_row = store.events(EventFilter(event_type="SignalEvent"), limit=1).rows[0]
    record = JournalReader(station.paths.journal / "execution").get(signal_row.seq)
    assert (signal_row.hash_prev, signal_row.hash_current) == (record.record.prev, record.hash)
    assert (signal_row.signal_strength, signal_row.confidence, signal_row.symbol) == (0.75, 0.5, "AAPL")
    assert store.count_orders(OrderFilter(strategy="bullish")) == 120
    assert store.count_orders(OrderFilter(strategy="bearish")) == 0
    store.close()
    code, out, err = station.stop_recorder()
    assert (code, out) == (0, "")
    assert all(json.loads(line)["process"] == "recorder" for line in err.splitlines())


def test_a_stop_is_clean_and_a_second_start_goes_on(station):
    station.publish(50)
    station.work(3)
    station.start_recorder()
    station.caught_up()
    assert station.stop_recorder()[0] == 0
    station.work(4)
    station.publish(25)
    station.start_recorder()
    station.caught_up()
    assert station.stop_recorder(signal.SIGINT)[0] == 0
    check_complete(station)


def test_killed_at_random_points_nothing_is_lost_or_doubled(station):
    chance = random.Random(20240607)
    for _ in range(6):
        station.start_recorder()
        for _ in range(4):
            station.publish(chance.randint(50, 400))
            station.work(chance.randint(5, 60))
            time.sleep(chance.uniform(0.0, 0.25))
        station.recorder.kill()
        station.recorder.communicate()
    station.start_recorder()
    station.caught_up()
    station.stop_recorder()
    check_complete(station)


def test_what_was_synced_but_not_acknowledged_is_not_recorded_twice(station):
    """Killed between the sync and the acknowledgement: the journal says what it holds."""
    station.publish(30)
    journal = JournalWriter(station.paths.journal / "station", "station", "first")
    intake = Intake(station.paths, journal)
    client = bus.connect(station.paths, "recorder")
    intake.discover(client, connected=True)
    entries = bus.read_group(client, ["market.test"], "recorder", count=20)
    intake._record(entries)
    journal.close()
    client.close()
    station.start_recorder()
    station.caught_up()
    station.stop_recorder()
    assert len(recorded_bars(station)) == 30
    check_complete(station)


def test_a_bus_that_goes_away_and_comes_back_is_joined_again(station):
    station.start_recorder()
    station.publish(40)
    station.work(2)
    station.caught_up()
    station.stop_bus()
    station.work(5)
    reader = JournalReader(station.paths.journal / "execution")
    until = time.monotonic() + 30
    while time.monotonic() < until:  # the projection does not need the bus
        store = open_store(station.paths)
        done = store.position("execution").seq == reader.last_seq()
        store.close()
        if done:
            break
        time.sleep(0.05)
    assert done
    station.start_bus()
    station.publish(40)
    station.caught_up()
    assert station.stop_recorder()[0] == 0
    check_complete(station)


def test_an_emptied_bus_is_said_and_recording_goes_on(station):
    station.start_recorder()
    station.publish(10)
    station.caught_up()
    station.stop_bus(signal.SIGKILL)
    for file in (station.paths.valkey / "bus").rglob("*"):
        if file.is_file():
            file.unlink()
    station.published = 0
    station.start_bus()
    station.publish(5)  # a feed sends what was lost again, under the same ids
    until = time.monotonic() + 30
    while not station.metrics() and time.monotonic() < until:
        time.sleep(0.05)
    station.publish(10)
    while len(recorded_bars(station)) < 15 and time.monotonic() < until:
        time.sleep(0.05)
    _, _, err = station.stop_recorder()
    assert len(recorded_bars(station)) == 15
    assert "the bus was emptied" in err


def test_control_events_and_garbage_are_kept(station):
    relay = bus.connect(station.paths, "relay")
    control = ControlEvent(
        action="pause", scope="strategy", target="momentum", actor="ada", reason="r", request_id="q-1"
    )
    bus.publish(relay, "control.worker", envelope("ControlEvent", "ada", control, 5, id="outbox-1"))
    bus.publish(relay, "control.audit", envelope("AuditEvent", "ada", b'{"action":"login"}', 5))
    relay.close()
    station.publish(3)
    feed = bus.connect(station.paths, "feed")
    feed.xadd("market.test", {"event": b"\x00\xffgarbage"}, id="4-0")
    feed.xadd("market.test", {"other": b"x"}, id="5-0")
    bus.publish(
        feed, "market.test", envelope("FeedEnd", "feed", FeedEnd(feed="test", bars=3, last_close_ns=9), 6), id="6-0"
    )
    feed.close()
    station.start_recorder()
    seen = station.caught_up()
    assert seen["unreadable"] == 2
    assert station.stop_recorder()[0] == 0
    types = [record.type for record in JournalReader(station.paths.journal / "station").read()]
    assert set(types) == {"AuditEvent", "BusPosition", "ControlEvent", "FeedEnd", "MarketEvent", "UnreadableEntry"}
    assert types.count("UnreadableEntry") == 2
    store = open_store(station.paths)
    found = store.events(EventFilter(writer="station", event_type="ControlEvent")).rows
    assert [(row.agent_id, row.writer) for row in found] == [("ada", "station")]
    assert json.loads(found[0].metadata)["request_id"] == "q-1"
    store.close()


def test_a_store_that_was_removed_is_made_again(station):
    station.publish(20)
    station.work(10)
    station.start_recorder()
    station.caught_up()
    station.stop_recorder()
    before = open_store(station.paths)
    orders, events = list(before.every_order()), before.events(limit=1000)
    before.close()
    for file in station.paths.root.glob("store.sqlite3*"):
        file.unlink()
    station.start_recorder()
    station.caught_up()
    station.stop_recorder()
    after = open_store(station.paths)
    assert (list(after.every_order()), after.events(limit=1000)) == (orders, events)
    after.close()


def test_a_store_of_another_journal_is_not_mixed_with_this_one(station):
    station.work(4)
    station.start_recorder()
    station.caught_up()
    station.stop_recorder()
    station._execution.close()
    station._execution = None
    for file in (station.paths.journal / "execution").iterdir():
        file.unlink()
    other = JournalWriter(station.paths.journal / "execution", "execution", "other")
    other.append([("TimerEvent", "x", None, None, b'{"instant_ns":%d}' % n) for n in range(100)])
    other.close()
    station.start_recorder()
    station.publish(5)
    until = time.monotonic() + 30
    while station.metrics().get("not_projected") != 1 and time.monotonic() < until:
        time.sleep(0.05)
    assert station.metrics()["not_projected"] == 1
    _, _, err = station.stop_recorder()
    assert "remove the store: it is made again" in err
    assert len(recorded_bars(station)) == 5


@pytest.mark.parametrize("what", ["missing", "locked", "damaged"])
def test_what_keeps_it_from_starting_is_one_sentence(station, what):
    folder = station.paths.journal / "station"
    holder = None
    if what == "missing":
        station.paths = type(station.paths)(station.paths.root / "none")
    else:
        holder = JournalWriter(folder, "station", "other")
        holder.append([("FeedEnd", "x", None, None, b"{}"), ("FeedEnd", "x", None, None, b"{}")])
        holder.sync()
    if what == "damaged":
        holder.close()
        segment = next(folder.glob("*.seg"))
        data = bytearray(segment.read_bytes())
        data[40] ^= 0xFF
        segment.write_bytes(data)
        assert not verify(folder).ok
    recorder = station.start_recorder()
    out, err = recorder.communicate(timeout=60)
    assert recorder.returncode == 2
    assert out == ""
    assert err.count("\n") == 1
    said = {"missing": "start the station", "locked": "written by another process", "damaged": "record 0"}
    assert said[what] in err
    if what == "locked":
        holder.close()
