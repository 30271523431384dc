"""Django's name for the control room itself: management commands, no tables."""

from django.apps import AppConfig


class ControlRoomConfig(AppConfig):
    """The project as an app."""

    name = "controlroom"
