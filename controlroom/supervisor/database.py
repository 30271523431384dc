"""Bring the control room's database up to date: tables, configuration, first person. Run once at each start."""

import os
import sys

import django
from django.core.management import call_command
from django.db import OperationalError

from controlroom.environment import sentence


def main() -> int:
    """Migrate, write configuration version 1 of the run, and make the first login where one is wanted."""
    django.setup()
    try:
        call_command("migrate", interactive=False, verbosity=0)
        operators = int(os.environ.get("STATION_OPERATORS", "1"))
        call_command("configure", operators=operators)
        if os.environ.get("STATION_FIRST_LOGIN") == "1":
            call_command("first_run", operators=operators)
    except OperationalError as error:
        sys.stderr.write(f"{sentence(error)}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
