"""The bus: Redis streams over a UNIX socket, one user a process, or the server that REDIS_URL names.

The functions take redis-py's client and wait; the worker and the hub use the client of :func:`connect_async` with
the same commands themselves. Which stream belongs to whom is in events/streams.py.
"""

import os
import time
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, cast

import msgspec
import redis
import redis.asyncio
import redis.asyncio.retry
from redis.backoff import NoBackoff
from redis.retry import Retry

from events import VERSION
from events.embedded import EmbeddedServerError, password
from events.paths import DataPaths
from events.streams import status_key

FIELD = b"event"
STATUS_SECONDS = 10
SOCKET_TIMEOUT_S = 10.0  # above every block time
_STARTED_NS = time.time_ns()


class BusUnreachableError(ConnectionError):
    """The bus did not answer in time: the sentence names where, as whom, and what it said last."""


class Entry(NamedTuple):
    """A stream entry; ``event`` is an envelope's JSON (b"" if the entry has no such field)."""

    stream: str
    id: str
    event: bytes


def _arguments(paths: DataPaths, process: str) -> tuple[str | None, dict[str, Any]]:
    """Return (URL, keyword arguments): RESP2, so that replies have one shape on every server."""
    common: dict[str, Any] = {
        "protocol": 2,
        "socket_timeout": SOCKET_TIMEOUT_S,
        "socket_connect_timeout": 5,
        "client_name": process,
    }
    if url := os.environ.get("REDIS_URL"):
        return url, common
    return None, common | {
        "unix_socket_path": str(paths.socket("bus")),
        "username": process,
        "password": password(paths, "bus", process),
    }


def _client(paths: DataPaths, process: str) -> redis.Redis:
    url, arguments = _arguments(paths, process)
    arguments["retry"] = Retry(NoBackoff(), 0)  # a repeated XADD would be a second entry
    return redis.Redis.from_url(url, **arguments) if url else redis.Redis(**arguments)


def connect(paths: DataPaths, process: str, *, deadline_s: float = 10.0) -> redis.Redis:
    """Return a client that has been answered once, waiting with growing pauses until the deadline.

    Raises
    ------
    BusUnreachableError
        if the bus is not ready in time.
    """
    until, pause, last = time.monotonic() + deadline_s, 0.02, ""
    while True:
        try:
            client = _client(paths, process)
            client.ping()
        except (redis.RedisError, OSError, EmbeddedServerError) as error:
            last = str(error)
        else:
            return client
        if time.monotonic() + pause > until:
            where = "REDIS_URL" if os.environ.get("REDIS_URL") else str(paths.socket("bus"))
            raise BusUnreachableError(f"the bus at {where} does not answer {process} within {deadline_s:g} s: {last}")
        time.sleep(pause)
        pause = min(pause * 2, 0.5)


def connect_async(paths: DataPaths, process: str) -> "redis.asyncio.Redis":
    """Return a client for asyncio; it connects at its first command, :func:`connect` waits for a bus that is starting.

    Raises
    ------
    EmbeddedServerError
        if the embedded server's passwords are not there yet.
    """
    url, arguments = _arguments(paths, process)
    arguments["retry"] = redis.asyncio.retry.Retry(NoBackoff(), 0)
    return redis.asyncio.Redis.from_url(url, **arguments) if url else redis.asyncio.Redis(**arguments)


def publish(
    bus: redis.Redis,
    stream: str,
    event: bytes,
    *,
    id: str = "*",  # noqa: A002 - XADD's word
    maxlen: int | None = None,
) -> str:
    """Add one entry and return its id; ``maxlen`` trims the stream to about that many."""
    return _text(cast("Any", bus).xadd(stream, {FIELD: event}, id=id, maxlen=maxlen, approximate=True))


def publish_many(bus: redis.Redis, entries: Iterable[tuple[str, str, bytes]]) -> list[str]:
    """Add (stream, id, event) entries in one round trip; return their ids.

    Raises
    ------
    redis.ResponseError
        for the first that was refused; those after it may have been added.
    """
    with bus.pipeline(transaction=False) as pipe:
        for stream, entry_id, event in entries:
            cast("Any", pipe).xadd(stream, {FIELD: event}, id=entry_id)
        return [_text(added) for added in pipe.execute()]


def read_from(
    bus: redis.Redis, positions: Mapping[str, str], *, count: int = 1000, block_ms: int | None = None
) -> list[Entry]:
    """Return the entries after a position a stream ("0" for the beginning), at most ``count`` of each stream."""
    return _entries(cast("Any", bus).xread(dict(positions), count=count, block=block_ms))


