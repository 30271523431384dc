"""What every command line shares: bad input is one sentence and exit code 2, long work shows a bar on a terminal."""

import argparse
import contextlib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from events.paths import DataPaths

Advance = Callable[[int], None]
"""Moves a bar to so many pieces done."""


class BadInputError(ValueError):
    """One sentence: the argument, its value and what is allowed."""


class Parser(argparse.ArgumentParser):
    """An argument parser that answers with one sentence instead of a usage page."""

    def error(self, message: str) -> NoReturn:
        raise BadInputError(f"{self.prog}: {message}; --help lists what is allowed")


def complain(error: Exception | str, code: int = 2) -> int:
    """Print the sentence on stderr, without what would steer a terminal, and return the exit code."""
    sentence = " ".join(str(error).split())
    sys.stderr.write("".join(letter if letter.isprintable() else "?" for letter in sentence) + "\n")
    return code


def existing(data_dir: Path) -> DataPaths:
    """Return the paths of a data directory that is there.

    Raises
    ------
    BadInputError
        if it is not.
    """
    if not data_dir.is_dir():
        raise BadInputError(f"--data-dir = {data_dir} is not a directory; give the one that `run` uses")
    return DataPaths(data_dir.absolute())


def help_or_refusal(command: str, argv: Sequence[str], known: Mapping[str, str], closing: str) -> int | None:
    """Print a command's help and return 0, or refuse an unknown sub-command with 2; None where one is to run.

    ``known`` is sub-command to what it does; ``closing`` stands below them.
    """
    if not argv or argv[0] in {"-h", "--help", "help"}:
        width = max(map(len, known))
        lines = "".join(f"  {name:<{width}}  {what}\n" for name, what in known.items())
        usage = f"Usage: manage.py {command} SUB-COMMAND [options]; each has --help with an example."
        sys.stdout.write(f"{usage}\n\n{lines}\n{closing}")
        return 0
    if argv[0] not in known:
        return complain(f'{command}: "{argv[0]}" is no sub-command; allowed are {", ".join(known)}')
    return None


@contextlib.contextmanager
def progress(what: str, total: int | None) -> Iterator[Advance]:
    """Yield what moves the bar; without a terminal it moves nothing."""
    if not sys.stderr.isatty():
        yield lambda _done: None
        return
    from rich.console import Console  # noqa: PLC0415 - only a terminal pays for its import
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415

    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda done: bar.update(task, completed=done)
