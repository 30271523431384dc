"""Bars of known data as columns: their lengths, their closes, and the one order in which they are sent.

The order: by close, then symbol, then place in the file. Within a symbol time never runs back: a row that stands behind
a younger one of its symbol is sent with that younger one's close, after it, as a live source would deliver it: late. So
duplicates and rows out of order reach the validator, which refuses and counts them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from events.types import Bar
from market.calendars import session_on
from market.feeds.merge import Slice
from market.feeds.port import FeedError
from market.instruments import instrument_for

SECOND_NS = 1_000_000_000
DAY_S = 86_400
DAY_NS = DAY_S * SECOND_NS
FEW_STEPS = 20  # with fewer a symbol's most common step says little: its file's is taken

Int64Array = npt.NDArray[np.int64]
Float64Array = npt.NDArray[np.float64]


class Timed(Protocol):
    """Rows of symbols at times."""

    @property
    def origin(self) -> str: ...
    @property
    def names(self) -> list[str]: ...
    @property
    def symbol(self) -> Int64Array: ...
    @property
    def open_ns(self) -> Int64Array: ...


@dataclass(frozen=True)
class Rows:
    """Rows of one source in its own order; every array has shape (rows,).

    ``symbol``, ``exchange`` and ``data_source`` are codes into ``names``; ``ohlcv`` has shape (5, rows).
    """

    origin: str
    names: list[str]
    symbol: Int64Array
    exchange: Int64Array
    data_source: Int64Array
    open_ns: Int64Array
    ohlcv: Float64Array

    def only(self, keep: npt.NDArray[np.bool_]) -> "Rows":
        """Return the rows where ``keep`` is True."""
        return Rows(
            self.origin,
            self.names,
            self.symbol[keep],
            self.exchange[keep],
            self.data_source[keep],
            self.open_ns[keep],
            self.ohlcv[:, keep],
        )


@dataclass(frozen=True)
class BarTable:
    """Rows in the order of sending, with each one's length, close and slice; ``starts`` are the slices' first rows."""

    feed: str
    rows: Rows
    interval_s: Int64Array
    close_ns: Int64Array
    sent_ns: Int64Array
    starts: Int64Array

    def __len__(self) -> int:
        """Return the number of bars."""
        return len(self.sent_ns)

    def slices(self) -> Iterator[Slice]:
        """Yield the slices in order."""
        ends = np.append(self.starts[1:], len(self)).tolist()
        closes = self.sent_ns[self.starts].tolist()
        for start, end, close_ns in zip(self.starts.tolist(), ends, closes, strict=True):
            yield Slice(close_ns, end - start, lambda start=start, end=end: self.bars(start, end))  # type: ignore[misc] # mypy cannot infer a lambda with defaults

    def bars(self, start: int, end: int) -> list[Bar]:
        """Return rows start to end (not included) as bars; what JSON cannot carry (NaN, infinite) is None."""
        rows, names, part = self.rows, self.rows.names, slice(start, end)
        columns = np.where(np.isfinite(rows.ohlcv[:, part]), rows.ohlcv[:, part], np.nan).T.tolist()
        keys = zip(
            rows.symbol[part].tolist(),
            rows.open_ns[part].tolist(),
            self.interval_s[part].tolist(),
            self.close_ns[part].tolist(),
            rows.exchange[part].tolist(),
            rows.data_source[part].tolist(),
            columns,
            strict=True,
        )
        return [
            Bar(
                feed=self.feed,
                symbol=names[symbol],
                open_ns=open_ns,
                interval_s=interval_s,
                open=known(ohlcv[0]),
                high=known(ohlcv[1]),
                low=known(ohlcv[2]),
                close=known(ohlcv[3]),
                volume=known(ohlcv[4]),
                close_ns=close_ns,
                exchange=names[exchange],
                data_source=names[data_source],
            )
            for symbol, open_ns, interval_s, close_ns, exchange, data_source, ohlcv in keys
        ]

    def between(self, start_ns: int, end_ns: int) -> Iterator[Bar]:
        """Yield the bars of the slices that close in (start_ns, end_ns]."""
        first = int(np.searchsorted(self.sent_ns, start_ns, side="right"))
        last = int(np.searchsorted(self.sent_ns, end_ns, side="right"))
        for begin in range(first, last, 10_000):
            yield from self.bars(begin, min(begin + 10_000, last))


def build(feed: str, parts: list[Rows], interval_s: int | None) -> BarTable:
    """Return the table of one or more sources whose ``names`` are the same list.

    Raises
    ------
    FeedError
        if a source is not in time order, a bar is longer than a day, or a symbol has two lengths.
    """
    for part in parts:
        _check_sorted(part)
    steps = [lengths(part, interval_s) for part in parts]
    _check_one_length(parts, steps)
    closes = [closes_of(part, length) for part, length in zip(parts, steps, strict=True)]
    sent = [_sending(part, close) for part, close in zip(parts, closes, strict=True)]
    joined = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in ("symbol", "exchange", "data_source", "open_ns")
    }
    ohlcv = np.concatenate([part.ohlcv for part in parts], axis=1)
    names = parts[0].names
    sent_ns = np.concatenate(sent)
    rank = np.argsort(np.argsort(np.array(names, dtype=object), kind="stable"), kind="stable")
    order = np.lexsort((np.arange(len(sent_ns)), rank[joined["symbol"]], sent_ns))
    ordered = sent_ns[order]
    starts = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))
    ranked = Rows(
        origin=", ".join(part.origin for part in parts),
        names=names,
        ohlcv=ohlcv[:, order],
        **{name: column[order] for name, column in joined.items()},
    )
    return BarTable(feed, ranked, np.concatenate(steps)[order], np.concatenate(closes)[order], ordered, starts)


def known(value: float) -> float | None:
    """Return a number, None for NaN."""
    return value if value == value else None  # noqa: PLR0124 - NaN alone differs from itself


def _most_common(steps: Int64Array) -> int:
    values, counts = np.unique(steps[steps > 0], return_counts=True)
    return int(values[np.argmax(counts)]) if len(values) else 0


def lengths(part: Timed, given_s: int | None) -> Int64Array:
    """Return each row's bar length in seconds: the most common step between its symbol's timestamps."""
    if given_s is not None:
        return np.full(len(part.open_ns), given_s, dtype=np.int64)
    steps = {int(code): np.diff(part.open_ns[part.symbol == code]) for code in np.unique(part.symbol)}
    overall = _most_common(np.concatenate(list(steps.values())))
    found = np.zeros(len(part.open_ns), dtype=np.int64)
    for code, own in steps.items():
        step_ns = _most_common(own) if np.count_nonzero(own > 0) >= FEW_STEPS else overall
        seconds, rest = divmod(step_ns, SECOND_NS)
        if seconds < 1 or rest or seconds > DAY_S:
            raise FeedError(
                f"{part.origin}: the most common step of {part.names[code]} is {step_ns / SECOND_NS:g} s, but a bar's "
                f"length must be 1 to {DAY_S} whole seconds; give --interval SECONDS"
            )
        found[part.symbol == code] = seconds
    return found


def _check_one_length(parts: list[Rows], lengths: list[Int64Array]) -> None:
    known: dict[int, tuple[int, str]] = {}
    for part, length in zip(parts, lengths, strict=True):
        for code in np.unique(part.symbol).tolist():
            here = (int(length[part.symbol == code][0]), part.origin)
            before = known.setdefault(code, here)
            if before[0] != here[0]:
                raise FeedError(
                    f"{part.names[code]} has bars of {before[0]} s in {before[1]} and of {here[0]} s in {here[1]}; "
                    f"replay one of them, or choose other --symbols"
                )


def closes_of(part: Rows, length_s: Int64Array) -> Int64Array:
    """Return when each bar is known: open + length; a daily one at the close of its date's session, if there is one."""
    closes = part.open_ns + length_s * SECOND_NS
    for code in np.unique(part.symbol[length_s == DAY_S]).tolist():
        mine = np.flatnonzero((part.symbol == code) & (length_s == DAY_S))
        calendar = instrument_for(part.names[code], part.names[int(part.exchange[mine[0]])]).calendar
        days, place = np.unique(part.open_ns[mine] // DAY_NS, return_inverse=True)
        dates = days.astype("datetime64[D]").astype(str).tolist()
        sessions = [session_on(calendar, date) for date in dates]
        of_day = np.array([-1 if session is None else session.close_ns for session in sessions], dtype=np.int64)[place]
        closes[mine] = np.where(of_day > part.open_ns[mine], of_day, closes[mine])
    return closes


def _check_sorted(part: Rows) -> None:
    """Refuse a source that is not in time order; a stray row here and there is the validator's business."""
    for code in np.unique(part.symbol).tolist():
        mine = part.open_ns[part.symbol == code]
        backwards = int(np.count_nonzero(np.diff(mine) < 0))
        if backwards > 3 and backwards * 4 > len(mine):
            raise FeedError(
                f"{part.origin} is not sorted by time: {part.names[code]} goes back {backwards} times in {len(mine)} "
                f"rows; sort it by ts"
            )


def _sending(part: Rows, close_ns: Int64Array) -> Int64Array:
    """Return the close of the slice that carries each row: its own, or that of a younger row before it."""
    sent = close_ns.copy()
    for code in np.unique(part.symbol).tolist():
        mine = np.flatnonzero(part.symbol == code)
        sent[mine] = np.maximum.accumulate(close_ns[mine])
    return sent
