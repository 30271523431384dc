"""The pre-trade checks: pure, compiled, all of them run, none can be passed by.

An order is judged as it stands (symbol row, signed lots, price) against account, working orders and limits. Equal to a
limit passes, above it is denied. Checks of exposure deny only what raises it: a reducing order must always be able to
leave. The mask has one bit a `risk.codes.Code`; `values` and `limits_met` (f8, one a code) take the numbers that
decided.
"""

from typing import Any

import numpy as np
from numba import njit

from risk.codes import Code

KILLED, MODE = int(Code.KILLED), int(Code.MODE_NOT_ACTIVE)
UNRECONCILED, UNKNOWN = int(Code.UNRECONCILED), int(Code.UNKNOWN_SYMBOL)
RESTRICTED, HALTED = int(Code.RESTRICTED_SYMBOL), int(Code.HALTED_SYMBOL)
SESSION, BAD = int(Code.SESSION_CLOSED), int(Code.BAD_NUMBER)
STALE, COLLAR = int(Code.STALE_PRICE), int(Code.PRICE_COLLAR)
DUPLICATE, SELF = int(Code.DUPLICATE), int(Code.SELF_MATCH)
REDUCING, DAILY = int(Code.REDUCING_ONLY), int(Code.DAILY_LOSS)
DRAWDOWN, SHORT = int(Code.DRAWDOWN), int(Code.SHORT_NOT_ALLOWED)
CASH, QUANTITY = int(Code.NO_CASH), int(Code.MAX_ORDER_QTY)
VALUE, POSITION = int(Code.MAX_ORDER_VALUE), int(Code.MAX_POSITION)
STRATEGY, GROSS = int(Code.MAX_STRATEGY), int(Code.MAX_GROSS)
NET, RATE = int(Code.MAX_NET), int(Code.ORDER_RATE)

STATE_ACTIVE, STATE_REDUCING = 1, 2  # of engine.layout.STATES
SLACK = 1e-9  # relative: a sum of doubles that equals a limit on paper passes


@njit(cache=True)
def above(  # noqa: PLR0917 - compiled code is called with positions
    mask: int, code: int, value: float, limit: float, values: Any, limits_met: Any
) -> int:
    """Return the mask with the code's bit set where a value is above its limit, or either is no number; note both."""
    values[code] = value
    limits_met[code] = limit
    if not (value <= limit + SLACK * abs(limit) and np.isfinite(value) and np.isfinite(limit)):
        return mask | (1 << code)
    return mask


@njit(cache=True)
def flag(mask: int, code: int, bad: bool, values: Any, limits_met: Any) -> int:  # noqa: FBT001 - compiled
    """Return the mask with the code's bit set where something holds that must not."""
    judged: int = above(mask, code, 1.0 if bad else 0.0, 0.0, values, limits_met)
    return judged


@njit(cache=True)
def raises_exposure(position: int, working_buy: int, working_sell: int, lots: int) -> bool:
    """Whether the order could leave a larger position than there is now, even if every open order fills."""
    if lots > 0:
        return position + working_buy + lots > abs(position)
    return -(position - working_sell + lots) > abs(position)


@njit(cache=True)
def check_state(  # noqa: PLR0917 - compiled code is called with positions
    mask: int,
    account: Any,
    symbol: Any,
    now_ns: int,
    last_slice: bool,  # noqa: FBT001 - compiled
    raising: bool,  # noqa: FBT001 - compiled
    values: Any,
    limits_met: Any,
) -> int:
    """Check the station's and the symbol's state; ``last_slice``: the session's last, whose orders are the next one's.

    A row that no instrument fills has no lot size: its symbol is unknown.
    """
    mask = flag(mask, KILLED, account.killed != 0 or symbol.killed != 0, values, limits_met)
    mask = flag(mask, MODE, account.state not in (STATE_ACTIVE, STATE_REDUCING), values, limits_met)
    mask = flag(mask, UNRECONCILED, account.reconciled == 0, values, limits_met)
    mask = flag(mask, UNKNOWN, symbol.lot_numerator <= 0 or symbol.lot_denominator <= 0, values, limits_met)
    mask = flag(mask, RESTRICTED, symbol.restricted != 0 or symbol.tradable == 0, values, limits_met)
    mask = flag(mask, HALTED, symbol.halted != 0, values, limits_met)
    inside = symbol.session_open_ns < now_ns and (now_ns < symbol.session_close_ns or last_slice)
    mask = flag(mask, SESSION, not inside, values, limits_met)
    judged: int = flag(mask, REDUCING, account.state == STATE_REDUCING and raising, values, limits_met)
    return judged


@njit(cache=True)
def lot_size(symbol: Any) -> float:
    """Return the units in one lot, 0 where the row has none."""
    return symbol.lot_numerator / symbol.lot_denominator if symbol.lot_denominator > 0 else 0.0


