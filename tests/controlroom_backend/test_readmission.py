"""A benched strategy comes back by two people's word, at the next round, from nothing; and never by anything else."""

import json
import subprocess
import sys
from datetime import timedelta

import msgspec
import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.utils import timezone

from controlroom.access import approvals, stepup
from controlroom.access.models import Approval, User
from controlroom.access.permissions import OVERSIGHT, STRATEGY_DEVELOPER, TOURNAMENT_ADMINISTRATOR
from controlroom.allocations.actions import answered
from controlroom.allocations.readmission import ask_readmission
from market.occurrences import latest
from tests.controlroom_backend.scheduled import FAST, OPENING, at, held, journaled, started, words
from tournaments.models import Readmission, TournamentRound
from tournaments.rules import schedule_of
from tournaments.selectors import benched, record_of

pytestmark = pytest.mark.usefixtures("no_heartbeat")
ACTS = (
    "loosen limits", "one operator", "override allocation", "deploy allocation", "re-admit strategy", "promote variant"
)  # fmt: skip
STRICT = {"drawdown_halved": 0.01, "drawdown_benched": 0.01}
LATER = latest(schedule_of(FAST), at("2018-07-15 02:00"))


@pytest.fixture
def people(person):
    """Two people of oversight, old enough to approve."""
    for name in ("ada", "bob"):
        person(OVERSIGHT, name=name)
    User.objects.update(date_joined=timezone.now() - timedelta(days=9))
    return tuple(User.objects.get(username=name) for name in ("ada", "bob"))


@pytest.fixture
def station(db, paths, people):
    """A station whose first round has benched somebody, with the journal's last record before the second."""
    started(paths, msgspec.structs.replace(FAST, **STRICT), operators=2)
    last = journaled(paths, until_ns=OPENING.opens_ns, jump=(slice(38, 46), slice(None), -0.15))
    held(last)
    answered(request_id="allocate-1", accepted=True, answer="")
    assert benched()
    return last


def proof(user):
    return stepup.StepUp(username=user.username, at=timezone.now().timestamp())


def ask(actor, strategy):
    return ask_readmission(strategy=strategy, reason="its data was wrong", actor=actor, proof=proof(actor))


def approve(asked, actor):
    return approvals.approve(approval_id=asked.pk, actor=actor, proof=proof(actor))


def held_next(station):
    return record_of(held(station + 10, LATER)).allocated


def test_two_people_let_it_in_and_the_next_round_gives_it_capital_by_its_moves_alone(station, people):
    name = next(iter(benched()))
    before = record_of(TournamentRound.objects.get(round_id=OPENING.key)).allocated
    assert before.base[name] == before.competitive.get(name, 0.0) == 0.0
    asked = ask(people[0], name)
    assert asked.target == f"{name}, benched by {OPENING.key}"
    with pytest.raises(PermissionDenied, match="somebody else has to approve"):
        approve(asked, people[0])
    assert approve(asked, people[1]).state == Approval.State.DONE
    assert benched()[name].readmitted_by == "ada, bob"
    made = held_next(station)
    standing = made.standing[name]
    assert (standing.status, standing.readmitted_by) == ("active", "ada, bob")
    assert standing.counted_from_ns == standing.since_ns == LATER.opens_ns
    assert 0.0 < made.base[name] <= FAST.base_move_cap + 1e-9
    assert name not in benched()
    told = [row["action"] for kind, row in words("control.audit") if kind == "AuditEvent"]
    assert [f"{verb}: re-admit strategy" in told for verb in ("request", "approve", "done")] == [True] * 3


def test_nobodys_word_is_none_and_a_bench_stays(station):
    names = set(benched())
    made = held_next(station)
    assert all(made.standing[name].status == "benched" and made.base[name] == 0.0 for name in names)
    assert {each.since_ns for each in benched().values()} >= {OPENING.opens_ns}


def test_what_a_round_was_opened_with_is_not_changed_by_a_word_that_comes_later(station, people):
    name = next(iter(benched()))
    approve(ask(people[0], name), people[1])
    row = held(station + 10, LATER)
    assert json.loads(row.request)["readmitted"] == {name: "ada, bob"}
    first = TournamentRound.objects.get(round_id=OPENING.key)
    assert json.loads(first.request)["readmitted"] == {}


def test_a_word_is_for_one_bench_alone(station, people):
    """Who is benched again asks people again: what they said of an earlier bench is used up."""
    name = next(iter(benched()))
    Readmission.objects.create(strategy=name, benched_ns=OPENING.opens_ns - 1, people="ada, bob", reason="long ago")
    assert benched()[name].readmitted_by == ""
    assert held_next(station).standing[name].status == "benched"


def test_a_request_that_a_newer_bench_has_overtaken_is_refused(station, people):
    name = next(iter(benched()))
    asked = ask(people[0], name)
    Approval.objects.filter(pk=asked.pk).update(content=json.dumps({"strategy": name, "benched_ns": 1}))
    with pytest.raises(ValidationError, match="was benched anew by tournament:XNYS:2018-07-09 since; ask again"):
        approve(asked, people[1])
    assert not Readmission.objects.exists()


def test_what_is_wrong_is_a_sentence_and_changes_nothing(station, people, person):
    known = ", ".join(benched())
    with pytest.raises(ValidationError, match=rf"strategy = 'nobody' is not benched; benched are {known}\."):
        ask(people[0], "nobody")
    name = next(iter(benched()))
    with pytest.raises(stepup.StepUpNeededError):
        ask_readmission(strategy=name, reason="its data was wrong", actor=people[0], proof=None)
    for role in (STRATEGY_DEVELOPER, TOURNAMENT_ADMINISTRATOR):
        stranger = person(role, name=role.replace(" ", ""))
        with pytest.raises(PermissionDenied, match="may not re-admit a strategy; oversight may"):
            ask(stranger, name)
    assert not Approval.objects.exists()
    approve(ask(people[0], name), people[1])
    with pytest.raises(ValidationError, match="is let in again by ada, bob already, from the next round on"):
        ask(people[1], name)


def test_a_process_that_has_done_nothing_yet_knows_every_act_that_may_be_approved():
    """A web process that was started anew may get the yes first."""
    lines = (
        "import django; django.setup(); import controlroom.urls",
        "from controlroom.access.approvals import act_named",
        f"print([act_named(name).permission for name in {ACTS!r}])",
    )
    told = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=False,
        env={"DJANGO_SETTINGS_MODULE": "controlroom.settings", "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    assert told.returncode == 0, told.stderr
    assert "override_allocation" in told.stdout
