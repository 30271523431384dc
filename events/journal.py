"""The journal: an append-only, hash-chained record that one process writes and any process may read.

The format is in docs/architecture.md; frames and the verification of a segment are in events/segments.py.
"""

import fcntl
import mmap
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
from crc32c import crc32c

from events.archived import JournalError
from events.ports import SYSTEM_CLOCK, SYSTEM_DISK, Clock, Disk, SystemClock, sync_folder
from events.reader import DURABLE, JournalReader, Stored, VerifyResult, durable_next, verify
from events.segments import (
    FRAME,
    GENESIS,
    JournalDamaged,
    Place,
    Record,
    Scan,
    record_hash,
    scan_segments,
    segment_files,
    segment_name,
)

__all__ = [
    "Clock",
    "Cut",
    "Entry",
    "JournalDamaged",
    "JournalError",
    "JournalLocked",
    "JournalReader",
    "JournalSyncFailed",
    "JournalWriteFailed",
    "JournalWriter",
    "Record",
    "Stored",
    "SystemClock",
    "VerifyResult",
    "unwritten",
    "verify",
]

SEGMENT_BYTES = 64 * 1024 * 1024
ZEROED_BYTES = 4 * 1024 * 1024  # overwriting zeroed space leaves fdatasync no metadata to write: about twice as fast
VERIFIED_SEGMENTS = 4  # read completely at start; of older ones only the links between them: `verify` reads every byte

Entry = tuple[str, str, float | None, float | None, bytes]
"""What is appended: type, agent id, confidence, competitive score, payload (JSON)."""


class JournalLocked(JournalError):  # noqa: N818 - a state, named as the documentation names it
    """Another process writes this journal."""


class JournalSyncFailed(JournalError):  # noqa: N818
    """The disk did not confirm. What is on it is unknown, so the only way on is a new start that reads it."""


class JournalWriteFailed(JournalError):  # noqa: N818
    """A batch was not written, or not whole: the disk is full or gone. Nothing of it counts."""


@dataclass(frozen=True)
class Cut:
    """What was cut off at start: bytes of the last segment that an interrupted write had left."""

    segment: str
    cut_bytes: int
    records: int  # valid ones among them, of a batch without its end
    what: str


