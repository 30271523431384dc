"""The global time range of a page, as its URL says it: live (the last so much market time) or fixed."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.http import HttpRequest

from controlroom.pages.formats import NEW_YORK

HOUR_NS = 3_600_000_000_000
LIVE = {"hour": ("1 h", HOUR_NS), "day": ("Day", 24 * HOUR_NS), "week": ("Week", 7 * 24 * HOUR_NS), "all": ("All", 0)}
"""Name in the URL to label and length in market time; 0 is everything."""


@dataclass(frozen=True)
class TimeRange:
    """Which part of the time a page shows; ``end_ns`` is None while live, ``problem`` says what the URL had wrong."""

    name: str
    start_ns: int
    end_ns: int | None
    problem: str = ""

    @property
    def live(self) -> bool:
        """Whether new data belongs to it."""
        return self.end_ns is None

    @property
    def query(self) -> str:
        """The range as part of a URL."""
        if self.live:
            return f"range={self.name}"
        return f"from={_day(self.start_ns)}&to={_day((self.end_ns or 0) - 1)}"


def _day(nanoseconds: int) -> str:
    return datetime.fromtimestamp(nanoseconds / 1e9, NEW_YORK).date().isoformat()


def _midnight_ns(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=NEW_YORK).timestamp()) * 1_000_000_000


def range_of(request: HttpRequest, engine_ns: int | None, default: str = "week") -> TimeRange:
    """Return the range that the URL asks for: ``?range=NAME`` or ``?from=DAY&to=DAY`` (New York days, inclusive)."""
    begin, end = request.GET.get("from", ""), request.GET.get("to", "")
    problem = ""
    if begin or end:
        try:
            first, last = date.fromisoformat(begin), date.fromisoformat(end or begin)
            if first <= last:
                return TimeRange("fixed", _midnight_ns(first), _midnight_ns(last + timedelta(days=1)))
            problem = f"from {begin} is after to {end}"
        except (ValueError, OverflowError):
            problem = f"from {begin!r} to {end!r} are not two days as YYYY-MM-DD"
    name = request.GET.get("range", default)
    if name not in LIVE:
        problem = problem or f"range {name!r} is unknown; there are {', '.join(LIVE)}"
        name = default
    length = LIVE[name][1]
    return TimeRange(name, max(0, (engine_ns or 0) - length) if length else 0, None, problem)
