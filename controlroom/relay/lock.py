"""One relay at a time: a file's lock in the data directory, or PostgreSQL's where that is the database."""

import fcntl
import os
from pathlib import Path

from django.db import connection

ADVISORY = 0x5354_4154  # any number, as long as nobody else takes it in this database


class RelayLock:
    """Held until it is given back or the process ends, however it ends."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "relay.lock"
        self._handle = -1

    def take(self) -> bool:
        """Return whether this process is the one relay now."""
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_try_advisory_lock(%s)", [ADVISORY])
                return bool(cursor.fetchone()[0])
        self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(self._file, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            return False
        self._handle = handle
        return True

    def give_back(self) -> None:
        """Let another process be the relay; PostgreSQL's lock ends with its connection."""
        if connection.vendor == "postgresql":
            connection.close()
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1
