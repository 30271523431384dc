"""A kill while the disk hangs or fails: cancels never wait for it."""

import threading
import time

import msgspec
import pytest
from worker_station import FEED

from engine.output import Output
from events.codec import decode_payload
from events.journal import JournalSyncFailed, JournalWriteFailed
from worker.brokers.port import BrokerTimeoutError, BrokerUnavailableError
from worker.calls import Calls
from worker.guard import Guard
from worker.kill import Kill, KillSwitch
from worker.release import Passwords
from worker.requests import SocketHandlers


@pytest.fixture
def working(bench):
    """A core with orders at the broker, its trading thread between two slices."""
    bench.configure()
    for one in bench.slices(500):
        bench.core.apply(Output("MarketSlice", f"feed:{FEED}", one))
        if len(bench.core.machine.broker.working()) >= 1:
            return bench
    raise AssertionError("no order was made")


def kill(scope="all", target=""):
    return Kill(scope=scope, target=target, actor="a", reason="r", request_id="k1")


def test_the_guard_cancels_where_the_trading_thread_hangs(working, monkeypatch):
    guard, hang = Guard(working.core), threading.Event()
    sync = working.journal.sync
    monkeypatch.setattr(working.journal, "sync", lambda: (hang.wait(20), sync()))
    working.core.alert("X", "something to sync")
    stuck = threading.Thread(target=working.core.keeper.sync)
    stuck.start()
    guard.start()
    working.switch.request(kill(), "socket")
    until = time.monotonic() + 10
    while working.core.machine.broker.working() and time.monotonic() < until:
        time.sleep(0.01)
    assert not working.core.machine.broker.working()
    assert guard.canceled >= 1
    assert stuck.is_alive()
    hang.set()
    stuck.join()
    guard.close()
    working.core.kill_requested()
    assert not working.core.machine.engine.open_orders()


@pytest.mark.parametrize("error", [BrokerUnavailableError, BrokerTimeoutError, RuntimeError])
def test_the_guard_lives_on_where_the_broker_does_not_answer(working, monkeypatch, error):
    guard, broker = Guard(working.core), working.core.machine.broker
    asked, ask, waits = [], broker.working, threading.Event()
    monkeypatch.setattr("worker.guard.PATIENCE_S", 0.0)  # the trading thread is this one, and it hangs

    def working_orders():
        asked.append(1)
        if len(asked) <= 3:
            raise error("no answer")
        waits.set()
        return ask()

    monkeypatch.setattr(broker, "working", working_orders)
    guard.start()
    working.switch.request(kill(), "socket")
    assert waits.wait(10), "the guard asked once and never again"
    until = time.monotonic() + 10
    while ask() and time.monotonic() < until:
        time.sleep(0.01)
    guard.close()
    assert not ask()


def test_an_order_withdrawn_by_the_guard_is_not_filled_by_the_next_slice(working):
    order_id = working.core.machine.broker.working()[0].order_id
    working.switch.request(kill(), "socket")
    working.core.desk.cancel_killed(working.core.machine.broker)
    done = working.core.machine.projection.counts.slices
    one = list(working.slices(done + 1))[-1]
    working.core.apply(Output("MarketSlice", f"feed:{FEED}", one))
    fills = [decode_payload("FillEvent", r.payload) for r in working.records if r.type == "FillEvent"]
    assert order_id not in {fill.order_id for fill in fills}


@pytest.mark.parametrize("call", ["append", "sync"])
def test_a_failing_disk_ends_the_worker_after_the_cancels(working, monkeypatch, call):
    error = JournalWriteFailed if call == "append" else JournalSyncFailed

    def fail(*_):
        raise error("the disk is gone")

    monkeypatch.setattr(working.journal, call, fail)
    working.switch.request(kill(), "socket")
    with pytest.raises(error):
        working.core.kill_requested()
    assert not working.core.machine.broker.working()
    working.crash()
    assert working.switch.check() == {"all"}


def test_an_intent_that_meets_the_kill_is_never_sent(bench, monkeypatch):
    bench.configure()
    sent = []
    monkeypatch.setattr(bench.core.machine.broker, "submit", sent.append)
    bench.switch.words = frozenset({"all"})
    bench.trade(400)
    assert not sent
    denied = [decode_payload("BrokerEvent", r.payload) for r in bench.records if r.type == "BrokerEvent"]
    assert denied
    assert {event.kind for event in denied} == {"REJECTED"}
    assert "KILLED" in denied[0].reason


