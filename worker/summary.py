"""What a run came to, from the execution journal: counted without the engine, so that it can contradict it."""

from typing import Any

import msgspec

from engine.configuration import Configuration
from events.codec import decode_payload
from events.paths import DataPaths
from events.reader import JournalReader
from events.types import AccountEvent, AdjustmentEvent, Bar, ControlEvent, MarketSlice, TradeEvent
from market.calendars import session_of_bar
from worker.projection import Projection
from worker.view import LAST_VIEW

JOURNAL = "execution"
MICRO = 1_000_000
WANTED = frozenset(
    {"MarketSlice", "OrderEvent", "FillEvent", "TradeEvent", "AdjustmentEvent", "AccountEvent", "ControlEvent"}
)
NO_LATENCY: dict[str, Any] = {"p50": None, "p95": None, "p99": None, "max": None, "n": 0}


class _Account:
    """Positions from booked fills, marks from in-session bars, cash from the last account record."""

    def __init__(self) -> None:
        self.projection = Projection()
        self.quantities: dict[str, float] = {}
        self.marks: dict[str, float] = {}
        self.calendars: dict[str, str] = {}
        self.initial_cash = 0.0
        self.last: AccountEvent | None = None

    def take(self, payload: Any) -> None:
        """Take one record."""
        self.projection.take(payload)
        match payload:
            case MarketSlice():
                for bar in payload.bars:
                    self._mark(bar)
            case TradeEvent():
                signed = payload.quantity if payload.side == "BUY" else -payload.quantity
                self.quantities[payload.symbol] = self.quantities.get(payload.symbol, 0.0) + signed
            case AdjustmentEvent(kind="split"):
                self.quantities[payload.symbol] = payload.quantity
            case AccountEvent():
                self.last = payload
            case ControlEvent(action="configure"):
                self._configure(payload)

    def positions(self) -> dict[str, dict[str, float]]:
        """Return quantity, mark and value of every position that is not zero."""
        held = {symbol: quantity for symbol, quantity in sorted(self.quantities.items()) if abs(quantity) > 1e-9}
        return {
            symbol: {"qty": quantity, "mark": self.marks[symbol], "value": quantity * self.marks[symbol]}
            for symbol, quantity in held.items()
        }

    def _mark(self, bar: Bar) -> None:
        calendar = self.calendars.get(bar.symbol)
        if bar.close is not None and calendar is not None and session_of_bar(calendar, bar.open_ns, bar.close_ns):
            self.marks[bar.symbol] = bar.close

    def _configure(self, event: ControlEvent) -> None:
        try:
            given = msgspec.json.decode(event.content, type=Configuration)
        except msgspec.DecodeError:
            return  # the worker refused it too
        self.calendars.update({each.symbol: each.calendar for each in given.instruments})
        self.initial_cash = self.initial_cash or given.settings.account.initial_cash


def summarise(paths: DataPaths) -> dict[str, Any]:
    """Return bars, orders, denied, fills, equity, cash, positions, by_strategy, orders_sha256 and tick_to_order_ms.

    Latencies are those of the worker's last process: they are measured, not journaled.

    Raises
    ------
    events.segments.JournalDamaged
        if the journal does not hold.
    """
    account = _Account()
    for record in JournalReader(paths.journal / JOURNAL).read():
        if record.type in WANTED:
            account.take(decode_payload(record.type, record.payload))
    counts, projection = account.projection.counts, account.projection
    cash = account.last.cash_micro / MICRO if account.last is not None else account.initial_cash
    return {
        "bars": counts.bars,
        "orders": counts.orders,
        "denied": counts.denied,
        "fills": counts.fills,
        "equity": account.last.equity if account.last is not None else cash,
        "cash": cash,
        "positions": account.positions(),
        "by_strategy": projection.by_strategy,
        "orders_sha256": projection.digest.hexdigest(),
        "tick_to_order_ms": _latency(paths),
    }


def _latency(paths: DataPaths) -> dict[str, Any]:
    try:
        view = msgspec.json.decode((paths.run / LAST_VIEW).read_bytes(), type=dict[str, Any])
    except (OSError, msgspec.DecodeError):
        return NO_LATENCY
    found = view.get("tick_to_order_ms")
    return found if isinstance(found, dict) else NO_LATENCY
