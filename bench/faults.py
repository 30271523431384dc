"""`bench faults`: kill -9 of each process in turn during replays, checked after every kill; 300 before a release.

example: ./station bench faults --loops 300 --data ../shared/data
"""

import argparse
import json
import os
import shutil
import tempfile
import time
from pathlib import Path

from tests.faults import killing

ROOT = Path(__file__).resolve().parent.parent


def main(argv: list[str]) -> int:
    """Run the loops and print the counts; return 0 if nothing was lost, duplicated, broken or different, else 1."""
    parser = argparse.ArgumentParser(
        prog="bench faults",
        description=__doc__.partition("\n")[0],
        epilog="example: ./station bench faults --loops 300",
    )
    data = Path(os.environ.get("STATION_DATA") or ROOT.parent / "shared" / "data")
    parser.add_argument("--loops", type=int, default=20, help="how many kills (default: 20)")
    parser.add_argument("--seed", type=int, default=None, help="decides processes and points (default: the time)")
    parser.add_argument("--process", default="", help="kill this one alone, e.g. bus (default: each in turn)")
    parser.add_argument("--data", type=Path, default=data, help=f"folder of the market data ({data})")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    given = parser.parse_args(argv)
    if given.loops < 1:
        parser.error(f"--loops = {given.loops}; give at least 1")
    if not (given.data / killing.WEEK).is_file():
        parser.error(f"--data = {given.data} holds no {killing.WEEK}")
    seed = time.time_ns() % 1_000_000 if given.seed is None else given.seed
    folder = Path(tempfile.mkdtemp(prefix="f-"))
    began = time.monotonic()
    try:
        deck, say = killing.Deck(seed, given.process), _silent if given.json else _say
        loops = killing.Loops(folder, killing.arguments(given.data, folder), deck, say)
        loops.run(given.loops)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    counts, seconds = loops.counts, round(time.monotonic() - began, 1)
    found = {**vars(counts), "by_process": dict(counts.by_process), "seed": seed, "seconds": seconds}
    print(json.dumps(found) if given.json else f"seed {seed}: {counts}; {seconds} s")
    return 0 if counts.hold else 1


def _say(line: str) -> None:
    print(line, flush=True)


def _silent(_line: str) -> None:
    """Say nothing."""
