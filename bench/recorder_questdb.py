"""How many journal records a second the recorder's projection brings into QuestDB, and what an hour's backlog takes.

The records are those that the worker wrote over real bars: a journal of a run (``--journal``), or that of the `sample`
feed's twenty years, run first. It is written again and again, later and with orders of other names, until there are as
many records as asked for; then a real QuestDB takes them through the recorder's own code. The reference of the same run
is that code without a store: reading, decoding and making rows.
"""

import argparse
import contextlib
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from controlroom.supervisor.errors import BadInputError
from controlroom.supervisor.probes import questdb_answers
from controlroom.supervisor.questdb_server import fetch_jar, need_java, prepare
from events.journal import Entry, JournalReader, JournalWriter
from events.paths import DataPaths
from market.store.port import Batch, Position
from market.store.questdb.schema import LATEST_NS
from market.store.questdb.store import QuestDBStore
from recorder.tail import Tail

ROOT = Path(__file__).resolve().parent.parent
REACH_PER_S = 20_000
REACH_DRAIN_S = 600.0
BACKLOG, ARRIVING_PER_S = 3_600_000, 1000
DAY_NS = 86_400_000_000_000
TIME = re.compile(rb'(_ns":)(\d{18,})')  # an instant, no duration
ORDER = re.compile(rb'"S(\d{9})"')


class _Nowhere:
    """A store that takes everything and keeps nothing."""

    def write(self, _batch: Batch) -> None: ...

    def position(self, _writer: str) -> Position:
        return Position()


def main(argv: list[str]) -> int:
    """Measure and print; return 1 where it is slower than its reach, 2 where there is no Java or journal."""
    parser = argparse.ArgumentParser(prog="bench recorder_questdb", description=__doc__)
    parser.add_argument("--events", type=int, default=200_000, help="records of the backlog (default 200000)")
    parser.add_argument("--journal", type=Path, help="a run's journal/execution (default: a run of the sample feed)")
    parser.add_argument("--json", action="store_true", help="one line of JSON, nothing else")
    given = parser.parse_args(argv)
    try:
        need_java()
        fetch_jar()
    except BadInputError as error:
        print(error, file=sys.stderr)
        return 2
    if given.journal is not None and not any(given.journal.glob("*.seg")):
        print(f"--journal = {given.journal} holds no segment; give DATA/journal/execution of a run", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(Path(folder), given.journal, max(10_000, given.events))
    print(json.dumps(figures, indent=None if given.json else 2))
    return 0 if figures["events_per_s"] >= REACH_PER_S and figures["drain_s"] <= REACH_DRAIN_S else 1


def measure(root: Path, source: Path | None, events: int) -> dict[str, Any]:
    """Return the throughput into QuestDB, that without a store, and the drain time that follows from it."""
    journal = root / "journal" / "execution"
    with contextlib.closing(JournalWriter(journal, "execution", "bench")) as writer:
        for batch in _repeated(source or _sample(root), events):
            writer.append(batch)
        writer.sync()
    bare = _drain(Tail(journal, _Nowhere()))
    with _server(DataPaths(root)) as store:
        store.position("execution")  # makes the tables: a station does that once
        tail = Tail(journal, store)
        began = time.perf_counter()
        taken = _drain(tail)
        store.settle(600)
        seconds = time.perf_counter() - began
    rate = tail.position.seq / seconds
    return {
        "events": tail.position.seq + 1,
        "rows": tail.rows,
        "seconds": seconds,
        "events_per_s": rate,
        "acknowledged_per_s": tail.position.seq / taken,
        "without_store_per_s": tail.position.seq / bare,
        "ratio": seconds / bare,
        "drain_s": BACKLOG / max(rate - ARRIVING_PER_S, 1e-9),
        "drain_is": f"extrapolated from {events} records to {BACKLOG} while {ARRIVING_PER_S}/s arrive",
    }


def _drain(tail: Tail) -> float:
    began = time.perf_counter()
    while tail.step():
        pass
    return time.perf_counter() - began


def _repeated(source: Path, events: int) -> Iterator[list[Entry]]:
    """Yield the batches of a journal again and again, each time later and with other orders."""
    last = orders = made = round_ = 0
    first = LATEST_NS
    while made < events:
        batch: list[Entry] = []
        for record in JournalReader(source).read():
            payload = bytes(record.payload)
            if not round_:
                times = [int(found) for _, found in TIME.findall(payload)]
                first, last = min([first, *times]), max([last, *times])
                orders = max([orders, *(int(found) for found in ORDER.findall(payload))])
            elif record.type == "SnapshotEvent":
                continue
            if round_:
                payload = _later(payload, round_ * (orders + 1), round_ * (last - first + DAY_NS))
            batch.append((record.type, record.agent_id, record.confidence, record.competitive_score, payload))
            if not record.left:
                yield batch
                made += len(batch)
                batch = []
                if made >= events:
                    return
        round_ += 1


def _later(payload: bytes, orders: int, shift_ns: int) -> bytes:
    payload = TIME.sub(lambda found: found[1] + str(int(found[2]) + shift_ns).encode(), payload)
    return ORDER.sub(lambda found: b'"S%09d"' % (int(found[1]) + orders), payload)


def _sample(root: Path) -> Path:
    """Run the station over the real daily bars that the arch package carries; return its worker's journal."""
    data = root / "sample"
    command = [str(ROOT / "station"), "run", "--feed", "sample", "--speed", "max", "--until-done", "--data-dir"]
    subprocess.run([*command, str(data), "--port", "18993"], check=True, capture_output=True)
    return DataPaths(data).journal / "execution"


@contextlib.contextmanager
def _server(paths: DataPaths) -> Iterator[QuestDBStore]:
    address = prepare(paths)
    command = [sys.executable, str(ROOT / "manage.py"), "questdb", "--data-dir", str(paths.root)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while not questdb_answers(paths):
            if server.poll() is not None:
                raise RuntimeError("QuestDB did not start")
            time.sleep(0.2)
        store = QuestDBStore(address, writing=True)
        yield store
        store.close()
    finally:
        server.terminate()
        server.wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
