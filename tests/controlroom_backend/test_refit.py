"""Refits in one process: what they read, what they bring, what a crash or a bad journal leaves."""

import hashlib
from datetime import timedelta

import msgspec
import pytest
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st

from agents import actions as refits
from agents.models import Artefact, OutcomesRead, SettledOutcomes
from agents.selectors import current_version, settled_outcomes
from agents.settled import JournalBehindError, read_outcomes
from agents.tasks import refit_calibrators
from controlroom.celery import app
from controlroom.relay import doorbell
from controlroom.relay.tasks import ring_waiting_jobs
from events import actions
from events.codec import encode_payload
from events.journal import JournalWriter
from events.models import Job, Outbox
from events.types import JobDue, ModelEvent, OutcomeEvent

pytestmark = pytest.mark.django_db(transaction=True)


def outcome(strategy: str, score: float, *, hit: bool) -> tuple[str, str, None, None, bytes]:
    event = OutcomeEvent(
        engine_ns=1, strategy=strategy, symbol="A", signal_ns=1, score=score, direction=1, hit=hit, return_=0.0
    )
    return ("OutcomeEvent", strategy, None, None, encode_payload(event))


@pytest.fixture(autouse=True)
def tasks() -> None:
    """The station's Celery, with its tasks, as its worker has them."""
    app.finalize()
    assert {"agents.tasks.refit_calibrators", "controlroom.relay.tasks.ring_waiting_jobs"} <= set(app.tasks)


@pytest.fixture
def journal(paths):
    writer = JournalWriter(paths.journal / "execution", "execution", "run-1")
    yield writer
    writer.close()


def fill(journal: JournalWriter, count: int, strategy: str = "momentum") -> int:
    journal.append([outcome(strategy, (index % 40 - 20) / 20, hit=index % 3 > 0) for index in range(count)])
    journal.sync()
    return journal.seq


def ask(occurrence: str, through_seq: int) -> Job:
    due = JobDue(
        engine_ns=1_000,
        job="refit_calibrators",
        occurrence=occurrence,
        effective_from_ns=2_000,
        through_seq=through_seq,
        wait=True,
    )
    return actions.create_job(name=due.job, occurrence=occurrence, request=encode_payload(due).decode())[0]


def told() -> list[ModelEvent]:
    rows = Outbox.objects.filter(type="ModelEvent").order_by("id")
    return [msgspec.json.decode(row.payload, type=ModelEvent) for row in rows]


def test_ringing_again_and_again_brings_one_artefact_and_one_event(paths, journal):
    job = ask("o-1", fill(journal, 250))
    assert refit_calibrators(job.id) is True
    assert refit_calibrators(job.id) is False
    [event] = told()
    kept = Artefact.objects.get()
    assert (event.outcome, event.version, event.occurrence) == ("fitted", 1, "o-1")
    assert event.sha256 == kept.sha256 == hashlib.sha256(bytes(event.content)).hexdigest()
    assert kept.content.encode() == bytes(event.content)


def test_each_refit_reads_only_what_came_since_the_last_and_fits_on_all_of_it(paths, journal):
    for number, count in enumerate((250, 30, 0)):
        refit_calibrators(ask(f"o-{number}", fill(journal, count) if count else journal.seq).id)
    read = list(OutcomesRead.objects.order_by("from_seq").values_list("from_seq", "through_seq"))
    assert read == [(0, 249), (250, 279)]
    assert [len(bytes(row.hits)) for row in SettledOutcomes.objects.order_by("from_seq")] == [250, 30]
    fitted = [msgspec.json.decode(event.content)["momentum"] for event in told()]
    assert [one["outcomes"] for one in fitted] == [250, 280, 280]
    assert [one["version"] for one in fitted] == [1, 2, 3]


def test_what_was_not_asked_for_yet_is_not_read(paths, journal):
    fill(journal, 300)
    refit_calibrators(ask("o-1", 219).id)
    assert msgspec.json.decode(told()[0].content)["momentum"]["outcomes"] == 220


def test_only_strategies_with_enough_outcomes_get_a_calibrator(paths, journal):
    fill(journal, 250, "momentum")
    refit_calibrators(ask("o-1", fill(journal, 199, "bearish")).id)
    [event] = told()
    assert set(msgspec.json.decode(event.content)) == {"momentum"}
    assert "bearish 199" in event.reason


def test_too_few_outcomes_change_nothing_and_say_how_many(paths, journal):
    refit_calibrators(ask("o-1", fill(journal, 199)).id)
    [event] = told()
    assert (event.outcome, event.version) == ("unchanged", 0)
    assert "momentum 199" in event.reason
    assert current_version("calibrators") == 0


