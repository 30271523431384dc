"""The kill of the control room: file, control socket and bus, each working while everything else is down."""

import json
import socket
import socketserver
import stat
import threading

import pytest
from django.conf import settings
from django.core import signing
from django.db import OperationalError, connection
from django.test import Client

from controlroom.access import kill, kill_cookie
from controlroom.access.permissions import OVERSIGHT, STRATEGY_DEVELOPER
from events import bus as station_bus
from events.codec import decode_envelope, decode_payload
from events.models import Outbox
from events.streams import REQUEST_KILL
from tests.controlroom_backend.conftest import code_of
from worker.control import answer
from worker.release import Credentials

PAGE = "/first-password"


class Handlers:
    """The worker's side of the control socket."""

    def __init__(self) -> None:
        self.killed: list[tuple[str, str, str]] = []
        self.released: list[dict[str, str]] = []
        self.scopes: list[tuple[str, str]] = []
        self.answer = {"ok": True, "reason": "released"}

    def status(self) -> bytes:
        return b"{}"

    def kill(self, scope: str, target: str, actor: str, *_more: object, **_named: object) -> dict[str, object]:
        self.killed.append((scope, target, actor))
        return {"ok": True, "killed": [scope], "canceled": 3}

    def release(self, scope: str, target: str, person: Credentials, reason: str) -> dict[str, object]:
        self.scopes.append((scope, target))
        self.released.append({"user": person.user, "password": person.password, "code": person.code, "reason": reason})
        return dict(self.answer)


@pytest.fixture
def worker(paths):
    """The worker's own reading of requests, on its socket."""
    handlers = Handlers()

    class Request(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.wfile.write(answer(handlers, self.rfile.readline()) + b"\n")

    with socketserver.ThreadingUnixStreamServer(str(paths.socket("worker")), Request) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield handlers
        server.shutdown()
        thread.join()


def signed_in(person, role: str = OVERSIGHT) -> Client:
    """A browser that has seen one page: it holds session, form token and kill cookie."""
    client = Client(enforce_csrf_checks=True)
    client.force_login(person(role))
    assert client.get(PAGE).status_code == 200
    assert kill_cookie.NAME in client.cookies
    return client


def press(client: Client, **fields: str):
    token = client.cookies["station_csrf"].value
    return client.post(
        "/kill", {"scope": "all", "csrfmiddlewaretoken": token, **fields}, headers={"HX-Request": "true"}
    )


def lines(paths) -> list[dict[str, object]]:
    return [json.loads(line) for line in paths.kill_file.read_text().splitlines()]


@pytest.mark.parametrize("role", [OVERSIGHT, STRATEGY_DEVELOPER])
def test_one_press_takes_all_three_paths(person, paths, servers, worker, role):
    client = signed_in(person, role)
    reply = press(client)
    assert reply.status_code == 200
    [line] = lines(paths)
    assert (line["scope"], line["target"], line["actor"]) == ("all", "", role.replace(" ", "-"))
    assert worker.killed == [("all", "", role.replace(" ", "-"))]
    [entry] = station_bus.read_from(station_bus.connect(paths, "status"), {REQUEST_KILL: "0"})
    message = decode_envelope(entry.event)
    event = decode_payload("ControlEvent", message.payload)
    assert (event.action, event.scope, event.request_id) == ("kill", "all", line["request_id"])
    assert b"cancelled 3 orders" in reply.content
    assert stat.S_IMODE(paths.kill_file.stat().st_mode) == 0o600


def test_it_works_without_database_bus_and_worker(person, paths, settings):
    client = signed_in(person)

    def gone(*_query: object) -> None:
        raise OperationalError("the database is gone")

    with connection.execute_wrapper(gone):
        reply = press(client)
    assert reply.status_code == 200
    assert [line["scope"] for line in lines(paths)] == ["all"]
    assert b"Kill sent" in reply.content
    assert b"socket: failed" in reply.content
    assert b"bus: failed" in reply.content


def test_not_a_single_query_is_made(person, paths, django_assert_num_queries):
    client = signed_in(person)
    with django_assert_num_queries(0):
        press(client)
        client.get("/kill")


def test_without_a_script_the_answer_is_a_page_that_says_what_worked(person, paths, worker):
    client = signed_in(person)
    token = client.cookies["station_csrf"].value
    reply = client.post(
        "/kill", {"scope": "symbol", "target": "AAPL", "csrfmiddlewaretoken": token, "next": "/orders/"}
    )
    assert reply.status_code == 303
    shown = client.get(reply.headers["Location"])
    assert b"symbol AAPL" in shown.content
    assert b"cancelled 3 orders" in shown.content
    assert b'href="/orders/"' in shown.content


def test_a_hanging_worker_holds_up_nothing(person, paths, servers):
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(paths.socket("worker")))
    listener.listen()
    try:
        outcome = kill.press(paths, scope="all", target="", actor="operator")
    finally:
        listener.close()
    assert outcome.paths["file"] == ""
    assert outcome.paths["bus"] == ""
    assert outcome.paths["socket"]
    assert outcome.canceled is None


