"""A real QuestDB on free ports: started, killed, suspended, slowed down and wiped."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil

from controlroom.supervisor.probes import questdb_answers
from controlroom.supervisor.questdb_server import prepare
from events.paths import DataPaths

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 90


class QuestDB:
    """`manage.py questdb` in a data directory, as a station runs it."""

    def __init__(self, paths: DataPaths) -> None:
        self.paths = paths
        self.address = prepare(paths, free_port(), free_port())
        self.command: subprocess.Popen | None = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()

    def start(self) -> None:
        with (self.paths.root / "questdb.out").open("ab") as out:
            self.command = subprocess.Popen(
                [sys.executable, str(ROOT / "manage.py"), "questdb", "--data-dir", str(self.paths.root)],
                stdout=out,
                stderr=out,
            )
        until = time.monotonic() + PATIENCE_S
        while not questdb_answers(self.paths):
            assert self.command.poll() is None, (self.paths.root / "questdb.out").read_text()[-2000:]
            assert time.monotonic() < until, "QuestDB did not start"
            time.sleep(0.1)

    def stop(self) -> int:
        self.command.terminate()
        return self.command.wait(PATIENCE_S)

    def kill(self) -> None:
        if self.command is not None and self.command.poll() is None:
            server = self.server()
            self.command.kill()
            self.command.wait(PATIENCE_S)
            server.wait(PATIENCE_S)  # it dies with its parent

    def wipe(self) -> None:
        """Remove everything that it has kept; one that still runs may make files meanwhile: once more, then."""
        until = time.monotonic() + PATIENCE_S
        while self.paths.questdb.exists():
            assert time.monotonic() < until, "QuestDB's folder could not be removed"
            shutil.rmtree(self.paths.questdb, ignore_errors=True)

    def server(self) -> psutil.Process:
        """Return the Java process."""
        return next(iter(psutil.Process(self.command.pid).children()))

    def suspend(self) -> None:
        os.kill(self.server().pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.kill(self.server().pid, signal.SIGCONT)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
