"""Writes market.FEED: entry N is the feed's event N, whole slices at once, never twice, none left out."""

from pathlib import Path
from typing import Any, cast

import redis

from events import bus
from events.streams import POSITION_WORKER, market_stream

RECORDER = "recorder"


class Publisher:
    """One feed's stream.

    Parameters
    ----------
    client : the bus, as user `feed`.
    name : the feed's name.
    counter : file that holds the last ordinal sent.
    """

    def __init__(self, client: redis.Redis, name: str, counter: Path) -> None:
        self._client = client
        self._stream = market_stream(name)
        self._counter = counter
        self._slowest = 0
        self.last = 0
        self.sent = 0

    def resume(self) -> int:
        """Return the last ordinal that the stream holds; ``sent`` is the highest that was ever sent.

        What a bus has lost between the two (a power cut, an emptied server) is sent again with the same ids: event N
        is always the same, and who has it already passes over it.
        """
        try:
            counted = int(self._counter.read_text())
        except (FileNotFoundError, ValueError):  # a torn file says nothing; the stream does
            counted = 0
        self.last = _number(bus.last_id(self._client, self._stream))
        self.sent = max(counted, self.last)
        return self.last

    def send(self, events: list[bytes]) -> None:
        """Add the events after the last sent in one transaction: readers see all of them or none.

        Raises
        ------
        redis.RedisError
            if the bus did not take them; call :meth:`resume` before the next attempt.
        """
        with self._client.pipeline(transaction=True) as pipe:
            for ordinal, event in enumerate(events, start=self.last + 1):
                cast("Any", pipe).xadd(self._stream, {bus.FIELD: event}, id=f"{ordinal}-0")
            pipe.execute()
        self.last += len(events)
        if self.last > self.sent:
            self.sent = self.last
            self._remember()

    def ahead(self, *, fresh: bool) -> int:
        """Return how many entries the slowest reader is behind: as it was when last asked, or ``fresh``."""
        if fresh:
            self._slowest = self._slowest_reader()
        return self.last - self._slowest

    def trim(self) -> None:
        """Remove what worker and recorder both have; before both have begun nothing goes."""
        if self._slowest_reader():
            position = cast("Any", self._client).hget(POSITION_WORKER, self._stream)
            bus.trim_below_readers(self._client, self._stream, [position.decode()])

    def _slowest_reader(self) -> int:
        client = cast("Any", self._client)
        worker = client.hget(POSITION_WORKER, self._stream)
        if worker is None or not client.exists(self._stream):
            return 0
        groups = client.xinfo_groups(self._stream)
        recorder = next((group for group in groups if group["name"] == RECORDER.encode()), None)
        if recorder is None:
            return 0
        recorded = _number(recorder["last-delivered-id"].decode()) - int(recorder["pending"])
        return min(_number(worker.decode()), recorded)

    def _remember(self) -> None:
        self._counter.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = self._counter.with_suffix(".new")
        fresh.write_text(str(self.sent))
        fresh.replace(self._counter)


def _number(entry_id: str) -> int:
    return int(entry_id.partition("-")[0])
