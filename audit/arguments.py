"""Command lines of the record: one sentence and exit code 2 for what cannot work."""

import argparse
import os
import sys
from pathlib import Path
from typing import NoReturn

import msgspec

from audit.errors import AuditError
from events.paths import DataPaths


class BadArgumentError(ValueError):
    """One sentence: the argument, its value and what is allowed."""


class Parser(argparse.ArgumentParser):
    """An argument parser that answers with one sentence; every command of the record takes --data-dir."""

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

    def error(self, message: str) -> NoReturn:
        """Refuse with a sentence instead of a usage page."""
        raise BadArgumentError(f"{self.prog}: {message}; --help lists what is allowed")


def existing(data_dir: Path) -> DataPaths:
    """Return the paths of a data directory that is there.

    Raises
    ------
    BadArgumentError
        if it is not.
    """
    if not data_dir.is_dir():
        raise BadArgumentError(f"--data-dir = {data_dir} is not a directory; give the one that `run` uses")
    return DataPaths(data_dir.absolute())


def sequence(name: str, text: str) -> int:
    """Return a record's sequence.

    Raises
    ------
    BadArgumentError
        if that is no whole number from 0 on.
    """
    if not (text.isascii() and text.isdecimal() and len(text) < 19):
        raise BadArgumentError(f'{name} = "{text}" must be a whole number from 0 on: a record\'s sequence')
    return int(text)


def writer_name(paths: DataPaths, writer: str) -> str:
    """Return a journal's name.

    Raises
    ------
    BadArgumentError
        if the data directory has no such journal.
    """
    known = journals(paths)
    if writer not in known:
        allowed = ", ".join(known) or "none: it holds no journal yet"
        raise BadArgumentError(f'--writer = "{writer}" has no journal in {paths.root}; allowed are {allowed}')
    return writer


def journals(paths: DataPaths) -> list[str]:
    """Return the names of a data directory's journals."""
    return sorted(each.name for each in paths.journal.iterdir() if each.is_dir()) if paths.journal.is_dir() else []


def refuse(error: Exception, code: int = 2) -> int:
    """Print a sentence on stderr, without what would steer a terminal, and return the exit code."""
    sentence = " ".join(str(error).split())
    sys.stderr.write("".join(letter if letter.isprintable() else "?" for letter in sentence) + "\n")
    return code


def print_json(found: object) -> None:
    """Print one JSON object."""
    sys.stdout.write(msgspec.json.encode(found).decode() + "\n")


__all__ = [
    "AuditError",
    "BadArgumentError",
    "Parser",
    "existing",
    "journals",
    "print_json",
    "refuse",
    "sequence",
    "writer_name",
]
