"""Signed checkpoints: what they say, how they are chained, signed and checked; one JSON line each."""

import base64
from collections.abc import Sequence

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from audit.errors import AuditError
from audit.files import whole_lines
from audit.ring import FIRST, KeyRing, key_id, line_hash
from events.paths import DataPaths

PURPOSE = "signing"


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A journal's tree at a size; ``head`` is its last record's hash, ``previous`` that of the line before."""

    writer: str
    number: int
    tree_size: int
    root: str
    head: str
    utc_ns: int
    previous: str
    key: str
    signature: str = ""

    def line(self) -> bytes:
        """Return the checkpoint as it is stored, without the newline."""
        return msgspec.json.encode(self)

    def signed_bytes(self) -> bytes:
        """Return what the signature is over: the line without it."""
        content = msgspec.structs.asdict(self)
        del content["signature"]
        return msgspec.json.encode(content)


def sign(checkpoint: Checkpoint, key: Ed25519PrivateKey) -> Checkpoint:
    """Return the checkpoint with this key's id and signature."""
    named = msgspec.structs.replace(checkpoint, key=key_id(key.public_key()), signature="")
    signature = base64.b64encode(key.sign(named.signed_bytes())).decode()
    return msgspec.structs.replace(named, signature=signature)


class CheckpointError(AuditError):
    """A checkpoint does not hold; ``index`` is its place in the file, ``tree_size`` the records it speaks of."""

    def __init__(self, index: int, tree_size: int, what: str) -> None:
        super().__init__(f"checkpoint {index}: {what}")
        self.index, self.tree_size = index, tree_size


def decode(line: bytes) -> Checkpoint:
    """Return a line's checkpoint.

    Raises
    ------
    AuditError
        if it is none, or not byte for byte as it would be written.
    """
    try:
        found = msgspec.json.decode(line, type=Checkpoint)
    except msgspec.DecodeError as error:
        raise AuditError(f"it is no checkpoint: {error}") from error
    if found.line() != line:
        raise AuditError("it is not written as the signer writes it")
    return found


def check_signature(checkpoint: Checkpoint, ring: KeyRing) -> None:
    """Return if a key of the ring signed it.

    Raises
    ------
    AuditError
        naming the key, if not.
    """
    if ring.position(checkpoint.key, PURPOSE) < 0:
        raise AuditError(f"its key {checkpoint.key} is not a signing key of the ring")
    try:
        ring.keys[checkpoint.key].verify(base64.b64decode(checkpoint.signature), checkpoint.signed_bytes())
    except (InvalidSignature, ValueError) as error:
        raise AuditError(f"its signature is not that of key {checkpoint.key}") from error


def check_chain(lines: Sequence[bytes], writer: str, ring: KeyRing) -> tuple[list[Checkpoint], CheckpointError | None]:
    """Return the checkpoints that hold, up to the first that does not, and what is wrong with that one."""
    good: list[Checkpoint] = []
    for index, line in enumerate(lines):
        try:
            found = decode(line)
            _follow(found, good, lines, writer, ring)
            check_signature(found, ring)
        except AuditError as error:
            size = good[-1].tree_size if good else 0
            return good, CheckpointError(index, size, str(error))
        good.append(found)
    return good, None


def _follow(found: Checkpoint, before: list[Checkpoint], lines: Sequence[bytes], writer: str, ring: KeyRing) -> None:
    last = before[-1] if before else None
    if found.writer != writer:
        raise AuditError(f"it is one of journal {found.writer}")
    if found.number != len(before):
        raise AuditError(f"it has number {found.number}")
    if found.previous != (line_hash(lines[len(before) - 1]) if last else FIRST):
        raise AuditError("it does not continue the checkpoint before")
    if found.tree_size <= (last.tree_size if last else 0):
        raise AuditError(f"its {found.tree_size} records are not more than those of the checkpoint before")
    if last and 0 <= ring.position(found.key, PURPOSE) < ring.position(last.key, PURPOSE):
        raise AuditError(f"key {found.key} had been replaced by {last.key} before")


def read_lines(paths: DataPaths, writer: str) -> list[bytes]:
    """Return the stored lines of a journal's checkpoints, in order; none where there is no file."""
    return whole_lines(paths.checkpoints / f"{writer}.jsonl")


def read_checkpoints(paths: DataPaths, writer: str) -> list[Checkpoint]:
    """Return a journal's checkpoints in order, as they are stored and unchecked.

    Raises
    ------
    AuditError
        if a line is no checkpoint.
    """
    return [decode(line) for line in read_lines(paths, writer)]


TAIL_BYTES = 8192  # holds the last line many times over


def last_checkpoint(paths: DataPaths, writer: str) -> Checkpoint | None:
    """Return a journal's newest checkpoint, unchecked; None if it has none.

    Raises
    ------
    AuditError
        if that line is no checkpoint.
    """
    try:
        with (paths.checkpoints / f"{writer}.jsonl").open("rb") as file:
            file.seek(max(file.seek(0, 2) - TAIL_BYTES, 0))
            lines = file.read().split(b"\n")[:-1]
    except FileNotFoundError:
        return None
    return decode(lines[-1]) if lines else None
