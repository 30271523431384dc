import shutil
import tempfile
from pathlib import Path

import pytest

from tests.conftest import PRIVATE
from tests.station.stations import EIGHT, WEEK, finish


@pytest.fixture(scope="session")
def folder():
    """Yield a folder with a short path that lives as long as the tests, for runs that several of them look at."""
    made = Path(tempfile.mkdtemp(prefix="s-", dir=PRIVATE))
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture(scope="session")
def week(station_data):
    """Return the arguments of the reference run: a week of minutes, eight symbols."""
    return "--feed", f"replay:{station_data / WEEK}", "--symbols", EIGHT


@pytest.fixture(scope="session")
def reference(folder, week):
    """Return the reference run, undisturbed and as fast as possible: what all other runs of it are compared with."""
    return finish(folder / "reference", *week, "--speed", "max")
