"""Scripts with tokens, on the real Django stack."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client

from controlroom.access import tokens
from controlroom.access.models import User
from controlroom.api.tournaments import rounds, simulations
from events.models import Job, Outbox
from tests.controlroom_backend.conftest import paths, person, quick_hash, servers  # noqa: F401 - fixtures

ROOT = "/api/v1"


class Script:
    """What curl does with one token: no cookie, no session, no CSRF token."""

    def __init__(self, secret: str = "", address: str = "192.0.2.1") -> None:
        self.headers = {"Authorization": f"Bearer {secret}"} if secret else {}
        self.client = Client(enforce_csrf_checks=True, REMOTE_ADDR=address)

    def get(self, path: str, **query: Any) -> HttpResponse:
        return self.client.get(ROOT + path, query, headers=self.headers)

    def post(self, path: str, body: Any = None, raw: bytes | None = None) -> HttpResponse:
        data = json.dumps({} if body is None else body) if raw is None else raw
        return self.client.post(ROOT + path, data, content_type="application/json", headers=self.headers)


def problem_of(answer: HttpResponse, status: int) -> str:
    """Return the sentence of an error that has all that RFC 9457 asks for."""
    assert answer.status_code == status, answer.content
    assert answer.headers["Content-Type"] == "application/problem+json"
    found = json.loads(answer.content)
    assert (found["type"], found["status"]) == ("about:blank", status)
    assert found["title"]
    assert found["detail"].endswith((".", "?", "!"))
    return found["detail"]


def told() -> list[dict[str, Any]]:
    """Return what the record was told, oldest first."""
    return [json.loads(row.payload) for row in Outbox.objects.filter(type="AuditEvent").order_by("id")]


@pytest.fixture
def script(person) -> Callable[..., Script]:  # noqa: F811 - the fixture
    """Make a script with a token of a person of these roles."""

    def make(*roles: str, scopes: tuple[str, ...] = tuple(tokens.SCOPES), owner: User | None = None) -> Script:
        user = owner or person(*roles)
        issued = tokens.issue_token(owner=user, name="ci", scopes=scopes, actor=None)
        Outbox.objects.all().delete()
        made = Script(issued.secret)
        made.token, made.secret = issued.token, issued.secret  # type: ignore[attr-defined]
        return made

    return make


@pytest.fixture
def rung(monkeypatch: pytest.MonkeyPatch) -> list[Job]:
    """Jobs that were rung for."""
    heard: list[Job] = []
    for module in (rounds, simulations):
        monkeypatch.setattr(module, "ring", heard.append)
    return heard


@pytest.fixture
def bars(tmp_path: Path) -> str:
    """A file that is there; nobody reads it here."""
    made = tmp_path / "daily.parquet"
    made.write_bytes(b"PAR1")
    return str(made)
