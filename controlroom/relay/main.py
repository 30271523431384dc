"""The relay's loop: the bus wakes it for what the worker says, a short pause for what the outbox holds."""

import logging
import signal
import threading
import time
from collections.abc import Sequence

import redis
from django.conf import settings
from django.db import Error as DatabaseError
from django.db import connection

from controlroom.environment import sentence
from controlroom.relay.answers import take_answers
from controlroom.relay.incoming import handle
from controlroom.relay.lock import RelayLock
from controlroom.relay.outgoing import send_waiting
from events import bus as station_bus
from events import logs
from events.embedded import EmbeddedServerError
from events.metrics import Metrics
from events.paths import DataPaths
from events.selectors import has_open_jobs, waiting
from events.streams import WORKER_EVENTS

GROUP = "relay"
IDLE_MS, BUSY_MS = 80, 10  # how long the outbox may go unlooked at: always, and while a job's answer is awaited
BEAT_S, STANDBY_S, AGAIN_S, ANSWERS_S = 1.0, 0.25, 0.25, 0.5
COUNT = 500

log = logging.getLogger(__name__)


class Relay:
    """One relay over one connection; a broken connection is made anew by :func:`main`."""

    def __init__(self, bus: redis.Redis, metrics: Metrics) -> None:
        self._bus = bus
        self._metrics = metrics
        self._next_beat = self._next_answers = 0.0
        self._busy = False

    def start(self) -> None:
        """Make the group, and do what an earlier life was given and never acknowledged."""
        station_bus.ensure_group(self._bus, WORKER_EVENTS, GROUP)
        while self._take(again=True):
            pass
        self._busy = has_open_jobs()

    def turn(self) -> None:
        """Look once at each side, waiting on the bus for at most a short pause."""
        if self._take(again=False):
            self._busy = has_open_jobs()
        sent = send_waiting(self._bus)
        if sent:
            self._metrics.counter("published").add(sent)
            self._busy = has_open_jobs()
        if time.monotonic() >= self._next_answers:
            self._next_answers = time.monotonic() + ANSWERS_S
            self._metrics.counter("answered").add(take_answers(self._bus))
        if time.monotonic() >= self._next_beat:
            self._beat()

    def _take(self, *, again: bool) -> int:
        pause = BUSY_MS if self._busy else IDLE_MS
        entries = station_bus.read_group(
            self._bus, [WORKER_EVENTS], GROUP, count=COUNT, block_ms=None if again else pause, delivered_again=again
        )
        for entry in entries:
            handle(entry)
        if entries:
            station_bus.acknowledge(self._bus, GROUP, entries)
            self._metrics.counter("read").add(len(entries))
        return len(entries)

    def _beat(self) -> None:
        self._next_beat = time.monotonic() + BEAT_S
        found = waiting()
        self._busy = has_open_jobs()
        self._metrics.gauge("waiting").set(found.rows)
        self._metrics.gauge("lag_s").set(round(found.lag_s, 3))
        station_bus.beat(self._bus, "relay", self._metrics.snapshot())


def main(argv: Sequence[str]) -> int:
    """Be the relay until TERM or INT; ``manage.py relay`` has set Django up. ``argv`` takes nothing."""
    del argv
    paths: DataPaths = settings.DATA
    logs.configure("relay", paths)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    run(paths, stop)
    return 0


def run(paths: DataPaths, stop: threading.Event) -> None:
    """Relay whenever the lock is ours, until told to stop."""
    lock, metrics = RelayLock(paths.run), Metrics("relay")
    try:
        while not stop.is_set():
            if _taken(lock):
                _relay(paths, stop, metrics)
                lock.give_back()  # PostgreSQL's went with the connection that failed, so both are taken anew
            else:
                stop.wait(STANDBY_S)
    finally:
        lock.give_back()
        connection.close()


def _taken(lock: RelayLock) -> bool:
    try:
        return lock.take()
    except DatabaseError as error:
        _lost(error)
        return False


def _relay(paths: DataPaths, stop: threading.Event, metrics: Metrics) -> None:
    """Relay over one connection; return when told to stop, or when bus or database failed and a pause has passed."""
    try:
        bus = station_bus.connect(paths, "relay", deadline_s=1.0)
        relay = Relay(bus, metrics)
        relay.start()
        log.info("relaying")
        while not stop.is_set():
            relay.turn()
    except (redis.RedisError, OSError, EmbeddedServerError) as error:
        log.warning("the bus failed (%s); trying again", error)
    except DatabaseError as error:
        _lost(error)
    stop.wait(AGAIN_S)


def _lost(error: DatabaseError) -> None:
    log.warning("the database failed (%s); trying again", sentence(error))
    connection.close()
