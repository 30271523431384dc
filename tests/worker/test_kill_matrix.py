"""Every way to kill, in every state of the worker; what lifts it, and what does not."""

import itertools
import json
import shutil
import time

import pytest
from worker_station import code, configuration, configure_event, feed_entries, seal

from controlroom.supervisor import flatten
from controlroom.supervisor import kill as kill_command
from controlroom.supervisor import release as release_command
from events.bus import publish
from events.codec import decode_payload, envelope
from events.reader import JournalReader
from events.streams import REQUEST_KILL
from events.types import ControlEvent


def by_file(paths, bus, worker):
    paths.kill_file.parent.mkdir(mode=0o700, exist_ok=True)
    paths.kill_file.write_bytes(
        json.dumps(
            {"scope": "all", "target": "", "actor": "shell", "reason": "test", "request_id": "f1", "ts_ns": 1}
        ).encode()
        + b"\n"
    )


def by_garbage_file(paths, bus, worker):
    paths.kill_file.parent.mkdir(mode=0o700, exist_ok=True)
    paths.kill_file.write_bytes(b"?")


def by_socket(paths, bus, worker):
    assert worker.ask(op="kill", scope="all", target="", actor="a", reason="r")["ok"]


def by_bus(paths, bus, worker):
    event = ControlEvent(action="kill", scope="account", target="paper", actor="web", reason="r", request_id="b1")
    publish(bus.web, REQUEST_KILL, envelope("ControlEvent", "web", event, time.time_ns()))


def by_garbage_on_the_bus(paths, bus, worker):
    publish(bus.web, REQUEST_KILL, b"garbage")


WAYS = [by_file, by_garbage_file, by_socket, by_bus, by_garbage_on_the_bus]


def release(worker, **changes):
    given = {"op": "release", "user": "operator", "password": "right", "reason": "all clear", **changes}
    return worker.ask(**{"code": code(worker.paths), **given})


def active(bus, worker):
    worker.start()
    bus.control(configure_event(configuration()))
    return worker.until(lambda view: view["state"] == "ACTIVE")


@pytest.mark.parametrize("way", [by_file, by_socket])
def test_a_kill_survives_kill_9_and_the_deletion_of_its_file(paths, bus, process, way):
    active(bus, process)
    way(paths, bus, process)
    process.until(lambda view: view["killed"] == ["all"])
    process.kill9()
    paths.kill_file.unlink(missing_ok=True)
    process.start()
    process.until(lambda view: view["killed"] == ["all"])


def set_broken(paths, *, database, questdb):
    """Let the database be none, and the store a QuestDB that nobody answers for."""
    shutil.rmtree(paths.database, ignore_errors=True)
    paths.run.mkdir(exist_ok=True)
    (paths.run / "run.json").write_text(json.dumps({"store": "questdb" if questdb else "embedded"}))
    if database:
        paths.database.mkdir()


def by_shell(paths, module, *arguments):
    """Run a command as the shell does, a person's password and code with it where one is asked."""
    if module is not kill_command:
        (paths.root / "password").write_text("right\n")
        arguments += ("--password-file", str(paths.root / "password"), "--code", code(paths), "--reason", "all clear")
    return module.main([*arguments, "--data-dir", str(paths.root)])


def test_kill_release_and_flatten_work_whatever_else_is_down(paths, bus, worker):
    """No web process runs at all; database, QuestDB and Redis are broken in every combination."""
    active(bus, worker)
    seal(paths)
    for redis, database, questdb in itertools.product((True, False), repeat=3):
        set_broken(paths, database=database, questdb=questdb)
        if bus.process.poll() is None and not redis:
            bus.stop()
        assert by_shell(paths, kill_command) == 0
        assert worker.ask(op="status")["killed"] == ["all"]
        paths.kill_file.unlink()
        time.sleep(0.1)
        assert worker.ask(op="status")["killed"] == ["all"]
        assert by_shell(paths, flatten) in {0, 1}  # the engine's word; the way to it is what is tried here
        assert by_shell(paths, release_command) == 0
        assert worker.ask(op="status")["killed"] == []
    bus.start()
    worker.stop()
    done = controls(paths)
    assert [done.count(action) for action in ("release", "flatten")] == [8, 8]
    assert done.count("kill") >= 8  # a file seen before its line is in it kills too


def controls(paths):
    records = JournalReader(paths.journal / "execution").read()
    return [decode_payload("ControlEvent", r.payload).action for r in records if r.type == "ControlEvent"]


@pytest.mark.parametrize("way", WAYS)
def test_an_idle_worker_is_killed_stays_killed_over_restarts_and_is_released_by_the_password(paths, bus, worker, way):
    active(bus, worker)
    way(paths, bus, worker)
    worker.until(lambda view: view["killed"] == ["all"])
    worker.stop()
    paths.kill_file.unlink(missing_ok=True)
    worker.start()
    view = worker.until(lambda view: view["killed"] == ["all"])
    assert view["state"] == "ACTIVE"
    seal(paths)
    assert "wrong" in release(worker, password="guess")["reason"]
    assert worker.ask(op="status")["killed"] == ["all"]
    assert release(worker) == {"ok": True, "reason": ""}
    worker.until(lambda view: view["killed"] == [])
    worker.stop()
    assert "kill" in controls(paths)
    assert "release" in controls(paths)
    worker.start()
    worker.until(lambda view: view["killed"] == [] and view["state"] == "ACTIVE")


