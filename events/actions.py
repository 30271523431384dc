"""State changes of the outbox and of jobs. Nothing here talks to the bus: that is the relay's, after the commit."""

import logging
import threading
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec
from django.db import DatabaseError, connection, transaction
from django.db.models import F, Q
from django.utils import timezone

from events.codec import encode_payload
from events.models import Job, Outbox
from events.types import ControlAck

LEASE = timedelta(seconds=15)
"""How long a claim holds without a heartbeat: a second worker can still take over within the 60 s of a replay."""
HEARTBEAT_S = 5.0
ATTEMPTS = 5
ERROR_LIMIT = 2000
log = logging.getLogger(__name__)


TURN = 0x5354_5455  # PostgreSQL's advisory lock of a change; any number that nobody else takes in this database


class LeaseLostError(RuntimeError):
    """Somebody else has the job now: whatever this process found out must not be written."""


def in_turn() -> None:
    """Let the caller's transaction wait until every earlier change is committed: before its first read or write.

    On SQLite a transaction begins so (BEGIN IMMEDIATE). On PostgreSQL two may read the same newest version, and ids are
    given before the commit: a lower one could appear after a higher one was relayed.

    Raises
    ------
    RuntimeError
        if there is no transaction: the turn would be over at once.
    """
    connection = transaction.get_connection()
    if not connection.in_atomic_block:
        raise RuntimeError("a change needs a transaction: its turn lasts as long")
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [TURN])


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

    Ids follow the order of the commits, so that the relay's order is that of the changes.

    Raises
    ------
    CodecError
        if the payload is not one of events/types.py or holds a number that is not finite.
    RuntimeError
        if there is no transaction: the event would be promised although the change may still fail.
    """
    in_turn()
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


def send_model_again(*, occurrence: str) -> int:
    """Let the relay send a job's ModelEvent once more, which the worker takes once; return how many there are."""
    sent = Outbox.objects.filter(type="ModelEvent", request_id__endswith=f":{occurrence}", published_at__isnull=False)
    return sent.update(published_at=None)


def send_request_again(*, request_ids: Sequence[str]) -> int:
    """Let the relay send these requests once more, which their reader takes once; return how many there are."""
    sent = Outbox.objects.filter(request_id__in=request_ids, published_at__isnull=False)
    return sent.update(published_at=None)


def mark_published(*, entries: Mapping[int, str], now: datetime) -> int:
    """Note that rows are on the bus, by id under which entry; return how many were not yet noted."""
    noted = 0
    with transaction.atomic():
        for row, entry in entries.items():
            noted += Outbox.objects.filter(id=row, published_at=None).update(published_at=now, entry=entry)
    return noted


def mark_done(*, ids: Sequence[int], now: datetime, answer: str) -> int:
    """Note that the reader of these rows has done what they ask; return how many were not yet noted."""
    waiting = Outbox.objects.filter(id__in=ids, acknowledged_at=None)
    return waiting.update(acknowledged_at=now, done_at=now, answer=answer)


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
        started_at=now,
        attempts=F("attempts") + 1,
    )
    return Job.objects.get(id=job_id) if claimed else None


def heartbeat_job(*, job_id: int, owner: str, phase: str = "", percent: int | None = None) -> bool:
    """Say that the work goes on, and how far it is; return whether somebody wants it to stop.

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
    return Job.objects.filter(id=job_id, cancel_requested=True).exists()


@dataclass
class Lease:
    """What a holder says between two heartbeats, and whether somebody wants it to stop."""

    phase: str = ""
    percent: int | None = None
    stop_wanted: bool = False


@contextmanager
def kept_lease(*, job_id: int, owner: str, every_s: float = HEARTBEAT_S) -> Iterator[Lease]:
    """Keep the lease while the work goes on; a lease that was lost is found out when the work is to be recorded."""
    ended, lease = threading.Event(), Lease()

    def beat() -> None:
        try:
            lease.stop_wanted = heartbeat_job(job_id=job_id, owner=owner, phase=lease.phase, percent=lease.percent)
        except DatabaseError as error:  # a lease lasts several beats: the next one may reach the database again
            log.warning("no heartbeat of job %s: %s", job_id, error)
            connection.close()

    def keep() -> None:
        try:
            while not ended.wait(every_s):
                beat()
        except LeaseLostError:
            log.warning("the lease of job %s was lost", job_id)
        finally:
            connection.close()

    thread = threading.Thread(target=keep, name=f"heartbeat-{job_id}", daemon=True)
    thread.start()
    try:
        yield lease
    finally:
        ended.set()
        thread.join()


def ask_to_cancel(*, job_id: int) -> bool:
    """Cancel a job that waits, or ask its holder to stop at the next heartbeat; return whether it was still open."""
    ended = Job.objects.filter(id=job_id, state=Job.State.WAITING).update(
        state=Job.State.CANCELED, cancel_requested=True, finished_at=timezone.now()
    )
    return bool(ended or Job.objects.filter(_open(), id=job_id).update(cancel_requested=True))


def finish_job(*, job_id: int, owner: str, result: str = "null", error: str = "", canceled: bool = False) -> None:
    """End a job: done, canceled or (with an error) failed. Belongs into the transaction that writes what the job found.

    Raises
    ------
    LeaseLostError
        if the lease is somebody else's by now: the caller's transaction must not be committed.
    """
    changes: dict[str, object] = {"percent": 100} if not canceled and not error else {}
    final = Job.State.CANCELED if canceled else Job.State.FAILED if error else Job.State.DONE
    ended = Job.objects.filter(id=job_id, state=Job.State.RUNNING, lease_owner=owner).update(
        **changes,
        state=final,
        result=result,
        error=error[:ERROR_LIMIT],
        lease_until=None,
        finished_at=timezone.now(),
    )
    if not ended:
        raise LeaseLostError(f"job {job_id} is not {owner}'s any more")


def _open() -> Q:
    return Q(state__in=(Job.State.WAITING, Job.State.RUNNING))
