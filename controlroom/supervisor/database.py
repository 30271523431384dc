"""Bring the control room's database up to date: tables, configuration, first person. Run once at each start."""

import os
import sys

import django
from django.core.management import call_command


def main() -> int:
    """Migrate, write configuration version 1 of the run, and make the first login where one is wanted."""
    django.setup()
    call_command("migrate", interactive=False, verbosity=0)
    call_command("configure")
    if os.environ.get("STATION_FIRST_LOGIN") == "1":
        call_command("first_run")
    return 0


if __name__ == "__main__":
    sys.exit(main())
