"""The verification of one journal: its segments in order, its tree against every checkpoint."""

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path

from audit.anchors import Anchors, FirstBad
from audit.checkpoints import Checkpoint
from audit.errors import AuditError
from audit.growth import HASH_BYTES, growth
from audit.merkle import nodes_of, range_path, root_of_range
from audit.segment import Walked, walk_segment
from audit.signing import tree_path
from audit.tree import TreeFile
from events.archived import ArchiveAway
from events.commandline import BadInputError
from events.paths import DataPaths
from events.segments import GENESIS, first_seq, segment_files

COMPILED_FROM_BYTES = 48 * 1024 * 1024
"""From here on the compiled loop is worth the second that it takes to be loaded."""

NOT_CONTINUED = "the previous hash is not that of the record before"


class JournalCheck:
    """Verifies one journal once, by :meth:`whole` or by :meth:`range`.

    Attributes
    ----------
    events : how many records hold.
    end, head, tail : the sequence after the last of them, its hash, and what an interrupted write left behind it.
    held : the newest checkpoint whose root was found again.
    """

    def __init__(self, paths: DataPaths, writer: str, anchors: Anchors, step: Callable[[Path], None]) -> None:
        self.writer, self.events, self.end, self.head, self.tail = writer, 0, 0, GENESIS, ""
        self.held: Checkpoint | None = None
        self._paths, self._anchors, self._step = paths, anchors, step
        self._segments = segment_files(paths.journal / writer)
        size = sum(segment.stat().st_size for segment in self._segments if segment.exists())
        self._growth, self._compiled = growth(large=size >= COMPILED_FROM_BYTES)
        self._waiting = deque(anchors.checkpoints)
        self._recent: list[Walked] = []  # what was walked since the last checkpoint that held

    def whole(self) -> FirstBad | None:
        """Verify all of it; return the first thing that does not hold.

        Raises
        ------
        AuditError
            if an archived segment cannot be read.
        """
        for walked in self._walk(self._segments):
            damage = self._link(walked)
            follows = damage is None or damage[0] > walked.first
            bad = self._grow(walked) if follows else None
            if bad is None and damage is not None:
                bad = self._pin(*damage, walked.segment.name)
            if bad is not None:
                return bad
            self._step(walked.segment)
        if self._waiting:
            missing, name = self._waiting[0], self._segments[-1].name if self._segments else ""
            what = f"the journal ends before record {missing.tree_size - 1}, which checkpoint {missing.number} signed"
            return self._bad(self.end, what, name)
        return self._anchors.bad

    def range(self, from_seq: int, to_seq: int | None) -> FirstBad | None:
        """Verify the segments that hold this range, and that their records lead to a signed root.

        Raises
        ------
        BadInputError
            if there are no such records.
        AuditError
            if the signer's tree file, which stands for what is outside the range, is not the signed one either.
        """
        last = to_seq if to_seq is not None else 10**18
        firsts = [*(first_seq(segment) for segment in self._segments), 10**18]
        chosen = [
            segment
            for index, segment in enumerate(self._segments)
            if firsts[index] <= last and firsts[index + 1] > from_seq
        ]
        start = None
        for walked in self._walk(chosen):
            if start is None:
                start = self.end = walked.first
                self.head = walked.prev
            damage = self._link(walked)
            if damage is None or damage[0] > walked.first:
                self._take(walked)
            if damage is not None:
                return self._bad(*damage, walked.segment.name)
            self._step(walked.segment)
        if start is None or from_seq >= self.end or last < from_seq:
            raise BadInputError(
                f"--from = {from_seq} to {to_seq if to_seq is not None else 'the end'} is no range of journal "
                f"{self.writer}, which has records 0 to {self.end - 1}"
            )
        return self._compare_range(start) or self._anchors.bad

    def _compare_range(self, start: int) -> FirstBad | None:
        """Compare the walked records with the smallest checkpoint over them, or with the last one that there is."""
        above = [each for each in self._anchors.checkpoints if each.tree_size > start]
        if not above or not tree_path(self._paths, self.writer).exists():
            return None
        against = next((each for each in above if each.tree_size >= self.end), above[-1])
        end = min(self.end, against.tree_size)
        data = b"".join(walked.leaves for walked in self._recent)
        leaves = [data[at : at + HASH_BYTES] for at in range(0, (end - start) * HASH_BYTES, HASH_BYTES)]
        tree = TreeFile(tree_path(self._paths, self.writer))
        try:
            path = range_path(tree.node, start, end, against.tree_size)
            if root_of_range(nodes_of(leaves, start), start, end, against.tree_size, path).hex() == against.root:
                self.held = against
                return None
        finally:
            tree.close()
        seq = self._first_different(against)
        if seq is None:
            raise AuditError(
                f"{tree_path(self._paths, self.writer)} does not lead to the root that checkpoint {against.number} "
                "signed: remove it, the signer makes it again, or verify the whole journal"
            )
        return self._bad(seq, _not_signed(against), self._name_of(seq))

    def _walk(self, segments: Sequence[Path]) -> Iterator[Walked]:
        """Yield each segment's walk in order; some are walked ahead, on every core."""

        def walk(segment: Path) -> Walked | ArchiveAway:
            try:
                last = segment == self._segments[-1]
                return walk_segment(segment, self.writer, last=last, compiled=self._compiled)
            except ArchiveAway as error:
                return error

        ahead = (os.cpu_count() or 1) if self._compiled else 1
        running: deque[Future[Walked | ArchiveAway]] = deque()
        rest = iter(segments)
        with ThreadPoolExecutor(ahead) as pool:
            while True:
                running.extend(pool.submit(walk, each) for each in islice(rest, ahead + 1 - len(running)))
                if not running:
                    return
                found = running.popleft().result()
                if isinstance(found, ArchiveAway):
                    raise AuditError(str(found))
                yield found

    def _link(self, walked: Walked) -> tuple[int, str] | None:
        """Return (sequence, what) where a segment does not continue the one before, or does not hold itself."""
        if walked.first != self.end:
            if not self.end:
                return 0, "the journal does not begin with record 0"
            return self.end, f"the segment of record {self.end} is missing"
        if walked.hashes and walked.prev != self.head:
            return walked.first, NOT_CONTINUED
        return (walked.damage.seq, walked.damage.what) if walked.damage else None

    def _take(self, walked: Walked) -> None:
        self._recent.append(walked)
        self.events += walked.end - walked.first
        self.end, self.head, self.tail = walked.end, walked.hash(walked.end - 1), walked.tail

    def _grow(self, walked: Walked) -> FirstBad | None:
        """Add a segment's records to the tree, stopping at each checkpoint to compare."""
        self._take(walked)
        leaves = memoryview(walked.leaves)
        while self._waiting and self._waiting[0].tree_size <= walked.end:
            against = self._waiting[0]
            done, here = self._growth.size - walked.first, against.tree_size - walked.first
            self._growth.extend(leaves[done * HASH_BYTES : here * HASH_BYTES])
            if self._growth.root().hex() != against.root or walked.hash(against.tree_size - 1) != against.head:
                return self._mismatch(against)
            self.held = self._waiting.popleft()
            self._recent = [walked]
        self._growth.extend(leaves[(self._growth.size - walked.first) * HASH_BYTES :])
        if not self._waiting:
            self._recent = []
        return None

    def _mismatch(self, against: Checkpoint) -> FirstBad:
        self.end = self.held.tree_size if self.held else 0
        self.events = self.end
        seq = self._first_different(against)
        if seq is not None:
            return self._bad(seq, _not_signed(against), self._name_of(seq))
        what = f"records {self.end} to {against.tree_size - 1} are not those that checkpoint {against.number} signed"
        return self._bad(self.end, what, self._name_of(self.end))

    def _pin(self, seq: int, what: str, segment: str) -> FirstBad:
        """Return what is wrong at ``seq``, or before it where the signer's tree knows better.

        A record that was changed with its CRC is noticed only at the next one, which names another hash.
        """
        different = self._first_different(self._waiting[0]) if self._waiting else None
        if different is not None and different < seq:
            return self._bad(different, _not_signed(self._waiting[0]), self._name_of(different))
        return self._bad(seq, what, segment)

    def _first_different(self, against: Checkpoint) -> int | None:
        """Return the first walked record whose leaf is not the signer's, if the signer's tree is the signed one."""
        try:
            tree = TreeFile(tree_path(self._paths, self.writer))
        except AuditError:
            return None
        try:
            if tree.frontier(against.tree_size).root().hex() != against.root:
                return None
            for walked in self._recent:
                theirs = tree.leaves(walked.first, min(walked.end, against.tree_size))
                for index, leaf in enumerate(theirs):
                    if leaf != walked.leaves[index * HASH_BYTES : (index + 1) * HASH_BYTES]:
                        return walked.first + index
        except AuditError:
            return None  # shorter than the checkpoint
        finally:
            tree.close()
        return None

    def _name_of(self, seq: int) -> str:
        return next((walked.segment.name for walked in self._recent if walked.first <= seq < walked.end), "")

    def _bad(self, seq: int, what: str, segment: str) -> FirstBad:
        return {"writer": self.writer, "seq": seq, "segment": segment, "what": what}


def _not_signed(against: Checkpoint) -> str:
    return f"the record is not the one that checkpoint {against.number} signed"
