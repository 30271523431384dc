"""The portfolio kernel: marks, account, sizing, netting and checks over the state's tables.

It never calls a policy: targets stand in the book rows, so a new strategy recompiles nothing here. All functions are
compiled, deterministic, and use plain arithmetic and square roots alone.

Tables (engine/layout.py): symbols [n], books [s, n], strategies [s], account, costs and limits one row each.
"""

from typing import Any

import numpy as np
from numba import njit

from engine.ledger import book
from engine.layout import REDUCING, RETURNS
from risk.checks import (
    RATE,
    STRATEGY,
    _flag,
    _test,
    check_conflicts,
    check_exposure,
    check_numbers,
    check_state,
    raises_exposure,
    refill,
)


@njit(cache=True)
def mark_symbols(symbols: Any, bars: Any, bars_to_count: int) -> None:
    """Take each present bar's close as its symbol's mark and renew sigma: the deviation of the last bar returns."""
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
            profit = (held.realised + held.realised_rest) * rate - held.fees_micro * 1e-6
            if held.lots != 0:
                profit += held_value - (held.basis + held.basis_rest) * rate
            strategies[s].pnl += profit
    account.gross, account.net = gross, net
    account.realised, account.unrealised = realised, unrealised
    account.equity = account.cash_micro * 1e-6 + net
    account.high_water = max(account.high_water, account.equity)
    account.breaker_high_water = max(account.breaker_high_water, account.equity)
    account.drawdown = 1.0 - account.equity / account.high_water if account.high_water > 0.0 else 0.0


@njit(cache=True)
def truncated_lots(fraction: float, capital: float, price: float, unit: float) -> int:
    """Return trunc(fraction x capital / price / lot), towards zero."""
    if not price > 0.0 or not unit > 0.0:
        return 0
    return int(fraction * capital / price / unit)


@njit(cache=True)
def size_symbol(i: int, symbols: Any, books: Any, strategies: Any, account: Any, costs: Any, limits: Any, rates: Any, budget: float, deltas: Any) -> None:
    """Write each strategy's wanted change in lots of symbol i into ``deltas`` [s].

    lots = trunc(target x stance x weight x equity x symbol budget / price / lot); nothing inside the no-trade band, except
    that a target of exactly zero always closes.
    """
    row = symbols[i]
    price = row.mark * rates[row.currency]
    unit = row.lot_numerator / row.lot_denominator
    for s in range(len(strategies)):
        deltas[s] = 0
        plan = strategies[s]
        held = books[s, i]
        if plan.killed != 0 or row.tradable == 0 or row.restricted != 0:
            continue
        target = min(1.0, max(-1.0, held.target * held.stance))
        capital = plan.weight * account.equity * budget
        wanted = truncated_lots(target, capital, price, unit)
        has = held.lots + held.working + held.crossing
        delta = wanted - has
        if target != 0.0 and abs(delta) * unit * price < limits.no_trade_band * capital:
            continue
        if plan.enabled == 0 or account.state == REDUCING:
            delta = _only_reducing(has, delta)
        deltas[s] = _within_strategy(delta, has, unit * price, plan.gross, limits.max_strategy * account.equity)


@njit(cache=True)
def _only_reducing(has: int, delta: int) -> int:
    if has > 0:
        return max(-has, min(0, delta))
    if has < 0:
        return min(-has, max(0, delta))
    return 0


@njit(cache=True)
def _within_strategy(delta: int, has: int, per_lot: float, gross: float, limit: float) -> int:
    """Clip a change so that the strategy's gross exposure stays within its limit."""
    growth = abs(has + delta) - abs(has)
    if growth <= 0 or gross + growth * per_lot <= limit:
        return delta
    room = int(max(0.0, limit - gross) / per_lot)
    allowed = abs(has) + room
    wanted = has + delta
    clipped = min(abs(wanted), allowed)
    result = (clipped if wanted > 0 else -clipped) - has
    return result if (result > 0) == (delta > 0) else 0


