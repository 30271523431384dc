"""Step-up, devices, approvals by two or by one after a wait, limits, operators and acts, each through its form."""

import json
import time
from datetime import timedelta
from io import StringIO

import msgspec
import pyotp
import pytest
from django.contrib.auth.models import Group
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from audit.keys import create_missing
from audit.ring import KeyRing
from controlroom.access import approvals, stepup
from controlroom.access.actions import devices, reset_login
from controlroom.access.models import Approval, User
from controlroom.access.operators import operators
from controlroom.access.permissions import OVERSIGHT, STRATEGY_DEVELOPER
from controlroom.pages.oversight_actions import change_limits
from controlroom.relay.incoming import handle
from engine.configuration import Configuration, Source, load_settings
from events.actions import acknowledge
from events.bus import Entry
from events.codec import envelope
from events.models import Outbox
from events.streams import WORKER_EVENTS
from events.types import ControlAck, ControlEvent
from risk.actions import create_configuration
from risk.models import ConfigurationVersion
from risk.selectors import current_configuration
from tests.controlroom_backend.conftest import PASSWORD, code_of
from worker.approvals import Approved, Gate

State = Approval.State


def configured(count=2):
    source = Source(feed="simulated", label="SIMULATED", detail="seed 1", interval_s=60)

    def build(version):
        made = Configuration(
            version=version, mode="PAPER", settings=load_settings(), instruments=[], source=source, operators=count
        )
        return msgspec.json.encode(made)

    create_configuration(build=build, actor=None, reason="start")


@pytest.fixture
def two(person, paths):
    """Two people of the oversight group, old enough to approve, on a station with two operators."""
    create_missing(paths)
    configured(2)
    made = person(OVERSIGHT, name="ada"), person(OVERSIGHT, name="bob")
    User.objects.update(date_joined=timezone.now() - timedelta(days=9))
    return tuple(User.objects.get(pk=one.pk) for one in made)


def proof(user, at=None):
    return stepup.StepUp(username=user.username, at=time.time() if at is None else at)


def signed_in(user, paths, *, step=True):
    """A browser whose person has given password and code."""
    client = Client()
    client.force_login(user)
    if step:
        answer = client.post(
            "/step-up", {"password": PASSWORD, "code": code_of(paths, user.username), "next": "/limits/"}
        )
        assert answer.headers["Location"] == "/limits/"
    return client


def told(kind="AuditEvent"):
    return [json.loads(row.payload) for row in Outbox.objects.filter(type=kind).order_by("id")]


def actions():
    return [row["action"] for row in told()]


# --- step-up and devices ----------------------------------------------------------------------------------------------


def test_a_device_is_enrolled_by_password_and_first_code_and_recovery_codes_are_shown_once(person, paths, caplog):
    caplog.set_level("DEBUG")
    user, client = person(OVERSIGHT), Client()
    client.force_login(user)
    assert client.get("/step-up?next=/limits/").headers["Location"] == "/one-time-codes?next=%2Flimits%2F"
    page = client.get("/one-time-codes?next=/limits/").content.decode()
    secret = page.split("Secret: <code>")[1].split("<")[0]
    assert "<svg" in page
    assert "style=" not in page
    form = {"password": PASSWORD, "code": "000000", "next": "/limits/"}
    assert b"not the new device" in client.post("/one-time-codes", form).content
    assert b"The password is wrong." in client.post("/one-time-codes", form | {"password": "x"}).content
    made = client.post("/one-time-codes", form | {"code": pyotp.TOTP(secret).now()}).content.decode()
    shown = [part.split("<")[0] for part in made.split("<li><code>")[1:]]
    assert len(shown) == 10
    assert "/limits/" in made
    assert shown[0] not in client.get("/one-time-codes").content.decode()
    assert "enrol one-time code device" in actions()
    for hidden in (secret, shown[0]):
        assert hidden not in caplog.text
        assert not Outbox.objects.filter(payload__contains=hidden).exists()
    assert client.post("/step-up", {"password": PASSWORD, "code": shown[0]}).status_code == 302
    assert client.post("/step-up", {"password": PASSWORD, "code": shown[0]}).status_code == 400


