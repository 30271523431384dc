"""Segments of a journal: frames, the chain through them, and what a broken end means."""

import hashlib
import struct
from dataclasses import dataclass
from pathlib import Path

import msgspec
from crc32c import crc32c

from events.archived import JournalError as JournalError  # noqa: PLC0414 - its home for those who read journals
from events.archived import archived_segments, decompressed, is_archived

FRAME = struct.Struct("<II")
"""Length and CRC-32C of the bytes that follow."""

GENESIS = "0" * 64
"""Previous hash of a journal's first record."""

SECTOR = 512  # bytes: the smallest piece of a file that a disk writes or loses as one


class JournalDamaged(JournalError):  # noqa: N818 - a state of the record, named as the documentation names it
    """The record does not hold: nothing may be appended to it, and what it says may not be believed."""

    def __init__(self, writer: str, seq: int, segment: str, what: str) -> None:
        super().__init__(f"journal {writer} is damaged at record {seq} in {segment}: {what}")
        self.writer, self.seq, self.segment, self.what = writer, seq, segment, what


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One record as it is stored; ``left`` counts the records of its batch still to come."""

    writer: str
    run: str
    seq: int
    utc_ns: int
    mono_ns: int
    type: str
    agent_id: str
    confidence: float | None
    competitive_score: float | None
    left: int
    payload: msgspec.Raw
    prev: str


class Link(msgspec.Struct, frozen=True):
    """The part of a record that holds the chain together; decoding it skips the rest."""

    writer: str
    seq: int
    left: int
    prev: str


decode_record = msgspec.json.Decoder(Record).decode
decode_link = msgspec.json.Decoder(Link).decode


def record_hash(raw: bytes) -> str:
    """Return the hash of a record's stored bytes."""
    return hashlib.sha256(raw).hexdigest()


def segment_name(first_seq: int) -> str:
    """Return the file name of the segment that begins with this record."""
    return f"{first_seq:020d}.seg"


def segment_files(folder: Path) -> list[Path]:
    """Return a journal's segments in order, archived ones where the manifest says; an absent folder has none."""
    if not folder.is_dir():
        return []
    archived = {segment_name(first): Path(entry.file) for first, entry in archived_segments(folder).items()}
    here = {segment.name: segment for segment in folder.glob("*.seg")}
    return [file for _, file in sorted((archived | here).items())]


def first_seq(segment: Path) -> int:
    """Return the first sequence of a segment, or -1 if its name is not one."""
    stem = segment.name.removesuffix(".gz").removesuffix(".seg")
    return int(stem) if stem.isdecimal() and len(stem) == 20 else -1


def segment_bytes(segment: Path) -> bytes:
    """Return a segment's bytes, wherever it lies by now: it may have been archived since it was listed.

    Raises
    ------
    ArchiveAway
        if it is archived and cannot be read there.
    """
    if is_archived(segment):
        return decompressed(segment)
    try:
        return segment.read_bytes()
    except FileNotFoundError:
        entry = archived_segments(segment.parent).get(first_seq(segment))
        if entry is None:
            raise
        return decompressed(Path(entry.file))


@dataclass(frozen=True, slots=True)
class Place:
    """A point between two batches: where the next record goes, and what it must continue."""

    offset: int
    seq: int
    prev: str


@dataclass(frozen=True, slots=True)
class Scan:
    """What a segment holds: ``whole`` ends its complete batches, ``end`` its valid records, ``tail`` names the rest."""

    whole: Place
    end: Place
    tail: str  # "" when only zeros follow a complete batch