@njit(cache=True)
def judge_symbol(i: int, deltas: Any, symbols: Any, books: Any, strategies: Any, account: Any, limits: Any, rates: Any, now_ns: int,
                 last_slice: bool, values: Any, limits_met: Any) -> int:  # noqa: FBT001 - compiled
    """Run all checks on the net order of symbol i and reserve its tokens; return the mask of denials."""
    row = symbols[i]
    net = 0
    for s in range(len(deltas)):
        net += deltas[s]
    price = row.mark * rates[row.currency]
    raising = raises_exposure(row.lots, row.working_buy, row.working_sell, net)
    reserved = np.zeros(3)
    for j in range(len(symbols)):
        other = symbols[j]
        per_lot = other.mark * rates[other.currency] * other.lot_numerator / other.lot_denominator
        reserved[0] += other.working_buy * per_lot
        reserved[1] += (other.working_buy + other.working_sell) * per_lot
        reserved[2] += (other.working_buy - other.working_sell) * per_lot
    mask = check_state(0, account, row, now_ns, last_slice, raising, values, limits_met)
    mask = check_numbers(mask, row, net, price, 0.0, now_ns, limits, values, limits_met)
    mask = check_conflicts(mask, row, net, now_ns, values, limits_met)
    mask = check_exposure(mask, account, row, net, price, reserved, limits, values, limits_met)
    mask = _check_strategies(mask, i, deltas, books, strategies, account, limits, row, price, values, limits_met)
    return _take_tokens(mask, deltas, strategies, account, limits, now_ns, len(symbols), values, limits_met)


@njit(cache=True)
def _check_strategies(mask: int, i: int, deltas: Any, books: Any, strategies: Any, account: Any, limits: Any, row: Any, price: float,
                      values: Any, limits_met: Any) -> int:
    unit = row.lot_numerator / row.lot_denominator
    limit = limits.max_strategy * account.equity
    for s in range(len(deltas)):
        if deltas[s] == 0:
            continue
        has = books[s, i].lots + books[s, i].working
        growth = abs(has + deltas[s]) - abs(has)
        if growth > 0:
            before = mask
            worst = values[STRATEGY]
            mask = _test(mask, STRATEGY, strategies[s].gross + growth * unit * price, limit, values, limits_met)
            if before & (1 << STRATEGY) and worst > values[STRATEGY]:
                values[STRATEGY] = worst
    return mask


@njit(cache=True)
def _take_tokens(mask: int, deltas: Any, strategies: Any, account: Any, limits: Any, now_ns: int, symbols: int, values: Any, limits_met: Any) -> int:
    """One token of the station and one of each strategy with lots in the order; a denial costs those strategies theirs too."""
    burst = 2.0 * symbols
    refill(account, now_ns, limits.station_rate, burst)
    short = account.tokens < 1.0
    for s in range(len(deltas)):
        refill(strategies[s], now_ns, limits.strategy_rate, burst)
        if deltas[s] != 0 and strategies[s].tokens < 1.0:
            short = True
    mask = _flag(mask, RATE, short, values, limits_met)
    for s in range(len(deltas)):
        if deltas[s] != 0 and strategies[s].tokens >= 1.0:
            strategies[s].tokens -= 1.0
    if mask == 0:
        account.tokens -= 1.0
    return mask


@njit(cache=True)
def decide(symbols: Any, books: Any, strategies: Any, account: Any, costs: Any, limits: Any, rates: Any, budget: float, now_ns: int,
           wants: Any, masks: Any, values: Any, limits_met: Any) -> int:
    """Size, net and judge every symbol that has a bar in this slice; return how many have something to say.

    wants [n, s] i8: signed lots by strategy; masks [n] i8: -1 nothing wanted, 0 allowed, else the denials' bits;
    values, limits_met [n, codes] f8: the numbers that decided.
    """
    said = 0
    for i in range(len(symbols)):
        masks[i] = -1
        row = symbols[i]
        if row.present == 0:
            continue
        size_symbol(i, symbols, books, strategies, account, costs, limits, rates, budget, wants[i])
        some = False
        net = 0
        for s in range(len(strategies)):
            some = some or wants[i, s] != 0
            net += wants[i, s]
        if not some:
            continue
        said += 1
        if net == 0:
            masks[i] = 0
            continue
        last = now_ns >= row.session_close_ns
        masks[i] = judge_symbol(i, wants[i], symbols, books, strategies, account, limits, rates, now_ns, last, values[i], limits_met[i])
        if masks[i] == 0:
            reserve(symbols, books, i, wants[i], net)
            row.last_decided_ns = now_ns
    return said


@njit(cache=True)
def reserve(symbols: Any, books: Any, i: int, want: Any, net: int) -> None:
    """Count an allowed order as working before anything else is judged."""
    if net > 0:
        symbols[i].working_buy += net
    else:
        symbols[i].working_sell -= net
    for s in range(len(want)):
        books[s, i].working += want[s]


@njit(cache=True)
def book_crossing(books: Any, i: int, price: float, unit: float) -> bool:
    """Book the lots that strategies cross among themselves in symbol i at a price; return whether there were any."""
    any_crossed = False
    for s in range(books.shape[0]):
        row = books[s, i]
        if row.crossing != 0:
            book(row, row.crossing, price, unit)
            row.crossing = 0
            any_crossed = True
    return any_crossed
