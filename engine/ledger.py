"""Fills into positions, cash and profit: the one ledger, compiled.

Cash and fees are whole micro-units, rounded against us, so that a `Decimal` model with the same rounding gives the same
figures. Basis and realised profit are sums of doubles with Neumaier's compensation (Neumaier 1974,
"Rundungsfehleranalyse einiger Verfahren zur Summation endlicher Summen"), within 1e-12 of turnover. A position
has its average cost; crossing zero closes the old side first. Dividends and the financing of shorts are realised when
they are paid; each currency has cash of its own (slot 0 of the account: its own currency).
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
def trade_fee(row: Any, lots: int, notional: int, maker: bool) -> int:  # noqa: FBT001 - compiled
    """Return the fee of a fill by the schedule in its symbol's row: a share of the notional, so much a unit, a minimum.

    Parameters
    ----------
    row : engine.layout.SYMBOL, its ``fee_*`` fields written from the configuration.
    lots, notional : the fill's size, > 0, and its value in micro-units.
    maker : whether the order rested in the book; a maker's share may be negative, a rebate.

    All rounded up: against us. A minimum is one of each fill.
    """
    fee = fee_micro(notional, row.fee_maker_ppm if maker else row.fee_ppm)
    if row.fee_unit_micro > 0:
        fee += notional_micro(lots, row.fee_unit_micro, row.lot_numerator, row.lot_denominator, True)  # noqa: FBT003 - compiled
    if fee < row.fee_minimum_micro and row.fee_minimum_micro > 0:
        fee = row.fee_minimum_micro
    return int(fee)


@njit(cache=True)
def financing_micro(value: int, ppm: int, nights: int) -> int:
    """Return what holding a short of a value (micro-units) costs over so many nights, rounded up: against us.

    Convention ACT/360: value x rate a year (parts per million) x calendar nights / 360, as money markets count.
    """
    year = PPM * 360
    whole = value // year
    rest: int = divide_up((value - whole * year) * ppm * nights, year)
    return whole * ppm * nights + rest


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
def move_cash(account: Any, currency: int, amount: int) -> None:
    """Add signed micro-units to the account's cash of a currency; 0 is the account's own."""
    if currency == 0:
        account.cash_micro += amount
    else:
        account.foreign_micro[currency] += amount


@njit(cache=True)
def book_trade(  # noqa: PLR0917 - compiled code is called with positions
    symbols: Any, i: int, accounts: Any, lots: int, price: float, notional: int, fee: int
) -> None:
    """Book a fill of signed lots at a price; cash moves by ``notional`` (> 0) and ``fee``, both micro-units."""
    row, account = symbols[i], accounts[0]
    book(row, lots, price, row.lot_numerator / row.lot_denominator)
    row.realised, row.realised_rest = add(row.realised, row.realised_rest, -fee * 1e-6)
    move_cash(account, row.currency, -(notional + fee) if lots > 0 else notional - fee)
    if row.currency == 0:
        account.fees_micro += fee
    else:
        account.foreign_fees_micro[row.currency] += fee


@njit(cache=True)
def book_net(  # noqa: PLR0917 - compiled code is called with positions
    symbols: Any, i: int, accounts: Any, lots: int, price_micro: int, fee: int, expected_price: float
) -> float:
    """Book a fill of signed lots into symbol i's net position and the account; return the slippage.

    Cash moves by the notional rounded against us and the fee; slippage is the money lost against ``expected_price``.
    """
    row, account = symbols[i], accounts[0]
    price = price_micro * 1e-6
    notional = notional_micro(abs(lots), price_micro, row.lot_numerator, row.lot_denominator, lots > 0)
    book_trade(symbols, i, accounts, lots, price, notional, fee)
    slippage: float = (price - expected_price) * lots * (row.lot_numerator / row.lot_denominator)
    account.slippage += slippage if row.currency == 0 else slippage * account.foreign_rate[row.currency]
    return slippage


@njit(cache=True)
def book_income(symbols: Any, i: int, accounts: Any, amount: int) -> None:
    """Book signed micro-units that symbol i pays or costs without a fill: into its realised profit and into cash."""
    row = symbols[i]
    row.realised, row.realised_rest = add(row.realised, row.realised_rest, amount * 1e-6)
    move_cash(accounts[0], row.currency, amount)


@njit(cache=True)
def book_share_income(books: Any, s: int, i: int, amount: int) -> None:
    """Book strategy s's share of symbol i's income, signed micro-units."""
    row = books[s, i]
    row.realised, row.realised_rest = add(row.realised, row.realised_rest, amount * 1e-6)


@njit(cache=True)
def resize(row: Any, lots: int, part: float, price: float, units_per_lot: float) -> float:
    """Give a row the whole lots that a split leaves it; return the profit realised on the rest.

    ``part`` is the signed fraction of a lot beyond ``lots``, settled in cash at a price; the basis of the rest stays:
    a split changes how many units it is shared by.
    """
    profit = 0.0
    if part != 0.0:
        whole = lots + part  # the position before its fraction goes
        value = part * units_per_lot * price
        if lots == 0 or (part > 0.0) == (whole > 0.0):
            cost = (row.basis + row.basis_rest) * (1.0 if lots == 0 else part / whole)
            profit = value - cost
            row.basis, row.basis_rest = add(row.basis, row.basis_rest, -cost)
            row.realised, row.realised_rest = add(row.realised, row.realised_rest, profit)
        else:  # rounded away from zero: the missing fraction is bought
            row.basis, row.basis_rest = add(row.basis, row.basis_rest, -value)
    if lots == 0:
        row.basis, row.basis_rest = 0.0, 0.0
    row.lots = lots
    return profit


@njit(cache=True)
def resize_net(symbols: Any, i: int, lots: int, part: float, price: float) -> float:
    """Resize symbol i's net position."""
    row = symbols[i]
    profit: float = resize(row, lots, part, price, row.lot_numerator / row.lot_denominator)
    return profit


@njit(cache=True)
def resize_share(  # noqa: PLR0917 - compiled code is called with positions
    books: Any, s: int, i: int, lots: int, part: float, price: float, units_per_lot: float
) -> float:
    """Resize strategy s's book of symbol i."""
    profit: float = resize(books[s, i], lots, part, price, units_per_lot)
    return profit


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
