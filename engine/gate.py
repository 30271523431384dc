"""The gate for orders that no target asked for: the same checks and the same reservation as every other order.

Targets go through engine/decisions.py; a flatten, an increase of a working order or the price of a limit order comes
here. Either way the mask of the symbol's row says ALLOWED afterwards, or holds the denials' bits.
"""

from typing import Any

import numpy as np
from numba import njit

from engine.booking import release
from engine.decisions import (
    ALLOWED,
    CROSSED,
    NOTHING,
    commitments,
    cut_to_order_size,
    judge_symbol,
    portfolio,
    reserve,
    value_per_lot,
)
from engine.orders import Terms
from engine.state import State
from risk.checks import QUANTITY, VALUE, above, check_numbers, raises_exposure
from risk.var_limit import begin

LARGE = (1 << VALUE) | (1 << QUANTITY)


@njit(cache=True)
def judge_wants(  # noqa: PLR0917 - compiled code is called with positions
    i: int,
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
) -> None:
    """Judge the lots that ``wants`` [n, s] holds for symbol i, and reserve them where they are allowed.

    A reducing order is cut to the size that one order may have. Lots that add up to zero cross.
    """
    totals, exposures = np.zeros(3), np.zeros(len(strategies))
    commitments(symbols, books, rates, totals, exposures)
    row, want = symbols[i], wants[i]
    net, some = 0, False
    for s in range(len(want)):
        net += want[s]
        some = some or want[s] != 0
    if net != 0:
        net = cut_to_order_size(net, want, row, value_per_lot(row, rates), limits)
    if net == 0:
        masks[i] = CROSSED if some else NOTHING
        if some:
            reserve(symbols, books, i, want, 0, rates, totals, exposures)
        return
    portfolio(symbols, rates, weights)
    begin(risk, weights, covariance, variances)
    masks[i] = judge_symbol(
        i, net, want, symbols, books, strategies, account, costs, limits, rates, now_ns, totals, exposures, risk,
        weights, covariance, variances, values[i], limits_met[i],
    )  # fmt: skip
    if masks[i] == ALLOWED:
        reserve(symbols, books, i, want, net, rates, totals, exposures)
        row.last_decided_ns = now_ns


def judge(state: State, i: int, wanted: dict[str, int], now_ns: int) -> int:
    """Judge signed lots by strategy of symbol row i; return its mask: ALLOWED, CROSSED, NOTHING or the denials."""
    state.wants[i] = 0
    for name, lots in wanted.items():
        state.wants[i, state.rows[name]] = lots
    guards = state.guards
    judge_wants(
        i, state.universe.symbols, state.books, state.strategies, state.account[0], state.costs[0], state.limits[0],
        state.universe.rates, now_ns, state.wants, state.masks, guards.risk[0], guards.weights, guards.covariance,
        guards.variances, state.values, state.limits_met,
    )  # fmt: skip
    return int(state.masks[i])


def judge_price(state: State, i: int, terms: Terms, now_ns: int) -> int:
    """Judge the prices of an order that was allowed at the market; where they are not, it is reserved no longer."""
    if terms.limit_ticks is None and terms.stop_ticks is None:
        return int(state.masks[i])
    row = state.universe.symbols[i]
    wanted = {name: int(state.wants[i, s]) for name, s in state.rows.items() if state.wants[i, s]}
    net, mask = sum(wanted.values()), ALLOWED
    for ticks in (terms.limit_ticks, terms.stop_ticks):
        if ticks is not None:
            mask |= price_denials(state, i, net, ticks, now_ns)
    if mask & LARGE and abs(net) == 1 and not _raises_reserved(row, net):
        mask &= ~LARGE  # as at the market: what no order could be small enough for could never be left
    if mask != ALLOWED:
        state.masks[i] = mask
        release(state, i, 1 if net > 0 else -1, (wanted,))
        row["last_decided_ns"] = 0
    return mask


def _raises_reserved(row: Any, net: int) -> bool:
    """Whether an order that is reserved already could raise its symbol's position."""
    bought, sold = int(row["working_buy"]) - max(net, 0), int(row["working_sell"]) - max(-net, 0)
    return bool(raises_exposure(int(row["lots"]), bought, sold, net))


def price_denials(state: State, i: int, net: int, ticks: int, now_ns: int) -> int:
    """Return the denials of an order of ``net`` lots at a price of so many ticks, 0 where there is none."""
    row = state.universe.symbols[i]
    price, limits, values, met = ticks * float(row["tick"]), state.limits[0], state.values[i], state.limits_met[i]
    mask = int(check_numbers(0, row, net, price, price, now_ns, limits, values, met))
    if row["currency"]:  # its collar is of its own money, an order's value of the account's
        value = abs(net) * state.universe.lot_sizes[i] * price * float(state.universe.rates[int(row["currency"])])
        mask = int(above(mask & ~(1 << VALUE), VALUE, value, limits["max_order_value"], values, met))
    return mask
