"""A disk that keeps only what was synced: on a power cut every sector written since is there or not, one by one.

Files are real ones in a folder, so that readers read them as ever; they are the page cache. What the platter holds is
kept beside them and laid over them when the power goes.
"""

import errno
import os
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from events.reader import DURABLE
from tests.simulation.world import Crash, World

SECTOR = 512

Pending = tuple[str, int, bytes]  # "write", offset, data; "size", length, b""


@dataclass
class Platter:
    """One file: its synced bytes, and what was written since, in order."""

    stable: bytearray = field(default_factory=bytearray)
    pending: list[Pending] = field(default_factory=list)


def _laid(content: bytearray, offset: int, data: bytes) -> None:
    if len(content) < offset + len(data):
        content.extend(bytes(offset + len(data) - len(content)))
    content[offset : offset + len(data)] = data


def _sized(content: bytearray, length: int) -> None:
    if len(content) > length:
        del content[length:]
    else:
        content.extend(bytes(length - len(content)))


def _touched(known: Platter) -> set[int]:
    found: set[int] = set()
    for kind, at, data in known.pending:
        end = at + len(data) if kind == "write" else max(len(known.stable), at)
        found.update(range(at - at % SECTOR, end, SECTOR))
    return found


def _lay_sector(content: bytearray, sector: int, kind: str, at: int, data: bytes) -> None:
    begin = max(at, sector)
    if kind == "write":
        part = data[begin - at : max(sector + SECTOR - at, 0)]
        if part:
            _laid(content, begin, part)
    elif begin < min(sector + SECTOR, len(content)):
        _laid(content, begin, bytes(min(sector + SECTOR, len(content)) - begin))


