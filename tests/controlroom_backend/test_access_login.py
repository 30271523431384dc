"""First login, sessions that end, wrong passwords, and what a password of one's own brings about."""

import json
import stat
import time
from datetime import timedelta
from io import StringIO

import pytest
from django.contrib.auth.hashers import check_password, make_password
from django.contrib.sessions.models import Session
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from controlroom.access.actions import create_first_operator
from controlroom.access.handover import hand_over
from controlroom.access.middleware import BEGAN
from controlroom.access.models import FailedLogin, User
from controlroom.access.permissions import OVERSIGHT, STRATEGY_DEVELOPER
from events.models import Outbox
from worker.release import Passwords, ReleaseRefusedError

OWN = "a-password-of-my-own-17"
GIVEN = "correct-horse-battery-staple"  # of the fixture `person`


def first_login(paths) -> tuple[str, str]:
    call_command("first_run", stdout=StringIO())
    shown = dict(line.split(": ", 1) for line in (paths.secrets / "first-login").read_text().splitlines())
    return shown["user"], shown["password"]


def log_in(client: Client, username: str, password: str, **more: str):
    return client.post("/login", {"username": username, "password": password, **more})


def choose(client: Client, current: str, new: str, again: str = ""):
    return client.post("/first-password", {"current": current, "new": new, "again": again or new})


def actions_told() -> list[str]:
    return [json.loads(row.payload)["action"] for row in Outbox.objects.filter(type="AuditEvent").order_by("id")]


def test_the_first_login_from_file_to_password_of_ones_own(db, paths, caplog):
    caplog.set_level("DEBUG")
    username, password = first_login(paths)
    assert stat.S_IMODE((paths.secrets / "first-login").stat().st_mode) == 0o600
    client = Client()
    assert log_in(client, username, password).headers["Location"] == "/first-password"
    assert client.get("/").headers["Location"] == "/first-password"
    assert client.get("/admin/").headers["Location"] == "/first-password"
    assert choose(client, password, OWN).headers["Location"] == "/one-time-codes"
    assert client.get("/first-password").status_code == 200
    assert not (paths.secrets / "first-login").exists()
    assert log_in(Client(), username, password).status_code == 403
    assert log_in(Client(), username, OWN).headers["Location"] == "/"
    user = User.objects.get()
    assert (user.is_superuser, [group.name for group in user.groups.all()]) == (True, [OVERSIGHT])
    assert actions_told() == [
        "create user", "issue one-time password", "sign in", "set own password", "sign in", "sign in",
    ]  # fmt: skip
    for secret in (password, OWN):
        assert secret not in caplog.text
        assert not Outbox.objects.filter(payload__contains=secret).exists()


def test_a_second_first_run_changes_nothing(db, paths):
    first_login(paths)
    before = User.objects.get().password
    (paths.secrets / "first-login").unlink()
    call_command("first_run", stdout=StringIO())
    assert User.objects.get().password == before
    assert not (paths.secrets / "first-login").exists()


def test_on_a_terminal_the_password_is_shown_there_and_in_no_file(db, paths, capsys):
    made = create_first_operator()
    said = hand_over(paths, made, terminal=True)
    assert made.password in capsys.readouterr().err
    assert made.password not in said
    assert not (paths.secrets / "first-login").exists()


def test_a_one_time_password_ends_after_a_day_and_another_can_be_made(db, paths):
    username, password = first_login(paths)
    User.objects.update(one_time_until=timezone.now() - timedelta(seconds=1))
    answer = log_in(Client(), username, password)
    assert answer.status_code == 403
    assert b"reset-login operator" in answer.content
    call_command("reset_login", username, stdout=StringIO())
    fresh = (paths.secrets / "first-login").read_text().split("password: ")[1].split()[0]
    assert fresh != password
    assert log_in(Client(), username, fresh).headers["Location"] == "/first-password"


def test_a_reset_ends_running_sessions_and_takes_the_release_back(person, paths):
    user = person(OVERSIGHT)
    client = Client()
    log_in(client, user.username, GIVEN)
    choose(client, GIVEN, OWN)
    Passwords(paths.secrets / "release.json").verify(user.username, OWN, "why")
    call_command("reset_login", user.username, stdout=StringIO())
    assert client.get("/first-password").headers["Location"].startswith("/login")
    with pytest.raises(ReleaseRefusedError):
        Passwords(paths.secrets / "release.json").verify(user.username, OWN, "why")


