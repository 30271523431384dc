"""The time-series store as the pages read it; the recorder alone writes it."""

import functools
from pathlib import Path

from controlroom.live.files import paths
from market.store import store_address
from market.store.embedded import EmbeddedStore
from market.store.port import Store
from market.store.questdb.address import Address
from market.store.questdb.store import QuestDBStore


@functools.lru_cache(maxsize=4)
def _opened(path: Path) -> EmbeddedStore:
    return EmbeddedStore(path)


@functools.lru_cache(maxsize=4)
def _spoken_to(address: Address) -> QuestDBStore:
    return QuestDBStore(address)


def station_store() -> Store:
    """Return the store of this station.

    Raises
    ------
    StoreUnavailableError
        if it is not there yet or cannot be read; a QuestDB says that when it is asked.
    """
    address = store_address(paths())
    return _opened(paths().store) if address is None else _spoken_to(address)
