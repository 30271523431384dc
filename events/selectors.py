"""Reads of the outbox and of jobs."""

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Min, Q
from django.utils import timezone

from events.models import Job, Outbox


@dataclass(frozen=True)
class Waiting:
    """What the relay has not sent yet."""

    rows: int
    lag_s: float  # age of the oldest one, 0 where there is none


def waiting_rows(*, limit: int) -> list[Outbox]:
    """Return the rows that the bus has not seen, in id order."""
    return list(Outbox.objects.filter(published_at=None).order_by("id")[:limit])


def waiting() -> Waiting:
    """Return how many rows wait for the relay, and for how long."""
    found = Outbox.objects.filter(published_at=None).aggregate(rows=Count("id"), oldest=Min("created"))
    lag = (timezone.now() - found["oldest"]).total_seconds() if found["oldest"] else 0.0
    return Waiting(rows=found["rows"], lag_s=max(0.0, lag))


def latest_requests(*, limit: int = 50, actor: str | None = None) -> list[Outbox]:
    """Return the newest requests, of one person or of all: requested, published, acknowledged, done; newest first."""
    found = Outbox.objects.all() if actor is None else Outbox.objects.filter(actor=actor)
    return list(found.order_by("-id")[:limit])


def request_of(number: int, *, actor: str) -> Outbox | None:
    """Return a person's own request by its number, None if it is not theirs."""
    return Outbox.objects.filter(id=number, actor=actor).first()


def request_named(request_id: str) -> Outbox | None:
    """Return a request by its own id, None if nobody asked under it."""
    return Outbox.objects.filter(request_id=request_id).first()


def is_done(*, request_id: str) -> bool:
    """Return whether the worker has done what was asked for under this id."""
    return Outbox.objects.filter(request_id=request_id).exclude(done_at=None).exists()


def unanswered(*, limit: int) -> list[Outbox]:
    """Return the rows on the bus that nobody has acknowledged and whose reader sends no answer, oldest first."""
    sent = Outbox.objects.filter(acknowledged_at=None).exclude(published_at=None).exclude(entry="")
    return list(sent.exclude(type="ControlEvent").order_by("id")[:limit])


def jobs_to_ring(*, now: datetime) -> list[Job]:
    """Return the jobs that nobody works on: unclaimed, or their holder fell silent."""
    silent = Q(state=Job.State.RUNNING, lease_until__lt=now)
    return list(Job.objects.filter(Q(state=Job.State.WAITING) | silent).order_by("id"))


def has_open_jobs() -> bool:
    """Return whether any job is neither done nor failed."""
    return Job.objects.filter(state__in=(Job.State.WAITING, Job.State.RUNNING)).exists()


def latest_jobs(*, limit: int = 50) -> list[Job]:
    """Return the newest jobs, newest first."""
    return list(Job.objects.order_by("-id")[:limit])
