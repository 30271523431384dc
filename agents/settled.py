"""Settled outcomes as the execution journal holds them."""

from pathlib import Path

import msgspec

from events.reader import JournalReader
from events.types import OutcomeEvent

Outcomes = dict[str, list[tuple[float, bool]]]
"""Strategy to its (score, hit) pairs, in journal order."""


class JournalBehindError(RuntimeError):
    """The journal does not hold yet what the job was told to read."""


def read_outcomes(journal: Path, *, from_seq: int, through_seq: int) -> Outcomes:
    """Return the outcomes in records ``from_seq`` to ``through_seq``, both included.

    Raises
    ------
    JournalBehindError
        if the journal ends before ``through_seq``.
    JournalDamaged
        if a record in between does not hold.
    """
    found: Outcomes = {}
    decoder = msgspec.json.Decoder(OutcomeEvent)
    last = from_seq - 1
    if last >= through_seq:
        return found
    for record in JournalReader(journal).read(from_seq):
        if record.seq > through_seq:
            break
        last = record.seq
        if record.type == "OutcomeEvent":
            outcome = decoder.decode(record.payload)
            found.setdefault(outcome.strategy, []).append((outcome.score, outcome.hit))
    if last < through_seq:
        raise JournalBehindError(f"the execution journal ends at {last}, before {through_seq}")
    return found
