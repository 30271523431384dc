"""Print the newest signed checkpoint of each journal, as one JSON line each."""

import sys
import time

from audit.arguments import Parser, journals, writer_name
from audit.checkpoints import Checkpoint, check_signature, last_checkpoint
from audit.errors import AuditError
from audit.ring import KeyRing
from events.commandline import BadInputError, complain, existing
from events.journal import JournalReader
from events.paths import DataPaths
from events.reader import durable_next

EXAMPLE = "audit checkpoint --wait 5 > checkpoints.jsonl"


def main(argv: list[str]) -> int:
    """Return 0, 1 if there is none, it is not signed, or --wait ended first; 2 for a bad argument."""
    parser = Parser("audit checkpoint", __doc__, EXAMPLE)
    parser.add_argument("--writer", help="one journal, e.g. execution (default: all)")
    parser.add_argument("--wait", metavar="SECONDS", help="wait until everything durable now is signed (0.1 to 3600)")
    try:
        given = parser.parse_args(argv)
        paths = existing(given.data_dir)
        writers = [writer_name(paths, given.writer)] if given.writer else journals(paths)
        until = time.monotonic() + (_seconds(given.wait) if given.wait else 0.0)
    except BadInputError as error:
        return complain(error)
    try:
        for writer in writers:
            found = _newest(paths, writer, until if given.wait else None)
            check_signature(found, KeyRing.read(paths.keys))
            sys.stdout.write(found.line().decode() + "\n")
    except AuditError as error:
        return complain(error, 1)
    return 0


def _newest(paths: DataPaths, writer: str, until: float | None) -> Checkpoint:
    folder = paths.journal / writer
    wanted = min(durable_next(folder) or 0, JournalReader(folder).last_seq() + 1) if until is not None else 1
    while True:
        found = last_checkpoint(paths, writer)
        if found is not None and found.tree_size >= wanted:
            return found
        if until is None or time.monotonic() >= until:
            signed = found.tree_size if found else 0
            raise AuditError(f"journal {writer}: {signed} of {wanted} records are signed; is the signer running?")
        time.sleep(0.05)


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0.1 <= value <= 3600:
        raise BadInputError(f'--wait = "{text}" must be a number of seconds from 0.1 to 3600')
    return value
