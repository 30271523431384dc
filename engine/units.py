"""Unit books: each strategy alone with the account's initial cash, whatever its weight.

Scores, benching and comparisons use them, so that a benched strategy can come back. Their orders fill at the next open
with spread, impact and fee of their own lots; no volume budget, no account checks.
"""

from typing import Any

from numba import njit

from engine.decisions import bounded_target, truncated_lots
from engine.fills import market_price_micro
from engine.ledger import fee_micro, notional_micro


@njit(cache=True)
def fill_units(symbols: Any, bars: Any, books: Any, strategies: Any, costs: Any) -> None:
    """Fill what the unit books wait for at the open of this slice's bars; call it before the marks move."""
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
            strategies[s].unit_cash_micro -= side * notional + fee_micro(notional, costs.fee_ppm)
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