def scan(data: bytes, writer: str, segment: str, start: Place, *, last: bool, unsynced_from: int | None = None) -> Scan:
    """Verify a segment from ``start`` on: frames, CRC, sequence, chain, batches.

    Parameters
    ----------
    data : the segment's bytes.
    last : whether it is the journal's last segment: only there may the end be torn or a batch be incomplete.
    unsynced_from : the first sequence that the writer had not confirmed, where that is known.

    Raises
    ------
    JournalDamaged
        on anything that an interrupted write cannot have left.
    """
    unpack, sha256 = FRAME.unpack_from, hashlib.sha256
    limit = len(data) - FRAME.size
    offset, seq, prev, left = start.offset, start.seq, start.prev, 0
    whole = start
    while offset <= limit:
        length, crc = unpack(data, offset)
        raw = data[offset + 8 : offset + 8 + length]
        if not length or len(raw) != length or crc32c(raw) != crc:
            break
        left = _follow(raw, writer, segment, seq, prev=prev, left=left)
        offset += 8 + length
        seq += 1
        prev = sha256(raw).hexdigest()
        if not left:
            whole = Place(offset, seq, prev)
    torn = bool(data[offset:].strip(b"\0"))
    unsynced = unsynced_from is not None and seq >= unsynced_from
    damage = broken_frame(data, offset, writer, unsynced=unsynced) if torn else ""
    if damage or ((torn or left) and not last):
        raise JournalDamaged(writer, seq, segment, damage or "the segment ends inside a batch")
    end = Place(offset, seq, prev)
    return Scan(whole, end, "torn record" if torn else "batch without its end" if left else "")


