import contextlib
import os
import subprocess
import sys

import psutil
import pytest

from tests.operator.running import ROOT, Running, processes_of, unused_port


@pytest.fixture
def start(short_dir):
    """Return a function that starts a station; whatever it leaves is ended with the test."""
    started = []

    def begin(*arguments, name="station", environment=None):
        data_dir, port = short_dir / name, unused_port()
        clean = {key: value for key, value in os.environ.items() if key not in {"STATION_DATA_DIR", "CI", "DISPLAY"}}
        command = [
            sys.executable,
            str(ROOT / "manage.py"),
            "run",
            "--data-dir",
            str(data_dir),
            "--port",
            str(port),
            *arguments,
        ]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**clean, **(environment or {})}
        )
        running = Running(data_dir, port, process)
        started.append(running)
        return running

    yield begin
    for running in started:
        if running.process.poll() is None:
            running.process.kill()
        running.process.communicate()
        for process in processes_of(running.data_dir):
            with contextlib.suppress(psutil.Error):
                process.kill()
