"""A clock that is set back, and a journal whose last record is torn or whose records were changed."""

import itertools
import time

import pytest
import worker_station as made

from events.journal import JournalReader
from events.ports import SystemClock
from tests.faults.stage import SLICES, Stage

HOUR_S = 3600
MOMENT_NS = 60_000_000_000


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """Return the last view of a run without faults."""
    from tests.conftest import PRIVATE  # noqa: PLC0415 - a folder of this test process

    stage = Stage(made.data_paths(PRIVATE / "undisturbed-clock"))
    try:
        return stage.start().finish()
    finally:
        stage.close()


@pytest.fixture
def stages():
    """Yield what makes stages, and end them."""
    running = []

    def make(*arguments):
        running.append(Stage(*arguments))
        return running[-1]

    yield make
    for stage in running:
        stage.close()


def test_a_clock_set_back_an_hour_changes_no_order(stages, paths, undisturbed, fault_row, monkeypatch):
    """The worker's whole Python process sees another wall clock from one instant to the next; bus and feed do not."""
    stage = stages(paths).start()
    stage.until_slices(60)
    wall, wall_ns = time.time, time.time_ns
    monkeypatch.setattr(time, "time", lambda: wall() - HOUR_S)
    monkeypatch.setattr(time, "time_ns", lambda: wall_ns() - HOUR_S * 10**9)
    monkeypatch.setattr(SystemClock, "utc_ns", staticmethod(time.time_ns))
    stage.until_alert("CLOCK_JUMP")
    stage.worker.stop()
    stage.worker.start()
    view = stage.finish()
    assert view["counts"]["slices"] == SLICES + 1
    for name in ("orders_sha256", "positions"):
        assert view[name] == undisturbed[name]
    records = list(JournalReader(paths.journal / "execution").read())
    steps = [(after.utc_ns - before.utc_ns) for before, after in itertools.pairwise(records)]
    back = [step for step in steps if step < 0]
    assert len(back) == 1
    assert abs(back[0] + HOUR_S * 10**9) < MOMENT_NS
    assert all(after.mono_ns >= before.mono_ns for before, after in itertools.pairwise(records))
    assert [record.seq for record in records] == list(range(len(records)))
    assert stage.chain_ok()
    assert stage.twice() == 0
    fault_row(
        fault="clock set back an hour, and a restart after it",
        orders="those of the undisturbed run: engine time is the market's",
        state=f"{view['state']} throughout",
        sees=f"alert {', '.join(stage.rules())}; the record's UTC times go back once, its sequence goes on",
        recovers="nothing to recover",
        measured=f"{len(records)} records, {len(back)} step back of {-back[0] / 1e9:,.0f} s, twice 0",
    )


def segment(paths):
    return max((paths.journal / "execution").glob("*.seg"))


def test_a_torn_last_record_is_cut_off_and_taken_again(stages, paths, undisturbed, fault_row):
    stage = stages(paths, made.WorkerProcess).start()
    stage.until_slices(100)
    stage.worker.kill9()
    data = bytearray(segment(paths).read_bytes())
    end = len(bytes(data).rstrip(b"\0"))
    data[end - 150 : end] = bytes(150)
    segment(paths).write_bytes(data)
    stage.worker.start()
    view = stage.finish()
    assert "the journal's end was torn" in stage.worker.said() + _logs(paths)
    for name in ("orders_sha256", "positions"):
        assert view[name] == undisturbed[name]
    assert view["counts"]["bars"] == undisturbed["counts"]["bars"]
    assert stage.twice() == 0
    assert stage.chain_ok()
    fault_row(
        fault="last journal record torn (power cut)",
        orders="those of the undisturbed run: nothing had acted on the torn batch",
        state=f"{view['state']} throughout",
        sees="one warning in the worker's log: how many bytes were cut off",
        recovers="by itself: the batch is cut off, its inputs are taken from the bus again",
        measured=f"bars {view['counts']['bars']}, lost 0, twice 0",
    )


def _logs(paths):
    return "".join(file.read_text() for file in paths.logs.glob("*"))


def test_a_changed_record_keeps_the_worker_from_starting(stages, paths, fault_row):
    stage = stages(paths, made.WorkerProcess).start()
    stage.until_slices(100)
    assert stage.worker.stop() == 0
    data = segment(paths).read_bytes()
    at = data.rindex(b'"close":') + len(b'"close":')
    changed = b"9" if data[at : at + 1] != b"9" else b"8"
    segment(paths).write_bytes(data[:at] + changed + data[at + 1 :])
    stage.worker.start()
    assert stage.worker.process.wait(timeout=60) == 2
    said = stage.worker.said().strip().splitlines()[-1]
    assert "journal execution is damaged at record" in said
    segment(paths).write_bytes(data)
    stage.worker.start()
    stage.until_slices(120)
    fault_row(
        fault="a record was changed while the worker was down",
        orders="none: the worker does not start",
        state="no worker, and none before the record holds again",
        sees="one sentence that names journal, record and segment",
        recovers="restore the segment from a copy; `manage.py audit verify` says what holds",
        measured=said[:120].replace(str(paths.root), "DATA"),
    )
