"""Segments that `audit archive` compressed and moved: the manifest that says where they are, and reading them there."""

import gzip
import zlib
from pathlib import Path

import msgspec

MANIFEST = "archived.jsonl"
"""File beside the segments: one JSON line an archived segment; of two lines of one segment the later counts."""


class JournalError(RuntimeError):
    """Base of what a journal can say."""


class ArchiveAway(JournalError):  # noqa: N818 - a state, named as the documentation names it
    """An archived segment is not where the manifest says, or cannot be read there."""


class Archived(msgspec.Struct, frozen=True, kw_only=True):
    """One archived segment: what it holds, and its compressed file.

    ``first_prev`` is the previous hash of its first record, ``last_hash`` the hash of its last; ``bytes`` and
    ``sha256`` are of the segment, ``file_bytes`` and ``file_sha256`` of the gzip file.
    """

    writer: str
    first_seq: int
    last_seq: int
    first_prev: str
    last_hash: str
    bytes: int
    sha256: str
    file: str
    file_bytes: int
    file_sha256: str
    archived_ns: int


def archived_segments(folder: Path) -> dict[int, Archived]:
    """Return a journal's archived segments by first sequence; a line without its newline was never written whole.

    Raises
    ------
    ArchiveAway
        if the manifest is damaged.
    """
    try:
        lines = (folder / MANIFEST).read_bytes().split(b"\n")[:-1]
    except (FileNotFoundError, NotADirectoryError):
        return {}
    try:
        entries = [msgspec.json.decode(line, type=Archived) for line in lines]
    except msgspec.DecodeError as error:
        raise ArchiveAway(f"{folder / MANIFEST} is damaged ({error}); restore it from a copy") from error
    return {entry.first_seq: entry for entry in entries}


def is_archived(segment: Path) -> bool:
    """Return whether a segment's file is a compressed one."""
    return segment.suffix == ".gz"


def decompressed(segment: Path) -> bytes:
    """Return an archived segment's bytes.

    Raises
    ------
    ArchiveAway
        naming where it was looked for.
    """
    try:
        return gzip.decompress(segment.read_bytes())
    except FileNotFoundError as error:
        raise ArchiveAway(
            f"the archived segment {segment.name} was looked for in {segment.parent} and is not there; "
            "mount or restore that folder, or tell where it is now with `audit archive --to FOLDER`"
        ) from error
    except (OSError, EOFError, zlib.error) as error:
        raise ArchiveAway(f"the archived segment {segment} cannot be read: {error}; restore it from a copy") from error
