"""One journal's way into the store: read behind its writer, project, write with the position, again."""

from itertools import islice
from pathlib import Path

from events.journal import JournalReader, Stored
from events.reader import durable_next
from market.store.port import Batch, Position, Store
from recorder.projector import project

RECORDS_AT_ONCE = 4000


class StoreMismatchError(RuntimeError):
    """The store was made from another journal than the one beside it."""


class Tail:
    """Projects one journal; it may not exist yet.

    Attributes
    ----------
    position : the last record in the store.
    rows : how many rows have been written since the start.
    """

    def __init__(self, folder: Path, store: Store) -> None:
        self._folder, self._writer, self._store = folder, folder.name, store
        self._reader = JournalReader(folder, durable_only=True)
        self.position = store.position(self._writer)
        self.rows = 0

    @property
    def lag(self) -> int:
        """How many durable records are not in the store."""
        return max((durable_next(self._folder) or 0) - 1 - self.position.seq, 0)

    def step(self, most: int = RECORDS_AT_ONCE) -> int:
        """Bring at most about ``most`` records (whole batches of the reader) into the store; return how many.

        Raises
        ------
        StoreMismatchError
            if the next record does not continue the one that the store holds.
        JournalDamaged, StoreUnavailableError
            as the journal and the store say; nothing of the step is in the store then.
        """
        if not self.lag:
            return 0
        found = list(islice(self._reader.stored(self.position.seq + 1), most))
        if not found:
            return 0
        self._check(found[0])
        last = found[-1]
        batch = Batch(writer=self._writer, position=Position(seq=last.record.seq, hash=last.hash))
        for stored in found:
            project(stored, batch)
        self._store.write(batch)
        self.position = batch.position
        self.rows += batch.rows()
        return len(found)

    def _check(self, stored: Stored) -> None:
        if stored.record.prev != self.position.hash:
            raise StoreMismatchError(
                f"the store holds journal {self._writer} up to {self.position.seq}, but record {stored.record.seq} "
                "does not continue it; remove the store's file: it is made again from the journals"
            )
