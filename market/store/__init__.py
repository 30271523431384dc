"""The time-series store: opened here, spoken to as market/store/port.py says."""

from events.paths import DataPaths
from market.store.embedded import EmbeddedStore
from market.store.port import Store


def open_store(paths: DataPaths, *, writing: bool = False) -> Store:
    """Return the station's store; only the recorder opens it for writing.

    Raises
    ------
    StoreUnavailableError
        if it cannot be opened; without ``writing`` also if nothing has been recorded yet.
    """
    return EmbeddedStore(paths.store, writing=writing)
