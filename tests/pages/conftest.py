"""A real bus and store below the Django test client; the test plays the worker."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import redis
from django.contrib.auth.models import Group
from django.test import Client

from controlroom.access.actions import sync_roles
from controlroom.access.models import User
from controlroom.access.permissions import STRATEGY_DEVELOPER, TOURNAMENT_ADMINISTRATOR
from controlroom.live import source
from controlroom.pages import store
from controlroom.pages.tournaments import evolution, season, simulator
from events import bus
from events.embedded import valkey_command
from events.models import Job
from events.paths import DataPaths
from events.streams import WORKER_SNAPSHOT
from tests.browser import recorded, scripted


class Station:
    """The data directory of these tests."""

    def __init__(self, paths: DataPaths, worker: redis.Redis) -> None:
        self.paths, self.worker = paths, worker

    def publish(self, view: dict[str, Any], beats: dict[str, dict[str, Any]] | None = None) -> None:
        """Publish a view and the worker's beat."""
        self.worker.xadd(WORKER_SNAPSHOT, {"view": msgspec.json.encode(view)}, maxlen=4)
        beat = (beats or scripted.beats())["worker"]
        self.worker.set("status.worker", msgspec.json.encode(beat), ex=10)


@pytest.fixture(scope="session")
def station_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Station]:
    """One bus and one filled store for all tests of this folder."""
    paths = DataPaths(tmp_path_factory.mktemp("pages"))
    server = subprocess.Popen(valkey_command(paths, "bus"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    worker = bus.connect(paths, "worker", deadline_s=20)
    scripted.fill_store(paths.store)
    recorded.fill(paths)
    yield Station(paths, worker)
    worker.close()
    server.kill()
    server.wait()


@pytest.fixture
def station(station_folder: Station, settings: Any) -> Iterator[Station]:
    """The station as Django knows it, with an empty bus."""
    settings.DATA = station_folder.paths
    source._hubs.clear()
    for key in station_folder.worker.scan_iter("worker.*"):
        station_folder.worker.delete(key)
    for key in station_folder.worker.scan_iter("status.worker"):
        station_folder.worker.delete(key)
    yield station_folder
    source._hubs.clear()
    source._client.cache_clear()
    store._opened.cache_clear()


@pytest.fixture
def person(db: None, settings: Any) -> Callable[..., User]:
    """Make a person with roles, and a hash that costs nothing: no test here is about passwords."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    sync_roles()

    def make(*roles: str, name: str = "operator") -> User:
        user = User.objects.create_user(name, password="a-long-enough-password-1")
        user.groups.set(Group.objects.filter(name__in=roles))
        return user

    return make


@pytest.fixture
def visitor(person: Callable[..., User], client: Client) -> Client:
    """A browser of somebody of the oversight group."""
    client.force_login(person("oversight"))
    return client


@pytest.fixture
def boss(person: Callable[..., User], client: Client, station: Any) -> Client:
    """A browser of a tournament administrator."""
    station.publish(scripted.view())
    client.force_login(person(TOURNAMENT_ADMINISTRATOR, name="boss"))
    return client


@pytest.fixture
def developer(person: Callable[..., User], station: Any) -> Client:
    """A browser of a strategy developer."""
    made = Client()
    made.force_login(person(STRATEGY_DEVELOPER, name="dev"))
    return made


@pytest.fixture(scope="session")
def templates_folder() -> Path:
    """Where the pages' templates lie."""
    return Path(__file__).resolve().parents[2] / "templates"


@pytest.fixture
def rung(monkeypatch: pytest.MonkeyPatch) -> list[Job]:
    """Jobs of tournaments that were rung for."""
    heard: list[Job] = []
    for module in (season, simulator, evolution):
        monkeypatch.setattr(module, "ring", heard.append)
    return heard


@pytest.fixture
def bars(tmp_path: Path) -> Path:
    """A file that is there; nobody reads it here."""
    made = tmp_path / "daily.parquet"
    made.write_bytes(b"PAR1")
    return made
