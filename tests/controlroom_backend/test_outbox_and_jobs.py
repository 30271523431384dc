"""Outbox rows keep their promises, jobs are done once, configurations are versions."""

import threading
from datetime import timedelta

import msgspec
import pytest
from django.core.exceptions import PermissionDenied
from django.core.management import CommandError, call_command
from django.db import OperationalError, transaction
from django.utils import timezone
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from controlroom.access.permissions import OVERSIGHT, STRATEGY_DEVELOPER
from engine.configuration import Configuration
from events import actions
from events.models import Job, Outbox
from events.selectors import jobs_to_ring
from events.types import ControlAck, ControlEvent
from risk.actions import create_configuration
from risk.models import ConfigurationVersion

EVENT = ControlEvent(action="pause", scope="all", target="", actor="ada", reason="", request_id="r-1")
NO_TRANSACTION = pytest.mark.django_db(transaction=True)


@NO_TRANSACTION
def test_an_event_cannot_be_promised_outside_the_change_it_tells_of(paths):
    with pytest.raises(RuntimeError, match="transaction"):
        actions.put(stream="control.worker", payload=EVENT, actor="ada")
    assert not Outbox.objects.exists()


@NO_TRANSACTION
def test_a_change_that_fails_promises_nothing(paths):
    def change() -> float:
        with transaction.atomic():
            actions.put(stream="control.worker", payload=EVENT, actor="ada")
            return 1 / 0

    with pytest.raises(ZeroDivisionError):
        change()
    assert not Outbox.objects.exists()


def test_the_same_request_twice_is_one_row(db):
    first = actions.put(stream="control.worker", payload=EVENT, actor="ada", request_id="r-1")
    assert actions.put(stream="control.worker", payload=EVENT, actor="ada", request_id="r-1").id == first.id


def test_an_acknowledgement_marks_its_request_once(db):
    actions.put(stream="control.worker", payload=EVENT, actor="ada", request_id="r-1")
    for accepted, reason in ((False, "limits"), (True, "")):
        actions.acknowledge(
            ack=ControlAck(engine_ns=1, request_id="r-1", action="pause", accepted=accepted, reason=reason)
        )
    row = Outbox.objects.get()
    assert row.acknowledged_at is not None
    assert (row.done_at, row.answer) == (None, "limits")
    actions.acknowledge(ack=ControlAck(engine_ns=1, request_id="nobody's", action="pause", accepted=True, reason=""))


def test_of_two_that_claim_a_job_one_wins_until_its_lease_ends(db):
    job, _ = actions.create_job(name="refit", occurrence="1", request="{}")
    assert actions.claim_job(job_id=job.id, owner="a") is not None
    assert actions.claim_job(job_id=job.id, owner="b") is None
    Job.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    assert [one.id for one in jobs_to_ring(now=timezone.now())] == [job.id]
    taken = actions.claim_job(job_id=job.id, owner="b")
    assert (taken.lease_owner, taken.attempts) == ("b", 2)
    with pytest.raises(actions.LeaseLostError):
        actions.heartbeat_job(job_id=job.id, owner="a")
    with pytest.raises(actions.LeaseLostError):
        actions.finish_job(job_id=job.id, owner="a")
    actions.finish_job(job_id=job.id, owner="b", result="1")
    assert actions.claim_job(job_id=job.id, owner="c") is None
    assert jobs_to_ring(now=timezone.now()) == []


def test_a_heartbeat_keeps_the_lease_and_shows_the_progress(db):
    job, _ = actions.create_job(name="refit", occurrence="1", request="{}")
    actions.claim_job(job_id=job.id, owner="a")
    Job.objects.update(lease_until=timezone.now() + timedelta(seconds=1))
    actions.heartbeat_job(job_id=job.id, owner="a", phase="reading", percent=40)
    job.refresh_from_db()
    assert (job.phase, job.percent) == ("reading", 40)
    assert job.lease_until > timezone.now() + timedelta(seconds=10)


@NO_TRANSACTION
def test_a_database_that_is_away_for_a_moment_costs_nobody_the_lease(paths, monkeypatch):
    job, _ = actions.create_job(name="refit", occurrence="1", request="{}")
    actions.claim_job(job_id=job.id, owner="a")
    beaten, real, away = threading.Event(), actions.heartbeat_job, iter([True])

    def beat(**given):
        if next(away, False):
            raise OperationalError("the database is locked")
        wanted = real(**given)
        beaten.set()
        return wanted

    monkeypatch.setattr(actions, "heartbeat_job", beat)
    with actions.kept_lease(job_id=job.id, owner="a", every_s=0.02) as lease:
        lease.phase = "reading"
        assert beaten.wait(20)
    job.refresh_from_db()
    assert job.phase == "reading"


def test_jobs_of_one_name_are_done_in_the_order_they_were_asked_for(db):
    first, _ = actions.create_job(name="refit", occurrence="1", request="{}")
    second, _ = actions.create_job(name="refit", occurrence="2", request="{}")
    other, _ = actions.create_job(name="another", occurrence="1", request="{}")
    assert actions.claim_job(job_id=second.id, owner="a") is None
    assert actions.claim_job(job_id=other.id, owner="a") is not None
    actions.claim_job(job_id=first.id, owner="a")
    actions.finish_job(job_id=first.id, owner="a", error="boom")
    assert actions.claim_job(job_id=second.id, owner="a") is not None


