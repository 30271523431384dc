"""What a raw bar must be before anything reads it: each fault has its own code and is counted.

Pure: no clock, no I/O. The worker and the recorder run one each over the same bars and so refuse the same ones.
"""

import math
from collections import Counter
from collections.abc import Iterable
from typing import Any

from events.types import Bar, Quote
from market.calendars import next_session, session_of_bar
from market.instruments import Instrument

UNKNOWN_SYMBOL = "UNKNOWN_SYMBOL"
BAD_LENGTH = "BAD_LENGTH"
DUPLICATE = "DUPLICATE"
LATE = "LATE"
OUT_OF_ORDER = "OUT_OF_ORDER"
BAD_NAN = "BAD_NAN"
BAD_INFINITE = "BAD_INFINITE"
NOT_POSITIVE = "NOT_POSITIVE"
INVERTED_OHLC = "INVERTED_OHLC"
NEGATIVE_VOLUME = "NEGATIVE_VOLUME"
GAP = "GAP"
CROSSED_QUOTE = "CROSSED_QUOTE"
NEGATIVE_SIZE = "NEGATIVE_SIZE"

CODES: dict[str, str] = {
    UNKNOWN_SYMBOL: "the symbol is not among the instruments",
    BAD_LENGTH: "the bar's length is not positive, or it does not close at open + length (daily: within its day)",
    DUPLICATE: "the bar (feed, interval, symbol, time, revision) was accepted before",
    LATE: "it closed at or before the last slice that has ended",
    OUT_OF_ORDER: "a younger bar of the symbol came first",
    BAD_NAN: "a price or the volume is missing or not a number",
    BAD_INFINITE: "a price or the volume is infinite",
    NOT_POSITIVE: "a price is zero or less",
    INVERTED_OHLC: "high is below another price, or low above one",
    NEGATIVE_VOLUME: "the volume is below zero",
    CROSSED_QUOTE: "a quote's bid is above its ask",
    NEGATIVE_SIZE: "a quote's size is below zero",
    GAP: "bars of the symbol are absent before this one: flagged, accepted",
}
"""Every code and what it means, in the order in which a bar or quote is judged; all but GAP refuse it."""

DAY_S = 86_400
SECOND_NS = 1_000_000_000


class Validator:
    """Judges bars; its state is the newest accepted (time, revision) of each (feed, interval, symbol)."""

    def __init__(self, instruments: Iterable[Instrument]) -> None:
        self._calendars = {instrument.symbol: instrument.calendar for instrument in instruments}
        self._newest: dict[tuple[str, int, str], tuple[int, int]] = {}
        self.counts: Counter[str] = Counter()

    def check(self, bar: Bar, last_slice_close_ns: int) -> str | None:
        """Return the code of why a bar is refused, or None: it is accepted and remembered.

        Every refusal is counted in ``counts``, and so is GAP, which refuses nothing. A higher revision of a bar is
        accepted until their slice has ended; the caller lets it replace the other.
        """
        code = self._refusal(bar, last_slice_close_ns)
        if code is not None:
            self.counts[code] += 1
            return code
        line = (bar.feed, bar.interval_s, bar.symbol)
        previous = self._newest.get(line)
        if previous is not None and self._is_gap(bar, previous[0]):
            self.counts[GAP] += 1
        self._newest[line] = (bar.open_ns, bar.revision)
        return None

    def check_quote(self, quote: Quote, last_slice_close_ns: int) -> str | None:
        """Return the code of why a quote is refused, or None; nothing but the count is remembered of it."""
        code = UNKNOWN_SYMBOL if quote.symbol not in self._calendars else None
        if code is None:
            code = LATE if quote.ts_ns < last_slice_close_ns else _bad_quote(quote)
        if code is not None:
            self.counts[code] += 1
        return code

    def snapshot(self) -> dict[str, Any]:
        """Return the state as JSON-ready values, in a fixed order."""
        return {
            "newest": [[*line, *newest] for line, newest in sorted(self._newest.items())],
            "counts": dict(sorted(self.counts.items())),
        }

    def restore(self, snapshot: dict[str, Any]) -> None:
        """Take over what ``snapshot`` gave."""
        self._newest = {
            (feed, interval_s, symbol): (open_ns, revision)
            for feed, interval_s, symbol, open_ns, revision in snapshot["newest"]
        }
        self.counts = Counter(snapshot["counts"])

    def _refusal(self, bar: Bar, last_slice_close_ns: int) -> str | None:
        if bar.symbol not in self._calendars:
            return UNKNOWN_SYMBOL
        if not _length_holds(bar):
            return BAD_LENGTH
        newest_ns, revision = self._newest.get((bar.feed, bar.interval_s, bar.symbol), (bar.open_ns, -1))
        if bar.open_ns == newest_ns and bar.revision <= revision:
            return DUPLICATE
        if bar.close_ns <= last_slice_close_ns:
            return LATE
        if bar.open_ns < newest_ns:
            return OUT_OF_ORDER
        return _bad_number(bar)

    def _is_gap(self, bar: Bar, previous_ns: int) -> bool:
        length_ns = bar.interval_s * SECOND_NS
        if bar.open_ns <= previous_ns + length_ns:
            return False
        calendar = self._calendars[bar.symbol]
        here = session_of_bar(calendar, bar.open_ns, bar.close_ns)
        before = session_of_bar(calendar, previous_ns, previous_ns + length_ns)
        if here is None or before is None:
            return False
        if bar.interval_s >= DAY_S:
            return next_session(calendar, before.open_ns) != here
        return here == before


def _length_holds(bar: Bar) -> bool:
    if bar.interval_s <= 0 or bar.close_ns <= bar.open_ns:
        return False
    length_ns = bar.interval_s * SECOND_NS
    if bar.interval_s >= DAY_S:
        # A daily bar is stamped with its date, 00:00 UTC, and known at its session's close.
        return bar.close_ns <= bar.open_ns + length_ns + DAY_S * SECOND_NS
    return bar.close_ns == bar.open_ns + length_ns


def _bad_quote(quote: Quote) -> str | None:
    bid, ask, bid_size, ask_size = quote.bid, quote.ask, quote.bid_size, quote.ask_size
    if bid is None or ask is None or bid_size is None or ask_size is None:
        return BAD_NAN
    numbers = (bid, ask, bid_size, ask_size)
    if any(math.isnan(number) for number in numbers):
        return BAD_NAN
    if any(math.isinf(number) for number in numbers):
        return BAD_INFINITE
    if min(bid, ask) <= 0.0:
        return NOT_POSITIVE
    if bid > ask:
        return CROSSED_QUOTE
    return NEGATIVE_SIZE if min(bid_size, ask_size) < 0.0 else None


def _bad_number(bar: Bar) -> str | None:
    opens, high, low, close, volume = bar.open, bar.high, bar.low, bar.close, bar.volume
    if opens is None or high is None or low is None or close is None or volume is None:
        return BAD_NAN
    numbers = (opens, high, low, close, volume)
    if any(math.isnan(number) for number in numbers):
        return BAD_NAN
    if any(math.isinf(number) for number in numbers):
        return BAD_INFINITE
    if min(opens, high, low, close) <= 0.0:
        return NOT_POSITIVE
    if high < max(opens, low, close) or low > min(opens, close):
        return INVERTED_OHLC
    return NEGATIVE_VOLUME if volume < 0.0 else None
