"""What people do by password and code on the control socket, and the drill of the kill; all on a real worker."""

import json
import threading
import time

import pyotp
import pytest
from worker_station import code, configuration, configure_event, feed_entries, seal

from audit.files import write_file
from controlroom.supervisor import enable, external
from events.codec import decode_payload
from events.reader import JournalReader
from events.types import OrderEvent
from worker.onetime import Codes
from worker.release import make_entry


def active(bus, worker):
    worker.start()
    bus.control(configure_event(configuration()))
    return worker.until(lambda view: view["state"] == "ACTIVE")


def release(worker, given, **changes):
    return worker.ask(
        **{"op": "release", "user": "operator", "password": "right", "code": given, "reason": "why", **changes}
    )


def kill(worker, **changes):
    return worker.ask(**{"op": "kill", "scope": "all", "target": "", "actor": "ann", "reason": "r", **changes})


def journaled(paths, kind):
    found = JournalReader(paths.journal / "execution").read()
    return [decode_payload(r.type, r.payload) for r in found if r.type == kind]


def test_a_release_wants_an_unused_code_of_the_persons_own_device(paths, bus, worker):
    active(bus, worker)
    seal(paths)
    kill(worker)
    assert "code" in release(worker, "")["reason"]
    assert "wrong or was used" in release(worker, "000000")["reason"]
    good = code(paths)
    assert "wrong" in release(worker, good, password="guess")["reason"]
    assert worker.ask(op="status")["killed"] == ["all"]
    assert release(worker, good) == {"ok": True, "reason": ""}
    kill(worker)
    assert "used before" in release(worker, good)["reason"]
    assert worker.ask(op="status")["killed"] == ["all"]


def test_who_has_no_device_is_told_how_and_makes_one_in_the_shell(paths, bus, worker):
    active(bus, worker)
    write_file(paths.secrets / "release.json", json.dumps({"operator": dict(zip(
        ("salt", "n", "r", "p", "hash"), entry_of("right"), strict=True))}).encode())  # fmt: skip
    kill(worker)
    assert "manage.py codes enrol --user operator" in release(worker, "123456")["reason"]
    person = {"user": "operator", "password": "right"}
    assert "wrong" in worker.ask(op="enrol", user="operator", password="guess")["reason"]
    offered = worker.ask(op="enrol", **person)
    assert offered["uri"].startswith("otpauth://totp/")
    assert not worker.ask(op="confirm", code="000000", **person)["ok"]
    totp = pyotp.TOTP(offered["secret"])
    made = worker.ask(op="confirm", code=totp.now(), **person)
    assert len(made["recovery_codes"]) == 10
    assert "has a device" in worker.ask(op="enrol", **person)["reason"]
    assert release(worker, made["recovery_codes"][0])["ok"]
    kill(worker)
    assert not release(worker, made["recovery_codes"][0])["ok"]
    assert Codes(paths.secrets / "codes.json").recovery_left("operator") == 9
    worker.stop()
    assert "CODES_ENROLLED" in {alert.rule for alert in journaled(paths, "RiskAlert")}
    journal = b"".join(segment.read_bytes() for segment in (paths.journal / "execution").glob("*.seg"))
    assert offered["secret"].encode() not in journal


def entry_of(password):
    made = make_entry(password)
    return made.salt, made.n, made.r, made.p, made.hash


@pytest.mark.parametrize("action", ["flatten", "maintenance", "resume_maintenance"])
def test_an_act_comes_to_the_engine_with_scope_person_and_reason(paths, bus, worker, action):
    active(bus, worker)
    seal(paths)
    given = {"op": action, "user": "operator", "password": "right", "reason": "because", "scope": "symbol"}
    assert "target" in worker.ask(**given, code=code(paths))["reason"]
    assert "wrong" in worker.ask(**given, target="SYMA", code="000000")["reason"]
    worker.ask(**given, target="SYMA", code=code(paths))
    worker.stop()
    [event] = [event for event in journaled(paths, "ControlEvent") if event.action == action]
    assert (event.scope, event.target, event.actor, event.reason) == ("symbol", "SYMA", "operator", "because")
    assert "ACT_REFUSED" in {alert.rule for alert in journaled(paths, "RiskAlert")}