def test_a_reset_for_nobody_names_who_there_is(person, paths):
    person(OVERSIGHT)
    with pytest.raises(CommandError, match="user = 'nobdy' is unknown; known are oversight") as refused:
        call_command("reset_login", "nobdy")
    assert refused.value.returncode == 2


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        (("wrong", OWN, ""), b"The current password is wrong."),
        ((GIVEN, GIVEN, ""), b"choose another"),
        ((GIVEN, "short", ""), b"at least 12 characters"),
        ((GIVEN, "password1234", ""), b"too common"),
        ((GIVEN, "837465019283746", ""), b"entirely numeric"),
        ((GIVEN, OWN, "another-one-17-x"), b"differ"),
        ((GIVEN, "oversight-123", ""), b"too similar"),
    ],
)
def test_a_bad_new_password_is_refused_with_its_reason(person, paths, typed, sentence):
    current, new, again = typed
    user = person(OVERSIGHT)
    client = Client()
    log_in(client, user.username, GIVEN)
    answer = choose(client, current, new, again)
    assert answer.status_code == 400
    assert sentence in answer.content
    assert User.objects.get().check_password(GIVEN)
    assert not (paths.secrets / "release.json").exists()


def test_only_oversight_gets_the_means_to_release(person, paths):
    user = person(STRATEGY_DEVELOPER)
    client = Client()
    log_in(client, user.username, GIVEN)
    choose(client, GIVEN, OWN)
    assert not (paths.secrets / "release.json").exists()


def test_the_release_file_is_private_and_holds_no_password(person, paths):
    for name in ("ada", "bob"):
        user = person(OVERSIGHT, name=name)
        client = Client()
        log_in(client, user.username, GIVEN)
        choose(client, GIVEN, f"{OWN}-{name}")
    file = paths.secrets / "release.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert OWN not in file.read_text()
    for name in ("ada", "bob"):
        Passwords(file).verify(name, f"{OWN}-{name}", "why")
    with pytest.raises(ReleaseRefusedError):
        Passwords(file).verify("ada", f"{OWN}-bob", "why")


def test_wrong_passwords_make_the_next_try_wait_and_time_heals(person, paths):
    user = person(OVERSIGHT)
    client = Client()
    for _ in range(5):
        assert log_in(client, user.username, "wrong").status_code == 403
    held = log_in(client, user.username, GIVEN)
    assert held.status_code == 429
    assert int(held.headers["Retry-After"]) > 0
    assert log_in(client, "somebody-else", "wrong").status_code == 403
    FailedLogin.objects.update(at=timezone.now() - timedelta(minutes=16))
    assert log_in(client, user.username, GIVEN).status_code == 302


def test_an_unknown_name_is_answered_as_a_wrong_password(person, paths):
    user = person(OVERSIGHT)
    known, unknown = log_in(Client(), user.username, "wrong"), log_in(Client(), "nobody-here", "wrong")
    assert known.status_code == unknown.status_code == 403
    assert (
        (b"Name or password is wrong." in known.content) == (b"Name or password is wrong." in unknown.content) is True
    )


def test_a_login_goes_back_to_where_it_came_from_but_never_to_another_host(person, paths):
    user = person(OVERSIGHT)
    assert log_in(Client(), user.username, GIVEN, next="/orders/?side=BUY").headers["Location"] == "/orders/?side=BUY"
    for elsewhere in ("https://evil.example/", "//evil.example/", "javascript:alert(1)"):
        assert log_in(Client(), user.username, GIVEN, next=elsewhere).headers["Location"] == "/"


def test_a_session_ends_twelve_hours_after_its_login(person, paths):
    client = Client()
    client.force_login(person(OVERSIGHT))
    session = client.session
    session[BEGAN] = time.time() - 12 * 3600 - 1
    session.save()
    assert client.get("/first-password").headers["Location"].startswith("/login")


def test_a_session_ends_after_thirty_idle_minutes_and_requests_prolong_it(person, paths):
    client = Client()
    client.force_login(person(OVERSIGHT))
    client.get("/first-password")
    left = Session.objects.get().expire_date - timezone.now()
    assert timedelta(minutes=29) < left <= timedelta(minutes=30)
    session = client.session
    session["seen"] = time.time() - 120
    session.save()
    Session.objects.update(expire_date=timezone.now() + timedelta(minutes=5))
    client.get("/first-password")
    assert Session.objects.get().expire_date - timezone.now() > timedelta(minutes=29)
    Session.objects.update(expire_date=timezone.now() - timedelta(seconds=1))
    assert client.get("/first-password").headers["Location"].startswith("/login")


def test_an_inactive_person_cannot_log_in(person, paths):
    user = person(OVERSIGHT)
    User.objects.update(is_active=False)
    assert log_in(Client(), user.username, GIVEN).status_code == 403


def test_passwords_are_hashed_with_scrypt(settings):
    settings.PASSWORD_HASHERS = settings.PASSWORD_HASHERS[1:]  # without the quick one of the tests
    made = make_password(OWN)
    assert made.startswith("scrypt$")
    assert check_password(OWN, made)
