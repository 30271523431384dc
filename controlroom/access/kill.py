"""Kill by file, control socket and bus at once: each on its own, so that one that hangs keeps none of the others.

No sessions, no database, no cache: what stands here works while all of them are down.
"""

import os
import queue
import socket
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from events.bus import connect, publish
from events.codec import envelope
from events.paths import DataPaths
from events.streams import REQUEST_KILL
from events.types import ControlEvent
from worker.kill import SCOPES, Kill

PATIENCE_S = 2.0
SOCKET_S = 1.5
REPLY_LIMIT = 64 << 10
TARGET_LIMIT = 64


class KillInputError(ValueError):
    """One sentence: the field, its value, what is allowed."""


@dataclass(frozen=True)
class Outcome:
    """What became of a kill, path by path.

    ``paths`` maps "file", "socket" and "bus" to "" where it worked, else to the reason. One that worked is enough; the
    socket's answer alone says at once what was killed and how many orders were cancelled.
    """

    request_id: str
    scope: str
    target: str
    paths: dict[str, str]
    killed: list[str] = field(default_factory=list)
    canceled: int | None = None

    @property
    def reached(self) -> bool:
        """Whether at least one path took it."""
        return any(not reason for reason in self.paths.values())


def checked(scope: str, target: str) -> tuple[str, str]:
    """Return scope and target as the worker takes them.

    Raises
    ------
    KillInputError
        if either is not one that can be killed.
    """
    scope, target = scope or "all", target.strip()
    if scope not in SCOPES:
        raise KillInputError(f"scope = {scope[:40]!r} is unknown; allowed are {', '.join(SCOPES)}")
    if scope in {"strategy", "symbol"} and not target:
        raise KillInputError(f"target is empty; name the {scope} that is meant")
    if len(target) > TARGET_LIMIT or not target.isprintable():
        raise KillInputError(f"target = {target[:40]!r} must be at most {TARGET_LIMIT} printable characters")
    return scope, "" if scope == "all" else target


def press(paths: DataPaths, *, scope: str, target: str, actor: str, reason: str = "") -> Outcome:
    """Kill on every path at once and return within two seconds what each answered; raises nothing."""
    kill = Kill(
        scope=scope,  # type: ignore[arg-type] # checked() made it one of the scopes
        target=target, actor=actor, reason=reason, request_id=uuid.uuid4().hex, ts_ns=time.time_ns(),
    )  # fmt: skip
    ways: dict[str, Callable[[DataPaths, Kill], dict[str, Any]]] = {
        "file": _by_file,
        "socket": _by_socket,
        "bus": _by_bus,
    }
    answers: queue.SimpleQueue[tuple[str, str, dict[str, Any]]] = queue.SimpleQueue()

    def attempt(name: str) -> None:
        try:
            answers.put((name, "", ways[name](paths, kill)))
        except Exception as error:  # noqa: BLE001 - whatever stops one path is said, and stops no other
            answers.put((name, str(error) or type(error).__name__, {}))

    for name in ways:
        threading.Thread(target=attempt, args=(name,), name=f"kill-{name}", daemon=True).start()
    found = dict.fromkeys(ways, f"no answer within {PATIENCE_S:g} s")
    reply: dict[str, Any] = {}
    until = time.monotonic() + PATIENCE_S
    for _ in ways:
        try:
            name, reason, said = answers.get(timeout=max(0.0, until - time.monotonic()))
        except queue.Empty:
            break
        found[name] = reason
        reply |= said
    return Outcome(kill.request_id, scope, target, found, list(reply.get("killed", [])), reply.get("canceled"))


def ask_worker(paths: DataPaths, request: dict[str, Any], *, timeout_s: float = SOCKET_S) -> dict[str, Any]:
    """Send one line to the worker's control socket and return its answer.

    Raises
    ------
    OSError
        if the worker does not take it, or does not answer in time.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(timeout_s)
        client.connect(str(paths.socket("worker")))
        client.sendall(msgspec.json.encode(request) + b"\n")
        received = b""
        while not received.endswith(b"\n") and len(received) < REPLY_LIMIT:
            chunk = client.recv(REPLY_LIMIT)
            if not chunk:
                break
            received += chunk
    try:
        return msgspec.json.decode(received, type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise OSError(f"the worker's answer is not one line of JSON: {error}") from error


def _by_file(paths: DataPaths, kill: Kill) -> dict[str, Any]:
    file = paths.kill_file
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(handle, msgspec.json.encode(kill) + b"\n")
        os.fsync(handle)
    finally:
        os.close(handle)
    folder = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return {}


def _by_socket(paths: DataPaths, kill: Kill) -> dict[str, Any]:
    request = {"op": "kill", "drill": False, **msgspec.to_builtins(kill)}
    answer = ask_worker(paths, request)
    if not answer.get("ok"):
        raise OSError(str(answer.get("reason", "refused")))
    return answer


def _by_bus(paths: DataPaths, kill: Kill) -> dict[str, Any]:
    event = ControlEvent(
        action="kill",
        scope=kill.scope,
        target=kill.target,
        actor=kill.actor,
        reason=kill.reason,
        request_id=kill.request_id,
    )
    bus = connect(paths, "web", deadline_s=1.0)
    try:
        publish(
            bus,
            REQUEST_KILL,
            envelope("ControlEvent", "controlroom", event, kill.ts_ns, id=kill.request_id),
            maxlen=100,
        )
    finally:
        bus.close()
    return {}
