"""Trials: every variant that was ever tried, whatever became of it, with the trial that it came from."""

from typing import ClassVar

from django.db import models


class Trial(models.Model):
    """A strategy under parameters. Without a parent it is what was in force before anybody looked for variants.

    Instants are UTC nanoseconds of market time; Sharpe ratios and errors a year, of SIMULATED unit books.
    """

    class Status(models.TextChoices):
        """PROPOSED is judged within the same transaction; SHADOW survived; REJECTED and RETIRED are final."""

        PROPOSED = "proposed"
        REJECTED = "rejected"
        SHADOW = "shadow"
        CHALLENGER = "challenger"
        PROMOTED = "promoted"
        RETIRED = "retired"

    strategy = models.CharField(max_length=64, db_index=True)
    name = models.CharField(max_length=80, unique=True, help_text="of the entrant: momentum~3f2a90c1")
    identity = models.CharField(max_length=64, unique=True, help_text="SHA-256 of strategy and parameters")
    parent = models.ForeignKey("self", null=True, blank=True, on_delete=models.PROTECT, related_name="children")
    parameters = models.TextField(help_text="JSON: every parameter by name")
    station_bars = models.BooleanField(default=False, help_text="of the station's own bars, whose rounds it enters")
    seed = models.BigIntegerField(default=0, help_text="of the sequence that it is a point of")
    status = models.CharField(max_length=10, choices=Status, default=Status.PROPOSED, db_index=True)
    reasons = models.TextField(default="[]", help_text="JSON: why it was rejected or retired")

    proposed_ns = models.BigIntegerField(help_text="nothing later was read to judge it")
    fitted_from_ns = models.BigIntegerField(null=True, help_text="first session of the first training")
    tested_from_ns = models.BigIntegerField(null=True, help_text="first session out of sample")
    tested_until_ns = models.BigIntegerField(null=True, help_text="last one")
    figures = models.TextField(blank=True, help_text="JSON of tournaments.evolution.record.Kept; empty: never judged")
    sharpe = models.FloatField(null=True)
    excess = models.FloatField(null=True, help_text="Sharpe ratio of variant less parent at equal risk")
    counts_as = models.FloatField(null=True, help_text="clusters of its batch over trials of its batch")

    shadow_sessions = models.PositiveIntegerField(default=0)
    shadow_excess = models.FloatField(null=True)
    shadow_error = models.FloatField(null=True)
    challenger_from_ns = models.BigIntegerField(null=True, help_text="it enters rounds as of later instants")
    challenger_until_ns = models.BigIntegerField(null=True, help_text="and none as of later ones than this")
    promoted_ns = models.BigIntegerField(null=True)
    configuration = models.PositiveIntegerField(null=True, help_text="version that put it in force, or replaced it")
    created = models.DateTimeField(auto_now_add=True)
    changed = models.DateTimeField(auto_now=True)

    class Meta:
        ordering: ClassVar = ["-id"]

    def __str__(self) -> str:
        return f"{self.name}: {self.status}"