def test_a_device_is_changed_by_a_code_of_the_present_one_alone(person, paths):
    user, client = person(OVERSIGHT), Client()
    client.force_login(user)
    present = code_of(paths, user.username)
    secret = client.get("/one-time-codes").content.decode().split("Secret: <code>")[1].split("<")[0]
    form = {"password": PASSWORD, "old": "000000", "code": pyotp.TOTP(secret).now()}
    assert client.post("/one-time-codes", form).status_code == 400
    assert client.post("/one-time-codes", form | {"old": present}).status_code == 200
    assert actions()[-1] == "change one-time code device"


def test_a_step_up_holds_five_minutes_for_its_person_and_its_code_once(two, paths):
    ada, bob = two
    client = Client()
    client.force_login(ada)
    given = {"password": PASSWORD, "code": code_of(paths, "ada")}
    assert client.post("/step-up", given).status_code == 302
    assert b"used before" in client.post("/step-up", given).content
    stepup.require(proof(ada, time.time() - 299), ada)
    for bad in (None, proof(ada, time.time() - 301), proof(ada, time.time() + 60), proof(bob)):
        with pytest.raises(PermissionDenied):
            stepup.require(bad, ada)


def test_the_shells_reset_forgets_the_device_and_a_superusers_does_not(two, person, paths):
    code_of(paths, "ada")
    reset_login(username="ada", actor=person(name="boss", superuser=True))
    assert devices().enrolled("ada")
    reset_login(username="ada", actor=None)
    assert not devices().enrolled("ada")


def test_two_operators_of_a_first_run_have_a_password_file_each(db, paths):
    call_command("first_run", operators=2, stdout=StringIO())
    names = sorted(file.name for file in paths.secrets.glob("first-login*"))
    assert names == ["first-login", "first-login-operator2"]
    second = User.objects.get(username="operator2")
    assert (second.is_superuser, second.first_run, second.has_perm("access.approve")) == (False, True, True)


def test_a_start_changes_neither_limits_nor_operators_that_people_have_set(two, paths):
    change_limits(actor=two[0], changes={"max_gross": "0.5"}, reason="calmer", proof=None)
    source = {"feed": "simulated", "label": "SIMULATED", "detail": "seed 2", "interval_s": 60}
    (paths.run / "run.json").write_text(json.dumps({"source": source, "instruments": []}))
    said = StringIO()
    call_command("configure", operators=1, stdout=said)
    newest = msgspec.json.decode(ConfigurationVersion.objects.first().content, type=Configuration)
    assert (newest.version, newest.source.detail) == (3, "seed 2")
    assert (newest.settings.limits.max_gross, newest.operators) == (0.5, 2)
    assert "version 2 holds" in said.getvalue()


def test_a_start_changes_nothing_that_limits_hang_on_and_says_so(two, paths):
    source = {"feed": "simulated", "label": "SIMULATED", "detail": "seed 2", "interval_s": 60}
    (paths.run / "run.json").write_text(json.dumps({"source": source, "instruments": []}))
    paths.settings.write_text(
        "[account]\ninitial_cash = 9e6\n[black_swan]\nmove = 50.0\n[disk]\nhalted_bytes = 1\n[costs]\nfee_bps = 3.5\n"
    )
    before = msgspec.json.decode(ConfigurationVersion.objects.first().content, type=Configuration).settings
    said = StringIO()
    call_command("configure", operators=1, stdout=said)
    newest = msgspec.json.decode(ConfigurationVersion.objects.first().content, type=Configuration)
    assert newest.version == 2
    after = newest.settings
    assert (after.account, after.black_swan, after.disk) == (before.account, before.black_swan, before.disk)
    assert after.costs.fee_bps == 3.5  # what limits do not hang on is the file's, and the start signs for it
    made = ConfigurationVersion.objects.first()
    assert made.reason.endswith("changes costs, source")
    assert msgspec.json.decode(made.signature, type=Approved).approvers == ["start"]
    for section in ("account", "black_swan", "disk"):
        assert f"{section}: version 1 holds, not {paths.settings.name}" in said.getvalue()


def test_wrong_codes_make_the_next_try_wait(two, paths):
    client = Client()
    client.force_login(two[0])
    good = code_of(paths, "ada")
    for _ in range(5):
        assert client.post("/step-up", {"password": PASSWORD, "code": "000000"}).status_code == 400
    assert b"Too many wrong" in client.post("/step-up", {"password": PASSWORD, "code": good}).content


# --- limits and approvals ---------------------------------------------------------------------------------------------


