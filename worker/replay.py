"""`audit replay`: the engine once more over the execution journal's inputs, every output compared with the stored."""

import argparse
import os
import sys
import time
from bisect import bisect_right
from collections.abc import Sequence
from pathlib import Path
from typing import TypedDict

import msgspec

from engine.snapshot import SnapshotError
from events.commandline import Advance, BadInputError, Parser, complain, existing, progress
from events.reader import DURABLE, JournalReader
from events.segments import JournalDamaged, JournalError, first_seq, segment_files
from worker.again import Again, Difference, ReplayDiffersError, batches
from worker.fingerprint import fingerprint
from worker.machine import Machine
from worker.resume import begin
from worker.warm import warm_up

JOURNAL = "execution"
EXAMPLE = "example: manage.py audit replay --data-dir var --json"
LOOK = 500  # batches between two movements of the bar


class FirstDifference(TypedDict):
    """Where the journal is not what its inputs give; ``field`` is a path into the record, "" for a damaged one."""

    writer: str
    seq: int
    type: str
    segment: str
    field: str
    stored: str
    made: str
    what: str


class Replayed(TypedDict):
    """What a replay found; ``other_fingerprint`` holds part → [the journal's, this machine's], empty where exact."""

    ok: bool
    writer: str
    from_seq: int
    to_seq: int
    exact: bool
    other_fingerprint: dict[str, tuple[str, str]]
    events: int
    inputs: int
    outputs_compared: int
    snapshots_compared: int
    seconds: float
    events_per_s: float
    first_difference: FirstDifference | None
    orders_sha256: str


def main(argv: Sequence[str]) -> int:
    """Replay a data directory's execution journal; return 0 if it is identical, 1 if not, 2 for bad input."""
    try:
        given = _arguments(argv)
        folder = existing(given.data_dir).journal / JOURNAL
        reader = _reader(folder)
        to_seq = _end(reader, folder, given.to)
        warm_up()
        found = replay(reader, to_seq, from_snapshot=given.from_snapshot)
    except BadInputError as error:
        return complain(error)
    except (JournalError, ReplayDiffersError, SnapshotError, OSError) as error:
        complain(error)
        return 1
    sys.stdout.write(msgspec.json.encode(found).decode() + "\n" if given.json else readable(found))
    if found["first_difference"] is not None and given.json:
        complain(found["first_difference"]["what"])
    return 0 if found["ok"] else 1


def replay(reader: JournalReader, to_seq: int, *, from_snapshot: bool = False) -> Replayed:
    """Step every batch up to the one that holds ``to_seq`` and compare it; see :class:`Replayed`.

    Raises
    ------
    BadInputError
        if ``from_snapshot`` is asked for and there is none before ``to_seq``.
    engine.snapshot.SnapshotError
        if this version cannot read the snapshot.
    """
    machine, here = Machine(), fingerprint()
    again, start = begin(machine, reader, here, before=to_seq) if from_snapshot else (Again(machine, here), 0)
    if from_snapshot and not start:
        raise BadInputError(f"--from-snapshot: there is no snapshot before record {to_seq}; replay from the beginning")
    first: FirstDifference | None = None
    began = time.perf_counter()
    with progress("records", to_seq + 1) as advance:
        try:
            end = _follow(again, reader, start, to_seq, advance)
        except ReplayDiffersError as error:
            end = error.difference.seq
            first = _first(error.difference, _segment_of(reader.folder, end))
        except JournalDamaged as damage:
            end = damage.seq
            first = _first(Difference(end, "", "", "", "", str(damage)), damage.segment)
    seconds = time.perf_counter() - began
    events = end + 1 - start
    return {
        "ok": first is None,
        "writer": JOURNAL,
        "from_seq": start,
        "to_seq": end,
        "exact": again.exact,
        "other_fingerprint": again.others,
        "events": events,
        "inputs": again.inputs,
        "outputs_compared": again.outputs,
        "snapshots_compared": again.snapshots,
        "seconds": round(seconds, 3),
        "events_per_s": round(events / seconds, 1) if seconds else 0.0,
        "first_difference": first,
        "orders_sha256": machine.projection.digest.hexdigest(),
    }


def readable(found: Replayed) -> str:
    """Return the outcome as lines for a person."""
    lines = [
        (
            f"Replayed records {found['from_seq']:,} to {found['to_seq']:,} of journal {found['writer']}: "
            f"{found['inputs']:,} inputs stepped, {found['outputs_compared']:,} outputs and "
            f"{found['snapshots_compared']:,} snapshots compared in {found['seconds']:.1f} s "
            f"({found['events_per_s']:,.0f} records/s)."
        )
    ]
    if found["other_fingerprint"]:
        parts = "; ".join(f"{name}: {was} then, {now} now" for name, (was, now) in found["other_fingerprint"].items())
        lines.append(f"Another fingerprint ({parts}): lots and ticks were compared exactly, floats to 1e-9.")
    first = found["first_difference"]
    if first is None:
        lines.append("Identical." if found["exact"] else "The same, as far as another fingerprint lets it be.")
    else:
        lines.append(f"DIFFERENT first in journal {first['writer']}, segment {first['segment']}: {first['what']}.")
    return "\n".join(lines) + "\n"


def _follow(again: Again, reader: JournalReader, start: int, to_seq: int, advance: Advance) -> int:
    """Step batch after batch; return the last record's sequence."""
    end = start - 1
    for number, batch in enumerate(batches(reader.read(start))):
        if batch[0].seq > to_seq:
            break
        again.take(batch)
        end = batch[-1].seq
        if number % LOOK == 0:
            advance(end + 1)
    return end


def _segment_of(folder: Path, seq: int) -> str:
    segments = segment_files(folder)
    return segments[max(bisect_right([first_seq(one) for one in segments], seq) - 1, 0)].name


def _first(found: Difference, segment: str) -> FirstDifference:
    return {
        "writer": JOURNAL,
        "seq": found.seq,
        "type": found.type,
        "segment": segment,
        "field": found.field,
        "stored": _text(found.stored),
        "made": _text(found.made),
        "what": found.what,
    }


def _text(value: object) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _reader(folder: Path) -> JournalReader:
    """Return the journal's reader: behind a live writer only what is durable, in a copy without its mark all."""
    if not segment_files(folder):
        raise BadInputError(f"--data-dir: {folder} has no journal; give the directory of a station that has traded")
    return JournalReader(folder, durable_only=(folder / DURABLE).exists())


def _end(reader: JournalReader, folder: Path, to: int | None) -> int:
    """Return the last record to compare."""
    last = reader.last_seq()
    if to is None:
        return last
    if not 0 <= to <= last:
        raise BadInputError(f"--to = {to} is no record of {folder}; allowed are 0 to {last}")
    return to


def _arguments(argv: Sequence[str]) -> argparse.Namespace:
    parser = Parser(prog="manage.py audit replay", description=__doc__, epilog=EXAMPLE)
    default = Path(os.environ.get("STATION_DATA_DIR", "var"))
    parser.add_argument("--data-dir", type=Path, default=default, help="the station's data directory (default: var/)")
    parser.add_argument("--from-snapshot", action="store_true", help="begin with the last snapshot, not with record 0")
    parser.add_argument("--to", type=int, metavar="SEQ", help="the last record to compare (default: the last)")
    parser.add_argument("--json", action="store_true", help="one JSON object; docs/commands.md names its fields")
    return parser.parse_args(argv)
