"""The station as a person starts it: real commands, real processes, one data directory each."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[2]


def manage(*arguments, environment=None, unprivileged=False, timeout=60, **options):
    """Run manage.py with these arguments and return what became of it.

    ``unprivileged`` takes root's capabilities away, so that file modes deny as they do to anybody; the user stays: who
    else can reach the interpreter is not known.
    """
    prefix = ["setpriv", "--inh-caps=-all", "--bounding-set=-all", "--"] if unprivileged else []
    command = [*prefix, sys.executable, str(ROOT / "manage.py"), *map(str, arguments)]
    clean = {name: value for name, value in os.environ.items() if name not in {"STATION_DATA_DIR", "CI"}}
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout,
        env={**clean, **(environment or {})},
        **options,
    )


def processes_of(data_dir):
    """Return every process that was started with this data directory: its command line or environment names it."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            named = any(str(data_dir) in word for word in process.cmdline())
            ours = named or process.environ().get("STATION_DATA_DIR") == str(data_dir)
            if ours and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def wait_for(condition, seconds=60.0, what="the condition"):
    """Return the first true value of ``condition()``."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        value = condition()
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError(f"{what} did not come true within {seconds} s")


def wait_for_end(data_dir, seconds=60.0):
    """Wait until no process of this data directory is left; on failure name those that are."""
    until = time.monotonic() + seconds
    while left := processes_of(data_dir):
        if time.monotonic() > until:
            raise AssertionError(f"left after {seconds} s: {[(each.status(), each.cmdline()) for each in left]}")
        time.sleep(0.05)


def unused_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Running:
    """A station that `run` has started."""

    def __init__(self, data_dir, port, process):
        self.data_dir, self.port, self.process = data_dir, port, process

    def status(self):
        done = manage("status", "--json", "--data-dir", self.data_dir)
        return json.loads(done.stdout)

    def pids(self):
        """Return name to pid of what runs now."""
        try:
            rows = json.loads((self.data_dir / "run" / "processes.json").read_text())
        except FileNotFoundError:
            return {}
        return {row["name"]: row["pid"] for row in rows if row["pid"]}

    def wait_until(self, name, state="ready", seconds=120.0):
        def reached():
            assert self.process.poll() is None, self.process.stderr.read()
            with contextlib.suppress(FileNotFoundError):
                rows = json.loads((self.data_dir / "run" / "processes.json").read_text())
                return any(row["name"] == name and row["state"] == state for row in rows)
            return False

        wait_for(reached, seconds, f"{name} {state}")

    def stop(self):
        """Press Ctrl-C and return (exit code, stdout, stderr)."""
        self.process.send_signal(signal.SIGINT)
        out, err = self.process.communicate(timeout=30)
        return self.process.returncode, out, err
