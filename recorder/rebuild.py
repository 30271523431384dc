"""`audit rebuild`: the projection made again from the journals, in an empty store, and compared with the old one."""

import argparse
import os
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import TypedDict

import msgspec

from events.commandline import Advance, BadInputError, Parser, complain, existing, progress
from events.journal import JournalReader
from events.paths import DataPaths
from events.reader import DURABLE
from events.segments import JournalError, segment_files
from market.store import store_address
from market.store.port import Batch, Position, Store, StoreError
from recorder.comparison import Table, compare, count
from recorder.projector import project
from recorder.tail import JOURNALS, RECORDS_AT_ONCE, StoreMismatchError
from recorder.targets import OWN, new_store, old_store

EXAMPLE = "example: manage.py audit rebuild --data-dir var --into /tmp/again.sqlite3 --compare"


class Rebuilt(TypedDict):
    """What a rebuild did; ``compared_with`` is null where nothing was compared, ``moved_aside`` where nothing was."""

    ok: bool
    into: str
    records: int
    writers: dict[str, int]
    seconds: float
    records_per_s: float
    tables: dict[str, Table]
    compared_with: str | None
    compared_to: dict[str, int] | None
    moved_aside: str | None


def main(argv: Sequence[str]) -> int:
    """Rebuild; return 0, 1 if the comparison or the journal does not hold, 2 for bad input, with nothing changed."""
    try:
        given = _arguments(argv)
        found = rebuild(_recorded(given.data_dir), given.into, against_old=given.compare, replace=given.replace)
    except BadInputError as error:
        return complain(error)
    except (JournalError, StoreError, StoreMismatchError, OSError) as error:
        complain(error)
        return 1
    sys.stdout.write(msgspec.json.encode(found).decode() + "\n" if given.json else readable(found))
    return 0 if found["ok"] else 1


def _recorded(data_dir: Path) -> DataPaths:
    paths = existing(data_dir)
    if not any(segment_files(paths.journal / name) for name in JOURNALS):
        raise BadInputError(f"--data-dir: {paths.journal} has no journal; give the directory of a station that ran")
    return paths


def rebuild(paths: DataPaths, into: str, *, against_old: bool, replace: bool) -> Rebuilt:
    """Project both journals into the empty store ``into``; see :class:`Rebuilt`.

    Parameters
    ----------
    against_old : compare with the station's own projection, at the records that it holds.
    replace : the station's own store may be there; it is moved aside once the new one is whole.

    Raises
    ------
    BadInputError
        if the store is not empty, the station writes it, or there is no old one to compare with.
    market.store.port.StoreError, events.segments.JournalError
        if a store or a journal cannot be read or written.
    """
    began = time.perf_counter()
    with ExitStack() as stack:
        old = stack.enter_context(old_store(paths)) if against_old else None
        target = stack.enter_context(new_store(paths, into, replace=replace))
        compared: dict[str, Table] | None = None
        held = {name: old.position(name).seq for name in JOURNALS} if old is not None else None
        if old is not None and held is not None:
            _project(paths, target.store, held)
            with progress("rows", None) as advance:
                compared = compare(target.store, old, advance)
        writers = _project(paths, target.store, None)
        if compared is None:
            with progress("rows", None) as advance:
                compared = count(target.store, advance)
    seconds = time.perf_counter() - began
    records = sum(seq + 1 for seq in writers.values())
    return {
        "ok": all(table.get("equal", True) for table in compared.values()),
        "into": target.name,
        "records": records,
        "writers": writers,
        "seconds": round(seconds, 3),
        "records_per_s": round(records / seconds, 1),
        "tables": compared,
        "compared_with": None if old is None else str(store_address(paths) or paths.store),
        "compared_to": held,
        "moved_aside": target.moved_aside,
    }


def readable(found: Rebuilt) -> str:
    """Return the outcome as lines for a person."""
    ends = ", ".join(f"{name} to {seq:,}" for name, seq in found["writers"].items())
    lines = [
        f"Rebuilt {found['into']} from {found['records']:,} records ({ends}) in {found['seconds']:.1f} s.",
        *(_line(name, table) for name, table in found["tables"].items()),
    ]
    if found["compared_with"] is not None:
        verdict = "equal, row for row" if found["ok"] else "NOT EQUAL"
        lines.append(f"Compared with {found['compared_with']}: {verdict}.")
    if found["moved_aside"] is not None:
        lines.append(f"The old store is now {found['moved_aside']}.")
    return "\n".join(lines) + "\n"


def _line(name: str, table: Table) -> str:
    text = f"  {name:<18} {table['rows']:>10,} rows  {table['sha256'][:16]}"
    if "equal" not in table:
        return text
    first = table["first_difference"]
    if first is None:
        return f"{text}  equal"
    return (
        f"{text}  DIFFERENT: {table['other_rows']:,} rows in the other; "
        f"first at row {first['number']}: {first['rebuilt'] or 'none'} instead of {first['other'] or 'none'}"
    )


def _project(paths: DataPaths, store: Store, until: dict[str, int] | None) -> dict[str, int]:
    """Bring a store to the journals' ends, or to the given records; return how far each is."""
    reached: dict[str, int] = {}
    for name in JOURNALS:
        folder = paths.journal / name
        reader = JournalReader(folder, durable_only=(folder / DURABLE).exists())
        last = JournalReader(folder).last_seq() if until is None else until[name]
        with progress(f"records of {name}", last + 1) as advance:
            reached[name] = _follow(reader, store, last, advance)
        if until is not None and reached[name] != last:
            raise StoreMismatchError(
                f"the old store holds journal {name} up to record {last}, the journal ends at {reached[name]}"
            )
    store.settle()
    return reached


def _follow(reader: JournalReader, store: Store, last: int, advance: Advance) -> int:
    """Project what the store lacks of a journal, up to a record; return how far the store is then."""
    writer = reader.folder.name
    reached = store.position(writer).seq
    records = islice(reader.stored(reached + 1), max(last - reached, 0))
    while found := list(islice(records, RECORDS_AT_ONCE)):
        end = found[-1]
        batch = Batch(writer=writer, position=Position(seq=end.record.seq, hash=end.hash))
        for stored in found:
            project(stored, batch)
        store.write(batch)
        reached = end.record.seq
        advance(reached + 1)
    return reached


def _arguments(argv: Sequence[str]) -> argparse.Namespace:
    parser = Parser(prog="manage.py audit rebuild", description=__doc__, epilog=EXAMPLE)
    default = Path(os.environ.get("STATION_DATA_DIR", "var"))
    parser.add_argument("--data-dir", type=Path, default=default, help="the station's data directory (default: var/)")
    parser.add_argument(
        "--into",
        default=OWN,
        metavar="STORE",
        help="embedded (default) or questdb: the station's own; another QuestDB's URL; a file that is not there",
    )
    parser.add_argument("--compare", action="store_true", help="compare with the station's own projection, row for row")
    parser.add_argument(
        "--replace", action="store_true", help="move the stopped station's own store aside for the new one"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object; docs/commands.md names its fields")
    return parser.parse_args(argv)
