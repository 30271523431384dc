"""When a process has crashed too often to be started again."""

from collections import deque

WINDOW_S = 60.0
LIMIT = 5


class Crashes:
    """Counts one process's deaths; the fifth within sixty seconds means failed."""

    def __init__(self) -> None:
        self.restarts = 0
        self._pid = 0
        self._times: deque[float] = deque()

    def see(self, pid: int, now_s: float) -> bool:
        """Take in the pid of a look (0: none) and return whether the process has now failed.

        A death is a pid that is gone or another one's. Between two looks a process cannot die twice unseen: it waits at
        least a second before its second restart.
        """
        if self._pid and pid != self._pid:
            self.restarts += 1
            self._times.append(now_s)
        self._pid = pid
        while self._times and now_s - self._times[0] > WINDOW_S:
            self._times.popleft()
        return len(self._times) >= LIMIT
