"""The instruments of a configuration as rows, and a slice of the market laid over them."""

from bisect import bisect_right
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.configuration import Configuration, pair_direction
from engine.layout import PLACED, RATE, SYMBOL, Table
from engine.steps import lay_bars
from events.types import Bar, MarketSlice
from market.bars import empty_bars
from market.calendars import Sessions, session_index, sessions
from market.instruments import Instrument

FIRST_NS = int(np.datetime64("1981-01-01", "ns").astype(np.int64))
LAST_NS = int(np.datetime64("2049-01-01", "ns").astype(np.int64))
SECOND_NS = 1_000_000_000


class Universe:
    """Rows of all instruments; a symbol keeps its row for as long as the account lives.

    Attributes
    ----------
    symbols : engine.layout.SYMBOL [n].
    bars : market.bars.BAR [n], the current slice; only in-session bars are present.
    session_open_ns, session_close_ns : i8 [n], the session that the row's bar overlaps.
    lot_sizes : units in one lot, by row.
    currencies, rates, rate_sources : the account's own currency and those with a rate; rates f8 [k] to the account's
        (the first is 1), engine.layout.RATE [k].
    present : how many in-session bars the current slice has.
    """

    def __init__(self, configuration: Configuration) -> None:
        self.instruments = list(configuration.instruments)
        self._in_quote = [instrument.volume_unit == "quote" for instrument in self.instruments]
        self.index = {instrument.symbol: i for i, instrument in enumerate(self.instruments)}
        self.interval_s = configuration.source.interval_s
        self.currencies = self.currencies_of(configuration)
        self.calendars = sorted({instrument.calendar for instrument in self.instruments})
        self._sessions: list[Sessions] = [sessions(name, FIRST_NS, LAST_NS) for name in self.calendars]
        self._calendar_of = [self.calendars.index(instrument.calendar) for instrument in self.instruments]
        self._latest = [(0, 0)] * len(self.calendars)  # the session that a calendar's last bar was in
        self.symbols: Table = np.zeros(len(self.instruments), dtype=SYMBOL)
        self.bars = empty_bars(len(self.instruments))
        self.session_open_ns: npt.NDArray[np.int64] = np.zeros(len(self.instruments), dtype=np.int64)
        self.session_close_ns: npt.NDArray[np.int64] = np.zeros(len(self.instruments), dtype=np.int64)
        self.home = next((c for c in self.calendars if c != "24/7"), self.calendars[0] if self.calendars else "24/7")
        self._day, self._next_day = 0, 0
        self.rates: npt.NDArray[np.float64] = np.zeros(len(self.currencies))
        self.rates[0] = 1.0
        self.rate_sources: Table = self._rate_sources(configuration)
        for row, instrument in zip(self.symbols, self.instruments, strict=True):
            self._fill_row(row, instrument, configuration.source.interval_s)
        self.lot_sizes = [i.lot_numerator / i.lot_denominator for i in self.instruments]
        self.present = 0
        self._placed_rows: Table = np.zeros(len(self.instruments), dtype=PLACED)

    @staticmethod
    def currencies_of(configuration: Configuration) -> list[str]:
        """Return the account's currency and those that a rate is configured for, in this order: their slots."""
        return [configuration.settings.account.currency, *configuration.settings.rates]

    def _rate_sources(self, configuration: Configuration) -> Table:
        sources = np.zeros(len(self.currencies), dtype=RATE)
        for c, currency in enumerate(self.currencies):
            pair = configuration.settings.rates.get(currency, "")
            inverse = pair_direction(pair, currency, self.currencies[0]) < 0
            sources[c] = self.index.get(pair, -1) if c else -1, int(inverse)
        return sources

    def _has_rate(self, currency: str) -> bool:
        """Whether a currency is the account's, or its pair is among the symbols."""
        if currency not in self.currencies:
            return False
        c = self.currencies.index(currency)
        return c == 0 or int(self.rate_sources[c]["row"]) >= 0

    def _fill_row(self, row: Any, instrument: Instrument, interval_s: int) -> None:
        foreign = not self._has_rate(instrument.currency)
        row["lot_numerator"], row["lot_denominator"] = instrument.lot_numerator, instrument.lot_denominator
        row["tick"] = instrument.tick
        row["currency"] = 0 if foreign else self.currencies.index(instrument.currency)
        row["calendar"] = self.calendars.index(instrument.calendar)
        # without a rate to the account's currency a value would be invented: charted, not traded
        row["tradable"] = int(instrument.tradable and not foreign)
        row["shortable"], row["restricted"] = int(instrument.shortable), int(instrument.restricted)
        row["interval_ns"] = interval_s * SECOND_NS

    def untradable_for_currency(self) -> list[str]:
        """Symbols whose currency has no rate to the account's."""
        return [i.symbol for i in self.instruments if i.tradable and not self._has_rate(i.currency)]

    @property
    def tradable(self) -> int:
        """How many symbols may be traded."""
        return int(np.count_nonzero((self.symbols["tradable"] != 0) & (self.symbols["restricted"] == 0)))

    def lay(self, market: MarketSlice) -> None:
        """Lay a slice's bars over the rows; bars out of session and of unknown symbols are not laid."""
        placed = [each for bar in market.bars if (each := self._placed(bar)) is not None]
        rows = self._placed_rows if len(placed) <= len(self._placed_rows) else np.zeros(len(placed), dtype=PLACED)
        for k, each in enumerate(placed):
            rows[k] = each
        lay_bars(self.symbols, self.bars, self.session_open_ns, self.session_close_ns, rows[: len(placed)])
        self.present = len(placed)

    def _placed(self, bar: Bar) -> tuple[Any, ...] | None:
        i = self.index.get(bar.symbol)
        if i is None:
            return None
        c = self._calendar_of[i]
        opened, closes = self._latest[c]
        if not (opened <= bar.open_ns and bar.close_ns <= closes):
            known = self._sessions[c]
            k = session_index(known.opens_ns, known.closes_ns, bar.open_ns, bar.close_ns)
            if k < 0:
                return None
            opened, closes = self._latest[c] = int(known.opens_ns[k]), int(known.closes_ns[k])
        volume = bar.volume
        if self._in_quote[i]:
            volume /= bar.close  # type: ignore[operator] # a validated bar has both
        return (
            i, bar.open, bar.high, bar.low, bar.close, volume, bar.open_ns, bar.close_ns,
            bar.interval_s * SECOND_NS, opened, closes,
        )  # fmt: skip

    def next_close_ns(self, i: int, after_ns: int) -> int:
        """Return the close of the first session of symbol i's calendar that closes after an instant."""
        known = self._sessions[self._calendar_of[i]]
        return int(known.closes_ns[int(known.closes_ns.searchsorted(after_ns, side="right"))])

    def session_close_after(self, calendar: str, instant_ns: int) -> int:
        """Return the first session close of a calendar after an instant."""
        known = self._sessions[self.calendars.index(calendar)]
        return int(known.closes_ns[int(known.closes_ns.searchsorted(instant_ns, side="right"))])

    def nights_after(self, calendar: str, close_ns: int) -> int:
        """Return the calendar nights from the session that ends at an instant to the next one of its calendar."""
        known = self._sessions[self.calendars.index(calendar)]
        k = int(known.closes_ns.searchsorted(close_ns, side="left"))
        return int((np.datetime64(known.dates[k + 1]) - np.datetime64(known.dates[k])).astype(int))

    def session_open_after(self, calendar: str, instant_ns: int) -> int:
        """Return the first session open after an instant."""
        known = self._sessions[self.calendars.index(calendar)]
        return int(known.opens_ns[int(known.opens_ns.searchsorted(instant_ns, side="right"))])

    def longest_session_ns(self) -> int:
        """Return the length of the longest session among the calendars."""
        return max((int((each.closes_ns - each.opens_ns).max()) for each in self._sessions), default=0)

    def sessions_since(self, date: str, instant_ns: int) -> int:
        """Return how many sessions of the home calendar after an ISO date had opened before an instant."""
        known = self._sessions[self.calendars.index(self.home)]
        opened = int(known.opens_ns.searchsorted(instant_ns, side="left"))
        return max(0, opened - bisect_right(known.dates, date))

    def session_length_s(self, calendar: str, instant_ns: int) -> int:
        """Return the length of the last session that had closed at an instant."""
        known = self._sessions[self.calendars.index(calendar)]
        k = max(0, int(known.closes_ns.searchsorted(instant_ns, side="right")) - 1)
        return int(known.closes_ns[k] - known.opens_ns[k]) // SECOND_NS

    def day_of(self, instant_ns: int) -> int:
        """Return the open of the home calendar's last session that opened before an instant."""
        if not self._day < instant_ns <= self._next_day:
            opens = self._sessions[self.calendars.index(self.home)].opens_ns
            k = max(1, int(opens.searchsorted(instant_ns, side="left")))
            self._day, self._next_day = int(opens[k - 1]), int(opens[k])
        return self._day
