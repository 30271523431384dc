"""Tokens: made and revoked by who manages people, kept as a hash, good as long as owner, scope and time allow."""

import json
import stat
from datetime import timedelta
from io import StringIO

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.management import CommandError, call_command
from django.db import OperationalError
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from controlroom.access import tokens
from controlroom.access.models import ApiToken, FailedLogin
from controlroom.access.permissions import OVERSIGHT, TOURNAMENT_ADMINISTRATOR
from tests.api.conftest import Script, problem_of, told
from tournaments.actions import draft_rules
from tournaments.models import RulesVersion

pytestmark = pytest.mark.django_db


def secret_in(paths) -> str:
    [file] = paths.secrets.glob("token-*")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    return dict(line.split(": ", 1) for line in file.read_text().splitlines())["token"]


def test_the_shell_issues_lists_and_revokes(person, paths, caplog):
    caplog.set_level("DEBUG")
    person(OVERSIGHT, name="ada")
    out = StringIO()
    call_command("token", "issue", "ada", "nightly", "--scopes", "read,kill", "--days", "7", stdout=out)
    secret = secret_in(paths)
    assert len(secret) == len("station_") + 43
    assert Script(secret).get("/limits").status_code == 200
    call_command("token", "list", "--json", stdout=out)
    [row] = json.loads(out.getvalue().splitlines()[-1])["tokens"]
    assert (row["name"], row["owner"], row["scopes"]) == ("nightly", "ada", "read kill")
    call_command("token", "revoke", str(row["id"]), stdout=out)
    problem_of(Script(secret).get("/limits"), 401)
    assert [event["action"] for event in told()] == ["issue token", "revoke token", "use token"]
    assert "scopes read, kill; until" in told()[0]["reason"]
    kept = json.dumps([told(), list(ApiToken.objects.values())], default=str)
    for place in (out.getvalue(), caplog.text, kept):
        assert secret not in place


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["issue", "bob", "ci"], "owner = 'bob' is unknown; known are ada"),
        (["issue", "ada", "ci", "--days", "0"], "days = 0 must be 1 to 365."),
        (["issue", "ada", "ci", "--days", "366"], "days = 366 must be 1 to 365."),
        (["issue", "ada", "ci", "--scopes", "read,approve"], "scope = 'approve' is unknown; allowed are read, tour"),
        (["issue", "ada", "ci", "--scopes", ","], "scopes is empty"),
        (["issue", "ada", " "], "name = '' must be 1 to 40 printable characters."),
        (["issue", "ada", "n" * 41], "must be 1 to 40 printable characters."),
        (["issue", "ada", "a\nb"], "must be 1 to 40 printable characters."),
        (["issue", "ada", "old"], "name = 'old' is that of another token of ada"),
        (["revoke", "99"], "token = 99 is unknown"),
    ],
)
def test_bad_input_is_one_sentence_and_makes_none(arguments, sentence, person, paths):
    tokens.issue_token(owner=person(OVERSIGHT, name="ada"), name="old", scopes=["read"], actor=None)
    before = told()
    with pytest.raises(CommandError) as caught:
        call_command("token", *arguments, stdout=StringIO())
    assert sentence in str(caught.value)
    assert caught.value.returncode == 2
    assert ApiToken.objects.count() == 1
    assert told() == before


def test_the_admin_issues_into_a_file_and_revokes(person, paths):
    ada, boss = person(OVERSIGHT, name="ada"), Client()
    boss.force_login(person(name="boss", superuser=True))
    form = {"owner": ada.pk, "name": "ci", "allowed": ["read"], "days": "30"}
    listing = reverse("admin:access_apitoken_changelist")
    answer = boss.post(reverse("admin:access_apitoken_add"), form, follow=True)
    secret = secret_in(paths)
    assert answer.redirect_chain[0][0] == listing
    assert "token-" in answer.content.decode()
    assert secret not in answer.content.decode()
    token = ApiToken.objects.get()
    assert (token.scopes, round((token.expires - token.created).total_seconds() / 86400)) == ("read", 30)
    shown = boss.get(reverse("admin:access_apitoken_change", args=[token.pk])).content.decode()
    assert token.sha256 not in shown
    assert Script(secret).get("/limits").status_code == 200
    boss.post(listing, {"action": "revoke", "_selected_action": [token.pk]})
    problem_of(Script(secret).get("/limits"), 401)
    assert [(event["action"], event["actor"]) for event in told()[:2]] == [
        ("issue token", "boss"),
        ("revoke token", "boss"),
    ]