@njit(cache=True)
def check_numbers(  # noqa: PLR0917 - compiled code is called with positions
    mask: int,
    symbol: Any,
    lots: int,
    price: float,
    limit_price: float,
    now_ns: int,
    limits: Any,
    values: Any,
    limits_met: Any,
) -> int:
    """Check the order's own numbers; ``limit_price`` 0 for a market order."""
    bad = not (np.isfinite(price) and price > 0.0 and symbol.mark > 0.0) or lots == 0
    bad = bad or not (np.isfinite(symbol.tick) and symbol.tick > 0.0)
    if limit_price != 0.0:
        ticks = limit_price / symbol.tick if symbol.tick > 0.0 else 0.5
        bad = bad or not np.isfinite(limit_price) or limit_price < 0.0 or abs(ticks - np.floor(ticks + 0.5)) > 1e-6
    mask = flag(mask, BAD, bad, values, limits_met)
    age_s = (now_ns - symbol.mark_ns) * 1e-9
    mask = above(mask, STALE, age_s, 2e-9 * symbol.interval_ns + limits.stale_after_s, values, limits_met)
    judged = limit_price if limit_price != 0.0 else price
    distance = abs(judged - symbol.mark) / symbol.mark if symbol.mark > 0.0 else 1e9
    mask = above(mask, COLLAR, distance, limits.price_collar, values, limits_met)
    mask = above(mask, QUANTITY, float(abs(lots)), limits.max_order_lots, values, limits_met)
    value = abs(lots) * lot_size(symbol) * price
    checked: int = above(mask, VALUE, value, limits.max_order_value, values, limits_met)
    return checked


@njit(cache=True)
def check_conflicts(  # noqa: PLR0917 - compiled code is called with positions
    mask: int, symbol: Any, lots: int, now_ns: int, values: Any, limits_met: Any
) -> int:
    """Check against own orders: the same decision twice, an own order on the other side."""
    mask = flag(mask, DUPLICATE, symbol.last_decided_ns >= now_ns, values, limits_met)
    opposite = symbol.working_sell if lots > 0 else symbol.working_buy
    checked: int = above(mask, SELF, float(opposite), 0.0, values, limits_met)
    return checked


@njit(cache=True)
def check_exposure(  # noqa: PLR0917 - compiled code is called with positions
    mask: int,
    account: Any,
    symbol: Any,
    lots: int,
    price: float,
    cost: float,
    reserved: Any,
    limits: Any,
    values: Any,
    limits_met: Any,
) -> int:
    """Check what the account would hold if every open order on this order's side filled.

    ``cost`` is what the order is expected to cost beside its value: fee, half spread and impact, a fraction of it.
    ``reserved`` f8 [3], account currency: value of all working buys with their costs; gross exposure of the other
    symbols, working orders filled the way that makes it most; signed value of all working orders on this order's side.
    """
    per_lot = price * lot_size(symbol)
    held = symbol.lots
    bought, sold = symbol.working_buy, symbol.working_sell
    worst = held + bought + lots if lots > 0 else held - sold + lots
    raising = raises_exposure(held, bought, sold, lots)
    equity = account.equity
    short = worst < 0 and lots < 0
    mask = flag(mask, SHORT, short and (limits.allow_short != 1.0 or symbol.shortable == 0), values, limits_met)
    if lots > 0:
        cash = account.cash_micro * 1e-6 + account.foreign_value - reserved[0]
        needed = lots * per_lot * (1.0 + cost) if raising else 0.0
        mask = above(mask, CASH, needed, max(0.0, cash), values, limits_met)
    if not raising:
        return mask
    mask = above(mask, POSITION, abs(worst) * per_lot, limits.max_position * equity, values, limits_met)
    other = held - sold if lots > 0 else held + bought
    gross = max(abs(worst), abs(other)) * per_lot
    mask = above(mask, GROSS, reserved[1] + gross, limits.max_gross * equity, values, limits_met)
    net = account.net + reserved[2] + lots * per_lot
    if not (abs(net) <= abs(account.net) and np.isfinite(account.net)):
        mask = above(mask, NET, abs(net), limits.max_net * equity, values, limits_met)
    loss = account.breaker_day_start - equity
    mask = above(mask, DAILY, loss, limits.daily_loss * account.breaker_day_start, values, limits_met)
    fall = 1.0 - equity / account.breaker_high_water if account.breaker_high_water > 0.0 else 1.0
    checked: int = above(mask, DRAWDOWN, fall, limits.drawdown_reducing, values, limits_met)
    return checked


@njit(cache=True)
def refill(row: Any, now_ns: int, rate: float, burst: float) -> None:
    """Refill a token bucket (tokens, tokens_ns) up to its burst; event time, so that speed changes nothing."""
    if not np.isfinite(row.tokens + rate):
        row.tokens = 0.0
        return
    if now_ns > row.tokens_ns:
        filled = row.tokens + (now_ns - row.tokens_ns) * 1e-9 * rate
        row.tokens = min(filled, burst)
        row.tokens_ns = now_ns


@njit(cache=True)
def take_tokens(  # noqa: PLR0917 - compiled code is called with positions
    station: Any, strategies: Any, asking: Any, now_ns: int, station_rate: float, strategy_rate: float, burst: float
) -> bool:
    """Take a token of the station and of each strategy that asks, or none at all; return whether there were enough.

    Parameters
    ----------
    station : one row with a bucket. ``strategies`` : rows with buckets [s]. ``asking`` : bool or numbers [s], 0 where a
        strategy does not ask.
    station_rate, strategy_rate : tokens a second. ``burst`` : the most that a bucket holds.
    """
    refill(station, now_ns, station_rate, burst)
    enough: bool = station.tokens >= 1.0
    for s in range(len(strategies)):
        refill(strategies[s], now_ns, strategy_rate, burst)
        if asking[s] != 0 and not strategies[s].tokens >= 1.0:
            enough = False
    if enough:
        station.tokens -= 1.0
        for s in range(len(strategies)):
            if asking[s] != 0:
                strategies[s].tokens -= 1.0
    return enough
