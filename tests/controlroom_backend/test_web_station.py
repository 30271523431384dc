"""Real Daphne over a real socket: what a browser gets while the station around it falls apart."""

import json
import re
import socket
from contextlib import suppress

import psycopg
import pytest

from tests.controlroom_backend.visitor import Browser
from tests.postgresql import FIRST

pytestmark = pytest.mark.station


@pytest.fixture
def visitor(paths, processes, until) -> Browser:
    """A browser before a freshly started control room."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    processes.run("manage.py", "migrate", "-v0")
    processes.run("manage.py", "first_run")
    daphne = ("-m", "daphne", "-b", "127.0.0.1", "-p", str(port), "--no-server-name", "controlroom.asgi:application")
    processes.start(*daphne)
    made = Browser(port)

    def answers() -> bool:
        try:
            return made.get("/healthz")[0] == 200
        except OSError:
            return False

    until(answers, "the control room answers")
    return made


def sign_in(visitor: Browser, paths) -> None:
    shown = dict(line.split(": ", 1) for line in (paths.secrets / "first-login").read_text().splitlines())
    visitor.get("/login")
    status, headers, _ = visitor.post("/login", username=shown["user"], password=shown["password"])
    assert (status, headers["Location"]) == (302, "/first-password")
    visitor.get("/first-password")
    own = "a-password-of-my-own-17"
    status, headers, _ = visitor.post("/first-password", current=shown["password"], new=own, again=own)
    assert (status, headers["Location"]) == (302, "/one-time-codes")


def take_away(paths, database_url: str) -> None:
    """Let nobody reach the database any more."""
    if database_url:
        server, _, name = database_url.rpartition("/")
        with psycopg.connect(f"{server}/{FIRST}", autocommit=True) as connection:
            connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        return
    for file in paths.root.glob("django.sqlite3*"):
        with suppress(FileNotFoundError):  # the last connection that closes takes its two files beside it away
            file.rename(paths.root / f"away-{file.name}")
    paths.database.mkdir()  # whatever is opened in its place fails


def test_first_login_then_kill_with_the_database_taken_away(visitor, paths, database_url):
    sign_in(visitor, paths)
    take_away(paths, database_url)
    status, headers, _ = visitor.post("/kill", scope="all", next="/orders/")
    assert status == 303
    [line] = [json.loads(line) for line in paths.kill_file.read_text().splitlines()]
    assert (line["scope"], line["actor"]) == ("all", "operator")
    status, _, page = visitor.get(headers["Location"])
    assert status == 200
    assert b"Kill sent" in page
    status, _, page = visitor.get("/system/")
    assert status == 503
    assert b"The database does not answer" in page
    assert b"What still works" in page
    assert visitor.get("/healthz")[0] == 200
    assert not re.search("a-password-of-my-own-17", (paths.root / "processes.log").read_text())


def test_what_a_browser_loads_is_served_here_and_nothing_may_be_inline(visitor):
    for name in ("htmx.min.js", "plotly.min.js", "uplot.min.js", "uplot.min.css"):
        status, headers, content = visitor.get(f"/static/vendor/{name}")
        assert status == 200
        assert len(content) > 1000
        assert ("css" if name.endswith("css") else "javascript") in headers["Content-Type"]
    status, headers, page = visitor.get("/login")
    policy = headers["Content-Security-Policy"]
    assert status == 200
    assert "unsafe-inline" not in policy
    assert "script-src 'self';" in policy
    assert f"connect-src 'self' ws://127.0.0.1:{visitor.port}" in policy
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"
    assert b"style=" not in page
    assert b"<script>" not in page


def test_another_hosts_name_is_not_answered(visitor):
    assert visitor.get("/login", Host="evil.example")[0] == 400


def test_the_secret_key_is_private_and_the_same_for_every_process(visitor, paths):
    key = paths.secrets / "django-key"
    assert key.stat().st_mode & 0o777 == 0o600
    assert len(key.read_text()) > 40
