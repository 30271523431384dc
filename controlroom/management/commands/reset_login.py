"""Gives a person a new one-time password, and ends their sessions."""

import os
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from controlroom.access.actions import end_sessions, reset_login
from controlroom.access.handover import hand_over
from controlroom.access.models import User
from controlroom.access.selectors import people


class Command(BaseCommand):
    """``manage.py reset_login USER``, also as ``./station reset-login USER``."""

    help = "Replace a person's password by a one-time one, good for 24 hours. Example: manage.py reset_login operator"

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Ask for the person."""
        parser.add_argument("user", help="who has lost the password")

    def handle(self, *_arguments: Any, **options: Any) -> None:
        """Reset and hand over."""
        name = str(options["user"])
        try:
            made = reset_login(username=name, actor=None)
        except User.DoesNotExist as error:
            known = ", ".join(user.username for user in people()) or "nobody yet"
            raise CommandError(f"user = {name!r} is unknown; known are {known}", returncode=2) from error
        end_sessions(user=User.objects.get(username=name))
        self.stdout.write(f"user {name}: one-time password {hand_over(settings.DATA, made, terminal=os.isatty(2))}")
