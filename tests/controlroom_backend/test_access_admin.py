"""The stock admin changes people through actions only; everything else in it can only be looked at."""

import json

import pytest
from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.test import Client
from django.urls import reverse

from controlroom.access import release_file
from controlroom.access.actions import change_person
from controlroom.access.models import User
from controlroom.access.permissions import OVERSIGHT, STRATEGY_DEVELOPER, TOURNAMENT_ADMINISTRATOR
from events.models import Outbox
from tournaments.models import RulesVersion
from worker.release import Passwords, ReleaseRefusedError


@pytest.fixture
def boss(person) -> Client:
    client = Client()
    client.force_login(person(name="boss", superuser=True))
    return client


def told() -> list[dict[str, object]]:
    return [json.loads(row.payload) for row in Outbox.objects.filter(type="AuditEvent").order_by("id")]


def fields(**changes: object) -> dict[str, object]:
    made = {"username": "ada", "first_name": "", "last_name": "", "email": "", "is_active": "on", "roles": [OVERSIGHT]}
    return {name: value for name, value in (made | changes).items() if value is not None}


def test_a_person_is_made_with_roles_and_the_record_is_told(boss):
    assert boss.post(reverse("admin:access_user_add"), fields()).status_code == 302
    ada = User.objects.get(username="ada")
    assert [group.name for group in ada.groups.all()] == [OVERSIGHT]
    assert not ada.has_usable_password()
    [event] = told()
    assert (event["action"], event["target"], event["actor"]) == ("create user", "ada", "boss")


def test_who_loses_oversight_loses_the_release(boss, person, paths):
    ada = person(OVERSIGHT, name="ada")
    release_file.seal(paths, user="ada", password="a-password-of-my-own-17")
    url = reverse("admin:access_user_change", args=[ada.pk])
    assert boss.post(url, fields(roles=[STRATEGY_DEVELOPER])).status_code == 302
    with pytest.raises(ReleaseRefusedError):
        Passwords(paths.secrets / "release.json").verify("ada", "a-password-of-my-own-17", "why")
    assert told()[-1]["reason"] == "roles strategy developer; active True; superuser False; strategies none"


def test_making_a_person_inactive_ends_their_session_at_once(boss, person):
    ada = person(OVERSIGHT, name="ada")
    client = Client()
    client.force_login(ada)
    assert client.get("/first-password").status_code == 200
    boss.post(reverse("admin:access_user_change", args=[ada.pk]), fields(is_active=None))
    assert client.get("/first-password").headers["Location"].startswith("/login")


def test_the_last_who_manages_people_cannot_stop_doing_so(boss):
    me = User.objects.get(username="boss")
    answer = boss.post(reverse("admin:access_user_change", args=[me.pk]), fields(username="boss", roles=[]))
    assert b"Somebody must be left who manages people" in answer.content
    me.refresh_from_db()
    assert me.is_superuser
    assert told() == []


def test_one_person_at_a_time_gets_a_one_time_password(boss, person, paths):
    ada, bob = person(OVERSIGHT, name="ada"), person(OVERSIGHT, name="bob")
    url = reverse("admin:access_user_changelist")
    both = {"action": "issue_one_time_password", "_selected_action": [ada.pk, bob.pk]}
    assert b"exactly one person" in boss.post(url, both, follow=True).content
    assert told() == []
    answer = boss.post(url, both | {"_selected_action": [ada.pk]}, follow=True)
    password = (paths.secrets / "first-login").read_text().split("password: ")[1].split()[0]
    assert password.encode() not in answer.content
    ada.refresh_from_db()
    assert ada.check_password(password)
    assert ada.must_replace_password


def test_nothing_but_people_can_be_changed(boss):
    group = Group.objects.get(name=OVERSIGHT)
    before = set(group.permissions.values_list("codename", flat=True))
    url = reverse("admin:auth_group_change", args=[group.pk])
    assert boss.get(url).status_code == 200
    assert boss.post(url, {"name": "mine", "permissions": []}).status_code == 403
    group.refresh_from_db()
    assert (group.name, set(group.permissions.values_list("codename", flat=True))) == (OVERSIGHT, before)
    person_page = reverse("admin:access_user_delete", args=[User.objects.get(username="boss").pk])
    assert boss.post(person_page, {"post": "yes"}).status_code == 403


def test_being_oversight_does_not_open_the_admin(person):
    client = Client()
    client.force_login(person(OVERSIGHT))
    assert client.post(reverse("admin:access_user_add"), fields()).status_code == 403
    assert not User.objects.filter(username="ada").exists()


def test_rules_of_tournaments_are_drafted_and_put_in_force_by_who_may_change_them_alone(boss, person):
    add, rules = reverse("admin:tournaments_rulesversion_add"), reverse("admin:tournaments_rulesversion_changelist")
    form = {"changes": '{"stress_paths": 400}', "reason": "more paths"}
    assert boss.post(add, form).status_code == 403  # who manages people has no such right by it
    both = Client()
    both.force_login(person(TOURNAMENT_ADMINISTRATOR, name="both", superuser=True))
    for changes, says in (("[]", "are no JSON object"), ('{"stress_paths": 1}', "stress_paths = 1 is outside 20")):
        page = both.post(add, form | {"changes": changes}).content.decode()
        assert says in page
    assert told() == []
    assert both.post(add, form).status_code == 302
    made = RulesVersion.objects.get()
    assert (made.version, made.status, made.author) == (1, "draft", "both")
    act = {"action": "put_in_force", "_selected_action": [made.pk]}
    boss.post(rules, act)
    made.refresh_from_db()
    assert made.status == "draft"
    both.post(rules, act)
    made.refresh_from_db()
    assert made.status == "active"
    assert [event["action"] for event in told()] == ["draft tournament rules", "activate tournament rules"]


def test_the_admins_own_password_page_is_the_stations(boss):
    assert boss.get(reverse("admin:password_change")).headers["Location"] == "/first-password"


def test_an_unknown_role_is_named(person):
    with pytest.raises(ValidationError, match="role 'king' is unknown"):
        change_person(
            user=person(), roles=["king"], is_active=True, is_superuser=False, actor=person(name="b", superuser=True)
        )
