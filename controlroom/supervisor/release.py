"""`release`: lift the kill, or that of one strategy or symbol, with password, one-time code and a reason."""

import sys

from controlroom.supervisor import people
from controlroom.supervisor.errors import BadInputError, complain
from controlroom.supervisor.kill import SCOPES, check_target
from events.commandline import existing

EXAMPLE = (
    'examples: manage.py release --reason "feed repaired, positions checked" --user operator · '
    'manage.py release --scope symbol --target AAPL --reason "a real move"'
)


def main(argv: list[str]) -> int:
    """Release; return 0 if the worker did, 1 if it refused or does not answer."""
    parser = people.parser("release", __doc__, EXAMPLE)
    parser.add_argument("--scope", choices=SCOPES, default="all", help="what to release (default: all)")
    parser.add_argument("--target", default="", help="the strategy or symbol, for these two scopes")
    try:
        given = parser.parse_args(argv)
        check_target("release", given.scope, given.target)
        people.check_reason("release", given.reason)
        paths = existing(given.data_dir)
        person = people.credentials("release", given)
    except BadInputError as error:
        return complain(error)
    where = {"scope": given.scope, "target": given.target}
    answer = people.ask(paths, {"op": "release", **person, **where, "reason": given.reason})
    if answer.get("ok"):
        what = f"{given.scope.capitalize()} {given.target} released" if given.target else "Released"
        sys.stdout.write(f"{what} by {given.user}.\n")
        return 0
    sys.stderr.write(f"Not released: {answer.get('reason', 'no reason given')}.\n")
    return 1