# --- drills -----------------------------------------------------------------------------------------------------------


def test_a_drill_blocks_and_cancels_for_real_and_leaves_the_station_as_it_was(paths, bus, worker):
    active(bus, worker)
    for number, close in enumerate(feed_entries(250), 1):
        bus.send_close(close)
        before = worker.until(lambda view, slices=number: view["counts"]["slices"] == slices)
        if before["open_orders"]:
            break
    done = kill(worker, drill=True)
    assert done["ok"], done
    assert done["canceled"] == len(before["open_orders"])
    assert 0 < done["blocked_ms"] <= done["canceled_ms"]
    view = worker.ask(op="status")
    assert (view["killed"], view["state"]) == ([], "ACTIVE")
    assert not view["open_orders"]
    assert not paths.kill_file.exists()
    worker.stop()
    assert [e.action for e in journaled(paths, "ControlEvent")][-2:] == ["kill", "drill_over"]
    [told] = [alert for alert in journaled(paths, "RiskAlert") if alert.rule == "KILL_DRILL"]
    assert "blocked after" in told.message
    worker.start()
    assert worker.until(lambda view: view["state"] == "ACTIVE")["killed"] == []


@pytest.mark.parametrize("way", ["socket", "file"])
@pytest.mark.parametrize(("scope", "target"), [("all", ""), ("symbol", "SYMA")])
def test_a_kill_that_a_person_sets_meanwhile_outlives_the_drill(paths, bus, worker, way, scope, target):  # noqa: PLR0917
    active(bus, worker)
    held = kill(worker, drill=True, hold=True)
    assert worker.ask(op="status")["killed"] == ["all"]
    line = {"scope": scope, "target": target, "actor": "bob", "reason": "real", "request_id": "real", "ts_ns": 1}
    if way == "socket":
        kill(worker, **line)
    else:
        with paths.kill_file.open("ab") as file:
            file.write(json.dumps(line).encode() + b"\n")
        time.sleep(0.15)
    over = worker.ask(op="drill_over", request_id=held["request_id"])
    assert over["lifted"] == (scope != "all")
    left = ["all"] if scope == "all" else ["symbol:SYMA"]
    assert worker.until(lambda view: view["killed"] == left)
    assert b"real" in paths.kill_file.read_bytes()
    seal(paths)
    assert release(worker, code(paths))["ok"]


def test_a_drill_that_nobody_ends_stays_killed_until_a_release(paths, bus, worker):
    active(bus, worker)
    held = kill(worker, drill=True, hold=True)
    assert not worker.ask(op="drill_over", request_id="another")["lifted"]
    worker.stop()
    worker.start()
    worker.until(lambda view: view["killed"] == ["all"])
    assert "no drill" in worker.ask(op="drill_over", request_id=held["request_id"])["reason"]
    assert worker.ask(op="status")["killed"] == ["all"]


def test_no_drill_over_a_kill_or_another_drill_or_without_a_configuration(paths, bus, worker):
    worker.start()
    assert "no configuration" in kill(worker, drill=True)["reason"]
    bus.control(configure_event(configuration()))
    worker.until(lambda view: view["state"] == "ACTIVE")
    kill(worker, drill=True, hold=True, scope="symbol", target="SYMA", request_id="d1")
    assert "under way" in kill(worker, drill=True)["reason"]
    assert worker.ask(op="drill_over", request_id="d1")["lifted"]
    kill(worker)
    assert "killed already" in kill(worker, drill=True)["reason"]
    assert worker.ask(op="status")["killed"] == ["all"]


def test_a_drill_is_refused_while_a_flatten_runs_that_its_kill_would_end(paths, bus, worker):
    active(bus, worker)
    worker.trading._server._handlers._calls.ask(
        lambda: worker.trading._core.machine.engine.control.flattening.append("symbol:SYMA")
    ).result(20)
    assert "being flattened" in kill(worker, drill=True)["reason"]
    view = worker.ask(op="status")
    assert (view["killed"], view["state"]) == ([], "ACTIVE")


