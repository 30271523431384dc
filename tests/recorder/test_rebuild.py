"""`audit rebuild`: what the journals say is what the recorder wrote, row for row, however often it was killed."""

import json
import shutil
import signal
import threading

import pysqlite3 as sqlite3
import pytest

from events.journal import JournalWriter
from events.paths import DataPaths
from market.store.embedded import EmbeddedStore
from market.store.port import TradeRow
from recorder.rebuild import main
from tests.audit.archiving import move_to_archive
from tests.recorder.conftest import step

TABLES = (
    "ohlcv", "agent_events", "orders", "order_events", "trades", "equity", "tournament_results", "tournament_audit",
)  # fmt: skip
LEAST = {"tournament_results": 4, "tournament_audit": 40}  # rows of the one round that was held


def rebuilt(station, capsys, *arguments):
    code = main(["--data-dir", str(station.paths.root), "--json", *map(str, arguments)])
    said = capsys.readouterr()
    return code, json.loads(said.out) if said.out else None, said.err


def everything(file):
    """Every row of every table, the tags and the positions too."""
    store = sqlite3.connect(f"file:{file}?mode=ro", uri=True)
    try:
        names = [name for (name,) in store.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
        return {name: sorted(map(repr, store.execute(f"SELECT * FROM {name}"))) for name in names}  # noqa: S608 - its own tables
    finally:
        store.close()


@pytest.fixture
def recorded(station):
    """A recorder that has written three hundred steps, some bars and a round, with its station still running."""
    station.start_recorder()
    station.publish(50)
    station.hold_round()
    station.work(300)
    station.caught_up()
    return station


def test_a_rebuild_equals_what_a_running_recorder_wrote(recorded, tmp_path, capsys):
    code, told, _ = rebuilt(recorded, capsys, "--into", tmp_path / "again.sqlite3", "--compare")
    assert (code, told["ok"]) == (0, True)
    assert told["writers"]["execution"] == 300 * 8 - 1
    assert told["compared_to"] == told["writers"]
    assert set(told["tables"]) == set(TABLES)
    for name, table in told["tables"].items():
        assert table["equal"] is True
        assert (table["rows"], table["sha256"]) == (table["other_rows"], table["other_sha256"])
        assert table["rows"] >= LEAST.get(name, 300)
    recorded.stop_recorder()
    assert everything(tmp_path / "again.sqlite3") == everything(recorded.paths.store)


def test_a_recorder_that_was_killed_again_and_again_wrote_the_same(station, tmp_path, capsys):
    for round_ in range(4):
        station.start_recorder()
        station.publish(20)
        station.hold_round()
        station.work(40 + round_)
        if round_ == 3:
            station.caught_up()
        station.stop_recorder(signal.SIGTERM if round_ == 3 else signal.SIGKILL)
    code, told, _ = rebuilt(station, capsys, "--into", tmp_path / "again.sqlite3", "--compare")
    assert (code, told["ok"]) == (0, True)
    assert everything(tmp_path / "again.sqlite3") == everything(station.paths.store)


def test_one_state_is_compared_while_the_recorder_goes_on(recorded, tmp_path, capsys):
    busy = threading.Thread(target=lambda: [recorded.work(10) for _ in range(60)])
    busy.start()
    try:
        code, told, said = rebuilt(recorded, capsys, "--into", tmp_path / "again.sqlite3", "--compare")
    finally:
        busy.join()
    assert (code, said) == (0, "")
    assert told["ok"] is True
    assert told["compared_to"]["execution"] <= told["writers"]["execution"]


def test_an_archived_journal_gives_the_same_rows(tmp_path, capsys):
    paths = DataPaths(tmp_path / "data")
    journal = JournalWriter(paths.journal / "execution", "execution", "run", segment_bytes=30_000)
    for number in range(60):
        journal.append(step(number))
    journal.close()
    code = main(["--data-dir", str(paths.root), "--into", str(tmp_path / "before.sqlite3")])
    assert code == 0
    assert move_to_archive(paths, tmp_path / "archive") >= 3
    assert main(["--data-dir", str(paths.root), "--into", str(tmp_path / "after.sqlite3")]) == 0
    assert everything(tmp_path / "after.sqlite3") == everything(tmp_path / "before.sqlite3")
    shutil.move(tmp_path / "archive", tmp_path / "unplugged")
    capsys.readouterr()
    assert main(["--data-dir", str(paths.root), "--into", str(tmp_path / "none.sqlite3")]) == 1
    assert str(tmp_path / "archive") in capsys.readouterr().err
    assert not (tmp_path / "none.sqlite3").exists()


def test_a_changed_row_is_named(recorded, tmp_path, capsys):
    recorded.stop_recorder()
    store = sqlite3.connect(recorded.paths.store)
    store.execute("UPDATE trades SET price = price + 0.25 WHERE order_id = 'o000123'")
    store.execute("DELETE FROM equity WHERE seq = 7")
    store.commit()
    store.close()
    code, told, _ = rebuilt(recorded, capsys, "--into", tmp_path / "again.sqlite3", "--compare")
    assert (code, told["ok"]) == (1, False)
    assert [name for name, table in told["tables"].items() if not table["equal"]] == ["trades", "equity"]
    trade = told["tables"]["trades"]["first_difference"]
    assert trade["number"] == 123
    assert json.loads(trade["other"])["price"] == json.loads(trade["rebuilt"])["price"] + 0.25
    assert told["tables"]["equity"]["other_rows"] == told["tables"]["equity"]["rows"] - 1
    main(["--data-dir", str(recorded.paths.root), "--into", str(tmp_path / "b.sqlite3"), "--compare"])
    assert "NOT EQUAL" in capsys.readouterr().out


def test_the_stations_own_store_is_replaced_only_when_stopped_and_asked_for(recorded, capsys):
    store = recorded.paths.store
    code, told, said = rebuilt(recorded, capsys)
    assert (code, told) == (2, None)
    assert "is not empty; stop the station and say --replace" in said
    code, told, said = rebuilt(recorded, capsys, "--replace")
    assert (code, told) == (2, None)
    assert "the station runs" in said
    recorded.stop_recorder()

    before = everything(store)
    store.with_name(f"{store.name}.rebuilding").write_bytes(b"left by a rebuild that was killed")
    code, told, _ = rebuilt(recorded, capsys, "--replace", "--compare")
    assert (code, told["ok"]) == (0, True)
    assert everything(store) == everything(told["moved_aside"]) == before
    assert not list(store.parent.glob("*.rebuilding*"))

    recorded.start_recorder()  # goes on from the new one
    recorded.work(20)
    recorded.caught_up()
    recorded.stop_recorder()
    assert len(everything(store)["trades"]) == len(before["trades"]) + 20


def test_a_missing_or_broken_store_is_made_again(recorded, capsys):
    recorded.stop_recorder()
    store = recorded.paths.store
    before = everything(store)
    store.unlink()
    assert rebuilt(recorded, capsys)[0] == 0
    assert everything(store) == before
    store.write_bytes(b"no database at all" * 1000)
    assert rebuilt(recorded, capsys)[0] == 2
    code, told, said = rebuilt(recorded, capsys, "--replace", "--compare")
    assert (code, told) == (2, None)
    assert "no projection to compare with" in said
    assert rebuilt(recorded, capsys, "--replace")[0] == 0
    assert everything(store) == before


def test_a_store_of_another_journal_does_not_hold(recorded, tmp_path, capsys):
    recorded.stop_recorder()
    store = sqlite3.connect(recorded.paths.store)
    store.execute("UPDATE projection SET seq = seq + 1000 WHERE writer = 'execution'")
    store.commit()
    store.close()
    code, told, said = rebuilt(recorded, capsys, "--into", tmp_path / "again.sqlite3", "--compare")
    assert (code, told) == (1, None)
    assert "the journal ends at" in said
    assert list(tmp_path.iterdir()) == []


def test_bad_input_changes_nothing(recorded, tmp_path, capsys):
    recorded.stop_recorder()
    full = tmp_path / "full.sqlite3"
    full.write_bytes(b"mine")
    empty = tmp_path / "empty"
    empty.mkdir()
    for arguments, sentence in (
        (("--into", full), "is not empty or cannot be made"),
        (("--into", tmp_path / "none" / "a.sqlite3"), "is not empty or cannot be made"),
        (("--into", empty), "is not empty or cannot be made"),
        (("--into", recorded.paths.store), "--into embedded names it"),
        (("--into", tmp_path / "a.sqlite3", "--replace"), "--replace is for the station's own store"),
        (("--data-dir", empty), "has no journal"),
        (("--data-dir", tmp_path / "none"), "is not a directory"),
        (("--nonsense",), "unrecognized arguments"),
    ):
        code, told, said = rebuilt(recorded, capsys, *arguments)
        assert (code, told) == (2, None), said
        assert sentence in said
        assert said.count("\n") == 1
    assert sorted(file.name for file in tmp_path.iterdir()) == ["empty", "full.sqlite3"]
    assert full.read_bytes() == b"mine"


def test_a_steady_reader_sees_one_state(recorded):
    reader = EmbeddedStore(recorded.paths.store)
    with reader.steady():
        before = reader.position("execution")
        count = sum(1 for _ in reader.every(TradeRow))
        recorded.work(10)
        recorded.caught_up()
        assert reader.position("execution") == before
        assert sum(1 for _ in reader.every(TradeRow)) == count
    assert sum(1 for _ in reader.every(TradeRow)) == count + 10
    reader.close()
