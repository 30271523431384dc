"""`manage.py feed`: publishes the run's source to its stream, until it ends, then waits to be stopped.

It can be killed at any instant: event N of a source is always the same, and the next start goes on after the last sent.
"""

import argparse
import logging
import math
import os
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import msgspec
import redis

from events import bus, logs
from events.codec import envelope
from events.paths import DataPaths
from events.streams import CONTROL_FEED
from events.types import Bar, FeedEnd, Quote
from market.feeds.inspect import feed_of_run
from market.feeds.pacing import Pace, wait_s
from market.feeds.port import Batch, Feed, FeedError
from market.feeds.publisher import Publisher

AHEAD = 5_000  # entries that the slowest reader may be behind at full speed
AHEAD_PACED = 200_000
AT_ONCE = 512  # entries of one transaction at full speed
POLL_S = 0.05
BUS_ERRORS = (redis.RedisError, OSError)
EXAMPLE = "example: manage.py feed --data-dir var   (the run's source; `./station run` starts it by itself)"

log = logging.getLogger("feed")


class _StoppedError(Exception):
    """Somebody asked the process to end."""


class FeedProcess:
    """One feed on its way to the bus: pacing, back-pressure, beats."""

    def __init__(self, paths: DataPaths, run: Mapping[str, Any], feed: Feed, since_ms: int) -> None:
        self._paths = paths
        self._feed = feed
        description = feed.describe()
        self._interval_s, self._total = description.interval_s, description.bars
        self._since_ms = since_ms
        self._pace = Pace.of_run(run.get("speed"))
        self._stopped = False
        self._ended = False
        self._bars = 0
        self._waiting: list[bytes] = []
        self._close_ns = 0
        self._due = 0.0
        self._next_beat = self._next_poll = self._next_trim = 0.0

    def stop(self, *_signal: object) -> None:
        """End after the slice that is being sent."""
        self._stopped = True

    def run(self) -> None:
        """Publish until stopped; a bus that goes away is waited for."""
        while not self._stopped:
            try:
                self._connect()
                self._publish()
            except _StoppedError:
                return
            except (*BUS_ERRORS, bus.BusUnreachableError) as error:
                log.warning("the bus failed, trying again: %s", error)
                time.sleep(0.2)

    def _connect(self) -> None:
        self._client = bus.connect(self._paths, "feed")
        self._publisher = Publisher(self._client, self._feed.name, self._paths.feeds / f"{self._feed.name}.position")
        pace = self._pace
        pace.position = max(pace.position, f"{self._since_ms}-0", key=_order)
        for entry in bus.read_from(self._client, {CONTROL_FEED: pace.position}):
            pace.take(entry, live=False)

    def _publish(self) -> None:
        start = self._publisher.resume() + 1
        log.info("%s goes on with entry %d", self._feed.name, start)
        if self._publisher.sent >= start:
            log.error("the bus has lost entries %d to %d: they are sent again", start, self._publisher.sent)
        self._waiting = []
        for batch in self._feed.batches(start):
            if batch.last > self._publisher.sent:  # what is sent again has waited for its time already
                self._hold(batch)
            else:
                self._turn()
            self._waiting += self._encoded(batch)
            self._bars, self._close_ns = batch.bars, batch.close_ns
            if len(self._waiting) >= AT_ONCE or math.isfinite(self._pace.speed) or self._pace.paused:
                self._send()
        self._send()
        self._idle()

    def _encoded(self, batch: Batch) -> list[bytes]:
        agent, now_ns = f"feed:{self._feed.name}", time.time_ns()
        return [
            envelope("MarketEvent" if isinstance(event, Bar | Quote) else type(event).__name__, agent, event, now_ns)
            for event in batch.events
        ]

    def _hold(self, batch: Batch) -> None:
        """Wait until the batch may go: its time has come, nobody has paused the feed."""
        if isinstance(batch.events[-1], FeedEnd):
            self._turn()
            return
        self._due = max(self._due, time.monotonic() - 0.25)
        self._due += wait_s(self._close_ns, batch.close_ns, self._interval_s, self._pace.speed)
        self._turn()
        while not self._pace.may_pass(left_s := self._due - time.monotonic()):
            self._send()
            self._rest(min(left_s, POLL_S) if left_s > 0 else POLL_S)

    def _send(self) -> None:
        if not self._waiting:
            return
        allowed = AHEAD_PACED if math.isfinite(self._pace.speed) else AHEAD
        self._publisher.send(self._waiting)
        self._waiting = []
        if self._publisher.ahead(fresh=False) > allowed:
            while self._publisher.ahead(fresh=True) > allowed:
                self._rest(POLL_S / 2)

    def _idle(self) -> None:
        """Say that the source has ended, and wait to be stopped."""
        if not self._ended:
            self._ended, self._bars = True, self._total
            log.info("%s has ended with entry %d", self._feed.name, self._publisher.last)
            self._beat()
        while True:
            self._rest(POLL_S * 4)

    def _rest(self, seconds: float) -> None:
        time.sleep(seconds)
        self._turn()

    def _turn(self) -> None:
        """Do what is due beside publishing: end, beat, listen."""
        if self._stopped:
            raise _StoppedError
        now = time.monotonic()
        if now >= self._next_poll:
            self._next_poll = now + POLL_S
            for entry in bus.read_from(self._client, {CONTROL_FEED: self._pace.position}):
                self._pace.take(entry, live=True)
                self._due = 0.0
                self._next_beat = now
        if now >= self._next_beat:
            self._next_beat = now + 1.0
            self._beat()
        if now >= self._next_trim:
            self._next_trim = now + 2.0
            self._publisher.trim()

    def _beat(self) -> None:
        milliseconds, number = bus.order(self._pace.position)
        metrics = {
            "bars": self._bars,
            "ordinal": self._publisher.last,
            "last_close_ns": self._close_ns,
            "speed": self._pace.shown,
            "paused": int(self._pace.paused),
            "ended": int(self._ended),
            "done": 1.0 if self._ended else min(1.0, self._bars / max(1, self._total)),
            "healthy": int(self._feed.health().ok),
            "control.ms": milliseconds,  # the last entry of control.feed whose wish is done, as two numbers
            "control.number": number,
        }
        bus.beat(self._client, "feed", metrics)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}; see --help\n")


