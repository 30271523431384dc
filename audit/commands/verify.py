"""Verify the record: every byte, hash, batch, Merkle root, checkpoint, signature and key; say what does not hold."""

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from audit.arguments import Parser, print_json, sequence
from audit.errors import AuditError
from audit.verification import Verification, verify_data_directory
from events.commandline import BadInputError, complain, existing

EXAMPLE = "audit verify --writer execution --from 1000 --to 2000 --checkpoint-dir /media/usb/checkpoints --json"


def main(argv: list[str]) -> int:
    """Return 0, 1 if something does not hold, 2 for a bad argument or an archive that is away."""
    parser = Parser("audit verify", __doc__, EXAMPLE)
    parser.add_argument("--writer", help="one journal, e.g. execution (default: all)")
    parser.add_argument("--from", dest="first", help="first sequence of a range (default: 0)")
    parser.add_argument("--to", dest="last", help="last sequence of a range (default: the end)")
    parser.add_argument(
        "--checkpoint-dir", type=Path, help="folder with copies of checkpoints that were kept elsewhere"
    )
    parser.add_argument("--public-key", type=Path, help="a signing key that you trust (PEM)")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    try:
        given = parser.parse_args(argv)
        paths = existing(given.data_dir)
        first = None if given.first is None else sequence("--from", given.first)
        last = None if given.last is None else sequence("--to", given.last)
        with _progress() as progress:
            found = verify_data_directory(
                paths, writer=given.writer, from_seq=first, to_seq=last, progress=progress,
                public_key=given.public_key, checkpoints=given.checkpoint_dir,
            )  # fmt: skip
    except (BadInputError, AuditError) as error:
        return complain(error)
    if given.json:
        print_json(found)
    else:
        sys.stdout.write(readable(found))
    return 0 if found["ok"] else 1


def readable(found: Verification) -> str:
    """Return what was found as lines for a person."""
    lines = []
    for writer, end in found["writers"].items():
        against = found["checked_against"][writer]
        signed = (
            f"signed up to {against['tree_size'] - 1} by checkpoint {against['number']}, key {against['key']}"
            if against
            else "no signed checkpoint covers it"
        )
        tail = f"; behind it: {end['tail']}" if end["tail"] else ""
        lines.append(f"{writer:<10} records 0 to {end['seq']} hold, head {end['head']}, {signed}{tail}")
    bad = found["first_bad"]
    if bad is None:
        lines.append(f"VERIFIED {found['events']:,} records.")
    else:
        lines.append(f"DOES NOT HOLD: journal {bad['writer']}, record {bad['seq']}, {bad['segment']}: {bad['what']}")
    return "\n".join(lines) + "\n"


@contextlib.contextmanager
def _progress() -> Iterator[Callable[[int, int], None] | None]:
    """Yield what moves the bar: on a terminal only."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console  # noqa: PLC0415 - only a terminal pays for its import
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415

    columns = (TextColumn("verify"), BarColumn(), DownloadColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("verify", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
