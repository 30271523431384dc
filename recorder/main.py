"""The recorder: bus to station journal, both journals to the store. It may die at any moment and loses nothing."""

import argparse
import logging
import os
import shutil
import signal
import sys
import time
import uuid
from pathlib import Path

import redis

from events import bus, logs
from events.embedded import EmbeddedServerError
from events.journal import JournalDamaged, JournalError, JournalLocked, JournalWriter
from events.metrics import Metrics
from events.paths import DataPaths
from market.store import open_store
from market.store.port import StoreError
from recorder.intake import Intake
from recorder.projection import Projection

IDLE_MS = 100  # how long a quiet bus is waited for
BEAT_S = 1.0
BUS_ERRORS = (redis.RedisError, OSError, EmbeddedServerError)

log = logging.getLogger("recorder")


class Recorder:
    """One loop over the intake, and the projection beside it; a bus or store away holds up nothing but itself."""

    def __init__(self, paths: DataPaths) -> None:
        self._paths = paths
        self.journal = JournalWriter(paths.journal / "station", "station", uuid.uuid4().hex)
        if self.journal.cut:
            log.warning("journal station: cut %s", self.journal.cut)
        try:
            self._projection = Projection(paths, open_store(paths, writing=True))
            self._intake = Intake(paths, self.journal)
        except BaseException:
            self.journal.close()
            raise
        self._metrics = Metrics("recorder")
        self._client: redis.Redis | None = None
        self._next_beat = self._last_beat = time.monotonic()
        self._rows = 0
        self.stopping = False

    def run(self) -> None:
        """Work until :attr:`stopping`.

        Raises
        ------
        JournalError
            if the station journal cannot be written.
        """
        self._projection.start()
        while not self.stopping:
            self._take(IDLE_MS)
            self._projection.check()
            self._beat_if_due()

    def close(self) -> None:
        """Give journal, store and connection back; the store is brought up to date first."""
        self.journal.close()
        self._projection.stop()
        if self._client is not None:
            self._client.close()

    def _take(self, wait_ms: int) -> None:
        """Record what the bus has; without a bus, wait and try again."""
        try:
            if self._client is None:
                self._client = bus.connect(self._paths, "recorder", deadline_s=0.2)
                self._intake.discover(self._client, connected=True)
            self._intake.step(self._client, wait_ms)
        except BUS_ERRORS as error:
            self._lose_bus(error)

    def _lose_bus(self, error: BaseException) -> None:
        if self._client is not None:
            log.warning("bus lost: %s", error)
            self._client.close()
            self._client = None
        self._metrics.counter("bus_errors").add()
        time.sleep(IDLE_MS / 1000)

    def _beat_if_due(self) -> None:
        now = time.monotonic()
        if now < self._next_beat:
            return
        self._next_beat = now + BEAT_S
        rows = self._projection.rows
        gauge = self._metrics.gauge
        gauge("rows_per_s").set((rows - self._rows) / max(now - self._last_beat, 1e-9))
        self._rows, self._last_beat = rows, now
        gauge("journal_seq").set(self.journal.seq)
        for name, value in self._projection.metrics().items():
            gauge(name).set(value)
        gauge("store_errors").set(self._projection.errors)
        gauge("unreadable").set(self._intake.unreadable)
        gauge("disk_free_bytes").set(shutil.disk_usage(self._paths.root).free)
        if self._client is None:
            return
        try:
            self._intake.discover(self._client)
            gauge("market_lag").set(self._intake.lag(self._client))
            bus.beat(self._client, "recorder", self._metrics.snapshot())
        except BUS_ERRORS as error:
            self._lose_bus(error)


def main(argv: list[str]) -> int:
    """Run the recorder until SIGTERM; return 0, 1 if the record cannot be kept, 2 for a bad argument."""
    parser = argparse.ArgumentParser(
        prog="manage.py recorder",
        description="Record the bus in the station journal and project both journals into the store.",
        epilog="example: manage.py recorder --data-dir var",
    )
    parser.add_argument("--data-dir", type=Path, default=Path(os.environ.get("STATION_DATA_DIR", "var")))
    paths = DataPaths(parser.parse_args(argv).data_dir.expanduser().absolute())
    if not paths.root.is_dir():
        return _refuse(f"--data-dir {paths.root} is not a directory; start the station with manage.py run first")
    try:
        logs.configure("recorder", paths)
        recorder = Recorder(paths)
    except (JournalLocked, JournalDamaged, StoreError, OSError) as error:
        return _refuse(str(error))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: setattr(recorder, "stopping", True))
    try:
        recorder.run()
    except JournalError as error:
        log.critical("%s", error)
        return 1
    finally:
        recorder.close()
    return 0


def _refuse(sentence: str) -> int:
    sys.stderr.write(f"{sentence}\n")
    return 2