def test_one_person_tightens_at_once(two, paths):
    client = signed_in(two[0], paths, step=False)
    answer = client.post("/limits/change", {"max_gross": "0.5", "allow_short": "no", "reason": "calmer"})
    assert answer.headers["Location"] == "/limits/"
    newest = ConfigurationVersion.objects.first()
    held = msgspec.json.decode(newest.content, type=Configuration)
    assert (newest.version, held.settings.limits.max_gross, held.settings.limits.allow_short) == (2, 0.5, False)
    [sent] = told("ControlEvent")
    assert (sent["action"], sent["request_id"], sent["signature"]) == ("configure", "configure-2", "")
    page = client.get("/limits/").content.decode()
    assert "requested: version 2" in page
    assert "not acknowledged yet" in page


def test_nothing_is_built_on_a_version_that_the_worker_refused(two, paths):
    def answered(version, *, accepted, reason=""):
        ack = ControlAck(
            engine_ns=0, request_id=f"configure-{version}", action="configure", accepted=accepted, reason=reason
        )
        handle(Entry(WORKER_EVENTS, "1-0", envelope("ControlAck", "worker", ack, time.time_ns())))

    client = signed_in(two[0], paths, step=False)
    client.post("/limits/change", {"max_gross": "0.5", "reason": "calmer"})
    answered(2, accepted=False, reason="the settings do not hold")
    assert "refused: the settings do not hold" in client.get("/limits/").content.decode()
    client.post("/limits/change", {"max_net": "0.9", "reason": "calmer"})
    newest = ConfigurationVersion.objects.first()
    limits = msgspec.json.decode(newest.content, type=Configuration).settings.limits
    assert (newest.version, limits.max_gross, limits.max_net) == (3, 1.0, 0.9)

    answered(3, accepted=True)
    answered(3, accepted=False, reason="somebody repeated it on the bus")
    assert current_configuration().version == 3


def test_two_people_loosen_and_the_worker_accepts_exactly_that(two, paths):
    ada, bob = two
    first = signed_in(ada, paths)
    typed = {"max_gross": "1.5", "max_net": "0.9", "reason": "more room"}  # one tighter, one looser: both wait
    assert first.post("/limits/change", typed).headers["Location"] == "/approvals/"
    found = Approval.objects.get()
    assert (found.state, found.target) == (State.REQUESTED, "max_gross 1.0 to 1.5, max_net 1.0 to 0.9")
    assert ConfigurationVersion.objects.count() == 1
    assert "somebody else" in first.post(f"/approvals/{found.pk}/approve", follow=True).content.decode()

    second = signed_in(bob, paths)
    second.post(f"/approvals/{found.pk}/approve")
    found.refresh_from_db()
    assert found.state == State.APPROVED
    [row] = Outbox.objects.filter(type="ControlEvent")
    event = msgspec.json.decode(row.payload, type=ControlEvent)
    assert msgspec.json.decode(event.signature, type=Approved).approvers == ["ada", "bob"]
    in_force = msgspec.json.decode(ConfigurationVersion.objects.get(version=1).content, type=Configuration)
    assert Gate(lambda: KeyRing.read(paths.keys)).refusal(event, in_force, time.time_ns()) == ""

    ack = ControlAck(engine_ns=0, request_id=row.request_id, action="configure", accepted=True, reason="")
    acknowledge(ack=ack)
    approvals.acknowledged(request_id=row.request_id, accepted=True, answer="")
    found.refresh_from_db()
    assert found.state == State.DONE
    assert [name for name in actions() if "step" not in name] == [
        "request: loosen limits", "approve: loosen limits", "done: loosen limits",
    ]  # fmt: skip


def test_a_loosening_sends_who_has_not_stepped_up_there_first(two, paths):
    client = signed_in(two[0], paths, step=False)
    answer = client.post("/limits/change", {"max_gross": "1.5", "reason": "more room"})
    assert answer.headers["Location"].startswith("/one-time-codes")
    code_of(paths, "ada")
    assert client.post("/limits/change", {"max_gross": "1.5", "reason": "x room"}).headers["Location"] == (
        "/step-up?next=%2Flimits%2F"
    )
    assert not Approval.objects.exists()


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ({"max_gross": "11"}, "max_gross = 11 is outside 0 to 10 of equity"),
        ({"max_gross": "nan"}, "max_gross = nan is outside"),
        ({"max_gross": "much"}, "must be a number"),
        ({"max_order_lots": "1.5"}, "must be a whole number"),
        ({"allow_short": "maybe"}, "must be yes or no"),
        ({"drawdown_warning": "0.09"}, "drawdown_warning &lt;= drawdown_reducing"),
        ({}, "Nothing changes"),
        ({"max_gross": "0.5", "reason": "a"}, "the journal wants 3 to 500"),
    ],
)
def test_bad_input_is_named_and_changes_nothing(two, paths, typed, sentence):
    answer = signed_in(two[0], paths, step=False).post("/limits/change", {"reason": "because", **typed})
    assert answer.status_code == 400
    assert sentence in answer.content.decode()
    assert ConfigurationVersion.objects.count() == 1
    assert not Approval.objects.exists()


