"""Command lines of the record: one sentence and exit code 2 for what cannot work."""

import argparse
import os
import sys
from pathlib import Path

import msgspec

from events import commandline
from events.commandline import BadInputError
from events.paths import DataPaths


class Parser(commandline.Parser):
    """The parser of a command of the record: every one takes --data-dir."""

    def __init__(self, name: str, description: str | None, example: str) -> None:
        super().__init__(
            prog=f"manage.py {name}",
            description=description,
            epilog=f"example: manage.py {example}",
            allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        default = Path(os.environ.get("STATION_DATA_DIR", "var"))
        self.add_argument("--data-dir", type=Path, default=default, help="the station's data directory (default: var/)")


def sequence(name: str, text: str) -> int:
    """Return a record's sequence.

    Raises
    ------
    BadInputError
        if that is no whole number from 0 on.
    """
    if not (text.isascii() and text.isdecimal() and len(text) < 19):
        raise BadInputError(f'{name} = "{text}" must be a whole number from 0 on: a record\'s sequence')
    return int(text)


def writer_name(paths: DataPaths, writer: str) -> str:
    """Return a journal's name.

    Raises
    ------
    BadInputError
        if the data directory has no such journal.
    """
    known = journals(paths)
    if writer not in known:
        allowed = ", ".join(known) or "none: it holds no journal yet"
        raise BadInputError(f'--writer = "{writer}" has no journal in {paths.root}; allowed are {allowed}')
    return writer


def journals(paths: DataPaths) -> list[str]:
    """Return the names of a data directory's journals."""
    return sorted(each.name for each in paths.journal.iterdir() if each.is_dir()) if paths.journal.is_dir() else []


def print_json(found: object) -> None:
    """Print one JSON object."""
    sys.stdout.write(msgspec.json.encode(found).decode() + "\n")