@pytest.mark.parametrize(
    "change", [{"days": "366"}, {"days": "0"}, {"allowed": []}, {"allowed": ["approve"]}, {"name": ""}, {"owner": ""}]
)
def test_the_admins_form_refuses_what_the_action_would(change, person, paths):
    ada, boss = person(OVERSIGHT, name="ada"), Client()
    boss.force_login(person(name="boss", superuser=True))
    form = {"owner": ada.pk, "name": "ci", "allowed": ["read"], "days": "30"} | change
    assert boss.post(reverse("admin:access_apitoken_add"), form).status_code == 200
    assert not ApiToken.objects.exists()
    assert told() == []


def test_an_inactive_owner_and_a_name_twice_are_refused_in_the_admin(person, paths):
    ada, boss = person(OVERSIGHT, name="ada"), Client()
    boss.force_login(person(name="boss", superuser=True))
    form = {"owner": ada.pk, "name": "ci", "allowed": ["read"], "days": "30"}
    tokens.issue_token(owner=ada, name="ci", scopes=["read"], actor=None)
    assert "is that of another token of ada" in boss.post(reverse("admin:access_apitoken_add"), form).content.decode()
    ada.is_active = False
    ada.save()
    assert "is not active" in boss.post(reverse("admin:access_apitoken_add"), form | {"name": "x"}).content.decode()
    assert ApiToken.objects.count() == 1


@pytest.mark.parametrize("role", [OVERSIGHT, TOURNAMENT_ADMINISTRATOR])
def test_nobody_but_a_superuser_makes_or_revokes_one(role, person, paths):
    ada = person(role, name="ada")
    made = tokens.issue_token(owner=ada, name="ci", scopes=["read"], actor=None).token
    with pytest.raises(PermissionDenied, match="a superuser does"):
        tokens.issue_token(owner=ada, name="more", scopes=["read"], actor=ada)
    with pytest.raises(PermissionDenied, match="a superuser does"):
        tokens.revoke_token(token_id=made.pk, actor=ada)
    with pytest.raises(PermissionDenied, match="a superuser does"):  # nor does a token make another
        tokens.issue_token(owner=ada, name="more", scopes=["read"], actor=tokens.Bearer(made))
    browser = Client()
    browser.force_login(ada)
    assert browser.get(reverse("admin:access_apitoken_add")).status_code == 403
    assert ApiToken.objects.count() == 1


def test_all_tokens_that_are_no_good_get_the_same_answer(person, script):
    good = script(owner=person(OVERSIGHT, name="ada"))
    kept = {name: getattr(good.token, name) for name in ("expires", "revoked_at")}

    def spoil(**fields: object) -> bytes:
        ApiToken.objects.update(**kept | fields)
        return Script(good.secret, address=f"192.0.2.{len(answers) + 10}").get("/limits").content

    answers: list[bytes] = [Script().get("/limits").content]
    answers.append(spoil(expires=timezone.now() - timedelta(seconds=1)))
    answers.append(spoil(revoked_at=timezone.now()))
    for field, value in (("is_active", False), ("one_time_until", timezone.now() + timedelta(hours=1))):
        type(good.token.owner).objects.update(**{field: value})
        answers.append(spoil())
        type(good.token.owner).objects.update(is_active=True, one_time_until=None)
    for garbled in (good.secret[:-1], good.secret.upper(), "x", "", " ", "é" * 40, good.token.sha256, "a" * 5000):
        answers.append(Script(garbled, address=f"192.0.2.{len(answers) + 10}").get("/limits").content)
    assert set(answers) == {answers[0]}
    assert "no token that is good now" in answers[0].decode()
    assert spoil() != answers[0]  # and back in force it works


