"""Django's name for this package's tables."""

from django.apps import AppConfig


class RiskConfig(AppConfig):
    """Tables of the package ``risk``."""

    name = "risk"
    default_auto_field = "django.db.models.BigAutoField"
