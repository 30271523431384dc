"""The registry of fitted things, and the settled outcomes that calibrators are fitted on."""

from typing import ClassVar

from django.db import models


class Artefact(models.Model):
    """What one occurrence of a fit brought: a new version, no change, or a failure with its reason."""

    class Outcome(models.TextChoices):
        """As the engine is told (events.types.ModelEvent)."""

        FITTED = "fitted"
        UNCHANGED = "unchanged"
        FAILED = "failed"

    class Status(models.TextChoices):
        """Where a fitted version is: told to the engine, in force since its effective_from, or replaced."""

        FITTED = "fitted"
        PROMOTED = "promoted"
        RETIRED = "retired"

    name = models.CharField(max_length=64)
    version = models.PositiveIntegerField(
        help_text="of a fit: its own; else the version that stays in force, 0 for none"
    )
    occurrence = models.CharField(max_length=128)
    outcome = models.CharField(max_length=9, choices=Outcome)
    sha256 = models.CharField(max_length=64)
    effective_from_ns = models.BigIntegerField()
    content = models.TextField(help_text="JSON")
    reason = models.TextField(blank=True)
    status = models.CharField(max_length=8, choices=Status, blank=True, help_text="empty where nothing was fitted")
    through = models.CharField(max_length=10, blank=True, help_text="last session that it was fitted on, ISO date")
    metrics = models.TextField(default="{}", help_text="JSON")
    created = models.DateTimeField(auto_now_add=True, help_text="when it was fitted")
    promoted_at = models.DateTimeField(null=True, blank=True)
    retired_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["-id"]
        indexes: ClassVar = [models.Index(fields=["name", "status"], name="artefact_status")]
        constraints: ClassVar = [models.UniqueConstraint(fields=["name", "occurrence"], name="artefact_once")]

    def __str__(self) -> str:
        return f"{self.name}@{self.version} ({self.outcome})"


class Strategy(models.Model):
    """A strategy as something that can be a person's: whoever may change it sees its part of the audit."""

    name = models.CharField(max_length=64, unique=True)

    class Meta:
        verbose_name_plural = "strategies"
        default_permissions = ("change",)
        ordering: ClassVar = ["name"]

    def __str__(self) -> str:
        return self.name


class SettledOutcomes(models.Model):
    """One strategy's outcomes in records ``from_seq`` to ``through_seq`` of the execution journal, packed.

    ``scores`` holds little-endian float64, ``hits`` one byte each, in journal order.
    """

    strategy = models.CharField(max_length=64)
    from_seq = models.BigIntegerField()
    through_seq = models.BigIntegerField()
    scores = models.BinaryField()
    hits = models.BinaryField()

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["strategy", "from_seq"], name="outcomes_once")]

    def __str__(self) -> str:
        return f"{self.strategy} {self.from_seq}..{self.through_seq}"


class OutcomesRead(models.Model):
    """How far the execution journal has been read for outcomes; each occurrence adds one step, none overlaps."""

    from_seq = models.BigIntegerField(unique=True)
    through_seq = models.BigIntegerField()

    def __str__(self) -> str:
        return f"{self.from_seq}..{self.through_seq}"


class SessionPrices(models.Model):
    """One session's prices, read off the execution journal: what the covariance is fitted on."""

    session = models.CharField(max_length=10, unique=True, help_text="ISO date of the home calendar's session")
    prices = models.TextField(help_text="JSON: symbol to step of five minutes to last price")

    class Meta:
        ordering: ClassVar = ["session"]

    def __str__(self) -> str:
        return self.session


class PricesRead(models.Model):
    """How far the execution journal has been read for prices; each occurrence adds one step, none overlaps."""

    from_seq = models.BigIntegerField(unique=True)
    through_seq = models.BigIntegerField()

    def __str__(self) -> str:
        return f"{self.from_seq}..{self.through_seq}"
