"""`audit rebuild` into a real QuestDB, and its comparison with what a real recorder wrote there."""

import json
import signal

import pytest

from recorder.rebuild import main

LEAST = {"tournament_results": 4, "tournament_audit": 40}  # rows of the one round that was held


def url(station, prefix):
    at = station.address
    return f"http://{at.user}:{at.password}@{at.host}:{at.http_port}?pg={at.pg_port}&prefix={prefix}"


def rebuilt(station, capsys, *arguments):
    code = main(["--data-dir", str(station.paths.root), "--json", *map(str, arguments)])
    said = capsys.readouterr()
    return code, json.loads(said.out) if said.out else None, said.err


@pytest.fixture
def recorded(station):
    """A killed and restarted recorder has written two hundred steps."""
    station.start_recorder()
    station.work(100)
    station.stop_recorder(signal.SIGKILL)
    station.start_recorder()
    station.publish(20)
    station.work(100)
    station.caught_up()
    return station


def test_a_rebuild_into_questdb_equals_the_recorders_rows(recorded, tmp_path, capsys):
    again = url(recorded, f"again_{recorded.address.prefix}")
    code, told, said = rebuilt(recorded, capsys, "--into", again, "--compare")
    assert (code, told) == (2, None)
    assert "the station runs" in said
    recorded.stop_recorder()

    code, told, _ = rebuilt(recorded, capsys, "--into", again, "--compare")
    assert (code, told["ok"]) == (0, True)
    assert all(table["equal"] for table in told["tables"].values())
    assert all(table["rows"] >= LEAST.get(name, 200) for name, table in told["tables"].items())
    file = tmp_path / "again.sqlite3"
    code, embedded, _ = rebuilt(recorded, capsys, "--into", file, "--compare")
    assert [table["first_difference"] for table in embedded["tables"].values()] == [None] * len(embedded["tables"])
    assert code == 0
    assert {name: table["sha256"] for name, table in embedded["tables"].items()} == {
        name: table["sha256"] for name, table in told["tables"].items()
    }

    for into in (again, "questdb"):
        code, told, said = rebuilt(recorded, capsys, "--into", into)
        assert (code, told) == (2, None)
        assert "is not empty" in said
    code, told, said = rebuilt(recorded, capsys, "--into", "http://nobody")
    assert (code, told) == (2, None)
    assert "--into is not a file nor of the form" in said
