"""Simulations as jobs: done in a process, stopped by people, resumed after a pause or a death, told to the record."""

import threading
import time
from datetime import timedelta

import msgspec
import pytest
from django.core.exceptions import PermissionDenied
from django.db import connection
from django.utils import timezone

from controlroom.access.permissions import OVERSIGHT, STRATEGY_DEVELOPER, TOURNAMENT_ADMINISTRATOR
from controlroom.jobs import simulations
from controlroom.relay.doorbell import ASKED, ring_waiting
from events.actions import ATTEMPTS, claim_job
from events.models import Job, Outbox
from tests.operator.test_tournament_command import written
from tournaments.actions import draft_rules
from tournaments.simulating.actions import ask_simulation, cancel_simulation
from tournaments.simulating.record import SimulationRequest
from tournaments.simulating.selectors import JOB, open_simulation, state_of
from tournaments.simulation import Trials
from tournaments.station import RequestError

pytestmark = pytest.mark.django_db(transaction=True)
FEW = Trials(identical=2, planted=1, evidence=2)
SMALL = {"stress_paths": 20, "stress_symbols": 2}


@pytest.fixture(scope="module")
def bars(tmp_path_factory):
    return str(written(tmp_path_factory.mktemp("simulated") / "daily.csv", count=110))


@pytest.fixture
def boss(paths, person):
    made = person(TOURNAMENT_ADMINISTRATOR)
    for change in (SMALL, {"weight_accuracy": 0.0, "weight_resilience": 0.65}):
        draft_rules(changes=change, reason="small for a test", actor=made)
    return made


@pytest.fixture
def asked(boss, bars):
    def ask(**changes):
        fields = {"bars": [bars], "versions": [1], "agents": 4, "iterations": 6, "seed": 5, "trials": FEW} | changes
        return ask_simulation(request=SimulationRequest(**fields), reason="a question", actor=boss)

    return ask


def told():
    rows = [msgspec.json.decode(row.payload) for row in Outbox.objects.filter(type="AuditEvent").order_by("id")]
    return [(row["action"], row["outcome"]) for row in rows if "simulate" in row["action"]]


def found_of(job):
    job.refresh_from_db()
    assert (job.state, job.error, job.percent) == ("done", "", 100)
    return [msgspec.structs.replace(each, seconds=0.0) for each in state_of(job).found]


def meanwhile(job, act):
    """Do something from another thread once the job has come to its rounds."""

    def wait():
        try:
            while "whole rounds" not in Job.objects.get(id=job.id).phase:
                time.sleep(0.02)
            act()
        finally:
            connection.close()

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


def test_two_versions_are_simulated_on_the_same_seeds_and_told(asked):
    job = asked(versions=[1, 2])
    assert simulations.run(job_id=job.id, owner="celery") is None
    one, two = found_of(job)
    assert (one.rules_version, two.rules_version) == (1, 2)
    assert one.rounds == two.rounds == 6
    assert one.histories == two.histories == 2
    assert (one.evidence, one.regret) == (two.evidence, two.regret), "these weights are no part of either"
    assert one.first_is_best != two.first_is_best
    assert told() == [("simulate tournaments", "requested"), ("simulate tournaments", "done")]
    assert simulations.run(job_id=job.id, owner="another") is None
    assert len(told()) == 2


def test_one_that_is_paused_again_and_again_finds_what_an_undisturbed_one_does(asked):
    whole = asked(versions=[1, 2], iterations=6)
    simulations.run(job_id=whole.id, owner="celery")
    expected, job, percents = found_of(whole), asked(versions=[1, 2], iterations=6), []
    while (left := simulations.run(job_id=job.id, owner="celery", turn_s=0.0)) is not None:
        left.refresh_from_db()
        assert (left.state, left.lease_owner, left.attempts) == ("waiting", "", 0)
        percents.append(left.percent)
        assert len(percents) < 9
    assert found_of(job) == expected
    assert len(percents) >= 3  # after a history of each version, and between the two
    assert percents == sorted(percents)
    assert percents[0] > 0


def test_one_whose_process_died_goes_on_where_it_was_kept(asked):
    whole = asked(iterations=6)
    simulations.run(job_id=whole.id, owner="celery")
    job = asked(iterations=6)
    simulations.run(job_id=job.id, owner="celery", turn_s=0.0)
    assert claim_job(job_id=job.id, owner="who dies").state == "running"
    assert simulations.run(job_id=job.id, owner="too early") is None
    Job.objects.filter(id=job.id).update(lease_until=timezone.now() - timedelta(seconds=1))
    before = state_of(Job.objects.get(id=job.id))
    assert len(before.kept) == 1
    assert simulations.run(job_id=job.id, owner="who goes on") is None
    assert found_of(job) == found_of(whole)


