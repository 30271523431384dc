"""`manage.py worker`: reads its arguments, names numba's cache, then starts the process. No Django here."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from events.paths import DataPaths
from worker.fingerprint import sources_hash


def main(argv: Sequence[str] | None = None) -> int:
    """Run the worker until it is told to stop.

    Returns
    -------
    0 after SIGTERM, 1 if the disk failed while trading, 2 if it could not start, with one sentence on standard error.
    """
    arguments = _arguments(argv)
    if arguments.cpus is not None:
        os.sched_setaffinity(0, arguments.cpus)
    # numba looks at a function's own file only: the cache's name tells it of an edited callee
    os.environ.setdefault("NUMBA_CACHE_DIR", str(Path(sys.prefix) / "cache" / f"worker-{sources_hash()[:16]}"))
    # pandas, which the calendars bring, loads all of pyarrow where it finds it: 60 MB that no calendar uses
    sys.modules["pyarrow"] = None  # type: ignore[assignment] # what is None there cannot be imported
    from worker.process import serve  # noqa: PLC0415 - numba reads the variable when it is imported

    return serve(DataPaths(Path(arguments.data_dir)))


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="manage.py worker",
        description="The execution process: engine, journal, orders, kill.",
        epilog="example: manage.py worker --data-dir var --cpus 2,3",
    )
    parser.add_argument("--data-dir", required=True, help="the station's data directory")
    parser.add_argument("--cpus", type=_cpus, default=None, help="run on these processors alone, e.g. 2,3")
    return parser.parse_args(argv)


def _cpus(text: str) -> set[int]:
    allowed = os.sched_getaffinity(0)
    try:
        wanted = {int(part) for part in text.split(",")}
    except ValueError:
        wanted = set()
    if not wanted or not wanted <= allowed:
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of processors among {sorted(allowed)}")
    return wanted
