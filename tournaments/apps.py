"""Django's name of this package."""

from django.apps import AppConfig


class TournamentsConfig(AppConfig):
    """Rules and rounds."""

    name = "tournaments"
    default_auto_field = "django.db.models.BigAutoField"
