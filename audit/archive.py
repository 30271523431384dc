"""`audit archive`: closed, signed and projected segments are compressed, proved again, and moved out of the journal.

Each segment on its own, in an order in which a crash at any point loses nothing: the gzip file under a draft's name,
synced and renamed; read again and compared; a line in the manifest, synced; and only then the segment is unlinked. What
a crash left (a draft, or a segment that the manifest already names) the next archive repairs.
"""

import fcntl
import gzip
import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from audit.checkpoints import last_checkpoint
from audit.errors import AuditError
from audit.files import append_line, make_private, sync_folder, whole_lines, write_file
from audit.segment import walk_segment
from events.archived import MANIFEST, ArchiveAway, Archived, archived_segments, decompressed, is_archived
from events.paths import DataPaths
from events.segments import first_seq, segment_files

LEVEL = 6  # of gzip: 9 takes three times as long for a hundredth less


class ArchiveReport(msgspec.Struct, frozen=True, kw_only=True):
    """What was done: segments moved, relocated (found again elsewhere), their bytes, and why the next one stays."""

    moved: int
    relocated: int
    bytes: int
    file_bytes: int
    stays: str


def archive(paths: DataPaths, writer: str, folder: Path, *, keep: int, projected: int | None = None) -> ArchiveReport:
    """Move all but the newest ``keep`` closed segments of a journal into ``folder/WRITER``.

    Parameters
    ----------
    keep : at least 0; the segment that is being written always stays.
    projected : the last sequence that the store holds, None where there is no store to wait for.

    Raises
    ------
    AuditError
        if a segment does not verify, or a copy does not read back as it was written. Nothing of it is moved then.
    OSError
        if the folder cannot be written.
    """
    journal = paths.journal / writer
    target = folder / writer
    make_private(target)
    with _locked(journal):
        relocated = _relocate(journal, target)
        signed = checkpoint.tree_size if (checkpoint := last_checkpoint(paths, writer)) else 0
        files = segment_files(journal)
        closed = [each for each in files[: len(files) - 1 - keep] if not is_archived(each)]
        moved = size = compressed = 0
        stays = ""
        for segment in closed:
            after = first_seq(files[files.index(segment) + 1])
            stays = _not_yet(segment, after, signed, projected)
            if stays:
                break
            entry = _move(segment, writer, target, archived_segments(journal).get(first_seq(segment)))
            moved, size, compressed = moved + 1, size + entry.bytes, compressed + entry.file_bytes
        return ArchiveReport(moved=moved, relocated=relocated, bytes=size, file_bytes=compressed, stays=stays)


def _not_yet(segment: Path, after: int, signed: int, projected: int | None) -> str:
    if after > signed:
        return f"{segment.name} stays: it is not signed yet (records up to {signed - 1} are)"
    if projected is not None and after - 1 > projected:
        return f"{segment.name} stays: the store has not read it yet (records up to {projected} are)"
    return ""


def _move(segment: Path, writer: str, target: Path, known: Archived | None) -> Archived:
    if known is not None and _holds(known, segment):  # a crash came between manifest and unlink
        entry = known
    else:
        entry = _compress(segment, writer, target)
        append_line(segment.parent / MANIFEST, msgspec.json.encode(entry))
    segment.unlink()
    sync_folder(segment.parent)
    return entry


def _holds(entry: Archived, segment: Path) -> bool:
    try:
        return decompressed(Path(entry.file)) == segment.read_bytes()
    except ArchiveAway:
        return False


def _compress(segment: Path, writer: str, target: Path) -> Archived:
    data = segment.read_bytes()
    walked = walk_segment(segment, writer, last=False, compiled=False)
    if walked.damage is not None:
        raise AuditError(f"{walked.damage}; nothing of it was archived")
    file = target / f"{segment.name}.gz"
    write_file(file, gzip.compress(data, LEVEL, mtime=0))
    if decompressed(file) != data:
        raise AuditError(f"{file} does not read back as it was written; its disk cannot be trusted")
    written = file.read_bytes()
    return Archived(
        writer=writer, first_seq=walked.first, last_seq=walked.end - 1, first_prev=walked.prev,
        last_hash=walked.hash(walked.end - 1), bytes=len(data), sha256=hashlib.sha256(data).hexdigest(), file=str(file),
        file_bytes=len(written), file_sha256=hashlib.sha256(written).hexdigest(), archived_ns=time.time_ns(),
    )  # fmt: skip


def _relocate(journal: Path, target: Path) -> int:
    """Note where archived segments are now whose file was moved into ``target``; return how many."""
    manifest, found = journal / MANIFEST, 0
    if manifest.exists() and not manifest.read_bytes().endswith(b"\n"):
        write_file(manifest, b"".join(line + b"\n" for line in whole_lines(manifest)))
    for entry in archived_segments(journal).values():
        here = target / Path(entry.file).name
        if Path(entry.file).exists() or not here.exists():
            continue
        if hashlib.sha256(here.read_bytes()).hexdigest() != entry.file_sha256:
            raise AuditError(f"{here} is not the file that was archived: its SHA-256 is another")
        append_line(manifest, msgspec.json.encode(msgspec.structs.replace(entry, file=str(here))))
        found += 1
    return found


@contextmanager
def _locked(journal: Path) -> Iterator[None]:
    """Keep a second archive out; the writer goes on, it only ever touches the newest segment."""
    handle = os.open(journal / "archive.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(handle)
        raise AuditError(f"another archive works on {journal}; wait for it") from error
    try:
        yield
    finally:
        os.close(handle)
