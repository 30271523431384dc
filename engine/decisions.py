"""The portfolio kernel's second half: from targets to lots, netting, checks and reservation, compiled.

Check and reserve are one: an allowed order counts as working before the next symbol is judged, so that what is decided
at one instant cannot exceed a limit together.
"""

from typing import Any

import numpy as np
from numba import njit

from engine.fills import MOST_BARS
from engine.layout import ACTIVE, REDUCING
from risk.checks import (
    QUANTITY,
    RATE,
    STRATEGY,
    VALUE,
    above,
    check_conflicts,
    check_exposure,
    check_numbers,
    check_state,
    flag,
    raises_exposure,
    take_tokens,
)
from risk.var_limit import after_order, begin, check_var, take_order

NOTHING, CROSSED, WAITING, ALLOWED = -1, -2, -3, 0  # of a symbol's mask; above 0 it holds the denials' bits
BUYS, SELLS, GROSS = range(
    3
)  # of the totals: value of working buys and sales, gross exposure if the worst of them fill
MOST_LOTS = 1e15  # what a double still counts one by one, with room for a sum


@njit(cache=True)
def truncated_lots(fraction: float, capital: float, price: float, unit: float) -> int:
    """Return trunc(fraction x capital / price / lot), towards zero; 0 without capital, price or lot."""
    if not price > 0.0 or not unit > 0.0 or not capital > 0.0:
        return 0
    return int(max(-MOST_LOTS, min(MOST_LOTS, fraction * capital / price / unit)))


@njit(cache=True)
def bounded_target(held: Any) -> float:
    """Return a book's target times its stance, within -1 to 1."""
    target: float = min(1.0, max(-1.0, held.target * held.stance))
    return target


@njit(cache=True)
def worst_lots(row: Any) -> int:
    """Return a symbol's largest position, in lots, that is possible whichever of its open orders fill."""
    worst: int = max(abs(row.lots), abs(row.lots + row.working_buy), abs(row.lots - row.working_sell))
    return worst


@njit(cache=True)
def furthest(held: Any, side: int) -> int:
    """Return how far on a side (+1 long, -1 short) a book can get, in signed lots, whatever of its waits comes."""
    coming = (held.working_gross + side * held.working) // 2 + max(0, side * held.crossing)
    lots: int = held.lots + side * coming
    return lots


@njit(cache=True)
def worst_held(held: Any) -> int:
    """Return a book's largest position, in lots, whatever of what it waits for comes."""
    worst: int = max(abs(held.lots), abs(furthest(held, 1)), abs(furthest(held, -1)))
    return worst


@njit(cache=True)
def value_per_lot(row: Any, rates: Any) -> float:
    """Return one lot's value at the mark, in the account's currency."""
    value: float = row.mark * rates[row.currency] * row.lot_numerator / row.lot_denominator
    return value


@njit(cache=True)
def commitments(symbols: Any, books: Any, rates: Any, totals: Any, exposures: Any) -> None:
    """Sum what is held and works into ``totals`` f8 [3], each strategy's gross exposure into ``exposures`` f8 [s]."""
    totals[:] = 0.0
    exposures[:] = 0.0
    for i in range(len(symbols)):
        row = symbols[i]
        per_lot = value_per_lot(row, rates)
        totals[BUYS] += row.working_buy * per_lot
        totals[SELLS] += row.working_sell * per_lot
        totals[GROSS] += worst_lots(row) * per_lot
        for s in range(len(exposures)):
            exposures[s] += worst_held(books[s, i]) * per_lot


