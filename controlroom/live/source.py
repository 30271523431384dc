"""What the pages read of the bus: the worker's newest view, the processes' beats, streams with their readers.

``BusSource`` is the hub's, asynchronous; ``read_now`` answers one page request. Both read as the bus user ``web``.
"""

import asyncio
import functools
import shutil
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import redis
import redis.asyncio
from django.conf import settings

from controlroom.live.documents import Snapshot, milliseconds
from controlroom.live.hub import Hub
from events import bus
from events.paths import DataPaths
from events.streams import CONTROL_FEED, CONTROL_WORKER, REQUEST_KILL, STREAMS, WORKER_EVENTS, WORKER_SNAPSHOT, market_stream

PROCESS = "web"
FIELD = b"view"
EVENTS = 30  # the latest of worker.events that the System page shows
SHOWN_EVENTS = frozenset({"StateEvent", "ControlAck", "RiskAlert", "JobDue", "PhaseEvent", "hello"})
_hubs: dict[int, Hub] = {}


def paths() -> DataPaths:
    """Return the data directory of this station."""
    found: DataPaths = settings.DATA
    return found


@functools.lru_cache(maxsize=4)
def _described(file: Path, _changed_ns: int) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode(file.read_bytes())
    return found


def run_description() -> dict[str, Any]:
    """Return the run's description, read again when it changes; empty while there is none."""
    file = paths().run / "run.json"
    try:
        return _described(file, file.stat().st_mtime_ns)
    except (OSError, msgspec.DecodeError):
        return {}


def decoded_beats(found: Mapping[bytes, bytes | None]) -> dict[str, dict[str, Any]]:
    """Return the statuses by process name; what cannot be read is left out."""
    beats: dict[str, dict[str, Any]] = {}
    for key, value in found.items():
        if value is not None:
            beats[key.decode().removeprefix("status.")] = msgspec.json.decode(value)
    return beats


class BusSource:
    """The hub's side of the bus."""

    def __init__(self, client: "redis.asyncio.Redis") -> None:
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
        """Return the status of every process that beats, and take in the worker's latest events."""
        await self._take_events()
        keys = [key async for key in self._client.scan_iter("status.*", count=1000)]
        values = await self._client.mget(keys) if keys else []
        return decoded_beats(dict(zip(keys, values, strict=True)))

    async def _take_events(self) -> None:
        if self._events_id is None:
            latest = list(reversed(await self._client.xrevrange(WORKER_EVENTS, count=200)))
            self._events_id = latest[-1][0] if latest else b"0-0"
        else:
            found = await self._client.xread({WORKER_EVENTS: self._events_id}, count=2000)
            latest = found[0][1] if found else []
            self._events_id = latest[-1][0] if latest else self._events_id
        for identity, fields in latest:
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
        disk = await asyncio.to_thread(disk_usage)
        events = list(reversed(self._events))
        return {
            "streams": {"by": streams, "order": list(streams)},
            "events": {"by": {row["id"]: row for row in events}, "order": [row["id"] for row in events]},
            "disk": disk,
        }

    async def close(self) -> None:
        """Close the connection."""
        await self._client.aclose()


def event_row(identity: str, event: bytes) -> dict[str, Any] | None:
    """Return an envelope of worker.events as a row, None for what the page does not list."""
    try:
        envelope = msgspec.json.decode(event)
    except msgspec.DecodeError:
        return None
    if envelope.get("type") not in SHOWN_EVENTS:
        return None
    payload = envelope.get("payload") or {}
    said = [f"{name} {value}" for name, value in payload.items() if isinstance(value, str | int | bool) and value != "" and not name.endswith("_ns")]
    return {"id": identity, "at_ms": milliseconds(payload.get("engine_ns")) or milliseconds(envelope.get("timestamp")),
            "type": envelope["type"], "says": ", ".join(said)[:200]}  # fmt: skip


def stream_names(run: dict[str, Any]) -> list[str]:
    """Return the streams of this run, in the order of the table in events/streams.py."""
    feed = (run.get("source") or {}).get("feed") or "replay"
    return [market_stream(feed), CONTROL_WORKER, CONTROL_FEED, REQUEST_KILL, WORKER_EVENTS, WORKER_SNAPSHOT]


def stream_row(name: str, information: dict[str, Any], groups: list[dict[str, Any]]) -> dict[str, Any]:
    """Return a stream with who writes it and how far its readers are behind."""
    known = next((stream for stream in STREAMS if name == stream.pattern or (stream.pattern == "market.FEED" and name.startswith("market."))), None)
    readers = [f"{_text(group['name'])} {group.get('lag') or 0} behind, {group.get('pending', 0)} unacknowledged" for group in groups]
    last = _text(information.get("last-generated-id", ""))
    return {
        "stream": name,
        "writer": known.writer if known else "",
        "carries": known.carries if known else "",
        "length": information.get("length"),
        "last": last,
        "readers": "; ".join(readers) or (", ".join(known.readers) if known else ""),
        "lag": max((group.get("lag") or 0 for group in groups), default=0),
    }


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def disk_usage() -> dict[str, Any]:
    """Return the disk of the data directory and the sizes of its parts, in bytes."""
    root = paths().root
    usage = shutil.disk_usage(root if root.exists() else root.anchor)
    folders = {"journal": paths().journal, "valkey": paths().valkey, "logs": paths().logs}
    sizes = {name: sum(file.stat().st_blocks * 512 for file in folder.rglob("*") if file.is_file()) for name, folder in folders.items() if folder.exists()}
    files = {"store": paths().store, "database": paths().database}
    sizes |= {name: file.stat().st_size for name, file in files.items() if file.exists()}
    return {"free": usage.free, "total": usage.total, **sizes}


async def _connected() -> BusSource:
    client = bus.connect_async(paths(), PROCESS)
    await client.ping()
    return BusSource(client)


def station_hub() -> Hub:
    """Return the hub of the running event loop."""
    loop = asyncio.get_running_loop()
    hub = _hubs.get(id(loop))
    if hub is None:
        _hubs.clear()
        hub = _hubs[id(loop)] = Hub(_connected, run_description)
    return hub


def known_history() -> dict[str, tuple[float, ...]]:
    """Return the sparklines that this process' hub has gathered so far."""
    return next((hub.history for hub in _hubs.values()), {})


def known_hub() -> Hub | None:
    """Return this process' hub if a socket has started it."""
    return next(iter(_hubs.values()), None)


@functools.lru_cache(maxsize=4)
def _client(data: DataPaths) -> redis.Redis:
    return bus.connect(data, PROCESS, deadline_s=1.0)


def read_now(*, with_extra: bool = False) -> tuple[Snapshot, str]:
    """Return the station as it is now and a sentence on what could not be read ("" if nothing)."""
    run, now = run_description(), time.time_ns() // 1_000_000
    hub = known_hub()
    extra = hub.current.extra if hub and with_extra else {}
    try:
        client = _client(paths())
        newest = client.xrevrange(WORKER_SNAPSHOT, count=1)
        keys = list(client.scan_iter("status.*", count=1000))
        beats = decoded_beats(dict(zip(keys, client.mget(keys), strict=True))) if keys else {}
    except (redis.RedisError, OSError, RuntimeError) as error:
        _client.cache_clear()
        current = hub.current if hub else Snapshot(view=None)
        return Snapshot(current.view, current.beats, run, now, extra), f"the bus does not answer ({type(error).__name__})"
    view = msgspec.json.decode(newest[0][1][FIELD]) if newest else None
    return Snapshot(view, beats, run, now, extra), ""
