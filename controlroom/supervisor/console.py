"""What `run` says while it works: one clear line a process, on stderr where stdout is a result's."""

import contextlib
import sys
import time
from typing import TextIO


class Console:
    """Writes plain lines; colours only on a terminal."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._terminal = stream.isatty()
        self.started = time.monotonic()

    def note(self, text: str) -> None:
        """Say something; to a terminal that was closed, nothing: what is under way goes on to its end."""
        with contextlib.suppress(OSError):
            self._stream.write(f"{text}\n")
            self._stream.flush()

    def up(self, name: str, seconds: float) -> None:
        """Say that a process is ready, and how long it took."""
        self._marked("32", "●", f"{name:<10} ready     {seconds:4.1f} s")

    def restarted(self, name: str, times: int) -> None:
        """Say that a process ended by itself and is started again."""
        self._marked("33", "↻", f"{name:<10} ended by itself; starting it again (restart {times})")

    def failed(self, name: str, log: str) -> None:
        """Say that a process is given up."""
        self._marked("31", "✕", f"{name:<10} FAILED: five crashes within a minute; see {log}")

    def _marked(self, colour: str, mark: str, text: str) -> None:
        if self._terminal:
            mark = f"\x1b[{colour}m{mark}\x1b[0m"
        elif "utf" not in (getattr(self._stream, "encoding", "") or "").lower():
            mark = "*"
        self.note(f"{mark} {text}")


def for_run(*, json: bool) -> Console:
    """Return the console of a run: stdout, or stderr where stdout carries one JSON object."""
    return Console(sys.stderr if json else sys.stdout)
