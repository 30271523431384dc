"""Prices of the home calendar's sessions as the execution journal holds them, on a grid of five minutes."""

from pathlib import Path

import msgspec

from agents.settled import JournalBehindError
from events.reader import JournalReader
from events.types import MarketSlice
from market.calendars import ALWAYS, Sessions, sessions
from market.instruments import instrument_for

STEP_NS = 300_000_000_000
DAY_NS = 86_400_000_000_000

Grid = dict[str, dict[int, float]]
"""Symbol to step of its session to the last price of that step; step k ends k x five minutes after the open."""

SessionGrids = dict[str, Grid]
"""Session date to grid."""


def read_prices(journal: Path, *, calendar: str, from_seq: int, through_seq: int) -> SessionGrids:
    """Return the closes of every valid bar in records ``from_seq`` to ``through_seq``, by session of ``calendar``.

    A bar outside the sessions counts where its own market was open: a coin's price of the night is step 0 of the
    session to come. Others of the night are left out, as the engine leaves them out.

    Raises
    ------
    JournalBehindError
        if the journal ends before ``through_seq``.
    JournalDamaged
        if a record in between does not hold.
    """
    found: SessionGrids = {}
    if from_seq > through_seq:
        return found
    decoder, last = msgspec.json.Decoder(MarketSlice), from_seq - 1
    clock = _SessionClock(calendar)
    for record in JournalReader(journal).read(from_seq):
        if record.seq > through_seq:
            break
        last = record.seq
        if record.type == "MarketSlice":
            market = decoder.decode(record.payload)
            date, step = clock.place(market.close_ns)
            for bar in market.bars:
                if bar.close is not None and (step > 0 or clock.never_closes(bar.symbol, bar.exchange)):
                    found.setdefault(date, {}).setdefault(bar.symbol, {})[step] = bar.close
    if last < through_seq:
        raise JournalBehindError(f"the execution journal ends at {last}, before {through_seq}")
    return found


class _SessionClock:
    """Where an instant lies in the sessions of one calendar; its table of sessions goes with the instants."""

    def __init__(self, calendar: str) -> None:
        self._calendar = calendar
        self._known: Sessions | None = None
        self._always: dict[str, bool] = {}

    def place(self, close_ns: int) -> tuple[str, int]:
        """Return the session that an instant is in or before, and its step: 0 before the open."""
        if self._known is None or close_ns > self._known.closes_ns[-1]:
            self._known = sessions(self._calendar, close_ns - 10 * DAY_NS, close_ns + 400 * DAY_NS)
        k = int(self._known.closes_ns.searchsorted(close_ns, side="left"))
        return self._known.dates[k], max(0, -(-(close_ns - int(self._known.opens_ns[k])) // STEP_NS))

    def never_closes(self, symbol: str, exchange: str) -> bool:
        """Whether a symbol's own market is open at night too."""
        if symbol not in self._always:
            self._always[symbol] = instrument_for(symbol, exchange).calendar == ALWAYS
        return self._always[symbol]


def merged(old: Grid, new: Grid) -> Grid:
    """Return one session's prices of two stretches of the journal; the later stretch wins."""
    return {symbol: {**old.get(symbol, {}), **new.get(symbol, {})} for symbol in {**old, **new}}
