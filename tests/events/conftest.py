import pathlib
import shutil
import subprocess
import tempfile
import time

import pytest

from events import embedded
from events.paths import DataPaths


class Server:
    """A real embedded Valkey of its own data directory."""

    def __init__(self, paths: DataPaths, which: str = "bus") -> None:
        self.paths, self.which = paths, which
        self.process: subprocess.Popen | None = None

    def start(self) -> None:
        self.process = subprocess.Popen(embedded.valkey_command(self.paths, self.which), stdout=subprocess.DEVNULL)
        until = time.monotonic() + 30
        while not embedded.probe(self.paths, self.which):
            assert self.process.poll() is None, "the Valkey server ended"
            assert time.monotonic() < until, "the Valkey server does not answer"
            time.sleep(0.02)

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(timeout=30)
            self.process = None


@pytest.fixture(scope="module")
def bus_server():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="bus-"))
    server = Server(DataPaths(folder))
    server.start()
    yield server
    server.stop()
    shutil.rmtree(folder)
