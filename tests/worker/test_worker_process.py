"""A real worker process on a real Valkey: killed anywhere, repeated inputs, an emptied bus, a stop."""

import random
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest
from worker_station import (
    FEED,
    ROOT,
    Bus,
    WorkerProcess,
    configuration,
    configure_event,
    data_paths,
    essence,
    feed_entries,
)

from audit.artefacts import sign, signed
from audit.keys import create_missing, private_key
from events.bus import read_from
from events.codec import decode_envelope, decode_payload
from events.reader import JournalReader, verify
from events.streams import POSITION_WORKER, WORKER_EVENTS, WORKER_SNAPSHOT, market_stream
from events.types import ControlEvent, ModelEvent
from worker.summary import summarise

MINUTES = 600


def records(paths):
    return list(JournalReader(paths.journal / "execution").read())


def run_through(folder, minutes, kills=0, seed=0):
    """Run a worker over a made-up market, killing it on the way; return its data paths and last view."""
    paths, chance = data_paths(folder), random.Random(seed)
    bus, worker = Bus(paths).start(), WorkerProcess(paths).start()
    try:
        bus.control(configure_event(configuration()))
        worker.until(lambda view: view["state"] == "ACTIVE")
        closes = feed_entries(minutes)
        cuts = sorted(chance.randrange(1, len(closes)) for _ in range(kills))
        for number, close in enumerate(closes):
            bus.send_close(close)
            if number in cuts:
                time.sleep(chance.random() * 0.03)
                worker.kill9()
                worker.start()
                worker.until(lambda view: view["state"] == "ACTIVE")
        view = worker.until(lambda view: view["source"]["ended"])
        assert worker.stop() == 0
    finally:
        worker.stop()
        bus.stop()
    return paths, view


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return run_through(tmp_path_factory.mktemp("w"), MINUTES)


def test_a_run_consumes_everything_and_adds_up(whole):
    paths, view = whole
    found = summarise(paths)
    assert found["bars"] == view["counts"]["bars"] == MINUTES * 8
    assert found["orders"] == view["counts"]["orders"] > 20
    assert found["fills"] == view["counts"]["fills"]
    assert found["orders_sha256"] == view["orders_sha256"]
    assert found["by_strategy"] == view["by_strategy"]
    assert found["tick_to_order_ms"]["n"] == found["orders"]
    assert round(found["equity"], 2) == round(found["cash"] + sum(p["value"] for p in found["positions"].values()), 2)
    assert round(found["equity"], 6) == round(view["account"]["equity"], 6)
    assert verify(paths.journal / "execution").ok


@pytest.mark.parametrize("seed", [1, 2])
def test_kill_9_at_random_points_gives_the_same_orders_and_nothing_twice(tmp_path_factory, whole, seed):
    paths, view = run_through(tmp_path_factory.mktemp("k"), MINUTES, kills=4, seed=seed)
    assert view["orders_sha256"] == whole[1]["orders_sha256"]
    assert essence(records(paths)) == essence(records(whole[0]))
    executions = [decode_payload("FillEvent", r.payload).execution_id for r in records(paths) if r.type == "FillEvent"]
    assert len(executions) == len(set(executions))
    assert verify(paths.journal / "execution").ok
    assert len([r for r in records(paths) if r.type == "RunStarted"]) == 5


def test_it_waits_unconfigured_says_hello_and_starts_when_the_relay_answers(bus, worker):
    worker.start()
    view = worker.until(lambda view: view["state"] == "UNCONFIGURED")
    assert view["configuration"] == 0
    for _ in range(100):
        heard = read_from(bus.relay, {WORKER_EVENTS: "0"}, block_ms=100)
        if len(heard) > 1:
            break
    hello = decode_payload("ControlEvent", decode_envelope(heard[0].event).payload)
    assert hello.action == "hello"
    bus.control(configure_event(configuration()))
    view = worker.until(lambda view: view["state"] == "ACTIVE")
    assert view["reconciled"]
    assert view["source"]["label"] == "SIMULATED"


