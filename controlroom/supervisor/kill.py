"""`kill`: stop all new orders and cancel the open ones, with web, Redis and databases up or down."""

import getpass
import os
import secrets
import sys
import time
from pathlib import Path
from typing import Any

import msgspec

from controlroom.supervisor import control
from controlroom.supervisor.errors import BadInputError, Parser, complain
from controlroom.supervisor.options import ROOT
from events.commandline import existing
from events.paths import DataPaths

SCOPES = ("all", "account", "strategy", "symbol")
EXAMPLE = "examples: manage.py kill · manage.py kill --scope strategy --target momentum · manage.py kill --drill"


def main(argv: list[str]) -> int:
    """Kill; return 0 only if new orders are blocked."""
    parser = Parser(prog="kill", description=__doc__, epilog=EXAMPLE)
    parser.add_argument("--scope", choices=SCOPES, default="all", help="what to stop (default: all)")
    parser.add_argument("--target", default="", help="the strategy or symbol, for these two scopes")
    parser.add_argument("--reason", default="", help="a word for the journal; none is needed")
    parser.add_argument("--drill", action="store_true", help="try the whole way, and stop nothing")
    parser.add_argument(
        "--data-dir", type=Path, default=ROOT / "var", help="the station's data directory (default: var/)"
    )
    try:
        given = parser.parse_args(argv)
        _check_target(given.scope, given.target)
        paths = existing(given.data_dir)
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
    return _drill(paths, request) if given.drill else _kill(paths, request)


def _user() -> str:
    """Return who asks; the number where the user has no name, as in a container."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"


def _check_target(scope: str, target: str) -> None:
    if scope in {"strategy", "symbol"} and not target:
        raise BadInputError(f"kill: --target is missing; name the {scope} to kill")
    if scope not in {"strategy", "symbol"} and target:
        raise BadInputError(f'kill: --target = "{target}" has no meaning with --scope {scope}; leave it out')


def _kill(paths: DataPaths, request: dict[str, Any]) -> int:
    """Write the file first: it holds even if nobody runs; then ask the worker, which blocks at once."""
    written = _append(paths.kill_file, request)
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


def _drill(paths: DataPaths, request: dict[str, Any]) -> int:
    """Try what a kill needs: a kill folder that can be written, a worker that answers."""
    trial = paths.kill_file.with_name(".drill")
    written = _append(trial, request)
    trial.unlink(missing_ok=True)
    try:
        answer = control.ask(paths, {"op": "kill", "drill": True, **request})
    except control.WorkerAwayError as error:
        answer = {"ok": False, "reason": str(error)}
    ability = "can" if written else "CANNOT"
    word = "the worker answers" if answer.get("ok") else str(answer.get("reason"))
    sys.stdout.write(f"Drill: the kill file {ability} be written; {word}.\n")
    return 0 if written and answer.get("ok") else 1


def _append(file: Path, request: dict[str, Any]) -> bool:
    """Add one line and have it on disk."""
    try:
        file.parent.mkdir(mode=0o700, exist_ok=True)
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(descriptor, msgspec.json.encode(request) + b"\n")
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError:
        return False
    return True
