"""Hands a one-time password to the person: on the terminal if there is one, else in a private file. Never in a log."""

import os
import sys
from pathlib import Path

from controlroom.access.actions import SECOND_USER, OneTime
from events.paths import DataPaths

NAME = "first-login"


def hand_over(paths: DataPaths, made: OneTime, *, terminal: bool) -> str:
    """Say the password and return where, in words that do not contain it."""
    until = f"{made.until:%Y-%m-%d %H:%M} UTC"
    if terminal:
        sys.stderr.write(f"\n  User {made.username}, one-time password {made.password} (until {until})\n\n")
        sys.stderr.flush()
        return f"on this terminal, until {until}"
    file = paths.secrets / (f"{NAME}-{made.username}" if made.username == SECOND_USER else NAME)
    write_private(file, f"user: {made.username}\npassword: {made.password}\nuntil: {until}\n")
    return f"in {file}, until {until}"


def write_private(file: Path, text: str) -> None:
    """Write a file that only the station's user can read, whole or not at all."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as handle:
        handle.write(text)
    draft.replace(file)


def forget(paths: DataPaths, username: str) -> None:
    """Remove a person's file: its password has been replaced."""
    for file in paths.secrets.glob(f"{NAME}*"):
        if file.read_text(encoding="utf-8").startswith(f"user: {username}\n"):
            file.unlink(missing_ok=True)
