"""Histories that might have been: sessions of the daily bars drawn in blocks, laid on the market's own calendar.

Stationary bootstrap of Politis and Romano (Journal of the American Statistical Association 89(428), 1994), circular, of
whole sessions and of all symbols at once, so that the correlations between symbols and most of the days' dependence
stay. What a strategy could find in longer stretches than a block is gone, so nobody's skill of today is in there.
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from agents.lookahead import History
from market.bars import empty_bars
from tournaments.market import Market
from tournaments.simulation.inputs import SimulationError

SYMBOLS = 8
SESSIONS = 252  # newest ones that a history has; blocks are drawn from all
FEWEST_SESSIONS = 60
BLOCK = 10.0  # mean sessions of a block
LEAST_PRESENT = 0.9  # of the newest sessions
PRICES = ("open", "high", "low", "close")

Float64Array = npt.NDArray[np.float64]
Int64Array = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Source:
    """What histories are drawn from.

    ``market`` holds the chosen symbols over the calendar's rows that a history has; ``moves`` f8 [sessions, symbols, 5]
    are open, high, low and close over the close before, and the volume; ``start`` f8 [symbols] prices to begin with.
    """

    market: Market
    moves: Float64Array
    start: Float64Array


def source(market: Market) -> Source:
    """Return the market's sessions as moves; of many symbols the eight that trade most money, present nearly always.

    Raises
    ------
    SimulationError
        if its symbols have several calendars, or fewer than 60 sessions have a bar of all the chosen symbols.
    """
    calendars = sorted({each.calendar for each in market.instruments})
    if len(calendars) != 1:
        raise SimulationError(f"calendars = {', '.join(calendars)}; a history is drawn by the sessions of exactly one")
    rows = _session_rows(market.daily)
    columns = _columns(market.daily, rows)
    bars = market.daily.bars[np.ix_(rows, columns)]
    there = np.asarray(bars["present"].all(axis=1))
    usable = 1 + np.flatnonzero(there[1:] & there[:-1])  # a move needs the close before
    if len(usable) < FEWEST_SESSIONS:
        raise SimulationError(
            f"{len(usable)} sessions of daily bars have a bar of all {len(columns)} symbols and one before; at least "
            f"{FEWEST_SESSIONS} are needed"
        )
    before = bars["close"][usable - 1]
    moves = np.stack([bars[name][usable] / before for name in PRICES] + [bars["volume"][usable]], axis=-1)
    chosen = Market(
        tuple(market.instruments[k] for k in columns),
        tuple(market.sessions[k] for k in columns),
        _laid(market.daily, rows[-SESSIONS:], len(columns)),
    )
    return Source(chosen, moves, bars["close"][usable[-1]].astype(np.float64))


def resampled(given: Source, generator: np.random.Generator) -> Market:
    """Return the market with one drawn history; the same generator gives the same one. It has daily bars alone."""
    daily = given.market.daily
    path = given.moves[blocks(len(given.moves), len(daily.now_ns), generator)]
    grown = np.cumprod(path[..., 3], axis=0)
    before = given.start * np.concatenate((np.ones((1, len(given.start))), grown[:-1]))
    bars = daily.bars.copy()
    for k, name in enumerate(PRICES):
        bars[name] = path[..., k] * before
    bars["volume"] = path[..., 4]
    return replace(given.market, daily=replace(daily, bars=bars))


def blocks(count: int, length: int, generator: np.random.Generator) -> Int64Array:
    """Return the drawn sessions [length], 0 to ``count`` - 1: blocks of a geometric length that begin anywhere."""
    place = np.arange(length)
    begins = generator.random(length) < 1.0 / BLOCK
    begins[:1] = True
    first = np.maximum.accumulate(np.where(begins, place, 0))
    return np.asarray((generator.integers(count, size=length)[first] + place - first) % count)


def _session_rows(daily: History) -> Int64Array:
    """Return the rows that hold a session's bars, one a session: of two the later."""
    opens = daily.session_open_ns.max(axis=1)
    inside = np.flatnonzero(daily.session_close_ns.max(axis=1) > 0)
    last = np.append(opens[inside][1:] != opens[inside][:-1], True)[: len(inside)]
    return np.asarray(inside[last])


def _columns(daily: History, rows: Int64Array) -> Int64Array:
    """Return the columns of the symbols by median close x volume a day, ties by column, in the columns' order."""
    bars = daily.bars[rows[-SESSIONS:]]
    known = np.flatnonzero(bars["present"].mean(axis=0) >= LEAST_PRESENT) if len(bars) else np.empty(0, dtype=np.int64)
    if not len(known):
        raise SimulationError(
            f"daily bars of {daily.bars.shape[1]} symbols: none has a bar in {LEAST_PRESENT:.0%} of the newest sessions"
        )
    money = [float(np.median((bars["close"] * bars["volume"])[bars["present"][:, k], k])) for k in known]
    return np.sort(known[np.argsort(-np.array(money), kind="stable")[:SYMBOLS]])


def _laid(daily: History, rows: Int64Array, symbols: int) -> History:
    """Return bars of all symbols, without prices yet, over the sessions of the rows."""
    opens, closes = daily.session_open_ns[rows].max(axis=1), daily.session_close_ns[rows].max(axis=1)
    bars = empty_bars(len(rows), symbols)
    bars["open_ns"], bars["close_ns"] = opens[:, np.newaxis], daily.now_ns[rows][:, np.newaxis]
    bars["present"] = True

    def wide(values: Int64Array) -> Int64Array:
        return np.repeat(values[:, np.newaxis], symbols, axis=1)

    return History(daily.now_ns[rows].copy(), bars, wide(opens), wide(closes))
