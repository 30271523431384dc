"""A feed whose bars are all known at its start: replay and sample are two sources of it."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from events.types import Bar, CorporateActionEvent, StanceEvent
from market.feeds.actions import read_action_events
from market.feeds.bar_table import BarTable, Rows, build
from market.feeds.merge import merge
from market.feeds.port import Batch, FeedError, FeedRequest, Health, Label, SourceDescription
from market.feeds.quote_table import QuoteRows, QuoteTable
from market.feeds.stances import read_stances
from market.instruments import Instrument, has_definition, instrument_for


class KnownFeed:
    """Rows of one or more sources, filtered to the wanted symbols; corporate actions and stances are merged in.

    Raises
    ------
    FeedError
        if a wanted symbol is absent, or the rows, the actions or the stances cannot be used.
    """

    def __init__(
        self, name: str, label: Label, parts: list[Rows], request: FeedRequest, *, paths: tuple[Path, ...] = (),
        quotes: list[QuoteRows] | None = None,
    ) -> None:  # fmt: skip
        self.name = name
        self._label: Label = label
        self._paths = paths
        origins = [part.origin for part in parts]
        self._detail = ", ".join(origins + [part.origin for part in quotes or []])
        wanted = _wanted(parts, request.symbols, ", ".join(origins))
        kept = [part.only(np.isin(part.symbol, wanted)) for part in parts]
        self._table: BarTable = build(name, [part for part in kept if len(part.open_ns)], request.interval_s)
        self._instruments, self._intervals = _instruments(self._table)
        self._quotes = QuoteTable(name, quotes or [], self._instruments, request.interval_s)
        self._stances: tuple[StanceEvent, ...] = ()
        if request.stances is not None:
            self._stances = read_stances(request.stances, self._intervals, request.strategies)
        self._actions: tuple[CorporateActionEvent, ...] = ()
        if request.actions is not None:
            first, last = int(self._table.sent_ns[0]), int(self._table.sent_ns[-1])
            self._actions = read_action_events(request.actions, name, self._instruments, first, last)

    def describe(self) -> SourceDescription:
        """Return what the source holds."""
        undefined = [i.symbol for i in self._instruments if not has_definition(i.symbol, i.exchange)]
        warnings = []
        if undefined:
            defaults = "the exchange's defaults hold (tick, lot, calendar, currency)"
            warnings.append(f"no definition of {', '.join(undefined)}: {defaults}")
        if self._quotes.left_out:
            warnings.append(f"{self._quotes.left_out} quotes outside their symbol's sessions are left out")
        return SourceDescription(
            label=self._label,
            detail=self._detail,
            instruments=self._instruments,
            intervals_s=self._intervals,
            bars=len(self._table),
            warnings=tuple(warnings),
        )

    def batches(self, from_ordinal: int = 1) -> Iterator[Batch]:
        """Yield everything from an ordinal on."""
        asides: list[CorporateActionEvent | StanceEvent] = [*self._actions, *self._stances]
        asides.sort(key=lambda each: each.effective_from_ns)  # stable: actions first
        return merge(self.name, self._quotes.beside(self._table.slices()), asides, from_ordinal)

    def history(self, start_ns: int, end_ns: int) -> Iterator[Bar]:
        """Yield the bars that close in (start_ns, end_ns]."""
        return self._table.between(start_ns, end_ns)

    def health(self) -> Health:
        """Return whether the files are still there; the bars themselves are in memory."""
        gone = [str(path) for path in self._paths if not path.exists()]
        return Health(not gone, f"{', '.join(gone)} is gone" if gone else self._detail)


def _wanted(parts: list[Rows], symbols: tuple[str, ...], detail: str) -> list[int]:
    names = parts[0].names
    there = {names[code]: code for part in parts for code in np.unique(part.symbol).tolist()}
    absent = [symbol for symbol in symbols if symbol not in there]
    if absent:
        raise FeedError(f"--symbols: {', '.join(absent)} not in {detail}, which has {', '.join(sorted(there))}")
    return [there[symbol] for symbol in symbols or there]


def _instruments(table: BarTable) -> tuple[tuple[Instrument, ...], dict[str, int]]:
    rows, names = table.rows, table.rows.names
    found: dict[str, tuple[Instrument, int]] = {}
    for code in np.unique(rows.symbol).tolist():
        mine = np.flatnonzero(rows.symbol == code)
        closes = rows.ohlcv[3, mine]
        usable = closes[np.isfinite(closes) & (closes > 0.0)]
        instrument = instrument_for(
            names[code], names[int(rows.exchange[mine[0]])], float(usable[0]) if len(usable) else None
        )
        found[names[code]] = (instrument, int(table.interval_s[mine[0]]))
    ordered = sorted(found)
    return tuple(found[name][0] for name in ordered), {name: found[name][1] for name in ordered}
