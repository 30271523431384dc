"""Who may release the kill, flatten and resume under PAPER: password and one-time code, checked in own sealed files."""

import hashlib
import hmac
import os
import secrets
import stat
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

import msgspec

from worker.onetime import CodeRefusedError, Codes

COST, BLOCK, LANES = 1 << 15, 8, 1  # scrypt's n, r, p: 32 MiB and about a tenth of a second
MEMORY_LIMIT = 128 << 20
TRIES, WINDOW_S = 5, 900.0
REASON_LIMIT = 500


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One person's password: scrypt's parameters, salt and hash in hexadecimal."""

    salt: str
    n: int
    r: int
    p: int
    hash: str


class Credentials(msgspec.Struct, frozen=True, kw_only=True):
    """What a person types to act on the trading: name, password, and an unused one-time or recovery code."""

    user: str
    password: str
    code: str = ""


class ReleaseRefusedError(Exception):
    """One sentence that says why the kill stays."""


def make_entry(password: str) -> Entry:
    """Return the entry of ``secrets/release.json`` for a password."""
    salt = secrets.token_bytes(16)
    made = hashlib.scrypt(password.encode(), salt=salt, n=COST, r=BLOCK, p=LANES, maxmem=MEMORY_LIMIT, dklen=32)
    return Entry(salt=salt.hex(), n=COST, r=BLOCK, p=LANES, hash=made.hex())


class Passwords:
    """Verifies people against the sealed files; five wrong passwords or codes within 15 minutes close it for so long.

    ``codes`` None judges passwords alone and refuses every code.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic, *, codes: Codes | None = None) -> None:
        self._path = path
        self._clock = clock
        self.codes = codes
        self._wrong: dict[str, deque[float]] = {}  # by person: nobody closes it to the others
        self._one = threading.Lock()  # guesses sent at once are judged one after the other

    def verify(self, user: str, password: str, reason: str, code: str | None = None) -> None:
        """Return if this person may act, with this reason; uses the code up. ``code`` None asks for no code.

        Raises
        ------
        ReleaseRefusedError
            if the reason is missing or too long, password or code wrong, the tries used up, a file not to be trusted.
        """
        with self._one:
            self._verify(user, password, reason, code)

    def _verify(self, user: str, password: str, reason: str, code: str | None) -> None:
        if not 1 <= len(reason.strip()) <= REASON_LIMIT:
            raise ReleaseRefusedError(f"reason has {len(reason)} characters; give 1 to {REASON_LIMIT}")
        now = self._clock()
        wrong = self._wrong.setdefault(user if user in self._entries() else "", deque(maxlen=TRIES))
        if len(wrong) == TRIES and now - wrong[0] < WINDOW_S:
            left = int(WINDOW_S - (now - wrong[0])) + 1
            raise ReleaseRefusedError(f"{TRIES} wrong passwords or codes within 15 minutes; try again in {left} s")
        if not _matches(self._entries().get(user), password):
            wrong.append(now)
            raise ReleaseRefusedError("user or password is wrong, or this person is not of the oversight group")
        if code is not None:
            if self.codes is None:
                raise ReleaseRefusedError("nobody's codes can be judged here")
            try:
                self.codes.use(user, code)
            except CodeRefusedError as error:
                wrong.append(now)
                raise ReleaseRefusedError(str(error)) from error
            wrong.clear()  # by a code alone: who knows the password only gets no further guesses at the code

    def _entries(self) -> dict[str, Entry]:
        try:
            found = self._path.stat()
            if found.st_mode & (stat.S_IRWXG | stat.S_IRWXO) or found.st_uid != os.geteuid():
                raise ReleaseRefusedError(f"{self._path.name} must belong to the worker's user with mode 0600")
            return msgspec.json.decode(self._path.read_bytes(), type=dict[str, Entry])
        except OSError as error:
            raise ReleaseRefusedError(f"{self._path.name} cannot be read ({error.strerror}); set a password") from error
        except msgspec.DecodeError as error:
            raise ReleaseRefusedError(f"{self._path.name} is not in order: {error}") from error


def _matches(entry: Entry | None, password: str) -> bool:
    """Compare in constant time; an unknown person costs as much as a known one."""
    known = entry if entry is not None else make_entry(secrets.token_hex(8))
    try:
        made = hashlib.scrypt(
            password.encode(), salt=bytes.fromhex(known.salt), n=known.n, r=known.r, p=known.p, maxmem=MEMORY_LIMIT,
            dklen=len(known.hash) // 2,
        )  # fmt: skip
    except ValueError as error:
        raise ReleaseRefusedError(f"release.json holds parameters that scrypt refuses: {error}") from error
    return hmac.compare_digest(made.hex(), known.hash) and entry is not None