def test_the_wrong_role_is_refused_by_page_form_and_action(two, person, paths):
    developer = person(STRATEGY_DEVELOPER, name="dev")
    client = signed_in(developer, paths, step=False)
    page = client.get("/limits/").content.decode()
    assert "max_gross" in page
    assert '<input name="max_gross"' not in page
    assert client.post("/limits/change", {"max_gross": "0.5", "reason": "calmer"}).status_code == 403
    with pytest.raises(PermissionDenied):
        change_limits(actor=developer, changes={"max_gross": "0.5"}, reason="calmer", proof=proof(developer))
    boss = person(name="boss", superuser=True)
    with pytest.raises(PermissionDenied):
        change_limits(actor=boss, changes={"max_gross": "0.5"}, reason="calmer", proof=proof(boss))


def ask(ada, value="1.5"):
    return change_limits(actor=ada, changes={"max_gross": value}, reason="more room", proof=proof(ada))


@pytest.mark.parametrize("what", ["date_joined", "roles_changed_at", "password_set_at", "device"])
def test_an_account_that_has_just_changed_cannot_approve_for_a_day(two, paths, what):
    ada, bob = two
    asked = ask(ada)
    if what == "device":
        code_of(paths, "bob")
        devices = json.loads((paths.secrets / "codes.json").read_bytes())
        devices["bob"]["since_ns"] = time.time_ns() - 23 * 3600 * 10**9
        (paths.secrets / "codes.json").write_text(json.dumps(devices))
    else:
        User.objects.filter(pk=bob.pk).update(**{what: timezone.now() - timedelta(hours=23)})
        bob.refresh_from_db()
    with pytest.raises(PermissionDenied, match="24 hours"):
        approvals.approve(approval_id=asked.pk, actor=bob, proof=proof(bob))
    if what != "device":
        User.objects.filter(pk=bob.pk).update(**{what: timezone.now() - timedelta(hours=25)})
        bob.refresh_from_db()
        assert approvals.approve(approval_id=asked.pk, actor=bob, proof=proof(bob)).state == State.APPROVED


@pytest.mark.parametrize("what", ["date_joined", "roles_changed_at", "password_set_at"])
def test_who_asked_counts_as_an_approver_only_once_old_enough(two, what):
    ada, bob = two
    asked = ask(ada)
    User.objects.filter(pk=ada.pk).update(**{what: timezone.now() - timedelta(hours=23)})
    with pytest.raises(PermissionDenied, match="ada, who asked, is too new"):
        approvals.approve(approval_id=asked.pk, actor=bob, proof=proof(bob))
    asked.refresh_from_db()
    assert asked.state == State.REQUESTED
    assert ConfigurationVersion.objects.count() == 1
    User.objects.filter(pk=ada.pk).update(**{what: timezone.now() - timedelta(hours=25)})
    assert approvals.approve(approval_id=asked.pk, actor=bob, proof=proof(bob)).state == State.APPROVED


@pytest.mark.parametrize("lost", ["oversight", "active"])
def test_the_yes_of_one_who_lost_oversight_or_the_account_counts_no_more(two, lost):
    ada, bob = two
    asked = ask(ada)
    if lost == "active":
        User.objects.filter(pk=ada.pk).update(is_active=False)
    else:
        ada.groups.clear()
    with pytest.raises(PermissionDenied):
        approvals.approve(approval_id=asked.pk, actor=bob, proof=proof(bob))
    asked.refresh_from_db()
    assert asked.state == State.REQUESTED
    assert ConfigurationVersion.objects.count() == 1


def test_first_run_accounts_may_approve_on_their_first_day(two):
    ada, bob = two
    User.objects.update(first_run=True, date_joined=timezone.now(), password_set_at=timezone.now())
    ada.refresh_from_db()
    bob.refresh_from_db()
    assert approvals.approve(approval_id=ask(ada).pk, actor=bob, proof=proof(bob)).state == State.APPROVED


