"""Each of the stores, opened as often as a test likes."""

import uuid

import msgspec
import pytest

from events.paths import DataPaths
from market.store import open_store
from market.store.questdb.store import QuestDBStore

PATIENCE_S = 30.0  # for an answer: a busy machine is no failure
STORES = ("embedded", "questdb")


class Settled(QuestDBStore):
    """A writer whose rows can be read when ``write`` returns: an acknowledged row is not readable at once."""

    def write(self, batch):
        super().write(batch)
        self.settle()


@pytest.fixture(scope="module", params=STORES)
def kind(request):
    return request.param


@pytest.fixture
def make(kind, tmp_path, request):
    """Open the store, for writing or reading, as often as a test likes."""
    opened = []
    address = request.getfixturevalue("questdb_address") if kind == "questdb" else None

    def open_one(*, writing=False):
        if kind == "embedded":
            opened.append(open_store(DataPaths(tmp_path), writing=writing))
        else:
            opened.append((Settled if writing else QuestDBStore)(address, writing=writing, answer_s=PATIENCE_S))
        return opened[-1]

    yield open_one
    for store in opened:
        store.close()


@pytest.fixture(scope="module")
def anew(kind, request, tmp_path_factory):
    """Open an empty store for writing, as often as a test likes."""
    opened = []

    def open_one():
        if kind == "embedded":
            opened.append(open_store(DataPaths(tmp_path_factory.mktemp("store")), writing=True))
        else:
            server = request.getfixturevalue("questdb_server")
            prefix = f"m{uuid.uuid4().hex[:12]}_"
            address = msgspec.structs.replace(server, prefix=prefix)
            opened.append(Settled(address, writing=True, answer_s=PATIENCE_S))
        return opened[-1]

    yield open_one
    for store in opened:
        store.close()


@pytest.fixture
def store(make):
    return make(writing=True)
