"""The control socket: status, kill, release, flatten on a station whose web, Redis and databases may all be down.

It lives in a thread of its own: neither a silent client, a flood of connections nor a disk that hangs the trading
thread keeps anybody from the kill.
"""

import asyncio
import contextlib
import threading
import time
import uuid
from pathlib import Path
from typing import Any, Protocol

import msgspec

from worker.kill import SCOPES, Kill, Scope
from worker.release import Credentials

LINE_LIMIT = 64 << 10  # bytes of one request
READ_S = 2.0  # a client that has not sent its line by then is closed
CONNECTIONS = 256
KILL_DEFAULTS = (("actor", "socket"), ("reason", ""), ("request_id", ""))
ACTS = ("flatten", "maintenance", "resume_maintenance", "enable", "adopt", "ignore", "flatten_external")
"""What a person asks of the engine with password and one-time code, beside the release."""
OPERATIONS = ("status", "kill", "drill_over", "release", *ACTS, "enrol", "confirm")

_decode = msgspec.json.Decoder(dict[str, Any]).decode


class Handlers(Protocol):
    """What the socket asks of the worker; each is called in a thread of its own and may block."""

    def status(self) -> bytes:
        """Return the view as JSON."""

    def kill(self, scope: Scope, target: str, actor: str, reason: str, request_id: str) -> dict[str, Any]:
        """Block, then cancel; return the scopes killed and how many orders were canceled."""

    def drill(self, kill: Kill, *, hold: bool) -> dict[str, Any]:
        """Block and cancel for real, lift that block again unless ``hold``; return the times."""

    def drill_over(self, request_id: str) -> dict[str, Any]:
        """Lift a drill's own block; return ok and a reason."""

    def release(self, scope: Scope, target: str, person: Credentials, reason: str) -> dict[str, Any]:
        """Lift the kill of a scope if this person may; return ok and a reason."""

    def act(self, action: str, scope: Scope, target: str, person: Credentials, reason: str) -> dict[str, Any]:
        """Do one of ACTS if this person may; return ok and a reason."""

    def enrol(self, person: Credentials) -> dict[str, Any]:
        """Offer a person without a device the secret of one."""

    def confirm(self, person: Credentials) -> dict[str, Any]:
        """Take the offered device by its first code; return the recovery codes."""


def answer(handlers: Handlers, line: bytes) -> bytes:
    """Return the answer to one request line; whatever the line holds, it is one JSON object."""
    try:
        request = _decode(line)
        operation = request.get("op")
        if operation == "status":
            return handlers.status()
        if operation not in OPERATIONS:
            return _refusal(f"op is {operation!r}; allowed are {', '.join(OPERATIONS)}")
        return msgspec.json.encode(_do(handlers, operation, request))
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _refusal("the request is not one line of JSON")
    except ValueError as error:
        return _refusal(str(error))


def _do(handlers: Handlers, operation: str, request: dict[str, Any]) -> dict[str, Any]:
    if operation == "kill":
        return _kill(handlers, request)
    if operation == "drill_over":
        return handlers.drill_over(_text(request, "request_id"))
    person = Credentials(
        user=_text(request, "user"), password=_text(request, "password"), code=_text(request, "code", "")
    )
    if operation == "enrol":
        return handlers.enrol(person)
    if operation == "confirm":
        return handlers.confirm(person)
    reason = _text(request, "reason")
    if operation == "release":
        return handlers.release(*_scope(request, "release"), person, reason)
    return handlers.act(operation, *_scope(request, "act on"), person, reason)


def _scope(request: dict[str, Any], verb: str) -> tuple[Scope, str]:
    asked, target = _text(request, "scope", "all"), _text(request, "target", "")
    scope = next((known for known in SCOPES if known == asked), None)
    if scope is None:
        raise ValueError(f"scope is {asked!r}; allowed are {', '.join(SCOPES)}")
    if scope in {"strategy", "symbol"} and not target:
        raise ValueError(f"target is empty; name the {scope} to {verb}")
    return scope, target