@njit(cache=True)
def size_symbol(  # noqa: PLR0917 - compiled code is called with positions
    i: int,
    symbols: Any,
    books: Any,
    strategies: Any,
    account: Any,
    limits: Any,
    rates: Any,
    budget: float,
    exposures: Any,
    deltas: Any,
) -> None:
    """Write each strategy's wanted change in lots of symbol i into ``deltas`` [s].

    lots = trunc(target x stance x weight x equity x symbol budget / price / lot); nothing inside the no-trade band,
    except that a target of exactly zero always closes.
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
        target = bounded_target(held)
        capital = plan.weight * account.equity * budget
        has = held.lots + held.working + held.crossing
        delta = truncated_lots(target, capital, price, unit) - has
        if delta == 0 or (target != 0.0 and abs(delta) * unit * price < limits.no_trade_band * capital):
            continue
        if plan.enabled == 0 or account.state == REDUCING:
            delta = _only_reducing(has, delta)
        deltas[s] = _within_strategy(delta, held, unit * price, exposures[s], limits.max_strategy * account.equity)


@njit(cache=True)
def _only_reducing(has: int, delta: int) -> int:
    if has > 0:
        return max(-has, min(0, delta))
    if has < 0:
        return min(-has, max(0, delta))
    return 0


@njit(cache=True)
def _within_strategy(delta: int, held: Any, per_lot: float, exposure: float, limit: float) -> int:
    """Clip a change so that the strategy's gross exposure, all that it waits for included, stays within its limit."""
    if delta == 0 or not per_lot > 0.0:
        return 0
    side = 1 if delta > 0 else -1
    now, reach = worst_held(held), side * furthest(held, side)
    others = exposure - now * per_lot
    allowed = now
    if reach + abs(delta) > now:
        room = max(0.0, limit - others) / per_lot * (1.0 + 1e-12)  # the limit itself, but for a last bit
        allowed = max(now, int(min(room, MOST_LOTS)))
    clipped: int = side * max(0, min(abs(delta), allowed - reach))
    return clipped


@njit(cache=True)
def cut_to_order_size(net: int, deltas: Any, row: Any, per_lot: float, limits: Any) -> int:
    """Cut a reducing order to the size that one order may have, and return it: the rest leaves with the next slice.

    A larger order that raises exposure is denied instead; one that reduces must be able to leave.
    """
    most = abs(net)
    if per_lot > 0.0:  # at least one lot: what the limits make too small for any order could never be left
        most = max(1, int(min(float(abs(net)), limits.max_order_lots, limits.max_order_value / per_lot)))
    if abs(net) <= most or raises_exposure(row.lots, row.working_buy, row.working_sell, net):
        return net
    excess = abs(net) - most
    side = 1 if net > 0 else -1
    for s in range(len(deltas)):
        if deltas[s] * side > 0:
            taken = min(excess, abs(deltas[s]))
            deltas[s] -= side * taken
            excess -= taken
    return side * most


@njit(cache=True)
def judge_symbol(  # noqa: PLR0917 - compiled code is called with positions
    i: int,
    net: int,
    deltas: Any,
    symbols: Any,
    books: Any,
    strategies: Any,
    account: Any,
    costs: Any,
    limits: Any,
    rates: Any,
    now_ns: int,
    totals: Any,
    exposures: Any,
    risk: Any,
    weights: Any,
    covariance: Any,
    variances: Any,
    values: Any,
    limits_met: Any,
) -> int:
    """Run all checks on the net order of symbol i and take its tokens; return the mask of denials.

    risk (risk.var_limit.RISK), weights, covariance and variances are the portfolio's value at risk as it stands.
    """
    row = symbols[i]
    price = row.mark * rates[row.currency]
    raising = raises_exposure(row.lots, row.working_buy, row.working_sell, net)
    reserved = np.zeros(3)
    reserved[0] = totals[BUYS] * (1.0 + costs.fee_ppm * 1e-6 + costs.half_spread)
    reserved[1] = totals[GROSS] - worst_lots(row) * value_per_lot(row, rates)
    reserved[2] = totals[BUYS] if net > 0 else -totals[SELLS]
    last = now_ns >= row.session_close_ns
    mask = check_state(0, account, row, now_ns, last, raising, values, limits_met)
    mask = check_numbers(mask, row, net, row.mark, 0.0, now_ns, limits, values, limits_met)
    if row.currency != 0:  # its collar is of its own money, an order's value of the account's
        value = abs(net) * value_per_lot(row, rates)
        mask = above(mask & ~(1 << VALUE), VALUE, value, limits.max_order_value, values, limits_met)
    if not raising and abs(net) == 1:  # what no order could be small enough for could never be left
        mask &= ~((1 << VALUE) | (1 << QUANTITY))
    mask = check_conflicts(mask, row, net, now_ns, values, limits_met)
    cost = expected_cost(row, abs(net), costs)
    mask = check_exposure(mask, account, row, net, price, cost, reserved, limits, values, limits_met)
    if raising:
        mask = check_var(
            mask, i, row, net, price, account.equity, risk, weights, covariance, variances, limits, values, limits_met
        )
    limit = limits.max_strategy * account.equity
    mask = _check_strategies(mask, i, deltas, books, exposures, limit, value_per_lot(row, rates), values, limits_met)
    denied: int = _take_tokens(mask, deltas, strategies, account, limits, now_ns, len(symbols), values, limits_met)
    return denied


