"""Makes the first account, once, and says its one-time password where nobody else reads it."""

import os
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from controlroom.access.actions import create_first_operator
from controlroom.access.handover import hand_over


class Command(BaseCommand):
    """``manage.py first_run``: does nothing where somebody exists already."""

    help = "Make the first account of this data directory. Example: manage.py first_run --data-dir var"

    def handle(self, *_arguments: Any, **_options: Any) -> None:
        """Create and hand over."""
        made = create_first_operator()
        if made is not None:
            where = hand_over(settings.DATA, made, terminal=os.isatty(2))
            self.stdout.write(f"first login: user {made.username}, one-time password {where}")
