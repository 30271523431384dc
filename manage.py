#!/usr/bin/env python3
"""Every command a person types. Those of the trading path never import Django; the rest are Django's."""

import importlib
import importlib.util
import io
import os
import sys

PLAIN = {
    "run": "controlroom.supervisor.run",
    "worker": "worker.main",
    "feed": "market.feeds.main",
    "recorder": "recorder.main",
    "signer": "audit.signer",
    "keys": "audit.keys",
    "audit": "controlroom.supervisor.audit",
    "execution": "agents.execution.main",
    "status": "controlroom.supervisor.status",
    "kill": "controlroom.supervisor.kill",
    "release": "controlroom.supervisor.release",
    "ledger": "controlroom.supervisor.ledger",
    "tournament": "controlroom.supervisor.tournament",
    "risk": "controlroom.supervisor.risk",
    "flatten": "controlroom.supervisor.flatten",
    "maintenance": "controlroom.supervisor.maintenance",
    "enable": "controlroom.supervisor.enable",
    "external": "controlroom.supervisor.external",
    "codes": "controlroom.supervisor.codes",
    "questdb": "controlroom.supervisor.questdb",
    "doctor": "controlroom.supervisor.doctor",
}
"""Command to the module whose ``main(argv) -> exit code`` runs it without Django: it must work when Django cannot."""

HELP = """Usage: manage.py COMMAND [options]; each COMMAND has --help with an example.

Of the station, without Django:
  {plain}
Of the control room:
  {rest}
  and Django's own: migrate, shell, ...   (manage.py django-help)
"""
CONTROL_ROOM = ("configure", "first_run", "relay", "reset_login", "token")


def main(argv: list[str]) -> int:
    """Run one command and return its exit code: 0, 1 (did not hold) or 2 (bad input)."""
    _accept_every_terminal()
    command = argv[0] if argv else "--help"
    if command in PLAIN:
        return int(importlib.import_module(PLAIN[command]).main(argv[1:]))
    if command in {"-h", "--help", "help"}:
        sys.stdout.write(HELP.format(plain=" · ".join(PLAIN), rest=" · ".join(CONTROL_ROOM)))
        return 0
    arguments = ["help"] if command == "django-help" else _take_data_directory(argv)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "controlroom.settings")
    management = importlib.import_module("django.core.management")
    management.execute_from_command_line([sys.argv[0], *arguments])
    return 0


def _enter_environment() -> None:
    """Go on in the tree's own .venv if this Python lacks the packages: who types `./manage.py kill` is in a hurry."""
    own = os.path.join(os.path.dirname(os.path.abspath(__file__)), ".venv", "bin", "python")  # noqa: PTH100, PTH118, PTH120
    if importlib.util.find_spec("msgspec") is None and os.access(own, os.X_OK):
        os.execv(own, [own, *sys.argv])  # noqa: S606 - the same command line, by the right interpreter


def _accept_every_terminal() -> None:
    """Print "?" for what the output's encoding lacks: a locale must never end a command."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _take_data_directory(argv: list[str]) -> list[str]:
    """Move --data-dir into the environment: Django's settings need it before a command's own options are read."""
    rest: list[str] = []
    waiting = False
    for argument in argv:
        name, equals, value = argument.partition("=")
        if waiting:
            os.environ["STATION_DATA_DIR"] = os.path.abspath(argument)  # noqa: PTH100 - pathlib costs every command a start-up
            waiting = False
        elif name == "--data-dir" and equals:
            os.environ["STATION_DATA_DIR"] = os.path.abspath(value)  # noqa: PTH100
        elif name == "--data-dir":
            waiting = True
        else:
            rest.append(argument)
    if waiting:
        sys.stderr.write("--data-dir needs a directory after it\n")
        raise SystemExit(2)
    return rest


if __name__ == "__main__":
    _enter_environment()
    try:
        raise SystemExit(main(sys.argv[1:]))
    except KeyboardInterrupt:  # before a command has taken the signal over
        raise SystemExit(130) from None