@njit(cache=True)
def _check_strategies(  # noqa: PLR0917 - compiled code is called with positions
    mask: int,
    i: int,
    deltas: Any,
    books: Any,
    exposures: Any,
    limit: float,
    per_lot: float,
    values: Any,
    limits_met: Any,
) -> int:
    """Check every strategy in the order; the largest exposure among them is the number that is noted."""
    worst = 0.0
    for s in range(len(deltas)):
        if deltas[s] == 0:
            continue
        held = books[s, i]
        now = worst_held(held)
        side = 1 if deltas[s] > 0 else -1
        after = abs(furthest(held, side) + deltas[s])
        if after > now:
            worst = max(worst, exposures[s] + (after - now) * per_lot)
    checked: int = above(mask, STRATEGY, worst, limit, values, limits_met) if worst > 0.0 else mask
    return checked


@njit(cache=True)
def _take_tokens(  # noqa: PLR0917 - compiled code is called with positions
    mask: int,
    deltas: Any,
    strategies: Any,
    account: Any,
    limits: Any,
    now_ns: int,
    symbols: int,
    values: Any,
    limits_met: Any,
) -> int:
    """Take a token of the station and one of each strategy with lots in the order; a denial costs them theirs too."""
    enough = take_tokens(account, strategies, deltas, now_ns, limits.station_rate, limits.strategy_rate, 2.0 * symbols)
    denied: int = flag(mask, RATE, not enough, values, limits_met)
    if enough and denied != 0:
        account.tokens += 1.0
    if not enough:
        for s in range(len(deltas)):
            if deltas[s] != 0 and strategies[s].tokens >= 1.0:
                strategies[s].tokens -= 1.0
    return denied


@njit(cache=True)
def expected_cost(row: Any, lots: int, costs: Any) -> float:
    """Return what a market order is expected to cost beside its value, as a fraction of it: fee, half spread, impact.

    The fill model's own terms (engine/fills.py) with the last bar's volume.
    """
    if not row.mark > 0.0:
        return 0.0
    quantity = lots * row.lot_numerator / row.lot_denominator
    bars = min(quantity / row.volume, MOST_BARS) if row.volume > 0.0 else 0.0
    if not np.isfinite(costs.half_spread + costs.impact_eta * row.sigma):
        return np.nan
    impact = min(costs.impact_eta * row.sigma * np.sqrt(bars), 1.0)
    spread = max(0.5 * row.tick / row.mark, costs.half_spread)
    fee = row.fee_ppm * 1e-6 + row.fee_unit_micro * 1e-6 / row.mark
    if row.fee_minimum_micro > 0 and quantity > 0.0:
        fee = max(fee, row.fee_minimum_micro * 1e-6 / (quantity * row.mark))
    cost: float = fee + spread + impact
    return cost


