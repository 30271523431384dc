"""Django's name of this package."""

from django.apps import AppConfig


class EvolutionConfig(AppConfig):
    """Trials of variants."""

    name = "tournaments.evolution"
    label = "evolution"
    default_auto_field = "django.db.models.BigAutoField"
