"""What must not be lost between a database and the bus, and between a job and its doorbell."""

from typing import ClassVar

from django.db import models
from django.db.models import Q


class Outbox(models.Model):
    """An event that a committed transaction promised to the bus; the relay sends it, in id order.

    requested (row exists) → published (on the bus) → acknowledged (the worker answered) → done (it did it).
    """

    stream = models.CharField(max_length=64)
    type = models.CharField(max_length=32)
    agent_id = models.CharField(max_length=64)
    payload = models.TextField(help_text="JSON of the event's payload, sent byte for byte")
    actor = models.CharField(max_length=150)
    request_id = models.CharField(max_length=128, unique=True)
    created = models.DateTimeField(auto_now_add=True)
    entry = models.CharField(max_length=48, blank=True, help_text="its id in the stream, once it is there")
    published_at = models.DateTimeField(null=True, blank=True)
    acknowledged_at = models.DateTimeField(null=True, blank=True)
    done_at = models.DateTimeField(null=True, blank=True)
    answer = models.TextField(blank=True, help_text="why the worker refused, in its words")

    class Meta:
        verbose_name_plural = "outbox"
        ordering: ClassVar = ["id"]
        indexes: ClassVar = [
            models.Index(fields=["id"], condition=Q(published_at=None), name="outbox_waiting"),
            models.Index(fields=["id"], condition=Q(acknowledged_at=None), name="outbox_unanswered"),
        ]

    def __str__(self) -> str:
        return f"{self.id} {self.type} for {self.stream}"


class Job(models.Model):
    """Work that is not urgent. The row is the job; Celery only rings for it."""

    class State(models.TextChoices):
        """Where a job is; DONE, FAILED and CANCELED are final."""

        WAITING = "waiting"
        RUNNING = "running"
        DONE = "done"
        FAILED = "failed"
        CANCELED = "canceled"

    name = models.CharField(max_length=64)
    occurrence = models.CharField(max_length=128, help_text="one occurrence is done once")
    request = models.TextField(default="{}", help_text="JSON of what asked for it")
    state = models.CharField(max_length=8, choices=State, default=State.WAITING)
    lease_owner = models.CharField(max_length=128, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    heartbeat_at = models.DateTimeField(null=True, blank=True)
    started_at = models.DateTimeField(null=True, blank=True, help_text="when the present attempt began")
    cancel_requested = models.BooleanField(default=False)
    attempts = models.PositiveIntegerField(default=0)
    phase = models.CharField(max_length=64, blank=True)
    percent = models.PositiveSmallIntegerField(default=0)
    result = models.TextField(default="null", help_text="JSON")
    error = models.TextField(blank=True)
    created = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["id"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["name", "occurrence"], name="job_once")]
        indexes: ClassVar = [models.Index(fields=["state", "lease_until"], name="job_open")]

    def __str__(self) -> str:
        return f"{self.name} {self.occurrence}: {self.state}"
