"""The time-series store as the pages open it: read-only in spirit, written by the recorder alone."""

import functools
import threading
from pathlib import Path

from controlroom.live.source import paths
from market.store.port import Store
from market.store.sqlite import SqliteStore

_local = threading.local()


@functools.lru_cache(maxsize=2)
def _opened(path: Path, _thread: int) -> Store:
    return SqliteStore(path)


def station_store() -> Store:
    """Return the store of this station for the calling thread.

    Raises
    ------
    StoreUnavailableError
        if it is not there yet or cannot be read.
    """
    return _opened(paths().store, threading.get_ident())