@pytest.mark.parametrize("trouble", ["behind", "damaged"])
def test_a_journal_that_cannot_be_read_is_a_failure_that_the_worker_hears_of(paths, journal, trouble):
    through = fill(journal, 250)
    if trouble == "behind":
        through += 1
    else:
        segment = next((paths.journal / "execution").glob("*.seg"))
        with segment.open("r+b") as file:
            file.seek(5000)
            file.write(b"!!!!")
    job = ask("o-1", through)
    assert refit_calibrators(job.id) is True
    [event] = told()
    assert event.outcome == "failed"
    assert event.reason
    job.refresh_from_db()
    assert (job.state, job.error) == ("failed", event.reason)
    assert not OutcomesRead.objects.exists()


def test_a_failure_loses_no_outcomes_for_the_next_refit(paths, journal):
    refit_calibrators(ask("o-1", fill(journal, 250) + 100).id)
    refit_calibrators(ask("o-2", journal.seq).id)
    assert [event.outcome for event in told()] == ["failed", "fitted"]
    assert msgspec.json.decode(told()[1].content)["momentum"]["outcomes"] == 250


def test_a_crash_while_storing_leaves_nothing_and_the_next_ring_does_it_all(paths, journal, monkeypatch):
    job = ask("o-1", fill(journal, 250))

    def crash(**_named: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(refits, "put", crash)
        with pytest.raises(KeyboardInterrupt):
            refit_calibrators(job.id)
    assert not Artefact.objects.exists()
    assert not OutcomesRead.objects.exists()
    assert refit_calibrators(job.id) is False
    Job.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    assert refit_calibrators(job.id) is True
    assert len(told()) == 1


def test_who_lost_the_lease_writes_nothing(paths, journal, monkeypatch):
    job = ask("o-1", fill(journal, 250))
    attempt = refits._attempt

    def overtaken(*arguments: object) -> object:
        found = attempt(*arguments)
        Job.objects.update(lease_owner="another")
        return found

    monkeypatch.setattr(refits, "_attempt", overtaken)
    assert refit_calibrators(job.id) is False
    assert not Artefact.objects.exists()
    assert told() == []


def test_a_job_that_kills_its_holders_is_given_up_and_the_worker_hears_of_it(paths, journal):
    job = ask("o-1", fill(journal, 250))
    Job.objects.update(attempts=actions.ATTEMPTS)
    refit_calibrators(job.id)
    assert told()[0].outcome == "failed"
    assert "given up" in told()[0].reason


def test_the_same_outcomes_give_the_same_bytes(paths, journal):
    refit_calibrators(ask("o-1", fill(journal, 250)).id)
    first = bytes(told()[0].content)
    for table in (Artefact, OutcomesRead, SettledOutcomes, Job, Outbox):
        table.objects.all().delete()
    refit_calibrators(ask("o-1", journal.seq).id)
    assert bytes(told()[0].content) == first


def test_the_schedule_rings_for_what_nobody_works_on(paths, monkeypatch):
    rung: list[int] = []
    monkeypatch.setattr(doorbell, "ring", lambda job: rung.append(job.id) or True)
    waiting, held, silent, done = (ask(f"o-{number}", 0) for number in range(4))
    now = timezone.now()
    Job.objects.filter(id=held.id).update(state="running", lease_until=now + timedelta(minutes=1))
    Job.objects.filter(id=silent.id).update(state="running", lease_until=now - timedelta(seconds=1))
    Job.objects.filter(id=done.id).update(state="done")
    ring_waiting_jobs()
    assert rung == [waiting.id, silent.id]


@pytest.mark.django_db
@given(pairs=st.lists(st.tuples(st.floats(-1, 1, allow_nan=False), st.booleans()), max_size=50))
@settings(max_examples=30, deadline=None)
def test_outcomes_come_back_from_the_database_bit_for_bit(pairs: list[tuple[float, bool]]) -> None:
    SettledOutcomes.objects.all().delete()
    refits._keep(refits.Fit("unchanged", b"null", "", 0, 9, {"momentum": pairs}))
    OutcomesRead.objects.all().delete()
    assert settled_outcomes() == {"momentum": pairs}


def test_reading_stops_at_the_record_it_was_told(paths, journal):
    fill(journal, 10)
    folder = paths.journal / "execution"
    assert len(read_outcomes(folder, from_seq=3, through_seq=7)["momentum"]) == 5
    assert read_outcomes(folder, from_seq=8, through_seq=7) == {}
    with pytest.raises(JournalBehindError, match="ends at 9, before 10"):
        read_outcomes(folder, from_seq=0, through_seq=10)
