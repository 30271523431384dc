"""PostgreSQL goes away and comes back under relay and pages: one sentence meanwhile, nothing lost afterwards."""

import contextlib
import json
import re
from http.client import HTTPConnection

import psycopg
import pytest

from events import bus as station_bus
from events.codec import decode_envelope
from events.streams import CONTROL_WORKER
from tests.controlroom_backend.conftest import Processes
from tests.postgresql import Server

pytestmark = pytest.mark.station

ROW = (
    "INSERT INTO events_outbox (stream, type, agent_id, payload, actor, request_id, created, answer, entry) "
    "VALUES (%s, 'ControlEvent', 'test', '{}', 'ada', %s, now(), '', '')"
)


@pytest.fixture
def server():
    """A PostgreSQL of this test alone."""
    made = Server().start()
    yield made
    made.close()


@pytest.fixture
def ours(paths, servers, server):
    """Processes on it, beside a bus."""
    made = Processes(paths, server.url("postgres"))
    yield made
    made.close()


def get(port, path):
    with contextlib.closing(HTTPConnection("127.0.0.1", port, timeout=20)) as connection:
        connection.request("GET", path, headers={"Cookie": "station_session=a-session-of-somebody"})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


def answers(port, path, status):
    with contextlib.suppress(OSError):
        return get(port, path)[0] == status
    return False


def promise(server, *names):
    with psycopg.connect(server.url("postgres")) as connection:
        for name in names:
            connection.execute(ROW, (CONTROL_WORKER, name))


def sent(bus):
    """Return how many rows are on the bus; one that was sent and not noted is sent again, with its id."""
    return len({decode_envelope(entry.event).id for entry in station_bus.read_from(bus, {CONTROL_WORKER: "0"})})


def test_a_restarted_postgresql_delays_and_loses_nothing(paths, server, ours, until, free_port):
    ours.run("manage.py", "migrate", "-v0")
    ours.start("manage.py", "relay", "--skip-checks")
    ours.start("-m", "daphne", "-b", "127.0.0.1", "-p", str(free_port), "controlroom.asgi:application")
    bus = station_bus.connect(paths, "status")
    promise(server, "a", "b")
    until(lambda: sent(bus) == 2, "two on the bus")
    until(lambda: answers(free_port, "/login", 200), "the pages")

    server.stop()
    status, page = get(free_port, "/login")
    assert status == 503
    assert "The database does not answer" in page
    assert "kill switch" in page
    assert get(free_port, "/healthz")[0] == 200
    assert "kill" in get(free_port, "/kill")[1]  # asks for its cookie, not for the database

    server.start()
    promise(server, "c")
    until(lambda: sent(bus) == 3, "the third on the bus")
    until(lambda: answers(free_port, "/login", 200), "the pages again")
    with psycopg.connect(server.url("postgres")) as connection:
        assert connection.execute("SELECT count(*) FROM events_outbox WHERE published_at IS NULL").fetchone() == (0,)
    said = (paths.logs / "relay.jsonl").read_text()
    messages = [json.loads(line)["message"] for line in said.splitlines() if "the database failed" in line]
    assert messages
    assert all(re.fullmatch(r"the database failed \(.+\); trying again", message) for message in messages), messages


def test_a_server_that_is_not_there_is_one_sentence(paths, server, ours):
    server.stop()
    assert ours.start("-m", "controlroom.supervisor.database").wait(60) == 1
    said = (paths.root / "processes.log").read_text().splitlines()
    assert len(said) == 1, said
    assert str(server.folder) in said[0]
