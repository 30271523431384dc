"""Every fault's test says in one row of docs/faults.md what it found, and fails where the page says otherwise."""

import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "worker"))

import worker_station as made

from tests.faults import table


@pytest.fixture
def fault_row(request):
    """Return what takes the facts of a row: its columns by name and, as text, what was measured.

    Give ``state``, ``orders`` and what the operator ``sees`` as the test found them. Called with ``--write-faults`` it
    writes the row; else the columns beside ``measured`` must be what the page says.
    """
    test = f"{request.node.path.name}::{request.node.originalname}"
    write = request.config.getoption("--write-faults", default=False)

    def record(*, measured, **columns):
        print(f"{columns['fault']}: {measured}")
        if write:
            table.write(test, columns, measured)
        table.check(test, columns)

    return record


class SmallDisk(NamedTuple):
    """A file system of its own: ``folder`` reaches it from here, ``inside`` is its place for commands behind ``enter``.

    Whoever resolves links by himself, as SQLite does, must enter: for him the way through /proc leads back out.
    """

    folder: Path
    inside: Path
    pid: int

    @property
    def enter(self):
        return ["nsenter", "--target", str(self.pid), "--user", "--mount", "--preserve-credentials"]


@pytest.fixture
def small_disk(short_dir):
    """Yield what makes a file system of so many MiB.

    It lives in the mount name space of a process, through which everybody reaches it: it needs no root, and goes with
    that process.
    """
    holders = []

    def make(mebibytes):
        folder = short_dir / "disk"
        folder.mkdir()
        script = f'mount -t tmpfs -o size={mebibytes}m,mode=0700 none "$0" && echo ready && exec sleep infinity'
        command = [
            "setpriv",
            "--pdeathsig",
            "KILL",
            "unshare",
            "--mount",
            "--map-root-user",
            "sh",
            "-c",
            script,
            str(folder),
        ]
        holder = subprocess.Popen(command, stdout=subprocess.PIPE)
        holders.append(holder)
        assert holder.stdout.readline() == b"ready\n"
        return SmallDisk(Path(f"/proc/{holder.pid}/root{folder}"), folder, holder.pid)

    yield make
    for holder in holders:
        holder.kill()
        holder.wait()
        holder.stdout.close()


@pytest.fixture
def paths(short_dir):
    return made.data_paths(short_dir / "d")


@pytest.fixture
def bus(paths):
    running = made.Bus(paths).start()
    yield running
    running.stop()


@pytest.fixture
def worker(paths):
    thread = made.WorkerThread(paths)
    yield thread
    thread.stop()


@pytest.fixture
def process(paths):
    started = made.WorkerProcess(paths)
    yield started
    started.stop()


@pytest.fixture
def bench(tmp_path):
    """A core on a real journal, and what makes another one on the same journal."""
    return made.Bench(tmp_path)
