"""From batches to the journal, and from the journal to what may be told: nothing leaves before it is on the disk."""

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from engine.output import Output
from events.codec import encode_payload, envelope
from events.journal import JournalWriter
from events.ports import SYSTEM_CLOCK, Clock
from events.types import JobDue

TOLD = frozenset({"ControlAck", "StateEvent", "JobDue", "RiskAlert", "OrderEvent", "TradeEvent"})
"""What worker.events carries; everything else is read from the journal."""

OUTBOX_LIMIT = 20_000  # events kept while the bus is away; the journal has them all


class Told(NamedTuple):
    """An event on its way to worker.events; its envelope is made when it goes, not while an order waits."""

    id: str
    type: str
    agent_id: str
    payload: bytes
    confidence: float | None
    at_ns: int

    def event(self) -> bytes:
        """Return the envelope."""
        return envelope(self.type, self.agent_id, self.payload, self.at_ns, self.confidence, id=self.id)


class Keeper:
    """Appends steps, syncs them together, and keeps what is to be published until the bus takes it."""

    def __init__(self, journal: JournalWriter, clock: Clock = SYSTEM_CLOCK) -> None:
        self.journal = journal
        self._clock = clock
        self.inputs = 0  # since the last snapshot
        self.outbox: deque[Told] = deque(maxlen=OUTBOX_LIMIT)
        self._staged: list[Told] = []
        self._unsynced_since = 0.0

    @property
    def unsynced(self) -> int:
        """How many records the disk has not confirmed."""
        return self.journal.seq - self.journal.durable_seq

    def append(self, batch: Sequence[Output]) -> None:
        """Write one step.

        Raises
        ------
        JournalWriteFailed
            if the disk does not take it: the process must end.
        """
        if not batch:
            return
        first, now_ns = self.journal.seq + 1, self._clock.utc_ns()
        entries = [
            (output.type, output.agent_id, output.confidence, None, encoded(output, first + index))
            for index, output in enumerate(batch)
        ]
        self.journal.append(entries)
        if not self._unsynced_since:
            self._unsynced_since = self._clock.monotonic()
        for index, (kind, agent_id, confidence, _, payload) in enumerate(entries):
            if kind in TOLD:
                self._staged.append(Told(f"execution:{first + index}", kind, agent_id, payload, confidence, now_ns))
        self.inputs += 1

    def tell_again(self, kind: str, payload: JobDue, through_seq: int) -> None:
        """Publish a journaled job once more, with all that is on the disk to be read by it."""
        placed = encode_payload(msgspec.structs.replace(payload, through_seq=through_seq))
        self.outbox.append(Told(f"again:{payload.occurrence}", kind, "engine", placed, None, self._clock.utc_ns()))

    def due(self, within_s: float) -> bool:
        """Whether the oldest unsynced step has waited that long."""
        return bool(self._unsynced_since) and self._clock.monotonic() - self._unsynced_since >= within_s

    def sync(self) -> bool:
        """Return when all steps are on the disk; False if they were already.

        Raises
        ------
        JournalSyncFailed
            if the disk reports an error: the process must end, a retry proves nothing.
        """
        if not self._unsynced_since:
            return False
        self.journal.sync()
        self._unsynced_since = 0.0
        self.outbox.extend(self._staged)
        self._staged.clear()
        return True


def encoded(output: Output, seq: int) -> bytes:
    """Return a record's payload; a job's ``through_seq`` is its own record's sequence."""
    payload = output.payload
    if isinstance(payload, JobDue):
        payload = msgspec.structs.replace(payload, through_seq=seq)
    return encode_payload(payload)
