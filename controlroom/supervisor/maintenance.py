"""`maintenance on|off`: nothing new while the station is worked on; off resumes only the state that it interrupted."""

import sys

from controlroom.supervisor import people
from controlroom.supervisor.errors import BadInputError, complain
from events.commandline import existing

EXAMPLE = 'example: manage.py maintenance on --reason "engine upgrade"'
OPERATIONS = {"on": "maintenance", "off": "resume_maintenance"}


def main(argv: list[str]) -> int:
    """Ask for it; return 0 if the engine took it, 1 if it refused or the worker does not answer."""
    parser = people.parser("maintenance", __doc__, EXAMPLE)
    parser.add_argument("wanted", choices=tuple(OPERATIONS), help="on or off")
    try:
        given = parser.parse_args(argv)
        people.check_reason("maintenance", given.reason)
        paths = existing(given.data_dir)
        person = people.credentials("maintenance", given)
    except BadInputError as error:
        return complain(error)
    answer = people.ask(paths, {"op": OPERATIONS[given.wanted], **person, "reason": given.reason})
    if answer.get("ok"):
        sys.stdout.write(f"Maintenance is {given.wanted}.\n")
        return 0
    sys.stderr.write(f"Maintenance stays as it was: {answer.get('reason', 'no reason given')}.\n")
    return 1
