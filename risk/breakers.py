"""Breakers on marked-to-market equity: exactly at a limit holds, beyond it acts, nothing re-arms itself."""

from typing import Any

from risk.limits import Limits

NONE, WARNING, REDUCING, HALTED = range(4)
SLACK = 1e-12  # a fraction that equals its limit on paper holds: a double's last bit must not trip a breaker


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
    equity = float(account["equity"])
    high, start = float(account["breaker_high_water"]), float(account["breaker_day_start"])
    drawdown = 1.0 - equity / high if high > 0.0 else 1.0
    loss = 1.0 - equity / start if start > 0.0 else 1.0
    if drawdown > limits.drawdown_halted + SLACK:
        return HALTED, "DRAWDOWN", drawdown, limits.drawdown_halted
    if drawdown > limits.drawdown_reducing + SLACK:
        return REDUCING, "DRAWDOWN", drawdown, limits.drawdown_reducing
    if loss > limits.daily_loss + SLACK:
        return REDUCING, "DAILY_LOSS", loss, limits.daily_loss
    if drawdown > limits.drawdown_warning + SLACK:
        return WARNING, "DRAWDOWN", drawdown, limits.drawdown_warning
    return NONE, "", 0.0, 0.0
