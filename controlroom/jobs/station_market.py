"""The station's own bars as the market of a tournament: its journal up to a record, and files from before it."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import numpy as np

from controlroom.supervisor.errors import BadInputError
from controlroom.supervisor.tournament_market import market_of
from events.reader import JournalReader
from events.types import AccountEvent, Bar, CorporateActionEvent, MarketSlice
from market.feeds.bar_table import Rows
from market.feeds.replay.reader import read_bars
from tournaments.market import Market


@dataclass(frozen=True)
class StationBars:
    """Valid bars of the journal in its order, with the account's last equity in its currency, None before the first."""

    rows: Rows
    equity: float | None
    splits: tuple[CorporateActionEvent, ...] = ()


def read_station(
    journal: Path, names: list[str], *, symbols: Collection[str], through_seq: int, until_ns: int
) -> StationBars:
    """Return the bars of these symbols up to an instant in records up to ``through_seq``; ``names`` get their words.

    A record that a crash made later than the opening may have later bars before it: they are left out.

    Raises
    ------
    BadInputError
        if the journal ends before that record.
    events.segments.JournalDamaged
        if a record before it does not hold.
    """
    found, splits, equity, last = list[Bar](), list[CorporateActionEvent](), None, -1
    slices, accounts = msgspec.json.Decoder(MarketSlice), msgspec.json.Decoder(AccountEvent)
    actions = msgspec.json.Decoder(CorporateActionEvent)
    for record in JournalReader(journal).read(0):
        if record.seq > through_seq:
            break
        last = record.seq
        if record.type == "MarketSlice":
            market = slices.decode(record.payload)
            found += [bar for bar in market.bars if bar.symbol in symbols and market.close_ns <= until_ns]
        elif record.type == "AccountEvent":
            account = accounts.decode(record.payload)
            equity = account.equity if account.engine_ns <= until_ns else equity
        elif record.type == "CorporateActionEvent":
            action = actions.decode(record.payload)
            splits += [action] if action.kind == "split" and action.effective_from_ns <= until_ns else []
    if last < through_seq:
        raise BadInputError(f"the journal ends at record {last}; the round was opened at {through_seq}")
    return StationBars(_rows(found, names), equity, tuple(splits))


def station_market(bars: StationBars, names: list[str], history: Sequence[str], until_ns: int) -> Market:
    """Return the market of the station's bars, with files of bars from before them; nothing opens after ``until_ns``.

    Raises
    ------
    BadInputError, market.feeds.port.FeedError
        if a file cannot be read, or nothing is left.
    """
    parts = [bars.rows] if len(bars.rows.symbol) else []
    parts += [_before(read_bars(Path(name), names), until_ns) for name in history]
    if not parts:
        raise BadInputError("the station has no bar of these symbols yet, and no file of their history")
    own = {names[code] for code in np.unique(parts[0].symbol).tolist()}
    every = set.intersection(*({names[code] for code in np.unique(part.symbol).tolist()} for part in parts))
    whole = [_split(part, names, bars.splits) for part in parts if len(part.symbol)]
    return market_of(whole, names, sorted(own & every))


def _split(part: Rows, names: list[str], splits: Sequence[CorporateActionEvent]) -> Rows:
    """Return the rows with prices and volumes of before a split as if it had been then: no night lost nine tenths."""
    ohlcv = part.ohlcv.copy()
    for each in splits:
        code = names.index(each.symbol) if each.symbol in names else -1
        before = (part.symbol == code) & (part.open_ns < each.effective_from_ns)
        ohlcv[:4, before] *= each.denominator / each.numerator
        ohlcv[4, before] *= each.numerator / each.denominator
    return replace(part, ohlcv=ohlcv)


def _before(part: Rows, until_ns: int) -> Rows:
    return part.only(part.open_ns < until_ns)


def _rows(found: Sequence[Bar], names: list[str]) -> Rows:
    def codes(words: Iterator[str]) -> np.ndarray:
        known = {name: k for k, name in enumerate(names)}
        made = np.empty(len(found), dtype=np.int64)
        for row, word in enumerate(words):
            if word not in known:
                known[word] = len(names)
                names.append(word)
            made[row] = known[word]
        return made

    values = [(bar.open, bar.high, bar.low, bar.close, bar.volume) for bar in found]
    return Rows(
        origin="the station's journal", names=names, symbol=codes(bar.symbol for bar in found),
        exchange=codes(bar.exchange for bar in found), data_source=codes(bar.data_source for bar in found),
        open_ns=np.array([bar.open_ns for bar in found], dtype=np.int64),
        ohlcv=np.array(values, dtype=np.float64).reshape(-1, 5).T,
    )  # fmt: skip
