"""The configuration's history, every version complete and none ever changed; and what was said of the risk."""

from typing import ClassVar

from django.db import models


class ConfigurationVersion(models.Model):
    """One complete snapshot of settings, mode, instruments and source (engine/configuration.py) as JSON."""

    version = models.PositiveIntegerField(unique=True)
    content = models.TextField(help_text="JSON of engine.configuration.Configuration")
    sha256 = models.CharField(max_length=64)
    actor = models.CharField(max_length=150)
    reason = models.CharField(max_length=500)
    signature = models.TextField(blank=True, help_text="of the approvals key, where it loosens (worker/approvals.py)")
    refused = models.TextField(
        blank=True, help_text="why the worker did not take it, in its words; nothing is built on it then"
    )
    created = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering: ClassVar = ["-version"]

    def __str__(self) -> str:
        return f"configuration {self.version}"


class VarSnapshot(models.Model):
    """Value at risk of the account at one minute, fractions of its equity; it informs, nothing is decided by it."""

    engine_ns = models.BigIntegerField()
    day = models.CharField(max_length=10, db_index=True, help_text="UTC date of the engine's time")
    equity = models.FloatField()
    var_95 = models.FloatField()
    es_95 = models.FloatField()
    var_99 = models.FloatField()
    es_99 = models.FloatField()
    loss = models.FloatField(help_text="of the day so far, fraction of its first equity; negative for a gain")
    exceeded = models.BooleanField(help_text="the loss is above the last 99 % VaR of the day before")
    covariance_version = models.PositiveIntegerField(help_text="0: none has come")
    content = models.TextField(help_text="JSON: by strategy, symbols without a covariance")
    created = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering: ClassVar = ["-id"]

    def __str__(self) -> str:
        return f"{self.day} VaR 99 {self.var_99:.4f}"


class RiskReport(models.Model):
    """A stress table with the correlation matrix behind it, made after hours when a covariance is new."""

    occurrence = models.CharField(max_length=128, unique=True)
    engine_ns = models.BigIntegerField()
    covariance_version = models.PositiveIntegerField()
    through = models.CharField(max_length=10, blank=True)
    content = models.TextField(help_text="JSON")
    created = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering: ClassVar = ["-id"]

    def __str__(self) -> str:
        return self.occurrence
