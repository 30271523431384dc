"""Files of bars as the market of a tournament: a symbol's daily bars, and shorter ones where a file has them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from agents.lookahead import History, slices
from controlroom.supervisor.errors import BadInputError
from market.bars import BarArray, empty_bars
from market.calendars import DAY_NS, Sessions, sessions
from market.feeds.bar_table import DAY_S, Rows, closes_of, lengths
from market.feeds.port import FeedError
from market.feeds.replay.reader import read_bars
from market.instruments import Instrument, instrument_for
from tournaments.market import Market

LONGEST_WEEKEND_NS = 20 * DAY_NS
Int64Array = npt.NDArray[np.int64]


def read_market(paths: Sequence[Path], wanted: Sequence[str] = ()) -> Market:
    """Return the market of the symbols that all files share, or of those that are ``wanted``.

    The longest bars must be daily or become so, session by session; of shorter ones the shortest are for the stress.
    Rows that no market could have shown (a price that is not finite and above 0, a high below the close) are left out.

    Raises
    ------
    BadInputError
        if a wanted symbol is missing, the symbols have several calendars, or nothing is left.
    market.feeds.port.FeedError
        if a file cannot be read.
    """
    if not paths:
        raise BadInputError("--bars names no file; give one with bars at least")
    names: list[str] = []
    return market_of([read_bars(path, names) for path in paths], names, wanted)


def market_of(parts: Sequence[Rows], names: list[str], wanted: Sequence[str] = ()) -> Market:
    """Return the market of some sources' rows, as ``read_market`` of files; ``names`` are the words of their codes."""
    if empty := [part.origin for part in parts if not len(part.symbol)]:
        raise BadInputError(f"--bars: {empty[0]} has no row")
    chosen = _chosen([{names[code] for code in np.unique(part.symbol).tolist()} for part in parts], wanted)
    instruments = [_instrument(each, parts[0]) for each in chosen]
    calendars = {each.calendar for each in instruments}
    for what, found in (("calendars", calendars), ("currencies", {each.currency for each in instruments})):
        if len(found) > 1:
            raise BadInputError(
                f"--bars: {len(chosen)} symbols have {len(found)} {what}, {', '.join(sorted(found))}; a tournament has "
                "one; give --symbols"
            )
    by_length: dict[int, list[tuple[Rows, Int64Array]]] = {}
    for part in parts:
        for length, rows in _by_length(part, names, chosen).items():
            by_length.setdefault(length, []).append((part, rows))
    known = _sessions(calendars.pop(), [part for part in parts if len(part.open_ns)])
    if not by_length:
        raise BadInputError(f"--bars: no row of {', '.join(chosen)} has prices that a market could have shown")
    histories = {length: _history(given, length, names, chosen, known) for length, given in by_length.items()}
    finest = min(histories)
    daily = _completed(histories.get(DAY_S), histories[finest], known, len(chosen), finest)
    if absent := [name for name, there in zip(chosen, np.any(daily.bars["present"], axis=0), strict=True) if not there]:
        raise BadInputError(f"--bars: {absent[0]} has no daily bar, nor one as short as the others' to make it of")
    fine = histories[finest] if finest < DAY_S else None
    return Market(tuple(instruments), (known,) * len(chosen), daily, fine, finest)


def _chosen(found: Sequence[set[str]], wanted: Sequence[str]) -> list[str]:
    shared = set.intersection(*found)
    if not shared:
        raise BadInputError("--bars: the files share no symbol; give files of the same symbols")
    if missing := [each for each in wanted if each not in shared]:
        raise BadInputError(f"--symbols: {missing[0]} is not in every file; there are {', '.join(sorted(shared))}")
    return sorted(set(wanted) or shared)


def _instrument(symbol: str, part: Rows) -> Instrument:
    mine, price = part.symbol == part.names.index(symbol), part.ohlcv[3]
    priced = mine & np.isfinite(price) & (price > 0.0)
    row = int(np.argmax(priced if priced.any() else mine))
    return instrument_for(symbol, part.names[int(part.exchange[row])], float(part.ohlcv[3, row]))


