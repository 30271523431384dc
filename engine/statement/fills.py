"""A list of fills, as a broker's statement has them: read exactly, refused by the row."""

from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

from events.commandline import BadInputError
from market.actions import exact, words
from market.feeds import columns

COLUMNS = ("ts", "symbol", "side", "qty", "price", "fee")
SIDES = {"buy": 1, "sell": -1}
MOST = 10**12


class Fill(NamedTuple):
    """One fill; ``quantity`` is signed, all numbers are exactly those of the file."""

    ts_ns: int
    symbol: str
    quantity: Fraction
    price: Fraction
    fee: Fraction


def read_fills(path: Path) -> list[Fill]:
    """Return a file's fills in its order.

    Raises
    ------
    BadInputError, market.feeds.port.FeedError
        naming the row and the value: a side that is none, a quantity or price that is no number above 0, a fee that is
        no number, a time behind the row before; or the file cannot be read or lacks a column.
    """
    table = columns.read_table(path, ())
    columns.require_columns(path, table, COLUMNS, "fills")
    instants = columns.instants(path, table, "ts").tolist()
    texts = [words(path, table, name) for name in COLUMNS[1:]]
    found: list[Fill] = []
    for k, (ts_ns, symbol, side, quantity, price, fee) in enumerate(zip(instants, *texts, strict=True)):
        where = f"{path} row {k + 1}:"
        if not symbol:
            raise BadInputError(f"{where} has no symbol; each row needs one")
        if side.lower() not in SIDES:
            raise BadInputError(f'{where} side = "{side}" is unknown; use buy or sell')
        if found and ts_ns < found[-1].ts_ns:
            raise BadInputError(f"{where} ts runs back behind the row before it; sort the file by ts")
        signed = SIDES[side.lower()] * positive(where, "qty", quantity)
        found.append(Fill(ts_ns, symbol, signed, positive(where, "price", price), _fee(where, fee)))
    return found


def positive(where: str, field: str, text: str) -> Fraction:
    """Return a number above 0.

    Raises
    ------
    BadInputError
        naming the field, the text and what is allowed.
    """
    value = exact(text)
    if value is None or not 0 < value <= MOST:
        raise BadInputError(f'{where} {field} = "{text}" must be a number above 0, at most {MOST}')
    return value


def _fee(where: str, text: str) -> Fraction:
    value = exact(text)
    if value is None or abs(value) > MOST:
        raise BadInputError(f'{where} fee = "{text}" must be a number (0 where nothing was asked, below 0 a rebate)')
    return value
