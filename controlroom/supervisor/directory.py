"""The data directory of one run: made, locked, found writable and of the same source, or refused unchanged."""

import errno
import fcntl
import json
import os
import shutil
import socket
from pathlib import Path
from typing import Any, Self

from controlroom.supervisor.errors import BadInputError
from events.paths import DataPaths
from events.reader import JournalReader
from events.segments import JournalError

FREE_BYTES = 256 * 1024 * 1024
"""Two preallocated journal segments, the databases and the logs of a short run."""

IDENTITY = ("feed", "symbols", "interval_s", "stances", "actions", "source")
"""Fields of the run description that a data directory keeps for life: its journals hold one market's history."""


OURS = {"station.lock", "journal", "settings.toml", "kill", "valkey", "store.sqlite3", "django.sqlite3", "questdb"}
"""One of these in a directory says that it is a station's, or is meant to be: no other may be made private."""


class DataDirectory:
    """Owns the directory while the station runs; a context manager that gives the lock back."""

    def __init__(self, paths: DataPaths) -> None:
        self.paths = paths
        self._made: list[Path] = []
        self._was_empty = False
        self._lock = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.unlock()

    def take(self, port: int) -> None:
        """Make the directory 0700, take its lock and prove that it can be written.

        Raises
        ------
        BadInputError
            if another station holds it, or its disk is full or read-only.
        """
        try:
            self._make()
            self._take_lock(port)
            self._try_disk()
        except OSError as error:
            self.undo()
            raise BadInputError(_sentence(self.paths.root, error)) from error
        except BadInputError:
            self.undo()
            raise

    def unlock(self) -> None:
        """Give the lock back; its file stays, since removing a lock file lets two processes hold it."""
        if self._lock >= 0:
            os.ftruncate(self._lock, 0)
            os.close(self._lock)
            self._lock = -1

    def undo(self) -> None:
        """Remove what this run made in a directory that was absent or empty: a failed start leaves nothing."""
        self.unlock()
        if self._made:
            shutil.rmtree(self.paths.root, ignore_errors=True)
        elif self._was_empty:
            for entry in self.paths.root.iterdir():
                if entry.is_dir():
                    shutil.rmtree(entry, ignore_errors=True)
                else:
                    entry.unlink()
        for folder in reversed(self._made[:-1]):
            try:
                folder.rmdir()
            except OSError:
                return

    def refuse_another_source(self, description: dict[str, Any]) -> None:
        """Compare with the run description that the directory holds.

        Raises
        ------
        BadInputError
            if its journals are of another source: their positions mean nothing there.
        """
        if not any(self.paths.journal.glob("*/*.seg")):
            return
        try:
            before = json.loads((self.paths.run / "run.json").read_text())
        except (OSError, ValueError):
            before = _journaled(self.paths)
        held = before.get("feed") or before.get("source", {}).get("feed")
        for field in IDENTITY:
            if field in before and before[field] != json.loads(json.dumps(description.get(field))):
                raise BadInputError(
                    f"--data-dir = {self.paths.root} holds a run of {held} with another {field} "
                    f"({_short(before.get(field))}, now {_short(description.get(field))}); "
                    "give this run a --data-dir of its own"
                )

    def _make(self) -> None:
        missing = [folder for folder in (self.paths.root, *self.paths.root.parents) if not folder.exists()]
        for folder in reversed(missing):
            folder.mkdir(mode=0o700)
            self._made.append(folder)
        if not self._made:
            self._adopt()

    def _adopt(self) -> None:
        """Take a directory that is there; what is in it becomes private."""
        if not self.paths.root.is_dir():
            raise BadInputError(f"--data-dir = {self.paths.root} is a file; it must be a directory")
        if not os.access(self.paths.root, os.R_OK | os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self.paths.root))
        entries = {entry.name for entry in self.paths.root.iterdir()}
        if entries and not entries & OURS:
            raise BadInputError(
                f"--data-dir = {self.paths.root} holds other files and no station's data; "
                "give an empty or a new directory, which the station makes private (mode 700)"
            )
        found = self.paths.root.stat()
        if found.st_uid != os.getuid():
            raise BadInputError(
                f"--data-dir = {self.paths.root} belongs to another user (uid {found.st_uid}); "
                "start the station as that one, or give a directory of your own"
            )
        if found.st_mode & 0o077:
            self.paths.root.chmod(found.st_mode & 0o700)
        self._was_empty = not entries

    def _take_lock(self, port: int) -> None:
        self._lock = os.open(self.paths.lock, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = self._holder()
            os.close(self._lock)
            self._lock = -1
            self._made, self._was_empty = [], False  # the other one's now
            raise BadInputError(
                f"--data-dir = {self.paths.root} is in use by the station of process {holder.get('pid', '?')} on port "
                f"{holder.get('port', '?')}; stop that one or give this one another --data-dir and --port"
            ) from None
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, json.dumps({"pid": os.getpid(), "port": port}).encode(), 0)

    def _holder(self) -> dict[str, Any]:
        try:
            found = json.loads(os.pread(self._lock, 4096, 0))
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}

    def _try_disk(self) -> None:
        free = shutil.disk_usage(self.paths.root).free
        if free < FREE_BYTES:
            raise BadInputError(
                f"--data-dir = {self.paths.root}: its disk is full ({free // 2**20} MiB left, "
                f"at least {FREE_BYTES // 2**20} MiB are needed); free some space or give another --data-dir"
            )
        for folder in (self.paths.run, self.paths.logs, self.paths.secrets, self.paths.valkey, self.paths.journal):
            folder.mkdir(mode=0o700, exist_ok=True)
        trial = self.paths.run / ".trial"
        trial.write_bytes(b"\0" * 65536)
        trial.unlink()


def _journaled(paths: DataPaths) -> dict[str, Any]:
    """Return source and symbols of the journal's first configuration: what a lost run.json would have said of them."""
    try:
        for record in JournalReader(paths.journal / "execution").read():
            if record.type != "ControlEvent":
                continue
            event = json.loads(bytes(record.payload))
            if event["action"] == "configure":
                symbols = [each["symbol"] for each in event["content"]["instruments"]]
                return {"symbols": symbols, "source": event["content"]["source"]}
    except JournalError:
        return {}  # the worker says which record, and refuses
    return {}


def _sentence(root: Path, error: OSError) -> str:
    place = error.filename or root
    if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
        return f"--data-dir = {root} cannot be written ({place}: {error.strerror}); give a directory of your own"
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return f"--data-dir = {root}: its disk is full; free some space or give another --data-dir"
    return f"--data-dir = {root} cannot be used ({place}: {error.strerror}); give another directory"


def _short(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 80 else text[:77] + "..."


def check_port(host: str, port: int) -> None:
    """Find out whether the web pages can have this port.

    Raises
    ------
    BadInputError
        if it is taken or not allowed.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except PermissionError as error:
            raise BadInputError(f"--port = {port} is reserved for the system; choose one from 1024 to 65535") from error
        except OSError as error:
            raise BadInputError(
                f"--port = {port} cannot be had on {host} ({error.strerror}); choose another with --port"
            ) from error


def write_atomically(path: Path, content: str) -> None:
    """Replace a file by complete content, mode 0600."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as handle:
        handle.write(content)
        handle.flush()
        os.fsync(handle.fileno())
    draft.replace(path)
