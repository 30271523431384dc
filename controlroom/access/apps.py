"""The access app and the admin site that belongs to it."""

from typing import Any

from django.apps import AppConfig
from django.contrib.admin import autodiscover
from django.contrib.admin.apps import SimpleAdminConfig
from django.contrib.auth.signals import user_logged_in
from django.db.models.signals import post_migrate


class AccessConfig(AppConfig):
    """People and their roles."""

    name = "controlroom.access"
    label = "access"
    default = True
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """After each migration the groups hold what the table says; each login notes its beginning."""
        from controlroom.access.middleware import begin  # noqa: PLC0415 - it needs the models

        user_logged_in.connect(begin)
        post_migrate.connect(_sync, sender=self)


class AdminConfig(SimpleAdminConfig):
    """The stock admin, behind the station's own login."""

    default_site = "controlroom.access.site.StationAdmin"

    def ready(self) -> None:
        """Find every app's admin.py."""
        super().ready()
        autodiscover()


def _sync(**_signal: Any) -> None:
    from controlroom.access.actions import sync_roles  # noqa: PLC0415 - tables exist only now

    sync_roles()
