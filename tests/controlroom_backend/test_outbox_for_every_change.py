"""Whatever a page changes, the record hears of: every route that takes a form, with what it promises to the bus."""

import json

import pytest
from django.test import Client

from audit.actions import Part, export_record, request_export
from controlroom.access.permissions import OVERSIGHT
from controlroom.pages.audit import record
from events.models import Outbox
from tests.browser import recorded
from tests.controlroom_backend.conftest import PASSWORD, code_of
from tests.controlroom_backend.test_access_matrix import address, every_route

OWN = "another-long-passphrase-42"
CHANGES = {
    "login": ({"username": "ada", "password": PASSWORD}, "sign in"),
    "logout": ({}, "sign out"),
    "first-password": ({"current": PASSWORD, "new": OWN, "again": OWN}, "set own password"),
    "release": ({"password": PASSWORD, "code": "123456", "reason": "looked at it"}, "release kill"),
    "replay": ({"action": "pause"}, "pause"),
    "audit-verify": ({}, "verify the record"),
    "audit-export": ({"writer": "execution", "from": "0", "to": "3"}, "export the record"),
    "audit-cancel": ({}, "cancel: export the record"),
    "audit-bundle": ({}, "download an export"),
}
ELSEWHERE = {
    "kill": "the worker journals it, by three ways that need no database",
    "theme": "a cookie of this browser alone",
    **dict.fromkeys(
        ("tournament-run", "tournament-rules-draft", "tournament-rules-activate"),
        "tests/pages/test_tournaments.py looks at their events: they are a tournament administrator's",
    ),
    **dict.fromkeys(
        ("tournament-evolution-run", "tournament-evolution-promote", "tournament-evolution-retire"),
        "tests/pages/test_evolution.py looks at their events: each needs another role, a code or a second person",
    ),
    "allocation-act": "test_allocations.py looks at its events: it needs a worker, and a code or a second person",
    **dict.fromkeys(
        ("tournament-simulator-run", "tournament-simulator-cancel"),
        "tests/pages/test_tournament_simulator.py looks at their events: they are a tournament administrator's",
    ),
    **dict.fromkeys(
        ("step-up", "one-time-codes", "act", "limits-change", "operators", "approval-approve", "approval-refuse"),
        "test_oversight.py looks at their events: each needs a device, a fresh code or another person",
    ),
}


@pytest.fixture
def ada(person, paths, monkeypatch):
    """A person of the oversight group with a record to work on; nobody hears the doorbell."""
    monkeypatch.setattr(record, "ring", lambda _job: True)
    recorded.write_journals(paths)
    user = person(OVERSIGHT, name="ada")
    client = Client()
    client.force_login(user)
    return user, client


def test_every_route_that_takes_a_form_is_known(ada):
    """The API's take no form and no session; tests/api looks at what they tell the record."""
    _, client = ada
    takes = set()
    for name, route in every_route():
        if name.startswith(("admin:", "api:")) or "(?P" in route or "\\" in route or name == "logout":
            continue
        if client.post(address(route)).status_code != 405:
            takes.add(name)
    assert takes | {"logout"} == CHANGES.keys() | ELSEWHERE.keys()


@pytest.mark.parametrize("name", CHANGES)
def test_each_change_is_promised_to_the_bus(ada, paths, name):
    user, client = ada
    if name in {"audit-cancel", "audit-bundle"}:
        job = request_export(actor=user, part=Part(writer="execution", from_seq=0, to_seq=3, actor="ada"))
        route = f"/audit/jobs/{job.id}/{name.removeprefix('audit-')}"
        if name == "audit-bundle":
            assert export_record(job_id=job.id, owner="celery", paths=paths)
    else:
        route = next(path for found, path in every_route() if found == name)
    if name == "release":
        code_of(paths, "ada")
    before = Outbox.objects.count()
    form, action = CHANGES[name]
    answer = client.post(route, form)
    assert answer.status_code in {200, 302, 400}
    if answer.streaming:
        assert b"".join(answer.streaming_content)
    fresh = [json.loads(row.payload) for row in Outbox.objects.order_by("id")[before:]]
    assert [row["action"] for row in fresh] == [action]
    assert fresh[0]["actor"] == "ada"


def test_a_change_that_fails_promises_nothing(ada):
    _, client = ada
    assert client.post("/audit/verify", {"writer": "nobody"}).status_code == 400
    assert client.post("/replay", {"action": "rewind"}).status_code == 400
    assert not Outbox.objects.exists()


def test_a_wrong_password_is_told_without_what_was_typed(ada):
    _, client = ada
    for username in ("ada", "a-password-in-the-wrong-field"):
        client.post("/login", {"username": username, "password": "wrong"})
    rows = [json.loads(row.payload) for row in Outbox.objects.order_by("id")]
    assert [(row["target"], row["outcome"]) for row in rows] == [("ada", "refused"), ("unknown name", "refused")]
    assert not Outbox.objects.filter(payload__contains="wrong-field").exists()
