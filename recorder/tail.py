"""One journal's way into the store: read behind its writer, project, write with the position, again."""

import logging
from itertools import islice
from pathlib import Path

from events.journal import JournalReader
from events.reader import durable_next
from market.store.port import Batch, Position, Store, StoreError
from recorder.projector import project

JOURNALS = ("execution", "station")
RECORDS_AT_ONCE = 16_000  # about 25 MB while they are on their way

log = logging.getLogger("recorder")


class StoreMismatchError(RuntimeError):
    """The store was made from another journal than the one beside it."""


class Tail:
    """Projects one journal; it may not exist yet.

    Attributes
    ----------
    position : the last record in the store, as far as is known.
    rows : how many rows have been written since the start.
    """

    def __init__(self, folder: Path, store: Store) -> None:
        self._folder, self._writer, self._store = folder, folder.name, store
        self._reader = JournalReader(folder, durable_only=True)
        self._known = False  # after an error the store may have fewer records than were written: it is asked again
        self.position = Position()
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
            if the store's last record is not one of this journal.
        JournalDamaged, StoreUnavailableError
            as the journal and the store say; of the step some rows may be in the store, its position is not.
        """
        if not self._known:
            self._ask()
        if not self.lag:
            return 0
        found = list(islice(self._reader.stored(self.position.seq + 1), most))
        if not found:
            return 0
        if found[0].record.prev != self.position.hash:
            raise self._mismatch(f"record {found[0].record.seq} does not continue it")
        last = found[-1]
        batch = Batch(writer=self._writer, position=Position(seq=last.record.seq, hash=last.hash))
        for stored in found:
            project(stored, batch)
        try:
            self._store.write(batch)
        except StoreError:
            self.ask_again()
            raise
        self.position = batch.position
        self.rows += batch.rows()
        return len(found)

    def ask_again(self) -> None:
        """Ask the store how far it is before the next step: it may have lost what it was given."""
        self._known = False

    def _ask(self) -> None:
        before, self.position = self.position, self._store.position(self._writer)
        if self.position.seq < before.seq:
            log.warning(
                "the store holds journal %s up to %d, not %d any more: it is made again from there",
                self._writer, self.position.seq, before.seq,
            )  # fmt: skip
        if self.position.seq >= 0:
            found = JournalReader(self._folder).get(self.position.seq)
            if found is None:
                raise self._mismatch("the journal does not reach that far")
            if found.hash != self.position.hash:
                raise self._mismatch(f"record {self.position.seq} of the journal is another one")
        self._known = True

    def _mismatch(self, what: str) -> StoreMismatchError:
        return StoreMismatchError(
            f"the store holds journal {self._writer} up to {self.position.seq}, but {what}; "
            "remove the store: it is made again from the journals"
        )
