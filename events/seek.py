"""The way to one record in the middle of a segment: found by its number in the bytes, not by reading all before it."""

import mmap
from pathlib import Path

from crc32c import crc32c

from events.archived import is_archived
from events.segments import FRAME

LONGEST_HEAD = 512  # bytes of a record before its sequence: writer and run


def frame_offset(segment: Path, seq: int) -> int | None:
    """Return where the frame of this record begins in a segment, None where that is not found in one look.

    A place counts only if the frame around it is whole and its CRC-32C matches, so a payload that holds the same words
    is not taken for a record.
    """
    if is_archived(segment) or not segment.stat().st_size:
        return None
    mark, head = b'","seq":%d,"utc_ns":' % seq, b'{"writer":"'
    with segment.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        at = data.find(mark)
        while at >= 0:
            begin = data.rfind(head, max(0, at - LONGEST_HEAD), at)
            if begin >= FRAME.size:
                length, crc = FRAME.unpack_from(data, begin - FRAME.size)
                raw = data[begin : begin + length]
                if length and len(raw) == length and crc32c(raw) == crc:
                    return begin - FRAME.size
            at = data.find(mark, at + 1)
    return None
