"""Export a range of records as a bundle that proves itself: records, Merkle proof, checkpoint, keys, verifier."""

import sys
from pathlib import Path

from audit.arguments import Parser, sequence, writer_name
from audit.bundle import export
from audit.errors import AuditError
from events.commandline import BadInputError, complain, existing

EXAMPLE = "audit export --writer execution --from 1000 --to 2000 --out bundle.zip"


def main(argv: list[str]) -> int:
    """Return 0, 1 if the range cannot be proved, 2 for a bad argument."""
    parser = Parser("audit export", __doc__, EXAMPLE)
    parser.add_argument("--writer", default="execution", help="the journal (default: execution)")
    parser.add_argument("--from", dest="first", required=True, help="first sequence")
    parser.add_argument("--to", dest="last", required=True, help="last sequence")
    parser.add_argument("--out", type=Path, required=True, help="the .zip to write; it must not exist")
    try:
        given = parser.parse_args(argv)
        paths = existing(given.data_dir)
        writer = writer_name(paths, given.writer)
        first, last = sequence("--from", given.first), sequence("--to", given.last)
        _check_order(first, last)
    except BadInputError as error:
        return complain(error)
    try:
        export(paths, writer, first, last, given.out)
    except AuditError as error:
        return complain(error, 1)
    sys.stdout.write(f"{given.out}: records {first} to {last}; check with: python audit/verifier.py {given.out}\n")
    return 0


def _check_order(first: int, last: int) -> None:
    if last < first:
        raise BadInputError(f'--to = "{last}" is before --from = "{first}"')
