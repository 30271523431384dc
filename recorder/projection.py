"""Both journals into the store, in a thread of its own: a store that is slow or away holds up nothing else."""

import logging
import threading
import time

from events.journal import JournalError
from events.paths import DataPaths
from market.store.port import Store, StoreError, StoreRefusedError
from recorder.tail import JOURNALS, StoreMismatchError, Tail

IDLE_S = 0.1  # between two looks at quiet journals
RETRY_S = 0.5  # between two tries of a store that is away
LAST_PASS_S = 5.0  # how long a clean stop may bring the store up to date

log = logging.getLogger("recorder")


class Projection:
    """Follows the journals into a store; nobody else may write to the store meanwhile.

    Attributes
    ----------
    errors : how often the store has not taken a step.
    halted : journals that cannot be projected until a person has looked.
    """

    def __init__(self, paths: DataPaths, store: Store) -> None:
        self._store = store
        self._tails = {name: Tail(paths.journal / name, store) for name in JOURNALS}
        self._thread = threading.Thread(target=self._run, name="projection", daemon=True)
        self._stopping = threading.Event()
        self._away_since: float | None = None  # monotonic seconds
        self.errors = 0
        self.halted: set[str] = set()

    def start(self) -> None:
        """Begin to follow."""
        self._thread.start()

    def stop(self) -> None:
        """Bring the store up to date, as far as that goes in LAST_PASS_S, and end."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(LAST_PASS_S + RETRY_S)
        if not self._thread.is_alive():
            self._store.close()

    def check(self) -> None:
        """Raise RuntimeError if the thread ended by itself: the recorder must end too, and start anew."""
        if not self._thread.is_alive():
            raise RuntimeError("the projection ended by itself; the log says why")

    def metrics(self) -> dict[str, float]:
        """Return how far it is, in records, and for how many seconds the store has been away."""
        execution, station = (self._tails[name] for name in JOURNALS)
        return {
            "projected_seq": execution.position.seq,
            "station_projected_seq": station.position.seq,
            "lag_records": execution.lag,
            "station_lag_records": station.lag,
            "not_projected": len(self.halted),
            "store_away_s": 0.0 if self._away_since is None else time.monotonic() - self._away_since,
        }

    @property
    def rows(self) -> int:
        """How many rows have been written since the start."""
        return sum(tail.rows for tail in self._tails.values())

    def step(self) -> int:
        """Bring a piece of each journal into the store; return how many records."""
        moved = 0
        for name, tail in self._tails.items():
            if name in self.halted:
                continue
            try:
                moved += tail.step()
            except (JournalError, StoreMismatchError, StoreRefusedError) as error:
                self.halted.add(name)
                log.critical("journal %s is not projected any more: %s", name, error)
            except StoreError as error:
                self._lose(error)
                return moved
            else:
                self._found()
        return moved

    def _run(self) -> None:
        while not self._stopping.is_set():
            if not self.step():
                self._stopping.wait(IDLE_S if self._away_since is None else RETRY_S)
        until = time.monotonic() + LAST_PASS_S
        while time.monotonic() < until and self.step():
            pass

    def _lose(self, error: StoreError) -> None:
        for tail in self._tails.values():
            tail.ask_again()  # one journal has met the error, but the store may come back without the other's rows too
        self.errors += 1
        if self._away_since is None:
            self._away_since = time.monotonic()
            log.warning("store: %s; tried again until it takes it", error)

    def _found(self) -> None:
        if self._away_since is not None:
            log.warning("store: there again after %.1f s", time.monotonic() - self._away_since)
            self._away_since = None
