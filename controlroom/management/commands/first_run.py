"""Makes the first account, once, and says its one-time password where nobody else reads it."""

import os
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from controlroom.access.actions import create_first_operator, create_second_operator
from controlroom.access.handover import hand_over


class Command(BaseCommand):
    """``manage.py first_run``: does nothing where somebody exists already."""

    help = "Make the first account of this data directory. Example: manage.py first_run --data-dir var"

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Ask for one operator or two."""
        parser.add_argument(
            "--operators", type=int, choices=(1, 2), default=1, help="people whom a loosening takes (default: 1)"
        )

    def handle(self, *_arguments: Any, **options: Any) -> None:
        """Create and hand over."""
        made = [create_first_operator()]
        if made[0] is not None and options["operators"] == 2:
            made.append(create_second_operator())
        for one in made:
            if one is not None:
                where = hand_over(settings.DATA, one, terminal=os.isatty(2))
                self.stdout.write(f"first login: user {one.username}, one-time password {where}")
        if made[0] is not None:
            word = "one operator (an approval waits ten minutes)" if options["operators"] == 1 else "two operators"
            self.stdout.write(f"{word}; --operators of the first start, later the page Operators")
