"""The bus stopped, terminated, emptied, out of memory: no order is lost or doubled, and the station says so."""

import signal
import time

import pytest

from events import bus as station_bus
from tests.faults.stage import SLICES, Stage

SAME = ("orders_sha256", "counts", "positions")


@pytest.fixture
def stage(paths):
    made = Stage(paths)
    yield made
    made.close()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """Return the last view of a run without faults."""
    from tests.conftest import PRIVATE  # noqa: PLC0415 - a folder of this test process

    stage = Stage(_paths(PRIVATE / "undisturbed"))
    try:
        return stage.start().finish()
    finally:
        stage.close()


def _paths(folder):
    import worker_station as made  # noqa: PLC0415 - found by this folder's conftest

    return made.data_paths(folder)


def assert_same(stage, view, undisturbed):
    for name in SAME:
        left, right = (
            {**found[name]} if isinstance(found[name], dict) else found[name] for found in (view, undisturbed)
        )
        for found in (left, right):
            if name == "counts":
                found.pop("alerts")
        assert left == right, name
    assert stage.twice() == 0
    assert stage.chain_ok()


def test_a_bus_that_hangs_is_waited_for(stage, undisturbed, fault_row, monkeypatch):
    monkeypatch.setattr(station_bus, "SOCKET_TIMEOUT_S", 1.0)
    stage.start().until_slices(60)
    stage.bus.process.send_signal(signal.SIGSTOP)
    before = stage.until_alert("PROCESS_DOWN")
    stage.bus.process.send_signal(signal.SIGCONT)
    began = time.monotonic()
    view = stage.finish()
    assert_same(stage, view, undisturbed)
    fault_row(
        fault="bus hangs (SIGSTOP)",
        orders="those of the undisturbed run; none meanwhile, since no bar is read",
        state=f"{before['state']} throughout",
        sees=f"alerts {', '.join(stage.rules())}",
        recovers="by itself when the bus answers again",
        measured=f"orders {view['counts']['orders']}, lost 0, twice 0; {time.monotonic() - began:.1f} s to the end",
    )


def test_a_bus_that_is_terminated_goes_on_from_its_file(stage, undisturbed, fault_row):
    stage.start().until_slices(60)
    stage.end_bus(signal.SIGTERM)
    before = stage.until_alert("PROCESS_DOWN")
    stage.bus.start()
    view = stage.finish()
    assert_same(stage, view, undisturbed)
    fault_row(
        fault="bus ends (SIGTERM, kill -9)",
        orders="those of the undisturbed run; none meanwhile, since no bar is read",
        state=f"{before['state']} throughout",
        sees=f"alerts {', '.join(stage.rules())}",
        recovers="by itself: the supervisor starts it again, its file holds every entry that it had confirmed",
        measured=f"orders {view['counts']['orders']}, lost 0, twice 0",
    )


def test_an_emptied_bus_halts_until_a_person_releases(stage, fault_row):
    stage.start().until_slices(60)
    stage.empty_bus()
    halted = stage.until(lambda view: view["state"] == "HALTED")
    stage.until_alert("BUS_LOST")
    assert not halted["open_orders"]
    stage.worker.stop()
    stage.worker.start()
    stage.until(lambda view: view["state"] == "HALTED" and not view["failed"], seconds=120)
    assert stage.release()["ok"]
    stage.until(lambda view: view["state"] == "ACTIVE")
    view = stage.finish()
    assert view["counts"]["slices"] == SLICES + 1
    assert view["counts"]["bars"] == SLICES * 8
    assert not view["counts"]["refused"]
    assert stage.twice() == 0
    assert stage.chain_ok()
    fault_row(
        fault="bus restarted empty",
        orders="open ones cancelled, nothing new until a release; every bar is still taken once",
        state=" → ".join(stage.states()),
        sees="alert BUS_LOST; HALTED in the header",
        recovers="the feed sends again what was lost, under the same ids; then `manage.py release`",
        measured=f"bars {view['counts']['bars']} of {SLICES * 8}, twice 0",
    )


def test_a_bus_without_memory_refuses_and_loses_nothing(stage, undisturbed, fault_row):
    stage.start().until_slices(60)
    used = int(stage.bus.web.info("memory")["used_memory"])
    stage.bus.web.close()
    stage.end_bus(signal.SIGTERM)
    stage.bus_with("--maxmemory", str(used))
    before = stage.until_alert("BUS_REFUSES")
    slices = before["counts"]["slices"]
    time.sleep(1.0)
    held = stage.until(lambda view: view["counts"]["slices"] >= slices)
    stage.end_bus(signal.SIGTERM)
    stage.bus.start()
    view = stage.finish()
    assert held["counts"]["slices"] < SLICES
    assert_same(stage, view, undisturbed)
    fault_row(
        fault="bus out of memory",
        orders="those of the undisturbed run; no bar enters while it lasts",
        state=f"{held['state']} throughout",
        sees=f"alerts {', '.join(rule for rule in stage.rules() if not rule.startswith('PROCESS_'))}",
        recovers="by itself when memory is free again: feed, relay and worker try again what was refused",
        measured=f"orders {view['counts']['orders']}, lost 0, twice 0",
    )
