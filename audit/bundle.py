"""An exported range of records that proves itself: records, the hashes beside them, checkpoint, keys, verifier."""

import zipfile
from pathlib import Path

import msgspec
from crc32c import crc32c

from audit.checkpoints import Checkpoint, check_signature, read_checkpoints
from audit.errors import AuditError
from audit.files import whole_lines
from audit.merkle import leaf_hash, nodes_of, range_path, root_of_range
from audit.ring import RING, KeyRing
from audit.signing import tree_path
from audit.tree import TreeFile
from events.archived import JournalError
from events.journal import JournalReader, Stored
from events.paths import DataPaths
from events.segments import FRAME

VERIFIER = Path(__file__).with_name("verifier.py")
MOST = 1_000_000  # records: a bundle is read by people and mailed

README = """Records {first} to {last} of the journal "{writer}" of an AI Trading Station, as they are stored.

    python verifier.py .            (needs Python 3.11 and the package cryptography)

checks that no byte of them was changed and that they are among the first {size} records whose Merkle root was signed in
checkpoint {number} by the Ed25519 key {key}. Who that key belongs to this bundle cannot prove: compare it with one that
you have from its owner (--public-key FILE), or with checkpoints that were kept elsewhere (--checkpoint-dir DIR).

records.seg       the records: each its length and CRC-32C (u32, little-endian), then its JSON
bundle.json       which they are, and the hashes beside them in the tree (RFC 9162), left to right
checkpoint.jsonl  the signed root
keyring.jsonl     the station's public keys, each signed by the one that it replaced
"""


class About(msgspec.Struct, frozen=True, kw_only=True):
    """bundle.json: ``prev`` is the hash of the record before the first, ``path`` the hashes beside the range."""

    format: int
    writer: str
    from_seq: int
    to_seq: int
    prev: str
    tree_size: int
    root: str
    path: list[str]


def export(paths: DataPaths, writer: str, from_seq: int, to_seq: int, out: Path) -> Path:
    """Write records ``from_seq`` to ``to_seq`` (both included) as a self-contained .zip and return its path.

    Raises
    ------
    AuditError
        if they are not there, not signed yet, too many, do not lead to the signed root, or ``out`` exists.
    """
    if to_seq - from_seq >= MOST:
        raise AuditError(f"{to_seq - from_seq + 1} records are too many for a bundle; at most {MOST}")
    found = _records(paths, writer, from_seq, to_seq)
    ring = KeyRing.read(paths.keys)
    checkpoint = _covering(paths, writer, to_seq)
    check_signature(checkpoint, ring)
    about = _about(paths, checkpoint, found)
    try:
        with zipfile.ZipFile(out, "x", zipfile.ZIP_DEFLATED) as bundle:
            bundle.writestr("README.txt", _readme(about, checkpoint))
            bundle.writestr("bundle.json", msgspec.json.format(msgspec.json.encode(about), indent=1))
            frames = (FRAME.pack(len(each.raw), crc32c(each.raw)) + each.raw for each in found)
            bundle.writestr("records.seg", b"".join(frames))
            bundle.writestr("checkpoint.jsonl", checkpoint.line() + b"\n")
            bundle.writestr(RING, b"".join(line + b"\n" for line in whole_lines(paths.keys / RING)))
            bundle.writestr("verifier.py", VERIFIER.read_bytes())
    except FileExistsError as error:
        raise AuditError(f"{out} exists already; give another name") from error
    except OSError as error:
        raise AuditError(f"{out} cannot be written: {error.strerror}") from error
    return out


def _records(paths: DataPaths, writer: str, from_seq: int, to_seq: int) -> list[Stored]:
    found = []
    try:
        for stored in JournalReader(paths.journal / writer).stored(from_seq):
            if stored.record.seq > to_seq:
                break
            found.append(stored)
    except JournalError as error:
        raise AuditError(str(error)) from error
    if len(found) != to_seq - from_seq + 1:
        raise AuditError(f"journal {writer} has no records {from_seq} to {to_seq}")
    return found


def _covering(paths: DataPaths, writer: str, to_seq: int) -> Checkpoint:
    """Return the oldest checkpoint that covers the range: the first proof that there was of it."""
    checkpoints = read_checkpoints(paths, writer)
    found = next((each for each in checkpoints if each.tree_size > to_seq), None)
    if found is None:
        signed = checkpoints[-1].tree_size if checkpoints else 0
        raise AuditError(f"record {to_seq} of journal {writer} is not signed yet: {signed} records are")
    return found


def _about(paths: DataPaths, checkpoint: Checkpoint, found: list[Stored]) -> About:
    first, last = found[0].record, found[-1].record
    tree = TreeFile(tree_path(paths, checkpoint.writer))
    try:
        path = range_path(tree.node, first.seq, last.seq + 1, checkpoint.tree_size)
    finally:
        tree.close()
    leaves = nodes_of([leaf_hash(bytes.fromhex(each.hash)) for each in found], first.seq)
    if root_of_range(leaves, first.seq, last.seq + 1, checkpoint.tree_size, path).hex() != checkpoint.root:
        raise AuditError(
            f"records {first.seq} to {last.seq} of journal {checkpoint.writer} do not lead to the root that checkpoint "
            f"{checkpoint.number} signed; `audit verify` says what was changed"
        )
    return About(
        format=1, writer=checkpoint.writer, from_seq=first.seq, to_seq=last.seq, prev=first.prev,
        tree_size=checkpoint.tree_size, root=checkpoint.root, path=[each.hex() for each in path],
    )  # fmt: skip


def _readme(about: About, checkpoint: Checkpoint) -> str:
    return README.format(
        first=about.from_seq, last=about.to_seq, writer=about.writer, size=about.tree_size, number=checkpoint.number,
        key=checkpoint.key,
    )  # fmt: skip