class SimulatedDisk:
    """The port ``events.ports.Disk``; every call may fail, be cut short, or be the process's last."""

    def __init__(self, world: World, root: Path) -> None:
        self.world, self.root = world, root
        self.full = False
        self.failing_syncs = 0  # calls until one fails, 0 for none
        self.sync_failures = 0
        self._files: dict[Path, Platter] = {}
        self._open: dict[int, Path] = {}
        self._names: list[tuple[str, Path, Path | None]] = []  # changes of names since the folder was synced
        self._versions: dict[Path, int] = {}
        self._numbers = 0
        self._marks: list[bytes] = []

    # --- the port -----------------------------------------------------------------------------------------------------

    def open(self, path: Path, flags: int, mode: int = 0o777, /) -> int:
        self.world.call("disk", "open")
        there = path.exists()
        fd = os.open(path, flags, mode)
        self._open[fd] = path
        if not there and flags & os.O_CREAT:
            self._files[path] = Platter()
            self._names.append(("create", path, None))
            self._touch(path)
        return fd

    def close(self, fd: int, /) -> None:
        if self._open.pop(fd, None) is not None:
            os.close(fd)

    def write(self, fd: int, data: bytes, /) -> int:
        return self.pwrite(fd, data, os.fstat(fd).st_size)

    def pwrite(self, fd: int, data: bytes, offset: int, /) -> int:
        path = self._open[fd]
        try:
            self.world.call("disk", "pwrite")
        except Crash:
            if not self.world.dead:
                raise
            self._put(fd, path, data[: self.world.rng.randrange(len(data) + 1)], offset)
            raise
        if self.full:
            left = self.world.rng.randrange(2) * self.world.rng.randrange(len(data))
            if not left:
                raise OSError(errno.ENOSPC, "No space left on device")
            data = data[:left]
        return self._put(fd, path, data, offset)

    def ftruncate(self, fd: int, length: int, /) -> None:
        self.world.call("disk", "ftruncate")
        os.ftruncate(fd, length)
        self._of(self._open[fd]).pending.append(("size", length, b""))

    def fdatasync(self, fd: int, /) -> None:
        path = self._open[fd]
        self.world.call("disk", "fdatasync")
        self._remember_mark(path)
        if self.failing_syncs and path.suffix == ".seg":
            self.failing_syncs -= 1
            if not self.failing_syncs:
                self._lose(path)
                raise OSError(errno.EIO, "Input/output error")
        intents = any(b'"state":"INTENT"' in data for _, _, data in self._of(path).pending)
        self._settle(path)
        if intents:
            self.world.call("disk", "intents")  # they are safe, and no order has left: the best moment for trouble

    def fsync(self, fd: int, /) -> None:
        path = self._open[fd]
        self.world.call("disk", "fsync")
        if path.is_dir():
            self._names = [each for each in self._names if each[1].parent != path]
        else:
            self._settle(path)

    def rename(self, old: Path, new: Path, /) -> None:
        self.world.call("disk", "rename")
        old.rename(new)
        self._names.append(("rename", new, old))
        if old in self._files:
            self._files[new] = self._files.pop(old)
        self._touch(old)
        self._touch(new)

    def unlink(self, path: Path, /) -> None:
        self.world.call("disk", "unlink")
        self._names.append(("unlink", path, None))
        path.unlink()
        self._touch(path)

    def stat(self, path: Path, /) -> Any:
        self.world.call("disk", "stat")
        found = path.stat()
        version = self._versions.get(path, 0)
        return SimpleNamespace(st_ino=version, st_size=found.st_size, st_mtime_ns=version)

    # --- others -------------------------------------------------------------------------------------------------------

    def written_by_another(self, path: Path, data: bytes) -> None:
        """Append to a file as another process does, which syncs what it writes."""
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with path.open("ab") as file:
            file.write(data)
        self._names = [each for each in self._names if each[1].parent != path.parent]
        known = self._of(path)
        known.stable, known.pending = bytearray(path.read_bytes()), []
        self._touch(path)

    def removed_by_another(self, path: Path) -> None:
        path.unlink(missing_ok=True)
        self._files.pop(path, None)
        self._names = [each for each in self._names if path not in each]
        self._touch(path)

    def on_platter(self, folder: Path, what: bytes) -> bool:
        """Whether the segments of a folder hold these bytes even if the power goes now."""
        return any(
            what in known.stable
            for path, known in self._files.items()
            if path.parent == folder and path.suffix == ".seg"
        )

    # --- crashes ------------------------------------------------------------------------------------------------------

    def process_ended(self) -> None:
        """Close what the process had open; what it wrote stays in the page cache."""
        for fd in self._open:
            os.close(fd)
        self._open.clear()

    def power_lost(self) -> None:
        """Keep of what was not synced what chance keeps."""
        self.process_ended()
        self._lose_names()
        for path, known in self._files.items():
            if known.pending:
                self._tear(known)
            if path.exists():
                path.write_bytes(known.stable)  # a page that a failed sync left clean is gone without being pending
        self._lose_mark()

    def _tear(self, known: Platter) -> None:
        """Lay over each sector the first so many of the writes to it: a sector is written whole, at some moment."""
        rng, count = self.world.rng, len(known.pending)
        latest = rng.choice((0.0, 0.5, 0.9, 1.0))
        before = bytes(known.stable)
        for sector in sorted(_touched(known)):
            cut = count if rng.random() < latest else rng.randrange(count)
            for kind, at, data in known.pending[:cut]:
                _lay_sector(known.stable, sector, kind, at, data)
        if known.pending and known.pending[-1][0] == "size":
            _sized(known.stable, known.pending[-1][1] if rng.random() < latest else max(len(before), len(known.stable)))
        known.pending = []

    def _lose(self, path: Path) -> None:
        """Fail a sync as Linux does: pages count as clean, some of them never reached the platter."""
        self.sync_failures += 1
        self.world.note(f"fdatasync of {path.name} fails")
        self._tear(self._of(path))

    def _lose_names(self) -> None:
        """Keep the first so many changes of names, as a journaling file system does."""
        kept = self.world.rng.randrange(len(self._names) + 1)
        for kind, path, old in reversed(self._names[kept:]):
            if kind == "create":
                path.unlink(missing_ok=True)
                self._files.pop(path, None)
            elif kind == "rename" and old is not None:
                path.rename(old)
                self._files[old] = self._files.pop(path)
                self._touch(old)
            elif kind == "unlink" and path in self._files:
                path.write_bytes(self._files[path].stable)
            self._touch(path)
        self._names = []

    def _lose_mark(self) -> None:
        """Set the durable mark, which is mapped and never synced, to one of its last values."""
        for path in self.root.glob(f"journal/*/{DURABLE}"):
            if self._marks:
                path.write_bytes(self.world.rng.choice(self._marks[-3:]))

    def _remember_mark(self, path: Path) -> None:
        mark = path.parent / DURABLE
        if path.suffix == ".seg" and mark.exists():
            self._marks.append(mark.read_bytes())
            del self._marks[:-4]

    def _of(self, path: Path) -> Platter:
        return self._files.setdefault(path, Platter())

    def _put(self, fd: int, path: Path, data: bytes, offset: int) -> int:
        written = os.pwrite(fd, data, offset)
        self._of(path).pending.append(("write", offset, data))
        self._touch(path)
        return written

    def _settle(self, path: Path) -> None:
        known = self._of(path)
        for kind, at, data in known.pending:
            if kind == "size":
                _sized(known.stable, at)
            else:
                _laid(known.stable, at, data)
        known.pending = []

    def _touch(self, path: Path) -> None:
        self._numbers += 1
        self._versions[path] = self._numbers
