"""Who may call what: the table of every route, the developer's refusal, scopes, sessions, what no token ever may."""

import json

import pytest
from asgiref.sync import sync_to_async
from channels.testing import WebsocketCommunicator
from django.db import connections
from django.test import Client
from django.urls import reverse

from controlroom.access import tokens
from controlroom.access.models import Approval
from controlroom.access.permissions import (
    DANGEROUS,
    OVERSIGHT,
    PERMISSIONS,
    STRATEGY_DEVELOPER,
    TOURNAMENT_ADMINISTRATOR,
)
from controlroom.api.api import api
from controlroom.api.problems import PAGE_ONLY
from controlroom.asgi import application
from controlroom.live.consumer import UNAUTHENTICATED
from events.models import Job, Outbox
from tests.api.conftest import ROOT, Script, problem_of
from tournaments.models import AllocationVersion, RulesVersion, TournamentRound

pytestmark = pytest.mark.django_db

ROUTES = {
    ("GET", "/status"): "view_overview",
    ("GET", "/tournaments"): "view_tournaments",
    ("POST", "/tournaments"): "run_tournament",
    ("GET", "/tournaments/{round_id}"): "view_tournaments",
    ("GET", "/tournaments/rules"): "view_tournaments",
    ("POST", "/tournaments/rules"): "change_tournament_rules",
    ("GET", "/tournaments/rules/diff"): "view_tournaments",
    ("GET", "/tournaments/rules/{version}"): "view_tournaments",
    ("POST", "/tournaments/rules/{version}/activate"): "change_tournament_rules",
    ("GET", "/tournaments/simulations"): "view_tournaments",
    ("POST", "/tournaments/simulations"): "run_tournament",
    ("POST", "/tournaments/simulations/{number}/cancel"): "run_tournament",
    ("GET", "/tournaments/evolution"): "view_tournaments",
    ("GET", "/allocations"): "view_tournaments",
    ("GET", "/positions"): "view_positions",
    ("GET", "/orders"): "view_orders",
    ("GET", "/limits"): "view_limits",
    ("POST", "/limits"): "change_configuration",
    ("GET", "/audit/events"): "view_audit",
    ("POST", "/kill"): "press_kill",
    ("POST", "/allocations/overrides"): "override_allocation",
    ("POST", "/allocations/deployments"): "override_allocation",
    ("POST", "/approvals"): "approve",
    ("POST", "/release"): "release_kill",
    ("POST", "/flatten"): "flatten",
    ("POST", "/operators"): "change_operators",
    ("POST", "/allocations/readmissions"): "override_allocation",
    ("POST", "/promotions"): "change_configuration",
    ("POST", "/maintenance"): "flatten",
}
"""Every route with the permission that it asks of the token's owner."""
NEVER = [
    path
    for (method, path), held in ROUTES.items()
    if method == "POST" and held in set(DANGEROUS) - {"change_configuration"}
]


def filled(path: str) -> str:
    return path.replace("{round_id}", "xnys:2019-01-06").replace("{version}", "1").replace("{number}", "1")


def ask(script: Script, method: str, path: str, body: object = None):
    return script.get(filled(path)) if method == "GET" else script.post(filled(path), body)


def rows() -> list[int]:
    """Count all that a call could have changed."""
    tables = (RulesVersion, TournamentRound, AllocationVersion, Approval, Job, Outbox)
    return [table.objects.count() for table in tables]


def test_every_route_is_in_the_table_and_in_the_document():
    paths = api.get_openapi_schema()["paths"]
    listed = {(method.upper(), path.removeprefix(ROOT)) for path, ways in paths.items() for method in ways}
    assert listed == ROUTES.keys()


def test_each_route_asks_what_its_page_asks():
    asked = {
        (method, path.rstrip("/")): operation.auth_callbacks[0].permission.removeprefix("access.")
        for bound in api._get_bound_routers()
        for place, view in bound.path_operations.items()
        for operation in view.operations
        for method in operation.methods
        for path in [(bound.prefix + place).replace("{path:", "{").replace("{int:", "{")]
    }
    assert asked == ROUTES


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_nobody_calls_it_without_a_token(method, path, paths):
    answer = ask(Script(), method, path)
    assert "no token that is good now" in problem_of(answer, 401)
    assert answer.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_a_session_is_no_token(method, path, person, django_assert_num_queries):
    script = Script()
    script.client.force_login(person(OVERSIGHT, TOURNAMENT_ADMINISTRATOR, superuser=True))
    before = rows()
    with django_assert_num_queries(0):
        answer = ask(script, method, path)
    problem_of(answer, 401)
    assert not answer.cookies
    assert rows() == before


@pytest.mark.parametrize(
    "path", [path for (method, path), held in ROUTES.items() if method == "POST" and held != "press_kill"]
)
def test_a_strategy_developer_is_refused_wherever_something_changes(path, script, bars):
    """All scopes help nothing: a token has no more power than its owner."""
    dev = script(STRATEGY_DEVELOPER)
    before, permission = rows(), ROUTES["POST", path]
    good = {
        "/tournaments": {"bars": [bars], "as_of": "2019-01-06T08:00:00Z", "reason": "let me"},
        "/tournaments/rules": {"changes": {"stress_paths": 300}, "reason": "let me"},
        "/tournaments/rules/{version}/activate": {"reason": "let me"},
        "/tournaments/simulations": {"bars": [bars], "versions": [0], "reason": "let me"},
    }
    detail = problem_of(ask(dev, "POST", path, good.get(path, {})), 403)
    assert detail == f"The token's owner, strategy-developer, does not hold {permission}: {PERMISSIONS[permission]}."
    assert rows() == before


