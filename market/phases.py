"""What time of its day a market is in: market hours, their aftermath, the night's work, the tournament's hour.

Equity, in the exchange's own time (half days end early, and with them begins the transition):

========== ============================ =======================================================
phase      from                         until
========== ============================ =======================================================
market     the session's open           its close
transition the close                    15 minutes later
after_hours 15 minutes after the close  20:00
closed     20:00                        20:00 of the evening before the next session
tournament Sunday 02:00 New York        one hour later; in March, when that hour is left out, 03:00 (the same instant)
preparation 20:00 before the session    04:00
extended   04:00                        the session's open
========== ============================ =======================================================

A market that never closes is always in ``market``, one phase a UTC day. A phase never changes a trading state.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import pairwise
from zoneinfo import ZoneInfo

from market.calendars import ALWAYS, Session, next_session, previous_session, session_containing, zone

MARKET = "market"
TRANSITION = "transition"
AFTER_HOURS = "after_hours"
CLOSED = "closed"
TOURNAMENT = "tournament"
PREPARATION = "preparation"
EXTENDED = "extended"

TRANSITION_NS = 15 * 60 * 1_000_000_000
TOURNAMENT_NS = 3600 * 1_000_000_000
TOURNAMENT_ZONE = ZoneInfo("America/New_York")
SUNDAY = 6


@dataclass(frozen=True)
class Phase:
    """A phase, the ISO date of its session, when it ends and what follows.

    ``session`` is the session just held for market, transition and after_hours; for all others the one to come.
    """

    name: str
    session: str
    until_ns: int
    next: str


def phase_at(calendar: str, instant_ns: int) -> Phase:
    """Return the phase of a calendar at an instant; from inclusive, until exclusive.

    Raises
    ------
    market.calendars.CalendarError
        if the calendar is unknown or the instant outside its range.
    """
    if calendar == ALWAYS:
        today = session_containing(calendar, instant_ns) or next_session(calendar, instant_ns)
        return Phase(MARKET, today.date, today.close_ns, MARKET)
    held = session_containing(calendar, instant_ns) or previous_session(calendar, instant_ns)
    edges = _timeline(calendar, held)
    index = max(i for i, (start_ns, _, _) in enumerate(edges[:-1]) if start_ns <= instant_ns)
    _, name, session = edges[index]
    until_ns, following, _ = edges[index + 1]
    return Phase(name, session, until_ns, following)


def tournament_window(sunday: date) -> tuple[int, int]:
    """Return begin and end (UTC nanoseconds) of a Sunday's tournament hour, New York."""
    # A wall time that does not exist is read with the offset before the gap: 02:00 EST, which is 03:00 EDT.
    begin_ns = _ns(sunday, time(2), TOURNAMENT_ZONE)
    return begin_ns, begin_ns + TOURNAMENT_NS


@lru_cache(maxsize=64)
def _timeline(calendar: str, held: Session) -> tuple[tuple[int, str, str], ...]:
    """Return (from, phase, session date) from a session's open to the next one's, in order, the last one included."""
    coming = next_session(calendar, held.open_ns)
    here = zone(calendar)
    held_date, coming_date = date.fromisoformat(held.date), date.fromisoformat(coming.date)
    wanted = [
        (held.open_ns, MARKET, held.date),
        (held.close_ns, TRANSITION, held.date),
        (held.close_ns + TRANSITION_NS, AFTER_HOURS, held.date),
        (_ns(held_date, time(20), here), CLOSED, coming.date),
        (_ns(coming_date - timedelta(days=1), time(20), here), PREPARATION, coming.date),
        (_ns(coming_date, time(4), here), EXTENDED, coming.date),
        (coming.open_ns, MARKET, coming.date),
    ]
    edges: list[tuple[int, str, str]] = []
    for start_ns, name, session in wanted:
        begin_ns = min(max(start_ns, edges[-1][0] if edges else start_ns), coming.open_ns)
        if edges and edges[-1][0] == begin_ns:
            edges.pop()
        edges.append((begin_ns, name, session))
    return tuple(_with_tournaments(edges, held_date, coming_date))


def _with_tournaments(edges: list[tuple[int, str, str]], first: date, last: date) -> list[tuple[int, str, str]]:
    """Cut the tournament's hour out of every closed stretch that holds all of it."""
    cut: list[tuple[int, str, str]] = []
    for (start_ns, name, session), (end_ns, _, _) in pairwise(edges):
        cut.append((start_ns, name, session))
        if name == CLOSED:
            for day in range((last - first).days + 1):
                sunday = first + timedelta(days=day)
                begin_ns, over_ns = tournament_window(sunday)
                if sunday.weekday() == SUNDAY and start_ns < begin_ns and over_ns < end_ns:
                    cut += [(begin_ns, TOURNAMENT, session), (over_ns, CLOSED, session)]
    return [*cut, edges[-1]]


def _ns(day: date, clock: time, here: ZoneInfo) -> int:
    instant = datetime.combine(day, clock, tzinfo=here).astimezone(UTC)
    return int(instant.timestamp()) * 1_000_000_000
