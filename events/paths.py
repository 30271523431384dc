"""Where everything of one station lies: the data directory's layout, in one place."""

import hashlib
import os
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path

UNIX_PATH_LIMIT = 100  # sockaddr_un holds 108 bytes; servers add suffixes while they start


@dataclass(frozen=True)
class DataPaths:
    """Paths below one data directory; nothing is created by asking."""

    root: Path

    @property
    def journal(self) -> Path:
        """Journals, one folder a writer."""
        return self.root / "journal"

    @property
    def store(self) -> Path:
        """The embedded time-series store, written by the recorder alone."""
        return self.root / "store.sqlite3"

    @property
    def questdb(self) -> Path:
        """Settings and data of the station's own QuestDB, where it has one."""
        return self.root / "questdb"

    @property
    def database(self) -> Path:
        """The web application's database."""
        return self.root / "django.sqlite3"

    @property
    def secrets(self) -> Path:
        """Keys and passwords, 0700."""
        return self.root / "secrets"

    @property
    def keys(self) -> Path:
        """Signing, approvals and competition keys, 0700; the public halves lie beside them."""
        return self.root / "keys"

    @property
    def checkpoints(self) -> Path:
        """Signed checkpoints, one file of JSON lines a journal, written by the signer alone."""
        return self.root / "checkpoints"

    @property
    def logs(self) -> Path:
        """JSON logs, one file a process."""
        return self.root / "logs"

    @property
    def run(self) -> Path:
        """What lives as long as a run: generated configuration, pid, the run's description (run.json)."""
        return self.root / "run"

    @property
    def valkey(self) -> Path:
        """Data of the two embedded servers, `bus` and `web`."""
        return self.root / "valkey"

    @property
    def feeds(self) -> Path:
        """Counters of the feeds, one file each."""
        return self.root / "feeds"

    @property
    def kill_file(self) -> Path:
        """Present or unreadable: killed. Deleting it releases nothing."""
        return self.root / "kill" / "KILL"

    @property
    def settings(self) -> Path:
        """The operator's own defaults, optional."""
        return self.root / "settings.toml"

    @property
    def lock(self) -> Path:
        """Held by the one station of this data directory."""
        return self.root / "station.lock"

    def socket(self, name: str) -> Path:
        """Return the path of a UNIX socket: in the data directory, or in a private short folder if that is too long."""
        path = self.run / f"{name}.sock"
        if len(os.fsencode(str(path.absolute()))) <= UNIX_PATH_LIMIT:
            return path.absolute()
        digest = hashlib.sha256(os.fsencode(str(self.root.absolute()))).hexdigest()[:16]
        folder = Path(tempfile.gettempdir()) / f"station-{os.getuid()}-{digest}"
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
            raise PermissionError(f"socket folder {folder} must be a directory of this user with mode 0700")
        return folder / f"{name}.sock"
