import json
import os
import socket
import stat

import msgspec
import pytest

from controlroom.supervisor.directory import DataDirectory, check_port
from controlroom.supervisor.errors import BadInputError
from events.codec import encode_payload
from events.journal import JournalWriter
from events.paths import DataPaths
from events.types import ControlEvent


def test_a_new_directory_is_private_and_locked(tmp_path):
    with DataDirectory(DataPaths(tmp_path / "a" / "b")) as directory:
        directory.take(9000)
        assert stat.S_IMODE(directory.paths.root.stat().st_mode) == 0o700
        assert json.loads(directory.paths.lock.read_text()) == {"pid": os.getpid(), "port": 9000}


def test_a_second_station_hears_pid_and_port_of_the_first_and_changes_nothing(tmp_path):
    with DataDirectory(DataPaths(tmp_path / "d")) as first:
        first.take(9000)
        before = sorted(path for path in first.paths.root.rglob("*"))
        with (
            DataDirectory(first.paths) as second,
            pytest.raises(BadInputError, match=f"process {os.getpid()} on port 9000"),
        ):
            second.take(9001)
        assert sorted(path for path in first.paths.root.rglob("*")) == before
        assert json.loads(first.paths.lock.read_text())["port"] == 9000


def test_the_lock_is_free_again_afterwards(tmp_path):
    paths = DataPaths(tmp_path / "d")
    for port in (9000, 9001):
        with DataDirectory(paths) as directory:
            directory.take(port)
            assert json.loads(paths.lock.read_text())["port"] == port


def test_undo_removes_only_what_the_run_made(tmp_path):
    with DataDirectory(DataPaths(tmp_path / "a" / "b")) as directory:
        directory.take(9000)
        directory.undo()
    assert list(tmp_path.iterdir()) == []

    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "settings.toml").write_text("")
    with DataDirectory(DataPaths(kept)) as directory:
        directory.take(9000)
        directory.undo()
    assert (kept / "settings.toml").exists()


def test_a_file_is_no_data_directory(tmp_path):
    (tmp_path / "file").write_text("")
    with DataDirectory(DataPaths(tmp_path / "file")) as directory, pytest.raises(BadInputError, match="is a file"):
        directory.take(9000)


def describe(**changes):
    description = {
        "feed": "replay:a.parquet",
        "symbols": ["A"],
        "interval_s": None,
        "stances": None,
        "source": {"feed": "replay"},
    }
    return {**description, "speed": "max", "port": 1, **changes}


@pytest.mark.parametrize(
    ("changes", "word"),
    [({"feed": "sample"}, "feed"), ({"symbols": ["A", "B"]}, "symbols"), ({"interval_s": 900}, "interval_s")],
)
def test_a_directory_belongs_to_its_source(tmp_path, changes, word):
    with DataDirectory(DataPaths(tmp_path / "d")) as directory:
        directory.take(9000)
        (directory.paths.run / "run.json").write_text(json.dumps(describe()))
        directory.refuse_another_source(describe(**changes))  # nothing journaled yet: anything goes

        (directory.paths.journal / "execution").mkdir()
        (directory.paths.journal / "execution" / f"{0:020d}.seg").write_bytes(b"")
        directory.refuse_another_source(describe(speed=5.0, port=2))
        with pytest.raises(BadInputError, match=f"another {word}"):
            directory.refuse_another_source(describe(**changes))


def test_a_taken_port_is_refused(free_port):
    check_port("127.0.0.1", free_port)
    with socket.socket() as other:
        other.bind(("127.0.0.1", free_port))
        other.listen()
        with pytest.raises(BadInputError, match=f"--port = {free_port}"):
            check_port("127.0.0.1", free_port)


def journaled(paths, symbols, source):
    content = {"version": 1, "instruments": [{"symbol": symbol} for symbol in symbols], "source": source}
    event = ControlEvent(
        action="configure", scope="all", target="", actor="station", reason="r", request_id="c",
        content=msgspec.Raw(json.dumps(content).encode()),
    )  # fmt: skip
    writer = JournalWriter(paths.journal / "execution", "execution", "run")
    writer.append([("ControlEvent", "controlroom", None, None, encode_payload(event))])
    writer.close()


def test_without_its_run_json_a_directory_still_knows_its_source(tmp_path):
    paths = DataPaths(tmp_path)
    source = {"feed": "replay", "label": "REPLAY", "detail": "a.parquet", "interval_s": 60, "waits": True}
    journaled(paths, ["AAPL", "MSFT"], source)
    directory = DataDirectory(paths)
    same = {"feed": "replay:a.parquet", "symbols": ["AAPL", "MSFT"], "source": source}
    directory.refuse_another_source(same)
    for field, value in (("symbols", ["AAPL"]), ("source", {**source, "feed": "simulated"})):
        with pytest.raises(BadInputError, match=f"holds a run of replay with another {field}"):
            directory.refuse_another_source({**same, field: value})
