"""Cash, fees, basis and profit against exact models."""

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.layout import ACCOUNT, SYMBOL
from engine.ledger import (
    average_price,
    book_net,
    divide_up,
    fee_micro,
    notional_micro,
    price_against_us,
    share_out,
)

FEE_PPM = 100


class Book:
    """One symbol's row and an account, fed by fills."""

    def __init__(self, numerator: int = 1, denominator: int = 1) -> None:
        self.symbols, self.account = np.zeros(1, dtype=SYMBOL), np.zeros(1, dtype=ACCOUNT)
        self.row = self.symbols[0]
        self.row["lot_numerator"], self.row["lot_denominator"] = numerator, denominator
        self.unit = numerator / denominator

    def fill(self, lots: int, price_micro: int, fee_ppm: int = FEE_PPM) -> int:
        args = abs(lots), price_micro, int(self.row["lot_numerator"]), int(self.row["lot_denominator"])
        fee = fee_micro(notional_micro(*args, lots > 0), fee_ppm)
        book_net(self.symbols, 0, self.account, lots, price_micro, fee, price_micro * 1e-6)
        return fee

    @property
    def realised(self) -> float:
        return float(self.row["realised"] + self.row["realised_rest"])

    @property
    def basis(self) -> float:
        return float(self.row["basis"] + self.row["basis_rest"])


def test_worked_example_holds_to_twelve_digits() -> None:
    book = Book()
    average = Fraction(12 * 100 + 17 * 99, 29)
    fees = [Fraction(x, 10_000) for x in (1200, 1683, 909, 420, 309)]
    first, second = 9 * (101 - average), 4 * (105 - average)
    expected = [
        (12, 12, 100, Fraction(100), -fees[0]),
        (17, 29, 99, average, -sum(fees[:2])),
        (-9, 20, 101, average, first - sum(fees[:3])),
        (-4, 16, 105, average, first + second - sum(fees[:4])),
        (3, 19, 103, (16 * average + 309) / 19, first + second - sum(fees)),
    ]
    for lots, after, price, price_average, realised in expected:
        book.fill(lots, price * 1_000_000)
        assert book.row["lots"] == after
        assert average_price(book.row, 1.0) == pytest.approx(float(price_average), rel=1e-12)
        assert book.realised == pytest.approx(float(realised), rel=1e-12)
    assert book.realised == pytest.approx(36.16858966, abs=1e-8)
    assert average_price(book.row, 1.0) == pytest.approx(99.98003629764065, rel=1e-12)
    assert int(book.account[0]["fees_micro"]) == 452_100


def test_crossing_zero_closes_the_old_side_first() -> None:
    book = Book()
    book.fill(100, 50_000_000, fee_ppm=0)
    book.fill(-200, 100_000_000, fee_ppm=0)
    assert book.row["lots"] == -100
    assert book.realised == 5_000.0
    assert average_price(book.row, 1.0) == 100.0
    book.fill(100, 90_000_000, fee_ppm=0)
    assert (int(book.row["lots"]), book.realised, book.basis) == (0, 6_000.0, 0.0)
    assert average_price(book.row, 1.0) == 0.0


def fills(lots: int, price: int = 10**11) -> st.SearchStrategy[list[tuple[int, int]]]:
    signed = st.integers(-lots, lots).filter(bool)
    return st.lists(st.tuples(signed, st.integers(1, price)), min_size=1, max_size=60)


@given(fills(lots=10**4), st.sampled_from([(1, 1), (1, 10_000), (100, 1), (3, 7)]), st.integers(0, 100_000))
def test_cash_and_fees_equal_a_decimal_model_exactly(made, lot, fee_ppm) -> None:
    book, cash, fees = Book(*lot), Decimal(0), Decimal(0)
    for lots, price in made:
        book.fill(lots, price, fee_ppm)
        exact = Fraction(abs(lots) * lot[0] * price, lot[1])
        rounding = ROUND_CEILING if lots > 0 else ROUND_FLOOR
        notional = whole(exact, rounding)
        fee = whole(Fraction(int(notional) * fee_ppm, 1_000_000), ROUND_CEILING)
        cash -= (notional if lots > 0 else -notional) + fee
        fees += fee
    assert (int(book.account[0]["cash_micro"]), int(book.account[0]["fees_micro"])) == (int(cash), int(fees))


