"""Proof that one record is under a signed checkpoint: made from the signer's tree, checked with nothing but itself."""

import msgspec

from audit.checkpoints import Checkpoint, check_signature, decode, last_checkpoint
from audit.errors import AuditError
from audit.merkle import MerkleError, inclusion_path, leaf_hash, root_of_inclusion
from audit.ring import KeyRing, key_id, public_pem, read_public
from audit.signing import tree_path
from audit.tree import TreeFile
from events.archived import JournalError
from events.journal import JournalReader
from events.paths import DataPaths
from events.segments import decode_record, record_hash


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """A record and its way to the signed root.

    ``raw`` is its stored bytes, ``path`` the sibling hashes from the leaf upwards (RFC 9162, 2.1.3), all hexadecimal;
    ``checkpoint`` the signed line, ``public_key`` the PEM of the key that signed it.
    """

    writer: str
    seq: int
    raw: str
    record_hash: str
    tree_size: int
    path: list[str]
    root: str
    checkpoint: str
    public_key: str


def prove(paths: DataPaths, writer: str, seq: int) -> Proof:
    """Return the proof of a record against the newest checkpoint.

    Raises
    ------
    AuditError
        if there is no such record, it is not signed yet, or the signer's tree is not the signed one.
    """
    checkpoint = last_checkpoint(paths, writer)
    signed = checkpoint.tree_size if checkpoint else 0
    try:
        stored = JournalReader(paths.journal / writer).get(seq)
    except JournalError as error:
        raise AuditError(str(error)) from error
    if stored is None:
        raise AuditError(f"journal {writer} has no record {seq}")
    if checkpoint is None or seq >= signed:
        raise AuditError(f"record {seq} of journal {writer} is not signed yet: {signed} records are")
    ring = KeyRing.read(paths.keys)
    check_signature(checkpoint, ring)
    path = _path(paths, checkpoint, seq)
    leaf = leaf_hash(bytes.fromhex(stored.hash))
    if root_of_inclusion(leaf, seq, checkpoint.tree_size, path).hex() != checkpoint.root:
        raise AuditError(
            f"record {seq} of journal {writer} does not lead to the root that checkpoint {checkpoint.number} signed; "
            "`audit verify` says what was changed"
        )
    return Proof(
        writer=writer, seq=seq, raw=stored.raw.decode(), record_hash=stored.hash, tree_size=checkpoint.tree_size,
        path=[each.hex() for each in path], root=checkpoint.root, checkpoint=checkpoint.line().decode(),
        public_key=public_pem(ring.keys[checkpoint.key]).decode(),
    )  # fmt: skip


def _path(paths: DataPaths, checkpoint: Checkpoint, seq: int) -> list[bytes]:
    tree = TreeFile(tree_path(paths, checkpoint.writer))
    try:
        return inclusion_path(tree.node, seq, checkpoint.tree_size)
    finally:
        tree.close()


def check(proof: Proof, public_key: bytes | None = None) -> str:
    """Check a proof with nothing but itself and return what it proves, as a sentence.

    Parameters
    ----------
    public_key : PEM of the key that the reader trusts; without it the proof's own, which proves no origin.

    Raises
    ------
    AuditError
        naming what does not hold.
    """
    key = read_public((public_key or proof.public_key.encode()), "the public key")
    checkpoint = decode(proof.checkpoint.encode())
    record = decode_record(proof.raw)
    _agree("writer", proof.writer, checkpoint.writer, record.writer)
    _agree("sequence", proof.seq, record.seq)
    _agree("record hash", proof.record_hash, record_hash(proof.raw.encode()))
    _agree("tree size", proof.tree_size, checkpoint.tree_size)
    _agree("root", proof.root, checkpoint.root)
    _agree("key", checkpoint.key, key_id(key))
    try:
        leaf = leaf_hash(bytes.fromhex(proof.record_hash))
        root = root_of_inclusion(leaf, proof.seq, proof.tree_size, [bytes.fromhex(each) for each in proof.path])
    except (MerkleError, ValueError) as error:
        raise AuditError(f"the path does not hold: {error}") from error
    if root.hex() != checkpoint.root:
        raise AuditError("the path does not lead to the signed root: record or path was changed")
    check_signature(checkpoint, KeyRing.of_one(key))
    return (
        f"record {proof.seq} of journal {proof.writer} is one of the {checkpoint.tree_size} records that key "
        f"{checkpoint.key} signed in checkpoint {checkpoint.number}"
    )


def _agree(name: str, *values: object) -> None:
    if len(set(values)) > 1:
        raise AuditError(f"the proof names more than one {name}: {', '.join(map(str, values))}")
