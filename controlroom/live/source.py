"""What the pages read of the bus: the worker's newest view, the processes' beats, streams with their readers.

``BusSource`` is the hub's, asynchronous; ``read_now`` answers one page request. Both read as the bus user ``web``.
"""

import asyncio
import functools
import time
from collections import deque
from typing import Any

import msgspec
import redis

from controlroom.live.bus_rows import decoded_beats, event_row, stream_names, stream_row
from controlroom.live.files import disk_usage, paths, run_description, supervised
from controlroom.live.hub import Hub
from controlroom.live.snapshot import Snapshot
from events import bus
from events.paths import DataPaths
from events.streams import WORKER_EVENTS, WORKER_SNAPSHOT, status_key

PROCESS = "web"
FIELD = b"view"
STATUSES = "status.*"
EVENTS = 30  # the latest of worker.events that the System page shows
BACK, AT_ONCE = 200, 2000  # entries of worker.events read at first, and at most afterwards
_hubs: dict[int, Hub] = {}


class BusSource:
    """The hub's side of the bus. ``client`` is redis-py's for asyncio, whose types say less than its documentation."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._snapshot_id = b"0-0"
        self._events_id: bytes | None = None
        self._events: deque[dict[str, Any]] = deque(maxlen=EVENTS)

    async def view(self, wait_s: float) -> dict[str, Any] | None:
        """Return the newest view published since the last call, after at most ``wait_s`` seconds."""
        found = await self._client.xread({WORKER_SNAPSHOT: self._snapshot_id}, block=max(1, int(wait_s * 1000)))
        if not found:
            return None
        self._snapshot_id, fields = found[0][1][-1]
        view: dict[str, Any] = msgspec.json.decode(fields[FIELD])
        return view

    async def beats(self) -> dict[str, dict[str, Any]]:
        """Return the status of every process that beats, this one included, and take in the worker's latest events."""
        await self._take_events()
        await self._client.set(status_key(PROCESS), bus.status_document(PROCESS, {}), ex=bus.STATUS_SECONDS)
        keys = [key async for key in self._client.scan_iter(STATUSES, count=1000)]
        return decoded_beats(keys, await self._client.mget(keys) if keys else [])

    async def _take_events(self) -> None:
        if self._events_id is None:
            latest = list(reversed(await self._client.xrevrange(WORKER_EVENTS, count=BACK)))
            self._events_id = b"0-0"
        else:
            found = await self._client.xread({WORKER_EVENTS: self._events_id}, count=AT_ONCE)
            latest = found[0][1] if found else []
        for identity, fields in latest:
            self._events_id = identity
            row = event_row(identity.decode(), fields.get(bus.FIELD, b""))
            if row is not None:
                self._events.append(row)

    async def extra(self) -> dict[str, Any]:
        """Return streams with their readers, the latest events, and what the disk holds."""
        streams = {}
        for name in stream_names(run_description()):
            try:
                information = await self._client.xinfo_stream(name)
                groups = await self._client.xinfo_groups(name)
            except redis.ResponseError:  # no such stream yet
                continue
            streams[name] = stream_row(name, information, groups)
        events = list(reversed(self._events))
        return {
            "streams": {"by": streams, "order": list(streams)},
            "events": {"by": {row["id"]: row for row in events}, "order": [row["id"] for row in events]},
            "disk": await asyncio.to_thread(disk_usage),
        }

    async def close(self) -> None:
        """Close the connection."""
        await self._client.aclose()


async def _connected() -> BusSource:
    client: Any = bus.connect_async(paths(), PROCESS)
    await client.ping()
    return BusSource(client)


def station_hub() -> Hub:
    """Return the hub of the running event loop; a process has one."""
    key = id(asyncio.get_running_loop())
    if key not in _hubs:
        _hubs.clear()
        _hubs[key] = Hub(_connected, run_description, supervised)
    return _hubs[key]


def known_hub() -> Hub | None:
    """Return this process' hub if a socket has started it."""
    return next(iter(_hubs.values()), None)


def known_history() -> dict[str, tuple[float, ...]]:
    """Return the sparklines that this process' hub has gathered so far."""
    hub = known_hub()
    return hub.history if hub else {}


@functools.lru_cache(maxsize=4)
def _client(data: DataPaths) -> Any:
    return bus.connect(data, PROCESS, deadline_s=1.0)


def read_now(*, with_extra: bool = False) -> tuple[Snapshot, str]:
    """Return the station as it is now and a sentence on what could not be read ("" if nothing)."""
    run, now, hub = run_description(), time.time_ns() // 1_000_000, known_hub()
    last = hub.current if hub else Snapshot(view=None)
    extra = last.extra if with_extra else {}
    try:
        client = _client(paths())
        newest = client.xrevrange(WORKER_SNAPSHOT, count=1)
        keys = list(client.scan_iter(STATUSES, count=1000))
        beats = decoded_beats(keys, client.mget(keys) if keys else [])
    except (redis.RedisError, OSError, RuntimeError) as error:
        _client.cache_clear()
        trouble = f"the bus does not answer ({type(error).__name__})"
        return Snapshot(last.view, last.beats, run, now, extra, supervised()), trouble
    beats = {name: {**beat, "state": "down"} for name, beat in last.beats.items() if name not in beats} | beats
    view = msgspec.json.decode(newest[0][1][FIELD]) if newest else None
    return Snapshot(view, beats, run, now, extra, supervised()), ""
