"""The kill in memory and on disk: who is blocked, when, and what lifts it."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from worker.kill import Kill, KillSwitch, blocks, parse, word

ROOT = Path(__file__).resolve().parent.parent.parent


def kill(scope="all", target="", request_id="r1"):
    return Kill(scope=scope, target=target, actor="somebody", reason="test", request_id=request_id)


def line(**changes):
    return json.dumps(
        {"scope": "all", "target": "", "actor": "a", "reason": "", "request_id": "r", "ts_ns": 1, **changes}
    ).encode()


@pytest.fixture
def switch(tmp_path):
    return KillSwitch(tmp_path / "kill" / "KILL")


def write(switch, content):
    switch.path.parent.mkdir(exist_ok=True)
    switch.path.write_bytes(content)


def test_nothing_is_killed_without_a_file(switch):
    assert switch.check() == frozenset()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", {"all"}),
        (b"not json", {"all"}),
        (b"\xff\xfe", {"all"}),
        (b'{"scope":"galaxy"}', {"all"}),
        (line(), {"all"}),
        (line(scope="account", target="paper"), {"all"}),
        (line(scope="strategy", target="momentum"), {"strategy:momentum"}),
        (line(scope="symbol", target="A") + b"\n" + line(scope="strategy", target="b"), {"symbol:A", "strategy:b"}),
        (line(scope="symbol", target="AAPL") + b"\nhalf a li", {"symbol:AAPL", "all"}),
        (b"x" * (2 << 20), {"all"}),
    ],
)  # fmt: skip
def test_a_file_kills_what_it_names_and_everything_where_it_cannot_be_understood(switch, content, words):
    write(switch, content)
    assert switch.check() == words
    assert {word(request.kill.scope, request.kill.target) for request in switch.requests} == words


def test_a_file_that_grows_kills_more_and_each_line_is_taken_once(switch):
    write(switch, line(scope="symbol", target="AAPL", request_id="1"))
    switch.check()
    with switch.path.open("ab") as file:
        file.write(b"\n" + line(scope="symbol", target="MSFT", request_id="2") + b"\n")
    assert switch.check() == {"symbol:AAPL", "symbol:MSFT"}
    assert [request.kill.target for request in switch.requests] == ["AAPL", "MSFT"]


def test_deleting_the_file_releases_nothing(switch):
    write(switch, line())
    switch.check()
    switch.path.unlink()
    assert switch.check() == {"all"}


def test_a_request_blocks_before_it_is_written_and_the_file_outlives_the_process(switch):
    made = switch.request(kill("symbol", "TSLA"), "socket")
    assert made.persisted
    assert switch.words == {"symbol:TSLA"}
    assert KillSwitch(switch.path).check() == {"symbol:TSLA"}


def test_a_disk_that_takes_nothing_still_blocks_in_memory(tmp_path):
    (tmp_path / "kill").write_text("a file where the folder should be")
    switch = KillSwitch(tmp_path / "kill" / "KILL")
    made = switch.request(kill(), "socket")
    assert not made.persisted
    assert "all" in switch.words
    assert "all" in switch.check()


def test_a_release_removes_the_file_and_lifts_the_block(switch):
    write(switch, line())
    switch.check()
    switch.requests.clear()
    assert switch.release()
    assert switch.check() == frozenset()
    assert not switch.path.exists()


def test_a_kill_that_comes_during_a_release_stands(switch):
    write(switch, line(request_id="old"))
    switch.check()
    switch.requests.clear()
    with switch.path.open("ab") as file:
        file.write(b"\n" + line(request_id="new"))
    assert not switch.release()
    assert switch.words == {"all"}
    assert [request.kill.request_id for request in switch.requests] == ["new"]


def test_the_same_file_kills_again_after_a_release(switch):
    write(switch, line(request_id="same"))
    switch.check()
    switch.requests.clear()
    assert switch.release()
    write(switch, line(request_id="same"))
    assert switch.check() == {"all"}
    assert len(switch.requests) == 1


def test_a_net_order_is_held_back_for_any_killed_strategy_in_it():
    assert blocks({"strategy:momentum"}, "AAPL", {"momentum": 3, "bullish": 9})
    assert not blocks({"strategy:bearish"}, "AAPL", {"momentum": 3, "bullish": 9})
    assert blocks({"symbol:AAPL"}, "AAPL", {})
    assert blocks({"all"}, "AAPL", {})
    assert not blocks(set(), "AAPL", {"momentum": 1})


def test_every_line_is_read_or_kills_everything():
    assert [k.scope for k in parse(line() + b"\n\n" + line(scope="symbol", target="A"))] == ["all", "all", "symbol"]


def test_a_look_costs_next_to_nothing_where_nothing_changed(switch, monkeypatch):
    write(switch, line())
    switch.check()
    monkeypatch.setattr("worker.kill.parse", lambda _content: pytest.fail("read again"))
    switch.check()


@pytest.mark.parametrize("closed", ["file", "folder"])
def test_an_unreadable_file_kills(tmp_path, closed):
    """Root reads everything: the look is taken without root's capabilities, from wherever the clone lies."""
    file = tmp_path / "kill" / "KILL"
    file.parent.mkdir()
    file.write_bytes(line(scope="symbol", target="AAPL"))
    (file if closed == "file" else file.parent).chmod(0o000)
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); from pathlib import Path; from worker.kill import KillSwitch; "
        f"print(sorted(KillSwitch(Path({str(file)!r})).check()))"
    )
    prefix = ["setpriv", "--inh-caps=-all", "--bounding-set=-all", "--"] if os.getuid() == 0 else []
    done = subprocess.run([*prefix, sys.executable, "-c", code], capture_output=True, text=True, check=False)
    file.parent.chmod(0o700)
    assert done.stdout.strip() == "['all']", done.stderr


def test_a_kill_is_seen_by_a_look_at_once(switch):
    write(switch, line())
    began = time.time_ns()
    assert "all" in switch.check()
    assert switch.requests[0].source == "file"
    assert switch.requests[0].kill.ts_ns <= max(began, time.time_ns())
