"""What rounds look at: daily bars for predictions and, where there are any, finer ones for the stress."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from agents.lookahead import History
from market.calendars import Sessions
from market.instruments import Instrument
from tournaments.stress.paths import SESSIONS, PathsError, Window, sessions_of, window

DAY_S = 86_400

Int64Array = npt.NDArray[np.int64]
Float64Array = npt.NDArray[np.float64]


class MarketError(ValueError):
    """One sentence: what the bars lack."""


@dataclass(frozen=True)
class Market:
    """Point in time by its users: each asks for what had closed at an instant.

    ``daily`` one bar a session; ``fine`` shorter ones of ``interval_s`` seconds, None where there are none. Columns of
    both are ``instruments`` (n,), ``sessions`` (n,) their calendars.
    """

    instruments: tuple[Instrument, ...]
    sessions: tuple[Sessions, ...]
    daily: History
    fine: History | None = None
    interval_s: int = DAY_S

    @property
    def symbols(self) -> tuple[str, ...]:
        """Return the columns' names."""
        return tuple(each.symbol for each in self.instruments)


def representative(market: Market, as_of_ns: int, count: int, sessions: int = SESSIONS) -> Int64Array:
    """Return the columns [at most ``count``] that traded most money a day of late, in the order of the columns.

    Those with a bar in each of the last ``sessions`` alone; median of close x volume over these, ties by column. Bars
    outside any session are not looked at.

    Raises
    ------
    MarketError
        if no symbol has traded through them.
    """
    past = _closed(market.daily, as_of_ns)
    row, column = np.nonzero(past.bars["present"] & (past.session_close_ns > 0))
    bars = past.bars[row, column]
    known, place = np.unique(past.session_open_ns[row, column], return_inverse=True)
    place -= max(len(known) - sessions, 0)
    late = place >= 0
    money = np.full((min(len(known), sessions), len(market.instruments)), np.nan)
    money[place[late], column[late]] = bars["close"][late] * bars["volume"][late]
    through = np.flatnonzero(~np.isnan(money).any(axis=0)) if len(money) else np.empty(0, dtype=np.int64)
    if not len(through):
        raise MarketError(f"no symbol has a bar in each of the last {sessions} sessions; give bars of whole sessions")
    order = through[np.argsort(-np.median(money[:, through], axis=0), kind="stable")]
    return np.sort(order[:count])


def stress_window(market: Market, as_of_ns: int, columns: Int64Array, sessions: int = SESSIONS) -> Window:
    """Return the last ``sessions`` at the finest interval, daily bars standing in for those before the finer ones.

    A session that has not closed by the instant is left out. Where the finer bars do not reach the newest daily one,
    daily bars alone are taken: older finer ones would be those of another market.

    Raises
    ------
    tournaments.stress.paths.PathsError
        if no full session of all columns is left.
    """
    names = tuple(market.instruments[column].symbol for column in columns)
    past = _chosen(_closed(market.daily, as_of_ns), columns)
    daily, days = _sessions(past, DAY_S), _opens(past)
    if market.fine is None:
        return window(names, DAY_S, daily, sessions=sessions)
    finer = _since(_chosen(_closed(market.fine, as_of_ns), columns), int(days[-sessions:][0]))
    begun = _opens(finer)
    try:
        fine = _sessions(finer, market.interval_s)
    except PathsError:
        return window(names, DAY_S, daily, sessions=sessions)  # the finer bars begin later
    if begun[-1] < days[-1]:
        return window(names, DAY_S, daily, sessions=sessions)
    earlier = daily[days < begun[0], 0]
    return window(names, market.interval_s, fine, earlier if len(earlier) else None, sessions=sessions)


def _closed(history: History, as_of_ns: int) -> History:
    """Return the slices that were known, without bars of a session that was still to close."""
    past = _rows(history, slice(0, int(np.searchsorted(history.now_ns, as_of_ns, side="right"))))
    return _rows(past, np.flatnonzero((past.session_close_ns <= as_of_ns).all(axis=1)))


def _since(history: History, opened_ns: int) -> History:
    return _rows(history, np.flatnonzero((history.session_open_ns >= opened_ns).any(axis=1)))


def _rows(history: History, rows: slice | Int64Array) -> History:
    return History(
        history.now_ns[rows], history.bars[rows], history.session_open_ns[rows], history.session_close_ns[rows]
    )


def _chosen(history: History, columns: Int64Array) -> History:
    return History(
        history.now_ns, history.bars[:, columns], history.session_open_ns[:, columns],
        history.session_close_ns[:, columns],
    )  # fmt: skip


def _opens(history: History) -> Int64Array:
    """Return the openings of the sessions in which all columns have a bar, oldest first."""
    there = history.bars["present"] & (history.session_close_ns > 0)
    columns = [np.unique(history.session_open_ns[there[:, k], k]) for k in range(there.shape[1])]
    opens, counts = np.unique(np.concatenate(columns), return_counts=True)
    return np.asarray(opens[counts == there.shape[1]])


def _sessions(history: History, interval_s: int) -> Float64Array:
    return sessions_of(history.bars, history.session_open_ns, history.session_close_ns, interval_s)
