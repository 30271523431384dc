"""Compress closed journal segments that are signed and projected, prove the copies, and move them elsewhere."""

import sys
from pathlib import Path

from audit.archive import ArchiveReport, archive
from audit.arguments import Parser, journals, print_json, writer_name
from audit.errors import AuditError
from events.archived import JournalError
from events.commandline import BadInputError, complain, existing
from events.paths import DataPaths
from market.store import open_store
from market.store.port import StoreError

EXAMPLE = "audit archive --to /mnt/archive --keep 4"
KEEP = 4
MOST_KEPT = 1_000_000


def main(argv: list[str]) -> int:
    """Return 0, 1 if something does not verify or cannot be written, 2 for a bad argument."""
    parser = Parser("audit archive", __doc__, EXAMPLE)
    parser.add_argument(
        "--to", type=Path, required=True, help="folder for the compressed segments, one below it a journal"
    )
    parser.add_argument("--keep", default=str(KEEP), help=f"newest closed segments that stay (default: {KEEP})")
    parser.add_argument("--writer", help="one journal, e.g. execution (default: all)")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    try:
        given = parser.parse_args(argv)
        paths = existing(given.data_dir)
        writers = [writer_name(paths, given.writer)] if given.writer else journals(paths)
        keep, target = _number(given.keep), _folder(paths, given.to)
    except BadInputError as error:
        return complain(error)
    try:
        found = {
            writer: archive(paths, writer, target, keep=keep, projected=_projected(paths, writer)) for writer in writers
        }
    except (AuditError, JournalError, StoreError) as error:
        return complain(error, 1)
    except OSError as error:
        return complain(
            AuditError(f"{error.filename or target}: {error.strerror}; the segments stay where they are"), 1
        )
    if given.json:
        print_json(found)
    else:
        sys.stdout.write("".join(_readable(writer, report) for writer, report in found.items()))
    return 0


def _projected(paths: DataPaths, writer: str) -> int:
    """Return the last sequence that the store holds."""
    store = open_store(paths)
    try:
        return store.position(writer).seq
    finally:
        store.close()


def _folder(paths: DataPaths, folder: Path) -> Path:
    if folder.exists() and not folder.is_dir():
        raise BadInputError(f"--to = {folder} is a file; give a folder")
    if folder.absolute().is_relative_to(paths.journal):
        raise BadInputError(f"--to = {folder} lies in the journal itself; give a folder outside {paths.journal}")
    return folder.absolute()


def _number(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and int(text) <= MOST_KEPT):
        raise BadInputError(f'--keep = "{text}" must be a whole number from 0 to {MOST_KEPT}')
    return int(text)


def _readable(writer: str, report: ArchiveReport) -> str:
    lines = [f"{writer}: {report.moved} segments moved, {report.bytes:,} bytes as {report.file_bytes:,}"]
    lines += [f"{writer}: {report.relocated} archived segments found again"] if report.relocated else []
    lines += [f"{writer}: {report.stays}"] if report.stays else []
    return "".join(f"{line}\n" for line in lines)