def test_what_the_relay_repeats_is_taken_once(paths, bus, worker):
    worker.start()
    bus.control(configure_event(configuration()), repeat=3)
    worker.until(lambda view: view["state"] == "ACTIVE")
    stopped = ControlEvent(
        action="pause", scope="strategy", target="momentum", actor="a", reason="r", request_id="once"
    )
    bus.control(stopped, repeat=3)
    worker.until(lambda view: not view["strategies"]["momentum"]["enabled"])
    worker.stop()
    controls = [decode_payload("ControlEvent", r.payload) for r in records(paths) if r.type == "ControlEvent"]
    assert sum(event.request_id == "once" for event in controls) == 1
    assert sum(event.action == "configure" for event in controls) == 1


def test_events_positions_and_views_are_published_after_they_are_on_disk(paths, bus, worker):
    worker.start()
    bus.control(configure_event(configuration()))
    worker.until(lambda view: view["state"] == "ACTIVE")
    for close in feed_entries(200):
        bus.send_close(close)
    view = worker.until(lambda view: view["source"]["ended"])
    worker.stop()
    entries = read_from(bus.web, {WORKER_EVENTS: "0"}, count=100_000)
    envelopes = [decode_envelope(entry.event) for entry in entries]
    told = [one for one in envelopes if one.type == "OrderEvent"]
    journaled = [r for r in records(paths) if r.type == "OrderEvent"]
    assert [bytes(one.payload) for one in told] == [bytes(r.payload) for r in journaled]
    assert [one.id for one in told] == [f"execution:{r.seq}" for r in journaled]
    position = bus.web.hgetall(POSITION_WORKER)
    assert position[market_stream(FEED).encode()] == f"{bus.counter}-0".encode()
    ((_, snapshots),) = bus.web.xread({WORKER_SNAPSHOT: "0"})
    last = msgspec.json.decode(snapshots[-1][1][b"view"])
    assert last["counts"] == view["counts"]
    assert last["orders_sha256"] == view["orders_sha256"]
    assert len(snapshots) <= 4


def test_an_emptied_bus_halts_loudly(bus, worker):
    worker.start()
    bus.control(configure_event(configuration()))
    worker.until(lambda view: view["state"] == "ACTIVE")
    for close in feed_entries(30)[:-1]:
        bus.send_close(close)
    worker.until(lambda view: view["counts"]["slices"] == 30)
    bus.feed.execute_command("DEL", market_stream(FEED))
    view = worker.until(lambda view: view["state"] == "HALTED")
    assert "entries are missing" in view["alerts"][0]["message"]
    assert view["failed"]
    worker.stop()
    worker.start()
    worker.until(lambda view: view["state"] == "HALTED" and view["failed"])


def test_a_gap_in_the_stream_halts_loudly(bus, worker):
    worker.start()
    bus.control(configure_event(configuration()))
    worker.until(lambda view: view["state"] == "ACTIVE")
    closes = feed_entries(30)
    for close in closes[:10]:
        bus.send_close(close)
    bus.counter += 3
    bus.send_close(closes[11])
    view = worker.until(lambda view: view["state"] == "HALTED")
    assert view["counts"]["slices"] == 10
    assert view["alerts"][0]["rule"] == "BUS_LOST"


def test_it_goes_on_where_it_was_when_the_bus_comes_back(bus, worker):
    worker.start()
    bus.control(configure_event(configuration()))
    worker.until(lambda view: view["state"] == "ACTIVE")
    closes = feed_entries(60)
    for close in closes[:30]:
        bus.send_close(close)
    worker.until(lambda view: view["counts"]["slices"] == 30)
    bus.stop()
    time.sleep(0.3)
    assert worker.ask(op="status")["state"] == "ACTIVE"
    bus.start()
    for close in closes[30:]:
        bus.send_close(close)
    view = worker.until(lambda view: view["source"]["ended"])
    assert view["counts"]["bars"] == 60 * 8
    assert not view["failed"]


def model(occurrence):
    return ModelEvent(
        name="calibrators", version=1, outcome="failed", occurrence=occurrence, sha256="", effective_from_ns=0,
        content=msgspec.Raw(b"null"), reason="test",
    )  # fmt: skip


