"""Fills into positions, cash and profit: the one ledger, compiled.

Cash and fees are whole micro-units, rounded against us, so that a `Decimal` model with the same rounding gives the same
figures. Basis and realised profit are sums of doubles with Neumaier's compensation (Neumaier 1974,
"Rundungsfehleranalyse einiger Verfahren zur Summation endlicher Summen"), within 1e-12 of turnover. A position
has its average cost; crossing zero closes the old side first.
"""

import math
from collections.abc import Sequence
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
    """Return lots x lot size x price in micro-units, rounded up or down; lots >= 0.

    Whole units and the rest are priced apart: their product with a price would not fit into 64 bits for large orders.
    """
    units = lots * numerator // denominator
    rest = (lots * numerator - units * denominator) * price_micro
    over: int = divide_up(rest, denominator) if up else rest // denominator
    return units * price_micro + over


@njit(cache=True)
def fee_micro(notional: int, fee_ppm: int) -> int:
    """Return the fee of a notional (both micro-units), rounded up: against us."""
    whole = notional // PPM
    rest: int = divide_up((notional - whole * PPM) * fee_ppm, PPM)
    return whole * fee_ppm + rest


@njit(cache=True)
def price_against_us(price: float, side: int) -> int:
    """Return a fill price in micro-units, a buy's rounded up, a sale's down."""
    scaled = price * 1e6
    nearest = math.floor(scaled + 0.5)
    if abs(scaled - nearest) < 1e-4:  # already on the micro-unit: a double's last bit must not move it
        return int(nearest)
    return int(math.ceil(scaled)) if side > 0 else int(math.floor(scaled))  # noqa: RUF046 - a double where compiled


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
def book_share(  # noqa: PLR0917 - compiled code is called with positions
    books: Any, s: int, i: int, lots: int, price: float, units_per_lot: float
) -> float:
    """Book signed lots into strategy s's book of symbol i; return the profit realised."""
    profit: float = book(books[s, i], lots, price, units_per_lot)
    return profit


@njit(cache=True)
def book_net(  # noqa: PLR0917 - compiled code is called with positions
    symbols: Any, i: int, accounts: Any, lots: int, price_micro: int, fee: int, expected_price: float
) -> float:
    """Book a fill of signed lots into symbol i's net position and the account; return the slippage.

    Cash moves by the notional rounded against us and the fee; slippage is the money lost against ``expected_price``.
    """
    row, account = symbols[i], accounts[0]
    side = 1 if lots > 0 else -1
    unit, price = row.lot_numerator / row.lot_denominator, price_micro * 1e-6
    book(row, lots, price, unit)
    row.realised, row.realised_rest = add(row.realised, row.realised_rest, -fee * 1e-6)
    notional = notional_micro(abs(lots), price_micro, row.lot_numerator, row.lot_denominator, side > 0)
    account.cash_micro -= side * notional + fee
    account.fees_micro += fee
    slippage: float = (price - expected_price) * lots * unit
    account.slippage += slippage
    return slippage


@njit(cache=True)
def average_price(row: Any, units_per_lot: float) -> float:
    """Return a position's average price, 0 when flat."""
    if row.lots == 0:
        return 0.0
    price: float = (row.basis + row.basis_rest) / (row.lots * units_per_lot)
    return price


def share_out(amount: int, weights: Sequence[int], caps: Sequence[int]) -> list[int]:
    """Return ``amount`` shared pro rata to ``weights`` (>= 0), none above its cap: largest remainder, ties by index.

    Hamilton's method in whole numbers of any size. The shares add up to ``amount``, or to all that the caps and the
    weights above zero can take.
    """
    total = sum(weights)
    if total <= 0 or amount <= 0:
        return [0] * len(weights)
    shares = [min(amount * weight // total, cap) for weight, cap in zip(weights, caps, strict=True)]
    left = amount - sum(shares)
    while left > 0:
        open_to_more = [i for i, share in enumerate(shares) if share < caps[i] and weights[i] > 0]
        if not open_to_more:
            break
        best = max(open_to_more, key=lambda i: (amount * weights[i] - shares[i] * total, -i))
        shares[best] += 1
        left -= 1
    return shares
