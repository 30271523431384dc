"""A job from the worker's wish to fitted calibrators on the bus, through real relay, Celery and Valkey processes."""

import random
import time

import msgspec
import pytest

from agents.calibration import decode, probability
from events import bus as station_bus
from events.codec import decode_envelope, decode_payload, encode_payload, envelope
from events.journal import JournalWriter
from events.streams import CONTROL_WORKER, WORKER_EVENTS
from events.types import JobDue, ModelEvent, OutcomeEvent

pytestmark = pytest.mark.station


def outcomes(count: int, seed: int = 1):
    """Stronger scores are right more often."""
    draw = random.Random(seed)
    for index in range(count):
        score = draw.uniform(-1.0, 1.0)
        yield OutcomeEvent(
            engine_ns=index, strategy="momentum", symbol="AAPL", signal_ns=index, score=score,
            direction=1 if score > 0 else -1, hit=draw.random() < 0.4 + 0.4 * abs(score), return_=0.0,
        )  # fmt: skip


def journal_outcomes(writer: JournalWriter, count: int, seed: int = 1) -> int:
    writer.append([("OutcomeEvent", "momentum", None, None, encode_payload(one)) for one in outcomes(count, seed)])
    writer.sync()
    return writer.seq


def due(occurrence: str, through_seq: int) -> bytes:
    event = JobDue(
        engine_ns=1_000, job="refit_calibrators", occurrence=occurrence, effective_from_ns=2_000,
        through_seq=through_seq, wait=True,
    )  # fmt: skip
    return envelope("JobDue", "engine", event, time.time_ns())


def answers(bus) -> list[ModelEvent]:
    found = [decode_envelope(entry.event) for entry in station_bus.read_from(bus, {CONTROL_WORKER: "0"})]
    return [decode_payload("ModelEvent", one.payload) for one in found if one.type == "ModelEvent"]


CELERY = ("-m", "celery", "-A", "controlroom.celery")
WORKER = (*CELERY, "worker", "--pool", "threads", "--concurrency", "2")


def test_a_due_job_becomes_one_model_event_an_occurrence(paths, servers, processes, until):
    processes.run("manage.py", "migrate", "--skip-checks", "-v0")
    processes.start("manage.py", "relay", "--skip-checks")
    processes.start(*WORKER)
    worker = station_bus.connect(paths, "worker")
    journal = JournalWriter(paths.journal / "execution", "execution", "run-1")
    try:
        first = journal_outcomes(journal, 150)
        station_bus.publish(worker, WORKER_EVENTS, due("refit:XNYS:1", first))
        until(lambda: len(answers(worker)) == 1, "the first answer")
        second = journal_outcomes(journal, 300, seed=2)
        began = time.monotonic()
        station_bus.publish(worker, WORKER_EVENTS, due("refit:XNYS:2", second))
        station_bus.publish(worker, WORKER_EVENTS, due("refit:XNYS:2", second))
        until(lambda: len(answers(worker)) == 2, "the second answer")
        print(f"JobDue to ModelEvent: {(time.monotonic() - began) * 1000:.0f} ms")
        station_bus.publish(worker, WORKER_EVENTS, due("refit:XNYS:3", second))
        until(lambda: len(answers(worker)) == 3, "the third answer")
    finally:
        journal.close()
        worker.close()
    few, fitted, again = answers(worker)
    assert (few.outcome, few.version, few.content) == ("unchanged", 0, msgspec.Raw(b"null"))
    assert "150" in few.reason
    assert (fitted.outcome, fitted.version, fitted.effective_from_ns) == ("fitted", 1, 2_000)
    calibrator = decode(bytes(msgspec.json.decode(fitted.content, type=dict[str, msgspec.Raw])["momentum"]))
    assert calibrator.outcomes == 450
    assert probability(calibrator, 0.9) > probability(calibrator, 0.1)
    assert (again.outcome, again.version) == ("fitted", 2)


def test_a_ring_that_nobody_heard_is_repeated_by_the_schedule(paths, servers, processes, until):
    processes.run("manage.py", "migrate", "--skip-checks", "-v0")
    processes.start("manage.py", "relay", "--skip-checks")
    processes.start(*WORKER)
    processes.start(*CELERY, "beat", "--schedule", str(paths.run / "celerybeat-schedule"), "--pidfile", "")
    worker = station_bus.connect(paths, "worker")
    journal = JournalWriter(paths.journal / "execution", "execution", "run-1")
    try:
        through = journal_outcomes(journal, 250)
        station_bus.publish(worker, WORKER_EVENTS, due("refit:XNYS:1", through))
        until(lambda: len(answers(worker)) == 1, "the first answer")
        servers.stop("web")
        station_bus.publish(worker, WORKER_EVENTS, due("refit:XNYS:2", through))
        until(lambda: station_bus.lag(worker, WORKER_EVENTS, "relay") == 0, "the relay has taken the wish")
        assert len(answers(worker)) == 1
        servers.start("web")
        until(lambda: len(answers(worker)) == 2, "the second answer")
    finally:
        journal.close()
        worker.close()
    assert [answer.occurrence for answer in answers_of(paths)] == ["refit:XNYS:1", "refit:XNYS:2"]


def answers_of(paths) -> list[ModelEvent]:
    bus = station_bus.connect(paths, "status")
    try:
        return answers(bus)
    finally:
        bus.close()


def test_a_new_worker_takes_over_what_a_killed_one_left(paths, servers, processes, until):
    processes.run("manage.py", "migrate", "--skip-checks", "-v0")
    processes.start("manage.py", "relay", "--skip-checks")
    bus = station_bus.connect(paths, "worker")
    journal = JournalWriter(paths.journal / "execution", "execution", "run-1")
    try:
        through = journal_outcomes(journal, 250)
        station_bus.publish(bus, WORKER_EVENTS, due("refit:XNYS:1", through))
        until(lambda: station_bus.lag(bus, WORKER_EVENTS, "relay") == 0, "the relay has taken the wish")
        servers.stop("web")  # the ring is gone: nothing of `web` is kept
        servers.start("web")
        processes.start(*WORKER)
        until(lambda: len(answers(bus)) == 1, "the answer")
    finally:
        journal.close()
        bus.close()
