"""What a station holds a round on, as it is asked for: files of bars and an instant; rules and rounds are its own."""

import re

import msgspec

from market.occurrences import Occurrence, by_hand, latest
from tournaments.rules import Rules, schedule_of

NAME = re.compile("[A-Za-z0-9._-]{1,24}")


class RequestError(ValueError):
    """One sentence: the field, its value and what is allowed."""


class RoundRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a round is held on.

    ``bars``: absolute paths of files; of the station's own bars, those up to record ``through_seq`` of its journal,
    with files of their history before. ``symbols``: these alone, all shared ones where empty; ``as_of_ns``: UTC.
    """

    bars: list[str]
    as_of_ns: int
    symbols: list[str] = []
    seed: int = 1
    capital: float = 1_000_000.0
    name: str = ""  # of a round by hand beside the schedule's
    through_seq: int | None = None  # None: files alone, and no capital follows
    parameters: dict[str, dict[str, float]] | None = None  # by strategy, as they were at the opening; None: in force
    readmitted: dict[str, str] = {}  # benched strategies that people let in again before the opening, and who did


def occurrence_of(request: RoundRequest, rules: Rules) -> Occurrence:
    """Return the schedule's own occurrence where the instant lies between opening and session, else one by hand.

    Raises
    ------
    RequestError
        if the instant is outside a schedule's round and the request has no name for one of its own.
    market.calendars.CalendarError
        if the calendar ends before.
    """
    schedule = schedule_of(rules)
    found = latest(schedule, request.as_of_ns)
    if not request.name and found is not None and request.as_of_ns < found.session.open_ns:
        return found
    if not request.name:
        raise RequestError(
            "as_of lies in no round of the schedule (from its opening to the session's); give it a name of its own"
        )
    if not NAME.fullmatch(request.name):
        raise RequestError(
            f"name = {request.name[:40]!r} must be 1 to 24 letters, digits, dots, dashes and underscores"
        )
    return by_hand(schedule, request.as_of_ns, request.name)
