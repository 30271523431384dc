"""What a person types to act on the trading from a shell: name, password, code; asked for where it is missing."""

import argparse
import getpass
import sys
from pathlib import Path
from typing import Any

from controlroom.supervisor import control
from controlroom.supervisor.errors import BadInputError, Parser
from controlroom.supervisor.options import ROOT
from events.paths import DataPaths

TIMEOUT_S = 15.0  # the worker computes a slow hash, and judges one person after the other


def parser(prog: str, description: str | None, example: str, *, reason: bool = True) -> argparse.ArgumentParser:
    """Return a parser with the options of a person; with ``reason`` the journal's word is required."""
    made = Parser(prog=prog, description=description, epilog=example, formatter_class=argparse.RawTextHelpFormatter)
    if reason:
        made.add_argument("--reason", required=True, help="why, for the journal")
    made.add_argument("--user", default="operator", help="a person of the oversight group (default: operator)")
    made.add_argument(
        "--password-file", type=Path, help='a file with the password in its first line, "-" for standard input'
    )
    made.add_argument("--code", help="an unused one-time code of the person's device, or a recovery code")
    made.add_argument(
        "--data-dir", type=Path, default=ROOT / "var", help="the station's data directory (default: var/)"
    )
    return made


def check_reason(prog: str, reason: str) -> None:
    """Refuse an empty reason.

    Raises
    ------
    BadInputError
        if there is nothing in it.
    """
    if not reason.strip():
        raise BadInputError(f"{prog}: --reason is empty; say why, for the journal")


def check_target(prog: str, name: str, target: str) -> None:
    """Refuse an empty name of what is acted on.

    Raises
    ------
    BadInputError
        if there is nothing in it.
    """
    if not target.strip():
        raise BadInputError(f"{prog}: {name} is empty; name what to act on")


def credentials(prog: str, given: argparse.Namespace, *, code: bool = True) -> dict[str, str]:
    """Return user, password and code; what was not given is asked for on a terminal, else read line by line.

    Raises
    ------
    BadInputError
        if the password's file cannot be read.
    """
    found = {"user": given.user, "password": _password(prog, given.password_file, given.user)}
    return found | ({"code": _code(given.code, given.user)} if code else {})


def ask(paths: DataPaths, request: dict[str, Any]) -> dict[str, Any]:
    """Ask the worker; one that is away is a refusal, with its sentence."""
    try:
        return control.ask(paths, request, timeout_s=TIMEOUT_S)
    except control.WorkerAwayError as error:
        return {"ok": False, "reason": str(error)}


def _password(prog: str, file: Path | None, user: str) -> str:
    if file is None and sys.stdin.isatty():
        return getpass.getpass(f"Password of {user}: ")
    if file is None or str(file) == "-":
        return sys.stdin.readline().rstrip("\n")
    try:
        return file.read_text().split("\n", 1)[0]
    except (OSError, UnicodeDecodeError) as error:
        raise BadInputError(f"{prog}: --password-file = {file} cannot be read ({error})") from error


def _code(given: str | None, user: str) -> str:
    if given is not None:
        return given
    if sys.stdin.isatty():
        return getpass.getpass(f"One-time code of {user}: ")
    return sys.stdin.readline().rstrip("\n")
