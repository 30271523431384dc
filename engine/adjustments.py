"""The ledger moves without a fill: splits, dividends, the financing of shorts, over its tables alone.

``symbols`` engine.layout.SYMBOL [n], ``books`` engine.layout.BOOK [s, n] (no strategy: shape (0, n)), ``account``
engine.layout.ACCOUNT [1]. Amounts are exact until they are rounded once, against us, to the account's micro-units; the
books' shares add up to what the account got.
"""

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from engine.ledger import (
    average_price,
    book_income,
    book_share_income,
    financing_micro,
    move_cash,
    notional_micro,
    price_against_us,
    resize_net,
    resize_share,
    share_out,
)

MICRO = 1_000_000


def split_books(  # noqa: PLR0917 - the tables and one action
    symbols: Any, books: Any, i: int, account: Any, numerator: int, denominator: int
) -> tuple[int, list[int], list[float]]:
    """Split the net position of symbol i and the strategies' books; the symbol's mark is the new one already.

    Returns the cash that the fractions came to, signed micro-units rounded against us, each book's share of it, and the
    profit that each book realised on its own.

    The net position keeps its whole lots, truncated towards zero, as a broker does it; among the books the lots are
    shared by largest remainder, so that they still add up.
    """
    row = symbols[i]
    unit = Fraction(int(row["lot_numerator"]), int(row["lot_denominator"]))
    net, whole = _scaled(int(row["lots"]), numerator, denominator)
    price = float(row["mark"]) or float(average_price(row, float(unit))) * denominator / numerator
    held = [int(lots) for lots in books["lots"][:, i]]
    lots = share_split(held, whole, numerator, denominator)
    parts = [Fraction(h * numerator, denominator) - n for h, n in zip(held, lots, strict=True)]
    per_lot = unit * Fraction(price) * MICRO
    cash = _floor((net - whole) * per_lot)
    shares = exact_shares([part * per_lot for part in parts], cash)
    realised = [
        float(resize_share(books, s, i, lots[s], float(part), price, float(unit))) for s, part in enumerate(parts)
    ]
    resize_net(symbols, i, whole, float(net - whole), price)
    move_cash(account[0], int(row["currency"]), cash)
    return cash, shares, realised


def share_split(held: Sequence[int], whole: int, numerator: int, denominator: int) -> list[int]:
    """Return each book's lots after a split: its own rounded down, then one more by largest remainder, ties by index.

    They add up to ``whole``, the net position's lots: whichever way that was rounded.
    """
    lots = [h * numerator // denominator for h in held]
    rests = [h * numerator % denominator for h in held]
    for s in sorted(range(len(held)), key=lambda s: (-rests[s], s))[: whole - sum(lots)]:
        lots[s] += 1
    return lots


def exact_shares(amounts: Sequence[Fraction], total: int) -> list[int]:
    """Return whole shares that add up to ``total``, each its amount rounded down or up, by largest remainder.

    ``total`` lies between the sums of the amounts rounded down and rounded up.
    """
    shares = [_floor(amount) for amount in amounts]
    order = sorted(range(len(amounts)), key=lambda k: (shares[k] - amounts[k], k))
    for k in order[: total - sum(shares)]:
        shares[k] += 1
    return shares


def _scaled(lots: int, numerator: int, denominator: int) -> tuple[Fraction, int]:
    exact = Fraction(lots * numerator, denominator)
    return exact, int(exact)  # int() truncates towards zero


def _floor(amount: Fraction) -> int:
    return amount.numerator // amount.denominator


def pay_dividend(symbols: Any, books: Any, i: int, account: Any, per_unit_micro: Fraction) -> tuple[int, list[int]]:
    """Pay so many micro-units a unit of symbol i to who holds it: return the net's cash and each book's share of it."""
    row = symbols[i]
    per_lot = Fraction(int(row["lot_numerator"]), int(row["lot_denominator"])) * per_unit_micro
    cash = _floor(int(row["lots"]) * per_lot)  # towards minus infinity: against us, whether it comes or goes
    shares = exact_shares([int(lots) * per_lot for lots in books["lots"][:, i]], cash)
    if cash:
        book_income(symbols, i, account, cash)
    for s, share in enumerate(shares):
        if share:
            book_share_income(books, s, i, share)
    return cash, shares


def finance_short(  # noqa: PLR0917 - the tables and one charge
    symbols: Any, books: Any, i: int, account: Any, ppm: int, nights: int
) -> tuple[int, list[int]]:
    """Charge symbol i's net short at its mark; return the cost and each book's share, pro rata to its short lots."""
    row = symbols[i]
    numerator, denominator = int(row["lot_numerator"]), int(row["lot_denominator"])
    price = int(price_against_us(float(row["mark"]), 1))
    worth = int(notional_micro(-int(row["lots"]), price, numerator, denominator, True))  # noqa: FBT003 - compiled
    cost = int(financing_micro(worth, ppm, nights))
    shorts = [max(0, -int(lots)) for lots in books["lots"][:, i]]
    shares = share_out(cost, shorts, [cost] * len(shorts))
    if cost:
        book_income(symbols, i, account, -cost)
    for s, share in enumerate(shares):
        if share:
            book_share_income(books, s, i, -share)
    return cost, shares
