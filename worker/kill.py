"""The kill: a block in memory that any thread can set, checked again just before every broker call.

Killed = the kill file is present or cannot be read, or the journal's latest kill lacks a release. The block comes
first, the file second, the journal third, so that a disk that fails or hangs delays nothing.
"""

import contextlib
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Literal

import msgspec

from events.ports import SYSTEM_CLOCK, SYSTEM_DISK, Clock, Disk, sync_folder

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


def parse(content: bytes, now_ns: int = 0) -> list[Kill]:
    """Return the kills of a file's lines; a line that is none of ours, or an empty file, kills everything."""
    kills = []
    for line in content.splitlines() or [b""]:
        try:
            kills.append(msgspec.json.decode(line, type=Kill))
        except (msgspec.DecodeError, UnicodeDecodeError):
            kills.append(_everything(f"the kill file has a line that is no request: {line[:80]!r}", now_ns))
    return kills


def _everything(reason: str, now_ns: int) -> Kill:
    return Kill(scope="all", target="", actor="kill file", reason=reason, request_id="file", ts_ns=now_ns)


class KillSwitch:
    """The scopes under the kill, readable from every thread without a lock, and the requests not yet in the journal."""

    def __init__(
        self,
        path: Path,
        wake: Callable[[], None] = lambda: None,
        *,
        clock: Clock = SYSTEM_CLOCK,
        disk: Disk = SYSTEM_DISK,
    ) -> None:
        self.path = path
        self._clock, self._disk = clock, disk
        self.words: frozenset[str] = frozenset()
        self.permits: frozenset[str] = frozenset()  # scopes that are being flattened: their orders may leave
        self.requests: deque[Request] = deque()
        self._wake = wake
        self._lock = threading.RLock()
        self._signature: object = None
        self._seen: set[str] = set()
        self._lines = 0  # of the kill file that were read
        self._aside = path.with_name(path.name + ".released")

    def recover(self) -> None:
        """Take up a release that a crash cut short: what it had moved aside kills again, read or not.

        Raises
        ------
        OSError
            if it cannot be put back.
        """
        if not self._aside.exists():
            return
        self._write(_content(self._aside))
        self._disk.unlink(self._aside)
        _sync(self._disk, self.path.parent)

    def check(self) -> frozenset[str]:
        """Look at the kill file and return the scopes under the kill; one ``stat`` where nothing changed."""
        try:
            found = self._disk.stat(self.path)
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
            self.permits = frozenset()
            self._seen.add(kill.request_id)
            made = Request(kill=kill, source=source, position=position, persisted=self._append(kill))
            self.requests.append(made)
        self._wake()
        return made

    def latch(self, words: Iterable[str]) -> None:
        """Add the scopes that the journal holds under the kill."""
        with self._lock:
            self.words |= frozenset(words)

    def permit(self, words: Iterable[str]) -> None:
        """Let the orders of a flatten of these scopes pass, and no others; a kill that waits comes first."""
        with self._lock:
            self.permits = frozenset() if self.requests else frozenset(words)

    def release(self) -> bool:
        """Remove the kill file and lift the block; return False where a kill came in between: it stands.

        The file is moved aside before it is read for the last time, so that no line is removed unread.
        """
        with self._lock:
            self.check()
            if self.requests:
                return False
            try:
                self._disk.rename(self.path, self._aside)
                if len(parse(_content(self._aside))) > self._lines:
                    self._disk.rename(self._aside, self.path)
                    self._signature = None
                    self.check()
                    return False
                self._disk.unlink(self._aside)
                _sync(self._disk, self.path.parent)
            except FileNotFoundError:
                pass
            except OSError:
                return False  # a file that can be neither read nor removed keeps the station killed
            self._signature, self._lines = None, 0
            self._seen.clear()
            self.words = self.permits = frozenset()
        return True

    def lift(self, request_id: str, lifted: str) -> bool:
        """Take one request, a drill's, out of the kill file and its scope out of the block; all else stands.

        Returns False where the file could not be rewritten, or another kill waits: then nothing is lifted.
        """
        return self._lift(lifted, lambda kill: kill.request_id == request_id)

    def release_scope(self, released: str) -> bool:
        """Take every request of a scope out of the kill file and the scope out of the block; see :meth:`lift`."""
        return self._lift(released, lambda kill: word(kill.scope, kill.target) == released)

    def _lift(self, lifted: str, goes: Callable[[Kill], bool]) -> bool:
        with self._lock:
            self.check()
            if self.requests:
                return False
            try:
                self._disk.rename(self.path, self._aside)
                lines = _content(self._aside).splitlines(keepends=True)
                kept = b"".join(line for line in lines if not goes(parse(line)[0]))
                if kept:
                    self._write(kept)
                self._disk.unlink(self._aside)
                _sync(self._disk, self.path.parent)
            except FileNotFoundError:
                kept = b""
            except OSError:
                return False
            self._signature, self._lines = None, 0
            self.words = (self.words - {lifted}) | {word(kill.scope, kill.target) for kill in parse(kept) if kept}
        return True

    def _read(self, signature: object) -> None:
        with self._lock:
            if signature is None:
                self._signature, self._lines = None, 0  # a file that somebody deleted releases nothing
                return
            try:
                kills = parse(_content(self.path), self._clock.utc_ns())
            except FileNotFoundError:
                return
            except OSError as error:
                kills = [_everything(f"the kill file cannot be read ({error.strerror})", self._clock.utc_ns())]
            new = [kill for kill in kills if kill.request_id not in self._seen or kill.request_id == "file"]
            self.words |= frozenset(word(kill.scope, kill.target) for kill in kills)
            self._seen.update(kill.request_id for kill in kills)
            self._signature, self._lines = signature, len(kills)
            self.requests.extend(Request(kill=kill, source="file") for kill in new)
            self.permits = frozenset() if new else self.permits
        if new:
            self._wake()

    def _append(self, kill: Kill) -> bool:
        """Write one line; its mere presence kills, so that a full disk loses the line but not the kill."""
        try:
            self._write(msgspec.json.encode(kill) + b"\n")
        except OSError:
            return False
        return True

    def _write(self, lines: bytes) -> None:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = self._disk.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            self._disk.write(handle, lines)
            self._disk.fdatasync(handle)
        finally:
            self._disk.close(handle)
        _sync(self._disk, self.path.parent)


def _content(path: Path) -> bytes:
    with path.open("rb") as file:
        content = file.read(LIMIT + 1)
    if len(content) > LIMIT:
        raise OSError(27, "it is longer than 1 MiB")
    return content


def _sync(disk: Disk, folder: Path) -> None:
    with contextlib.suppress(OSError):
        sync_folder(disk, folder)
