"""Reading a journal, alone or behind a live writer."""

import functools
import os
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from crc32c import crc32c

from events.archived import is_archived
from events.segments import (
    FRAME,
    GENESIS,
    JournalDamaged,
    Record,
    decode_record,
    first_seq,
    record_hash,
    scan_segments,
    segment_bytes,
    segment_files,
)

CHUNK_BYTES = 1024 * 1024
DURABLE = "durable"
"""File beside the segments: the next sequence that is not synced yet, u64 little-endian, kept by the writer."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A record with its stored bytes; the hash is theirs."""

    record: Record
    raw: bytes

    @property
    def hash(self) -> str:
        """SHA-256 of the stored bytes, hexadecimal."""
        return record_hash(self.raw)


class JournalReader:
    """Reads whole batches of one journal in order; what a writer is just writing is not seen yet.

    Parameters
    ----------
    folder : the journal; it need not exist yet.
    durable_only : stop at what the writer has synced, so that nothing is read which a power cut could take back. For a
        reader behind a live writer; a journal without a live writer is durable up to where the writer last said so.
    """

    def __init__(self, folder: Path, *, durable_only: bool = False) -> None:
        self.folder = folder
        self._durable_only = durable_only
        self._mark: tuple[int, Path, int] | None = None  # where the record of a sequence begins, once it was next

    def read(self, from_seq: int = 0) -> Iterator[Record]:
        """Yield the records from a sequence on, to the end of the last whole batch."""
        for stored in self.stored(from_seq):
            yield stored.record

    def stored(self, from_seq: int = 0) -> Iterator[Stored]:
        """As :meth:`read`, with the stored bytes; call it again with the next sequence to follow a live writer.

        Raises
        ------
        JournalDamaged
            if a frame before the last segment does not hold, or the record of a sequence is not there.
        """
        segments = segment_files(self.folder)
        index = max(bisect_right([first_seq(segment) for segment in segments], from_seq) - 1, 0)
        limit = (durable_next(self.folder) or 0) if self._durable_only else None
        batch: list[tuple[int, Stored]] = []
        for segment in segments[index:]:
            seq, start = first_seq(segment), 0
            if self._mark is not None and self._mark[:2] == (from_seq, segment):
                seq, start = from_seq, self._mark[2]
            for end, raw in frames(segment, start, last=segment == segments[-1]):
                seq += 1
                if seq <= from_seq:
                    continue
                stored = Stored(_decode(raw, segment, seq - 1), raw)
                batch.append((end, stored))
                if stored.record.left:
                    continue
                if limit is not None and seq > limit:
                    return
                for at, each in batch:
                    self._mark = (each.record.seq + 1, segment, at)
                    yield each
                batch = []

    def get(self, seq: int) -> Stored | None:
        """Return one record, None if it is not there (yet)."""
        return next((found for found in self.stored(seq) if found.record.seq == seq), None) if seq >= 0 else None

    def last_of(self, *types: str, before: int | None = None) -> Stored | None:
        """Return the newest record of any of these types in a whole batch (below a sequence), None if there is none."""
        marks = [f'"type":"{name}"'.encode() for name in types]
        for segment in reversed(segment_files(self.folder)):
            newest = pending = None
            most = None if before is None else max(before - first_seq(segment), 0)
            for _, raw in islice(frames(segment, last=True), most):
                head = _head(raw)
                if any(mark in head for mark in marks):
                    pending = raw
                if head.endswith(b'"left":0'):
                    newest, pending = pending or newest, None
            if newest is not None:
                return Stored(decode_record(newest), newest)
        return None

    def last_seq(self) -> int:
        """Return the last sequence of the last whole batch, -1 in an empty journal."""
        segments = segment_files(self.folder)
        last = seq = first_seq(segments[-1]) - 1 if segments else -1
        for _, raw in frames(segments[-1], last=True) if segments else ():
            seq += 1
            if _head(raw).endswith(b'"left":0'):
                last = seq
        return last


def durable_next(folder: Path) -> int | None:
    """Return the first sequence that the journal's writer has not synced yet; None if it has never said."""
    try:
        return int.from_bytes((folder / DURABLE).read_bytes()[:8], "little")
    except FileNotFoundError:
        return None


def _head(raw: bytes) -> bytes:
    return raw[: raw.find(b',"payload":')]


def _decode(raw: bytes, segment: Path, expected: int) -> Record:
    record = decode_record(raw)
    if record.seq != expected:
        raise JournalDamaged(record.writer, expected, segment.name, f"sequence {record.seq} where {expected} belongs")
    return record


def frames(segment: Path, start: int = 0, *, last: bool) -> Iterator[tuple[int, bytes]]:
    """Yield (offset after it, stored bytes) of a segment's records; a frame that is not whole ends a last segment.

    Raises
    ------
    JournalDamaged
        if a segment that is not the last has a broken frame.
    """
    read, close = _source(segment)
    try:
        data, at, offset = b"", 0, start  # `offset` is that of data[0]
        while True:
            length, crc = FRAME.unpack_from(data, at) if len(data) - at >= FRAME.size else (-1, 0)
            raw = data[at + 8 : at + 8 + length] if length > 0 else b""
            if length == 0 or (length == len(raw) and crc32c(raw) != crc):
                break
            if length == len(raw):
                at += 8 + length
                yield offset + at, raw
                continue
            offset, held = offset + at, len(data) - at
            data, at = read(max(CHUNK_BYTES, 2 * held), offset), 0
            if len(data) <= held:
                break
    finally:
        close()
    if not last and data[at:].strip(b"\0"):
        raise JournalDamaged(
            segment.parent.name, first_seq(segment), segment.name, f"broken frame at byte {offset + at}"
        )


def _source(segment: Path) -> tuple[Callable[[int, int], bytes], Callable[[], None]]:
    """Return how to read (count, offset) of a segment, and how to end; an archived one is decompressed at once."""
    try:
        if not is_archived(segment):
            handle = os.open(segment, os.O_RDONLY)
            return functools.partial(os.pread, handle), functools.partial(os.close, handle)
    except FileNotFoundError:
        pass  # archived since it was listed
    data = segment_bytes(segment)
    return lambda count, offset: data[offset : offset + count], lambda: None


@dataclass(frozen=True)
class FirstBad:
    """The first thing that does not hold."""

    writer: str
    seq: int
    segment: str
    what: str


@dataclass(frozen=True)
class VerifyResult:
    """Whether every byte of a journal holds; ``tail`` names what an interrupted write left at its end, if anything."""

    ok: bool
    events: int
    first_bad: FirstBad | None
    head: str
    tail: str = ""


def verify(folder: Path, writer: str = "") -> VerifyResult:
    """Verify every byte of a journal: frames, CRC, sequence, hashes, batches; never raises for what it finds.

    Parameters
    ----------
    writer : whose journal it is (default: the folder's name).
    """
    writer = writer or folder.name
    try:
        found = scan_segments(segment_files(folder), writer)
    except JournalDamaged as damage:
        bad = FirstBad(damage.writer, damage.seq, damage.segment, damage.what)
        return VerifyResult(ok=False, events=damage.seq, first_bad=bad, head=GENESIS)
    if found is None:
        return VerifyResult(ok=True, events=0, first_bad=None, head=GENESIS)
    return VerifyResult(ok=True, events=found.whole.seq, first_bad=None, head=found.whole.prev, tail=found.tail)