def test_a_socket_kill_answers_though_nobody_trades(working, tmp_path):
    guard = Guard(working.core)
    guard.start()
    handlers = SocketHandlers(working.core, guard, Calls(), Passwords(tmp_path / "none"), lambda: b"{}")
    before = len(working.core.machine.broker.working())
    answer = handlers.kill("all", "", "a", "r", "")
    guard.close()
    assert answer["ok"]
    assert answer["canceled"] == before
    assert b"did not answer" in handlers.status()


def test_a_release_that_cannot_remove_the_file_leaves_the_kill(bench, monkeypatch):
    bench.configure()
    bench.switch.request(kill(), "socket")
    bench.core.kill_requested()

    def refuse(*_):
        raise PermissionError("no")

    monkeypatch.setattr("os.rename", refuse)
    assert bench.core.release("operator", "all clear") == "another kill stands"
    assert bench.switch.words == {"all"}
    assert bench.core.machine.killed == {"all"}
    monkeypatch.undo()
    assert bench.core.release("operator", "all clear") == ""
    assert not bench.switch.words
    assert not bench.core.machine.killed


def test_the_count_is_right_where_the_file_came_before_the_socket(working):
    """A press takes all ways at once: whichever the worker hears first, the socket answers with what was cancelled."""
    working_orders = len(working.core.machine.broker.working())
    asked = kill()
    working.switch.path.parent.mkdir(parents=True, exist_ok=True)
    working.switch.path.write_bytes(msgspec.json.encode(asked) + b"\n")
    working.switch.check()
    working.core.kill_requested()
    working.switch.request(asked, "socket")
    assert working.core.canceled_by(asked.request_id) == working_orders > 0
    assert working.core.canceled_by("another") == 0


def killed(bench, *scopes):
    for number, (scope, target) in enumerate(scopes):
        bench.switch.request(Kill(scope=scope, target=target, actor="a", reason="r", request_id=f"k{number}"), "socket")
    bench.core.kill_requested()


def test_a_symbol_is_released_alone_and_the_rest_stays_killed_over_a_restart(bench):
    bench.configure()
    killed(bench, ("symbol", "SYMA"), ("strategy", "bullish"), ("symbol", "SYMA"))
    assert bench.core.release("operator", "looked at", "symbol", "SYMA") == ""
    assert bench.switch.words == bench.core.machine.killed == {"strategy:bullish"}
    assert KillSwitch(bench.switch.path).check() == {"strategy:bullish"}
    bench.crash()
    assert bench.switch.check() | bench.core.machine.killed == {"strategy:bullish"}
    assert bench.core.release("operator", "all clear") == ""
    assert not bench.switch.check() | bench.core.machine.killed
    assert not bench.switch.path.exists()


def test_releasing_a_symbol_lifts_no_kill_of_everything(bench):
    bench.configure()
    killed(bench, ("all", ""), ("symbol", "SYMA"))
    assert bench.core.release("operator", "looked at", "symbol", "SYMA") == ""
    assert bench.switch.check() == bench.core.machine.killed == {"all"}


def test_a_release_of_what_the_station_does_not_have_releases_nothing(bench):
    bench.configure()
    killed(bench, ("symbol", "SYMA"))
    assert "is not a symbol of the station" in bench.core.release("operator", "looked at", "symbol", "NONE")
    assert bench.switch.check() == bench.core.machine.killed == {"symbol:SYMA"}


def test_before_a_configuration_a_release_lifts_its_own_scope_alone(bench):
    killed(bench, ("symbol", "SYMA"), ("symbol", "SYMB"))
    assert bench.core.release("operator", "looked at", "symbol", "SYMB") == ""
    assert bench.switch.check() == bench.core.machine.killed == {"symbol:SYMA"}
    bench.configure()
    assert bench.core.machine.engine.control.killed == ["symbol:SYMA"]


def test_a_kill_that_comes_during_the_release_of_a_symbol_stands(bench):
    bench.configure()
    killed(bench, ("symbol", "SYMA"))
    journaled = bench.core.control

    def meanwhile(action, *rest):
        batch = journaled(action, *rest)
        if action == "release":
            bench.switch.request(Kill(scope="all", target="", actor="b", reason="r", request_id="new"), "socket")
        return batch

    bench.core.control = meanwhile
    assert bench.core.release("operator", "looked at", "symbol", "SYMA") == "another kill stands"
    assert bench.switch.check() == bench.core.machine.killed == {"all", "symbol:SYMA"}