@njit(cache=True)
def decide(  # noqa: PLR0917 - compiled code is called with positions
    symbols: Any,
    books: Any,
    strategies: Any,
    account: Any,
    costs: Any,
    limits: Any,
    rates: Any,
    now_ns: int,
    wants: Any,
    masks: Any,
    risk: Any,
    weights: Any,
    covariance: Any,
    variances: Any,
    values: Any,
    limits_met: Any,
) -> int:
    """Size, net and judge every symbol that has a bar in this slice; return how many have something to say.

    wants i8 [n, s]: signed lots by strategy; masks i8 [n]: WAITING on the way in leaves a symbol out; on the way out
    NOTHING wanted, CROSSED among strategies with no net order, ALLOWED, else the denials' bits; values, limits_met
    f8 [n, codes]: the numbers that decided. What is crossed or allowed has been reserved on return.
    """
    totals, exposures = np.zeros(3), np.zeros(len(strategies))
    commitments(symbols, books, rates, totals, exposures)
    said, judged = 0, False
    for i in range(len(symbols)):
        waiting = masks[i] == WAITING
        masks[i] = NOTHING
        row = symbols[i]
        if row.present == 0 or waiting:
            continue
        want = wants[i]
        size_symbol(i, symbols, books, strategies, account, limits, rates, costs.symbol_budget, exposures, want)
        some, net = _net(want)
        if not some:
            continue
        net = cut_to_order_size(net, want, row, value_per_lot(row, rates), limits) if net != 0 else 0
        if net == 0:
            if _may_cross(account, row):
                masks[i] = CROSSED
                reserve(symbols, books, i, want, 0, rates, totals, exposures)
                said += 1
            continue
        said += 1
        if not judged:
            portfolio(symbols, rates, weights)
            begin(risk, weights, covariance, variances)
            judged = True
        masks[i] = judge_symbol(
            i, net, want, symbols, books, strategies, account, costs, limits, rates, now_ns, totals, exposures,
            risk, weights, covariance, variances, values[i], limits_met[i],
        )  # fmt: skip
        if masks[i] == ALLOWED:
            filled = after_order(row, net, row.mark * rates[row.currency])
            take_order(risk, weights, covariance, variances, i, filled)
            reserve(symbols, books, i, want, net, rates, totals, exposures)
            row.last_decided_ns = now_ns
    return said


@njit(cache=True)
def portfolio(symbols: Any, rates: Any, weights: Any) -> None:
    """Write every symbol's signed value with all its open orders filled into ``weights`` f8 [n]."""
    for i in range(len(symbols)):
        row = symbols[i]
        weights[i] = (row.lots + row.working_buy - row.working_sell) * value_per_lot(row, rates)


@njit(cache=True)
def _net(want: Any) -> tuple[bool, int]:
    some, net = False, 0
    for s in range(len(want)):
        some = some or want[s] != 0
        net += want[s]
    return some, net


@njit(cache=True)
def _may_cross(account: Any, row: Any) -> bool:
    """Whether strategies may trade a symbol among themselves: not where nothing new is allowed."""
    active = account.state in (ACTIVE, REDUCING) and account.killed == 0 and account.reconciled != 0
    return bool(active and row.killed == 0 and row.halted == 0)


@njit(cache=True)
def reserve(  # noqa: PLR0917 - compiled code is called with positions
    symbols: Any, books: Any, i: int, want: Any, net: int, rates: Any, totals: Any, exposures: Any
) -> None:
    """Count an allowed order as working, or a crossing as waiting, before anything else is judged."""
    row = symbols[i]
    per_lot = value_per_lot(row, rates)
    totals[GROSS] -= worst_lots(row) * per_lot
    if net > 0:
        row.working_buy += net
        totals[BUYS] += net * per_lot
    elif net < 0:
        row.working_sell -= net
        totals[SELLS] -= net * per_lot
    totals[GROSS] += worst_lots(row) * per_lot
    for s in range(len(want)):
        held = books[s, i]
        exposures[s] -= worst_held(held) * per_lot
        if net == 0:
            held.crossing += want[s]
        else:
            held.working += want[s]
            held.working_gross += abs(want[s])
        exposures[s] += worst_held(held) * per_lot


@njit(cache=True)
def overshoots(  # noqa: PLR0917 - compiled code is called with positions
    i: int, side: int, symbols: Any, books: Any, strategies: Any, account: Any, limits: Any, rates: Any, budget: float
) -> bool:
    """Whether the open orders of symbol i would go beyond what the targets want now on a side, by more than the band.

    Where that is so, an order the other way would meet them.
    """
    row = symbols[i]
    per_lot = value_per_lot(row, rates)
    if row.present == 0 or not per_lot > 0.0:
        return False
    lots = account.equity * budget / per_lot
    wanted, heaviest = 0.0, 0.0
    for s in range(len(strategies)):
        wanted += bounded_target(books[s, i]) * strategies[s].weight * lots
        heaviest = max(heaviest, strategies[s].weight)
    would_be = row.lots + row.working_buy - row.working_sell
    return bool((would_be - wanted) * side > limits.no_trade_band * lots * heaviest)
