"""What every test may use: the market data's folder, and nothing of the world outside."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def data_folder() -> Path:
    """Return the folder of real market data."""
    return Path(os.environ.get("STATION_DATA", ROOT.parent / "shared" / "data")).resolve()


@pytest.fixture(scope="session")
def station_data() -> Path:
    """Real market data; only tests marked ``realdata`` may ask for it."""
    return data_folder()