@pytest.mark.parametrize(
    "path", [path for (method, path), held in ROUTES.items() if method == "POST" and "tournament" in held]
)
def test_the_action_refuses_a_developer_whom_the_door_let_in(path, script, bars, monkeypatch):
    """The rule is the action's: a door that forgot to ask changes nothing."""
    monkeypatch.setattr("controlroom.api.door.Token._admit", lambda *_: None)
    dev, before = script(STRATEGY_DEVELOPER), rows()
    good = {
        "/tournaments": {"bars": [bars], "as_of": "2019-01-06T08:00:00Z", "reason": "let me"},
        "/tournaments/rules": {"changes": {"stress_paths": 300}, "reason": "let me"},
        "/tournaments/rules/{version}/activate": {"reason": "let me"},
        "/tournaments/simulations": {"bars": [bars], "versions": [0], "reason": "let me"},
    }
    assert "a tournament administrator may" in problem_of(ask(dev, "POST", path, good.get(path, {})), 403)
    assert rows() == before


def test_a_developer_reads_what_their_pages_show(script, paths):
    dev = script(STRATEGY_DEVELOPER)
    for method, path in ROUTES:
        if method == "GET" and "{" not in path and path != "/tournaments/rules/diff":
            assert ask(dev, method, path).status_code in {200, 503}, path  # 503: no recorder has made a store here


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_a_scope_that_is_missing_is_named(method, path, script):
    permission = ROUTES[method, path]
    needed = [name for name, scope in tokens.SCOPES.items() if permission in scope.permissions]
    others = tuple(set(tokens.SCOPES) - set(needed))
    boss = script(OVERSIGHT, TOURNAMENT_ADMINISTRATOR, scopes=others)
    before = rows()
    detail = problem_of(ask(boss, method, path), 403)
    assert detail == PAGE_ONLY if not needed else f"do not include {needed[0]}" in detail
    assert rows() == before


@pytest.mark.parametrize("path", NEVER)
def test_what_takes_a_person_is_refused_whatever_the_scopes(path, script):
    boss = script(OVERSIGHT)
    before = rows()
    assert problem_of(boss.post(path, {"reason": "in a hurry"}), 403) == PAGE_ONLY
    assert rows() == before


def test_no_scope_names_what_loosens():
    reach = {permission for scope in tokens.SCOPES.values() for permission in scope.permissions}
    assert reach & set(DANGEROUS) == {"change_configuration"}  # of which change_limits takes the tightening alone
    assert reach <= PERMISSIONS.keys()


def test_a_token_opens_no_page(script):
    boss = script(OVERSIGHT)
    for page in ("/", "/tournaments/", "/admin/", "/limits/"):
        answer = boss.client.get(page, headers=boss.headers)
        assert (answer.status_code, answer.headers["Location"][:6]) == (302, "/login")
    assert "sessionid" not in boss.client.cookies


def test_a_cookie_beside_a_token_makes_nobody_else_of_it(script, person):
    dev = script(STRATEGY_DEVELOPER)
    dev.client.force_login(person(TOURNAMENT_ADMINISTRATOR))
    problem_of(dev.post("/tournaments/rules", {"changes": {"stress_paths": 300}, "reason": "let me"}), 403)


def test_addresses_and_methods_that_are_not_there_are_problems_too(script):
    boss = script(OVERSIGHT)
    assert "openapi.json lists" in problem_of(boss.get("/nothing"), 404)
    assert "openapi.json lists" in problem_of(boss.get("/"), 404)
    answer = boss.client.delete(f"{ROOT}/kill", headers=boss.headers)
    assert "DELETE is not allowed here; allowed is POST" in problem_of(answer, 405)


def test_the_document_is_openapi_3_1_and_needs_no_token(client: Client):
    answer = client.get(reverse("api:openapi-json"))
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/json")
    document = json.loads(answer.content)
    assert document["openapi"].startswith("3.1.")
    names = [way["operationId"] for ways in document["paths"].values() for way in ways.values()]
    assert len(names) == len(set(names)) == len(ROUTES)
    references = [line for line in json.dumps(document).split('"') if line.startswith("#/components/")]
    assert references
    for reference in references:
        found = document
        for part in reference.removeprefix("#/").split("/"):
            found = found[part]
    for ways in document["paths"].values():
        for way in ways.values():
            assert way["security"] == [{"Token": []}]
            assert way["responses"]
    assert document["components"]["securitySchemes"]["Token"]["scheme"] == "bearer"
    assert client.get("/api/v1/docs").status_code == 404


@pytest.mark.django_db(transaction=True)
async def test_a_token_opens_no_socket(script):
    made = await sync_to_async(script)(OVERSIGHT)
    headers = [
        (b"host", b"localhost"),
        (b"origin", b"http://localhost"),
        (b"authorization", made.headers["Authorization"].encode()),
    ]
    communicator = WebsocketCommunicator(application, "/live", headers=headers)
    await communicator.connect()
    assert (await communicator.receive_output(5))["code"] == UNAUTHENTICATED
    await sync_to_async(connections.close_all)()  # that thread's: PostgreSQL drops no database that is in use
