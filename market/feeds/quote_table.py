"""Quotes of known data as columns, and the slice that each is sent with.

A row is the best bid and offer at the end of its interval. It stands when the next slice begins and is sent with that
one: the first whose orders can meet it. An order decided at a close so meets the quote of that very instant.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from events.types import Quote
from market.calendars import in_session
from market.feeds.bar_table import SECOND_NS, Float64Array, Int64Array, known, lengths
from market.feeds.merge import Slice
from market.feeds.port import FeedError
from market.instruments import Instrument


@dataclass(frozen=True)
class QuoteRows:
    """Rows of one file in its own order; every array has shape (rows,).

    ``symbol`` are codes into ``names``; ``levels`` has shape (4, rows): bid, its size, ask, its size.
    """

    origin: str
    names: list[str]
    symbol: Int64Array
    open_ns: Int64Array
    levels: Float64Array

    def only(self, keep: npt.NDArray[np.bool_]) -> "QuoteRows":
        """Return the rows where ``keep`` is True."""
        return QuoteRows(self.origin, self.names, self.symbol[keep], self.open_ns[keep], self.levels[:, keep])


class QuoteTable:
    """The quotes of a feed's symbols within their sessions, by instant, then symbol.

    Attributes
    ----------
    left_out : how many stood outside a session, where nothing is filled at them.

    Raises
    ------
    FeedError
        if a file has no quote of these symbols, or its rows have no common step.
    """

    def __init__(
        self, feed: str, parts: list[QuoteRows], instruments: Iterable[Instrument], interval_s: int | None
    ) -> None:
        self._feed = feed
        calendars = {instrument.symbol: instrument.calendar for instrument in instruments}
        self._names: list[str] = parts[0].names if parts else []
        kept = [_of_symbols(part, calendars) for part in parts]
        symbol = np.concatenate([part.symbol for part in kept] or [np.zeros(0, dtype=np.int64)])
        at_ns = np.concatenate(
            [part.open_ns + lengths(part, interval_s) * SECOND_NS for part in kept] or [np.zeros(0, dtype=np.int64)]
        )
        levels = np.concatenate([part.levels for part in kept] or [np.zeros((4, 0))], axis=1)
        inside = _inside(symbol, at_ns, self._names, calendars)
        self.left_out = int(np.count_nonzero(~inside))
        rank = np.argsort(np.argsort(np.array(self._names, dtype=object), kind="stable"), kind="stable")
        order = np.flatnonzero(inside)
        order = order[np.lexsort((rank[symbol[order]], at_ns[order]))]
        self._symbol, self._at_ns, self._levels = symbol[order], at_ns[order], levels[:, order]

    def __len__(self) -> int:
        """Return the number of quotes."""
        return len(self._at_ns)

    def beside(self, slices: Iterable[Slice]) -> Iterator[Slice]:
        """Yield the slices with the quotes before their bars; what comes after the last one meets nothing."""
        begin = 0
        for piece in slices:
            end = int(np.searchsorted(self._at_ns, piece.close_ns, side="left"))
            yield piece._replace(quotes=end - begin, shown=partial(self._between, begin, end))
            begin = end

    def _between(self, begin: int, end: int) -> list[Quote]:
        """Return quotes begin to end (not included); what JSON cannot carry (NaN, infinite) is None."""
        part = slice(begin, end)
        levels = np.where(np.isfinite(self._levels[:, part]), self._levels[:, part], np.nan).T.tolist()
        rows = zip(self._symbol[part].tolist(), self._at_ns[part].tolist(), levels, strict=True)
        return [
            Quote(
                feed=self._feed, symbol=self._names[code], ts_ns=at_ns,
                bid=known(bid), bid_size=known(bid_size), ask=known(ask), ask_size=known(ask_size),
            )
            for code, at_ns, (bid, bid_size, ask, ask_size) in rows
        ]  # fmt: skip


def _of_symbols(part: QuoteRows, symbols: Iterable[str]) -> QuoteRows:
    wanted = [code for code, name in enumerate(part.names) if name in set(symbols)]
    kept = part.only(np.isin(part.symbol, wanted))
    if not len(kept.symbol):
        there = sorted({part.names[code] for code in np.unique(part.symbol).tolist()})
        raise FeedError(
            f"{part.origin} has quotes of {', '.join(there)}, none of which has bars in this feed; leave it out"
        )
    return kept


def _inside(
    symbol: Int64Array, at_ns: Int64Array, names: list[str], calendars: dict[str, str]
) -> npt.NDArray[np.bool_]:
    inside = np.zeros(len(symbol), dtype=np.bool_)
    for code in np.unique(symbol).tolist():
        mine = symbol == code
        inside[mine] = in_session(calendars[names[code]], at_ns[mine])
    return inside