@pytest.mark.parametrize("header", ["Basic YTpi", "Token x", "bearer", "Bearer  two", "Bearer\tx"])
def test_another_header_is_no_token(header, paths):
    script = Script()
    script.headers = {"Authorization": header}
    problem_of(script.get("/limits"), 401)


def test_a_role_that_is_taken_away_is_taken_from_the_token(script, person):
    ada = person(OVERSIGHT, name="ada")
    made = script(owner=ada)
    assert made.get("/limits").status_code == 200
    ada.groups.clear()
    assert problem_of(made.get("/limits"), 403).startswith("The token's owner, ada, does not hold view_limits")


def test_wrong_tokens_wait_and_good_ones_never(script):
    good = script(OVERSIGHT)
    wrong = [Script("station_wrong").get("/limits") for _ in range(7)]
    assert [answer.status_code for answer in wrong] == [401] * 5 + [429] * 2
    assert "Too many wrong tokens" in problem_of(wrong[-1], 429)
    assert good.get("/limits").status_code == 200  # of the same address
    assert Client(REMOTE_ADDR="192.0.2.1").post("/login", {"username": "a", "password": "b"}).status_code == 403
    assert FailedLogin.objects.exclude(address="192.0.2.1").count() == 5
    assert [event["target"] for event in told()[:5]] == ["unknown token"] * 5


def test_guesses_of_others_do_not_hide_that_a_revoked_token_is_used(script):
    made = script(OVERSIGHT)
    tokens.revoke_token(token_id=made.token.pk, actor=None)
    for _ in range(7):
        Script("station_wrong").get("/limits")
    assert made.get("/limits").status_code == 401
    assert told()[-1]["target"].endswith(f"token {made.token.pk} ci of {made.token.owner.username}")


def test_its_use_is_noted_once_a_minute(script, django_assert_num_queries):
    made = script(OVERSIGHT)
    made.get("/limits")
    first = ApiToken.objects.get().last_used
    made.get("/limits")
    assert ApiToken.objects.get().last_used == first
    ApiToken.objects.update(last_used=first - timedelta(minutes=2))
    made.get("/limits")
    assert ApiToken.objects.get().last_used > first


def test_a_use_that_cannot_be_noted_refuses_nothing(script, monkeypatch):
    made = script(OVERSIGHT)

    def locked(*_arguments: object, **_named: object) -> None:
        raise OperationalError("database is locked")

    monkeypatch.setattr("django.db.models.query.QuerySet.update", locked)
    assert made.get("/limits").status_code == 200


def test_the_record_names_owner_and_token(script):
    boss = script(TOURNAMENT_ADMINISTRATOR)
    boss.post("/tournaments/rules", {"changes": {"stress_paths": 300}, "reason": "by script"})
    assert [event["actor"] for event in told()] == ["tournament-administrator (token ci)"]


@pytest.mark.parametrize("scopes", [("read",), ("read", "limits", "kill")])
def test_an_action_that_is_asked_past_the_door_knows_the_scopes(scopes, script):
    """The owner may; the token may not, and the action asks the token."""
    reader = tokens.Bearer(script(TOURNAMENT_ADMINISTRATOR, scopes=scopes).token)
    with pytest.raises(PermissionDenied, match="may not change the rules"):
        draft_rules(changes={"stress_paths": 300}, reason="past the door", actor=reader)
    assert not RulesVersion.objects.exists()


def test_a_scope_of_a_later_version_gives_nothing(script):
    made = script(OVERSIGHT)
    ApiToken.objects.update(scopes="everything")
    problem_of(made.get("/limits"), 403)


def test_an_unknown_days_is_a_sentence(person, paths):
    with pytest.raises(ValidationError):
        tokens.issue_token(owner=person(), name="x", scopes=["read"], days=-1, actor=None)