def test_one_that_runs_stops_soon_after_it_is_canceled(asked, boss, monkeypatch):
    monkeypatch.setattr(simulations, "SAID_EVERY_S", 0.02)
    job = asked(iterations=5000)
    thread = meanwhile(job, lambda: cancel_simulation(job_id=job.id, actor=boss))
    assert simulations.run(job_id=job.id, owner="celery") is None
    thread.join()
    job.refresh_from_db()
    assert (job.state, job.result) == ("canceled", "null")
    assert job.percent < 50
    assert told()[1:] == [("cancel: simulate tournaments", "requested"), ("simulate tournaments", "canceled")]
    with pytest.raises(RequestError, match="has ended already: canceled"):
        cancel_simulation(job_id=job.id, actor=boss)


def test_one_whose_lease_somebody_else_took_ends_nothing(asked, monkeypatch):
    monkeypatch.setattr(simulations, "SAID_EVERY_S", 0.02)
    job = asked(iterations=15)
    thread = meanwhile(job, lambda: Job.objects.filter(id=job.id).update(lease_owner="another"))
    assert simulations.run(job_id=job.id, owner="celery") is None
    thread.join()
    job.refresh_from_db()
    assert (job.state, job.lease_owner) == ("running", "another")
    assert told() == [("simulate tournaments", "requested")]


def test_bars_that_cannot_be_read_are_one_sentence(asked):
    job = asked(bars=["/nowhere/daily.csv"])
    simulations.run(job_id=job.id, owner="celery")
    job.refresh_from_db()
    assert job.state == "failed"
    assert "/nowhere/daily.csv" in job.error
    assert "\n" not in job.error
    assert told()[-1] == ("simulate tournaments", f"failed: {job.error}")


def test_one_that_was_begun_again_and_again_is_given_up(asked):
    job = asked()
    Job.objects.filter(id=job.id).update(attempts=ATTEMPTS)
    simulations.run(job_id=job.id, owner="celery")
    job.refresh_from_db()
    assert (job.state, job.error) == ("failed", f"given up after {ATTEMPTS} attempts that never ended")


def test_one_at_a_time_and_one_that_waits_is_canceled_at_once(asked, boss):
    job = asked()
    with pytest.raises(RequestError, match=f"simulation {job.id} is under way already"):
        asked()
    cancel_simulation(job_id=job.id, actor=boss)
    job.refresh_from_db()
    assert job.state == "canceled"
    assert open_simulation() is None
    assert asked().id != job.id
    with pytest.raises(RequestError, match="simulation 999 is unknown"):
        cancel_simulation(job_id=999, actor=boss)


def test_a_doorbell_that_was_lost_is_rung_again(asked):
    assert ASKED[JOB] == "controlroom.jobs.tasks.simulate_tournaments"
    asked()
    assert ring_waiting() <= 1  # nobody hears it here; it is not refused as unknown


@pytest.mark.parametrize("role", [STRATEGY_DEVELOPER, OVERSIGHT])
def test_others_may_neither_ask_nor_cancel(asked, person, bars, role):
    job, other = asked(), person(role, name="other")
    with pytest.raises(PermissionDenied, match="other may not simulate tournaments"):
        ask_simulation(request=SimulationRequest(bars=[bars], versions=[0]), reason="a question", actor=other)
    with pytest.raises(PermissionDenied, match="other may not cancel a simulation"):
        cancel_simulation(job_id=job.id, actor=other)
    assert Job.objects.get().state == "waiting"
    assert len(told()) == 1


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"bars": []}, "bars is empty"),
        ({"versions": []}, r"rules = \[\] must be one version, or two different ones"),
        ({"versions": [1, 1]}, "must be one version, or two different ones"),
        ({"versions": [1, 7]}, "rules = 7 is no version of the rules"),
        ({"agents": 1}, "agents = 1 must be a whole number from 2 to 16"),
        ({"agents": 2}, "agents = 2 is fewer than min_strategies = 4"),
        ({"iterations": 10_001}, "iterations = 10001 must be a whole number from 1 to 10,000"),
        ({"seed": 2**31}, "seed = 2147483648 must be 0 to 2147483647"),
    ],
)
def test_what_cannot_be_is_one_sentence_and_changes_nothing(asked, changes, said):
    with pytest.raises(RequestError, match=said):
        asked(**changes)
    assert not Job.objects.exists()
    assert told() == []
