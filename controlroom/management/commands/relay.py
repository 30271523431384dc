"""Starts the relay."""

import sys
from typing import Any

from django.core.management.base import BaseCommand

from controlroom.relay.main import main


class Command(BaseCommand):
    """``manage.py relay``: outbox rows to the bus, the worker's wishes to jobs, until told to stop."""

    help = "Carry the outbox to the bus. Started by `run`. Example: manage.py relay --data-dir var"

    def handle(self, *_arguments: Any, **_options: Any) -> None:
        """Run until TERM or INT."""
        sys.exit(main([]))
