"""The leaves and complete subtrees of one journal's tree in a file: a projection, made again from the journal.

Nodes lie in the order in which they become complete: each leaf, then the parents that it completes. So the file is only
ever appended to, holds 2n - popcount(n) hashes of 32 bytes for n leaves, and any node's place follows from its index.
"""

import os
from pathlib import Path

from audit.errors import AuditError
from audit.merkle import Frontier, frontier_at

HASH_BYTES = 32


def node_place(level: int, index: int) -> int:
    """Return where the node over leaves ``[index << level, (index + 1) << level)`` lies, counted in hashes."""
    last_leaf = ((index + 1) << level) - 1
    return 2 * last_leaf - last_leaf.bit_count() + level


def nodes_before(size: int) -> int:
    """Return how many nodes a tree of this size has in the file."""
    return 2 * size - size.bit_count()


class TreeFile:
    """Reads and appends to one tree's file; ``size`` leaves of it count, what lies behind them is overwritten."""

    def __init__(self, path: Path, *, writing: bool = False) -> None:
        self.path = path
        flags = os.O_RDWR | os.O_CREAT if writing else os.O_RDONLY
        try:
            self._handle = os.open(path, flags, 0o600)
        except FileNotFoundError as error:
            raise AuditError(f"{path} is not there: the signer has not written it yet") from error

    def close(self) -> None:
        """Give the file back."""
        os.close(self._handle)

    def node(self, level: int, index: int) -> bytes:
        """Return a node's hash.

        Raises
        ------
        AuditError
            if the file ends before it.
        """
        place = node_place(level, index)
        found = os.pread(self._handle, HASH_BYTES, place * HASH_BYTES)
        if len(found) != HASH_BYTES:
            raise AuditError(f"{self.path} ends before node {index} of level {level}; the signer makes it again")
        return found

    def leaves(self, start: int, end: int) -> list[bytes]:
        """Return leaf hashes, read in one piece."""
        first = nodes_before(start)
        data = os.pread(self._handle, (nodes_before(end) - first) * HASH_BYTES, first * HASH_BYTES)
        places = ((node_place(0, index) - first) * HASH_BYTES for index in range(start, end))
        return [data[place : place + HASH_BYTES] for place in places]

    def frontier(self, size: int) -> Frontier:
        """Return the frontier at a size; AuditError if the file does not hold that much."""
        return frontier_at(self.node, size)

    def write(self, size: int, nodes: list[bytes]) -> None:
        """Write the nodes that follow a tree of ``size`` leaves."""
        data, at = b"".join(nodes), nodes_before(size) * HASH_BYTES
        while data:
            written = os.pwrite(self._handle, data, at)
            data, at = data[written:], at + written
