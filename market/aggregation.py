"""The one aggregator: 5-, 15- and 60-minute bars from shorter ones, the same live and in backtests.

Buckets are anchored at their session's open (XNYS 09:30 New York, 24/7 00:00 UTC) and end every ``interval``; the last
one ends at the session's close (15:30-16:00 for 60 minutes, 12:30-13:00 on a half day). Rules:

* only bars that overlap a session enter; one that closes after its session's close enters no bucket, since a bucket
  never holds data later than its own end;
* a bar enters the bucket that its close lies in, (start, end];
* a bucket closes at the first slice whose close is at or after its end, that slice's bars included where they lie
  within; a bucket without a bar gives no bar;
* a bar at least as long as the interval passes through unchanged.

A slice can close two buckets of one symbol: one that ended before it, while no slice came, and the one that ends with
it. Hence ``closed`` has two rows: [EARLIER] first, then [NOW]; policies see them in that order.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from market.bars import BarArray

MINUTE_NS = 60_000_000_000
INTERVALS_S = (300, 900, 3600)

EARLIER = 0
NOW = 1

BUCKET = np.dtype(
    [
        ("open", np.float64),
        ("high", np.float64),
        ("low", np.float64),
        ("close", np.float64),
        ("volume", np.float64),
        ("start_ns", np.int64),
        ("end_ns", np.int64),
        ("active", np.bool_),
    ]
)
"""An unfinished bar of one symbol; times in UTC nanoseconds. It is the aggregator's whole state: snapshot its bytes."""


def new_buckets(symbols: int) -> npt.NDArray[Any]:
    """Return the aggregator's state of one interval for so many symbols: no bucket begun."""
    return np.zeros(symbols, dtype=BUCKET)


@njit(cache=True)
def advance(  # noqa: PLR0917 - compiled code is called with positions
    state: npt.NDArray[Any],
    interval_ns: int,
    now_ns: int,
    bars: BarArray,
    session_open_ns: npt.NDArray[np.int64],
    session_close_ns: npt.NDArray[np.int64],
    closed: BarArray,
) -> int:
    """Take one slice's bars and hand out what closed; return how many bars were handed out.

    Parameters
    ----------
    state
        ``new_buckets``, shape (symbols,): changed in place.
    interval_ns, now_ns
        Length of a bucket; the slice's close.
    bars
        BAR, shape (symbols,): the slice's valid bars.
    session_open_ns, session_close_ns
        Shape (symbols,): the session that each bar overlaps (``market.calendars.session_index``); both 0 for a bar out
        of session. Not read where no bar is present.
    closed
        BAR, shape (2, symbols): overwritten. ``closed[EARLIER]`` ended before this slice, ``closed[NOW]`` at it;
        ``present`` says where.
    """
    count = 0
    for i in range(len(state)):
        closed[EARLIER, i].present = False
        closed[NOW, i].present = False
        bucket = state[i]
        if bucket.active and bucket.end_ns < now_ns:
            _hand_out(bucket, closed[EARLIER, i])
            count += 1
        bar = bars[i]
        if bar.present and _overlaps(bar, session_open_ns[i], session_close_ns[i]):
            if bar.close_ns - bar.open_ns >= interval_ns:
                closed[NOW, i] = bar
                count += 1
                continue
            if bar.close_ns <= session_close_ns[i]:
                _take(bucket, bar, session_open_ns[i], session_close_ns[i], interval_ns)
        if bucket.active and bucket.end_ns <= now_ns:
            _hand_out(bucket, closed[NOW, i])
            count += 1
    return count


@njit(cache=True)
def _overlaps(bar: Any, session_open_ns: int, session_close_ns: int) -> bool:
    return bool(bar.open_ns < session_close_ns and bar.close_ns > session_open_ns)


@njit(cache=True)
def _take(bucket: Any, bar: Any, session_open_ns: int, session_close_ns: int, interval_ns: int) -> None:
    if not bucket.active:
        bucket.start_ns = session_open_ns + (bar.close_ns - 1 - session_open_ns) // interval_ns * interval_ns
        bucket.end_ns = min(bucket.start_ns + interval_ns, session_close_ns)
        bucket.open = bar.open
        bucket.high = bar.high
        bucket.low = bar.low
        bucket.volume = 0.0
        bucket.active = True
    bucket.high = max(bucket.high, bar.high)
    bucket.low = min(bucket.low, bar.low)
    bucket.close = bar.close
    bucket.volume += bar.volume


@njit(cache=True)
def _hand_out(bucket: Any, out: Any) -> None:
    out.open = bucket.open
    out.high = bucket.high
    out.low = bucket.low
    out.close = bucket.close
    out.volume = bucket.volume
    out.open_ns = bucket.start_ns
    out.close_ns = bucket.end_ns
    out.present = True
    bucket.active = False
