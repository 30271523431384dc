"""One segment from its first byte to its last: the hashes of its records, and what does not hold."""

import hashlib
import mmap
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from crc32c import crc32c

from events.archived import is_archived
from events.segments import FRAME, JournalDamaged, Place, first_seq, scan, segment_bytes

HASH_BYTES = 32
Content = bytes | mmap.mmap
STRING = rb'(?:[^"\\]|\\.)*'
SCALAR = rb'[^",{}\[\]]*'
WHOLE = rb"(0|[1-9][0-9]{0,18})"
OTHER_FORM = "the record is not in the form in which the station writes it"


@dataclass(frozen=True, slots=True)
class Walked:
    """What a segment holds: 32 bytes a record of ``hashes`` and of ``leaves``, up to its last whole batch.

    ``prev`` is the previous hash that its first record names; the caller proves it. Where something does not hold,
    ``damage`` says what, and the records are those before it.
    """

    segment: Path
    first: int
    prev: str
    hashes: bytes
    leaves: bytes
    tail: str = ""
    damage: JournalDamaged | None = None

    @property
    def end(self) -> int:
        """The sequence after the last record."""
        return self.first + len(self.hashes) // HASH_BYTES

    def hash(self, seq: int) -> str:
        """Return a record's hash, hexadecimal; ``prev`` for the one before the first."""
        at = (seq - self.first) * HASH_BYTES
        return self.prev if at < 0 else self.hashes[at : at + HASH_BYTES].hex()


def walk_segment(segment: Path, writer: str, *, last: bool, compiled: bool) -> Walked:
    """Verify a segment, given that its first record continues what it names.

    Parameters
    ----------
    last : whether it is the journal's last segment: only there may an interrupted write have left its trace.
    compiled : go the fast way (audit/walk.py); both ways accept the same records.

    Raises
    ------
    ArchiveAway
        if it is archived and cannot be read there.
    """
    data, first = _content(segment, last=last), first_seq(segment)
    prev = _first_prev(data)
    hashes, leaves, offset, left = (_fast if compiled else _slow)(data, writer, first, prev)
    if not left and not data[offset:].strip(b"\0"):
        return Walked(segment, first, prev, hashes, leaves)
    end = first + len(hashes) // HASH_BYTES
    try:
        found = scan(data[:], writer, segment.name, Place(0, first, prev), last=last)
    except JournalDamaged as damage:
        return Walked(segment, first, prev, hashes, leaves, damage=damage)
    if found.end.seq != end:
        other = JournalDamaged(writer, end, segment.name, OTHER_FORM)
        return Walked(segment, first, prev, hashes, leaves, damage=other)
    held = (found.whole.seq - first) * HASH_BYTES
    return Walked(segment, first, prev, hashes[:held], leaves[:held], found.tail)


def _content(segment: Path, *, last: bool) -> Content:
    """Return a segment's bytes: mapped, which spares a copy, unless its writer may still shorten it."""
    try:
        if last or is_archived(segment) or not segment.stat().st_size:
            return segment_bytes(segment)
        with segment.open("rb") as file:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except FileNotFoundError:  # archived since it was listed
        return segment_bytes(segment)


def _first_prev(data: Content) -> str:
    """Return the previous hash that the first record names, or "" where it is not to be found."""
    length = FRAME.unpack_from(data)[0] if len(data) > FRAME.size else 0
    found = re.fullmatch(rb'.*,"prev":"([0-9a-f]{64})"\}', data[8 : 8 + length][-75:])
    return found.group(1).decode() if found else ""


@lru_cache(maxsize=8)
def _header(writer: str) -> re.Pattern[bytes]:
    return re.compile(
        rb'\{"writer":"' + re.escape(writer.encode()) + rb'","run":"' + STRING + rb'","seq":' + WHOLE
        + rb',"utc_ns":' + WHOLE + rb',"mono_ns":' + WHOLE + rb',"type":"' + STRING + rb'","agent_id":"' + STRING
        + rb'","confidence":' + SCALAR + rb',"competitive_score":' + SCALAR + rb',"left":' + WHOLE + rb',"payload":',
        re.DOTALL,
    )  # fmt: skip


def _slow(data: Content, writer: str, first: int, prev: str) -> tuple[bytes, bytes, int, int]:
    """Return hashes, leaf hashes, the offset behind them and ``left`` of the last: audit/walk.py in Python."""
    header, unpack, sha256 = _header(writer).match, FRAME.unpack_from, hashlib.sha256
    hashes, leaves = bytearray(), bytearray()
    at, seq, left, before = 0, first, 0, prev.encode()
    while at + 8 <= len(data):
        length, crc = unpack(data, at)
        raw = data[at + 8 : at + 8 + length]
        head = header(raw)
        if head is None or len(raw) != length or crc32c(raw) != crc or int(head[1]) != seq:
            break
        of_batch = int(head[4])
        if (left and of_batch != left - 1) or raw[-75:] != b',"prev":"' + before + b'"}':
            break
        digest = sha256(raw).digest()
        hashes += digest
        leaves += sha256(b"\0" + digest).digest()
        at, seq, left, before = at + 8 + length, seq + 1, of_batch, digest.hex().encode()
    return bytes(hashes), bytes(leaves), at, left


def _fast(data: Content, writer: str, first: int, prev: str) -> tuple[bytes, bytes, int, int]:
    import numpy as np  # noqa: PLC0415 - only a large journal pays for the compiled loop

    from audit.walk import SMALLEST_RECORD, walk  # noqa: PLC0415

    room = len(data) // SMALLEST_RECORD + 1
    hashes, leaves = np.empty((room, HASH_BYTES), np.uint8), np.empty((room, HASH_BYTES), np.uint8)
    before = np.frombuffer(bytes.fromhex(prev or "00" * HASH_BYTES), np.uint8).copy()
    prefix = np.frombuffer(bytearray(b'{"writer":"' + writer.encode() + b'","run":"'), np.uint8)
    segment = np.frombuffer(data, np.uint8)
    count, offset, left = walk(segment, 0, first, prefix, before, hashes, leaves)
    return hashes[:count].tobytes(), leaves[:count].tobytes(), int(offset), int(left)
