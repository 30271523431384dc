"""`external adopt|ignore|flatten ORDER_ID`: say what becomes of an order that the station did not send.

Adopted it belongs to the strategy with the largest weight; ignored it stays counted and is left alone; flattened it is
cancelled, and that strategy trades away what it had filled. Password, one-time code and a reason.
"""

import sys

from controlroom.supervisor import people
from controlroom.supervisor.errors import BadInputError, complain
from events.commandline import existing

EXAMPLE = 'example: manage.py external adopt X1 --reason "sent by hand while the station was down"'
OPERATIONS = {"adopt": "adopt", "ignore": "ignore", "flatten": "flatten_external"}
SAID = {"adopt": "is adopted", "ignore": "is ignored", "flatten": "is flattened"}


def main(argv: list[str]) -> int:
    """Ask for it; return 0 if the engine took it, 1 if it refused or the worker does not answer."""
    parser = people.parser("external", __doc__, EXAMPLE)
    parser.add_argument("wanted", choices=tuple(OPERATIONS), help="what becomes of it")
    parser.add_argument("order_id", help="the order, as the alert EXTERNAL_ORDER names it")
    try:
        given = parser.parse_args(argv)
        people.check_target("external", "ORDER_ID", given.order_id)
        people.check_reason("external", given.reason)
        paths = existing(given.data_dir)
        person = people.credentials("external", given)
    except BadInputError as error:
        return complain(error)
    request = {"op": OPERATIONS[given.wanted], **person, "reason": given.reason, "target": given.order_id}
    answer = people.ask(paths, request)
    if answer.get("ok"):
        sys.stdout.write(f"Order {given.order_id} {SAID[given.wanted]}.\n")
        return 0
    sys.stderr.write(f"Order {given.order_id} stays as it was: {answer.get('reason', 'no reason given')}.\n")
    return 1
