"""A tree that grows by whole runs of leaves: compiled for large journals, in Python for small ones."""

from typing import Protocol

from audit.merkle import Frontier

HASH_BYTES = 32


class Growth(Protocol):
    """A tree without its nodes."""

    size: int

    def extend(self, leaves: bytes | memoryview) -> None:
        """Append leaf hashes, 32 bytes each."""

    def root(self) -> bytes:
        """Return the root."""


class SlowGrowth:
    """In Python."""

    def __init__(self) -> None:
        self._frontier = Frontier()
        self.size = 0

    def extend(self, leaves: bytes | memoryview) -> None:
        """Append leaf hashes."""
        for at in range(0, len(leaves), HASH_BYTES):
            self._frontier.append(bytes(leaves[at : at + HASH_BYTES]))
        self.size = self._frontier.size

    def root(self) -> bytes:
        """Return the root."""
        return self._frontier.root()


class FastGrowth:
    """Compiled (audit/walk.py)."""

    def __init__(self) -> None:
        import numpy as np  # noqa: PLC0415 - only a large journal pays for the compiled loop

        from audit.walk import grow  # noqa: PLC0415

        self._numpy, self._grow = np, grow
        self._peaks = np.zeros((64, HASH_BYTES), np.uint8)
        self.size = 0

    def extend(self, leaves: bytes | memoryview) -> None:
        """Append leaf hashes."""
        rows = self._numpy.frombuffer(bytearray(leaves), self._numpy.uint8).reshape(-1, HASH_BYTES)
        self.size = int(self._grow(self._peaks, self.size, rows))

    def root(self) -> bytes:
        """Return the root."""
        levels = [level for level in range(63, -1, -1) if self.size >> level & 1]
        return Frontier(self.size, [self._peaks[level].tobytes() for level in levels]).root()


def growth(*, large: bool) -> tuple[Growth, bool]:
    """Return an empty tree and whether it and audit/segment.py shall go the compiled way."""
    if large:
        from audit.walk import COMPILED  # noqa: PLC0415 - only a large journal pays for it

        if COMPILED:
            return FastGrowth(), True
    return SlowGrowth(), False
