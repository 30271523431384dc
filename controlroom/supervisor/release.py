"""`release`: lift the kill, with the password of a person of the oversight group and a reason for the journal."""

import getpass
import sys
from pathlib import Path

from controlroom.supervisor import control
from controlroom.supervisor.errors import BadInputError, Parser, complain
from controlroom.supervisor.options import ROOT
from events.commandline import existing

EXAMPLE = 'example: manage.py release --reason "feed repaired, positions checked" --user operator'


def main(argv: list[str]) -> int:
    """Release; return 0 if the worker did, 1 if it refused or does not answer."""
    parser = Parser(prog="release", description=__doc__, epilog=EXAMPLE)
    parser.add_argument("--reason", required=True, help="why trading may go on; it is journaled")
    parser.add_argument("--user", default="operator", help="a person of the oversight group (default: operator)")
    parser.add_argument(
        "--password-file", type=Path, help='a file with the password in its first line, "-" for standard input'
    )
    parser.add_argument(
        "--data-dir", type=Path, default=ROOT / "var", help="the station's data directory (default: var/)"
    )
    try:
        given = parser.parse_args(argv)
        _check_reason(given.reason)
        paths = existing(given.data_dir)
        password = _password(given.password_file, given.user)
    except BadInputError as error:
        return complain(error)
    request = {"op": "release", "user": given.user, "password": password, "reason": given.reason}
    try:
        answer = control.ask(paths, request, timeout_s=10.0)
    except control.WorkerAwayError as error:
        sys.stderr.write(f"Not released: {error}.\n")
        return 1
    if answer.get("ok"):
        sys.stdout.write(f"Released by {given.user}.\n")
        return 0
    sys.stderr.write(f"Not released: {answer.get('reason', 'no reason given')}.\n")
    return 1


def _check_reason(reason: str) -> None:
    if not reason.strip():
        raise BadInputError("release: --reason is empty; say why trading may go on")


def _password(file: Path | None, user: str) -> str:
    if file is None:
        if sys.stdin.isatty():
            return getpass.getpass(f"Password of {user}: ")
        return sys.stdin.readline().rstrip("\n")
    if str(file) == "-":
        return sys.stdin.readline().rstrip("\n")
    try:
        return file.read_text().split("\n", 1)[0]
    except (OSError, UnicodeDecodeError) as error:
        raise BadInputError(f"release: --password-file = {file} cannot be read ({error})") from error
