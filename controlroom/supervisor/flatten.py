"""`flatten`: close positions by reducing orders, also while KILLED or HALTED; password, one-time code and a reason."""

import sys

from controlroom.supervisor import people
from controlroom.supervisor.errors import BadInputError, complain
from controlroom.supervisor.kill import SCOPES, check_target
from events.commandline import existing

EXAMPLE = 'example: manage.py flatten --scope symbol --target AAPL --reason "leaving the symbol"'


def main(argv: list[str]) -> int:
    """Ask for it; return 0 if the engine took it, 1 if it refused or the worker does not answer."""
    parser = people.parser("flatten", __doc__, EXAMPLE)
    parser.add_argument("--scope", choices=SCOPES, default="all", help="what to close (default: all)")
    parser.add_argument("--target", default="", help="the strategy or symbol, for these two scopes")
    try:
        given = parser.parse_args(argv)
        check_target("flatten", given.scope, given.target)
        people.check_reason("flatten", given.reason)
        paths = existing(given.data_dir)
        person = people.credentials("flatten", given)
    except BadInputError as error:
        return complain(error)
    request = {"op": "flatten", **person, "reason": given.reason, "scope": given.scope, "target": given.target}
    answer = people.ask(paths, request)
    if answer.get("ok"):
        sys.stdout.write(f"Flattening {given.target or 'everything'}: reducing orders leave with the next bars.\n")
        return 0
    sys.stderr.write(f"Not flattened: {answer.get('reason', 'no reason given')}.\n")
    return 1