def ensure_group(bus: redis.Redis, stream: str, group: str, *, start: str = "0") -> None:
    """Make a consumer group that begins at ``start`` (and the stream, if it is not there); an old one stays."""
    try:
        cast("Any", bus).xgroup_create(stream, group, id=start, mkstream=True)
    except redis.ResponseError as error:
        if "BUSYGROUP" not in str(error):
            raise


def read_group(
    bus: redis.Redis,
    streams: Iterable[str],
    group: str,
    *,
    consumer: str = "one",
    count: int = 1000,
    block_ms: int | None = None,
    delivered_again: bool = False,
) -> list[Entry]:
    """Return entries not yet delivered to the group, or those delivered but never acknowledged."""
    wanted = dict.fromkeys(streams, "0" if delivered_again else ">")
    return _entries(cast("Any", bus).xreadgroup(group, consumer, wanted, count=count, block=block_ms))


def acknowledge(bus: redis.Redis, group: str, entries: Iterable[Entry]) -> None:
    """Tell the bus that a group has these entries safe."""
    by_stream: dict[str, list[str]] = {}
    for entry in entries:
        by_stream.setdefault(entry.stream, []).append(entry.id)
    with bus.pipeline(transaction=False) as pipe:
        for stream, ids in by_stream.items():
            cast("Any", pipe).xack(stream, group, *ids)
        pipe.execute()


def trim_below_readers(bus: redis.Redis, stream: str, positions: Iterable[str]) -> int:
    """Remove what every reader has: groups count by their first unacknowledged entry, other readers by ``positions``.

    Parameters
    ----------
    positions : the last entry that each journaled reader holds; "0-0" for one that holds none. The slowest reader's own
        position stays in the stream.

    Returns
    -------
    How many entries were removed.
    """
    client = cast("Any", bus)
    slowest = [order(position) for position in positions]
    for group in client.xinfo_groups(stream):
        pending = client.xpending(stream, group["name"])
        slowest.append(order(_text(pending["min"] if pending["pending"] else group["last-delivered-id"])))
    if not slowest or min(slowest) == (0, 0):
        return 0
    return int(client.xtrim(stream, minid="{}-{}".format(*min(slowest)), approximate=False))


def last_id(bus: redis.Redis, stream: str) -> str:
    """Return the highest id that the stream ever had, "0-0" if it is not there."""
    try:
        return _text(cast("Any", bus).xinfo_stream(stream)["last-generated-id"])
    except redis.ResponseError as error:
        if "no such key" in str(error):
            return "0-0"
        raise


def lag(bus: redis.Redis, stream: str, group: str) -> int:
    """Return how many entries a group has not acknowledged: delivered or not; 0 if the stream or group is not there."""
    client = cast("Any", bus)
    try:
        groups = client.xinfo_groups(stream)
    except redis.ResponseError as error:
        if "no such key" in str(error):
            return 0
        raise
    found = next((one for one in groups if _text(one["name"]) == group), None)
    if found is None:
        return 0
    return int(found["pending"]) + int(found["lag"] if found["lag"] is not None else client.xlen(stream))


def streams_like(bus: redis.Redis, pattern: str) -> list[str]:
    """Return the names of the streams that match a pattern, sorted."""
    return sorted(_text(name) for name in cast("Any", bus).scan_iter(match=pattern, count=1000, _type="stream"))


def status_document(process: str, metrics: Mapping[str, float]) -> bytes:
    """Return what a process beats under ``status.PROCESS``, as docs/architecture.md has it."""
    return msgspec.json.encode(
        {
            "process": process,
            "pid": os.getpid(),
            "started_ns": _STARTED_NS,
            "beat_ns": time.time_ns(),
            "version": VERSION,
            "metrics": dict(metrics),
        }
    )


def beat(bus: redis.Redis, process: str, metrics: Mapping[str, float]) -> None:
    """Set ``status.PROCESS`` for ten seconds; call it once a second."""
    cast("Any", bus).set(status_key(process), status_document(process, metrics), ex=STATUS_SECONDS)


def _entries(reply: Any) -> list[Entry]:
    return [
        Entry(_text(stream), _text(entry_id), (fields or {}).get(FIELD, b""))
        for stream, entries in reply or ()
        for entry_id, fields in entries
    ]


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value


def order(position: str) -> tuple[int, int]:
    """Return an entry's id as two numbers that compare as the stream orders them."""
    milliseconds, _, number = position.partition("-")
    return int(milliseconds), int(number or 0)
