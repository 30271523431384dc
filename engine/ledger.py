"""Fills into positions, cash and profit: the one ledger, compiled.

Cash and fees are whole micro-units, rounded against us, so that a `Decimal` model with the same rounding gives the same
figures. Basis and realised profit are sums of doubles with Neumaier's compensation (Neumaier 1974, "Rundungsfehleranalyse
einiger Verfahren zur Summation endlicher Summen"), within 1e-12 of turnover. A position has its average cost; crossing
zero closes the old side first.
"""

import math
from typing import Any

from numba import njit

MICRO = 1_000_000
PPM = 1_000_000


@njit(cache=True)
def divide_up(value: int, by: int) -> int:
    """Return value / by rounded towards plus infinity; by > 0."""
    return -((-value) // by)


@njit(cache=True)
def notional_micro(lots: int, price_micro: int, numerator: int, denominator: int, up: bool) -> int:  # noqa: FBT001 - compiled
    """Return lots x lot size x price in micro-units, rounded up or down; lots >= 0."""
    exact = lots * numerator * price_micro
    return divide_up(exact, denominator) if up else exact // denominator


@njit(cache=True)
def fee_micro(notional: int, fee_ppm: int) -> int:
    """Return the fee of a notional (both micro-units), rounded up: against us."""
    return divide_up(notional * fee_ppm, PPM)


@njit(cache=True)
def price_against_us(price: float, side: int) -> int:
    """Return a fill price in micro-units, a buy's rounded up, a sale's down."""
    scaled = price * 1e6
    nearest = math.floor(scaled + 0.5)
    if abs(scaled - nearest) < 1e-4:  # already on the micro-unit: a double's last bit must not move it
        return int(nearest)
    return int(math.ceil(scaled)) if side > 0 else int(math.floor(scaled))


@njit(cache=True)
def add(total: float, rest: float, value: float) -> tuple[float, float]:
    """Return (sum, compensation) after adding value."""
    new = total + value
    if abs(total) >= abs(value):
        rest += (total - new) + value
    else:
        rest += (value - new) + total
    return new, rest


@njit(cache=True)
def book(row: Any, lots: int, price: float, units_per_lot: float) -> float:
    """Book signed lots at a price into a row with lots, basis and realised; return the profit realised (fees apart).

    Price is in the instrument's currency per unit; the row's basis is signed like the position.
    """
    held = row.lots
    profit = 0.0
    opening = lots
    if held != 0 and (held > 0) != (lots > 0):
        closing = min(abs(lots), abs(held))
        closed = closing if held > 0 else -closing  # the part of the position that goes
        cost = (row.basis + row.basis_rest) * (closing / abs(held))
        profit = closed * units_per_lot * price - cost
        if closing == abs(held):
            row.basis, row.basis_rest = 0.0, 0.0
        else:
            row.basis, row.basis_rest = add(row.basis, row.basis_rest, -cost)
        row.realised, row.realised_rest = add(row.realised, row.realised_rest, profit)
        opening = lots + closed
    if opening != 0:
        row.basis, row.basis_rest = add(row.basis, row.basis_rest, opening * units_per_lot * price)
    row.lots = held + lots
    return profit


@njit(cache=True)
def average_price(row: Any, units_per_lot: float) -> float:
    """Return a position's average price, 0 when flat."""
    if row.lots == 0:
        return 0.0
    return (row.basis + row.basis_rest) / (row.lots * units_per_lot)


@njit(cache=True)
def share_out(amount: int, weights: Any, caps: Any, out: Any) -> None:
    """Share ``amount`` whole lots pro rata to ``weights`` (>= 0), none above its cap: largest remainder, ties by index.

    ``out`` (i8, same length) is overwritten. Hamilton's method; amount <= sum(caps), caps[i] >= weights[i] share rounded up.
    """
    total = 0
    for i in range(len(weights)):
        total += weights[i]
        out[i] = 0
    if total == 0 or amount == 0:
        return
    given = 0
    for i in range(len(weights)):
        out[i] = min(amount * weights[i] // total, caps[i])
        given += out[i]
    while given < amount:
        best, best_rest = -1, -1
        for i in range(len(weights)):
            rest = amount * weights[i] - out[i] * total
            if out[i] < caps[i] and rest > best_rest:
                best, best_rest = i, rest
        if best < 0:
            return
        out[best] += 1
        given += 1
