"""A journal's batches stepped once more: what the machine gives now against what the journal holds."""

import base64
import hashlib
import zlib
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import msgspec

from engine.output import Output
from events.codec import CodecError, decode_payload
from events.segments import Record
from events.types import INPUTS, MarketSlice, RunStarted, SnapshotEvent
from worker.keeper import encoded
from worker.machine import EXTERNAL, Machine, MachineState

TOLERANCE = 1e-9  # relative, of floats, under another fingerprint

OF_THE_BUS = frozenset({"positions", "validator"})
"""Parts of a snapshot that no input decides: how far the bus was read, and bars that were refused."""

SHOWN = 300  # bytes of a payload in a sentence


class Difference(NamedTuple):
    """The first record that its inputs do not give; ``field`` is a path into the record ("payload.lots")."""

    seq: int
    type: str
    field: str
    stored: Any
    made: Any
    what: str


class ReplayDiffersError(Exception):
    """The journal's inputs do not give the journal's outputs; the sentence names the first record that differs."""

    def __init__(self, difference: Difference) -> None:
        super().__init__(difference.what)
        self.difference = difference


class Again:
    """Steps a machine through whole batches, in order, and compares everything that it gives.

    Parameters
    ----------
    machine : empty, or restored from a snapshot of this journal.
    fingerprint : of this process; a run of the journal with another one ends exactness, for the state carries it on.
    started : the fingerprint of the run that the first batch belongs to, None where that batch says it.

    Attributes
    ----------
    exact : byte for byte so far; otherwise lots and ticks exactly, floats to 1e-9.
    inputs, outputs, notes, snapshots : how many records came from outside, were made again and compared, follow from no
        input, and are snapshots whose state was compared.
    """

    def __init__(self, machine: Machine, fingerprint: dict[str, str], started: dict[str, str] | None = None) -> None:
        self.machine = machine
        self.others: dict[str, tuple[str, str]] = {}  # parts of the fingerprint that differ: journal's, ours
        self.inputs = self.outputs = self.notes = self.snapshots = 0
        self._fingerprint = fingerprint
        if started is not None:
            self._runs(started)

    @property
    def exact(self) -> bool:
        return not self.others

    def take(self, batch: list[Record]) -> None:
        """Step one batch and compare it.

        Raises
        ------
        ReplayDiffersError
            at the first record that differs.
        """
        first = batch[0]
        if first.type in INPUTS:
            self._step(batch)
            return
        for record in batch:
            self._note(record)

    def _step(self, batch: list[Record]) -> None:
        """Step a batch's external inputs and compare everything that they give."""
        made: list[Output] = []
        # a slice makes its own fills again; a fill without one came from a broker
        external = EXTERNAL if any(record.type == "MarketSlice" for record in batch) else EXTERNAL | {"FillEvent"}
        inputs = [record for record in batch if record.type in external]
        for record in inputs:
            made += self._through(record)
        for record, output in zip(batch, made, strict=False):
            self._compare(record, output)
        self.machine.catch_up()
        self._count(batch, made)
        self.inputs += len(inputs)
        self.outputs += len(made) - len(inputs)

    def _through(self, record: Record) -> list[Output]:
        try:
            payload = decode_payload(record.type, record.payload)
            if isinstance(payload, MarketSlice):
                self.machine.readmit(payload)
            return self.machine.step(Output(record.type, record.agent_id, payload, record.confidence))
        except (CodecError, RuntimeError) as error:
            raise _differs(
                record, "payload", bytes(record.payload)[:SHOWN].decode(errors="replace"), None,
                f"record {record.seq} ({record.type}) is no input that can be stepped: {error}",
            ) from error  # fmt: skip

    def _compare(self, record: Record, output: Output) -> None:
        for name in ("type", "agent_id", "confidence"):
            stored, made = getattr(record, name), getattr(output, name)
            if stored != made and (self.exact or not _close(stored, made)):
                raise _other(record, name, stored, made)
        raw = encoded(output, record.seq)
        if bytes(record.payload) == raw:
            return
        found = _first_difference(msgspec.json.decode(record.payload), msgspec.json.decode(raw), exact=self.exact)
        if found is not None:
            raise _other(record, ".".join(("payload", *found[0])), *found[1:])
        if self.exact:
            raise _other(record, "payload", bytes(record.payload)[:SHOWN].decode(), raw[:SHOWN].decode())

    @staticmethod
    def _count(batch: list[Record], made: list[Output]) -> None:
        if len(made) < len(batch):
            record = batch[len(made)]
            raise _differs(
                record, "record", record.type, None,
                f"record {record.seq} ({record.type}) does not follow from the inputs of its batch",
            )  # fmt: skip
        if len(made) > len(batch):
            last, output = batch[-1], made[len(batch)]
            raise _differs(
                last, "record", None, output.type,
                f"after record {last.seq} ({last.type}) its inputs give another record, {output.type}, "
                "that the journal does not hold",
            )  # fmt: skip

    def _note(self, record: Record) -> None:
        """Take a record that follows from no input: a run's beginning, a snapshot, an alert of the worker's own."""
        if record.type == "SnapshotEvent":
            self._snapshot(record)
            return
        self.notes += 1
        if record.type == "RiskAlert":
            self.machine.remember(Output(record.type, record.agent_id, decode_payload(record.type, record.payload)))
        elif record.type == "RunStarted":
            run: RunStarted = decode_payload("RunStarted", record.payload)
            self._runs(run.fingerprint)

    def _runs(self, fingerprint: dict[str, str]) -> None:
        ours = self._fingerprint
        for name in sorted(fingerprint.keys() | ours.keys()):
            if fingerprint.get(name) != ours.get(name):
                self.others.setdefault(name, (fingerprint.get(name, ""), ours.get(name, "")))

    def _snapshot(self, record: Record) -> None:
        """Compare a snapshot's state with the machine's; under another fingerprint its own hash alone."""
        stored = opened(record)
        if not self.exact:
            return
        made = self.machine.snapshot()
        if stored != made:
            one, other = (msgspec.msgpack.decode(raw, type=MachineState) for raw in (stored, made))
            for name in MachineState.__struct_fields__:
                if name not in OF_THE_BUS and getattr(one, name) != getattr(other, name):
                    raise _differs(
                        record, f"state.{name}", _hash(getattr(one, name)), _hash(getattr(other, name)),
                        f"the state in record {record.seq} (SnapshotEvent) is not the one that the inputs before it "
                        f"give: its part {name!r} differs",
                    )  # fmt: skip
        self.snapshots += 1