def _follow(raw: bytes, writer: str, segment: str, seq: int, *, prev: str, left: int) -> int:
    """Check that a record continues the chain; return how many of its batch are still to come."""
    try:
        link = decode_link(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise JournalDamaged(writer, seq, segment, f"not a record: {error}") from error
    if link.writer != writer:
        raise JournalDamaged(writer, seq, segment, f"written by {link.writer!r}")
    if link.seq != seq:
        raise JournalDamaged(writer, seq, segment, f"sequence {link.seq} where {seq} belongs")
    if link.prev != prev:
        raise JournalDamaged(writer, seq, segment, "the previous hash is not that of the record before")
    if link.left < 0 or (left and link.left != left - 1):
        raise JournalDamaged(writer, seq, segment, f"{link.left} left in its batch where {left - 1} belongs")
    return link.left


def broken_frame(data: bytes, offset: int, writer: str, *, unsynced: bool = False) -> str:
    """Say what is wrong with the invalid frame at ``offset``, or "" if an interrupted write explains it.

    A record's text holds no NUL byte and every segment is zeroed before it is written. So what a crash did not write is
    still zero, from some byte to the end or over whole sectors, the first of them from where the frame begins. A
    broken frame without such a gap was whole once: that is damage, not a tail. So is a gap before whole later batches,
    unless none of them was synced: a power cut may lose any of the sectors on their way to the disk.
    """
    body = offset + FRAME.size
    if body > len(data):
        return ""
    length, crc = FRAME.unpack_from(data, offset)
    end = body + length
    if length and end <= len(data) and data.find(b"\0", body, end) < 0:
        return "the CRC-32C does not match"
    following = _valid_frames(data, body, writer)
    text_end = data.find(b"\0", body)
    if text_end < 0:
        text_end = len(data)
    if following:
        text_end = min(text_end, following[0][0])
    headless = _is_lost(data, offset, offset)
    joined = bool(following) and text_end == following[0][0]
    if not headless and text_end > body and (joined or crc32c(data[body:text_end]) == crc):
        return "the length does not match"
    if not unsynced and any(not left for _, left in following[:-1]):
        return "the frame is broken and later batches follow"
    return "" if headless or _is_lost(data, offset, text_end) else "the frame is broken in the middle of its bytes"


def _valid_frames(data: bytes, offset: int, writer: str) -> list[tuple[int, int]]:
    """Return (offset of the frame, left) of every valid frame that begins after ``offset``."""
    magic = _magic(writer)
    found: list[tuple[int, int]] = []
    at = data.find(magic, offset + FRAME.size)
    while at >= 0:
        length, crc = FRAME.unpack_from(data, at - FRAME.size)
        raw = data[at : at + length]
        if length and len(raw) == length and crc32c(raw) == crc:
            found.append((at - FRAME.size, decode_link(raw).left))
        at = data.find(magic, at + 1)
    return found


def _is_lost(data: bytes, offset: int, at: int) -> bool:
    """Whether the sector of ``at`` holds nothing of the frame that begins at ``offset``, or nothing follows ``at``.

    The sector in which the frame begins has the end of the batch before it, which was synced: that stays.
    """
    sector = at - at % SECTOR
    return not data[at:].strip(b"\0") or not data[max(offset, sector) : sector + SECTOR].strip(b"\0")


def scan_segments(
    segments: list[Path], writer: str, *, complete: int | None = None, unsynced_from: int | None = None
) -> Scan | None:
    """Verify a journal; return the scan of its last segment, None if it has no segment.

    Parameters
    ----------
    complete : how many of the last segments are read to the last byte (default: all); of those before them, that each
        begins where the one before it ends, in sequence and hash.
    unsynced_from : the first sequence that the writer had not confirmed, where that is known.

    Raises
    ------
    JournalDamaged
        on the first thing that does not hold.
    """
    if not segments:
        return None
    if first_seq(segments[0]) != 0:
        raise JournalDamaged(writer, 0, segments[0].name, "the journal does not begin with record 0")
    start = Place(0, 0, GENESIS)
    older = segments[:-complete] if complete else []
    if complete:  # archived ones were read to the last byte when they were: a start needs no archive
        older = max(older, [segment for segment in segments if is_archived(segment)], key=len)
    for segment in older:
        start = (
            _archived_end(segment, writer, start, segments[-1].parent)
            if is_archived(segment)
            else _end_of(segment, writer, start)
        )
    for index, segment in enumerate(segments[len(older) :], len(older) + 1):
        if first_seq(segment) != start.seq:
            raise JournalDamaged(writer, start.seq, segment.name, f"the segment of record {start.seq} is missing")
        last = index == len(segments)
        found = scan(segment_bytes(segment), writer, segment.name, start, last=last, unsynced_from=unsynced_from)
        start = Place(0, found.end.seq, found.end.prev)
    return found


def _archived_end(segment: Path, writer: str, start: Place, folder: Path) -> Place:
    """Return what the segment after an archived one must begin with, as the manifest says."""
    entry = archived_segments(folder).get(first_seq(segment))
    if entry is None or entry.first_seq != start.seq:
        raise JournalDamaged(writer, start.seq, segment.name, f"the segment of record {start.seq} is missing")
    if entry.first_prev != start.prev:
        raise JournalDamaged(writer, start.seq, segment.name, "the previous hash is not that of the record before")
    return Place(0, entry.last_seq + 1, entry.last_hash)


def _end_of(segment: Path, writer: str, start: Place) -> Place:
    """Return what the segment after this one must begin with, from its first and last record alone."""
    data = segment_bytes(segment)
    length, _ = FRAME.unpack_from(data) if len(data) > FRAME.size else (0, 0)
    if first_seq(segment) != start.seq:
        raise JournalDamaged(writer, start.seq, segment.name, f"the segment of record {start.seq} is missing")
    _follow(data[8 : 8 + length], writer, segment.name, start.seq, prev=start.prev, left=0)
    used = data.rstrip(b"\0")
    at = used.rfind(_magic(writer))
    while at >= FRAME.size:
        length, crc = FRAME.unpack_from(used, at - FRAME.size)
        raw = used[at:]
        if len(raw) == length and crc32c(raw) == crc:
            return Place(0, decode_link(raw).seq + 1, record_hash(raw))
        at = used.rfind(_magic(writer), 0, at)
    raise JournalDamaged(writer, start.seq, segment.name, "its last record is not whole")


def _magic(writer: str) -> bytes:
    return b'{"writer":' + msgspec.json.encode(writer) + b',"run":'
