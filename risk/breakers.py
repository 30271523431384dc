"""Breakers on marked-to-market equity: exactly at a limit holds, beyond it acts, nothing re-arms itself."""

from typing import Any

NONE, WARNING, REDUCING, HALTED = range(4)


def judge(account: Any, limits: Any) -> tuple[int, str, float, float]:
    """Return (level, rule, value, limit) of the strongest breaker that the account is beyond.

    Parameters
    ----------
    account : one row of engine.layout.ACCOUNT; equity, breaker_high_water and breaker_day_start in account currency.
    limits : risk.limits.Limits.

    Returns
    -------
    Level NONE, WARNING, REDUCING or HALTED, the rule's name, its value and the limit it is beyond, as fractions.
    """
    equity = float(account["equity"])
    high, start = float(account["breaker_high_water"]), float(account["breaker_day_start"])
    drawdown = 1.0 - equity / high if high > 0.0 else 1.0
    loss = 1.0 - equity / start if start > 0.0 else 1.0
    if drawdown > limits.drawdown_halted:
        return HALTED, "DRAWDOWN", drawdown, limits.drawdown_halted
    if drawdown > limits.drawdown_reducing:
        return REDUCING, "DRAWDOWN", drawdown, limits.drawdown_reducing
    if loss > limits.daily_loss:
        return REDUCING, "DAILY_LOSS", loss, limits.daily_loss
    if drawdown > limits.drawdown_warning:
        return WARNING, "DRAWDOWN", drawdown, limits.drawdown_warning
    return NONE, "", 0.0, 0.0