def _by_length(part: Rows, names: list[str], chosen: Sequence[str]) -> dict[int, Int64Array]:
    """Return rows of the chosen symbols by their bars' length in seconds, without those that cannot be."""
    try:
        length = lengths(part, None)
    except FeedError as error:
        raise BadInputError("--bars: " + str(error).split("; give --interval")[0]) from error
    opens, highs, lows, closes, volumes = part.ohlcv
    with np.errstate(invalid="ignore"):
        good = np.isfinite(part.ohlcv).all(axis=0) & (part.ohlcv[:4] > 0.0).all(axis=0) & (volumes >= 0.0)
        good &= (highs >= np.maximum(opens, closes)) & (lows <= np.minimum(opens, closes))
    good &= np.isin(part.symbol, [names.index(each) for each in chosen])
    shorter = good & (length < DAY_S)
    if shorter.any():
        length[shorter] = length[shorter].min()  # a thin symbol's steps are long; its bars are the others'
    return {int(each): np.flatnonzero(good & (length == each)) for each in np.unique(length[good]).tolist()}


def _sessions(calendar: str, parts: Sequence[Rows]) -> Sessions:
    first = min(int(part.open_ns.min()) for part in parts)
    last = max(int(part.open_ns.max()) for part in parts)
    return sessions(calendar, first - LONGEST_WEEKEND_NS, last + LONGEST_WEEKEND_NS)


def _history(
    given: Sequence[tuple[Rows, Int64Array]], length_s: int, names: list[str], chosen: Sequence[str], known: Sessions
) -> History:
    count = sum(len(rows) for _, rows in given)
    if not count:
        raise BadInputError(f"--bars: no bar of {length_s} s is left of {', '.join(chosen)}")
    bars, symbol, start = empty_bars(count), np.empty(count, dtype=np.int64), 0
    column = np.zeros(len(names), dtype=np.int64)
    column[[names.index(each) for each in chosen]] = np.arange(len(chosen))
    for part, rows in given:
        mine = slice(start, start + len(rows))
        _fill(bars[mine], part, rows)
        symbol[mine] = column[part.symbol[rows]]
        start += len(rows)
    _, first = np.unique(np.stack([symbol, bars["close_ns"]]), axis=1, return_index=True)  # of two the first stays
    return slices(symbol[first], bars[first], [known] * len(chosen))


def _fill(bars: BarArray, part: Rows, rows: Int64Array) -> None:
    for name, values in zip(("open", "high", "low", "close", "volume"), part.ohlcv, strict=True):
        bars[name] = values[rows]
    bars["open_ns"] = part.open_ns[rows]
    bars["close_ns"] = closes_of(part, lengths(part, None))[rows]


def _completed(daily: History | None, fine: History, known: Sessions, symbols: int, finest: int) -> History:
    """Return the daily bars with those of sessions that only shorter ones have, a symbol's session once."""
    if finest == DAY_S and daily is not None:
        return daily
    if daily is None:
        return _daily(fine, known, symbols)
    try:
        made = _daily(fine, known, symbols)
    except BadInputError:  # no session is whole yet
        return daily
    rows = [np.nonzero(each.bars["present"]) for each in (daily, made)]
    symbol = np.concatenate([columns for _, columns in rows])
    bars = np.concatenate([each.bars[found] for each, found in zip((daily, made), rows, strict=True)])
    opened = np.concatenate([each.session_open_ns[found] for each, found in zip((daily, made), rows, strict=True)])
    _, first = np.unique(np.stack([symbol, opened]), axis=1, return_index=True)  # of two the given one stays
    return slices(symbol[first], bars[first], [known] * symbols)


def _daily(fine: History, known: Sessions, symbols: int) -> History:
    """Return one bar a session: its first open, extremes, last close and all of its volume.

    A session that the bars do not reach the close of is none yet: who took its last price for the close would settle
    rounds on half a session.
    """
    parts, columns, ends_ns = [], [], int(fine.now_ns[-1])
    for column in range(symbols):
        bars, closes = fine.bars[:, column], fine.session_close_ns[:, column]
        inside = np.flatnonzero(bars["present"] & (closes > 0) & (closes <= ends_ns))
        if not len(inside):
            continue
        opened = fine.session_open_ns[inside, column]
        begins = np.flatnonzero(np.append(True, opened[1:] != opened[:-1]))
        made = empty_bars(len(begins))
        ends = np.append(begins[1:], len(inside))
        made["open"], made["close"] = bars["open"][inside[begins]], bars["close"][inside[ends - 1]]
        made["high"] = np.maximum.reduceat(bars["high"][inside], begins)
        made["low"] = np.minimum.reduceat(bars["low"][inside], begins)
        made["volume"] = np.add.reduceat(bars["volume"][inside], begins)
        made["open_ns"] = opened[begins]
        made["close_ns"] = fine.session_close_ns[inside[begins], column]
        parts.append(made)
        columns.append(np.full(len(made), column, dtype=np.int64))
    if not parts:
        raise BadInputError("--bars: no bar lies in a whole session of its calendar")
    return slices(np.concatenate(columns), np.concatenate(parts), [known] * symbols)
