"""Versions of rules and allocations, none ever changed; and rounds, each with its record as far as it may be read."""

from typing import ClassVar

from django.db import models


class RulesVersion(models.Model):
    """One immutable version of the rules (tournaments.rules.Rules) as JSON; editing makes another draft."""

    class Status(models.TextChoices):
        """At most one version is active."""

        DRAFT = "draft"
        ACTIVE = "active"
        RETIRED = "retired"

    version = models.PositiveIntegerField(unique=True)
    content = models.TextField(help_text="JSON of tournaments.rules.Rules")
    sha256 = models.CharField(max_length=64)
    status = models.CharField(max_length=7, choices=Status, default=Status.DRAFT)
    author = models.CharField(max_length=150)
    reason = models.CharField(max_length=500)
    activated_by = models.CharField(max_length=150, blank=True)
    created = models.DateTimeField(auto_now_add=True)
    activated_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name_plural = "rules versions"
        ordering: ClassVar = ["-version"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["status"], condition=models.Q(status="active"), name="rules_one_active")
        ]

    def __str__(self) -> str:
        return f"rules {self.version} ({self.status})"


class TournamentRound(models.Model):
    """A round. ``record`` is what everybody who may see rounds may read: no entry is in it before it is revealed."""

    round_id = models.CharField(max_length=64, unique=True)
    rules_version = models.PositiveIntegerField()
    as_of_ns = models.BigIntegerField(db_index=True)
    state = models.CharField(max_length=10, default="open", help_text="the step that it waits for, or settled or void")
    reason = models.TextField(blank=True, help_text="why it is void")
    station_bars = models.BooleanField(default=False, help_text="held on the station's own bars: its capital follows")
    request = models.TextField(help_text="JSON of tournaments.station.RoundRequest: what it is held on")
    record = models.TextField(blank=True, help_text="JSON of tournaments.record.RoundRecord; empty at first")
    sealed = models.TextField(default="{}", help_text="JSON: agent to its sealed entry, until they are revealed")
    actor = models.CharField(max_length=150)
    created = models.DateTimeField(auto_now_add=True)
    changed = models.DateTimeField(auto_now=True)

    class Meta:
        ordering: ClassVar = ["-as_of_ns", "-id"]

    def __str__(self) -> str:
        return f"{self.round_id}: {self.state}"


class Readmission(models.Model):
    """People's word that a benched strategy may come back: from the next round on, for this one bench alone."""

    strategy = models.CharField(max_length=64)
    benched_ns = models.BigIntegerField(help_text="market time of the round that benched it, UTC nanoseconds")
    people = models.CharField(max_length=320)
    reason = models.CharField(max_length=500)
    created = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering: ClassVar = ["-id"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["strategy", "benched_ns"], name="one_readmission_a_bench")
        ]

    def __str__(self) -> str:
        return f"{self.strategy} let in again by {self.people}"


class AllocationVersion(models.Model):
    """Weights that the worker was told, or is to be told once people have approved; immutable but for the answer."""

    class State(models.TextChoices):
        """PROPOSED waits for people; TOLD for the worker's word; a REFUSED one changed nothing."""

        PROPOSED = "proposed"
        TOLD = "told"
        ACKNOWLEDGED = "acknowledged"
        REFUSED = "refused"

    version = models.PositiveIntegerField(unique=True)
    round_id = models.CharField(max_length=64, blank=True, help_text="empty: people decided without a round")
    content = models.TextField(help_text="JSON of engine.allocation.Allocation")
    base = models.TextField(default="{}", help_text="JSON: fraction of capital by slow evidence, by strategy")
    competitive = models.TextField(default="{}", help_text="JSON: fraction of capital from the pool, by strategy")
    settings_weights = models.TextField(help_text="JSON: the settings' weights when it was made; others end it")
    state = models.CharField(max_length=12, choices=State)
    answer = models.CharField(max_length=500, blank=True, help_text="the worker's word where it refused")
    request_id = models.CharField(max_length=80, unique=True)
    actor = models.CharField(max_length=150)
    reason = models.CharField(max_length=500)
    at_ns = models.BigIntegerField(help_text="market time, UTC nanoseconds")
    created = models.DateTimeField(auto_now_add=True)
    acknowledged_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["-version"]

    def __str__(self) -> str:
        return f"allocation {self.version} ({self.state})"