def test_what_changed_meanwhile_was_not_approved(two):
    ada, bob = two
    asked = ask(ada)
    change_limits(actor=bob, changes={"max_net": "0.5"}, reason="calmer", proof=None)
    with pytest.raises(ValidationError, match="ask again"):
        approvals.approve(approval_id=asked.pk, actor=bob, proof=proof(bob))
    asked.refresh_from_db()
    assert asked.state == State.REFUSED
    assert ConfigurationVersion.objects.count() == 2


def test_refused_expired_and_done_are_final(two, paths):
    ada, bob = two
    first, second = ask(ada), ask(ada, "1.6")
    signed_in(bob, paths).post(f"/approvals/{first.pk}/refuse", {"reason": "not now"})
    Approval.objects.filter(pk=second.pk).update(expires=timezone.now() - timedelta(seconds=1))
    for one, state in ((first, State.REFUSED), (second, State.EXPIRED)):
        with pytest.raises(ValidationError, match="nothing was changed"):
            approvals.approve(approval_id=one.pk, actor=bob, proof=proof(bob))
        one.refresh_from_db()
        assert one.state == state
    assert actions()[-2:] == ["refuse: loosen limits", "expire: loosen limits"]
    assert ConfigurationVersion.objects.count() == 1


def test_a_single_operator_confirms_after_ten_minutes_and_the_record_says_so(two, paths):
    ada, _ = two
    configured(1)
    asked = ask(ada)
    with pytest.raises(PermissionDenied, match="SINGLE OPERATOR"):
        approvals.approve(approval_id=asked.pk, actor=ada, proof=proof(ada))
    Approval.objects.update(ready_at=timezone.now() - timedelta(seconds=1))
    with pytest.raises(PermissionDenied):
        approvals.approve(approval_id=asked.pk, actor=ada, proof=None)
    assert approvals.approve(approval_id=asked.pk, actor=ada, proof=proof(ada)).state == State.APPROVED
    assert all("SINGLE OPERATOR" in row["reason"] for row in told() if "loosen" in row["action"])


def test_one_to_two_is_immediate_and_two_to_one_takes_two(two, paths):
    ada, bob = two
    client = signed_in(ada, paths)
    assert client.post("/operators", {"wanted": "1", "reason": "bob leaves"}).headers["Location"] == "/approvals/"
    assert operators() == 2
    [asked] = Approval.objects.all()
    approvals.approve(approval_id=asked.pk, actor=bob, proof=proof(bob))
    assert operators() == 1
    assert client.post("/operators", {"wanted": "2", "reason": "bob is back"}).status_code == 302
    assert operators() == 2
    User.objects.filter(username="bob").update(is_active=False)
    configured(1)
    assert b"Nobody else could approve" in client.post("/operators", {"wanted": "2", "reason": "alone"}).content


def test_being_superuser_approves_nothing(two, person, paths):
    ada, _ = two
    boss = person(name="boss", superuser=True)
    asked = ask(ada)
    with pytest.raises(PermissionDenied):
        approvals.approve(approval_id=asked.pk, actor=boss, proof=proof(boss))
    boss.groups.set(Group.objects.filter(name=STRATEGY_DEVELOPER))
    assert signed_in(boss, paths).post(f"/approvals/{asked.pk}/approve").status_code == 403


@pytest.mark.parametrize("operation", ["flatten", "maintenance", "resume_maintenance"])
def test_an_act_asks_for_word_password_code_and_reason_and_tells_the_record(two, paths, operation):
    client = signed_in(two[0], paths, step=False)
    assert client.get(f"/acts/{operation}").headers["Location"].startswith("/one-time-codes")
    typed = {"password": PASSWORD, "code": code_of(paths, "ada"), "reason": "leaving", "scope": "all"}
    if operation == "flatten":
        assert b"type the word flatten" in client.post("/acts/flatten", typed | {"word": "Flat"}).content
        assert actions() == []
    answer = client.post(f"/acts/{operation}", typed | {"word": "flatten"})
    assert answer.status_code == 400  # no worker runs here
    assert b"The worker cannot be asked" in answer.content
    assert [row["outcome"][:7] for row in told()] == ["refused"]
    assert client.get("/acts/explode").status_code == 404
