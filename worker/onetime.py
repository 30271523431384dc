"""One-time codes of people (RFC 6238) and their recovery codes: ``secrets/codes.json``, 0600, beside ``release.json``.

Worker and control room use the same file under the same lock, so that a code is used once by whichever sees it first,
and a release can be judged while web, database and bus are down. Recovery codes are kept as hashes.
"""

import fcntl
import hashlib
import hmac
import os
import secrets
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pyotp

from audit.files import write_file

NAME = "codes.json"
ISSUER = "AI Trading Station"
STEP_S = 30
WINDOW = 1  # steps before and after the present one: a telephone's clock may be half a minute off
RECOVERY_CODES = 10
LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"  # none that looks like another


class Device(msgspec.Struct, kw_only=True):
    """One person's device: secret in base 32, the last step whose code was used, hashes of unused recovery codes."""

    secret: str = ""
    pending: str = ""  # offered, not yet confirmed by a first code
    since_ns: int = 0
    step: int = 0
    salt: str = ""
    recovery: list[str] = []


class CodeRefusedError(Exception):
    """One sentence that says why a code does not count."""


class Codes:
    """The devices of all people of one data directory; every method reads the file anew under its lock."""

    def __init__(self, path: Path, now: Callable[[], float] = time.time) -> None:
        self.path = path
        self._now = now

    def enrolled(self, user: str) -> bool:
        """Return whether this person has confirmed a device.

        Raises
        ------
        CodeRefusedError
            if the file is not to be trusted.
        """
        return bool(self._device(user).secret)

    def since_ns(self, user: str) -> int:
        """Return since when the device counts, UTC nanoseconds; 0 where there is none."""
        device = self._device(user)
        return device.since_ns if device.secret else 0

    def recovery_left(self, user: str) -> int:
        """Return how many recovery codes are unused."""
        return len(self._device(user).recovery)

    def begin(self, user: str) -> str:
        """Offer a new device's secret, the same one until it is confirmed; the present device counts until then."""
        with self._devices() as devices:
            device = devices.setdefault(user, Device())
            device.pending = device.pending or pyotp.random_base32()
            return device.pending

    def confirm(self, user: str, code: str) -> list[str]:
        """Take the offered device by its first code, which is used by that; return ten recovery codes, shown once.

        Raises
        ------
        CodeRefusedError
            if nothing was offered or the code is not the device's.
        """
        with self._devices() as devices:
            device = devices.get(user, Device())
            if not device.pending:
                raise CodeRefusedError("no device was offered; begin with its QR code")
            step = self._step(device.pending, code, after=0)
            if not step:
                raise CodeRefusedError("this is not the new device's code; wait for the next one and type that")
            shown, salt = [_recovery_code() for _ in range(RECOVERY_CODES)], secrets.token_hex(16)
            devices[user] = Device(
                secret=device.pending, since_ns=int(self._now() * 1e9), step=step, salt=salt,
                recovery=[_hashed(one, salt) for one in shown],
            )  # fmt: skip
        return shown

    def use(self, user: str, code: str) -> str:
        """Use a code up and return what it was, "code" or "recovery code".

        Raises
        ------
        CodeRefusedError
            if the person has no device, or the code is wrong or was used before.
        """
        with self._devices() as devices:
            device = devices.get(user, Device())
            if not device.secret:
                raise CodeRefusedError(
                    f"{user} has no one-time code yet; the control room's page One-time codes makes one, and so does "
                    f"`manage.py codes enrol --user {user}`"
                )
            typed = _plain(code)
            if typed.isascii() and typed.isdecimal():
                step = self._step(device.secret, typed, after=device.step)
                if not step:
                    raise CodeRefusedError("the one-time code is wrong or was used before; wait for the next one")
                device.step = step
                return "code"
            if not typed:
                raise CodeRefusedError("a one-time code of the person's device is needed, or a recovery code")
            hashed = _hashed(typed, device.salt)
            if not any(hmac.compare_digest(hashed, one) for one in device.recovery):
                raise CodeRefusedError("the recovery code is wrong or was used before")
            device.recovery.remove(hashed)
            return "recovery code"

    def remove(self, user: str) -> None:
        """Forget a person's device."""
        if self.path.exists():
            with self._devices() as devices:
                devices.pop(user, None)

    def _device(self, user: str) -> Device:
        return self._read().get(user, Device()) if self.path.exists() else Device()

    def _step(self, secret: str, code: str, *, after: int) -> int:
        """Return the step whose code this is, 0 if none in the window is; a step counts only after the last used."""
        present, found = int(self._now()) // STEP_S, 0
        try:
            totp = pyotp.TOTP(secret, interval=STEP_S)
        except ValueError as error:
            raise CodeRefusedError(f"{self.path.name} is not in order: {error}") from error
        for step in range(present - WINDOW, present + WINDOW + 1):
            if hmac.compare_digest(totp.generate_otp(step), _plain(code)) and step > after:
                found = step
        return found

    def _read(self) -> dict[str, Device]:
        try:
            found = self.path.stat()
            if found.st_mode & (stat.S_IRWXG | stat.S_IRWXO) or found.st_uid != os.geteuid():
                raise CodeRefusedError(f"{self.path.name} must belong to the station's user with mode 0600")
            return msgspec.json.decode(self.path.read_bytes(), type=dict[str, Device])
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise CodeRefusedError(f"{self.path.name} cannot be read ({error.strerror})") from error
        except msgspec.DecodeError as error:
            raise CodeRefusedError(f"{self.path.name} is not in order: {error}") from error

    @contextmanager
    def _devices(self) -> Iterator[dict[str, Device]]:
        """Hand out the devices and write them back whole, one at a time among all processes; not after an error."""
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = os.open(self.path.with_name(f".{self.path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise CodeRefusedError(f"{self.path.name} cannot be locked ({error.strerror})") from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            devices = self._read()
            yield devices
            try:
                write_file(self.path, msgspec.json.encode(devices))
            except OSError as error:  # a use that cannot be noted does not count: it could be repeated
                raise CodeRefusedError(f"{self.path.name} cannot be written ({error.strerror})") from error
        finally:
            os.close(lock)


def uri(user: str, secret: str) -> str:
    """Return what a QR code carries (otpauth://totp/...)."""
    return pyotp.TOTP(secret, interval=STEP_S).provisioning_uri(name=user, issuer_name=ISSUER)


def _recovery_code() -> str:
    return "-".join("".join(secrets.choice(LETTERS) for _ in range(5)) for _ in range(3))


def _plain(code: str) -> str:
    return "".join(letter for letter in code[:64].upper() if letter.isalnum() and letter.isascii())


def _hashed(code: str, salt: str) -> str:
    """Return HMAC-SHA-256: a code has 75 random bits, so that a slow hash would protect nothing more."""
    return hmac.new(bytes.fromhex(salt), _plain(code).encode(), hashlib.sha256).hexdigest()
