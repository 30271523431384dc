"""`enable STRATEGY`: let a strategy trade again that was switched off or flattened; password, code and a reason."""

import sys

from controlroom.supervisor import people
from controlroom.supervisor.errors import BadInputError, complain
from events.commandline import existing

EXAMPLE = 'example: manage.py enable momentum --reason "its data are right again"'


def main(argv: list[str]) -> int:
    """Ask for it; return 0 if the engine took it, 1 if it refused or the worker does not answer."""
    parser = people.parser("enable", __doc__, EXAMPLE)
    parser.add_argument("strategy", help="the strategy's name")
    try:
        given = parser.parse_args(argv)
        people.check_target("enable", "STRATEGY", given.strategy)
        people.check_reason("enable", given.reason)
        paths = existing(given.data_dir)
        person = people.credentials("enable", given)
    except BadInputError as error:
        return complain(error)
    request = {"op": "enable", **person, "reason": given.reason, "scope": "strategy", "target": given.strategy}
    answer = people.ask(paths, request)
    if answer.get("ok"):
        sys.stdout.write(f"{given.strategy} is enabled; a flatten of it has ended.\n")
        return 0
    sys.stderr.write(f"Not enabled: {answer.get('reason', 'no reason given')}.\n")
    return 1
