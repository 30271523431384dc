"""Every route for every kind of person; an unlisted route fails, and so does a right that being superuser grants."""

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from guardian.shortcuts import assign_perm

from controlroom.access.permissions import (
    OVERSIGHT,
    PERMISSIONS,
    ROLES,
    STRATEGY_DEVELOPER,
    SUPERUSER,
    TOURNAMENT_ADMINISTRATOR,
    named,
)
from controlroom.access.routes import NAMESPACES, ROUTES, Rule, rule_for
from controlroom.pages.access import ROUTES as PAGES
from risk.models import ConfigurationVersion

KINDS = ("anonymous", "no role", STRATEGY_DEVELOPER, TOURNAMENT_ADMINISTRATOR, OVERSIGHT, "superuser without a role")
VALUES = {
    "symbol": "AAPL",
    "order_id": "o-1",
    "object_id": "1",
    "app_label": "access",
    "url": "x",
    "content_type_id": "1",
}

ADMIN = {
    "admin:login": "login",  # the station's own
    "admin:autocomplete": "refused",  # no field asks for it
    **{
        f"admin:{table}_{verb}": "refused"
        for table in (
            "access_user",
            "auth_group",
            "agents_artefact",
            "tournaments_rulesversion",
            "tournaments_tournamentround",
            "tournaments_allocationversion",
        )
        for verb in ("add", "delete")
    },
    "admin:access_user_add": "open",
    "admin:access_apitoken_delete": "refused",
}
"""What the admin refuses even to a superuser, or sends elsewhere."""
API = dict.fromkeys(("api:openapi-json", "api:api-root"), "open")
"""What of the API says nothing of the station, and so to everybody."""


def every_route(resolver=None, space: str = "", prefix: str = "/"):
    for pattern in (resolver or get_resolver()).url_patterns:
        if isinstance(pattern, URLResolver):
            inner = f"{pattern.namespace}:" if pattern.namespace else ""
            yield from every_route(pattern, space + inner, prefix + str(pattern.pattern))
        elif isinstance(pattern, URLPattern):
            yield space + (pattern.name or ""), prefix + str(pattern.pattern)


def address(route: str) -> str:
    """Fill a route's parameters with something that fits."""
    parts = []
    for part in route.split("/"):
        if part.startswith("<"):
            kind, _, name = part.strip("<>").rpartition(":")
            parts.append(VALUES.get(name, "1" if kind == "int" else "x"))
        else:
            parts.append(part)
    return "/".join(parts)


def expected(name: str, rule: Rule, kind: str) -> str:
    if rule.kind in {"anyone", "kill cookie"}:
        return "open"
    if rule.kind == "token":
        return API.get(name, "no token")
    if kind == "anonymous":
        return "login"
    if rule.kind == "signed in":
        return "open"
    if rule.kind == "superuser":
        return ADMIN.get(name, "open") if kind.startswith("superuser") else "refused"
    held = {named(codename) for codename in ROLES.get(kind, ())}
    return "open" if rule.permission in held else "refused"


def test_every_route_has_a_name_and_a_rule():
    unlisted = [route for name, route in every_route() if "(?P" not in route and (not name or rule_for(name) is None)]
    assert unlisted == []


def test_every_rule_names_a_permission_of_the_table():
    asked = {rule.permission for rule in (*ROUTES.values(), *PAGES.values(), *NAMESPACES.values()) if rule.permission}
    assert asked <= {named(codename) for codename in PERMISSIONS}


@pytest.mark.parametrize("kind", KINDS)
def test_each_route_opens_to_exactly_its_people(kind, person, settings):
    client = Client(raise_request_exception=False)
    if kind != "anonymous":
        client.force_login(person(*[kind] if kind in ROLES else [], superuser=kind.startswith("superuser")))
    wrong = []
    for name, route in every_route():
        if "(?P" in route or "\\" in route or name == "logout":
            continue
        answer = client.get(address(route))
        location = answer.headers.get("Location", "")
        if answer.status_code == 302 and location.startswith("/login"):
            found = "login"
        elif answer.status_code == 403:
            found = "refused"
        elif rule_for(name).kind == "token" and answer.status_code in {401, 405}:
            found = "no token"
        else:
            found = "open"
        if found != expected(name, rule_for(name), kind):
            wrong.append(f"{name}: {found} ({answer.status_code})")
    assert wrong == []


def test_being_superuser_grants_no_right_of_the_station(person):
    boss = person(superuser=True)
    assert not any(boss.has_perm(named(codename)) for codename in PERMISSIONS)
    assert not SUPERUSER & {named(codename) for codename in PERMISSIONS}
    assert boss.has_perm("access.change_user")


def test_being_superuser_takes_no_right_of_a_role_away(person):
    both = person(OVERSIGHT, superuser=True)
    assert both.has_perm("access.release_kill")
    assert both.has_perm("access.change_user")


def test_an_inactive_person_holds_nothing(person):
    gone = person(OVERSIGHT, superuser=True)
    gone.is_active = False
    assert not gone.has_perm("access.press_kill")
    assert not gone.has_perm("access.change_user")


def test_a_right_for_one_object_is_a_right_for_that_object_alone(person):
    developer, boss = person(STRATEGY_DEVELOPER), person(superuser=True)
    mine, other = (
        ConfigurationVersion.objects.create(version=number, content="{}", sha256="", actor="", reason="")
        for number in (1, 2)
    )
    assign_perm("risk.change_configurationversion", developer, mine)
    assert developer.has_perm("risk.change_configurationversion", mine)
    assert not developer.has_perm("risk.change_configurationversion", other)
    assert not developer.has_perm("risk.change_configurationversion")
    assert not boss.has_perm("risk.change_configurationversion", mine)


def test_an_htmx_request_without_a_login_is_sent_to_the_login_as_a_whole_page(db, paths):
    answer = Client().get("/", headers={"HX-Request": "true"})
    assert answer.status_code == 401
    assert answer.headers["HX-Redirect"].startswith("/login")
