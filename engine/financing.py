"""What shorts cost overnight: a rate a year on their marked value, charged after each session of their calendar.

ACT/360: a session's charge covers the calendar nights until the next one, three from a Friday to a Monday; a market
that never closes pays each midnight UTC for one night. The instant is a nanosecond after the session's close, when its
last slice has been marked and before anything later can fill.
"""

import numpy as np

from engine.adjustments import finance_short
from engine.output import Output, say
from engine.state import State
from engine.steps import value
from engine.units import finance_units
from events.types import AdjustmentEvent

AFTER_NS = 1


class Financing:
    """The instants at which each calendar's shorts are charged; part of the engine's due table."""

    def __init__(self) -> None:
        self.due: dict[str, int] = {}

    def next_instant(self, state: State) -> int | None:
        """Return the next charge, None where nothing is charged."""
        if state.configuration.settings.costs.financing_bps <= 0.0:
            return None
        return min((due for name, due in self.due.items() if name in state.universe.calendars), default=None)

    def start(self, state: State, now_ns: int) -> None:
        """Begin with the session that ends next in each calendar: no night before the first slice is paid."""
        for calendar in state.universe.calendars:
            self.due.setdefault(calendar, state.universe.session_close_after(calendar, now_ns - AFTER_NS) + AFTER_NS)

    def advance(self, state: State, instant_ns: int) -> list[Output]:
        """Charge every calendar whose session has ended by an instant; without a rate only move on."""
        outputs: list[Output] = []
        ppm = int(state.costs[0]["financing_ppm"])
        for c, calendar in enumerate(state.universe.calendars):
            while calendar in self.due and self.due[calendar] <= instant_ns:
                closed_ns = self.due[calendar] - AFTER_NS
                following = state.universe.session_close_after(calendar, closed_ns)
                self.due[calendar] = following + AFTER_NS
                if ppm > 0:
                    nights = state.universe.nights_after(calendar, closed_ns)
                    outputs += charge(state, c, ppm, nights, closed_ns + AFTER_NS)
        return outputs


def charge(state: State, calendar: int, ppm: int, nights: int, now_ns: int) -> list[Output]:
    """Charge the shorts of one calendar for some nights: the account, its strategies' books, the unit books."""
    symbols = state.universe.symbols
    outputs: list[Output] = []
    for i in np.flatnonzero((symbols["calendar"] == calendar) & (symbols["mark"] > 0.0)).tolist():
        finance_units(i, symbols, state.books, state.strategies, state.universe.rates, ppm, nights)
        if symbols[i]["lots"] < 0:
            outputs.append(_charge(state, i, ppm, nights, now_ns))
    if outputs:
        value(state.account, symbols, state.books, state.strategies, state.universe.rates)
    return outputs


def _charge(state: State, i: int, ppm: int, nights: int, now_ns: int) -> Output:
    universe, row = state.universe, state.universe.symbols[i]
    cost, shares = finance_short(universe.symbols, state.books, i, state.account, ppm, nights)
    state.account[0]["financing_micro"] += round(cost * float(universe.rates[int(row["currency"])]))
    lots, mark = int(row["lots"]), float(row["mark"])
    paid = {name: -share for name, share in zip(state.names, shares, strict=True) if share}
    return say("AdjustmentEvent", AdjustmentEvent(
        engine_ns=now_ns, symbol=universe.instruments[i].symbol, kind="financing",
        currency=universe.instruments[i].currency, price=mark, lots_before=lots, lots=lots,
        quantity=lots * universe.lot_sizes[i], cash_micro=-cost,
        lots_by_strategy={
            name: held for name, held in zip(state.names, state.books[:, i]["lots"].tolist(), strict=True) if held
        },
        cash_by_strategy_micro=paid, realised={name: amount * 1e-6 for name, amount in paid.items()},
    ))  # fmt: skip