def batches(records: Iterable[Record]) -> Iterator[list[Record]]:
    """Yield whole batches."""
    batch: list[Record] = []
    for record in records:
        batch.append(record)
        if not record.left:
            yield batch
            batch = []


def opened(record: Record) -> bytes:
    """Return the state that a SnapshotEvent holds.

    Raises
    ------
    ReplayDiffersError
        if it does not have the hash that it names.
    """
    event: SnapshotEvent = decode_payload("SnapshotEvent", record.payload)
    raw = zlib.decompress(base64.b64decode(event.state))
    found = hashlib.sha256(raw).hexdigest()
    if found != event.sha256:
        raise _differs(
            record, "payload.sha256", event.sha256, found,
            f"the snapshot in record {record.seq} does not have the hash that it names",
        )  # fmt: skip
    return raw


def _hash(part: Any) -> str:
    return hashlib.sha256(msgspec.msgpack.encode(part)).hexdigest()


def _other(record: Record, field: str, stored: Any, made: Any) -> ReplayDiffersError:
    return _differs(
        record, field, stored, made,
        f"record {record.seq} ({record.type}) is not what its inputs give now: "
        f"{field} was {stored!r} and becomes {made!r}",
    )  # fmt: skip


def _differs(record: Record, field: str, stored: Any, made: Any, what: str) -> ReplayDiffersError:
    return ReplayDiffersError(Difference(record.seq, record.type, field, stored, made, what))


def _first_difference(one: Any, other: Any, *, exact: bool) -> tuple[list[str], Any, Any] | None:
    """Return the path to the first value that differs, with both values; None where nothing does."""
    if isinstance(one, dict) and isinstance(other, dict):
        pairs = [(name, one.get(name), other.get(name)) for name in [*one, *(key for key in other if key not in one)]]
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        pairs = [(str(index), *both) for index, both in enumerate(zip(one, other, strict=True))]
    else:
        same = one == other if exact else _close(one, other)
        return None if same else ([], one, other)
    for name, left, right in pairs:
        found = _first_difference(left, right, exact=exact)
        if found is not None:
            return [name, *found[0]], *found[1:]
    return None


def _close(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return abs(one - other) <= TOLERANCE * max(1.0, abs(one), abs(other))
    return bool(one == other)
