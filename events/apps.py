"""Django's name for this package's tables."""

from django.apps import AppConfig


class EventsConfig(AppConfig):
    """Tables of the package ``events``."""

    name = "events"
    default_auto_field = "django.db.models.BigAutoField"
