"""The loop: what the bus may ask for, silence, snapshots by count, starts that cannot be."""

import sys
import time

import msgspec
import pytest
from worker_station import configuration, configure_event, feed_entries

from events.bus import publish
from events.codec import decode_payload
from events.reader import JournalReader
from events.streams import CONTROL_WORKER
from events.types import ControlEvent
from worker import loop
from worker.brokers.port import BrokerUnavailableError
from worker.main import main
from worker.warm import rehearse


def active(bus, worker, **options):
    worker.start()
    bus.control(configure_event(configuration(**options)))
    return worker.until(lambda view: view["state"] == "ACTIVE")


def asked(action, request_id, **changes):
    fields = {"scope": "all", "target": "", "actor": "a", "reason": "r", **changes}
    return ControlEvent(action=action, request_id=request_id, **fields)


def test_the_bus_may_kill_and_halt_but_not_release_or_reconcile(paths, bus, worker):
    active(bus, worker)
    publish(bus.relay, CONTROL_WORKER, b"garbage")
    bus.control(asked("kill", "k", scope="symbol", target="SYMA"))
    worker.until(lambda view: view["killed"] == ["symbol:SYMA"])
    for action in ("release", "reconciled", "hello"):
        bus.control(asked(action, action))
    bus.control(asked("halt", "h"))
    view = worker.until(lambda view: view["state"] == "HALTED")
    assert view["killed"] == ["symbol:SYMA"]
    assert worker.trading._core.switch.words == {"symbol:SYMA"}
    worker.stop()
    records = JournalReader(paths.journal / "execution").read()
    taken = {decode_payload("ControlEvent", r.payload).request_id for r in records if r.type == "ControlEvent"}
    assert not taken & {"release", "hello"}


def test_silence_of_a_model_is_said_and_shown(bus, worker, monkeypatch):
    monkeypatch.setattr(loop, "SILENCE_S", 0.0)
    monkeypatch.setattr(loop, "JOBS_AGAIN_S", 0.0)
    active(bus, worker, waits=True)
    for close in feed_entries(1500):
        bus.send_close(close)
    view = worker.until(lambda view: view["failed"])
    assert "no model came for refit_" in view["failed"]
    assert view["alerts"][0]["rule"] == "MODEL_SILENT"
    assert not view["source"]["ended"]


def test_a_restart_while_it_waits_names_the_job_again_and_waits_on(bus, worker):
    active(bus, worker, waits=True)
    for close in feed_entries(1500):
        bus.send_close(close)
    before = worker.until(lambda view: view["waiting"])
    worker.stop()
    worker.start()
    view = worker.until(lambda view: view["waiting"])
    assert view["waiting"] == before["waiting"]
    assert view["counts"] == before["counts"]


def test_a_snapshot_is_taken_after_enough_inputs_and_a_start_goes_on_from_it(paths, bus, worker, monkeypatch):
    monkeypatch.setattr(loop, "SNAPSHOT_INPUTS", 100)
    active(bus, worker)
    for close in feed_entries(200)[:-1]:
        bus.send_close(close)
    worker.until(lambda view: view["counts"]["slices"] == 200)
    end = time.monotonic() + 20
    while JournalReader(paths.journal / "execution").last_of("SnapshotEvent") is None and time.monotonic() < end:
        time.sleep(0.1)
    before = worker.ask(op="status")
    worker.stop()
    worker.start()
    view = worker.until(lambda view: view["state"] == "ACTIVE")
    for name in ("account", "positions", "counts", "by_strategy", "orders_sha256", "orders", "fills"):
        assert view[name] == before[name], name
    worker.stop()
    run = JournalReader(paths.journal / "execution").last_of("RunStarted")
    assert decode_payload("RunStarted", run.record.payload).resumed_from > 0


def test_a_second_configuration_is_taken_and_an_older_one_is_not(bus, worker):
    active(bus, worker)
    bus.control(configure_event(configuration(version=3, max_order_value=400_000.0)))
    worker.until(lambda view: view["configuration"] == 3)
    bus.control(configure_event(configuration(version=2), "older"))
    time.sleep(0.2)
    assert worker.ask(op="status")["configuration"] == 3


def test_a_data_directory_that_cannot_be_used_is_named(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", sys.modules.get("pyarrow"))  # the worker keeps it out of its process
    file = tmp_path / "data"
    file.write_text("not a folder")
    assert main(["--data-dir", str(file)]) == 2
    said = capsys.readouterr().err
    assert str(file) in said
    assert said.count("\n") == 1


def test_the_rehearsal_trades():
    assert rehearse() > 3


def test_a_broker_that_cannot_be_asked_is_not_read_as_flat(bench, monkeypatch):
    bench.configure().trade(50)

    def away():
        raise BrokerUnavailableError("no route")

    monkeypatch.setattr(bench.core.machine.broker, "holdings", away)
    bench.core.reconcile()
    assert not bench.core.machine.reconciled
    assert "no route" in bench.core.machine.projection.latest()["alerts"][0]["message"]


@pytest.mark.parametrize(("changes", "word"), [({"symbol": "NONE"}, "not traded"), ({"type": "LIMIT"}, "LIMIT")])
def test_the_paper_broker_rejects_what_it_cannot_do(bench, changes, word):
    bench.configure().trade(300)
    intent = next(
        order
        for r in bench.records
        if r.type == "OrderEvent" and (order := decode_payload("OrderEvent", r.payload)).state == "INTENT"
    )
    answer = bench.core.machine.broker.submit(msgspec.structs.replace(intent, **changes))
    assert answer.kind == "REJECTED"
    assert word in answer.reason


def test_orders_that_only_one_side_knows_are_found(bench):
    bench.configure()
    broker = bench.core.machine.broker
    for one in range(500):
        bench.trade(one + 1, first=one)
        if broker.working():
            break
    order = broker.working()[0]
    broker._book["S999999999"] = msgspec.structs.replace(order, order_id="S999999999")
    bench.core.reconcile()
    assert "S999999999" in bench.core.machine.projection.latest()["alerts"][0]["message"]
    broker._book.clear()
    bench.core.reconcile()
    assert not bench.core.machine.reconciled
