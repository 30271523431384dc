"""Reads of the configuration's history."""

from risk.models import ConfigurationVersion


def current_configuration() -> ConfigurationVersion | None:
    """Return the newest version, None before the first run."""
    return ConfigurationVersion.objects.order_by("-version").first()


def configuration_history(*, limit: int = 50) -> list[ConfigurationVersion]:
    """Return the newest versions, newest first."""
    return list(ConfigurationVersion.objects.order_by("-version")[:limit])