class JournalWriter:
    """The one writer of ``folder``; not safe for several threads.

    Attributes
    ----------
    seq : the last record's sequence, -1 in an empty journal.
    head : the last record's hash, hexadecimal.
    durable_seq : the last sequence that the disk confirmed.
    cut : what was cut off at start, or None.

    Raises
    ------
    JournalLocked
        if another process has it open.
    JournalDamaged
        if what is there does not hold; nothing is changed then.
    """

    def __init__(
        self,
        folder: Path,
        writer: str,
        run: str,
        clock: Clock = SYSTEM_CLOCK,
        *,
        disk: Disk = SYSTEM_DISK,
        segment_bytes: int = SEGMENT_BYTES,
    ) -> None:
        self.folder, self.writer, self.run = folder, writer, run
        self.cut: Cut | None = None
        self._clock, self._disk = clock, disk
        self._segment_bytes = segment_bytes
        self._encode = msgspec.json.Encoder().encode
        self._failed = ""
        self._fd = -1
        self._zeroed = 0
        self._place = Place(0, 0, GENESIS)
        for each in (folder.parent, folder):
            each.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = _lock(disk, folder, writer)
        try:
            self._open_last()
        except BaseException:
            self._release()
            raise

    @property
    def seq(self) -> int:
        return self._place.seq - 1

    @property
    def head(self) -> str:
        return self._place.prev

    @property
    def durable_seq(self) -> int:
        return self._durable_next - 1

    def append(self, batch: Sequence[Entry]) -> list[int]:
        """Write a batch at once and return its sequences; it is not durable before :meth:`sync`.

        One batch is one step: a crash keeps all of it or nothing. Sync before acting on it and before the next append
        of anything that must not be lost together with it.

        Raises
        ------
        JournalWriteFailed
            if the disk does not take it, or a payload has a NUL byte. The journal is closed to appends from then on.
        """
        if self._failed:
            raise JournalWriteFailed(self._failed)
        if not batch:
            return []
        first, prev = self._place.seq, self._place.prev
        frames: list[bytes] = []
        utc_ns, mono_ns = self._clock.utc_ns(), self._clock.mono_ns()
        for index, (kind, agent_id, confidence, competitive_score, payload) in enumerate(batch):
            if b"\0" in payload:
                raise JournalWriteFailed(f"journal {self.writer}: a payload of {kind} has a NUL byte; JSON has none")
            raw = self._encode(
                Record(
                    writer=self.writer,
                    run=self.run,
                    seq=first + index,
                    utc_ns=utc_ns,
                    mono_ns=mono_ns,
                    type=kind,
                    agent_id=agent_id,
                    confidence=confidence,
                    competitive_score=competitive_score,
                    left=len(batch) - 1 - index,
                    payload=msgspec.Raw(payload),
                    prev=prev,
                )
            )
            frames += (FRAME.pack(len(raw), crc32c(raw)), raw)
            prev = record_hash(raw)
        self._write(b"".join(frames))
        self._place = Place(self._place.offset, first + len(batch), prev)
        return list(range(first, first + len(batch)))

    def sync(self) -> None:
        """Return when everything appended is on the disk.

        Raises
        ------
        JournalSyncFailed
            if the disk reports an error. The process must end: the kernel may now call pages clean that were lost.
        """
        if self._failed:
            raise JournalSyncFailed(self._failed)
        try:
            self._disk.fdatasync(self._fd)
        except OSError as error:
            self._failed = f"journal {self.writer}: fdatasync failed: {error}"
            raise JournalSyncFailed(self._failed) from error
        self._confirm()

    def close(self) -> None:
        """Sync, give the zeroed space back and release the journal; a failed one is only released."""
        if self._fd < 0:
            return
        try:
            if not self._failed:
                self.sync()
                self._disk.ftruncate(self._fd, self._place.offset)
                self._disk.fsync(self._fd)
        finally:
            self._release()

    def _release(self) -> None:
        if self._fd >= 0:
            self._disk.close(self._fd)
            self._fd = -1
        self._disk.close(self._lock)

    def _open_last(self) -> None:
        segments = segment_files(self.folder)
        unsynced_from = durable_next(self.folder)
        last = scan_segments(segments, self.writer, complete=VERIFIED_SEGMENTS, unsynced_from=unsynced_from)
        sync_folder(self._disk, self.folder.parent)
        if last is None:
            self._create(0)
        else:
            sync_folder(self._disk, self.folder)  # the process that made the segment may have died before it did
            self._place = last.whole
            self._fd = self._disk.open(segments[-1], os.O_RDWR)
            if last.tail:
                self._cut(segments[-1].name, last)
            self._zeroed = os.fstat(self._fd).st_size
            self._write_again()
            self._disk.fsync(self._fd)
        self._durable_map = _durable_map(self.folder)
        self._confirm()

    def _write_again(self) -> None:
        """Write what was read: after a failed sync the kernel may call pages clean that never reached the disk."""
        known = os.pread(self._fd, self._place.offset, 0)
        if known and self._disk.pwrite(self._fd, known, 0) != len(known):
            raise JournalWriteFailed(f"journal {self.writer}: its last segment cannot be written; free space")

    def _cut(self, segment: str, found: Scan) -> None:
        size = os.fstat(self._fd).st_size
        rest = os.pread(self._fd, size - found.whole.offset, found.whole.offset).rstrip(b"\0")
        self._disk.ftruncate(self._fd, found.whole.offset)
        self.cut = Cut(segment, len(rest), found.end.seq - found.whole.seq, found.tail)

    def _confirm(self) -> None:
        self._durable_next = self._place.seq
        self._durable_map[:8] = self._durable_next.to_bytes(8, "little")

    def _create(self, seq: int) -> None:
        path = self.folder / segment_name(seq)
        self._fd = self._disk.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        self._zeroed = 0
        sync_folder(self._disk, self.folder)

    def _rotate(self) -> None:
        self._disk.ftruncate(self._fd, self._place.offset)
        self._disk.fsync(self._fd)
        self._disk.close(self._fd)
        self._fd = -1
        self._place = Place(0, self._place.seq, self._place.prev)
        self._create(self._place.seq)

    def _write(self, data: bytes) -> None:
        try:
            if self._place.offset and self._place.offset + len(data) > self._segment_bytes:
                self._rotate()
            end = self._place.offset + len(data)
            while self._zeroed < end + FRAME.size:
                zeros = bytes(min(ZEROED_BYTES, self._segment_bytes))
                self._zeroed += self._disk.pwrite(self._fd, zeros, self._zeroed)
            written = self._disk.pwrite(self._fd, data, self._place.offset)
        except OSError as error:
            self._failed = f"journal {self.writer}: {error}; free space on its disk and start again"
            raise JournalWriteFailed(self._failed) from error
        if written != len(data):
            self._failed = f"journal {self.writer}: {written} of {len(data)} bytes written; free space and start again"
            raise JournalWriteFailed(self._failed)
        self._place = Place(end, self._place.seq, self._place.prev)


@contextmanager
def unwritten(folder: Path) -> Iterator[None]:
    """Keep every writer away from a journal for as long as the block runs.

    Raises
    ------
    JournalLocked
        if a process writes it now.
    """
    handle = _lock(SYSTEM_DISK, folder, folder.name)
    try:
        yield
    finally:
        os.close(handle)


def _lock(disk: Disk, folder: Path, writer: str) -> int:
    handle = disk.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        disk.close(handle)
        raise JournalLocked(f"journal {writer} in {folder} is being written by another process") from error
    return handle


def _durable_map(folder: Path) -> mmap.mmap:
    handle = os.open(folder / DURABLE, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        os.ftruncate(handle, 8)
        return mmap.mmap(handle, 8)
    finally:
        os.close(handle)
