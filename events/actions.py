"""State changes of the outbox and of jobs. Nothing here talks to the bus: that is the relay's, after the commit."""

import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from events.codec import encode_payload
from events.models import Job, Outbox
from events.types import ControlAck

LEASE = timedelta(seconds=15)
"""How long a claim holds without a heartbeat: a second worker can still take over within the 60 s of a replay."""
HEARTBEAT_S = 5.0
ATTEMPTS = 5
ERROR_LIMIT = 2000


class LeaseLostError(RuntimeError):
    """Somebody else has the job now: whatever this process found out must not be written."""


def put(
    *,
    stream: str,
    payload: msgspec.Struct,
    actor: str,
    agent_id: str = "controlroom",
    request_id: str = "",
    event_type: str = "",
) -> Outbox:
    """Promise an event to the bus with the caller's transaction; the same ``request_id`` a second time changes nothing.

    Raises
    ------
    CodecError
        if the payload is not one of events/types.py or holds a number that is not finite.
    RuntimeError
        if there is no transaction: the event would be promised although the change may still fail.
    """
    if not transaction.get_connection().in_atomic_block:
        raise RuntimeError("put() needs the transaction of the change that it tells of")
    row, _ = Outbox.objects.get_or_create(
        request_id=request_id or uuid.uuid4().hex,
        defaults={
            "stream": stream,
            "type": event_type or type(payload).__name__,
            "agent_id": agent_id,
            "payload": encode_payload(payload).decode(),
            "actor": actor,
        },
    )
    return row


def mark_published(*, ids: Sequence[int], now: datetime) -> int:
    """Note that these rows are on the bus; return how many were not yet noted."""
    return Outbox.objects.filter(id__in=ids, published_at=None).update(published_at=now)


def acknowledge(*, ack: ControlAck) -> None:
    """Note the worker's answer to a request; an unknown or repeated one changes nothing."""
    now = timezone.now()
    waiting = Outbox.objects.filter(request_id=ack.request_id, acknowledged_at=None)
    waiting.update(acknowledged_at=now, done_at=now if ack.accepted else None, answer=ack.reason)


def create_job(*, name: str, occurrence: str, request: str) -> tuple[Job, bool]:
    """Return the job of this occurrence and whether it is new; ``request`` is JSON."""
    return Job.objects.get_or_create(name=name, occurrence=occurrence, defaults={"request": request})


def claim_job(*, job_id: int, owner: str) -> Job | None:
    """Take a job that is waiting, or whose holder fell silent; None if somebody else has it or an earlier one is open.

    One statement decides, so of two that try one wins. Jobs of one name run in the order they were asked for.
    """
    now = timezone.now()
    job = Job.objects.filter(id=job_id).first()
    if job is None or Job.objects.filter(_open(), name=job.name, id__lt=job_id).exists():
        return None
    free = Q(state=Job.State.WAITING) | Q(state=Job.State.RUNNING, lease_until__lt=now)
    claimed = Job.objects.filter(free, id=job_id).update(
        state=Job.State.RUNNING,
        lease_owner=owner,
        lease_until=now + LEASE,
        heartbeat_at=now,
        attempts=job.attempts + 1,
    )
    return Job.objects.get(id=job_id) if claimed else None


def heartbeat_job(*, job_id: int, owner: str, phase: str = "", percent: int | None = None) -> None:
    """Say that the work goes on, and how far it is.

    Raises
    ------
    LeaseLostError
        if the lease is somebody else's by now.
    """
    now = timezone.now()
    changes: dict[str, object] = {"lease_until": now + LEASE, "heartbeat_at": now}
    if phase:
        changes["phase"] = phase
    if percent is not None:
        changes["percent"] = percent
    if not Job.objects.filter(id=job_id, state=Job.State.RUNNING, lease_owner=owner).update(**changes):
        raise LeaseLostError(f"job {job_id} is not {owner}'s any more")


def finish_job(*, job_id: int, owner: str, result: str = "null", error: str = "") -> None:
    """End a job, done or (with an error) failed. Belongs into the transaction that writes what the job found.

    Raises
    ------
    LeaseLostError
        if the lease is somebody else's by now: the caller's transaction must not be committed.
    """
    ended = Job.objects.filter(id=job_id, state=Job.State.RUNNING, lease_owner=owner).update(
        state=Job.State.FAILED if error else Job.State.DONE,
        result=result,
        error=error[:ERROR_LIMIT],
        percent=100,
        lease_until=None,
        finished_at=timezone.now(),
    )
    if not ended:
        raise LeaseLostError(f"job {job_id} is not {owner}'s any more")


def _open() -> Q:
    return Q(state__in=(Job.State.WAITING, Job.State.RUNNING))
