"""Trading sessions of an exchange, or the UTC days of a market that never closes.

Sessions come from exchange_calendars between explicit dates: its default begins twenty years ago and raises before. One
calendar is built once a process (0.15 s for XNYS) and kept; every question is then a binary search.
"""

import warnings
from dataclasses import dataclass
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

ALWAYS = "24/7"
DAY_NS = 86_400_000_000_000
FIRST_DATE = "1980-01-01"
LAST_DATE = "2049-12-31"

Int64Array = npt.NDArray[np.int64]


class CalendarError(ValueError):
    """One sentence: the calendar, the value, what is allowed."""


@dataclass(frozen=True)
class Session:
    """One session: its ISO date in the exchange's own zone, first instant, and the instant after its last."""

    date: str
    open_ns: int
    close_ns: int


@dataclass(frozen=True)
class Sessions:
    """Sessions in time order; ``opens_ns`` and ``closes_ns`` have shape (len(dates),)."""

    calendar: str
    opens_ns: Int64Array
    closes_ns: Int64Array
    dates: tuple[str, ...]

    def __len__(self) -> int:
        """Return the number of sessions."""
        return len(self.dates)

    def session(self, index: int) -> Session:
        """Return one of them."""
        return Session(self.dates[index], int(self.opens_ns[index]), int(self.closes_ns[index]))


def session_index(opens_ns: Int64Array, closes_ns: Int64Array, bar_open_ns: int, bar_close_ns: int) -> int:
    """Return the index of the first session that overlaps [bar_open_ns, bar_close_ns), or -1.

    The test of "in session": a bar that overlaps one is in it. Both arrays are sorted, shape (sessions,).
    """
    index = int(closes_ns.searchsorted(bar_open_ns, side="right"))
    return index if index < len(opens_ns) and opens_ns[index] < bar_close_ns else -1


def sessions(calendar: str, start_ns: int, end_ns: int) -> Sessions:
    """Return every session that overlaps [start_ns, end_ns].

    Raises
    ------
    CalendarError
        if the calendar is unknown or the range reaches outside 1980 to 2049.
    """
    known = _all_sessions(calendar)
    if start_ns < known.opens_ns[0] - 366 * DAY_NS or end_ns > known.closes_ns[-1] + 366 * DAY_NS:
        raise CalendarError(
            f"calendar {calendar}: {_iso(start_ns)} to {_iso(end_ns)} is outside {known.dates[0]} to {known.dates[-1]}"
        )
    low = int(np.searchsorted(known.closes_ns, start_ns, side="right"))
    high = int(np.searchsorted(known.opens_ns, end_ns, side="right"))
    return Sessions(calendar, known.opens_ns[low:high], known.closes_ns[low:high], known.dates[low:high])


def session_containing(calendar: str, instant_ns: int) -> Session | None:
    """Return the session with open <= instant < close, or None."""
    return session_of_bar(calendar, instant_ns, instant_ns + 1)


def session_of_bar(calendar: str, open_ns: int, close_ns: int) -> Session | None:
    """Return the first session that overlaps a bar, or None: the bar is then out of session."""
    known = _all_sessions(calendar)
    index = session_index(known.opens_ns, known.closes_ns, open_ns, close_ns)
    return known.session(index) if index >= 0 else None


def in_session(calendar: str, instants_ns: Int64Array) -> npt.NDArray[np.bool_]:
    """Return which instants lie in a session (open <= instant < close); the shape is theirs."""
    known = _all_sessions(calendar)
    index = np.minimum(np.searchsorted(known.closes_ns, instants_ns, side="right"), len(known) - 1)
    return np.asarray((known.opens_ns[index] <= instants_ns) & (instants_ns < known.closes_ns[index]))


def next_session(calendar: str, instant_ns: int) -> Session:
    """Return the first session that opens after the instant."""
    known = _all_sessions(calendar)
    index = int(np.searchsorted(known.opens_ns, instant_ns, side="right"))
    if index == len(known):
        raise CalendarError(f"calendar {calendar} has no session after {_iso(instant_ns)}: it ends {known.dates[-1]}")
    return known.session(index)


def previous_session(calendar: str, instant_ns: int) -> Session:
    """Return the last session that had closed at the instant."""
    known = _all_sessions(calendar)
    index = int(np.searchsorted(known.closes_ns, instant_ns, side="right")) - 1
    if index < 0:
        raise CalendarError(f"calendar {calendar} has no session before {_iso(instant_ns)}: it begins {known.dates[0]}")
    return known.session(index)


def session_on(calendar: str, date: str) -> Session | None:
    """Return the session of an ISO date, or None for a weekend or holiday."""
    index = _by_date(calendar).get(date)
    return None if index is None else _all_sessions(calendar).session(index)


@lru_cache(maxsize=32)
def zone(calendar: str) -> ZoneInfo:
    """Return the exchange's own time zone, UTC for 24/7."""
    if calendar == ALWAYS:
        return ZoneInfo("UTC")
    import exchange_calendars  # noqa: PLC0415 - see _exchange_sessions

    _all_sessions(calendar)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        return ZoneInfo(str(exchange_calendars.get_calendar(calendar).tz))


@lru_cache(maxsize=8)
def _by_date(calendar: str) -> dict[str, int]:
    return {date: index for index, date in enumerate(_all_sessions(calendar).dates)}


@lru_cache(maxsize=32)
def _all_sessions(calendar: str) -> Sessions:
    if calendar == ALWAYS:
        days = np.arange(FIRST_DATE, np.datetime64(LAST_DATE) + 1, dtype="datetime64[D]")
        opens = days.astype("datetime64[ns]").astype(np.int64)
        return Sessions(calendar, opens, opens + DAY_NS, tuple(days.astype(str).tolist()))
    return _exchange_sessions(calendar)


def _exchange_sessions(calendar: str) -> Sessions:
    import exchange_calendars  # noqa: PLC0415 - takes 0.8 s; a station of 24/7 symbols never pays it

    with warnings.catch_warnings():
        # exchange_calendars 4.13 uses two ways of pandas 3.1 that pandas 4 will drop; the lock holds both versions.
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        try:
            default = exchange_calendars.get_calendar(calendar)
        except exchange_calendars.errors.InvalidCalendarName as error:
            raise CalendarError(
                f'calendar "{calendar}" is unknown; use {ALWAYS} or a name of exchange_calendars'
            ) from error
        first, last = default.bound_min(), default.bound_max()
        found = exchange_calendars.get_calendar(
            calendar,
            start=FIRST_DATE if first is None else max(FIRST_DATE, str(first.date())),
            end=LAST_DATE if last is None else min(LAST_DATE, str(last.date())),
        )
        return Sessions(
            calendar,
            np.array(found.opens_nanos, dtype=np.int64),
            np.array(found.closes_nanos, dtype=np.int64),
            tuple(found.sessions.strftime("%Y-%m-%d").tolist()),
        )


def _iso(instant_ns: int) -> str:
    return str(np.datetime64(instant_ns, "ns"))[:19]
