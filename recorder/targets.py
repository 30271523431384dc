"""Where a rebuild goes, empty and safe from every other writer, and what it is compared with."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from events.commandline import BadInputError
from events.journal import JournalLocked, unwritten
from events.paths import DataPaths
from market.store import open_store, store_address
from market.store.embedded import EmbeddedStore
from market.store.port import Store, StoreError
from market.store.questdb.address import URL_FORM, Address, parse_url, read_address
from market.store.questdb.store import QuestDBStore
from recorder.comparison import TABLES
from recorder.tail import JOURNALS

OWN, QUESTDB = "embedded", "questdb"


class Target:
    """The store that is made, and what became of the one before it."""

    def __init__(self, name: str, store: Store) -> None:
        self.name, self.store = name, store
        self.moved_aside: str | None = None


@contextmanager
def old_store(paths: DataPaths) -> Iterator[Store]:
    """Yield the station's own projection, one state of it."""
    try:
        store, address = open_store(paths), store_address(paths)
    except StoreError as error:
        raise BadInputError(f"--compare: there is no projection to compare with: {error}") from error
    try:
        with nullcontext() if address is None else _stopped(paths, "--compare with a QuestDB"), store.steady():
            store.settle()
            yield store
    finally:
        store.close()


@contextmanager
def _stopped(paths: DataPaths, what: str) -> Iterator[None]:
    """Keep the recorder from starting; refuse where it runs."""
    try:
        with unwritten(paths.journal / "station"):
            yield
    except JournalLocked as error:
        raise BadInputError(f"{what}: the station runs and writes its store; stop it first") from error


@contextmanager
def new_store(paths: DataPaths, into: str, *, replace: bool) -> Iterator[Target]:
    """Yield the empty store; the station's own is made beside the old one and takes its place when it is whole."""
    if into == OWN:
        with _own(paths, replace=replace) as target:
            yield target
        return
    if replace:
        raise BadInputError(f"--replace is for the station's own store; --into = {into} must be empty")
    if into == QUESTDB or "://" in into:
        with _questdb(paths, into) as target:
            yield target
        return
    file = Path(into).expanduser().absolute()
    if file == paths.store.absolute():
        raise BadInputError(f"--into = {into} is the station's own store; --into embedded names it")
    if not file.parent.is_dir() or file.is_dir() or (file.exists() and file.stat().st_size):
        raise BadInputError(f"--into = {into} is not empty or cannot be made; give a file that is not there")
    with _made(file) as store:
        yield Target(str(file), store)


@contextmanager
def _questdb(paths: DataPaths, into: str) -> Iterator[Target]:
    """Yield an empty QuestDB: the station's own, whose recorder must not write it meanwhile, or another."""
    own = into == QUESTDB
    with _stopped(paths, "--into questdb") if own else nullcontext():
        address = _address(paths, into)
        store = QuestDBStore(address, writing=True)
        try:
            if any(store.position(name).seq >= 0 for name in JOURNALS) or _has_rows(store):
                raise BadInputError(
                    f"--into: {address} is not empty; give another server or ?prefix=NAME_ of its tables"
                )
            yield Target(str(address), store)
        finally:
            store.close()


def _address(paths: DataPaths, into: str) -> Address:
    try:
        return (store_address(paths) or read_address(paths)) if into == QUESTDB else parse_url(into)
    except StoreError as error:
        what = f"--into questdb: {error}" if into == QUESTDB else f"--into is not a file nor of the form {URL_FORM}"
        raise BadInputError(what) from error


@contextmanager
def _made(file: Path) -> Iterator[Store]:
    """Yield a new store; one that did not become whole is removed."""
    store = EmbeddedStore(file, writing=True)
    try:
        yield store
    except BaseException:
        store.close()
        _remove(file)
        raise
    store.close()


@contextmanager
def _own(paths: DataPaths, *, replace: bool) -> Iterator[Target]:
    if _is_filled(paths.store) and not replace:
        raise BadInputError(
            f"--into embedded: {paths.store} is not empty; stop the station and say --replace, "
            "which moves it aside, or give a file that is not there"
        )
    draft = paths.store.with_name(f"{paths.store.name}.rebuilding")
    with _stopped(paths, "--into embedded"):
        _remove(draft)  # of a rebuild that was killed
        with _made(draft) as store:
            target = Target(str(paths.store), store)
            yield target
        target.moved_aside = _put_in_place(draft, paths.store)


def _put_in_place(draft: Path, store: Path) -> str | None:
    """Move the old store aside, its log before it, and the new one into its place; return where the old one is."""
    aside = None
    if store.exists():
        aside = store.with_name(f"{store.name}.until-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}")
        for old, new in reversed(list(zip(_files(store), _files(aside), strict=True))):
            if old.exists():
                old.rename(new)
    draft.rename(store)
    return None if aside is None else str(aside)


def _files(store: Path) -> list[Path]:
    """Return an SQLite file, its shared memory and its log."""
    return [store, store.with_name(f"{store.name}-shm"), store.with_name(f"{store.name}-wal")]


def _remove(draft: Path) -> None:
    for file in _files(draft):
        file.unlink(missing_ok=True)


def _is_filled(file: Path) -> bool:
    """Return whether a store has rows; what cannot be read counts as filled."""
    if not file.exists() or not file.stat().st_size:
        return False
    try:
        store = EmbeddedStore(file)
    except StoreError:
        return True
    try:
        return _has_rows(store)
    finally:
        store.close()


def _has_rows(store: Store) -> bool:
    return any(next(iter(store.every(kind)), None) is not None for kind in TABLES.values())
