"""Files of bars, a real bus, and feed processes on it."""

import csv
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from types import SimpleNamespace

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from events import bus, embedded
from events.codec import decode_envelope, decode_payload, envelope
from events.paths import DataPaths
from events.streams import CONTROL_FEED, POSITION_WORKER, status_key
from events.types import FeedControl
from market.feeds.inspect import describe_run

ROOT = pathlib.Path(__file__).resolve().parents[2]


def options(feed, **changes):
    """Return run options with the defaults of the command."""
    return SimpleNamespace(**{
        "feed": str(feed), "symbols": (), "speed": "max", "interval_s": None, "stances": None, "actions": None,
        "host": "127.0.0.1", "port": 8000, "until_done": False, **changes,
    })  # fmt: skip


def write_csv(path, rows, header=("ts", "sym", "o", "h", "l", "c", "v")):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def write_parquet(path, rows, header=("ts", "sym", "o", "h", "l", "c", "v")):
    columns = list(zip(*rows, strict=True))
    pq.write_table(pa.table(dict(zip(header, map(list, columns), strict=True))), path)
    return path


class Station:
    """A data directory with a real bus; stands in for worker, recorder and relay with their own users."""

    def __init__(self, root):
        self.paths = DataPaths(root)
        command = embedded.valkey_command(self.paths, "bus")
        self.server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        self.feeds = []
        self.until(lambda: embedded.probe(self.paths, "bus"))
        self.recorder = bus.connect(self.paths, "recorder")
        self.worker = bus.connect(self.paths, "worker")
        self.relay = bus.connect(self.paths, "relay")

    def describe(self, feed, **changes):
        description = describe_run(options(feed, **changes))
        (self.paths.run / "run.json").write_bytes(msgspec.json.encode(description))
        return f"market.{description['source']['feed']}"

    def feed(self, *arguments):
        process = subprocess.Popen(
            [sys.executable, "-W", "error", "manage.py", "feed", "--data-dir", str(self.paths.root), *arguments],
            cwd=ROOT, stderr=subprocess.DEVNULL, env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        self.feeds.append(process)
        return process

    def entries(self, stream):
        """Return every entry there is as (id, payload)."""
        found = bus.read_from(self.worker, {stream: "0"}, count=1_000_000)
        return [(entry.id, self.payload(entry)) for entry in found]

    @staticmethod
    def payload(entry):
        message = decode_envelope(entry.event)
        return decode_payload(message.type, message.payload)

    def metrics(self):
        raw = self.worker.get(status_key("feed"))
        return msgspec.json.decode(raw)["metrics"] if raw else {}

    def steer(self, action, speed=0.0):
        event = envelope("FeedControl", "web", FeedControl(action=action, actor="operator", speed=speed), 0)
        bus.publish(self.relay, CONTROL_FEED, event)

    def say_worker_has(self, stream, position):
        self.worker.hset(POSITION_WORKER, stream, position)

    @staticmethod
    def until(condition, patience_s=60.0):
        end = time.monotonic() + patience_s
        while not (found := condition()):
            assert time.monotonic() < end, "it did not happen"
            time.sleep(0.01)
        return found

    def close(self):
        for process in self.feeds:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                assert process.wait(30) == 0
        self.server.terminate()
        self.server.wait(30)


@pytest.fixture
def station():
    root = pathlib.Path(tempfile.mkdtemp(prefix="feed-"))
    station = Station(root)
    yield station
    station.close()
    shutil.rmtree(root)


@pytest.fixture
def make():
    """Writers of files and the maker of run options."""
    return SimpleNamespace(csv=write_csv, parquet=write_parquet, options=options)
