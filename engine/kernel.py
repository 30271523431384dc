"""The portfolio kernel's first half: marks and the value of account and strategies over the state's tables.

It never calls a policy: targets stand in the book rows, so a new strategy recompiles nothing here. All functions are
compiled, deterministic, and use plain arithmetic and square roots alone. The second half is engine/decisions.py.

Tables (engine/layout.py): symbols [n], books [s, n], strategies [s], account, costs and limits one row each.
"""

from typing import Any

import numpy as np
from numba import njit

from engine.layout import RETURNS


@njit(cache=True)
def mark_symbols(symbols: Any, bars: Any, bars_to_count: int) -> None:
    """Take each present bar's close as its symbol's mark; renew sigma (of the last bar returns) and average volume."""
    for i in range(len(symbols)):
        row = symbols[i]
        if row.present == 0:
            continue
        close = bars[i].close
        if row.mark > 0.0 and row.bars > 0:
            row.returns[row.returns_seen % RETURNS] = close / row.mark - 1.0
            row.returns_seen += 1
            row.sigma = _deviation(row, bars_to_count)
        row.mark = close
        row.mark_ns = bars[i].close_ns
        row.volume = bars[i].volume
        weight = 2.0 / (bars_to_count + 1.0) if row.bars > 0 else 1.0
        row.volume_average += weight * (row.volume - row.volume_average)
        row.bars += 1


@njit(cache=True)
def _deviation(row: Any, count: int) -> float:
    n = min(count, row.returns_seen)
    if n < 2:
        return 0.0
    mean = 0.0
    for k in range(n):
        mean += row.returns[(row.returns_seen - 1 - k) % RETURNS]
    mean /= n
    squares = 0.0
    for k in range(n):
        distance = row.returns[(row.returns_seen - 1 - k) % RETURNS] - mean
        squares += distance * distance
    return float(np.sqrt(squares / (n - 1)))


@njit(cache=True)
def renew_rates(account: Any, symbols: Any, rates: Any, sources: Any) -> None:
    """Take each currency's rate to the account's from the mark of its pair; a rate stays until the next mark.

    ``sources`` engine.layout.RATE [k]: row of the pair (-1: the account's own currency), and whether it is the inverse.
    Until its pair has a mark a currency's rate is 0: nothing of it can be sized.
    """
    for c in range(1, len(rates)):
        source = sources[c]
        if source.row >= 0 and symbols[source.row].mark > 0.0:
            mark = symbols[source.row].mark
            rates[c] = 1.0 / mark if source.inverse != 0 else mark
        account.foreign_rate[c] = rates[c]


@njit(cache=True)
def value_account(account: Any, symbols: Any, books: Any, strategies: Any, rates: Any) -> None:
    """Renew equity, exposure, realised and unrealised of account and strategies from positions and marks."""
    gross, net, unrealised, realised = 0.0, 0.0, 0.0, 0.0
    for s in range(len(strategies)):
        strategies[s].pnl = 0.0
        strategies[s].gross = 0.0
        strategies[s].net = 0.0
    for i in range(len(symbols)):
        row = symbols[i]
        rate = rates[row.currency]
        unit = row.lot_numerator / row.lot_denominator
        value = row.lots * unit * row.mark * rate
        gross += abs(value)
        net += value
        realised += (row.realised + row.realised_rest) * rate
        if row.lots != 0:
            unrealised += value - (row.basis + row.basis_rest) * rate
        for s in range(len(strategies)):
            held = books[s, i]
            held_value = held.lots * unit * row.mark * rate
            strategies[s].gross += abs(held_value)
            strategies[s].net += held_value
            profit = (held.realised + held.realised_rest) * rate - held.fees_micro * 1e-6 * rate
            if held.lots != 0:
                profit += held_value - (held.basis + held.basis_rest) * rate
            strategies[s].pnl += profit
    account.gross, account.net = gross, net
    account.realised, account.unrealised = realised, unrealised
    foreign = 0.0
    for c in range(1, len(rates)):
        foreign += account.foreign_micro[c] * 1e-6 * rates[c]
    account.foreign_value = foreign
    account.equity = account.cash_micro * 1e-6 + net
    if foreign != 0.0:
        account.equity += foreign
    account.high_water = max(account.high_water, account.equity)
    account.breaker_high_water = max(account.breaker_high_water, account.equity)
    account.drawdown = 1.0 - account.equity / account.high_water if account.high_water > 0.0 else 0.0
