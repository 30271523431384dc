"""The worker's connection to the bus: it may go away at any moment, and trading stays safe while it is gone."""

import contextlib
import logging
import time
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, cast

import msgspec
import redis

from events.bus import BusUnreachableError, Entry, connect, last_id, read_from, status_document
from events.embedded import EmbeddedServerError
from events.paths import DataPaths
from events.streams import POSITION_WORKER, WORKER_EVENTS, WORKER_SNAPSHOT, status_key
from worker.keeper import Told

PAUSE_FIRST_S, PAUSE_LAST_S = 0.05, 1.0
EVENTS_KEPT, VIEWS_KEPT = 100_000, 4
PUBLISHED_AT_ONCE = 1_000

log = logging.getLogger(__name__)

BUS_ERRORS = (redis.RedisError, OSError, EmbeddedServerError, BusUnreachableError)


class Link:
    """A client that is made again with growing pauses; every method says by its answer whether the bus took part."""

    def __init__(self, paths: DataPaths) -> None:
        self._paths = paths
        self._client: redis.Redis | None = None
        self._pause_s = PAUSE_FIRST_S
        self._next_try = 0.0
        self.reconnects = 0
        self.refused = ""  # what a bus that is there said to the last write: out of memory, or its disk is full

    @property
    def connected(self) -> bool:
        """Whether the last command was answered."""
        return self._client is not None

    def read(self, positions: Mapping[str, str], *, count: int, block_ms: int | None) -> list[Entry]:
        """Return entries after the positions; without a bus, nothing after as long a wait."""
        client = self._open()
        if client is None:
            time.sleep((block_ms or 1) / 1000)
            return []
        try:
            return read_from(client, positions, count=count, block_ms=block_ms)
        except BUS_ERRORS as error:
            self._lost(error)
            return []

    def last_ids(self, streams: list[str]) -> dict[str, str] | None:
        """Return the highest id of each stream ("0-0" if it is not there), None without a bus."""
        client = self._open()
        if client is None:
            return None
        try:
            return {stream: last_id(client, stream) for stream in streams}
        except BUS_ERRORS as error:
            self._lost(error)
            return None

    def tell(self, outbox: deque[Told], positions: Mapping[str, str], view: bytes | None = None) -> bool:
        """Publish journaled events, the journal's positions and the view in one round trip; keep all on failure."""
        client = self._open()
        if client is None:
            return False
        batch = [outbox[index] for index in range(min(len(outbox), PUBLISHED_AT_ONCE))]
        try:
            with client.pipeline(transaction=False) as pipe:
                command = cast("Any", pipe)
                for told in batch:
                    command.xadd(WORKER_EVENTS, {b"event": told.event()}, maxlen=EVENTS_KEPT, approximate=True)
                if positions:
                    command.hset(POSITION_WORKER, mapping=dict(positions))
                if view is not None:
                    command.xadd(WORKER_SNAPSHOT, {b"view": view}, maxlen=VIEWS_KEPT, approximate=False)
                pipe.execute()
        except redis.ResponseError as error:
            self.refused = str(error)
            return False
        except BUS_ERRORS as error:
            self._lost(error)
            return False
        self.refused = ""
        for _ in batch:
            outbox.popleft()
        return True

    def send(self, told: Told) -> bool:
        """Publish one event that no journal holds (hello)."""
        return self.tell(deque([told]), {})

    def beat(self, metrics: Mapping[str, float]) -> None:
        """Say that the worker lives."""
        client = self._open()
        if client is None:
            return
        try:
            cast("Any", client).set(status_key("worker"), status_document("worker", metrics), ex=10)
        except redis.ResponseError as error:
            self.refused = str(error)
        except BUS_ERRORS as error:
            self._lost(error)

    def beats(self, names: Sequence[str]) -> dict[str, dict[str, Any]] | None:
        """Return the last beats of those processes that have one, None without a bus."""
        client = self._open()
        if client is None:
            return None
        try:
            found = cast("Any", client).mget([status_key(name) for name in names])
        except BUS_ERRORS as error:
            self._lost(error)
            return None
        return {name: msgspec.json.decode(beat) for name, beat in zip(names, found, strict=True) if beat is not None}

    def close(self) -> None:
        """Close the connection."""
        if self._client is not None:
            with contextlib.suppress(*BUS_ERRORS):
                self._client.close()
            self._client = None

    def _open(self) -> redis.Redis | None:
        if self._client is not None or time.monotonic() < self._next_try:
            return self._client
        try:
            self._client = connect(self._paths, "worker", deadline_s=0.0)
        except BUS_ERRORS as error:
            self._lost(error)
        else:
            self._pause_s = PAUSE_FIRST_S
            log.info("bus connected", extra={"event_type": "bus"})
        return self._client

    def _lost(self, error: BaseException) -> None:
        if self._client is not None or not self.reconnects:
            log.warning("bus lost: %s", error, extra={"event_type": "bus"})
        self.reconnects += 1
        self.close()
        self._next_try = time.monotonic() + self._pause_s
        self._pause_s = min(self._pause_s * 2, PAUSE_LAST_S)
