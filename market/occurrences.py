"""When a round is due: the rules' weekly hour, the exchange's calendar, and one key an occurrence, whoever starts it.

An occurrence is named by the session that it predicts, so that neither a second starter nor a schedule that was moved
from Sunday to Saturday holds two rounds for one session. An opening that is not the last before its session (a market
closed for more than a week) is none.
"""

from bisect import bisect_right
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import msgspec

from market.calendars import DAY_NS, Session, next_session

MINUTE_NS = 60_000_000_000
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
BLOCK_DAYS = 128  # occurrences are found so many days at a time and kept
EPOCH = date(1970, 1, 1)
LONGEST_REQUEST = 100


class OccurrenceError(ValueError):
    """One sentence: the field, the value, what is allowed."""


class Schedule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The part of a tournament's rules that says when; ``duration_ns`` is how long a round may take."""

    enabled: bool
    interval: str
    weekday: str
    hour: int
    minute: int
    zone: str
    calendar: str
    duration_ns: int


@dataclass(frozen=True)
class Occurrence:
    """One round that is to be: its key, opening (UTC ns), the end of its time, and the session that it predicts."""

    key: str
    opens_ns: int
    closes_ns: int
    session: Session
    by_hand: bool = False


@dataclass(frozen=True)
class Pending:
    """An occurrence that nobody has started: ``reason`` "" is due now, any other makes it void."""

    occurrence: Occurrence
    reason: str = ""

    @property
    def due(self) -> bool:
        """Return whether it is to start now."""
        return not self.reason


def opening_ns(schedule: Schedule, day: date) -> int:
    """Return the UTC instant at which the schedule's clock shows its hour on a local date.

    An hour that is left out in March is read with the offset before the gap (02:00 EST is 03:00 EDT); of one that
    comes twice in November the first is meant (PEP 495, ``fold=0``).
    """
    local = datetime.combine(day, time(schedule.hour, schedule.minute), tzinfo=ZoneInfo(schedule.zone))
    return int(local.astimezone(UTC).timestamp()) * 1_000_000_000


def latest(schedule: Schedule, instant_ns: int) -> Occurrence | None:
    """Return the occurrence that opened last, at or before the instant; None within a market's long holiday.

    Raises
    ------
    market.calendars.CalendarError
        if the calendar is unknown or ends before the next session.
    """
    block = instant_ns // (BLOCK_DAYS * DAY_NS)
    for each in (block, block - 1):
        opens, found = _block(schedule, each)
        index = bisect_right(opens, instant_ns)
        if index:
            return found[index - 1]
    return None


def upcoming(schedule: Schedule, instant_ns: int) -> Occurrence | None:
    """Return the occurrence that opens next, after the instant."""
    block = instant_ns // (BLOCK_DAYS * DAY_NS)
    for each in (block, block + 1):
        opens, found = _block(schedule, each)
        index = bisect_right(opens, instant_ns)
        if index < len(opens):
            return found[index]
    return None


def between(schedule: Schedule, after_ns: int, until_ns: int) -> list[Occurrence]:
    """Return the occurrences that open after ``after_ns`` and at or before ``until_ns``, in order."""
    first, last = after_ns // (BLOCK_DAYS * DAY_NS), until_ns // (BLOCK_DAYS * DAY_NS)
    found = [each for block in range(first, last + 1) for each in _block(schedule, block)[1]]
    return [each for each in found if after_ns < each.opens_ns <= until_ns]


def pending(schedule: Schedule, *, since_ns: int, now_ns: int, known: Collection[str]) -> list[Pending]:
    """Return what a tick, a CronJob or a start finds to do, in order; nothing while the schedule is off.

    Parameters
    ----------
    since_ns : from when on the schedule holds (its activation); an opening at or before it is nobody's.
    known : keys of the rounds that exist, whatever became of them.

    An occurrence is due as long as the session that it predicts has not opened, however late the station starts; after
    that its prediction would be none, and it is void with the reason.
    """
    if not schedule.enabled:
        return []
    unknown = [each for each in between(schedule, since_ns, now_ns) if each.key not in known]
    return [Pending(each, missed_reason(each, now_ns)) for each in unknown]


def missed_reason(occurrence: Occurrence, now_ns: int) -> str:
    """Return why an occurrence can no longer be held; "" while its session has not opened."""
    if now_ns < occurrence.session.open_ns:
        return ""
    return (
        f"the round was not started between {_iso(occurrence.opens_ns)} and {_iso(occurrence.session.open_ns)}, when "
        f"session {occurrence.session.date} opened; a round must start before the session that it predicts"
    )


def by_hand(schedule: Schedule, instant_ns: int, request: str) -> Occurrence:
    """Return the occurrence that a person starts at an instant; its key is its own, one a request.

    Raises
    ------
    OccurrenceError
        if ``request`` is empty, longer than 100 letters or has a letter that is not printable.
    """
    if not request or len(request) > LONGEST_REQUEST or not request.isprintable():
        raise OccurrenceError(
            f"request = {request!r} is not a name; allowed are 1 to {LONGEST_REQUEST} printable letters"
        )
    session = next_session(schedule.calendar, instant_ns)
    key = f"tournament:hand:{request}"
    return Occurrence(key, instant_ns, instant_ns + schedule.duration_ns, session, by_hand=True)


def predicted_sessions(calendars: Iterable[str], sealed_ns: int) -> dict[str, Session]:
    """Return each calendar's first session that opens after the last instant at which an entry may be sealed.

    With 24/7 that is the next UTC day. The round settles when the last of them has closed.
    """
    return {calendar: next_session(calendar, sealed_ns) for calendar in sorted(set(calendars))}


@lru_cache(maxsize=64)
def _block(schedule: Schedule, block: int) -> tuple[tuple[int, ...], tuple[Occurrence, ...]]:
    """Return opening instants and occurrences whose opening lies in a block of UTC days."""
    # A local date may begin up to a day before or after the UTC date.
    first, length_ns = EPOCH + timedelta(days=block * BLOCK_DAYS - 2), BLOCK_DAYS * DAY_NS
    days = [first + timedelta(days=n) for n in range(BLOCK_DAYS + 4)]
    wanted = [day for day in days if schedule.interval == "daily" or WEEKDAYS[day.weekday()] == schedule.weekday]
    found = [_occurrence(schedule, day) for day in wanted if opening_ns(schedule, day) // length_ns == block]
    kept = tuple(each for each in found if each is not None)
    return tuple(each.opens_ns for each in kept), kept


def _occurrence(schedule: Schedule, day: date) -> Occurrence | None:
    opens_ns = opening_ns(schedule, day)
    session = next_session(schedule.calendar, opens_ns)
    following = opening_ns(schedule, day + timedelta(days=1 if schedule.interval == "daily" else 7))
    if session.open_ns > following:
        return None
    key = f"tournament:{schedule.calendar}:{session.date}"
    return Occurrence(key, opens_ns, opens_ns + schedule.duration_ns, session)


def _iso(instant_ns: int) -> str:
    return datetime.fromtimestamp(instant_ns // 1_000_000_000, tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
