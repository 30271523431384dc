"""`codes enrol`, then `codes confirm --code`: a person's first one-time code device, with web and database down.

A device that is there is changed in the control room by a code of it, or removed by `./station reset-login USER`.
"""

import json
import sys
from typing import Any

import segno

from controlroom.supervisor import people
from controlroom.supervisor.errors import BadInputError, complain
from events.commandline import existing

EXAMPLE = "example: manage.py codes enrol --user operator"


def main(argv: list[str]) -> int:
    """Offer or confirm a device; return 0 if the worker did, 1 if it refused or does not answer."""
    parser = people.parser("codes", __doc__, EXAMPLE, reason=False)
    parser.add_argument("what", choices=("enrol", "confirm"), help="offer a device; take it by its first code")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    try:
        given = parser.parse_args(argv)
        paths = existing(given.data_dir)
        person = people.credentials("codes", given, code=given.what == "confirm")
    except BadInputError as error:
        return complain(error)
    answer = people.ask(paths, {"op": given.what, **person})
    if answer.get("ok") and given.what == "enrol" and sys.stdin.isatty() and not given.json:
        _show(answer)
        answer = people.ask(paths, {"op": "confirm", **person, "code": input("First code of the device: ")})
    if not answer.get("ok"):
        sys.stderr.write(f"Nothing enrolled: {answer.get('reason', 'no reason given')}.\n")
        return 1
    if given.json:
        sys.stdout.write(json.dumps({name: value for name, value in answer.items() if name != "reason"}) + "\n")
    else:
        _show(answer)
    return 0


def _show(answer: dict[str, Any]) -> None:
    if "uri" in answer:
        if sys.stdout.isatty():
            segno.make(answer["uri"], error="m").terminal(compact=True)
        sys.stdout.write(f"secret {answer['secret']}\n{answer['uri']}\n")
    else:
        sys.stdout.write("Recovery codes, each good once; they are shown now and never again:\n")
        sys.stdout.write("".join(f"  {code}\n" for code in answer["recovery_codes"]))