def forgeries(paths, true):
    """The same word unsigned, signed by the approvals key, and signed for something else."""
    other = msgspec.structs.replace(sign(true, paths), reason="another")
    return [true, signed(true, private_key(paths, "approvals")), other]


def test_a_replay_waits_for_the_model_that_a_job_was_due_for(paths, bus, worker):
    create_missing(paths)
    worker.start()
    bus.control(configure_event(configuration(waits=True)))
    worker.until(lambda view: view["state"] == "ACTIVE")
    for close in feed_entries(1500):
        bus.send_close(close)
    answered, first = set(), None
    for _ in range(40):
        view = worker.until(lambda view: view["source"]["ended"] or set(view["waiting"]) - answered, seconds=90)
        if view["source"]["ended"]:
            break
        occurrence = min(set(view["waiting"]) - answered)  # several may be due at a session's close
        slices = view["counts"]["slices"]
        time.sleep(0.2 if answered else 2.0)
        assert worker.ask(op="status")["counts"]["slices"] == slices
        first = first or time.monotonic()
        for forged in forgeries(paths, model(occurrence)) if not answered else ():
            bus.control(forged, kind="ModelEvent")
        answered.add(occurrence)
        bus.control(sign(model(occurrence), paths), kind="ModelEvent", repeat=2)
    assert answered
    assert view["source"]["ended"]
    # an order's time is counted from the answer, not from when its slice was sent, seconds before
    assert view["tick_to_order_ms"]["max"] <= 1000 * (time.monotonic() - first)
    worker.stop()
    due = [r for r in records(paths) if r.type == "JobDue"]
    assert all(decode_payload("JobDue", r.payload).through_seq == r.seq for r in due)
    alerts = [decode_payload("RiskAlert", r.payload) for r in records(paths) if r.type == "RiskAlert"]
    forged = [alert.message for alert in alerts if alert.rule == "FORGED_MODEL"]
    assert ["nobody" in forged[0], "not the models key" in forged[1], "does not hold" in forged[2]] == [True] * 3
    assert len(forged) == 3
    models = [decode_payload("ModelEvent", r.payload).occurrence for r in records(paths) if r.type == "ModelEvent"]
    assert sorted(models) == sorted(answered)


def test_a_second_worker_on_the_same_journal_refuses(paths, bus, worker):
    worker.start()
    worker.until(lambda view: view["seq"] >= 0)
    second = subprocess.run(
        [sys.executable, str(ROOT / "manage.py"), "worker", "--data-dir", str(paths.root)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert second.returncode == 2
    assert "being written by another process" in second.stderr


def test_a_damaged_journal_refuses_with_one_sentence(paths, bus, process):
    process.start()
    bus.control(configure_event(configuration()))
    process.until(lambda view: view["state"] == "ACTIVE")
    for close in feed_entries(50):
        bus.send_close(close)
    process.until(lambda view: view["source"]["ended"])
    process.stop()
    segment = max((paths.journal / "execution").glob("*.seg"))
    with segment.open("r+b") as file:
        file.seek(3000)
        file.write(b"\xff\xff")
    process.start()
    assert process.process.wait(timeout=60) == 2
    assert "damaged at record" in process.log.read_text()


@pytest.mark.parametrize("cpus", ["x", "", "4096", "0,-1"])
def test_processors_that_are_not_there_are_bad_input(tmp_path, cpus):
    done = subprocess.run(
        [sys.executable, str(ROOT / "manage.py"), "worker", "--data-dir", str(tmp_path / "d"), "--cpus", cpus],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "list of processors" in done.stderr
    assert not (tmp_path / "d").exists()


def test_its_memory_stays_below_its_limit(bus, process):
    process.start()
    bus.control(configure_event(configuration()))
    process.until(lambda view: view["state"] == "ACTIVE")
    for close in feed_entries(300):
        bus.send_close(close)
    process.until(lambda view: view["source"]["ended"])
    with Path(f"/proc/{process.process.pid}/status").open() as file:
        resident = next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))
    assert resident < 300 * 1024
