"""Whoever floods the control socket or guesses passwords changes nothing and keeps nobody from the kill."""

import contextlib
import socket
import threading
import time

from tests.faults.stage import SLICES, Stage
from worker.control import CONNECTIONS
from worker.release import TRIES

FLOOD = 2 * CONNECTIONS


def open_all(paths, count):
    """Return connections that say nothing; those beyond what the socket takes are refused or closed."""
    found = []
    for _ in range(count):
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(0.0)
        found.append(client)
        with contextlib.suppress(BlockingIOError, ConnectionError):
            client.connect(str(paths.socket("worker")))
    return found


def test_a_flood_of_the_control_socket_keeps_nobody_from_the_kill(paths, fault_row):
    stage = Stage(paths)
    ended = threading.Event()

    def flood():
        while not ended.is_set():
            clients = open_all(paths, FLOOD)
            for client in clients[::2]:
                with contextlib.suppress(OSError):
                    client.send(b"\xff" * 100 + b"\n")
            ended.wait(0.2)
            for client in clients:
                client.close()

    try:
        stage.start().until_slices(40)
        flooding = threading.Thread(target=flood)
        flooding.start()
        during = through(stage, lambda: _slices(stage, 120))
        answer = through(stage, lambda: stage.worker.ask(op="kill", scope="all", target="", actor="ann", reason="test"))
        ended.set()
        flooding.join()
        view = stage.until(lambda view: view["killed"] == ["all"])
        assert answer["ok"]
        assert not view["open_orders"]
        view = stage.finish()
    finally:
        ended.set()
        stage.close()
    assert view["counts"]["slices"] == SLICES + 1
    assert stage.twice() == 0
    fault_row(
        fault="control socket flooded",
        orders="trading goes on; a kill is taken in between",
        state=f"{during['state']}, KILLED by the kill",
        sees="nothing but a refused request now and then",
        recovers="nothing to recover: silent and senseless clients are closed after 2 s",
        measured=f"{FLOOD} connections at once, {CONNECTIONS} are served; kill answered",
    )


def through(stage, ask):
    """Ask until a connection gets through the flood and the answer is one; the kill file takes no connection at all."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        with contextlib.suppress(OSError, ValueError):
            if (answer := ask()) is not None:
                return answer
    raise AssertionError("nothing got through the flood")


def _slices(stage, count):
    view = stage.worker.ask(op="status")
    return view if view["counts"]["slices"] >= count else None


def test_wrong_passwords_close_the_release_for_a_while(paths, fault_row):
    stage = Stage(paths)
    try:
        stage.start().until_slices(20)
        assert stage.worker.ask(op="kill", scope="all", target="", actor="ann", reason="test")["ok"]
        answers = [
            stage.worker.ask(op="release", user="ann", password=f"guess {number}", reason="let me in")
            for number in range(TRIES)
        ]
        assert not any(answer["ok"] for answer in answers)
        right = stage.release("let me in")
        assert not right["ok"]
        view = stage.until(lambda view: view["killed"] == ["all"])
    finally:
        stage.close()
    rules = stage.rules()
    fault_row(
        fault="wrong passwords for the release",
        orders="none: KILLED stays",
        state=f"{view['state']}, killed {', '.join(view['killed'])}",
        sees=f"alerts {', '.join(rules)} that name the person who was said to ask",
        recovers="by itself after 15 minutes; the login pages keep count of their own in the database",
        measured=f"{TRIES} wrong ones, then the right one refused: {right['reason'][:80]}",
    )
