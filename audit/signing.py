"""One journal's way from durable records to signed checkpoints.

In this order, so that a kill between any two steps neither loses nor forks the chain: the tree's file (a projection),
the signer's own state with the whole new checkpoint in it, the checkpoint's line. A start that finds the state one line
ahead appends that line; whatever else does not fit is refused.
"""

import itertools
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from audit.checkpoints import Checkpoint, check_signature, decode, read_lines, sign
from audit.errors import AuditError
from audit.files import append_line, write_file
from audit.merkle import Frontier, leaf_hash
from audit.ring import FIRST, KeyRing, line_hash
from audit.tree import TreeFile
from events.archived import JournalError
from events.journal import JournalReader
from events.paths import DataPaths
from events.reader import durable_next
from events.segments import GENESIS

RECORDS_AT_ONCE = 20_000


class SigningRefusedError(AuditError):
    """The journal, or what is kept of it, does not extend what was signed: nothing more of it is signed."""


class State(msgspec.Struct, frozen=True, kw_only=True):
    """What the signer itself remembers: its last checkpoint's line and the tree's peaks there, hexadecimal."""

    line: str
    peaks: list[str]


def tree_path(paths: DataPaths, writer: str) -> Path:
    """Return where a journal's leaves and subtrees lie."""
    return paths.checkpoints / f"{writer}.tree"


def state_path(paths: DataPaths, writer: str) -> Path:
    """Return where the signer keeps its last tree head of a journal."""
    return paths.checkpoints / f"{writer}.state"


