"""The time-series store: opened here, spoken to as market/store/port.py says."""

import os

import msgspec

from events.paths import DataPaths
from market.store.embedded import EmbeddedStore
from market.store.port import Store, StoreUnavailableError
from market.store.questdb.address import URL_VARIABLE, Address, parse_url, read_address
from market.store.questdb.store import QuestDBStore


def open_store(paths: DataPaths, *, writing: bool = False) -> Store:
    """Return the station's store; only the recorder opens it for writing.

    QuestDB where QUESTDB_URL names one or the run has its own (``run --questdb``), else the embedded one. A QuestDB is
    asked nothing yet: that it is away is said when it is needed.

    Raises
    ------
    StoreUnavailableError
        if it cannot be opened; the embedded one without ``writing`` also if nothing has been recorded yet.
    """
    address = store_address(paths)
    if address is not None:
        return QuestDBStore(address, writing=writing)
    return EmbeddedStore(paths.store, writing=writing)


def store_address(paths: DataPaths) -> Address | None:
    """Return where the station's QuestDB is, None for the embedded store.

    Raises
    ------
    StoreUnavailableError
        if QUESTDB_URL is not of its form, or the run's own QuestDB has never been started.
    """
    url = os.environ.get(URL_VARIABLE)
    if url:
        return parse_url(url)
    return read_address(paths) if _run_has_questdb(paths) else None


def _run_has_questdb(paths: DataPaths) -> bool:
    try:
        return msgspec.json.decode((paths.run / "run.json").read_bytes(), type=_Run).store == "questdb"
    except (OSError, msgspec.DecodeError):
        return False


class _Run(msgspec.Struct):
    store: str = "embedded"


__all__ = ["Store", "StoreUnavailableError", "open_store", "store_address"]
