"""The kill's own thread: it watches the kill file, and cancels by itself where the trading thread hangs."""

import logging
import threading

from worker.core import Core
from worker.kill import WATCH_S

log = logging.getLogger(__name__)

PATIENCE_S = 0.4  # with the 25 ms of the watch and the cancels themselves well below the second that a kill may take


class Guard:
    """Looks every 25 ms, whatever the trading thread, the disk and the bus do."""

    def __init__(self, core: Core) -> None:
        self.canceled = 0
        self._core = core
        self._stop = threading.Event()
        self._waiting_since = 0.0
        self._thread = threading.Thread(target=self._run, name="kill", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def close(self) -> None:
        """Stop watching."""
        self._stop.set()
        self._thread.join(timeout=2.0)

    def _run(self) -> None:
        while not self._stop.wait(WATCH_S):
            try:
                self.look()
            except Exception:  # whatever a broker does, the next look must come
                log.exception("a look at the kill failed")

    def look(self) -> None:
        """Look at the kill file once, and cancel if a kill has waited too long."""
        self._core.switch.check()
        if not self._core.switch.requests:
            self._waiting_since = 0.0
        elif not self._waiting_since:
            self._waiting_since = self._core.clock.monotonic()
        elif self._core.clock.monotonic() - self._waiting_since > PATIENCE_S:
            self._cancel()

    def _cancel(self) -> None:
        """Cancel between steps, never inside one: a fill that a step has made is a fact."""
        broker = self._core.machine.broker
        if broker is None or not self._core.stepping.acquire(timeout=0.2):
            return
        try:
            self.canceled += self._core.desk.cancel_killed(broker)
        finally:
            self._core.stepping.release()
