"""Corporate actions of a file: a plain list, or a factor file as adjusted prices are made from.

A list has the columns ts, symbol, kind, value: kind split with its ratio (7, 1.5, 1/20: new units for one old one), or
dividend with the money paid a unit. ts is the first instant (or date) on which the action is in force.

A factor file has sym, date, price_factor, split_factor, ref_price, as QuantConnect's Lean keeps them: a row holds up
to and including its date, so that the change to the next row is an action of the session after it. The split's ratio is
split_factor of the next row over its own; the dividend is ref_price x (1 - price_factor / next price_factor), rounded
to what six digits of a factor can say. What comes after a symbol's last row is not in the file.
"""

import re
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from market.feeds import columns
from market.feeds.port import FeedError

LIST = ("ts", "symbol", "kind", "value")
FACTORS = ("sym", "date", "price_factor", "split_factor", "ref_price")
KINDS = ("split", "dividend")
DAY_NS = 86_400_000_000_000
MOST = 1_000_000
SAME = 2e-4  # relative: two ratios of six-digit factors that are one
_NUMBER = re.compile(r"[+-]?(\d{1,20}(\.\d{0,20})?|\.\d{1,20})([eE][+-]?\d{1,2})?")


class Action(NamedTuple):
    """One action; ``value`` is a split's ratio or a dividend's money a unit, exactly as the file says it."""

    ts_ns: int
    symbol: str
    kind: Literal["split", "dividend"]
    value: Fraction
    row: int  # of the file, from 1


def read_actions(path: Path) -> list[Action]:
    """Return a file's actions in the order of time.

    Raises
    ------
    FeedError
        naming the row and the value: an unknown kind, a split or dividend that is no number above 0, a list whose times
        run back, a factor that is not above 0; or the file cannot be read.
    """
    table = columns.read_table(path, ())
    if "price_factor" in table.column_names:
        return _of_factors(path, table)
    columns.require_columns(path, table, LIST, "corporate actions")
    instants = columns.instants(path, table, "ts").tolist()
    symbols, kinds, values = (words(path, table, name) for name in LIST[1:])
    found: list[Action] = []
    for k, (ts_ns, symbol, kind, value) in enumerate(zip(instants, symbols, kinds, values, strict=True)):
        where = f"{path} row {k + 1}:"
        if not symbol:
            raise FeedError(f"{where} has no symbol; each row needs one")
        if kind not in KINDS:
            raise FeedError(f'{where} kind = "{kind}" is unknown; use {" or ".join(KINDS)}')
        if found and ts_ns < found[-1].ts_ns:
            raise FeedError(f"{where} ts runs back behind the row before it; sort the file by ts")
        found.append(Action(ts_ns, symbol, kind, _value(where, kind, value), k + 1))  # type: ignore[arg-type]
    return found


def words(path: Path, table: object, column: str) -> list[str]:
    """Return a column's texts as they stand, without spaces around them."""
    codes, names = columns.texts(path, table, column)
    return [names[code].strip() for code in codes.tolist()]


def exact(text: str) -> Fraction | None:
    """Return a decimal number exactly, None for anything else (NaN, infinity, words)."""
    return Fraction(Decimal(text)) if _NUMBER.fullmatch(text) else None


def _value(where: str, kind: str, text: str) -> Fraction:
    first, slash, second = text.partition("/")
    above, below = exact(first), exact(second) if slash else Fraction(1)
    if kind == "dividend":
        if slash or above is None or not 0 < above <= MOST:
            raise FeedError(f'{where} value = "{text}" of a dividend must be money a unit, above 0 to {MOST}')
        return above
    if above is None or below is None or above <= 0 or below <= 0:
        raise FeedError(f'{where} value = "{text}" of a split must be a ratio above 0, such as 7, 1.5 or 1/20')
    ratio = above / below
    if ratio.numerator > MOST or ratio.denominator > MOST:
        raise FeedError(f'{where} value = "{text}" of a split is outside 1/{MOST} to {MOST} or too fine')
    return ratio


# --- factor files -----------------------------------------------------------------------------------------------------


def _of_factors(path: Path, table: object) -> list[Action]:
    columns.require_columns(path, table, FACTORS, "factors")
    dates = columns.instants(path, table, "date")
    numbers = {name: columns.numbers(path, table, name) for name in FACTORS[2:]}
    symbols = words(path, table, "sym")
    for name, column in numbers.items():
        wrong = np.flatnonzero(~(np.isfinite(column) & (column > 0.0)))
        if len(wrong):
            raise FeedError(f"{path} row {int(wrong[0]) + 1}: {name} = {column[wrong[0]]:g} must be a number above 0")
    last: dict[str, int] = {}
    found: list[Action] = []
    for k in np.lexsort((np.arange(len(dates)), dates)).tolist():
        before = last.get(symbols[k])
        last[symbols[k]] = k
        if before is not None:
            factors = {name: (float(column[before]), float(column[k])) for name, column in numbers.items()}
            found += _change(symbols[k], int(dates[before]) + DAY_NS, factors, before + 1)
    return sorted(found, key=lambda action: (action.ts_ns, action.symbol))


def _change(symbol: str, ts_ns: int, factors: dict[str, tuple[float, float]], row: int) -> list[Action]:
    """Return what lies between two rows of a symbol: in force from the day after the first."""
    made: list[Action] = []
    held, following = factors["price_factor"]
    paid = dividend(held, following, factors["ref_price"][0])
    if paid > 0:
        made.append(Action(ts_ns, symbol, "dividend", paid, row))
    held, following = factors["split_factor"]
    ratio = simple_ratio(following / held)
    if ratio != 1:
        made.append(Action(ts_ns, symbol, "split", ratio, row))
    return made


def dividend(held: float, following: float, close: float) -> Fraction:
    """Return the dividend between two price factors, 0 where they are the same or the later one is smaller.

    ``close`` is the close before the ex-date; the result is rounded to the decimals that factors of six digits bear.
    """
    amount = close * (1.0 - held / following)
    step = 10.0 ** np.ceil(np.log10(close * 1e-6 / following))
    whole = round(amount / step)
    return max(Fraction(0), whole * Fraction(step).limit_denominator(10**12)) if whole > 0 else Fraction(0)


def simple_ratio(value: float) -> Fraction:
    """Return the ratio of the smallest denominator that a quotient of two six-digit factors can mean."""
    if abs(value - 1.0) < SAME:
        return Fraction(1)
    for denominator in range(1, 1000):
        found = Fraction(value).limit_denominator(denominator)
        if found > 0 and abs(float(found) / value - 1.0) < SAME:
            return found
    return Fraction(value).limit_denominator(MOST)