@pytest.mark.parametrize("way", [by_file, by_socket, by_bus])
def test_an_unconfigured_worker_is_killed_and_its_first_configuration_finds_it_so(paths, bus, worker, way):
    worker.start()
    worker.until(lambda view: view["state"] == "UNCONFIGURED")
    way(paths, bus, worker)
    worker.until(lambda view: view["killed"] == ["all"])
    bus.control(configure_event(configuration()))
    worker.until(lambda view: view["state"] == "ACTIVE")
    for close in feed_entries(200):
        bus.send_close(close)
    view = worker.until(lambda view: view["source"]["ended"])
    assert view["killed"] == ["all"]
    assert view["counts"]["orders"] == 0


def test_a_kill_without_a_bus_cancels_and_blocks(paths, bus, worker):
    active(bus, worker)
    bus.stop()
    try:
        answer = worker.ask(op="kill", scope="all", target="", actor="a", reason="r")
        assert answer["ok"]
        assert answer["persisted"]
        assert worker.ask(op="status")["killed"] == ["all"]
    finally:
        bus.start()


def test_working_orders_are_cancelled_and_positions_kept(paths, bus, worker):
    active(bus, worker)
    for number, close in enumerate(feed_entries(250), 1):
        bus.send_close(close)
        before = worker.until(lambda view, slices=number: view["counts"]["slices"] == slices)
        if before["open_orders"] and before["positions"]:
            break
    answer = worker.ask(op="kill", scope="all", target="", actor="a", reason="r")
    assert answer["canceled"] == len(before["open_orders"])
    view = worker.until(lambda view: not view["open_orders"])
    assert {s: p["lots"] for s, p in view["positions"].items()} == {
        s: p["lots"] for s, p in before["positions"].items()
    }
    canceled = [order for order in view["orders"] if order["state"] == "CANCELED"]
    assert len(canceled) == answer["canceled"]


@pytest.mark.parametrize(("scope", "target"), [("strategy", "mean_reversion"), ("symbol", "SYMA")])
def test_a_scope_stops_only_itself(paths, bus, worker, scope, target):
    active(bus, worker)
    assert worker.ask(op="kill", scope=scope, target=target, actor="a", reason="r")["killed"] == [f"{scope}:{target}"]
    for close in feed_entries(300):
        bus.send_close(close)
    view = worker.until(lambda view: view["source"]["ended"])
    assert view["killed"] == [f"{scope}:{target}"]
    assert view["counts"]["orders"] > 0
    worker.stop()
    records = JournalReader(paths.journal / "execution").read()
    intents = [
        order
        for r in records
        if r.type == "OrderEvent" and (order := decode_payload("OrderEvent", r.payload)).state == "INTENT"
    ]
    assert not [o for o in intents if o.symbol == target or target in o.lots_by_strategy]


def test_a_drill_changes_nothing(paths, bus, worker):
    active(bus, worker)
    assert worker.ask(op="kill", scope="all", target="", actor="a", reason="r", drill=True)["ok"]
    view = worker.ask(op="status")
    assert view["killed"] == []
    assert not paths.kill_file.exists()


def test_the_same_request_by_file_socket_and_bus_is_journaled_once(paths, bus, worker):
    active(bus, worker)
    event = ControlEvent(action="kill", scope="all", target="", actor="web", reason="r", request_id="same")
    paths.kill_file.parent.mkdir(mode=0o700, exist_ok=True)
    line = {"scope": "all", "target": "", "actor": "web", "reason": "r", "request_id": "same", "ts_ns": 1}
    paths.kill_file.write_bytes(json.dumps(line).encode() + b"\n")
    worker.ask(op="kill", **line)
    publish(bus.web, REQUEST_KILL, envelope("ControlEvent", "web", event, time.time_ns()))
    worker.until(lambda view: view["killed"] == ["all"])
    time.sleep(0.3)
    worker.stop()
    assert controls(paths).count("kill") == 1


def test_a_late_copy_on_the_bus_does_not_undo_a_release(paths, bus, worker):
    active(bus, worker)
    worker.ask(op="kill", scope="all", target="", actor="web", reason="r", request_id="same")
    worker.until(lambda view: view["killed"] == ["all"])
    seal(paths)
    assert release(worker)["ok"]
    event = ControlEvent(action="kill", scope="all", target="", actor="web", reason="r", request_id="same")
    publish(bus.web, REQUEST_KILL, envelope("ControlEvent", "web", event, time.time_ns()))
    time.sleep(0.3)
    assert worker.ask(op="status")["killed"] == []


def test_a_release_without_a_reason_or_by_the_bus_is_refused(paths, bus, worker):
    active(bus, worker)
    by_socket(paths, bus, worker)
    seal(paths)
    assert "reason" in release(worker, reason=" ")["reason"]
    event = ControlEvent(action="release", scope="all", target="", actor="a", reason="r", request_id="r1")
    bus.control(event)
    time.sleep(0.2)
    assert worker.ask(op="status")["killed"] == ["all"]


def test_garbage_on_the_socket_hurts_nobody(paths, bus, worker):
    active(bus, worker)
    assert worker.ask(op="destroy")["ok"] is False
    assert worker.ask()["ok"] is False
    assert worker.ask(op="status")["state"] == "ACTIVE"
    assert paths.socket("worker").stat().st_mode & 0o077 == 0


def test_a_symbol_is_released_by_the_password_alone_and_a_strategy_stays_killed(paths, bus, worker):
    active(bus, worker)
    seal(paths)
    for scope, target in (("symbol", "SYMA"), ("strategy", "bullish")):
        assert worker.ask(op="kill", scope=scope, target=target, actor="a", reason="r")["ok"]
    assert "target is empty" in release(worker, scope="symbol")["reason"]
    assert release(worker, scope="symbol", target="SYMA") == {"ok": True, "reason": ""}
    worker.until(lambda view: view["killed"] == ["strategy:bullish"])
    worker.stop()
    worker.start()
    worker.until(lambda view: view["killed"] == ["strategy:bullish"] and view["state"] == "ACTIVE")
