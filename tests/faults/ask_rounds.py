"""Asks a station for rounds as its administrator does: `python -m tests.faults.ask_rounds BARS AS_OF_NS NAME...`."""

import sys

import django
from django.core.management import call_command

SMALL = {"stress_paths": 20, "stress_symbols": 2}


def main(bars, as_of_ns, *names):
    django.setup()
    from django.contrib.auth.models import Group  # noqa: PLC0415 - Django has to be set up first

    from controlroom.access.models import User  # noqa: PLC0415
    from controlroom.access.permissions import TOURNAMENT_ADMINISTRATOR  # noqa: PLC0415
    from tournaments import actions  # noqa: PLC0415
    from tournaments.station import RoundRequest  # noqa: PLC0415

    call_command("migrate", interactive=False, verbosity=0)
    boss = User.objects.create_user("boss")
    boss.groups.set(Group.objects.filter(name=TOURNAMENT_ADMINISTRATOR))
    actions.draft_rules(changes=SMALL, reason="small for a test", actor=boss)
    actions.activate_rules(version=1, reason="small for a test", actor=boss)
    for name in names:
        request = RoundRequest(bars=[bars], as_of_ns=int(as_of_ns), name=name)
        actions.ask_round(request=request, reason="by hand", actor=boss)


if __name__ == "__main__":
    main(*sys.argv[1:])
