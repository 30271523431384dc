"""`kill`: stop all new orders and cancel the open ones, with web, Redis and databases up or down."""

import getpass
import os
import secrets
import sys
import time
from typing import Any

from controlroom.supervisor import control, drill, people
from controlroom.supervisor.errors import BadInputError, complain
from events.commandline import existing
from events.paths import DataPaths

FLAT_S = 120.0
SCOPES = ("all", "account", "strategy", "symbol")
EXAMPLE = "examples: manage.py kill · manage.py kill --scope strategy --target momentum · manage.py kill --drill"


def main(argv: list[str]) -> int:
    """Kill; return 0 only if new orders are blocked."""
    parser = people.parser("kill", __doc__, EXAMPLE, reason=False)
    parser.add_argument("--scope", choices=SCOPES, default="all", help="what to stop (default: all)")
    parser.add_argument("--target", default="", help="the strategy or symbol, for these two scopes")
    parser.add_argument("--reason", default="", help="a word for the journal; none is needed")
    parser.add_argument(
        "--drill", action="store_true", help="PAPER: block and cancel for real, print the times, lift that block again"
    )
    parser.add_argument(
        "--flatten", action="store_true", help="with --drill: close positions too, and wait until all are flat"
    )
    parser.add_argument("--wait", type=float, default=FLAT_S, help=f"seconds to wait for flat (default: {FLAT_S:g})")
    try:
        given = parser.parse_args(argv)
        check_target("kill", given.scope, given.target)
        _check_drill(drill=given.drill, flat=given.flatten)
        paths = existing(given.data_dir)
        person = people.credentials("kill", given) if given.flatten else {}
    except BadInputError as error:
        return complain(error)
    request = {
        "scope": given.scope,
        "target": given.target,
        "actor": f"{_user()} (shell)",
        "reason": given.reason or ("drill" if given.drill else "kill command"),
        "request_id": secrets.token_hex(8),
        "ts_ns": time.time_ns(),
    }
    return drill.run(paths, request, person, given.wait) if given.drill else _kill(paths, request)


def _check_drill(*, drill: bool, flat: bool) -> None:
    if flat and not drill:
        raise BadInputError("kill: --flatten belongs to --drill; `manage.py flatten` closes positions")


def _user() -> str:
    """Return who asks; the number where the user has no name, as in a container."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"


def check_target(prog: str, scope: str, target: str) -> None:
    """Refuse a scope without its target, or a target without its scope.

    Raises
    ------
    BadInputError
        naming what is missing or has no meaning.
    """
    if scope in {"strategy", "symbol"} and not target:
        raise BadInputError(f"{prog}: --target is missing; name the {scope}")
    if scope not in {"strategy", "symbol"} and target:
        raise BadInputError(f'{prog}: --target = "{target}" has no meaning with --scope {scope}; leave it out')


def _kill(paths: DataPaths, request: dict[str, Any]) -> int:
    """Write the file first: it holds even if nobody runs; then ask the worker, which blocks at once."""
    written = drill.append(paths.kill_file, request)
    file = f"the kill file {paths.kill_file} {'is written' if written else 'could NOT be written'}"
    try:
        answer = control.ask(paths, {"op": "kill", **request})
    except control.WorkerAwayError as error:
        if written:
            sys.stdout.write(f"Blocked: {file}. No worker answers; the next one starts killed.\n")
            return 0
        sys.stderr.write(f"NOT BLOCKED: {file} and {error}; end the worker's process.\n")
        return 1
    if answer.get("ok"):
        killed = ", ".join(answer.get("killed", []))
        sys.stdout.write(f"Blocked: {killed}; {answer.get('canceled', 0)} open orders canceled.\n")
        return 0
    sys.stderr.write(f"The worker refused ({answer.get('reason', 'no reason given')}); {file}.\n")
    return 0 if written else 1