class JournalSigner:
    """Signs one journal; nothing is changed by making one.

    Attributes
    ----------
    last : the newest checkpoint, None before the first.
    """

    def __init__(self, paths: DataPaths, writer: str, clock: Callable[[], int] = time.time_ns) -> None:
        self.paths, self.writer = paths, writer
        self.last: Checkpoint | None = None
        self._clock = clock
        self._folder = paths.journal / writer
        self._reader = JournalReader(self._folder, durable_only=True)
        self._frontier = Frontier()
        self._head = GENESIS
        self._tree: TreeFile | None = None

    @property
    def signed_seq(self) -> int:
        """The last sequence under a checkpoint, -1 if none is."""
        return self.last.tree_size - 1 if self.last else -1

    @property
    def unsigned(self) -> int:
        """How many durable records no checkpoint covers."""
        return max((durable_next(self._folder) or 0) - self.signed_seq - 1, 0)

    def close(self) -> None:
        """Give the tree's file back."""
        if self._tree is not None:
            self._tree.close()
            self._tree = None

    def step(self, key: Ed25519PrivateKey) -> bool:
        """Sign what is durable and not signed yet, or the first part of it; return whether there was any.

        Raises
        ------
        SigningRefusedError
            if it does not extend what was signed; the same step says so again.
        OSError
            if the disk refuses; the step can be tried again.
        """
        try:
            if self._tree is None:
                self._open()
            if not self.unsigned:
                return False
            frontier, head = self._extend()
        except JournalError as error:
            raise SigningRefusedError(str(error)) from error
        if frontier.size == self._frontier.size:
            return False
        self._publish(frontier, head, key)
        return True

    def _extend(self) -> tuple[Frontier, str]:
        """Return frontier and head after the next durable records; their nodes are in the tree's file."""
        frontier, head, nodes = self._frontier.copy(), self._head, list[bytes]()
        for stored in itertools.islice(self._reader.stored(frontier.size), RECORDS_AT_ONCE):
            if stored.record.prev != head:
                raise SigningRefusedError(
                    f"journal {self.writer}: record {stored.record.seq} does not continue the signed record before it"
                )
            head = stored.hash
            nodes += frontier.append(leaf_hash(bytes.fromhex(head)))
        if self._tree is not None and nodes:
            self._tree.write(self._frontier.size, nodes)
        return frontier, head

    def _publish(self, frontier: Frontier, head: str, key: Ed25519PrivateKey) -> None:
        before = self.last
        made = sign(
            Checkpoint(
                writer=self.writer,
                number=before.number + 1 if before else 0,
                tree_size=frontier.size,
                root=frontier.root().hex(),
                head=head,
                utc_ns=self._clock(),
                previous=line_hash(before.line()) if before else FIRST,
                key="",
            ),
            key,
        )
        state = State(line=made.line().decode(), peaks=[peak.hex() for peak in frontier.peaks])
        write_file(state_path(self.paths, self.writer), msgspec.json.encode(state))
        append_line(self.paths.checkpoints / f"{self.writer}.jsonl", made.line())
        self.last, self._frontier, self._head = made, frontier, head

    def _open(self) -> None:
        """Take up the last tree head, and prove that the journal still holds it."""
        state = self._read_state()
        self._repair_lines(state)
        frontier, head = Frontier(), GENESIS
        if state is not None:
            last = decode(state.line.encode())
            frontier = Frontier(last.tree_size, [bytes.fromhex(peak) for peak in state.peaks])
            head = last.head
            if frontier.root().hex() != last.root:
                raise SigningRefusedError(f"{state_path(self.paths, self.writer)} is damaged; restore it or remove it")
            self._prove_held(last)
            self.last = last
        tree = TreeFile(tree_path(self.paths, self.writer), writing=True)
        try:
            self._prepare_tree(tree, frontier)
        except BaseException:
            tree.close()
            raise
        self._tree, self._frontier, self._head = tree, frontier, head

    def _read_state(self) -> State | None:
        file = state_path(self.paths, self.writer)
        try:
            return msgspec.json.decode(file.read_bytes(), type=State)
        except FileNotFoundError:
            return self._state_of_lines()
        except msgspec.DecodeError as error:
            raise SigningRefusedError(f"{file} is damaged ({error}); restore it or remove it") from error

    def _state_of_lines(self) -> State | None:
        """Make the state again from the last checkpoint, if it is ours and the journal has its root."""
        lines = read_lines(self.paths, self.writer)
        if not lines:
            return None
        try:
            last = decode(lines[-1])
            check_signature(last, KeyRing.read(self.paths.keys))
        except AuditError as error:
            raise SigningRefusedError(f"checkpoints of {self.writer}: the last line: {error}") from error
        frontier = Frontier()
        for stored in itertools.islice(JournalReader(self._folder).stored(), last.tree_size):
            frontier.append(leaf_hash(bytes.fromhex(stored.hash)))
        if frontier.size != last.tree_size or frontier.root().hex() != last.root:
            raise SigningRefusedError(
                f"journal {self.writer} does not hold what checkpoint {last.number} signed: `audit verify` says where"
            )
        return State(line=lines[-1].decode(), peaks=[peak.hex() for peak in frontier.peaks])

    def _repair_lines(self, state: State | None) -> None:
        """Cut a half-written line off and append the one that the state promises; anything else is not ours."""
        file = self.paths.checkpoints / f"{self.writer}.jsonl"
        lines = read_lines(self.paths, self.writer)
        if file.exists() and not file.read_bytes().endswith(b"\n") and file.stat().st_size:
            write_file(file, b"".join(line + b"\n" for line in lines))
        if state is None or (lines and lines[-1] == state.line.encode()):
            return
        promised = decode(state.line.encode())
        if promised.number != len(lines) or promised.previous != (line_hash(lines[-1]) if lines else FIRST):
            raise SigningRefusedError(
                f"{file} does not end with checkpoint {promised.number}, the last one that was signed; "
                "restore it from a copy (--checkpoint-dir)"
            )
        append_line(file, state.line.encode())

    def _prove_held(self, last: Checkpoint) -> None:
        found = JournalReader(self._folder).get(last.tree_size - 1)
        if found is None:
            raise SigningRefusedError(
                f"journal {self.writer} ends before record {last.tree_size - 1}, which checkpoint {last.number} signed"
            )
        if found.hash != last.head:
            raise SigningRefusedError(
                f"journal {self.writer}: record {last.tree_size - 1} is not what checkpoint {last.number} signed"
            )

    def _prepare_tree(self, tree: TreeFile, frontier: Frontier) -> None:
        """Make the tree's file again from the journal where it does not hold these peaks."""
        try:
            if tree.frontier(frontier.size).peaks == frontier.peaks:
                return
        except AuditError:
            pass  # shorter than that
        again, nodes = Frontier(), list[bytes]()
        for stored in itertools.islice(JournalReader(self._folder).stored(), frontier.size):
            nodes += again.append(leaf_hash(bytes.fromhex(stored.hash)))
        if again.peaks != frontier.peaks:
            raise SigningRefusedError(
                f"journal {self.writer} does not hold what was signed of it: `audit verify` says where"
            )
        tree.write(0, nodes)
