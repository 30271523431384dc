"""`audit verify` of a signed journal: frames, CRC, chain, batches, Merkle tree and checkpoints.

The reference of the same run is bare SHA-256 over the same files: what no verification can do without.
"""

import argparse
import hashlib
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from audit import keys
from audit.signer import Signer
from audit.verification import verify_data_directory
from events.journal import JournalWriter
from events.paths import DataPaths
from events.segments import segment_files

REACH = 3.0
BATCH = 5
SIGNED_EVERY = 20_000  # records: a second's worth at a speed that no live station reaches
PAYLOAD = (
    b'{"engine_ns":1640995200000000000,"strategy":"momentum","symbol":"AAPL","interval_s":900,"target":0.25,'
    b'"previous_target":0.0,"score":%.17g,"features":{"fast":1.23456,"slow":2.34567},"stance_multiplier":1.0,'
    b'"calibrator":"uncalibrated","outcomes":%d}'
)


def main(argv: list[str]) -> int:
    """Measure and print; return 1 where the ratio is above its reach."""
    parser = argparse.ArgumentParser(prog="bench audit_verify", description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000, help="records in the journal (default 1000000)")
    parser.add_argument("--json", action="store_true", help="one line of JSON, nothing else")
    given = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        figures = measure(DataPaths(Path(folder)), max(given.events, BATCH))
    print(json.dumps(figures, indent=None if given.json else 2))
    return 0 if figures["ok"] and figures["ratio"] <= REACH else 1


def measure(paths: DataPaths, events: int) -> dict[str, Any]:
    """Return seconds (median of five warm runs), events a second and the ratio to bare SHA-256."""
    write(paths, events)
    files = segment_files(paths.journal / "execution")
    began = time.perf_counter()
    found = verify_data_directory(paths)
    first = time.perf_counter() - began
    took, bare = [], []
    for _ in range(5):
        bare.append(_timed(lambda: [_sha256(file) for file in files]))
        took.append(_timed(lambda: verify_data_directory(paths)))
    seconds, reference = statistics.median(took), statistics.median(bare)
    against = found["checked_against"]["execution"]
    return {
        "events": found["events"],
        "ok": found["ok"] and against is not None and against["tree_size"] == found["events"],
        "checkpoints": against["number"] + 1 if against else 0,
        "bytes": sum(file.stat().st_size for file in files),
        "seconds": round(seconds, 3),
        "seconds_first": round(first, 3),
        "events_per_s": round(found["events"] / seconds),
        "sha256_seconds": round(reference, 3),
        "ratio": round(seconds / reference, 2),
        "reach": REACH,
    }


def write(paths: DataPaths, events: int) -> None:
    """Write and sign a journal of at least this many records."""
    keys.create_missing(paths)
    journal, signer = JournalWriter(paths.journal / "execution", "execution", "b" * 32), Signer(paths)
    for start in range(0, events, BATCH):
        payload = PAYLOAD % (start / 7, start)
        journal.append([("SignalEvent", "momentum", 0.5, None, payload)] * BATCH)
        if start % SIGNED_EVERY == 0:
            journal.sync()
            signer.step()
    journal.close()
    while signer.step():
        pass
    signer.close()


def _sha256(file: Path) -> bytes:
    with file.open("rb") as data:
        return hashlib.file_digest(data, "sha256").digest()


def _timed(act: Any) -> float:
    began = time.perf_counter()
    act()
    return time.perf_counter() - began
