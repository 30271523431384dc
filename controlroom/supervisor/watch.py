"""One look at all processes, taken a few times a second: who is ready, who died, who has failed."""

import contextlib
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from controlroom.supervisor.console import Console
from controlroom.supervisor.crashes import Crashes
from controlroom.supervisor.daemon import Daemon
from controlroom.supervisor.directory import write_atomically
from controlroom.supervisor.programs import Program

SETTLED_S = 1.0  # a process without a probe is ready when it has lived this long
REFUSED = 2  # exit status of a trading process that cannot work with what it finds; a second try finds the same
REFUSING = {"worker", "recorder", "feed"}


@dataclass
class _Seen:
    program: Program
    crashes: Crashes = field(default_factory=Crashes)
    state: str = "waiting"  # starting, ready, restarting, failed
    was_ready: bool = False
    refused: bool = False
    pid: int = 0
    began: float = 0.0  # monotonic seconds of its last start
    started_ns: int = 0


class Watch:
    """Knows every process, says what changed, and keeps DATA/run/processes.json for the pages."""

    def __init__(self, daemon: Daemon, programs: Sequence[Program], console: Console) -> None:
        self._daemon = daemon
        self._console = console
        self._seen = {program.name: _Seen(program) for program in programs}
        self._written = ""

    def start(self, names: Sequence[str]) -> None:
        """Start these programs."""
        for name in names:
            self._daemon.start_program(name)
            seen = self._seen[name]
            seen.state, seen.began = "starting", time.monotonic()

    def look(self) -> None:
        """Take one look."""
        rows = self._daemon.processes()
        for name, seen in self._seen.items():
            if name in rows and seen.state not in {"waiting", "failed"}:
                self._update(seen, rows[name])
        self._write()

    def are_ready(self, names: Sequence[str]) -> bool:
        """Return whether all of them are ready."""
        return all(self._seen[name].state == "ready" for name in names)

    def crashed(self, names: Sequence[str]) -> str | None:
        """Return the first of them that has died at least once, if any."""
        return next((name for name in names if self._seen[name].crashes.restarts), None)

    @property
    def refused(self) -> str | None:
        """Return the process that found its data unusable before it was ever ready, if any."""
        return next((name for name, seen in self._seen.items() if seen.refused), None)

    @property
    def failed(self) -> list[str]:
        """Names of the processes that are given up."""
        return [name for name, seen in self._seen.items() if seen.state == "failed"]

    def _update(self, seen: _Seen, row: dict[str, Any]) -> None:
        name, pid = seen.program.name, int(row["pid"])
        before = seen.crashes.restarts
        failed = seen.crashes.see(pid, time.monotonic())
        died = seen.crashes.restarts > before
        seen.refused = died and self._has_refused(seen)
        if failed or seen.refused:
            self._daemon.stop_program(name)
            seen.state, seen.pid = "failed", 0
            if not seen.refused:
                self._console.failed(name, str(self._daemon.paths.logs / f"{name}.out"))
            return
        if died:
            seen.state = "restarting"
            self._console.restarted(name, seen.crashes.restarts)
        if pid and pid != seen.pid:
            seen.began, seen.started_ns = time.monotonic(), time.time_ns()
            seen.state = "starting"
        seen.pid = pid
        if pid and seen.state == "starting" and self._is_ready(seen):
            seen.state, seen.was_ready = "ready", True
            self._console.up(name, time.monotonic() - seen.began)
            self.start(
                [other for other, its in self._seen.items() if its.program.after == name and its.state == "waiting"]
            )

    def _has_refused(self, seen: _Seen) -> bool:
        name = seen.program.name
        return name in REFUSING and not seen.was_ready and self._daemon.exit_status(name) == REFUSED

    def _is_ready(self, seen: _Seen) -> bool:
        if seen.program.ready is None:
            return time.monotonic() - seen.began >= SETTLED_S
        return seen.program.ready(self._daemon.paths)

    def _write(self) -> None:
        content = json.dumps(
            [
                {
                    "name": name,
                    "state": seen.state,
                    "pid": seen.pid,
                    "started_ns": seen.started_ns,
                    "restarts": seen.crashes.restarts,
                    "failed": seen.state == "failed",
                }
                for name, seen in self._seen.items()
            ]
        )
        if content != self._written:
            with contextlib.suppress(OSError):  # a full disk; the next look tries again
                write_atomically(self._daemon.paths.run / "processes.json", content)
                self._written = content
