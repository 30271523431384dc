"""What every test may use, and what none may: the world outside, or a station that happens to run."""

import atexit
import collections
import os
import shutil
import socket
import tempfile
import time
import uuid
from pathlib import Path

import msgspec
import pytest
from django.conf import settings
from hypothesis import settings as hypothesis_settings
from xdist.scheduler import LoadScopeScheduling

from events.paths import DataPaths
from tests.questdb.server import QuestDB

ROOT = Path(__file__).resolve().parent.parent
PRIVATE = Path(tempfile.mkdtemp(prefix="stt-"))  # short: a UNIX socket's path may have 108 bytes
LEFT_OUT = pytest.StashKey[list[str]]()

hypothesis_settings.register_profile("station", deadline=None)  # a busy machine is no failure
hypothesis_settings.load_profile("station")
atexit.register(shutil.rmtree, PRIVATE, ignore_errors=True)
os.environ["STATION_DATA_DIR"] = str(PRIVATE / "data")
os.environ["PLAYWRIGHT_SKIP_VALIDATE_HOST_REQUIREMENTS"] = "1"


def data_folder() -> Path:
    """Return the folder of real market data."""
    return Path(os.environ.get("STATION_DATA") or ROOT.parent / "shared" / "data").resolve()


def pytest_addoption(parser):
    """Let tests/faults write what they find."""
    parser.addoption("--write-faults", action="store_true", help="write docs/faults.md from what the tests find")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config):
    """Let tests connect to this machine only, and keep Django away from the data directory of the tree."""
    config.option.allow_hosts = "127.0.0.1,::1"
    config.option.allow_unix_socket = True
    config.stash[LEFT_OUT] = []
    settings.DATA = DataPaths(PRIVATE / "data")
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items):
    """Leave out what needs absent market data; put first what starts a station or a browser, the longest chain."""
    if not data_folder().is_dir():
        without = [item for item in items if item.get_closest_marker("realdata")]
        if without and os.environ.get("STATION_DATA"):
            raise pytest.UsageError(f"STATION_DATA = {data_folder()} is no folder; {len(without)} tests need it")
        items[:] = [item for item in items if item not in without]
        config.hook.pytest_deselected(items=without)
        config.stash[LEFT_OUT].extend(item.location[0] for item in without)
    items.sort(key=lambda item: not (item.get_closest_marker("station") or item.get_closest_marker("browser")))


class OneStationAtATime(LoadScopeScheduling):
    """Hands out whole files, and all files that start a station or a browser as one."""

    def _split_scope(self, nodeid):
        file = nodeid.split("::", 1)[0]
        text = (ROOT / file).read_text()
        return "station" if "mark.station" in text or "mark.browser" in text else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Schedule so wherever files are handed out whole."""
    return OneStationAtATime(config, log) if config.getvalue("dist") == "loadfile" else None


def pytest_sessionfinish(session):
    """Send what a test process left out to the one that reports."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["left_out"] = session.config.stash[LEFT_OUT]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):
    """Take it in; every test process has left out the same."""
    node.config.stash[LEFT_OUT] = getattr(node, "workeroutput", {}).get("left_out", [])


def pytest_terminal_summary(terminalreporter, config):
    """Name what was left out, and say how long linters and tests took together."""
    files = collections.Counter(config.stash[LEFT_OUT])
    if files:
        names = ", ".join(f"{file} ({count})" for file, count in sorted(files.items()))
        terminalreporter.write_line(f"Left out, for there is no market data in {data_folder()}: {names}")
    began = os.environ.get("STATION_CHECKS_BEGAN")
    if began:
        terminalreporter.write_line(f"Linters and tests took {time.time() - float(began):.0f} s.")


@pytest.fixture(scope="session")
def station_data():
    """Real market data; only tests marked ``realdata`` may ask for it."""
    return data_folder()


@pytest.fixture
def free_port():
    """Return a port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def short_dir():
    """Yield an empty private folder with a short path, for UNIX sockets."""
    folder = Path(tempfile.mkdtemp(prefix="d-", dir=PRIVATE))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def questdb_process(tmp_path_factory):
    """Start a real QuestDB, once a test process."""
    with QuestDB(DataPaths(tmp_path_factory.mktemp("questdb"))) as server:
        server.start()
        yield server


@pytest.fixture(scope="session")
def questdb_server(questdb_process):
    """Return the address of a real QuestDB that runs."""
    return questdb_process.address


@pytest.fixture
def questdb_address(questdb_server):
    """Return the address of an empty store: tables of a name of their own."""
    return msgspec.structs.replace(questdb_server, prefix=f"t{uuid.uuid4().hex[:12]}_")


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args):
    """Start the system's Chromium; as root it has no sandbox."""
    names = (os.environ.get("STATION_CHROMIUM"), "chromium", "chromium-browser", "google-chrome")
    path = next((found for name in names if name and (found := shutil.which(name))), None)
    assert path, "Chromium is not installed; ./station test --install does it"
    arguments = ["--no-sandbox"] if os.getuid() == 0 else []
    return {**browser_type_launch_args, "executable_path": path, "args": arguments}
