"""The instruments of a configuration as rows, and a slice of the market laid over them."""

from typing import Any

import numpy as np
import numpy.typing as npt

from engine.configuration import Configuration
from engine.layout import SYMBOL, Table
from events.types import MarketSlice
from market.bars import empty_bars
from market.calendars import Sessions, session_index, sessions

FIRST_NS = int(np.datetime64("1981-01-01", "ns").astype(np.int64))
LAST_NS = int(np.datetime64("2049-01-01", "ns").astype(np.int64))


class Universe:
    """Rows of all instruments; a symbol keeps its row for as long as the account lives.

    Attributes
    ----------
    symbols : engine.layout.SYMBOL [n].
    bars : market.bars.BAR [n], the current slice; only in-session bars are present.
    session_open_ns, session_close_ns : i8 [n], the session that the row's bar overlaps.
    """

    def __init__(self, configuration: Configuration) -> None:
        self.instruments = list(configuration.instruments)
        self.index = {instrument.symbol: i for i, instrument in enumerate(self.instruments)}
        self.currencies = [configuration.settings.account.currency]
        self.calendars = sorted({instrument.calendar for instrument in self.instruments})
        self._sessions: list[Sessions] = [sessions(name, FIRST_NS, LAST_NS) for name in self.calendars]
        self.symbols: Table = np.zeros(len(self.instruments), dtype=SYMBOL)
        self.bars = empty_bars(len(self.instruments))
        self.session_open_ns: npt.NDArray[np.int64] = np.zeros(len(self.instruments), dtype=np.int64)
        self.session_close_ns: npt.NDArray[np.int64] = np.zeros(len(self.instruments), dtype=np.int64)
        self.home = next((c for c in self.calendars if c != "24/7"), self.calendars[0] if self.calendars else "24/7")
        for row, instrument in zip(self.symbols, self.instruments, strict=True):
            self._fill_row(row, instrument, configuration.source.interval_s)
        self.rates: npt.NDArray[np.float64] = np.ones(len(self.currencies))
        self._dirty: list[int] = []

    def _fill_row(self, row: Any, instrument: Any, interval_s: int) -> None:
        foreign = instrument.currency not in self.currencies
        row["lot_numerator"], row["lot_denominator"] = instrument.lot_numerator, instrument.lot_denominator
        row["tick"] = instrument.tick
        row["calendar"] = self.calendars.index(instrument.calendar)
        # without a rate to the account's currency a value would be invented: charted, not traded
        row["tradable"] = int(instrument.tradable and not foreign)
        row["shortable"], row["restricted"] = int(instrument.shortable), int(instrument.restricted)
        row["interval_ns"] = interval_s * 1_000_000_000

    def untradable_for_currency(self) -> list[str]:
        """Symbols whose currency has no rate to the account's."""
        return [i.symbol for i in self.instruments if i.tradable and i.currency not in self.currencies]

    @property
    def tradable(self) -> int:
        """How many symbols may be traded."""
        return int(np.count_nonzero((self.symbols["tradable"] != 0) & (self.symbols["restricted"] == 0)))

    def lay(self, market: MarketSlice) -> int:
        """Lay a slice's bars over the rows; return how many are in session."""
        symbols, bars = self.symbols, self.bars
        for i in self._dirty:
            bars[i]["present"] = False
            symbols[i]["present"] = 0
        self._dirty.clear()
        for bar in market.bars:
            i = self.index[bar.symbol]
            calendar = self._sessions[int(symbols[i]["calendar"])]
            k = session_index(calendar.opens_ns, calendar.closes_ns, bar.open_ns, bar.close_ns)
            if k < 0:
                continue
            self._place(i, bar, int(calendar.opens_ns[k]), int(calendar.closes_ns[k]))
        return len(self._dirty)

    def _place(self, i: int, bar: Any, open_ns: int, close_ns: int) -> None:
        self.bars[i] = (bar.open, bar.high, bar.low, bar.close, bar.volume, bar.open_ns, bar.close_ns, True)
        self.session_open_ns[i], self.session_close_ns[i] = open_ns, close_ns
        row = self.symbols[i]
        if row["session_open_ns"] != open_ns:
            row["previous_close"] = row["mark"]
            row["session_open_ns"], row["session_close_ns"] = open_ns, close_ns
        row["present"] = 1
        row["interval_ns"] = bar.interval_s * 1_000_000_000
        self._dirty.append(i)

    def next_close_ns(self, i: int, after_ns: int) -> int:
        """Return the close of the first session of symbol i's calendar that closes after an instant."""
        calendar = self._sessions[int(self.symbols[i]["calendar"])]
        k = int(np.searchsorted(calendar.closes_ns, after_ns, side="right"))
        return int(calendar.closes_ns[k])

    def session_open_after(self, calendar: str, instant_ns: int) -> int:
        """Return the first session open after an instant."""
        known = self._sessions[self.calendars.index(calendar)]
        return int(known.opens_ns[int(np.searchsorted(known.opens_ns, instant_ns, side="right"))])

    def day_of(self, instant_ns: int) -> int:
        """Return the open of the home calendar's last session that opened before an instant."""
        known = self._sessions[self.calendars.index(self.home)]
        return int(known.opens_ns[max(0, int(np.searchsorted(known.opens_ns, instant_ns, side="left")) - 1)])