class EveryJobHasOneHolder(TestCase):
    """Whatever claims, ends and expiries follow one another: a job ends once, by the one that holds it."""

    @given(st.lists(st.tuples(st.sampled_from("ceht"), st.sampled_from("abc")), max_size=25))
    @hypothesis_settings(max_examples=40, deadline=None)
    def test_any_order_of_events(self, steps: list[tuple[str, str]]) -> None:
        job, _ = actions.create_job(name="refit", occurrence="1", request="{}")
        holder, ended, expired = "", False, False
        for step, who in steps:
            if step == "c":
                free = not ended and (not holder or expired)
                assert (actions.claim_job(job_id=job.id, owner=who) is not None) == free
                holder, expired = (who, False) if free else (holder, expired)
            elif step == "t":
                Job.objects.exclude(lease_until=None).update(lease_until=timezone.now() - timedelta(seconds=1))
                expired = True
            else:
                act = actions.finish_job if step == "e" else actions.heartbeat_job
                if who == holder and not ended:
                    act(job_id=job.id, owner=who)
                    ended, expired = ended or step == "e", expired and step != "h"
                else:
                    with pytest.raises(actions.LeaseLostError):
                        act(job_id=job.id, owner=who)
        assert (Job.objects.get().state == "done") == ended


# --- configuration ----------------------------------------------------------------------------------------------------

RUN = {
    "feed": "replay:x.parquet",
    "source": {"feed": "replay", "label": "REPLAY", "detail": "x.parquet", "interval_s": 60},
    "instruments": [
        {
            "symbol": "AAPL",
            "asset_class": "equity",
            "exchange": "US",
            "calendar": "XNYS",
            "currency": "USD",
            "tick": 0.01,
        }
    ],
    "symbols": ["AAPL"],
    "speed": "max",
}


def configure(paths, **changes: object) -> None:
    (paths.run / "run.json").write_bytes(msgspec.json.encode(RUN | changes))
    call_command("configure")


def test_a_start_stores_a_configuration_and_the_same_start_none(db, paths):
    configure(paths)
    configure(paths)
    stored = ConfigurationVersion.objects.get()
    made = msgspec.json.decode(stored.content, type=Configuration)
    assert (made.version, made.mode, made.instruments[0].symbol, stored.actor) == (1, "PAPER", "AAPL", "station")
    assert not Outbox.objects.exists()


def test_other_settings_are_another_version(db, paths):
    configure(paths)
    paths.settings.write_text("[costs]\nfee_bps = 2.5\n")
    configure(paths)
    newest = msgspec.json.decode(ConfigurationVersion.objects.latest("version").content, type=Configuration)
    assert (newest.version, newest.settings.costs.fee_bps) == (2, 2.5)


@pytest.mark.parametrize(
    ("run", "toml", "sentence"),
    [
        (None, "", "cannot be read"),
        (b"{", "", "run.json"),
        (msgspec.json.encode(RUN | {"source": 1}), "", r"source"),
        (msgspec.json.encode(RUN), "[costs]\nfee_bps = -1\n", r"costs.fee_bps = -1.* is outside 0 to 1000"),
        (msgspec.json.encode(RUN), "[costs\n", "is not TOML"),
    ],
)
def test_what_cannot_be_read_is_one_sentence_and_no_version(db, paths, run, toml, sentence):
    if run is not None:
        (paths.run / "run.json").write_bytes(run)
    if toml:
        paths.settings.write_text(toml)
    with pytest.raises(CommandError, match=sentence) as refused:
        call_command("configure")
    assert refused.value.returncode == 2
    assert not ConfigurationVersion.objects.exists()


def test_a_persons_change_needs_the_right_and_goes_to_the_worker(person, paths):
    build = b'{"version":%d}'.__mod__
    with pytest.raises(PermissionDenied):
        create_configuration(build=build, actor=person(STRATEGY_DEVELOPER), reason="more")
    with pytest.raises(PermissionDenied):
        create_configuration(build=build, actor=person(superuser=True), reason="more")
    assert not ConfigurationVersion.objects.exists()
    create_configuration(build=build, actor=person(OVERSIGHT), reason="less risk")
    row = Outbox.objects.get()
    event = msgspec.json.decode(row.payload, type=ControlEvent)
    assert (row.stream, event.action, event.actor, event.reason) == (
        "control.worker",
        "configure",
        "oversight",
        "less risk",
    )
    assert event.content == msgspec.Raw(b'{"version":1}')


@pytest.mark.django_db
def test_a_model_that_a_bus_has_lost_is_sent_again_with_its_row():
    asked = {"action": "pause", "scope": "strategy", "target": "momentum", "actor": "ann", "reason": "r"}
    for number, kind in enumerate(("ModelEvent", "ControlEvent")):
        payload = ControlEvent(**asked, request_id=str(number))
        with transaction.atomic():
            actions.put(
                stream="control.worker", payload=payload, actor="ann", event_type=kind, request_id=f"{kind}:2019-02-11"
            )
    assert actions.send_model_again(occurrence="2019-02-11") == 0  # it waits for the relay anyway
    Outbox.objects.update(published_at=timezone.now())
    assert actions.send_model_again(occurrence="2019-02-12") == 0
    assert actions.send_model_again(occurrence="2019-02-11") == 1
    assert [row.type for row in Outbox.objects.filter(published_at=None)] == ["ModelEvent"]
