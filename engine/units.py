"""Unit books: each strategy alone with the account's initial cash, whatever its weight.

Scores, benching and comparisons use them, so that a benched strategy can come back. Their orders fill at the next open
with spread, impact and fee of their own lots; no volume budget, no account checks.
"""

import math
from typing import Any

from numba import njit

from engine.decisions import bounded_target, truncated_lots
from engine.fills import market_price_micro
from engine.ledger import financing_micro, notional_micro, price_against_us, trade_fee


@njit(cache=True)
def fill_units(  # noqa: PLR0917 - compiled code is called with positions
    symbols: Any, bars: Any, books: Any, strategies: Any, costs: Any, rates: Any
) -> None:
    """Fill what the unit books wait for at the open of this slice's bars; call it before the marks move.

    They have cash of the account's currency alone: other money is changed at the rate of the moment.
    """
    for i in range(len(symbols)):
        row, bar = symbols[i], bars[i]
        if row.present == 0 or row.tradable == 0:
            continue
        for s in range(len(strategies)):
            held = books[s, i]
            lots = held.unit_pending
            if lots == 0:
                continue
            side = 1 if lots > 0 else -1
            quantity = abs(lots) * row.lot_numerator / row.lot_denominator
            price = market_price_micro(
                bar.open, side, quantity, bar.volume, row.sigma, row.tick, costs.half_spread, costs.impact_eta
            )
            notional = notional_micro(abs(lots), price, row.lot_numerator, row.lot_denominator, side > 0)
            paid = side * notional + trade_fee(row, abs(lots), notional, False)  # noqa: FBT003 - compiled
            if row.currency != 0:
                paid = int(math.ceil(paid * rates[row.currency]))  # noqa: RUF046 - a double where compiled
            strategies[s].unit_cash_micro -= paid
            held.unit_lots += lots
            held.unit_pending = 0


@njit(cache=True)
def size_units(  # noqa: PLR0917 - compiled code is called with positions
    symbols: Any, books: Any, strategies: Any, limits: Any, rates: Any, budget: float
) -> None:
    """Value the unit books at this slice's marks and let them want what their targets say."""
    for s in range(len(strategies)):
        equity = strategies[s].unit_cash_micro * 1e-6
        for i in range(len(symbols)):
            row = symbols[i]
            equity += books[s, i].unit_lots * row.lot_numerator / row.lot_denominator * row.mark * rates[row.currency]
        strategies[s].unit_equity = equity
        for i in range(len(symbols)):
            row, held = symbols[i], books[s, i]
            if row.present == 0 or row.tradable == 0:
                continue
            target = bounded_target(held)
            unit = row.lot_numerator / row.lot_denominator
            price = row.mark * rates[row.currency]
            delta = truncated_lots(target, equity * budget, price, unit) - held.unit_lots
            if target == 0.0 or abs(delta) * unit * price >= limits.no_trade_band * max(0.0, equity) * budget:
                held.unit_pending = delta
            else:
                held.unit_pending = 0


@njit(cache=True)
def pay_units(i: int, symbols: Any, books: Any, strategies: Any, rates: Any, per_unit_micro: int) -> None:  # noqa: PLR0917
    """Let the unit books receive a dividend of symbol i (micro-units a unit); shorts pay it. Rounded against us."""
    row = symbols[i]
    for s in range(len(strategies)):
        lots = books[s, i].unit_lots
        if lots == 0:
            continue
        amount = notional_micro(abs(lots), per_unit_micro, row.lot_numerator, row.lot_denominator, lots < 0)
        strategies[s].unit_cash_micro += _home(row, rates, amount if lots > 0 else -amount)


@njit(cache=True)
def finance_units(  # noqa: PLR0917 - compiled code is called with positions
    i: int, symbols: Any, books: Any, strategies: Any, rates: Any, ppm: int, nights: int
) -> None:
    """Charge the unit books that are short of symbol i for the nights to come."""
    row = symbols[i]
    for s in range(len(strategies)):
        lots = books[s, i].unit_lots
        if lots < 0:
            price = price_against_us(row.mark, 1)
            value = notional_micro(-lots, price, row.lot_numerator, row.lot_denominator, True)  # noqa: FBT003 - compiled
            strategies[s].unit_cash_micro += _home(row, rates, -financing_micro(value, ppm, nights))


@njit(cache=True)
def split_units(  # noqa: PLR0917 - compiled code is called with positions
    i: int, symbols: Any, books: Any, strategies: Any, rates: Any, numerator: int, denominator: int
) -> None:
    """Multiply the unit books' whole lots; the rest is sold at symbol i's mark, which is the new one already."""
    row = symbols[i]
    for s in range(len(strategies)):
        held = books[s, i]
        held.unit_pending = 0
        if held.unit_lots == 0:
            continue
        side = 1 if held.unit_lots > 0 else -1
        scaled = abs(held.unit_lots) * numerator
        whole = scaled // denominator
        rest = (scaled - whole * denominator) / denominator * row.lot_numerator / row.lot_denominator
        amount = int(math.floor(side * rest * row.mark * 1e6))  # noqa: RUF046 - a double where compiled
        strategies[s].unit_cash_micro += _home(row, rates, amount)
        held.unit_lots = side * whole


@njit(cache=True)
def _home(row: Any, rates: Any, amount: int) -> int:
    """Return signed micro-units of a symbol's currency in the account's, rounded down."""
    if row.currency == 0:
        return amount
    return int(math.floor(amount * rates[row.currency]))  # noqa: RUF046 - a double where compiled
