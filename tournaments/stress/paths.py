"""Sessions to stress: the last twenty sessions of bars of all symbols, and paths drawn from them in blocks.

A block is taken at its own time of day and from all symbols at once, so that the day's shape of volume and volatility
and the correlations stay (stationary bootstrap of Politis and Romano, Journal of the American Statistical Association
89(428), 1994, kept in season as Dudek, Leskow, Paparoditis and Politis, Journal of Time Series Analysis 35(2), 2014).
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numba import njit

from engine.layout import RETURNS
from market.bars import BarArray
from tournaments.stress.compiled import lean

OPEN, HIGH, LOW, CLOSE, VOLUME = range(5)
SESSIONS = 20
DAILY_PATH = 20
DAY_S = 86_400
HISTORY = RETURNS + 1  # closes for the longest deviation that costs may ask for
MOST_STRETCH = 5.0  # of a session's shape when it stands in for another day
SECOND_NS = 1_000_000_000
START, SESSION, MISPRINT, SIDE = range(4)  # of the draws of one bar
MAGNITUDE, SIGN, COIN, PLACE = range(4)  # of the draws of one path

Float64Array = npt.NDArray[np.float64]
Int64Array = npt.NDArray[np.int64]


class PathsError(ValueError):
    """One sentence: the field, the value, what is allowed."""


@dataclass(frozen=True)
class Window:
    """Bars to draw from: f8 [sessions, bars, symbols, 5], oldest first; last open, high, low, close, volume.

    Bars of one day (``interval_s`` 86,400) are sessions of one bar.
    """

    symbols: tuple[str, ...]
    interval_s: int
    bars: Float64Array


@dataclass(frozen=True)
class Pool:
    """A window as moves that can be put one after another.

    Attributes
    ----------
    moves : f8 [sessions, bars, symbols, 5], open, high, low and close over the close before, and the volume.
    start, sigma, daily_sigma : f8 [symbols], last close; root mean square of a bar's and of a session's return.
    closes : f8 [65, symbols], the last closes, for the deviation that the first fills meet.
    correlation : mean pairwise correlation of the bars' returns.
    length : bars of one path.
    """

    window: Window
    moves: Float64Array
    start: Float64Array
    sigma: Float64Array
    daily_sigma: Float64Array
    closes: Float64Array
    correlation: float
    length: int


@dataclass(frozen=True)
class Draws:
    """The chance in all paths: ``sessions`` i8 [paths, bars], ``bars`` f8 [paths, bars, 4], ``paths`` f8 [paths, 4].

    The last two are uniform in [0, 1).
    """

    sessions: Int64Array
    bars: Float64Array
    paths: Float64Array


def window(
    symbols: tuple[str, ...], interval_s: int, bars: Float64Array, daily: Float64Array | None = None, *,
    sessions: int = SESSIONS,
) -> Window:  # fmt: skip
    """Return the last ``sessions``; days of ``daily`` stand in for those that are missing.

    Parameters
    ----------
    symbols, interval_s : names, and seconds of one bar.
    bars : f8 [sessions, bars, symbols, 5], oldest first.
    daily : f8 [days, symbols, 5], the days before the first of ``bars``, oldest first. Each takes the shape of one of
        the sessions, stretched to its own range, move and volume.

    Raises
    ------
    PathsError
        if a shape is wrong, a price not positive and finite, a high or low not the extreme, a volume negative.
    """
    if interval_s < 1 or interval_s > DAY_S:
        raise PathsError(f"interval_s = {interval_s} must be 1 to {DAY_S}")
    if sessions < 1:
        raise PathsError(f"sessions = {sessions} must be at least 1")
    _check("bars", bars, (None, None, len(symbols), 5))
    bars = bars[-sessions:]
    missing = sessions - len(bars)
    if daily is not None and missing > 0:
        _check("daily", daily, (None, len(symbols), 5))
        days = daily[-missing:]
        shaped = [_stand_in(day, bars[k % len(bars)]) for k, day in enumerate(days)]
        bars = np.concatenate((np.array(shaped).reshape(-1, *bars.shape[1:]), bars))
    return Window(symbols, interval_s, np.ascontiguousarray(bars, dtype=np.float64))


def _check(name: str, bars: Float64Array, shape: tuple[int | None, ...]) -> None:
    fits = len(bars.shape) == len(shape) and all(
        have == want if want is not None else have > 0 for have, want in zip(bars.shape, shape, strict=True)
    )
    if not fits or 0 in bars.shape:
        wanted = ", ".join("any" if size is None else str(size) for size in shape)
        raise PathsError(f"{name} of shape {bars.shape} must have shape ({wanted}), none of them 0")
    if not np.isfinite(bars).all() or not (bars[..., :VOLUME] > 0.0).all() or not (bars[..., VOLUME] >= 0.0).all():
        raise PathsError(f"{name} must hold finite prices above 0 and finite volumes of at least 0")
    top, bottom = bars[..., [OPEN, CLOSE]].max(axis=-1), bars[..., [OPEN, CLOSE]].min(axis=-1)
    if not (bars[..., HIGH] >= top).all() or not (bars[..., LOW] <= bottom).all():
        raise PathsError(f"{name} must have no high below its open or close and no low above them")


def _stand_in(day: Float64Array, shape: Float64Array) -> Float64Array:
    """Return a session [bars, n, 5] that opens and closes as ``day`` [n, 5] did, with the bars' shape of another."""
    moves = _moves(shape[np.newaxis])[0]
    spread = shape[..., HIGH].max(axis=0) / shape[..., LOW].min(axis=0) - 1.0
    wanted = day[:, HIGH] / day[:, LOW] - 1.0
    stretch = np.clip(np.where(spread > 0.0, wanted / np.where(spread > 0.0, spread, 1.0), 1.0), 0.0, MOST_STRETCH)
    prices = np.maximum(1.0 + (moves[..., :VOLUME] - 1.0) * stretch[:, np.newaxis], 0.05)
    whole = prices[..., CLOSE].prod(axis=0)
    prices *= ((day[:, CLOSE] / day[:, OPEN] / whole) ** (1.0 / len(shape)))[:, np.newaxis]
    prices[0, :, OPEN] = 1.0
    prices[0, :, HIGH], prices[0, :, LOW] = np.maximum(prices[0, :, HIGH], 1.0), np.minimum(prices[0, :, LOW], 1.0)
    before = day[:, OPEN] * np.cumprod(np.concatenate((np.ones((1, len(day))), prices[:-1, :, CLOSE])), axis=0)
    total = shape[..., VOLUME].sum(axis=0)
    volumes = shape[..., VOLUME] * np.where(total > 0.0, day[:, VOLUME] / np.where(total > 0.0, total, 1.0), 0.0)
    return np.concatenate((prices * before[..., np.newaxis], volumes[..., np.newaxis]), axis=-1)


