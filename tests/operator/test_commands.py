"""status, kill, release and doctor beside a station that does not run."""

import json
import socket
import stat

import pytest

from controlroom.supervisor.status import readable
from events.paths import DataPaths
from tests.operator.running import manage, unused_port
from worker.kill import parse


@pytest.mark.parametrize("command", [("status",), ("kill",), ("release", "--reason", "r")])
def test_a_directory_that_is_not_there_is_named(tmp_path, command):
    done = manage(*command, "--data-dir", tmp_path / "nowhere", input="")
    assert done.returncode == 2
    assert "nowhere" in done.stderr
    assert done.stderr.count("\n") == 1


def test_status_of_a_station_that_never_ran(tmp_path):
    done = manage("status", "--json", "--data-dir", tmp_path)
    assert done.returncode == 1
    found = json.loads(done.stdout)
    assert (found["running"], found["seq"], found["journal"]["seq"]) == (False, None, None)
    assert "does not answer" in manage("status", "--data-dir", tmp_path).stdout


@pytest.mark.parametrize(
    ("arguments", "scope", "target"),
    [
        ((), "all", ""),
        (("--scope", "strategy", "--target", "momentum"), "strategy", "momentum"),
        (("--scope", "account"), "account", ""),
    ],
)
def test_a_kill_without_a_worker_is_written_so_that_the_next_one_reads_it(tmp_path, arguments, scope, target):
    paths = DataPaths(tmp_path)
    for times in (1, 2):
        done = manage("kill", *arguments, "--reason", "smoke", "--data-dir", tmp_path)
        assert (done.returncode, done.stderr) == (0, "")
        assert "starts killed" in done.stdout
        kills = parse(paths.kill_file.read_bytes())
        assert [(kill.scope, kill.target, kill.reason) for kill in kills] == [(scope, target, "smoke")] * times
        assert all(kill.request_id and kill.ts_ns and "shell" in kill.actor for kill in kills)
    assert stat.S_IMODE(paths.kill_file.stat().st_mode) == 0o600
    assert "A kill file is present" in manage("status", "--data-dir", tmp_path).stdout


@pytest.mark.parametrize(
    ("killed", "word"),
    [
        ([], "PAPER ACTIVE at"),
        (["symbol:AAPL"], "PAPER ACTIVE, killed: symbol:AAPL at"),
        (["all"], "PAPER KILLED, killed: all at"),
    ],
)
def test_status_names_the_state_that_counts(killed, word):
    account = {"equity": 1.0, "cash": 1.0, "currency": "USD"}
    found = {"running": True, "mode": "PAPER", "state": "ACTIVE", "killed": killed, "seq": 7, "account": account}
    found |= {"ages": {"data_s": 0.1}, "open_orders": [], "positions": {}, "processes": []}
    assert readable(found).startswith(word)


def test_a_kill_that_blocks_nothing_says_so(tmp_path):
    (tmp_path / "kill").write_text("a file where the folder belongs")
    done = manage("kill", "--data-dir", tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("NOT BLOCKED")


def test_a_drill_stops_nothing(tmp_path):
    done = manage("kill", "--drill", "--data-dir", tmp_path)
    assert done.returncode == 1  # no worker answers, and a drill is to find that out
    assert not DataPaths(tmp_path).kill_file.exists()


@pytest.mark.parametrize(
    "arguments",
    [("--scope", "strategy"), ("--target", "AAPL"), ("--scope", "planet"), ("--scope", "all", "--target", "x")],
)
def test_a_bad_kill_changes_nothing(tmp_path, arguments):
    done = manage("kill", *arguments, "--data-dir", tmp_path)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_release_needs_a_reason_and_a_worker(tmp_path):
    assert manage("release", "--reason", " ", "--data-dir", tmp_path, input="x\n").returncode == 2
    missing = manage("release", "--reason", "r", "--password-file", tmp_path / "none", "--data-dir", tmp_path)
    assert missing.returncode == 2
    assert "--password-file" in missing.stderr
    away = manage("release", "--reason", "r", "--data-dir", tmp_path, input="secret\n")
    assert away.returncode == 1
    assert "does not answer" in away.stderr
    assert "secret" not in away.stdout + away.stderr


def test_doctor_finds_a_healthy_host_in_order(tmp_path):
    done = manage("doctor", "--json", "--data-dir", tmp_path / "d", "--port", unused_port())
    found = json.loads(done.stdout)
    wrong = [finding for finding in found["findings"] if not finding["ok"] and finding["subject"] != "memory"]
    assert wrong == []


def test_doctor_names_what_is_wrong(tmp_path):
    (tmp_path / "settings.toml").write_text("[limits]\nmax_gross = -1.0\n")
    tmp_path.chmod(0o755)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        done = manage("doctor", "--data-dir", tmp_path, "--port", other.getsockname()[1])
    assert done.returncode == 1
    wrong = [line for line in done.stdout.splitlines() if line.startswith("WRONG")]
    assert {line.split()[1] for line in wrong} >= {"data", "settings", "port"}
    assert "max_gross" in done.stdout