def test_a_halt_during_a_drill_outlives_it(paths, bus, worker):
    active(bus, worker)
    held = kill(worker, drill=True, hold=True)
    stop = threading.Event()
    worker.trading._server._handlers._calls.ask(
        lambda: (worker.trading._core.control("halt", "worker", "a breaker"), stop.set())
    )
    assert stop.wait(5)
    assert worker.ask(op="drill_over", request_id=held["request_id"])["lifted"]
    view = worker.ask(op="status")
    assert (view["killed"], view["state"]) == ([], "HALTED")


# --- the same from a shell --------------------------------------------------------------------------------------------


def typed(main, paths, *arguments):
    file = paths.secrets / "typed"
    write_file(file, b"right\n")
    person = ("--password-file", str(file), "--code", code(paths), "--data-dir", str(paths.root))
    return main([*arguments, *person])


def test_a_strategy_that_was_flattened_is_enabled_from_a_shell_and_that_ends_its_flatten(paths, bus, worker, capsys):
    active(bus, worker)
    seal(paths)
    person = {"user": "operator", "password": "right", "code": code(paths), "reason": "leaving"}
    assert worker.ask(op="flatten", scope="strategy", target="momentum", **person)["ok"]
    worker.until(lambda view: view["strategies"]["momentum"]["state"] == "off")
    assert typed(enable.main, paths, "nobody", "--reason", "its data are right") == 1
    assert "Not enabled: target 'nobody' is not a strategy" in capsys.readouterr().err
    assert typed(enable.main, paths, "momentum", "--reason", " ") == 2
    assert "enable: --reason is empty" in capsys.readouterr().err
    assert typed(enable.main, paths, "momentum", "--reason", "its data are right") == 0
    assert capsys.readouterr().out == "momentum is enabled; a flatten of it has ended.\n"
    worker.until(lambda view: view["strategies"]["momentum"]["state"] != "off")
    worker.stop()
    event = journaled(paths, "ControlEvent")[-1]
    assert (event.action, event.scope, event.target, event.actor) == ("enable", "strategy", "momentum", "operator")


@pytest.mark.parametrize(
    ("wanted", "state", "action"),
    [("adopt", "ACCEPTED", "adopt"), ("ignore", "EXTERNAL", "ignore"), ("flatten", "CANCELED", "flatten_external")],
)
def test_what_becomes_of_an_external_order_is_said_from_a_shell(paths, bus, worker, capsys, wanted, state, action):  # noqa: PLR0917
    active(bus, worker)
    seal(paths)
    for close in feed_entries(2)[:2]:
        bus.send_close(close)
    worker.until(lambda view: view["counts"]["slices"] == 2)
    broker = worker.trading._core.machine.broker
    broker._book["X1"] = OrderEvent(
        engine_ns=1, order_id="X1", state="ACCEPTED", symbol="SYMA", side="BUY", lots=10, filled_lots=0, type="LIMIT",
        limit_ticks=100, stop_ticks=None, time_in_force="GTC", expires_ns=None, lots_by_strategy={},
        expected_price=1.0,
    )  # fmt: skip
    worker.trading._server._handlers._calls.ask(worker.trading._core.reconcile).result(20)
    assert typed(external.main, paths, wanted, "X9", "--reason", "by hand") == 1
    assert "Order X9 stays as it was: target 'X9' is no external order" in capsys.readouterr().err
    assert typed(external.main, paths, wanted, "", "--reason", "by hand") == 2
    assert typed(external.main, paths, wanted, "X1", "--reason", "by hand") == 0
    assert capsys.readouterr().out == f"Order X1 {external.SAID[wanted]}.\n"
    worker.stop()
    assert journaled(paths, "ControlEvent")[-1].action == action
    assert [order.state for order in journaled(paths, "OrderEvent") if order.order_id == "X1"][-1] == state


def test_both_commands_say_when_the_worker_is_away(paths, capsys):
    seal(paths)
    assert typed(enable.main, paths, "momentum", "--reason", "r") == 1
    assert typed(external.main, paths, "adopt", "X1", "--reason", "r") == 1
    said = capsys.readouterr().err
    assert "Not enabled: " in said
    assert "Order X1 stays as it was: " in said
