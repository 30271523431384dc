"""Closes of several symbols on the days that they share, adjusted for splits and dividends where factors are given."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from market.calendars import ALWAYS, sessions
from market.feeds import columns
from market.feeds.bar_table import Rows
from market.feeds.replay.reader import read_bars
from market.instruments import instrument_for

DAY_NS = 86_400_000_000_000
DAILY_NS = DAY_NS * 20 // 24  # a longer most common step is a daily bar's
JUMP = float(np.log(1.5))  # a larger move from one day to the next is named where nothing says that it was no split
NAMED = 5

Float64Array = npt.NDArray[np.float64]
Dates = npt.NDArray[np.datetime64]


class PricesError(ValueError):
    """One sentence: the argument, its value and what is allowed."""


@dataclass(frozen=True)
class Panel:
    """Closes [t, n] on ``dates`` [t] (datetime64[D]) that all ``symbols`` have; ``warnings`` are sentences."""

    symbols: tuple[str, ...]
    dates: Dates
    closes: Float64Array
    warnings: tuple[str, ...] = ()

    @property
    def returns(self) -> Float64Array:
        """Simple returns [t - 1, n], each from one shared day's close to the next one's."""
        return np.asarray(self.closes[1:] / self.closes[:-1] - 1.0)


def read_panel(paths: Sequence[Path], symbols: Sequence[str], factors: Path | None = None) -> Panel:
    """Return the closes of ``symbols`` on the days on which every one of them has a bar.

    Bars shorter than a day give their session's last close. A factor row (date, price_factor, split_factor) holds up to
    and including its date (Lean's factor files); days after a symbol's last row keep that row's factors, since the next
    event is not known yet.

    Raises
    ------
    PricesError
        if a symbol is in no file, a price is not positive, a day is there twice, or fewer than two days are shared.
    market.feeds.port.FeedError
        if a file cannot be read.
    """
    closes = _closes(paths, symbols)
    adjusted: set[str] = set()
    if factors is not None:
        adjusted = _adjust(closes, factors)
    shared = closes[symbols[0]][0]
    for symbol in symbols[1:]:
        shared = np.intersect1d(shared, closes[symbol][0], assume_unique=True)
    if len(shared) < 2:
        raise PricesError(f"the symbols {', '.join(symbols)} share {len(shared)} days; at least 2 are needed")
    table = np.column_stack([values[np.searchsorted(days, shared)] for days, values in (closes[s] for s in symbols)])
    return Panel(tuple(symbols), shared, table, tuple(_jumps(symbols, shared, table, adjusted)))


def _closes(paths: Sequence[Path], symbols: Sequence[str]) -> dict[str, tuple[Dates, Float64Array]]:
    """Return each symbol's days, rising, and closes."""
    names: list[str] = []
    parts = [read_bars(path, names) for path in paths]
    found: dict[str, tuple[Dates, Float64Array]] = {}
    for symbol in symbols:
        mine = [_of_symbol(part, symbol) for part in parts if symbol in names]
        days = np.concatenate([days for days, _ in mine]) if mine else np.array([], dtype="datetime64[D]")
        if not len(days):
            listed = sorted({names[code] for part in parts for code in np.unique(part.symbol).tolist()})
            raise PricesError(
                f"symbol {symbol} is in none of {', '.join(path.name for path in paths)}; there are {', '.join(listed)}"
            )
        values = np.concatenate([values for _, values in mine])
        order = np.argsort(days, kind="stable")
        days, values = days[order], values[order]
        twice = np.flatnonzero(days[1:] == days[:-1])
        if len(twice):
            raise PricesError(f"{symbol} has two rows for {days[int(twice[0])]}; give each day once")
        wrong = np.flatnonzero(~(np.isfinite(values) & (values > 0.0)))
        if len(wrong):
            k = int(wrong[0])
            raise PricesError(f"{symbol} closes at {values[k]:g} on {days[k]}; a price must be a finite number above 0")
        found[symbol] = days, values
    return found


def _of_symbol(part: Rows, symbol: str) -> tuple[Dates, Float64Array]:
    """Return one file's days and closes of a symbol; of shorter bars each session's last one."""
    mine = np.flatnonzero(part.symbol == part.names.index(symbol))
    opens = part.open_ns[mine]
    order = np.argsort(opens, kind="stable")
    opens, values = opens[order], part.ohlcv[3, mine[order]]
    steps, counts = np.unique(np.diff(opens), return_counts=True)
    step = int(steps[np.argmax(counts)]) if len(steps) else DAY_NS
    if step >= DAILY_NS:
        return (opens // DAY_NS).astype("datetime64[D]"), values
    calendar = instrument_for(symbol, part.names[int(part.exchange[mine[0]])]).calendar
    if calendar == ALWAYS:
        days = (opens // DAY_NS).astype("datetime64[D]")
    else:
        known = sessions(calendar, int(opens[0]) - 10 * DAY_NS, int(opens[-1]) + 10 * DAY_NS)
        place = known.closes_ns.searchsorted(opens, side="right")
        inside = known.opens_ns[place] < opens + step
        days, values = np.array(known.dates, dtype="datetime64[D]")[place[inside]], values[inside]
    last = np.flatnonzero(np.append(days[1:] != days[:-1], True)) if len(days) else np.array([], dtype=np.int64)
    return days[last], values[last]


def _adjust(closes: dict[str, tuple[Dates, Float64Array]], path: Path) -> set[str]:
    """Multiply each symbol's closes by its factors; return which symbols the file names."""
    table = columns.read_table(path, ("price_factor", "split_factor"))
    columns.require_columns(path, table, ("sym", "date", "price_factor", "split_factor"), "factors")
    codes, names = columns.texts(path, table, "sym")
    days = (columns.instants(path, table, "date") // DAY_NS).astype("datetime64[D]")
    factors = columns.numbers(path, table, "price_factor") * columns.numbers(path, table, "split_factor")
    wrong = np.flatnonzero(~(np.isfinite(factors) & (factors > 0.0)))
    if len(wrong):
        raise PricesError(f"{path} row {int(wrong[0]) + 1}: factors must be finite numbers above 0")
    named = set(closes) & set(names)
    for symbol in named:
        mine = np.flatnonzero(codes == names.index(symbol))
        mine = mine[np.argsort(days[mine], kind="stable")]
        own, values = closes[symbol]
        row = np.minimum(days[mine].searchsorted(own, side="left"), len(mine) - 1)
        closes[symbol] = own, values * factors[mine][row]
    return named


def _jumps(symbols: Sequence[str], days: Dates, closes: Float64Array, adjusted: set[str]) -> list[str]:
    moves = np.abs(np.diff(np.log(closes), axis=0))
    found = [
        f"{symbol} goes from {closes[k, i]:g} to {closes[k + 1, i]:g} on {days[k + 1]}: a split that is not adjusted "
        "for? --factors FILE applies price and split factors"
        for i, symbol in enumerate(symbols)
        if symbol not in adjusted
        for k in np.flatnonzero(moves[:, i] > JUMP).tolist()
    ]
    return [*found[:NAMED], f"... and {len(found) - NAMED} more such jumps"] if len(found) > NAMED else found
