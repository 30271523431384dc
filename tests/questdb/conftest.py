import contextlib
import tempfile
import uuid
from pathlib import Path

import msgspec
import pytest

from controlroom.supervisor.directory import write_atomically
from events.paths import DataPaths
from market.store.embedded import EmbeddedStore
from market.store.port import ROWS
from market.store.questdb.address import address_file
from market.store.questdb.store import QuestDBStore
from recorder.tail import Tail
from tests.questdb.server import QuestDB
from tests.recorder.conftest import Station


class Projected(Station):
    """A data directory with a bus, a growing journal and a recorder whose store is a QuestDB."""

    def __init__(self, root: Path, server: QuestDB) -> None:
        super().__init__(root)
        self.questdb = server
        self.address = msgspec.structs.replace(server.address, prefix=f"s{uuid.uuid4().hex[:12]}_")
        for folder in (self.paths.run, self.paths.secrets):
            folder.mkdir(mode=0o700, exist_ok=True)
        write_atomically(address_file(self.paths), msgspec.json.encode(self.address).decode())
        (self.paths.run / "run.json").write_text('{"store": "questdb"}')

    def rows(self) -> dict[str, list]:
        """Return every row that the QuestDB holds."""
        store = QuestDBStore(self.address, answer_s=30.0)
        with contextlib.closing(store):
            store.settle()
            return {kind.__name__: list(store.every(kind)) for kind in ROWS}

    def expected(self) -> dict[str, list]:
        """Return every row that the journals hold."""
        with tempfile.TemporaryDirectory() as folder:
            store = EmbeddedStore(Path(folder) / "store.sqlite3", writing=True)
            with contextlib.closing(store):
                for name in ("execution", "station"):
                    tail = Tail(self.paths.journal / name, store)
                    while tail.step():
                        pass
                return {kind.__name__: list(store.every(kind)) for kind in ROWS}

    def check_equal(self) -> None:
        """Compare them row for row; there are some."""
        found, expected = self.rows(), self.expected()
        for name, rows in expected.items():
            assert rows
            assert found[name] == rows


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with QuestDB(DataPaths(tmp_path_factory.mktemp("server"))) as found:
        found.start()
        yield found


@pytest.fixture
def station(short_dir, server):
    if server.command.poll() is not None:
        server.start()
    found = Projected(short_dir, server)
    found.start_bus()
    found.hold_round()  # it waits on the bus for the first recorder
    yield found
    found.close()
