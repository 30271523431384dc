"""Breakers on marked-to-market equity: exactly at a limit holds, beyond it acts, nothing re-arms itself.

The account's (`judge`), each strategy's on its own profit against its capital, and each symbol's on its profit against
the account's budget in it (`judge_books`). What follows from them is engine/control.py's and engine/guards.py's.
"""

from typing import Any

import numpy as np
from numba import njit

from risk.checks import lot_size
from risk.limits import Limits

NONE, WARNING, REDUCING, HALTED = range(4)
SLACK = 1e-12  # a fraction that equals its limit on paper holds: a double's last bit must not trip a breaker

BREAKER = np.dtype(
    [
        ("pnl", "f8"),  # profit and loss since the account began, account currency
        ("high", "f8"),  # its highest, where a person's release left it
        ("start", "f8"),  # at the day's start
        ("capital", "f8"),  # what fractions are of
        ("drawdown", "f8"),
        ("loss", "f8"),
        ("level", "i8"),  # latched: NONE, WARNING, or REDUCING once it tripped
        ("rule", "i8"),  # that reached its level at this mark: 0 none, DRAWDOWN, DAILY_LOSS
        ("value", "f8"),
        ("limit", "f8"),
    ]
)
"""One row a strategy or symbol: its marks, and what it reached."""

DRAWDOWN, DAILY_LOSS = 1, 2
RULES = ("", "DRAWDOWN", "DAILY_LOSS")


def judge(account: Any, limits: Limits) -> tuple[int, str, float, float]:
    """Return (level, rule, value, limit) of the strongest breaker that the account is beyond.

    Parameters
    ----------
    account : one row of engine.layout.ACCOUNT; equity, breaker_high_water and breaker_day_start in account currency.
    limits : risk.limits.Limits.

    Returns
    -------
    Level NONE, WARNING, REDUCING or HALTED, the rule's name, its value and the limit it is beyond, as fractions.
    """
    drawdown, loss = fractions(account)
    if not drawdown <= limits.drawdown_halted + SLACK:
        return HALTED, "DRAWDOWN", drawdown, limits.drawdown_halted
    if drawdown > limits.drawdown_reducing + SLACK:
        return REDUCING, "DRAWDOWN", drawdown, limits.drawdown_reducing
    if loss > limits.daily_loss + SLACK:
        return REDUCING, "DAILY_LOSS", loss, limits.daily_loss
    if drawdown > limits.drawdown_warning + SLACK:
        return WARNING, "DRAWDOWN", drawdown, limits.drawdown_warning
    return NONE, "", 0.0, 0.0


def fractions(account: Any) -> tuple[float, float]:
    """Return the account's drawdown and the day's loss, as fractions of their marks; 1 where a mark is not above 0."""
    equity = float(account["equity"])
    high, start = float(account["breaker_high_water"]), float(account["breaker_day_start"])
    return 1.0 - equity / high if high > 0.0 else 1.0, 1.0 - equity / start if start > 0.0 else 1.0


@njit(cache=True)
def judge_books(  # noqa: PLR0917 - compiled code is called with positions
    of_strategies: Any, of_symbols: Any, strategies: Any, symbols: Any, account: Any, limits: Any, rates: Any,
    budget: float,
) -> int:  # fmt: skip
    """Judge every strategy and symbol after a mark; return how many reached a level: their ``rule`` says which.

    Parameters
    ----------
    of_strategies, of_symbols : BREAKER [s] and [n].
    strategies, symbols, account, limits : rows of engine/layout.py; limits and account are single ones.
    rates : f8 by currency. ``budget`` : the account's in one symbol, a fraction of its equity.
    """
    reached = 0
    base = account.breaker_day_start
    for s in range(len(strategies)):
        own = of_strategies[s]
        own.pnl, own.capital = strategies[s].pnl, strategies[s].weight * base
        reached += _judge_one(
            own, limits.strategy_drawdown_warning, limits.strategy_drawdown, limits.strategy_daily_loss
        )
    for i in range(len(symbols)):
        row, own = symbols[i], of_symbols[i]
        value = row.lots * lot_size(row) * row.mark - (row.basis + row.basis_rest) if row.lots != 0 else 0.0
        own.pnl, own.capital = (row.realised + row.realised_rest + value) * rates[row.currency], budget * base
        reached += _judge_one(own, limits.symbol_drawdown, limits.symbol_drawdown, limits.symbol_daily_loss)
    return reached


@njit(cache=True)
def _judge_one(own: Any, warning: float, drawdown: float, daily: float) -> int:
    """Renew one row's fractions and latch the level it reached; return 1 where it is a new one."""
    own.rule = 0
    own.high = max(own.high, own.pnl)
    high = own.capital + own.high - own.start
    own.loss = (own.start - own.pnl) / own.capital if own.capital > 0.0 else 0.0
    own.drawdown = (own.high - own.pnl) / high if own.capital > 0.0 and high > 0.0 else 0.0
    if own.level >= REDUCING:
        return 0
    if not own.drawdown <= drawdown + SLACK:
        own.level, own.rule, own.value, own.limit = REDUCING, DRAWDOWN, own.drawdown, drawdown
    elif not own.loss <= daily + SLACK:
        own.level, own.rule, own.value, own.limit = REDUCING, DAILY_LOSS, own.loss, daily
    elif own.level == NONE and own.drawdown > warning + SLACK:
        own.level, own.rule, own.value, own.limit = WARNING, DRAWDOWN, own.drawdown, warning
    return 1 if own.rule != 0 else 0
