"""What a journal is checked against: the checkpoints of the data directory, and those kept elsewhere."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TypedDict

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from audit.checkpoints import PURPOSE, Checkpoint, check_chain, read_lines
from audit.errors import AuditError
from audit.files import whole_lines
from audit.ring import RING, KeyRing, key_id, read_public
from events.commandline import BadInputError
from events.paths import DataPaths


class FirstBad(TypedDict):
    """The first thing that does not hold; ``segment`` is the file where it stands."""

    writer: str
    seq: int
    segment: str
    what: str


@dataclass
class Anchors:
    """Checkpoints that hold, in order of size, and what is wrong with the others (None: nothing)."""

    checkpoints: list[Checkpoint] = field(default_factory=list)
    bad: FirstBad | None = None


def check_arguments(public_key: Path | None, kept: Path | None, writers: list[str]) -> None:
    """Refuse what cannot be an anchor.

    Raises
    ------
    BadInputError
        naming the argument.
    """
    if public_key is not None:
        _given_key(public_key)
    if kept is not None and not any((kept / f"{writer}.jsonl").is_file() for writer in writers):
        raise BadInputError(f"--checkpoint-dir = {kept} holds no checkpoints of {', '.join(writers) or 'any journal'}")


def find_anchors(paths: DataPaths, writer: str, public_key: Path | None, kept: Path | None) -> Anchors:
    """Return what this journal is checked against; kept checkpoints outweigh those of the data directory."""
    own = _of_folder(read_lines(paths, writer), paths.keys, writer, "checkpoints", None if kept else public_key)
    if kept is None:
        return own
    lines = whole_lines(kept / f"{writer}.jsonl")
    anchors = _of_folder(lines, kept, writer, str(kept), public_key)
    if anchors.bad is None:
        anchors.bad = _compare_rings(paths.keys, kept, writer) or _compare(
            read_lines(paths, writer), lines, anchors, writer
        )
    if anchors.bad is None:
        anchors.checkpoints += own.checkpoints[len(anchors.checkpoints) :]
        anchors.bad = own.bad
    return anchors


def _of_folder(lines: list[bytes], keys: Path, writer: str, where: str, public_key: Path | None) -> Anchors:
    try:
        ring = KeyRing.read(keys)
    except AuditError as error:
        return Anchors(bad={"writer": writer, "seq": 0, "segment": RING, "what": str(error)})
    if public_key is not None:
        given = key_id(_given_key(public_key))
        if ring.position(given, PURPOSE) < 0:
            what = f"the key ring does not hold the public key given ({given}): these are another key's checkpoints"
            return Anchors(bad={"writer": writer, "seq": 0, "segment": RING, "what": what})
    good, bad = check_chain(lines, writer, ring)
    if bad is None:
        return Anchors(good)
    return Anchors(
        good, {"writer": writer, "seq": bad.tree_size, "segment": f"{where}/{writer}.jsonl", "what": str(bad)}
    )


def _given_key(file: Path) -> Ed25519PublicKey:
    try:
        return read_public(file.read_bytes(), f"--public-key = {file}")
    except OSError as error:
        raise BadInputError(f"--public-key = {file} cannot be read: {error.strerror}") from error
    except AuditError as error:
        raise BadInputError(f"{error}; give the .pub file of a signing key") from error


def _compare_rings(own: Path, kept: Path, writer: str) -> FirstBad | None:
    ours, theirs = whole_lines(own / RING), whole_lines(kept / RING)
    if ours[: len(theirs)] == theirs:
        return None
    return {"writer": writer, "seq": 0, "segment": RING, "what": "the key ring is not the kept one, continued"}


def _compare(ours: list[bytes], kept: list[bytes], anchors: Anchors, writer: str) -> FirstBad | None:
    """Say where the data directory's checkpoints are not the kept ones, continued."""
    for index, line in enumerate(kept):
        if index < len(ours) and ours[index] == line:
            continue
        missing = index >= len(ours)
        what = f"checkpoint {index} is {'missing' if missing else 'not the kept one'}"
        seq = anchors.checkpoints[index - 1].tree_size if index else 0
        return {"writer": writer, "seq": seq, "segment": f"checkpoints/{writer}.jsonl", "what": what}
    return None
