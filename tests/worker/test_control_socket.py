"""The control socket: whatever comes in, one JSON object goes out, and a kill is never kept waiting."""

import json
import socket
import threading

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.control import LINE_LIMIT, ControlServer, answer


class Handlers:
    def __init__(self):
        self.killed = []
        self.hold = threading.Event()
        self.hold.set()

    def status(self):
        return msgspec.json.encode({"seq": 7})

    def kill(self, scope, target, actor, reason, request_id):
        self.killed.append((scope, target, actor, reason, request_id))
        return {"ok": True, "killed": [scope], "canceled": 0}

    def drill(self, _kill, *, hold):
        return {"ok": True, "drill": True, "hold": hold}

    def act(self, action, scope, target, person, reason):
        return {"ok": True, "asked": [action, scope, target, person.user, person.password, person.code, reason]}

    def release(self, *_):
        self.hold.wait(10)
        return {"ok": False, "reason": "no"}


@pytest.fixture
def served(short_dir):
    handlers = Handlers()
    server = ControlServer(short_dir / "run" / "worker.sock", handlers)
    server.start()
    yield handlers, short_dir / "run" / "worker.sock"
    server.close()


def talk(path, line, timeout=10):
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(timeout)
        client.connect(str(path))
        client.sendall(line)
        received = b""
        while not received.endswith(b"\n"):
            part = client.recv(65536)
            if not part:
                break
            received += part
    return json.loads(received)


def test_status_kill_and_release_are_answered(served):
    handlers, path = served
    assert talk(path, b'{"op":"status"}\n') == {"seq": 7}
    made = talk(path, b'{"op":"kill","scope":"symbol","target":"AAPL","actor":"me","reason":"r","request_id":"7"}\n')
    assert made["ok"]
    assert handlers.killed == [("symbol", "AAPL", "me", "r", "7")]
    assert talk(path, b'{"op":"release","user":"u","password":"p","reason":"r"}\n') == {"ok": False, "reason": "no"}


def test_a_drill_is_no_kill(served):
    handlers, path = served
    assert talk(path, b'{"op":"kill","scope":"all","drill":true}\n') == {"ok": True, "drill": True, "hold": False}
    assert not handlers.killed


@pytest.mark.parametrize("op", ["flatten", "maintenance", "resume_maintenance"])
def test_an_act_comes_with_person_password_code_and_reason(op):
    line = {"op": op, "scope": "symbol", "target": "AAPL", "user": "u", "password": "p", "code": "1", "reason": "r"}
    asked = json.loads(answer(Handlers(), msgspec.json.encode(line)))["asked"]
    assert asked == [op, "symbol", "AAPL", "u", "p", "1", "r"]
    for missing in ("user", "password", "reason", "target"):
        short = {name: value for name, value in line.items() if name != missing}
        assert missing in json.loads(answer(Handlers(), msgspec.json.encode(short)))["reason"]


@pytest.mark.parametrize(
    ("line", "word"),
    [
        (b"{}", "op is None"),
        (b"[]", "not one line of JSON"),
        (b"\xff\xff", "not one line of JSON"),
        (b'{"op":"format"}', "allowed are status, kill, drill_over, release"),
        (b'{"op":"kill","scope":"galaxy"}', "scope is 'galaxy'"),
        (b'{"op":"kill","scope":"symbol"}', "target is empty"),
        (b'{"op":"kill","scope":"all","reason":7}', "reason"),
        (b'{"op":"release","user":"u"}', "password"),
    ],
)
def test_bad_requests_get_a_sentence_and_change_nothing(line, word):
    handlers = Handlers()
    refused = json.loads(answer(handlers, line))
    assert refused["ok"] is False
    assert word in refused["reason"]
    assert not handlers.killed


@given(st.binary(max_size=300))
def test_garbage_is_answered(line):
    assert isinstance(json.loads(answer(Handlers(), line)), dict)


def test_an_endless_line_and_a_silent_client_are_closed_with_a_word(served):
    _, path = served
    assert "no line" in talk(path, b"x" * (LINE_LIMIT * 2))["reason"]
    assert "no line" in talk(path, b'{"op":')["reason"]


def test_a_kill_passes_a_flood_and_a_release_that_takes_its_time(served):
    handlers, path = served
    handlers.hold.clear()
    idle = [socket.socket(socket.AF_UNIX) for _ in range(100)]
    for client in idle:
        client.connect(str(path))
    waiting = threading.Thread(target=talk, args=(path, b'{"op":"release","user":"u","password":"p","reason":"r"}\n'))
    waiting.start()
    assert talk(path, b'{"op":"kill","scope":"all"}\n', timeout=1.5)["ok"]
    handlers.hold.set()
    waiting.join()
    for client in idle:
        client.close()


def test_the_socket_is_private_and_goes_with_the_server(short_dir):
    path = short_dir / "run" / "worker.sock"
    server = ControlServer(path, Handlers())
    server.start()
    assert path.stat().st_mode & 0o077 == 0
    assert path.parent.stat().st_mode & 0o077 == 0
    server.close()
    assert not path.exists()


def test_a_client_that_still_talks_at_the_end_leaves_no_error_in_the_log(short_dir, caplog):
    server = ControlServer(short_dir / "worker.sock", Handlers())
    server.start()
    with socket.socket(socket.AF_UNIX) as silent:
        silent.connect(str(short_dir / "worker.sock"))
        talk(short_dir / "worker.sock", b'{"op":"status"}\n')  # the server has taken the silent one before
        server.close()
    assert caplog.records == []
