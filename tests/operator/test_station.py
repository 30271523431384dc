"""The whole station as a person starts it: real bars to a verified record, and nothing left behind."""

import json
import os
import signal
import stat

import pytest

from tests.operator.running import manage, processes_of, unused_port, wait_for, wait_for_end

pytestmark = pytest.mark.station

STRATEGIES = {"bullish", "bearish", "mean_reversion", "momentum"}
FIELDS = [
    "bars", "orders", "denied", "fills", "equity", "cash", "positions", "journal", "seconds", "by_strategy", "chain_ok",
    "orders_sha256", "tick_to_order_ms",
]  # fmt: skip


def until_done(data_dir, *arguments):
    port = unused_port()
    done = manage("run", "--data-dir", data_dir, "--port", port, "--until-done", "--json", *arguments, timeout=280)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), done.stderr


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Twenty years of daily bars, to the end."""
    data_dir = tmp_path_factory.mktemp("done") / "data"
    result, said = until_done(data_dir, "--feed", "sample", "--speed", "max")
    return data_dir, result, said


def test_the_result_has_exactly_the_documented_fields(finished):
    _, result, _ = finished
    assert list(result) == FIELDS
    assert result["chain_ok"] is True
    assert set(result["journal"]) == {"execution", "station"}
    assert all(set(end) == {"seq", "head"} and len(end["head"]) == 64 for end in result["journal"].values())
    assert set(result["tick_to_order_ms"]) == {"p50", "p95", "p99", "max", "n"}
    assert len(result["orders_sha256"]) == 64


def test_every_strategy_traded_and_money_adds_up(finished):
    _, result, _ = finished
    assert set(result["by_strategy"]) == STRATEGIES
    assert all(counts["orders"] >= 1 and counts["fills"] >= 1 for counts in result["by_strategy"].values())
    positions = result["positions"].values()
    assert result["equity"] == pytest.approx(result["cash"] + sum(row["value"] for row in positions), abs=0.005)
    assert all(row["value"] == pytest.approx(row["qty"] * row["mark"], abs=1e-6) for row in positions)


def test_one_line_a_process_and_no_login(finished):
    data_dir, _, said = finished
    for name in ("bus", "web-cache", "worker", "recorder", "feed", "relay", "web"):
        assert sum(f" {name} " in line and "ready" in line for line in said.splitlines()) == 1, said
    assert not (data_dir / "secrets" / "first-login").exists()
    assert "password" not in said


def test_nothing_is_left_running_or_lying_about(finished):
    data_dir, _, _ = finished
    assert processes_of(data_dir) == []
    assert [path for path in data_dir.rglob("*") if stat.S_ISSOCK(path.lstat().st_mode)] == []
    assert list((data_dir / "run").glob("*.pid")) == []
    assert stat.S_IMODE(data_dir.stat().st_mode) == 0o700


def test_status_of_a_stopped_station_reads_the_journals_end(finished):
    data_dir, result, _ = finished
    done = manage("status", "--json", "--data-dir", data_dir)
    assert done.returncode == 1
    found = json.loads(done.stdout)
    assert found["running"] is False
    assert found["journal"]["seq"] == result["journal"]["execution"]["seq"]


def test_the_same_again_gives_identical_orders(finished, short_dir):
    again, _ = until_done(short_dir / "again", "--feed", "sample", "--speed", "max")
    _, result, _ = finished
    same = ("bars", "orders", "denied", "fills", "equity", "cash", "positions", "by_strategy", "orders_sha256")
    assert {name: again[name] for name in same} == {name: result[name] for name in same}


def test_ctrl_c_stops_in_order_and_leaves_nothing(start):
    station = start("--feed", "sample", "--speed", "86400", "--no-browser")
    station.wait_until("web")
    login = station.data_dir / "secrets" / "first-login"
    assert stat.S_IMODE(login.stat().st_mode) == 0o600
    password = login.read_text().split("password: ")[1].split("\n")[0]
    code, out, err = station.stop()
    assert code == 0
    assert f"http://127.0.0.1:{station.port}/" in out
    assert "nothing is left running" in out
    assert processes_of(station.data_dir) == []
    assert [path for path in station.data_dir.rglob("*") if stat.S_ISSOCK(path.lstat().st_mode)] == []
    written = "".join(path.read_text(errors="replace") for path in (station.data_dir / "logs").iterdir())
    assert password not in written + out + err


@pytest.mark.parametrize("victim", ["run", "supervisord"])
def test_kill_9_of_the_supervisor_leaves_nothing(start, victim):
    station = start("--feed", "sample", "--speed", "86400", "--no-browser")
    for name in ("worker", "web"):
        station.wait_until(name)
    if victim == "run":
        station.process.kill()
    else:
        running = processes_of(station.data_dir)
        found = [process for process in running if "supervisor.supervisord" in process.cmdline()]
        # a child that it has forked and that has not become its program yet looks the same: the oldest is it
        os.kill(min(found, key=lambda process: process.create_time()).pid, signal.SIGKILL)
    station.process.communicate(timeout=20)
    wait_for_end(station.data_dir)
    assert station.process.returncode == (-signal.SIGKILL if victim == "run" else 1)


def test_killed_worker_comes_back_and_a_kill_outlives_everything(start):
    station = start("--feed", "sample", "--speed", "864000", "--no-browser")
    station.wait_until("worker")
    wait_for(lambda: (station.status().get("seq") or 0) > 50, 90, "fifty records")
    pid = station.pids()["worker"]
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: station.pids().get("worker", pid) != pid, 20, "another worker")
    station.wait_until("worker")
    assert station.status()["running"]

    drill = manage("kill", "--drill", "--data-dir", station.data_dir)
    assert drill.returncode == 0, drill.stdout + drill.stderr
    assert station.status()["killed"] == []
    killed = manage("kill", "--data-dir", station.data_dir)
    assert killed.returncode == 0, killed.stderr
    assert "all" in station.status()["killed"]
    orders = station.status()["counts"]["orders"]

    pid = station.pids()["worker"]
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: station.pids().get("worker", pid) != pid, 20, "another worker")
    station.wait_until("worker")
    wait_for(lambda: station.status().get("killed") == ["all"], 30, "the kill in the new worker")
    assert station.status()["counts"]["orders"] == orders
    refused = manage(
        "release", "--reason", "test", "--password-file", "-", "--data-dir", station.data_dir, input="wrong\n"
    )
    assert refused.returncode == 1
    assert "Not released" in refused.stderr
    assert "all" in station.status()["killed"]
    code, _, _ = station.stop()
    assert code == 0


def test_a_data_directory_keeps_its_source(finished):
    data_dir, _, _ = finished
    done = manage("run", "--feed", "simulated", "--data-dir", data_dir, "--port", unused_port(), "--until-done")
    assert done.returncode == 2
    assert "sample" in done.stderr
    assert "--data-dir of its own" in done.stderr