def sessions_of(
    bars: BarArray, session_open_ns: Int64Array, session_close_ns: Int64Array, interval_s: int
) -> Float64Array:
    """Put slices of bars into full sessions f8 [sessions, bars, symbols, 5].

    Parameters
    ----------
    bars : market.bars.BAR [slices, symbols].
    session_open_ns, session_close_ns : i8 [slices, symbols], the session of each bar, 0 where there is none.
    interval_s : seconds of one bar; 86,400 makes each day a session of one bar.

    A minute without a bar repeats the close before it, without volume. Sessions shorter than the longest (half days)
    and sessions in which a symbol has no bar are left out.

    Raises
    ------
    PathsError
        if no session is left.
    """
    present = bars["present"] & (session_close_ns > 0)
    opens = np.unique(session_open_ns[present])
    lengths = {int(o): int(session_close_ns[present & (session_open_ns == o)].max() - o) for o in opens}
    interval_ns = interval_s * SECOND_NS
    count = 1 if interval_s >= DAY_S else max(lengths.values(), default=0) // interval_ns
    found = []
    for opened, length in lengths.items():
        mine = present & (session_open_ns == opened)
        if mine.any(axis=0).all() and (interval_s >= DAY_S or length // interval_ns == count):
            found.append(_grid(bars, mine, opened, interval_ns, count))
    if not found:
        raise PathsError(f"bars of {bars.shape[1]} symbols hold no full session of all of them")
    return np.array(found)


def _grid(bars: BarArray, mine: npt.NDArray[np.bool_], opened: int, interval_ns: int, count: int) -> Float64Array:
    grid = np.full((count, bars.shape[1], 5), np.nan)
    at, symbol = np.nonzero(mine)
    place = np.clip((bars["open_ns"][at, symbol] - opened) // interval_ns, 0, count - 1)
    for k, name in enumerate(("open", "high", "low", "close", "volume")):
        grid[place, symbol, k] = bars[name][at, symbol]
    for i in range(bars.shape[1]):
        there = ~np.isnan(grid[:, i, CLOSE])
        before = np.maximum.accumulate(np.where(there, np.arange(count), -1))
        price = np.where(before >= 0, grid[before, i, CLOSE], grid[int(np.argmax(there)), i, OPEN])
        grid[~there, i, :VOLUME] = price[~there, np.newaxis]
        grid[~there, i, VOLUME] = 0.0
    return grid


def _moves(bars: Float64Array) -> Float64Array:
    """Return bars [sessions, bars, n, 5] over the close before; a session's first bar over its own open."""
    before = np.concatenate((bars[:, :1, :, OPEN], bars[:, :-1, :, CLOSE]), axis=1)
    if bars.shape[1] == 1:
        before[1:, 0] = bars[:-1, 0, :, CLOSE]  # days: the nights are part of the path
    moves = bars.copy()
    moves[..., :VOLUME] /= before[..., np.newaxis]
    return moves


def pool(given: Window) -> Pool:
    """Return the moves of a window and what is known of them beforehand."""
    bars = given.bars
    moves = _moves(bars)
    returns = moves[..., CLOSE].reshape(-1, bars.shape[2]) - 1.0
    sigma = np.sqrt((returns**2).mean(axis=0))
    closes = bars[..., CLOSE].reshape(-1, bars.shape[2])[-HISTORY:]
    closes = np.concatenate((np.repeat(closes[:1], HISTORY - len(closes), axis=0), closes))
    length = DAILY_PATH if bars.shape[1] == 1 else bars.shape[1]
    daily = sigma * math.sqrt(bars.shape[1])
    return Pool(given, moves, closes[-1].copy(), sigma, daily, closes, _mean_correlation(returns), length)


def _mean_correlation(returns: Float64Array) -> float:
    n = returns.shape[1]
    scale = returns.std(axis=0)
    if n < 2 or len(returns) < 2 or not (scale > 0.0).any():
        return 0.0
    unit = (returns - returns.mean(axis=0)) / np.where(scale > 0.0, scale, np.inf)
    table = unit.T @ unit / len(returns)
    return float(np.clip((table.sum() - np.trace(table)) / (n * (n - 1)), -1.0 / (n - 1), 1.0))


def draw(given: Pool, paths: int, seed: int, block: float | None = None) -> Draws:
    """Return the draws of so many paths: NumPy's Philox keyed (seed, path), so that a path is the same in any company.

    ``block``: mean length of a block in bars; by default a thirteenth of the path, at least 5.

    Raises
    ------
    PathsError
        if paths, seed or block are out of range.
    """
    if not 1 <= paths <= 100_000 or not 0 <= seed < 2**64:
        raise PathsError(f"paths = {paths} and seed = {seed} must be 1 to 100,000 and 0 to 2**64 - 1")
    mean = float(max(5, given.length // 13)) if block is None else block
    if not 1.0 <= mean <= 1e6:
        raise PathsError(f"block = {mean} must be a mean length of 1 to 1,000,000 bars")
    bars, extra = np.empty((paths, given.length, 4)), np.empty((paths, 4))
    for path in range(paths):
        generator = np.random.Generator(np.random.Philox(key=np.array([seed, path], dtype=np.uint64)))
        generator.random(out=extra[path])
        generator.random(out=bars[path])
    sessions = np.empty((paths, given.length), dtype=np.int64)
    _blocks(bars, *given.moves.shape[:2], 1.0 / mean, sessions)
    return Draws(sessions, bars, extra)


@lean
def _blocks(uniform: Float64Array, count: int, bars: int, chance: float, sessions: Int64Array) -> None:
    """Choose each bar's session: a new one with a chance, else the one before, or its next where that has ended."""
    for path in range(len(uniform)):
        session = 0
        for t in range(uniform.shape[1]):
            if t == 0 or uniform[path, t, START] < chance:
                session = int(uniform[path, t, SESSION] * count)
            elif t % bars == 0:
                session = (session + 1) % count
            sessions[path, t] = session


@lean
def lay_moves(sessions: Int64Array, moves: Float64Array, out: Float64Array) -> None:
    """Write the moves of one path, drawn ``sessions`` [bars], into ``out`` [bars, symbols, 5]."""
    bars = moves.shape[1]
    for t in range(len(sessions)):
        session, bar = sessions[t], t % bars
        for i in range(out.shape[1]):
            for field in range(5):
                out[t, i, field] = moves[session, bar, i, field]


@njit(cache=True, nogil=True)
def to_prices(start: Float64Array, path: Float64Array) -> None:
    """Turn one path's moves [bars, symbols, 5] into prices, in place, from ``start`` [symbols] on."""
    before = start.copy()
    for t in range(path.shape[0]):
        for i in range(path.shape[1]):
            for field in range(VOLUME):
                path[t, i, field] *= before[i]
            before[i] = path[t, i, CLOSE]


def bootstrap(given: Pool, draws: Draws) -> Float64Array:
    """Return unstressed paths, f8 [paths, bars, symbols, 5]: open, high, low, close, volume."""
    out = np.empty((len(draws.sessions), given.length, len(given.start), 5))
    for sessions, path in zip(draws.sessions, out, strict=True):
        lay_moves(sessions, given.moves, path)
        to_prices(given.start, path)
    return out
