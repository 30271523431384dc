"""The configuration's history: every version complete, none ever changed."""

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
    created = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering: ClassVar = ["-version"]

    def __str__(self) -> str:
        return f"configuration {self.version}"
