"""``secrets/release.json``: with whose password the worker releases a kill while the web application may be down."""

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec

from events.paths import DataPaths
from worker.release import Entry, make_entry

NAME = "release.json"


def seal(paths: DataPaths, *, user: str, password: str) -> None:
    """Let ``user`` release with this password; the password itself is not stored."""
    entry = make_entry(password)
    with _entries(paths) as entries:
        entries[user] = entry


def unseal(paths: DataPaths, *, user: str) -> None:
    """Take the release from ``user``, whose role or password no longer stands."""
    if (paths.secrets / NAME).exists():
        with _entries(paths) as entries:
            entries.pop(user, None)


@contextlib.contextmanager
def _entries(paths: DataPaths) -> Iterator[dict[str, Entry]]:
    """Hand out the entries and write them back whole, one writer at a time; a reader never sees half a file."""
    paths.secrets.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = os.open(paths.secrets / f".{NAME}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        file = paths.secrets / NAME
        entries = msgspec.json.decode(file.read_bytes(), type=dict[str, Entry]) if file.exists() else {}
        yield entries
        _replace(file, msgspec.json.encode(entries))
    finally:
        os.close(lock)


def _replace(file: Path, content: bytes) -> None:
    descriptor, draft = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")  # 0600 by its contract
    try:
        with os.fdopen(descriptor, "wb") as handle:
            handle.write(content)
            handle.flush()
            os.fsync(handle.fileno())
        Path(draft).replace(file)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise
    folder = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