def whole(value: Fraction, rounding: str) -> Decimal:
    """Round an exact fraction to a whole number."""
    down = Decimal(value.numerator // value.denominator)
    return down + (1 if rounding == ROUND_CEILING and value.denominator != 1 else 0)


@given(st.integers(1, 10**15), st.integers(1, 10**6), st.integers(1, 10**12), st.booleans())
def test_a_notional_that_fits_is_exact_where_its_parts_do_not(lots, denominator, price, up) -> None:
    lots = min(lots, 9 * 10**18 * denominator // price)
    exact = Fraction(lots * price, denominator)
    expected = whole(exact, ROUND_CEILING if up else ROUND_FLOOR)
    if lots and abs(expected) < 9 * 10**18:
        assert notional_micro(lots, price, 1, denominator, up) == int(expected)


@given(st.integers(0, 9 * 10**18 // 10**5 * 10), st.integers(0, 100_000))
def test_a_fee_is_rounded_up_and_never_overflows(notional, ppm) -> None:
    assert fee_micro(notional, ppm) == -(-notional * ppm // 10**6)


@given(fills(lots=10**4, price=10**9))
def test_basis_and_realised_stay_within_a_trillionth_of_turnover(made) -> None:
    book = Book()
    held, basis, realised, turnover = 0, Fraction(0), Fraction(0), Fraction(0)
    for lots, micro in made:
        fee = book.fill(lots, micro)
        price = Fraction(micro, 10**6)
        turnover += abs(lots) * price
        realised -= Fraction(fee, 10**6)
        if held * lots < 0:
            closing = min(abs(lots), abs(held))
            cost = basis * closing / abs(held)
            realised += (closing if held > 0 else -closing) * price - cost
            basis -= cost
            rest = abs(lots) - closing
            basis += (rest if lots > 0 else -rest) * price
        else:
            basis += lots * price
        held += lots
        assert abs(Fraction(book.basis) - basis) <= turnover / 10**12
        assert abs(Fraction(book.realised) - realised) <= turnover / 10**12
    assert int(book.row["lots"]) == held


@given(st.floats(1e-6, 1e6), st.sampled_from([1, -1]))
def test_prices_are_rounded_to_the_micro_unit_against_us(price, side) -> None:
    micro = price_against_us(price, side)
    exact = Fraction(price) * 10**6
    tolerance = Fraction(1, 10**4) + exact / 2**52
    assert (micro - exact) * side >= -tolerance
    assert abs(micro - exact) < 1 + tolerance


@pytest.mark.parametrize(
    ("price", "side", "micro"),
    [
        (0.1 + 0.2, 1, 300_000),
        (1.1 * 3, -1, 3_300_000),
        (10.0000014, 1, 10_000_002),
        (10.0000014, -1, 10_000_001),
        (173.33, 1, 173_330_000),
    ],
)
def test_a_last_bit_moves_no_price(price, side, micro) -> None:
    assert price_against_us(price, side) == micro


@given(st.integers(-(10**12), 10**12), st.integers(1, 10**6))
def test_divide_up_is_the_ceiling(value, by) -> None:
    assert divide_up(value, by) == -(-value // by)


shares = st.lists(st.integers(0, 10**9), min_size=1, max_size=6)


@given(shares, st.integers(0, 10**15))
def test_shares_add_up_and_are_pro_rata_within_one(weights, amount) -> None:
    total = sum(weights)
    out = share_out(amount, weights, [amount] * len(weights))
    if total == 0:
        assert out == [0] * len(weights)
        return
    assert sum(out) == amount
    assert all(abs(Fraction(amount * w, total) - got) < 1 for w, got in zip(weights, out, strict=True))
    assert all(got == 0 for w, got in zip(weights, out, strict=True) if w == 0)


@given(st.lists(st.tuples(st.integers(0, 100), st.integers(0, 100)), min_size=1, max_size=6), st.integers(0, 400))
def test_no_share_is_above_its_cap(pairs, amount) -> None:
    weights, caps = [w for w, _ in pairs], [c for _, c in pairs]
    out = share_out(amount, weights, caps)
    assert all(0 <= got <= cap for got, cap in zip(out, caps, strict=True))
    assert sum(out) == min(amount, sum(c for w, c in pairs if w))


@pytest.mark.parametrize(
    ("amount", "weights", "expected"),
    [
        (10, [1, 1, 1], [4, 3, 3]),
        (11, [1, 1, 1], [4, 4, 3]),
        (1, [1, 1], [1, 0]),
        (7, [3, 2, 2], [3, 2, 2]),
        (3, [5, 3, 2], [1, 1, 1]),
        (5, [0, 1, 0], [0, 5, 0]),
    ],
)
def test_the_largest_remainder_gets_the_next_lot_and_ties_go_by_index(amount, weights, expected) -> None:
    assert share_out(amount, weights, [amount] * len(weights)) == expected
