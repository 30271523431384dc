"""From the journal back to the state: the last snapshot, then every input after it, stepped and compared."""

import base64
import hashlib
import zlib
from typing import NamedTuple

from events.codec import decode_payload
from events.reader import JournalReader
from events.types import RunStarted, SnapshotEvent
from worker.again import Again, ReplayDiffersError, batches, opened
from worker.machine import Machine

__all__ = ["ReplayDiffersError", "Resumed", "begin", "resume", "snapshot_event"]


class Resumed(NamedTuple):
    """What a resume did."""

    resumed_from: int
    replayed: int
    exact: bool  # compared byte for byte; otherwise lots and ticks exactly, floats to 1e-9


def resume(machine: Machine, reader: JournalReader, fingerprint: dict[str, str]) -> Resumed:
    """Bring an empty machine to the journal's end.

    Raises
    ------
    ReplayDiffersError
        if a regenerated record differs from the journaled one, or the snapshot from its hash.
    """
    again, start = begin(machine, reader, fingerprint)
    for batch in batches(reader.read(start)):
        again.take(batch)
    return Resumed(start - 1, again.inputs, again.exact)


def begin(
    machine: Machine, reader: JournalReader, fingerprint: dict[str, str], before: int | None = None
) -> tuple[Again, int]:
    """Restore an empty machine from the last snapshot (below record ``before``) and say with which record to go on.

    Raises
    ------
    ReplayDiffersError
        if the snapshot does not have its hash.
    """
    found = reader.last_of("SnapshotEvent", before=before)
    if found is None:
        return Again(machine, fingerprint), 0
    machine.restore(opened(found.record))
    run = reader.last_of("RunStarted", before=found.record.seq)
    started: RunStarted | None = None if run is None else decode_payload("RunStarted", run.record.payload)
    return Again(machine, fingerprint, None if started is None else started.fingerprint), found.record.seq + 1


def snapshot_event(machine: Machine) -> SnapshotEvent:
    """Return the machine's state as it is journaled."""
    raw = machine.snapshot()
    return SnapshotEvent(
        engine_ns=machine.engine_ns,
        sha256=hashlib.sha256(raw).hexdigest(),
        state=base64.b64encode(zlib.compress(raw, 1)).decode(),
    )
