"""From the journal back to the state: the last snapshot, then every input after it, stepped and compared."""

import base64
import hashlib
import zlib
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import msgspec

from engine.output import Output
from events.codec import decode_payload
from events.reader import JournalReader
from events.segments import Record
from events.types import INPUTS, MarketSlice, RunStarted, SnapshotEvent
from worker.keeper import encoded
from worker.machine import EXTERNAL, Machine

TOLERANCE = 1e-9  # relative, of floats, under another fingerprint


class ReplayDiffersError(Exception):
    """The journal's inputs do not give the journal's outputs; the sentence names the first record that differs."""


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
    found = reader.last_of("SnapshotEvent")
    exact = _same_fingerprint(reader, fingerprint)
    start = 0
    if found is not None:
        machine.restore(_opened(found.record))
        start = found.record.seq + 1
    replayed = 0
    for batch in batches(reader.read(start)):
        if batch[0].type == "RunStarted":
            run: RunStarted = decode_payload("RunStarted", batch[0].payload)
            exact = exact and run.fingerprint == fingerprint
        if batch[0].type in INPUTS:
            replayed += _again(machine, batch, exact=exact)
        else:
            _remember(machine, batch)
    return Resumed(start - 1, replayed, exact)


def batches(records: Iterable[Record]) -> Iterator[list[Record]]:
    """Yield whole batches."""
    batch: list[Record] = []
    for record in records:
        batch.append(record)
        if not record.left:
            yield batch
            batch = []


def snapshot_event(machine: Machine) -> SnapshotEvent:
    """Return the machine's state as it is journaled."""
    raw = machine.snapshot()
    return SnapshotEvent(
        engine_ns=machine.engine_ns,
        sha256=hashlib.sha256(raw).hexdigest(),
        state=base64.b64encode(zlib.compress(raw, 1)).decode(),
    )


def _opened(record: Record) -> bytes:
    event: SnapshotEvent = decode_payload("SnapshotEvent", record.payload)
    raw = zlib.decompress(base64.b64decode(event.state))
    if hashlib.sha256(raw).hexdigest() != event.sha256:
        raise ReplayDiffersError(f"the snapshot in record {record.seq} does not have the hash that it names")
    return raw


def _same_fingerprint(reader: JournalReader, fingerprint: dict[str, str]) -> bool:
    last = reader.last_of("RunStarted")
    if last is None:
        return True
    run: RunStarted = decode_payload("RunStarted", last.record.payload)
    return run.fingerprint == fingerprint


def _again(machine: Machine, batch: list[Record], *, exact: bool) -> int:
    """Step a batch's external inputs once more and compare everything that they give; return how many there were."""
    made: list[Output] = []
    inputs = [record for record in batch if record.type in EXTERNAL]
    for record in inputs:
        payload = decode_payload(record.type, record.payload)
        if isinstance(payload, MarketSlice):
            machine.readmit(payload)
        made += machine.step(Output(record.type, record.agent_id, payload, record.confidence))
    for record, output in zip(batch, made, strict=False):
        payload = encoded(output, record.seq)
        if record.type != output.type or not _same(bytes(record.payload), payload, exact=exact):
            raise ReplayDiffersError(
                f"record {record.seq} ({record.type}) is not what its inputs give now ({output.type}): "
                f"{bytes(record.payload)[:300]!r} became {payload[:300]!r}"
            )
    machine.catch_up()
    if len(made) != len(batch):
        raise ReplayDiffersError(
            f"the batch that ends with record {batch[-1].seq} has {len(batch)} records, not {len(made)}"
        )
    return len(inputs)


def _remember(machine: Machine, batch: list[Record]) -> None:
    for record in batch:
        if record.type == "RiskAlert":
            machine.remember(Output(record.type, record.agent_id, decode_payload("RiskAlert", record.payload)))


def _same(stored: bytes, made: bytes, *, exact: bool) -> bool:
    if stored == made:
        return True
    return not exact and _close(msgspec.json.decode(stored), msgspec.json.decode(made))


def _close(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return abs(one - other) <= TOLERANCE * max(1.0, abs(one), abs(other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_close(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_close, one, other))
    return bool(one == other)
