"""Show the end of each journal, its newest checkpoint and what is not signed yet. Nothing is verified."""

import sys
from typing import Any

from audit.arguments import Parser, journals, print_json
from audit.checkpoints import last_checkpoint
from audit.errors import AuditError
from events.archived import JournalError
from events.commandline import BadInputError, complain, existing
from events.journal import JournalReader
from events.paths import DataPaths
from events.segments import GENESIS

EXAMPLE = "audit head --json"


def main(argv: list[str]) -> int:
    """Return 0, 1 if a journal cannot be read, 2 for a bad argument."""
    parser = Parser("audit head", __doc__, EXAMPLE)
    parser.add_argument("--json", action="store_true", help="one JSON object")
    try:
        given = parser.parse_args(argv)
        paths = existing(given.data_dir)
    except BadInputError as error:
        return complain(error)
    try:
        found = {writer: head(paths, writer) for writer in journals(paths)}
    except (AuditError, JournalError) as error:
        return complain(error, 1)
    if given.json:
        print_json(found)
        return 0
    for writer, end in found.items():
        signed = end["checkpoint"]
        said = f"signed to {signed['tree_size'] - 1} by checkpoint {signed['number']}" if signed else "nothing signed"
        sys.stdout.write(f"{writer:<10} record {end['seq']} {end['head']}, {said}\n")
    return 0


def head(paths: DataPaths, writer: str) -> dict[str, Any]:
    """Return the last record's sequence and hash, and the newest checkpoint."""
    reader = JournalReader(paths.journal / writer)
    last = reader.get(reader.last_seq())
    checkpoint = last_checkpoint(paths, writer)
    return {
        "seq": last.record.seq if last else -1,
        "head": last.hash if last else GENESIS,
        "checkpoint": None if checkpoint is None else {
            "number": checkpoint.number, "tree_size": checkpoint.tree_size, "root": checkpoint.root,
            "utc_ns": checkpoint.utc_ns, "key": checkpoint.key,
        },
    }  # fmt: skip
