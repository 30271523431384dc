"""The time-series store as the pages read it; the recorder alone writes it."""

import functools
from pathlib import Path

from controlroom.live.files import paths
from market.store.embedded import EmbeddedStore
from market.store.port import Store


@functools.lru_cache(maxsize=4)
def _opened(path: Path) -> EmbeddedStore:
    return EmbeddedStore(path)


def station_store() -> Store:
    """Return the store of this station.

    Raises
    ------
    StoreUnavailableError
        if it is not there yet or cannot be read.
    """
    return _opened(paths().store)
