"""Start and stop of everything, in order."""

import contextlib
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from controlroom.environment import database_name
from controlroom.supervisor.console import Console
from controlroom.supervisor.daemon import Daemon
from controlroom.supervisor.errors import BadInputError
from controlroom.supervisor.options import ROOT
from controlroom.supervisor.programs import Program
from controlroom.supervisor.stop import StopRequest
from controlroom.supervisor.watch import Watch
from events.children import bound_to_us
from events.paths import DataPaths

LOOK_S = 0.15
SERVERS_S = 15.0  # a bus whose log is long takes seconds to read it
DATABASE_S = 60.0
VALKEY_STAMP = re.compile(r"^\d+:[A-Z] \d+ \w+ \d+ [\d:.]+ [#*.-] ")
LEFTOVERS = ("supervisord.*", "processes.json", "celerybeat-schedule*", "valkey-*.conf")


class InterruptedStartError(Exception):
    """Somebody asked to stop before the station stood."""


class Station:
    """All processes of one data directory under one supervisord."""

    def __init__(self, paths: DataPaths, programs: Sequence[Program], console: Console, stop: StopRequest) -> None:
        self.paths = paths
        self._programs = programs
        self._console = console
        self._stop = stop
        self._database: subprocess.Popen[bytes] | None = None

    def start(self, env: dict[str, str]) -> None:
        """Start everything; return when every essential process is ready and the rest is on its way.

        Raises
        ------
        BadInputError
            if a server or the database cannot be brought up; nothing runs any more then.
        InterruptedStartError
            if asked to stop meanwhile.
        """
        self.daemon = Daemon.start(self.paths, self._programs, env)
        self.watch = Watch(self.daemon, self._programs, self._console)
        self._database = self._prepare_database(env)
        self._wait_for_daemon()
        servers = self._names("nothing")
        self.watch.start(servers)
        self._wait_for_servers(servers)
        self.watch.start(self._names("servers"))
        self._wait_for_database()
        self.watch.start(self._names("database"))

    def wait_until_ready(self, names: Sequence[str], seconds: float) -> bool:
        """Look until these are ready; False after that many seconds, on a failure or when asked to stop."""
        until = time.monotonic() + seconds
        while time.monotonic() < until and not self.watch.failed and self.daemon.alive:
            self.watch.look()
            if self.watch.are_ready(names):
                return True
            if self._stop.wait(LOOK_S):
                return False
        return False

    def stop(self) -> None:
        """End everything in order: the feed first, the bus last; then supervisord, then what they left on disk."""
        if self._database is not None and self._database.poll() is None:
            self._database.kill()
            self._database.wait()
        for order in sorted({program.stops for program in self._programs}):
            if not self.daemon.alive:
                break
            self._stop_together([program for program in self._programs if program.stops == order])
        self.daemon.shut_down()
        self._tidy()

    def raise_refusal(self) -> None:
        """Raise BadInputError with the sentence of a process that cannot work with what it finds, if there is one."""
        name = self.watch.refused
        if name is not None:
            raise BadInputError(
                f"{self.last_words(name)}; restore the files that it names, or give another --data-dir or --feed"
            )

    def last_words(self, name: str) -> str:
        """Return the last line that a process wrote, without its time stamp's noise."""
        return _last_line(self.paths.logs / f"{name}.out")

    def _names(self, after: str) -> list[str]:
        return [program.name for program in self._programs if program.after == after]

    def _prepare_database(self, env: dict[str, str]) -> subprocess.Popen[bytes]:
        command = bound_to_us([sys.executable, "-m", "controlroom.supervisor.database"])
        with (self.paths.logs / "database.out").open("wb") as log:
            return subprocess.Popen(
                command, env=env, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                start_new_session=True, umask=0o077,
            )  # fmt: skip

    def _wait_for_daemon(self) -> None:
        until = time.monotonic() + SERVERS_S
        while not self.daemon.processes():
            if not self.daemon.alive or time.monotonic() > until:
                raise BadInputError(f"supervisord did not start: {self.daemon.last_words()}")
            self._pause()

    def _wait_for_servers(self, servers: Sequence[str]) -> None:
        until = time.monotonic() + SERVERS_S
        while not self.watch.are_ready(servers):
            self.watch.look()
            crashed = self.watch.crashed(servers)
            if crashed or time.monotonic() > until:
                name = crashed or next(name for name in servers if not self.watch.are_ready([name]))
                raise BadInputError(
                    f'the Valkey server "{name}" does not start: {self.last_words(name)} '
                    f"(data in {self.paths.valkey}; repair it, or give another --data-dir)"
                )
            self._pause()

    def _wait_for_database(self) -> None:
        process = self._database
        until = time.monotonic() + DATABASE_S
        while process is not None and process.poll() is None:
            if time.monotonic() > until:
                name = database_name(self.paths)
                raise BadInputError(f"the database {name} is not ready after {DATABASE_S:.0f} s; see logs/database.out")
            self.watch.look()
            self._pause()
        if process is not None and process.returncode != 0:
            raise BadInputError(
                f"the database {database_name(self.paths)} cannot be prepared: {self.last_words('database')} "
                "(start its server or restore it from a copy; a new one asks for new people and passwords)"
            )

    def _pause(self) -> None:
        if self._stop.wait(LOOK_S):
            raise InterruptedStartError

    def _stop_together(self, programs: Sequence[Program]) -> None:
        names = {program.name for program in programs}
        try:
            for name in names:
                self.daemon.stop_program(name)
            until = time.monotonic() + max(program.stop_wait_s for program in programs) + 0.5
            while time.monotonic() < until:
                rows = self.daemon.processes()
                if not any(rows[name]["pid"] for name in names & rows.keys()):
                    return
                time.sleep(0.03)
        except OSError:
            return  # supervisord is gone, and with it everything that it had started

    def _tidy(self) -> None:
        for pattern in LEFTOVERS:
            for file in self.paths.run.glob(pattern):
                file.unlink(missing_ok=True)
        names = ("supervisor", "worker", "bus", "web")
        sockets = [self.paths.socket(name) for name in names]
        for socket in sockets:
            with contextlib.suppress(OSError):  # a folder of that name, which no start of ours has made
                socket.unlink(missing_ok=True)
        folder = sockets[0].parent
        if folder != self.paths.run.absolute():
            try:
                folder.rmdir()
            except OSError:
                return  # somebody else's file lies there


def _last_line(file: Path) -> str:
    lines = file.read_text(errors="replace").strip().splitlines() if file.exists() else []
    return VALKEY_STAMP.sub("", lines[-1]) if lines else "it wrote nothing"