def _kill(handlers: Handlers, request: dict[str, Any]) -> dict[str, Any]:
    scope, target = _scope(request, "kill")
    actor, reason, request_id = (_text(request, name, default) for name, default in KILL_DEFAULTS)
    if request.get("drill") is True:
        kill = Kill(
            scope=scope, target=target, actor=actor, reason=f"drill: {reason}", ts_ns=time.time_ns(),
            request_id=request_id or uuid.uuid4().hex,
        )  # fmt: skip
        return handlers.drill(kill, hold=request.get("hold") is True)
    return handlers.kill(scope, target, actor, reason, request_id)


def _text(request: dict[str, Any], name: str, default: str | None = None) -> str:
    value = request.get(name, default)
    if not isinstance(value, str) or len(value) > 1000:
        raise ValueError(f"{name} is missing or no text of at most 1000 characters")
    return value


def _refusal(reason: str) -> bytes:
    return msgspec.json.encode({"ok": False, "reason": reason})


class ControlServer:
    """Serves the socket from a helper thread until closed."""

    def __init__(self, path: Path, handlers: Handlers) -> None:
        self._path = path
        self._handlers = handlers
        self._loop = asyncio.new_event_loop()
        self._open = 0
        self._ready = threading.Event()
        self._failed: OSError | None = None
        self._thread = threading.Thread(target=self._run, name="control", daemon=True)

    def start(self) -> None:
        """Listen on the socket; the folder is made with mode 0700, a socket that a dead worker left is replaced.

        Raises
        ------
        OSError
            if the socket cannot be made.
        """
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._thread.start()
        self._ready.wait()
        if self._failed is not None:
            raise self._failed

    def close(self) -> None:
        """Stop listening and remove the socket."""
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=5.0)
        self._path.unlink(missing_ok=True)

    def _run(self) -> None:
        try:
            self._path.unlink(missing_ok=True)
            server = self._loop.run_until_complete(
                asyncio.start_unix_server(self._serve, path=str(self._path), limit=LINE_LIMIT, backlog=CONNECTIONS)
            )
            self._path.chmod(0o600)
        except OSError as error:
            self._failed = error
            return
        finally:
            self._ready.set()
        self._loop.run_forever()
        server.close()
        self._loop.run_until_complete(self._end())
        self._loop.close()

    async def _end(self) -> None:
        """Let go of every connection."""
        left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open += 1
        try:
            if self._open > CONNECTIONS:
                return
            line = await _line(reader)
            if line is None:
                reply = _refusal(f"no line of at most {LINE_LIMIT} bytes came within {READ_S:g} s")
            else:
                reply = await self._off_loop(line)
            writer.write(reply + b"\n")
            async with asyncio.timeout(READ_S):
                await writer.drain()
        except (OSError, TimeoutError):
            pass  # the client went away: nobody is left to tell
        except asyncio.CancelledError:
            pass  # _end: Python 3.11's streams log an error with a traceback of a handler that ends cancelled
        finally:
            self._open -= 1
            writer.close()

    async def _off_loop(self, line: bytes) -> bytes:
        """Answer in a thread of its own: a release that computes its hash must not hold up a kill."""
        done: asyncio.Future[bytes] = self._loop.create_future()

        def work() -> None:
            reply = answer(self._handlers, line)
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(_settle, done, reply)

        threading.Thread(target=work, name="control-request", daemon=True).start()
        return await done


def _settle(done: asyncio.Future[bytes], reply: bytes) -> None:
    if not done.done():
        done.set_result(reply)


async def _line(reader: asyncio.StreamReader) -> bytes | None:
    try:
        async with asyncio.timeout(READ_S):
            return await reader.readline() or None
    except (TimeoutError, ValueError, asyncio.LimitOverrunError):
        return None
