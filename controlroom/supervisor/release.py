"""`release`: lift the kill, with password and one-time code of a person of the oversight group and a reason."""

import sys

from controlroom.supervisor import people
from controlroom.supervisor.errors import BadInputError, complain
from events.commandline import existing

EXAMPLE = 'example: manage.py release --reason "feed repaired, positions checked" --user operator'


def main(argv: list[str]) -> int:
    """Release; return 0 if the worker did, 1 if it refused or does not answer."""
    parser = people.parser("release", __doc__, EXAMPLE)
    try:
        given = parser.parse_args(argv)
        people.check_reason("release", given.reason)
        paths = existing(given.data_dir)
        person = people.credentials("release", given)
    except BadInputError as error:
        return complain(error)
    answer = people.ask(paths, {"op": "release", **person, "reason": given.reason})
    if answer.get("ok"):
        sys.stdout.write(f"Released by {given.user}.\n")
        return 0
    sys.stderr.write(f"Not released: {answer.get('reason', 'no reason given')}.\n")
    return 1
