"""The Merkle tree of RFC 9162, section 2.1: hashes, roots, inclusion and consistency proofs, and proofs of a range.

Leaf hash = SHA-256(0x00 || data), node = SHA-256(0x01 || left || right). Nothing here holds a tree: whoever proves
hands in ``nodes(level, index)``, the hash of the complete subtree over ``[index << level, (index + 1) << level)``.
"""

import hashlib
from collections.abc import Callable, Sequence

Nodes = Callable[[int, int], bytes]
"""Hash of a complete subtree by level (0: leaves) and index in it; 32 bytes."""

EMPTY_ROOT = hashlib.sha256(b"").digest()


class MerkleError(ValueError):
    """A position or size outside the tree, or a proof of the wrong length: one sentence."""


def leaf_hash(data: bytes) -> bytes:
    """Return the hash of a leaf's data, 32 bytes."""
    return hashlib.sha256(b"\0" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of a node over two hashes, 32 bytes."""
    return hashlib.sha256(b"\1" + left + right).digest()


class Frontier:
    """What is needed to append: the size and the roots ("peaks") of its complete subtrees, largest first."""

    def __init__(self, size: int = 0, peaks: Sequence[bytes] = ()) -> None:
        if size < 0 or len(peaks) != size.bit_count():
            raise MerkleError(f"a tree of {size} leaves has {max(size, 0).bit_count()} peaks, not {len(peaks)}")
        self.size = size
        self.peaks = list(peaks)

    def append(self, leaf: bytes) -> list[bytes]:
        """Add a leaf's hash; return the nodes that became complete: the leaf, then its parents upwards."""
        made = [leaf]
        size = self.size
        while size & 1:
            made.append(node_hash(self.peaks.pop(), made[-1]))
            size >>= 1
        self.peaks.append(made[-1])
        self.size += 1
        return made

    def root(self) -> bytes:
        """Return the tree's root, that of the empty tree without a leaf."""
        if not self.peaks:
            return EMPTY_ROOT
        root = self.peaks[-1]
        for peak in reversed(self.peaks[:-1]):
            root = node_hash(peak, root)
        return root

    def copy(self) -> "Frontier":
        """Return one that grows by itself."""
        return Frontier(self.size, self.peaks)


def frontier_at(nodes: Nodes, size: int) -> Frontier:
    """Return the frontier that the tree had at this size; O(log n) nodes are asked for."""
    peaks, start = [], 0
    for level in range(size.bit_length() - 1, -1, -1):
        if size >> level & 1:
            peaks.append(nodes(level, start >> level))
            start += 1 << level
    return Frontier(size, peaks)


def subtree_root(nodes: Nodes, start: int, end: int) -> bytes:
    """Return the hash of the leaves ``[start, end)``, which must be a subtree of the tree."""
    count = end - start
    level = count.bit_length() - 1
    if count == 1 << level:
        return nodes(level, start >> level)
    middle = start + _split(count)
    return node_hash(subtree_root(nodes, start, middle), subtree_root(nodes, middle, end))


def inclusion_path(nodes: Nodes, index: int, size: int) -> list[bytes]:
    """Return PATH(index, D[size]) of section 2.1.3.1: the siblings from the leaf up to the root.

    Raises
    ------
    MerkleError
        if the tree of that size has no such leaf.
    """
    if not 0 <= index < size:
        raise MerkleError(f"leaf {index} is not in a tree of {size} leaves")
    path: list[bytes] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            path.append(subtree_root(nodes, middle, end))
            end = middle
        else:
            path.append(subtree_root(nodes, start, middle))
            start = middle
    return path[::-1]


def root_of_inclusion(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes:
    """Return the root that an inclusion proof leads to (section 2.1.3.2); it holds where that is the signed one.

    Raises
    ------
    MerkleError
        if the path's length is not that of this leaf, or the tree has no such leaf.
    """
    if not 0 <= index < size:
        raise MerkleError(f"leaf {index} is not in a tree of {size} leaves")
    node, last, root = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            raise MerkleError(f"the path of leaf {index} in a tree of {size} leaves is too long")
        if node & 1 or node == last:
            root = node_hash(sibling, root)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            root = node_hash(root, sibling)
        node, last = node >> 1, last >> 1
    if last:
        raise MerkleError(f"the path of leaf {index} in a tree of {size} leaves is too short")
    return root


def consistency_path(nodes: Nodes, old: int, new: int) -> list[bytes]:
    """Return PROOF(old, D[new]) of section 2.1.4.1.

    Raises
    ------
    MerkleError
        unless 0 < old <= new.
    """
    if not 0 < old <= new:
        raise MerkleError(f"a tree of {new} leaves does not extend one of {old} leaves")
    path: list[bytes] = []
    start, end, whole = 0, new, True
    while end != old:
        middle = start + _split(end - start)
        if old <= middle:
            path.append(subtree_root(nodes, middle, end))
            end = middle
        else:
            path.append(subtree_root(nodes, start, middle))
            start, whole = middle, False
    if not whole:
        path.append(subtree_root(nodes, start, end))
    return path[::-1]


def consistent(old: int, new: int, old_root: bytes, new_root: bytes, path: Sequence[bytes]) -> bool:
    """Return whether the tree of ``new`` leaves extends that of ``old`` (section 2.1.4.2)."""
    if old == new:
        return old_root == new_root and not path
    if not 0 < old < new or not path:
        return False
    rest = list(path) if old & (old - 1) else [old_root, *path]
    node, last = old - 1, new - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    first = second = rest[0]
    for sibling in rest[1:]:
        if last == 0:
            return False
        if node & 1 or node == last:
            first, second = node_hash(sibling, first), node_hash(sibling, second)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            second = node_hash(second, sibling)
        node, last = node >> 1, last >> 1
    return last == 0 and first == old_root and second == new_root


def range_path(nodes: Nodes, start: int, end: int, size: int) -> list[bytes]:
    """Return the hashes beside the leaves ``[start, end)`` that lead to the root of ``size`` leaves, left to right.

    Raises
    ------
    MerkleError
        if the tree has no such leaves.
    """
    if not 0 <= start < end <= size:
        raise MerkleError(f"leaves {start} to {end - 1} are not in a tree of {size} leaves")
    path: list[bytes] = []

    def visit(low: int, high: int) -> None:
        if high <= start or low >= end:
            path.append(subtree_root(nodes, low, high))
        elif low < start or high > end:
            middle = low + _split(high - low)
            visit(low, middle)
            visit(middle, high)

    visit(0, size)
    return path


def root_of_range(leaves: Nodes, start: int, end: int, size: int, path: Sequence[bytes]) -> bytes:
    """Return the root that the range's own subtrees and the hashes beside it lead to.

    Parameters
    ----------
    leaves : complete subtrees inside ``[start, end)``; no other is asked for.

    Raises
    ------
    MerkleError
        if the path has not the length that this range needs.
    """
    beside = iter(path)

    def visit(low: int, high: int) -> bytes:
        if high <= start or low >= end:
            found = next(beside, None)
            if found is None:
                raise MerkleError("the path of the range is too short")
            return found
        if start <= low and high <= end:
            return subtree_root(leaves, low, high)
        middle = low + _split(high - low)
        left = visit(low, middle)
        return node_hash(left, visit(middle, high))

    root = visit(0, size)
    if next(beside, None) is not None:
        raise MerkleError("the path of the range is too long")
    return root


def nodes_of(leaves: Sequence[bytes], first: int = 0) -> Nodes:
    """Return the subtrees over leaf hashes in memory, the first of which is leaf ``first`` of its tree."""

    def node(level: int, index: int) -> bytes:
        if not level:
            return leaves[index - first]
        return node_hash(node(level - 1, 2 * index), node(level - 1, 2 * index + 1))

    return node


def _split(count: int) -> int:
    """Return the largest power of two below ``count`` (at least 2)."""
    return 1 << (count - 1).bit_length() - 1
