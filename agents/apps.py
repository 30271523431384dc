"""Django's name for this package's tables."""

from django.apps import AppConfig


class AgentsConfig(AppConfig):
    """Tables of the package ``agents``."""

    name = "agents"
    default_auto_field = "django.db.models.BigAutoField"
