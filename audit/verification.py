"""Whether the record of a data directory holds: every byte of every journal, against every signed checkpoint."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypedDict

from audit.anchors import FirstBad, check_arguments, find_anchors
from audit.arguments import journals, writer_name
from audit.checkpoints import Checkpoint
from audit.journal_check import JournalCheck
from audit.ring import RING
from events.paths import DataPaths
from events.segments import segment_files

Progress = Callable[[int, int], None]
"""Told how many bytes of how many are verified."""


class WriterHead(TypedDict):
    """The end of one journal; ``tail`` names what an interrupted write left after it, "" if nothing."""

    seq: int
    head: str
    tail: str


class Against(TypedDict):
    """The newest checkpoint whose root was recomputed from the records."""

    number: int
    tree_size: int
    root: str
    key: str
    utc_ns: int


class Verification(TypedDict):
    """What was found; ``events`` counts the records that hold, up to the first bad one of each journal."""

    ok: bool
    events: int
    first_bad: FirstBad | None
    checked_against: dict[str, Against | None]
    writers: dict[str, WriterHead]


def verify_data_directory(
    paths: DataPaths,
    *,
    writer: str | None = None,
    from_seq: int | None = None,
    to_seq: int | None = None,
    progress: Progress | None = None,
    public_key: Path | None = None,
    checkpoints: Path | None = None,
) -> Verification:
    """Verify every journal below the data directory, or one; a station without a journal has nothing to be wrong.

    Parameters
    ----------
    from_seq, to_seq : only this range, both ends included, in whole segments: their bytes and chain, and that the
        records lead to the signed root with what the signer's tree file says of the others.
    public_key : PEM of a signing key that the auditor trusts.
    checkpoints : folder with kept copies of checkpoints and key ring, which outweigh those of the data directory.

    Raises
    ------
    BadInputError
        if an argument cannot be one.
    """
    writers = [writer_name(paths, writer)] if writer else _writers(paths, checkpoints)
    check_arguments(public_key, checkpoints, writers)
    found: Verification = {"ok": True, "events": 0, "first_bad": None, "checked_against": {}, "writers": {}}
    step = _adding_up(progress, [segment for name in writers for segment in segment_files(paths.journal / name)])
    for name in writers:
        # The anchors first: a checkpoint made meanwhile may speak of records that were not there when they were read.
        check = JournalCheck(paths, name, find_anchors(paths, name, public_key, checkpoints), step)
        bad = check.range(from_seq or 0, to_seq) if from_seq or to_seq is not None else check.whole()
        found["events"] += check.events
        found["checked_against"][name] = _against(check.held)
        found["writers"][name] = {"seq": check.end - 1, "head": check.head, "tail": check.tail}
        if bad is not None and found["first_bad"] is None:
            found["ok"], found["first_bad"] = False, bad
    return found


def _writers(paths: DataPaths, kept: Path | None) -> list[str]:
    """Return the journals that are there, and those that somebody signed: one that was taken away is missed."""
    folders = (paths.checkpoints, kept) if kept else (paths.checkpoints,)
    signed = {file.stem for folder in folders for file in folder.glob("*.jsonl") if file.name != RING}
    return sorted(signed.union(journals(paths)))


def _against(held: Checkpoint | None) -> Against | None:
    if held is None:
        return None
    return {
        "number": held.number, "tree_size": held.tree_size, "root": held.root, "key": held.key, "utc_ns": held.utc_ns,
    }  # fmt: skip


def _adding_up(progress: Progress | None, segments: Sequence[Path]) -> Callable[[Path], None]:
    """Return what is called after each segment."""
    sizes = {segment: segment.stat().st_size for segment in segments if segment.exists()}
    total, done = sum(sizes.values()), [0]

    def step(segment: Path) -> None:
        done[0] += sizes.get(segment, 0)
        if progress is not None:
            progress(done[0], total)

    return step