def main(argv: list[str]) -> int:
    """Run the feed of a data directory's run; return 0 when stopped, 2 if the run's description cannot be used."""
    parser = _Parser(prog="manage.py feed", description="Publish the run's source to the bus.", epilog=EXAMPLE)
    parser.add_argument("name", nargs="?", help="the feed's name; it must be the run's (default: the run's)")
    default = Path(os.environ.get("STATION_DATA_DIR", "var"))
    parser.add_argument(
        "--data-dir", type=Path, default=default, help=f"where the station keeps everything ({default})"
    )
    given = parser.parse_args(argv)
    paths = DataPaths(given.data_dir)
    file = paths.run / "run.json"
    try:
        run = msgspec.json.decode(file.read_bytes(), type=dict[str, Any])
        since_ms = file.stat().st_mtime_ns // 1_000_000
        feed = feed_of_run(run)
    except (OSError, msgspec.DecodeError, KeyError) as error:
        sys.stderr.write(f"feed: {file} cannot be used ({error}); `./station run` writes it\n")
        return 2
    except FeedError as error:
        sys.stderr.write(f"feed: {error}\n")
        return 2
    if given.name is not None and given.name != feed.name:
        sys.stderr.write(f'feed: name = "{given.name}" is not the feed of {file}, which is "{feed.name}"\n')
        return 2
    logs.configure("feed", paths)
    process = FeedProcess(paths, run, feed, since_ms)
    signal.signal(signal.SIGTERM, process.stop)
    signal.signal(signal.SIGINT, process.stop)
    process.run()
    return 0


def _order(entry_id: str) -> tuple[int, int]:
    left, _, right = entry_id.partition("-")
    return int(left), int(right or 0)
