"""The kill: a block in memory that any thread can set, checked again just before every broker call.

Killed = the kill file is present or cannot be read, or the journal's latest kill lacks a release. The block comes
first, the file second, the journal third, so that a disk that fails or hangs delays nothing.
"""

import contextlib
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Literal

import msgspec

Scope = Literal["all", "account", "strategy", "symbol"]
SCOPES: tuple[Scope, ...] = ("all", "account", "strategy", "symbol")
LIMIT = 1 << 20  # bytes of a kill file that are read; a longer one is not ours and counts as unreadable
WATCH_S = 0.025  # half of the 50 ms within which a file must be seen


class Kill(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the kill file, and one request of the socket or the bus."""

    scope: Scope
    target: str
    actor: str
    reason: str
    request_id: str
    ts_ns: int = 0


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """A kill on its way into the journal; ``persisted`` says that the kill file holds it."""

    kill: Kill
    source: Literal["file", "socket", "bus"]
    position: str = ""
    persisted: bool = True


def word(scope: str, target: str) -> str:
    """Return a scope as the state names it: "all", "strategy:momentum", "symbol:AAPL"; the account is all."""
    return "all" if scope in {"all", "account"} else f"{scope}:{target}"


def blocks(words: Iterable[str], symbol: str, strategies: Iterable[str]) -> bool:
    """Return whether an order of this symbol with lots of these strategies may not leave.

    A net order that carries lots of one killed strategy is held back whole: sending the rest would be a new order.
    """
    words = set(words)
    if not words:
        return False
    return bool(words & {"all", f"symbol:{symbol}", *(f"strategy:{name}" for name in strategies)})


def parse(content: bytes) -> list[Kill]:
    """Return the kills of a file's lines; a line that is none of ours, or an empty file, kills everything."""
    kills = []
    for line in content.splitlines() or [b""]:
        try:
            kills.append(msgspec.json.decode(line, type=Kill))
        except (msgspec.DecodeError, UnicodeDecodeError):
            kills.append(_everything(f"the kill file has a line that is no request: {line[:80]!r}"))
    return kills


def _everything(reason: str) -> Kill:
    return Kill(scope="all", target="", actor="kill file", reason=reason, request_id="file", ts_ns=time.time_ns())


class KillSwitch:
    """The scopes under the kill, readable from every thread without a lock, and the requests not yet in the journal."""

    def __init__(self, path: Path, wake: Callable[[], None] = lambda: None) -> None:
        self.path = path
        self.words: frozenset[str] = frozenset()
        self.requests: deque[Request] = deque()
        self._wake = wake
        self._lock = threading.RLock()
        self._signature: object = None
        self._seen: set[str] = set()

    def check(self) -> frozenset[str]:
        """Look at the kill file and return the scopes under the kill; one ``stat`` where nothing changed."""
        try:
            found = self.path.stat()
            signature: object = (found.st_ino, found.st_size, found.st_mtime_ns)
        except FileNotFoundError:
            signature = None
        except OSError as error:
            signature = ("unreadable", error.errno)
        if signature != self._signature:
            self._read(signature)
        return self.words

    def request(self, kill: Kill, source: Literal["socket", "bus"], position: str = "") -> Request:
        """Block at once, then write the kill file, then hand the request to the journal's thread."""
        with self._lock:
            self.words |= {word(kill.scope, kill.target)}
            self._seen.add(kill.request_id)
            made = Request(kill=kill, source=source, position=position, persisted=self._append(kill))
            self.requests.append(made)
        self._wake()
        return made

    def latch(self, words: Iterable[str]) -> None:
        """Add the scopes that the journal holds under the kill."""
        with self._lock:
            self.words |= frozenset(words)

    def release(self) -> bool:
        """Remove the kill file and lift the block; return False where a kill came in between: it stands.

        The file is moved aside before it is read for the last time, so that no line is removed unread.
        """
        aside = self.path.with_name(self.path.name + ".released")
        with self._lock:
            self.check()
            if self.requests:
                return False
            try:
                self.path.rename(aside)
                late = [kill for kill in parse(_content(aside)) if kill.request_id not in self._seen]
                if late:
                    aside.rename(self.path)
                    self._signature = None
                    self.check()
                    return False
                aside.unlink()
                _sync(self.path.parent)
            except FileNotFoundError:
                pass
            except OSError:
                return False  # a file that can be neither read nor removed keeps the station killed
            self._signature = None
            self._seen.clear()
            self.words = frozenset()
        return True

    def _read(self, signature: object) -> None:
        with self._lock:
            if signature is None:
                self._signature = None  # a file that somebody deleted releases nothing
                return
            try:
                kills = parse(_content(self.path))
            except FileNotFoundError:
                return
            except OSError as error:
                kills = [_everything(f"the kill file cannot be read ({error.strerror})")]
            new = [kill for kill in kills if kill.request_id not in self._seen or kill.request_id == "file"]
            self.words |= frozenset(word(kill.scope, kill.target) for kill in kills)
            self._seen.update(kill.request_id for kill in kills)
            self._signature = signature
            self.requests.extend(Request(kill=kill, source="file") for kill in new)
        if new:
            self._wake()

    def _append(self, kill: Kill) -> bool:
        """Write one line; its mere presence kills, so that a full disk loses the line but not the kill."""
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            try:
                os.write(handle, msgspec.json.encode(kill) + b"\n")
                os.fdatasync(handle)
            finally:
                os.close(handle)
            _sync(self.path.parent)
        except OSError:
            return False
        return True


def _content(path: Path) -> bytes:
    with path.open("rb") as file:
        content = file.read(LIMIT + 1)
    if len(content) > LIMIT:
        raise OSError(27, "it is longer than 1 MiB")
    return content


def _sync(folder: Path) -> None:
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