def test_a_kill_file_that_cannot_be_written_leaves_the_other_paths(person, paths, servers, worker):
    (paths.root / "kill").write_text("in the way")
    client = signed_in(person)
    reply = press(client)
    assert b"file: failed" in reply.content
    assert worker.killed
    assert station_bus.read_from(station_bus.connect(paths, "status"), {REQUEST_KILL: "0"})


def test_a_kill_that_reaches_nothing_says_so_loudly(person, paths):
    (paths.root / "kill").write_text("in the way")
    reply = press(signed_in(person))
    assert b"The kill reached nothing" in reply.content


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"scope": "universe"}, b"scope = &#x27;universe&#x27; is unknown; allowed are all, account, strategy, symbol"),
        ({"scope": "symbol"}, b"target is empty; name the symbol that is meant"),
        ({"scope": "symbol", "target": "A" * 65}, b"must be at most 64 printable characters"),
        ({"scope": "strategy", "target": "a\x00b"}, b"must be at most 64 printable characters"),
    ],
)
def test_a_bad_target_is_named_and_changes_nothing(person, paths, fields, sentence):
    reply = press(signed_in(person), **fields)
    assert reply.status_code == 400
    assert sentence in reply.content
    assert not paths.kill_file.exists()


def test_nobody_kills_without_the_cookie_or_with_a_forged_or_old_one(person, paths, settings):
    client = signed_in(person)
    good = client.cookies[kill_cookie.NAME].value
    old = signing.dumps({"u": "x", "r": [], "e": 1.0}, salt=kill_cookie.SALT)
    other_salt = signing.dumps({"u": "x", "r": [], "e": 9e9}, salt="another")
    for value in ("", "x", good[:-2], old, other_salt):
        client.cookies[kill_cookie.NAME] = value
        assert press(client).status_code == 401
    assert not paths.kill_file.exists()


def test_another_site_cannot_press_it(person, paths):
    client = signed_in(person)
    reply = client.post("/kill", {"scope": "all"})
    assert reply.status_code == 403
    assert not paths.kill_file.exists()


def test_signing_out_takes_the_cookie_back(person, paths):
    client = signed_in(person)
    token = client.cookies["station_csrf"].value
    client.post("/logout", {"csrfmiddlewaretoken": token})
    assert client.cookies[kill_cookie.NAME].value == ""


def test_who_may_not_press_gets_no_cookie(person, paths):
    client = Client()
    client.force_login(person())
    client.get(PAGE)
    assert not (kill_cookie.NAME in client.cookies and client.cookies[kill_cookie.NAME].value)


def test_presses_at_the_same_time_are_all_on_file(paths):
    threads = [
        threading.Thread(target=kill.press, args=(paths,), kwargs={"scope": "symbol", "target": f"S{n}", "actor": "x"})
        for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(line["target"] for line in lines(paths)) == [f"S{n}" for n in range(8)]


# --- release ----------------------------------------------------------------------------------------------------------


def ask_release(client: Client, **fields: str):
    token = client.cookies["station_csrf"].value
    code_of(settings.DATA, "oversight")
    typed = {"password": "secret words", "code": "123456", "reason": "checked it all"}
    return client.post("/release", {"csrfmiddlewaretoken": token, **typed, **fields})


def test_oversight_releases_with_password_and_reason(person, paths, worker):
    reply = ask_release(signed_in(person))
    assert reply.status_code == 200
    assert b"Released" in reply.content
    assert worker.released == [
        {"user": "oversight", "password": "secret words", "code": "123456", "reason": "checked it all"}
    ]
    told = Outbox.objects.latest("id")
    assert (told.stream, told.type, told.actor) == ("control.audit", "AuditEvent", "oversight")
    assert "secret words" not in told.payload
    assert "checked it all" in told.payload


def test_a_release_names_its_scope_and_a_wrong_one_asks_nobody(person, paths, worker):
    client = signed_in(person)
    assert ask_release(client).status_code == 200
    assert ask_release(client, scope="strategy", target="momentum").status_code == 200
    assert worker.scopes == [("all", ""), ("strategy", "momentum")]
    assert b"target is empty" in ask_release(client, scope="symbol").content
    assert b"is unknown; allowed are all" in ask_release(client, scope="everybody").content
    assert len(worker.scopes) == 2


def test_what_the_worker_refuses_stays_killed_and_is_said(person, paths, worker):
    worker.answer = {"ok": False, "reason": "the password is wrong"}
    reply = ask_release(signed_in(person))
    assert reply.status_code == 400
    assert b"the password is wrong" in reply.content


def test_without_a_worker_the_kill_stands(person, paths):
    reply = ask_release(signed_in(person))
    assert b"the kill stands" in reply.content


def test_a_release_without_a_reason_asks_nobody(person, paths, worker):
    reply = ask_release(signed_in(person), reason=" a ")
    assert b"3 to 500" in reply.content
    assert worker.released == []


def test_a_developer_cannot_release(person, paths, worker):
    assert ask_release(signed_in(person, STRATEGY_DEVELOPER)).status_code == 403
    assert worker.released == []


def test_wrong_passwords_for_the_release_make_the_next_try_wait(person, paths, worker):
    worker.answer = {"ok": False, "reason": "wrong"}
    client = signed_in(person)
    for _ in range(5):
        ask_release(client)
    assert ask_release(client).status_code == 429
    assert len(worker.released) == 5
