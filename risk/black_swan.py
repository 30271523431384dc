"""The black-swan detector: which moves are none of an ordinary day's. Compiled, pure, its state in record arrays.

A symbol is judged by the return of its newest bar, from mark to mark:

* against its minute of the day: distance from the median of the last sessions' returns at that minute, over 1.4826 x
  their median absolute deviation (Iglewicz and Hoaglin 1993, "How to Detect and Handle Outliers": the constant makes it
  the deviation of a normal distribution). Intraday volatility has the shape of a U (Andersen and Bollerslev 1997),
  which is why minutes are compared with themselves. A median absolute deviation of a dozen numbers is often much too
  small, so the scale is never below what the day's deviation gives a bar of that length (square root of time), and the
  move must be `move` deviations of a day besides: ordinary minutes reach 0.6;
* where that minute has fewer than ten sessions of history: against the day's deviation alone, and `move_unknown` of it;
* over a night: against the day's deviation; over a gap of trading within a session: as without history.

The day's variance is the sum of a session's squared returns (realised variance, Andersen et al. 2003), averaged over
sessions with weights that fall by a twentieth each (RiskMetrics' 0.94), from a start of 2 % a day that counts as two.
Everything is latched: one report a symbol until it is released.
"""

from math import sqrt
from typing import Any

import numpy as np
from numba import njit

SESSIONS = 12  # kept of each minute of the day
LEAST_SESSIONS = 10
MAD_TO_DEVIATION = 1.4826
UNIT = 1e-5  # of a kept return: a tenth of a basis point
MISSING = -32768
START_VARIANCE, START_SESSIONS, MOST_SESSIONS = 0.02 * 0.02, 2, 20
LEAST_VARIANCE = 0.001 * 0.001
DAY_NS = 86_400_000_000_000
LONGEST_GAP_DAYS, WEEKEND_DAYS = 10.0, 4.0
TOGETHER_NS, FEWEST_TOGETHER = 300_000_000_000, 2
FAST, SLOW, LEAST_PAIRS = 1.0 / 30.0, 1.0 / 390.0, 390
CLOSE, APART = 0.5, -0.3  # correlations with the index: what was above the first and falls below the second broke
SPREADS, SLOW_QUOTES, WIDE = 30, 390, 10.0
GAP_BARS = 5

NOTHING, MINUTE, DAILY, OVERNIGHT, CORRELATION = range(5)
RULES = ("", "SWAN_MINUTE", "SWAN_DAY", "SWAN_NIGHT", "CORRELATION_BREAK")

SWAN = np.dtype(
    [
        ("session_ns", "i8"),  # open and close of the session that the last bar was in
        ("session_end_ns", "i8"),
        ("first_ns", "i8"),
        ("last_ns", "i8"),
        ("squares", "f8"),  # of this session's returns
        ("variance", "f8"),  # of a day
        ("sessions", "i8"),  # in the variance
        ("column", "i8"),  # of this session in the minutes' table
        ("tripped_ns", "i8"),  # latched; 0: not
        ("found", "i8"),  # at this slice: one of RULES
        ("value", "f8"),
        ("limit", "f8"),
        ("move", "f8"),  # the return that was judged
        ("fast", "f8", (3,)),  # moments with the index's returns: own, index's, both
        ("slow", "f8", (3,)),
        ("pairs", "i8"),
        ("broke_ns", "i8"),  # session of the last correlation break
        ("spread", "f8"),  # the usual one of its quotes, a fraction of the middle
        ("spreads", "i8"),
        ("widened_ns", "i8"),  # session in which a wide one was told last
    ]
)

STATION = np.dtype(
    [
        ("index", "i8"),  # the index's row, -1 without one
        ("falls", "f8", (3,)),
        ("z", "f8"),
        ("move", "f8"),
        ("move_unknown", "f8"),
        ("overnight", "f8"),
        ("share", "f8"),
        ("slot_ns", "i8"),  # length of a minute-of-the-day slot
        ("session_ns", "i8"),  # of the index's level
        ("level", "i8"),  # falls that were passed in it: latched for the session
        ("found_level", "i8"),  # at this slice
        ("fall", "f8"),
        ("together_ns", "i8"),  # latched; 0: not
        ("found_together", "i8"),  # at this slice: how many symbols
        ("known", "i8"),  # symbols that have traded
        ("last_ns", "i8"),
        ("gap_ns", "i8"),  # at this slice, 0 without a gap
    ]
)
"""One row: what is set, and the station's own latches."""


