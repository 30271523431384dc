import shutil

import pytest

from events.paths import DataPaths
from tests.audit.signed import build


@pytest.fixture(scope="session")
def signed_station(tmp_path_factory):
    """A signed station and the copies of its checkpoints; only to be read."""
    folder = tmp_path_factory.mktemp("signed")
    return build(folder / "data", folder / "kept"), folder / "kept"


@pytest.fixture
def station(signed_station, tmp_path):
    """A copy of it that a test may change."""
    paths, kept = signed_station
    shutil.copytree(paths.root, tmp_path / "data")
    shutil.copytree(kept, tmp_path / "kept")
    return DataPaths(tmp_path / "data"), tmp_path / "kept"
