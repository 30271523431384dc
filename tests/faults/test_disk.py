"""A disk that fills up, slowly and at once: the journal's, and the web database's."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys

import pytest
import worker_station as made

from events import journal
from events.journal import JournalWriteFailed
from tests.faults.stage import SLICES, Stage

MIB = 2**20


def leave(folder, mebibytes):
    """Fill a file system but for so many MiB."""
    ballast = folder / "ballast"
    ballast.unlink(missing_ok=True)
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):  # somebody else may take the last bytes
        while shutil.disk_usage(folder).free > mebibytes * MIB:
            file.write(bytes(min(shutil.disk_usage(folder).free - mebibytes * MIB, MIB)))


@pytest.fixture
def stages():
    """Yield what makes stages, and end them."""
    running = []

    def make(paths):
        running.append(Stage(paths))
        return running[-1]

    yield make
    for stage in running:
        stage.close()


def test_a_disk_that_fills_up_warns_reduces_and_halts(stages, small_disk, fault_row):
    disk = small_disk(160).folder
    stage = stages(made.data_paths(disk / "d")).start()
    stage.until_slices(60)
    seen = []
    for left, state in ((50, "ACTIVE"), (25, "REDUCING"), (8, "HALTED")):
        leave(disk, left)
        view = stage.until(lambda view: alerts_of(view) > len(seen))
        assert view["state"] == state
        seen.append(f"{left} MiB {state}")
    assert not view["open_orders"]
    (disk / "ballast").unlink()
    assert stage.until_slices(view["counts"]["slices"] + 20)["state"] == "HALTED"
    assert stage.release("space was made")["ok"]
    view = stage.finish()
    assert view["counts"]["slices"] == SLICES + 1
    assert view["state"] == "ACTIVE"
    assert stage.twice() == 0
    assert stage.chain_ok()
    fault_row(
        fault="journal's disk fills up slowly",
        orders="at REDUCING only what lowers exposure, at HALTED none; open ones that could raise it are cancelled",
        state=" → ".join(stage.states()),
        sees=f"alerts {', '.join(stage.rules())}, one a step; the state in the header; free space on System",
        recovers="space that comes back re-arms nothing: `manage.py release`",
        measured=", ".join(seen),
    )


def alerts_of(view):
    return sum(alert["rule"] == "DISK_SPACE" for alert in view["alerts"])


def test_a_disk_full_at_once_ends_the_worker_before_an_order_leaves(
    stages, small_disk, short_dir, fault_row, monkeypatch
):
    """The journal alone lies on the full disk, so that bars go on to come; the guard is too late for it."""
    monkeypatch.setattr(journal, "ZEROED_BYTES", 1 << 16)
    disk = small_disk(80).folder
    paths = made.data_paths(short_dir / "d")
    paths.journal.symlink_to(disk)
    stage = stages(paths).start()
    before = stage.until_slices(60)
    stage.worker.trading.loop.watches.clear()
    leave(disk, 0)
    stage.worker._thread.join(60)
    failed = stage.worker._failed.pop()
    assert isinstance(failed, JournalWriteFailed)
    stage.worker.trading._core.keeper.journal._release()  # as the end of its process does
    (disk / "ballast").unlink()
    stage.worker.start()
    view = stage.finish()
    assert view["counts"]["slices"] == SLICES + 1
    assert view["counts"]["slices"] > before["counts"]["slices"]
    assert stage.twice() == 0
    assert stage.chain_ok()
    intents = {order.order_id for order in stage.records("OrderEvent") if order.state == "INTENT"}
    assert {event.order_id for event in stage.records("BrokerEvent")} <= intents
    fault_row(
        fault="journal's disk full at once",
        orders="none leaves without its intent on the disk: the worker ends instead (exit 1)",
        state=f"{view['state']}: it lasts no second, so that the guard sees nothing of it",
        sees="the worker restarts; five times within a minute: FAILED in the header",
        recovers="free some space; it goes on where its journal ends",
        measured=f"slices {view['counts']['slices']} of {SLICES + 1}, twice 0",
    )


def test_a_full_database_holds_up_requests_but_no_order(stages, small_disk, short_dir, fault_row):
    small = small_disk(24)
    paths = made.data_paths(short_dir / "d")
    paths.database.symlink_to(small.inside / "django.sqlite3")
    stage = stages(paths)
    environment = {**os.environ, "STATION_DATA_DIR": str(paths.root), "PYTHONPATH": str(made.ROOT)}

    def manage(*words, **options):
        return subprocess.run(
            [*small.enter, sys.executable, made.ROOT / "manage.py", *words],
            env=environment, capture_output=True, text=True, check=False, **options,
        )  # fmt: skip

    assert manage("migrate").returncode == 0
    stage.start()
    stage.until_slices(30)
    leave(small.folder, 0)
    put = "from django.db import transaction; from events.actions import put; from events.types import ControlEvent\n"
    put += (
        "with transaction.atomic():\n"
        "    for number in range(200):\n"
        "        asked = ControlEvent(action='pause', scope='strategy', target='momentum', actor='ann',"
        " reason='x' * 40000, request_id=f'r{number}')\n"
        "        put(stream='control.worker', actor='ann', request_id=asked.request_id, payload=asked)\n"
    )
    refused = manage("shell", "-c", put)
    assert refused.returncode == 1
    assert "OperationalError: d" in refused.stderr  # "database or disk is full", "disk I/O error"
    during = stage.until_slices(SLICES // 2)
    (small.folder / "ballast").unlink()
    assert manage("shell", "-c", put).returncode == 0
    relay = subprocess.Popen([*small.enter, sys.executable, made.ROOT / "manage.py", "relay"], env=environment)
    try:
        stage.until(lambda _: len([1 for event in stage.records("ControlEvent") if event.action == "pause"]) == 200)
    finally:
        relay.send_signal(signal.SIGTERM)
        relay.wait(30)
    view = stage.finish()
    assert view["counts"]["slices"] == SLICES + 1
    pauses = [event for event in stage.records("ControlEvent") if event.action == "pause"]
    assert len(pauses) == len({event.request_id for event in pauses}) == 200
    assert stage.twice() == 0
    fault_row(
        fault="web database's disk full",
        orders="trading goes on; what people ask for is refused whole, nothing of it is half done",
        state=f"{during['state']} throughout",
        sees="a request that fails with the database's words; kill and release work without the database",
        recovers="free some space and ask again; the relay sends what waits",
        measured=f"requests refused 200, taken afterwards {len(pauses)}, twice 0",
    )
