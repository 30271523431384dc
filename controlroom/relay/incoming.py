"""What the worker asks for and answers: its hello, its acknowledgements, the jobs that its phase table says are due."""

import logging
from collections.abc import Callable

import msgspec
from django.conf import settings
from django.db import transaction

from audit.artefacts import sign
from controlroom.access.approvals import acknowledged
from controlroom.allocations.actions import answered, send_again
from controlroom.relay.doorbell import TASKS, ring
from events.actions import acknowledge, create_job, put, send_model_again
from events.actors import STATION
from events.bus import Entry
from events.codec import CodecError, decode_envelope, decode_payload, encode_payload
from events.streams import CONTROL_WORKER
from events.types import ControlAck, ControlEvent, Envelope, JobDue, ModelEvent
from risk.actions import note_answer, send_configuration
from risk.selectors import current_configuration
from tournaments.evolution.actions import note_refusal

log = logging.getLogger(__name__)


def handle(entry: Entry) -> None:
    """Do what one entry of worker.events asks for; a repeated one changes nothing, a foreign one is none of ours.

    Raises
    ------
    django.db.Error
        if the database does not take it; the entry must not be acknowledged then.
    """
    try:
        message = decode_envelope(entry.event)
        handler = HANDLERS.get(message.type)
        if handler is not None:
            handler(entry, message)
    except CodecError as error:
        log.warning("entry %s of %s cannot be read: %s", entry.id, entry.stream, error)


def _hello(entry: Entry, _message: Envelope) -> None:
    """Answer with the configuration that holds now; each hello once."""
    current = current_configuration()
    if current is None:
        log.warning("the worker asks for a configuration and there is none; `manage.py configure` makes the first")
        return
    with transaction.atomic():
        send_configuration(version=current, request_id=f"hello-{entry.id}")
        send_again()


def _control(entry: Entry, message: Envelope) -> None:
    event: ControlEvent = decode_payload("ControlEvent", message.payload)
    if event.action == "hello":
        _hello(entry, message)


def _acknowledged(_entry: Entry, message: Envelope) -> None:
    ack: ControlAck = decode_payload("ControlAck", message.payload)
    acknowledge(ack=ack)
    note_answer(request_id=ack.request_id, taken=ack.accepted, answer=ack.reason)
    note_refusal(request_id=ack.request_id)
    acknowledged(request_id=ack.request_id, accepted=ack.accepted, answer=ack.reason)
    answered(request_id=ack.request_id, accepted=ack.accepted, answer=ack.reason)


def _due(_entry: Entry, message: Envelope) -> None:
    due: JobDue = decode_payload("JobDue", message.payload)
    if due.job not in TASKS:
        log.error("job %s of %s is unknown", due.job, due.occurrence)
        _refuse(due)
        return
    job, new = create_job(name=due.job, occurrence=due.occurrence, request=encode_payload(due).decode())
    if new:
        ring(job)
    elif message.id.startswith("again:"):
        send_again()
        send_model_again(occurrence=due.occurrence)  # the worker still waits: a bus that was emptied had the answer


@transaction.atomic
def _refuse(due: JobDue) -> None:
    """Say that a job failed which nobody can do: a replay waits for the word."""
    event = ModelEvent(
        name=due.job,
        version=0,
        outcome="failed",
        occurrence=due.occurrence,
        sha256="",
        effective_from_ns=due.effective_from_ns,
        content=msgspec.Raw(b"null"),
        reason=f"no task does the job {due.job!r}",
    )
    put(
        stream=CONTROL_WORKER,
        payload=sign(event, settings.DATA),
        actor=STATION,
        agent_id="relay",
        request_id=f"refused:{due.job}:{due.occurrence}",
    )


HANDLERS: dict[str, Callable[[Entry, Envelope], None]] = {
    "hello": _hello,
    "ControlEvent": _control,
    "ControlAck": _acknowledged,
    "JobDue": _due,
}
