"""The signer: reads the journals itself and signs their tree heads, at least once a second while there is news.

It may die at any moment. A journal that does not extend what was signed of it is signed no more, loudly; the others go
on.
"""

import fcntl
import logging
import os
import signal
import time
from pathlib import Path

import redis

from audit.arguments import Parser, journals
from audit.copies import Copies, CopyRefusedError
from audit.errors import AuditError
from audit.files import make_private
from audit.keys import private_key
from audit.ring import RING
from audit.signing import JournalSigner, SigningRefusedError
from events import bus, logs
from events.commandline import BadInputError, complain, existing
from events.embedded import EmbeddedServerError
from events.metrics import Metrics
from events.paths import DataPaths

PAUSE_S = 0.25
BEAT_S = 1.0
AGAIN_S = 5.0  # how long what was refused, or a folder that is away, rests before it is tried again
LAST_PASS_S = 8.0
BUS_ERRORS = (redis.RedisError, OSError, EmbeddedServerError)

log = logging.getLogger("signer")


class Signer:
    """One loop over all journals of a data directory, under a lock that keeps a second signer out.

    Raises
    ------
    AuditError
        if another signer works here.
    """

    def __init__(self, paths: DataPaths, copies: Path | None = None) -> None:
        self._paths = paths
        self._copies = Copies(paths, copies) if copies else None
        self._journals: dict[str, JournalSigner] = {}
        self._refused: dict[str, float] = {}  # journal to when it is tried again
        self._caught_up: dict[str, float] = {}  # journal to when everything durable was signed
        self._copy_again, self._copied = 0.0, True
        self._key_from: tuple[int, int] | None = None
        self._metrics = Metrics("signer")
        self._client: redis.Redis | None = None
        self._next_beat = 0.0
        self.stopping = False
        make_private(paths.checkpoints)
        self._lock = os.open(paths.checkpoints / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._lock)
            raise AuditError(f"another signer works on {paths.root}; one is enough") from error

    def run(self) -> None:
        """Work until :attr:`stopping`, then sign what is left."""
        while not self.stopping:
            moved = self.step()
            self.copy()
            self._beat()
            if not moved:
                time.sleep(PAUSE_S)
            elif not self.behind:
                time.sleep(2 * PAUSE_S)
        until = time.monotonic() + LAST_PASS_S
        while self.step() and time.monotonic() < until:
            pass
        self._copy_again = 0.0
        self.copy()

    @property
    def refused(self) -> list[str]:
        """The journals that are not signed any more."""
        return sorted(self._refused)

    @property
    def behind(self) -> int:
        """How many durable records no checkpoint covers, refused journals left out."""
        return sum(each.unsigned for name, each in self._journals.items() if name not in self._refused)

    def step(self) -> bool:
        """Sign what is new in each journal; return whether there was any."""
        moved = False
        for writer in journals(self._paths):
            if self._refused.get(writer, 0.0) > time.monotonic():
                continue
            signer = self._journals.setdefault(writer, JournalSigner(self._paths, writer))
            try:
                self._load_key()
                moved = signer.step(self._key) or moved
                self._refused.pop(writer, None)
            except (AuditError, OSError) as error:
                self._refuse(writer, error)
            if not signer.unsigned:
                self._caught_up[writer] = time.monotonic()
        return moved

    def close(self) -> None:
        """Give files, lock and connection back."""
        for each in self._journals.values():
            each.close()
        os.close(self._lock)
        if self._client is not None:
            self._client.close()

    def _load_key(self) -> None:
        """Read the key at first and whenever the ring has changed: a rotation takes effect at once."""
        try:
            found = (self._paths.keys / RING).stat()
        except FileNotFoundError:
            raise AuditError(f"{self._paths.keys} has no keys; make them with `manage.py keys create`") from None
        if self._key_from != (found.st_mtime_ns, found.st_size):
            self._key = private_key(self._paths, "signing")
            self._key_from = (found.st_mtime_ns, found.st_size)

    def _refuse(self, writer: str, error: Exception) -> None:
        if writer not in self._refused:
            kind = "does not extend what was signed" if isinstance(error, SigningRefusedError) else "cannot be signed"
            log.critical("journal %s %s: %s", writer, kind, error)
        self._refused[writer] = time.monotonic() + AGAIN_S
        self._journals.pop(writer).close()  # the next attempt reads everything again
        self._journals[writer] = JournalSigner(self._paths, writer)

    def copy(self) -> None:
        """Bring the copies up to date; where their folder is away, say so once and try again later."""
        if self._copies is None or time.monotonic() < self._copy_again:
            return
        try:
            self._copies.bring_up_to_date()
        except (OSError, CopyRefusedError) as error:
            if self._copied:
                log.warning("--checkpoint-dir: %s; checkpoints go on here and are copied when it can be used", error)
            self._copied, self._copy_again = False, time.monotonic() + AGAIN_S
            return
        if not self._copied:
            log.info("--checkpoint-dir %s has every checkpoint again", self._copies.folder)
        self._copied = True

    def _beat(self) -> None:
        now = time.monotonic()
        if now < self._next_beat:
            return
        self._next_beat = now + BEAT_S
        gauge = self._metrics.gauge
        for writer, each in self._journals.items():
            gauge(f"signed_seq_{writer}").set(each.signed_seq)
        ages = [now - self._caught_up.get(writer, now) for writer, each in self._journals.items() if each.unsigned]
        gauge("unsigned_age_s").set(round(max(ages, default=0.0), 1))
        gauge("unsigned_records").set(sum(each.unsigned for each in self._journals.values()))
        gauge("refused").set(len(self._refused))
        gauge("own_user").set(int(os.geteuid() != self._paths.root.stat().st_uid))
        gauge("copies_away").set(0 if self._copied else 1)
        try:
            if self._client is None:
                self._client = bus.connect(self._paths, "signer", deadline_s=0.2)
            bus.beat(self._client, "signer", self._metrics.snapshot())
        except BUS_ERRORS as error:
            log.warning("bus: %s; checkpoints go on", error)
            self._next_beat = now + AGAIN_S
            if self._client is not None:
                self._client.close()
                self._client = None


def sign_rest(paths: DataPaths, copies: Path | None = None) -> list[str]:
    """Sign what a stopped station left unsigned; return the journals that are refused.

    Raises
    ------
    AuditError
        if a signer is still at work.
    """
    signer = Signer(paths, copies)
    try:
        while signer.step():
            pass
        signer.copy()
        return signer.refused
    finally:
        signer.close()


def main(argv: list[str]) -> int:
    """Sign until SIGTERM; return 0, 1 if another signer works here, 2 for a bad argument."""
    parser = Parser("signer", __doc__, "signer --data-dir var --checkpoint-dir /media/usb/checkpoints")
    parser.add_argument("--checkpoint-dir", type=Path, help="copy each checkpoint and the public keys there")
    try:
        given = parser.parse_args(argv)
        paths = existing(given.data_dir)
    except BadInputError as error:
        return complain(error)
    if given.checkpoint_dir is not None and given.checkpoint_dir.is_file():
        return complain(BadInputError(f"--checkpoint-dir = {given.checkpoint_dir} is a file; give a folder"))
    logs.configure("signer", paths)
    try:
        signer = Signer(paths, given.checkpoint_dir.absolute() if given.checkpoint_dir else None)
    except (AuditError, OSError) as error:
        return complain(error, 1)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: setattr(signer, "stopping", True))
    try:
        signer.run()
    finally:
        signer.close()
    return 0
