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


def test_a_due_job_becomes_one_model_event_an_occurrence(paths, servers, processes, until):
    processes.run("manage.py", "migrate", "--skip-checks", "-v0")
    processes.start("manage.py", "relay", "--skip-checks")
    processes.start("-m", "celery", "-A", "controlroom.celery", "worker", "--pool", "threads", "--concurrency", "2")
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
