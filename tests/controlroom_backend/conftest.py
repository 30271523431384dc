"""A data directory, real Valkey servers and people for the control room's tests."""

import contextlib
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pyotp
import pytest
from django.contrib.auth.models import Group

from audit.files import write_file
from audit.keys import create_missing
from controlroom.access.models import User
from controlroom.access.permissions import TOURNAMENT_ADMINISTRATOR
from events.actions import Lease
from events.embedded import probe, valkey_command
from events.paths import DataPaths
from tests.postgresql import FOLDER, database
from worker.onetime import NAME as CODES
from worker.onetime import Device

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 150.0  # of a machine that is busy; Celery alone takes half a minute to find a server again


def until(condition: Callable[[], object], what: str, patience_s: float = PATIENCE_S) -> object:
    """Wait for something to become true and return it."""
    end = time.monotonic() + patience_s
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"{what} did not happen within {patience_s:g} s")


@pytest.fixture(name="until")
def until_fixture() -> Callable[..., object]:
    """The waiting function, for tests that watch other processes."""
    return until


class Servers:
    """The embedded servers of one data directory, to be stopped and started by a test."""

    def __init__(self, paths: DataPaths) -> None:
        self.paths = paths
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, *which: str) -> None:
        for name in which:
            command = valkey_command(self.paths, name)
            self.running[name] = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for name in which:
            until(lambda name=name: probe(self.paths, name), f"server {name} ready", 20.0)

    def stop(self, *which: str) -> None:
        for name in which:
            process = self.running.pop(name)
            process.kill()
            process.wait()

    def close(self) -> None:
        self.stop(*list(self.running))


@pytest.fixture
def paths(tmp_path: Path, settings) -> DataPaths:
    """A data directory of this test alone, known to Django."""
    made = DataPaths(tmp_path / "data")
    for folder in (made.root, made.secrets, made.run):
        folder.mkdir(mode=0o700)
    create_missing(made)
    settings.DATA = made
    return made


@pytest.fixture
def servers(paths: DataPaths) -> Iterator[Servers]:
    """Both embedded servers, running."""
    made = Servers(paths)
    made.start("bus", "web")
    yield made
    made.close()


class Processes:
    """Processes of a station under test; none outlives it."""

    def __init__(self, paths: DataPaths, database_url: str) -> None:
        self.environment = {**os.environ, "STATION_DATA_DIR": str(paths.root), "PYTHONPATH": str(ROOT)}
        self.environment["DATABASE_URL"] = database_url
        self.started: list[subprocess.Popen[bytes]] = []
        self.log = (paths.root / "processes.log").open("wb")

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, *arguments], env=self.environment, cwd=ROOT, stdout=self.log, stderr=self.log
        )
        self.started.append(process)
        return process

    def run(self, *arguments: str) -> None:
        subprocess.run(
            [sys.executable, *arguments], env=self.environment, cwd=ROOT, stdout=self.log, stderr=self.log, check=True
        )

    def close(self) -> None:
        for process in self.started:
            process.kill()
            process.wait()
        self.log.close()


@pytest.fixture
def database_url() -> Iterator[str]:
    """An empty database of this test alone for its processes; "" is SQLite in its data directory."""
    folder = os.environ.get(FOLDER)
    if folder is None:
        yield ""
        return
    with database(folder, f"of_{uuid.uuid4().hex}") as url:
        yield url


@pytest.fixture
def processes(paths: DataPaths, database_url: str) -> Iterator[Processes]:
    """Starts real processes on this test's data directory."""
    made = Processes(paths, database_url)
    yield made
    made.close()


PASSWORD = "correct-horse-battery-staple"
SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"


def code_of(paths: DataPaths, name: str) -> str:
    """Give a person a device, or let the one they have forget what was used; return a code of it."""
    file, devices = paths.secrets / CODES, {}
    if file.exists():
        devices = msgspec.json.decode(file.read_bytes(), type=dict[str, Device])
    devices[name] = msgspec.structs.replace(devices.get(name, Device(since_ns=1)), secret=SECRET, step=0)
    write_file(file, msgspec.json.encode(devices))
    return pyotp.TOTP(SECRET).now()


@pytest.fixture(autouse=True)
def quick_hash(settings) -> None:
    """Passwords of tests are hashed quickly; the real hasher has a test of its own."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher", *settings.PASSWORD_HASHERS]


@pytest.fixture
def person(db, paths) -> Callable[..., object]:
    """Makes a person of some roles."""

    def make(*roles: str, name: str = "", superuser: bool = False):
        user = User.objects.create_user(name or f"{'-'.join(roles) or 'nobody'}{'-su' * superuser}".replace(" ", "-"))
        user.set_password(PASSWORD)
        user.is_superuser = user.is_staff = superuser
        user.save()
        user.groups.set(Group.objects.filter(name__in=roles))
        return user

    return make


@pytest.fixture
def no_heartbeat(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leases of rounds without a heartbeat: it is a thread, from which a test's open transaction hides the job."""
    from controlroom.jobs import rounds  # noqa: PLC0415 - few tests of this folder hold a round
    from tournaments.holding import actions as holding  # noqa: PLC0415

    for module in (holding, rounds):
        monkeypatch.setattr(module, "kept_lease", lambda **_: contextlib.nullcontext(Lease()))


@pytest.fixture
def administrator(db: None, paths: DataPaths, person: Callable[..., User]) -> User:
    """A tournament administrator who has put rules in force that are small enough for a test."""
    from tournaments import actions  # noqa: PLC0415 - as above

    boss = person(TOURNAMENT_ADMINISTRATOR)
    actions.draft_rules(changes={"stress_paths": 20, "stress_symbols": 2}, reason="small for a test", actor=boss)
    actions.activate_rules(version=1, reason="small for a test", actor=boss)
    return boss
