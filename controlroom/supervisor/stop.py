"""Ctrl-C, TERM and a closed terminal: noted, never an exception in the middle of something."""

import os
import select
import signal
from types import FrameType


class StopRequest:
    """Set by a signal; every wait of `run` goes through it.

    A pipe wakes the wait. (An Event would do it with a lock that the interrupted code may hold.)
    """

    def __init__(self) -> None:
        self.asked = False
        self._read, self._write = os.pipe()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._note)

    def wait(self, seconds: float) -> bool:
        """Wait, and return at once with True when asked to stop."""
        if not self.asked:
            select.select([self._read], [], [], seconds)
        return self.asked

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        if not self.asked:
            self.asked = True
            os.write(self._write, b".")
