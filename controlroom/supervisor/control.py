"""Asking a running station: the worker's control socket, the processes' beats on the bus."""

import functools
import os
import socket
from contextlib import closing
from typing import Any

import msgspec
import redis

from events.bus import connect
from events.embedded import EmbeddedServerError
from events.paths import DataPaths
from events.streams import status_key

ANSWER_LIMIT = 64 * 1024 * 1024  # bytes; a view of thousands of symbols stays far below it


class WorkerAwayError(ConnectionError):
    """Nobody answers on the control socket: the worker is not running, or starting."""


def ask(paths: DataPaths, request: dict[str, Any], timeout_s: float = 5.0) -> dict[str, Any]:
    """Send one JSON line to the worker and return its answer.

    Raises
    ------
    WorkerAwayError
        if nobody answers in time, or not with one JSON object.
    """
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as line:
        line.settimeout(timeout_s)
        try:
            line.connect(str(paths.socket("worker")))
            line.sendall(msgspec.json.encode(request) + b"\n")
            answer = _line(line)
            return msgspec.json.decode(answer, type=dict[str, Any])
        except (OSError, msgspec.DecodeError) as error:
            raise WorkerAwayError(f"the worker does not answer ({error})") from error


def _line(connection: socket.socket) -> bytes:
    parts: list[bytes] = []
    size = 0
    while size < ANSWER_LIMIT:
        part = connection.recv(1 << 16)
        parts.append(part)
        size += len(part)
        if not part or part.endswith(b"\n"):
            break
    return b"".join(parts)


@functools.lru_cache(maxsize=4)
def _bus(paths: DataPaths) -> redis.Redis:
    return connect(paths, "status", deadline_s=0.2)


def beat(paths: DataPaths, process: str) -> dict[str, Any] | None:
    """Return a process's last beat, or None while it has none or the bus cannot be asked."""
    try:
        raw = _bus(paths).get(status_key(process))
    except (redis.RedisError, OSError, EmbeddedServerError):
        _bus.cache_clear()
        return None
    return None if raw is None else msgspec.json.decode(raw, type=dict[str, Any])


def embedded_bus() -> bool:
    """Return whether this station runs its own bus; REDIS_URL names another."""
    return not os.environ.get("REDIS_URL")