def slots(longest_session_ns: int, interval_ns: int) -> int:
    """Return how many slots a session has in the minutes' table; none for bars shorter than a minute."""
    return min(1440, -(-longest_session_ns // interval_ns)) if interval_ns >= 60_000_000_000 else 0


def new_minutes(symbols: int, count: int) -> Any:
    """Return the table of returns by minute of the day, i2 [symbols, SESSIONS, count] in UNIT, none kept."""
    return np.full((symbols, SESSIONS, count), MISSING, dtype=np.int16)


@njit(cache=True)
def detect(  # noqa: PLR0917 - compiled code is called with positions
    swans: Any, station: Any, minutes: Any, symbols: Any, bars: Any, now_ns: int
) -> int:
    """Judge a slice before its closes become the marks; return how many findings there are.

    Parameters
    ----------
    swans : SWAN [n]; ``found``, ``value`` and ``limit`` are this slice's.
    station : STATION [1]; ``found_level``, ``found_together`` and ``gap_ns`` are this slice's.
    minutes : i2 [n, SESSIONS, slots].
    symbols, bars : engine.layout.SYMBOL [n] with the marks before this slice, market.bars.BAR [n] the slice.
    """
    whole = station[0]
    count = _gap(whole, symbols, now_ns)
    of_index = _return_of(whole.index, symbols, bars)
    for i in range(len(symbols)):
        own, row = swans[i], symbols[i]
        own.found = NOTHING
        if row.present == 0 or not bars[i].close > 0.0:
            continue
        _begin_session(own, row, minutes[i], bars[i])
        if row.mark > 0.0 and row.bars > 0:
            change = _watch(own, whole, row, bars[i], minutes[i])
            if own.found == NOTHING and i != whole.index:
                _correlate(own, change, of_index)
        own.last_ns = bars[i].close_ns
        if own.found != NOTHING:
            count += 1
            if own.found != CORRELATION:
                own.tripped_ns = now_ns
    return int(count + _index(whole, symbols, bars) + _together(whole, swans, symbols, now_ns))


@njit(cache=True)
def _return_of(i: int, symbols: Any, bars: Any) -> float:
    """Return the index's return at this slice, NaN without one."""
    if i < 0 or symbols[i].present == 0 or symbols[i].bars == 0 or not symbols[i].mark > 0.0:
        return np.nan
    change: float = bars[i].close / symbols[i].mark - 1.0
    return change


@njit(cache=True)
def _begin_session(own: Any, row: Any, minutes: Any, bar: Any) -> None:
    """Fold a session that ended into the day's variance, if its bars covered half of it, and begin the next."""
    if own.session_ns == row.session_open_ns:
        return
    if own.session_ns != 0 and 2 * (own.last_ns - own.first_ns) >= own.session_end_ns - own.session_ns:
        known = min(own.sessions, MOST_SESSIONS - START_SESSIONS - 1)
        own.variance = daily_variance(own) + (own.squares - daily_variance(own)) / (known + START_SESSIONS + 1)
        own.sessions += 1
    own.session_ns, own.session_end_ns = row.session_open_ns, row.session_close_ns
    own.first_ns, own.squares = bar.open_ns, 0.0
    own.column = (own.column + 1) % SESSIONS
    for slot in range(minutes.shape[1]):
        minutes[own.column, slot] = MISSING


@njit(cache=True)
def daily_variance(own: Any) -> float:
    """Return the variance of a symbol's daily returns: its own, from a start of 2 % a day."""
    return max(own.variance, LEAST_VARIANCE) if own.sessions > 0 else START_VARIANCE


@njit(cache=True)
def write_variances(swans: Any, variances: Any) -> None:
    """Write every symbol's daily variance into ``variances`` f8 [n]."""
    for i in range(len(swans)):
        variances[i] = daily_variance(swans[i])


@njit(cache=True)
def _watch(own: Any, whole: Any, row: Any, bar: Any, minutes: Any) -> float:
    """Judge one symbol's return and remember it; return it, NaN where it bridges a gap."""
    change = bar.close / row.mark - 1.0
    waited = bar.open_ns - row.mark_ns
    days = waited / DAY_NS
    if days > LONGEST_GAP_DAYS:  # a mark that old says nothing
        return np.nan
    own.squares += change * change
    day = sqrt(daily_variance(own))
    apart = waited > 2 * row.interval_ns
    if (apart and row.mark_ns <= own.session_ns) or row.interval_ns >= DAY_NS:
        limit = whole.overnight * sqrt(max(1.0, days - WEEKEND_DAYS + 1.0))
        _judge(own, OVERNIGHT, change, abs(change) / day, limit)
        return np.nan
    length = own.session_end_ns - own.session_ns
    bar_deviation = day * sqrt((waited + bar.close_ns - bar.open_ns) / length) if length > 0 else day
    slot = (bar.close_ns - 1 - own.session_ns) // whole.slot_ns if whole.slot_ns > 0 else -1
    inside = 0 <= slot < minutes.shape[1] and waited == 0
    if abs(change) > whole.move * day:  # rare: only then is anything sorted
        known, median, mad = _history(minutes, own.column, slot) if inside else (0, 0.0, 0.0)
        if known >= LEAST_SESSIONS:
            scale = max(MAD_TO_DEVIATION * mad, bar_deviation)
            _judge(own, MINUTE, change, abs(change - median) / scale, whole.z)
        elif abs(change) > whole.move_unknown * day:
            _judge(own, DAILY, change, abs(change) / bar_deviation, whole.z)
    if inside:
        minutes[own.column, slot] = int(max(-32767.0, min(32767.0, np.floor(change / UNIT + 0.5))))
    return np.nan if apart else change


@njit(cache=True)
def _judge(own: Any, rule: int, change: float, value: float, limit: float) -> None:
    """Note what is beyond its limit; a symbol that tripped already says nothing more."""
    if not value <= limit and own.tripped_ns == 0:
        own.found, own.value, own.limit, own.move = rule, value, limit, change


@njit(cache=True)
def _history(minutes: Any, column: int, slot: int) -> tuple[int, float, float]:
    """Return how many earlier sessions have this slot, the median of their returns and the median distance from it."""
    kept = np.empty(SESSIONS)
    n = 0
    for session in range(SESSIONS):
        if session != column and minutes[session, slot] != MISSING:
            kept[n] = minutes[session, slot] * UNIT
            n += 1
    if n == 0:
        return 0, 0.0, 0.0
    middle = _median(kept, n)
    for k in range(n):
        kept[k] = abs(kept[k] - middle)
    return n, middle, _median(kept, n)


@njit(cache=True)
def _median(kept: Any, n: int) -> float:
    """Return the median of the first n values, which are sorted in place."""
    for k in range(1, n):
        value, place = kept[k], k
        while place > 0 and kept[place - 1] > value:
            kept[place] = kept[place - 1]
            place -= 1
        kept[place] = value
    middle: float = kept[n // 2] if n % 2 else 0.5 * (kept[n // 2 - 1] + kept[n // 2])
    return middle


@njit(cache=True)
def _correlate(own: Any, change: float, of_index: float) -> None:
    """Renew the correlations with the index, half an hour's and a day's of minutes; say once a session if they part."""
    if not (np.isfinite(change) and np.isfinite(of_index)):
        return
    for moments, weight in ((own.fast, FAST), (own.slow, SLOW)):
        moments[0] += weight * (change * change - moments[0])
        moments[1] += weight * (of_index * of_index - moments[1])
        moments[2] += weight * (change * of_index - moments[2])
    own.pairs += 1
    if own.pairs < LEAST_PAIRS or own.broke_ns == own.session_ns:
        return
    now = correlation(own.fast)
    if correlation(own.slow) >= CLOSE and now < APART:
        own.found, own.value, own.limit, own.broke_ns = CORRELATION, now, APART, own.session_ns


@njit(cache=True)
def correlation(moments: Any) -> float:
    """Return the correlation of moments (own, other, both) about zero; 0 where one of them never moved."""
    product = moments[0] * moments[1]
    return moments[2] / sqrt(product) if product > 0.0 else 0.0


@njit(cache=True)
def _gap(whole: Any, symbols: Any, now_ns: int) -> int:
    """Note a hole between slices of one session of more than a few bars; return 1 where there is one."""
    whole.gap_ns = 0
    waited = now_ns - whole.last_ns
    for i in range(len(symbols)):
        row = symbols[i]
        if row.present != 0:
            if row.session_open_ns < whole.last_ns and waited > GAP_BARS * row.interval_ns:
                whole.gap_ns = waited
            whole.last_ns = now_ns
            break
    return 1 if whole.gap_ns != 0 else 0


@njit(cache=True)
def _index(whole: Any, symbols: Any, bars: Any) -> int:
    """Count which falls from its previous close the index is beyond; return 1 where it is a new one in this session."""
    whole.found_level = 0
    i = whole.index
    if i < 0 or symbols[i].present == 0 or not symbols[i].previous_close > 0.0:
        return 0
    if whole.session_ns != symbols[i].session_open_ns:
        whole.session_ns, whole.level = symbols[i].session_open_ns, 0
    fall = 1.0 - bars[i].close / symbols[i].previous_close
    level = 0
    for k in range(3):
        if fall > whole.falls[k] + 1e-12:
            level = k + 1
    if level <= whole.level:
        return 0
    whole.level, whole.found_level, whole.fall = level, level, fall
    return 1


@njit(cache=True)
def _together(whole: Any, swans: Any, symbols: Any, now_ns: int) -> int:
    """Count the symbols that tripped within five minutes; return 1 where they are as many as halt the station."""
    whole.found_together, whole.known = 0, 0
    tripped = 0
    for i in range(len(symbols)):
        if symbols[i].bars > 0 or symbols[i].present != 0:
            whole.known += 1
        if swans[i].tripped_ns != 0 and now_ns - swans[i].tripped_ns <= TOGETHER_NS:
            tripped += 1
    if whole.together_ns != 0 or tripped < FEWEST_TOGETHER or tripped < whole.share * whole.known:
        return 0
    whole.together_ns, whole.found_together = now_ns, tripped
    return 1


def widens(own: Any, spread: float) -> bool:
    """Take a quote's spread (a fraction of the middle); return whether it is beyond ten times what it used to be.

    What is that wide does not become the usual. Not compiled: there is at most a quote a symbol and minute.
    """
    wide = bool(own["spreads"] >= SPREADS and spread > WIDE * own["spread"])
    if spread > 0.0 and np.isfinite(spread) and not wide:
        own["spreads"] += 1
        own["spread"] += (spread - own["spread"]) / min(own["spreads"], SLOW_QUOTES)
    return wide
