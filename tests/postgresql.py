"""A PostgreSQL of the tests' own: a temporary cluster on a UNIX socket in a private folder; no port, no password."""

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from urllib.parse import quote

import psycopg

FOLDER = "STATION_TEST_POSTGRESQL"
"""Environment variable: where this session's server is, for the test processes that pytest starts beside the first."""
USER, FIRST = "station", "postgres"
READY_S = 60.0
DIES_WITH_PARENT = ("setpriv", "--pdeathsig", "QUIT", "--")
INITDB = ("--auth=trust", "-E", "UTF8", "--no-locale", "--no-sync", "--no-instructions")
FAST = (
    "fsync=off", "full_page_writes=off", "max_wal_size=256MB", "shared_buffers=32MB",
    "max_connections=60", "autovacuum=off", "logging_collector=off",
)  # fmt: skip
"""A lost cluster of a test costs nothing."""


def binaries() -> Path:
    """Return the folder of initdb and postgres: Debian's newest, or the one on PATH."""
    newest = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda file: float(file.parts[-3]))
    found = newest[-1] if newest else shutil.which("initdb")
    assert found, "PostgreSQL is not installed; ./station test --install does it"
    return Path(found).resolve().parent


class Server:
    """One cluster; ``stop`` and ``start`` may be called in turn."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="stp-"))
        self._process: subprocess.Popen[bytes] | None = None
        self._as = _unprivileged()
        if self._as:
            os.chown(self.folder, *self._as)
        self._command("initdb", "-D", str(self.folder / "data"), "-U", USER, *INITDB)

    def start(self) -> "Server":
        """Start it and wait until it answers."""
        options = [word for setting in FAST for word in ("-c", setting)]
        command = [str(binaries() / "postgres"), "-D", str(self.folder / "data"), "-k", str(self.folder), "-h", ""]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*DIES_WITH_PARENT, *command, *options], stdout=log, stderr=log, **self._who()
            )
        until = time.monotonic() + READY_S
        while True:
            try:
                psycopg.connect(self.url(FIRST)).close()
            except psycopg.OperationalError:
                assert time.monotonic() < until, (self.folder / "log").read_text()[-2000:]
                time.sleep(0.02)
            else:
                return self

    def stop(self, *, at_once: bool = True) -> None:
        """Stop it: as a power cut would (every connection breaks), or waiting for nobody."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT if at_once else signal.SIGINT)
            self._process.wait(READY_S)
            self._process = None

    def close(self) -> None:
        """Stop it and remove it."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def url(self, name: str) -> str:
        return url(self.folder, name)

    def _command(self, name: str, *arguments: str) -> None:
        command = [str(binaries() / name), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False, **self._who())
        assert done.returncode == 0, done.stderr

    def _who(self) -> dict[str, object]:
        environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "TZ": "UTC"}
        common: dict[str, object] = {"cwd": "/", "env": environment}
        return common | ({"user": self._as[0], "group": self._as[1], "extra_groups": []} if self._as else {})


def url(folder: Path | str, name: str) -> str:
    """Return what DATABASE_URL holds for a database of the server in this folder."""
    return f"postgresql://{USER}@{quote(str(folder), safe='')}/{name}"


@contextlib.contextmanager
def database(folder: Path | str, name: str):
    """Yield the URL of an empty database that is gone afterwards, whoever still uses it."""
    with psycopg.connect(url(folder, FIRST), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    try:
        yield url(folder, name)
    finally:
        with psycopg.connect(url(folder, FIRST), autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def _unprivileged() -> tuple[int, int] | None:
    """Return whom the server runs as where we are root, whom it refuses to run as."""
    if os.getuid():
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            found = pwd.getpwnam(name)
            return found.pw_uid, found.pw_gid
    raise AssertionError("root needs a user postgres or nobody to run PostgreSQL as")
