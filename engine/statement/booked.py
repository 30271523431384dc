"""Fills, splits and dividends of a file through the one ledger: the same compiled functions that the engine books with.

A lot of a symbol is the largest fraction of a unit in which every quantity and position of the file is whole, so that
nothing is rounded. Cash and fees are micro-units, rounded against us. At one instant actions come before fills: they
are in force from their ts on. Financing: for each midnight UTC on which a symbol is short, its last price x the rate a
year, ACT/360, until the last row of the files.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from engine.adjustments import finance_short, pay_dividend
from engine.layout import ACCOUNT, BOOK, SYMBOL
from engine.ledger import average_price, book_trade, resize_net
from engine.statement.fills import Fill
from events.commandline import BadInputError
from market.actions import Action

MICRO = 1_000_000
DAY_NS = 86_400_000_000_000
MOST_LOTS = 10**15
MOST_MICRO = 9 * 10**18


class Booked:
    """Positions and one account's money, fed by what a file holds.

    Parameters
    ----------
    lots : each symbol's lots in one unit (see :func:`lot_denominators`).
    financing_ppm : what shorts cost a year, parts per million of their value.
    """

    def __init__(self, lots: Mapping[str, int], financing_ppm: int = 0) -> None:
        self.index = {symbol: i for i, symbol in enumerate(lots)}
        self.symbols = np.zeros(len(lots), dtype=SYMBOL)
        self.symbols["lot_numerator"], self.symbols["lot_denominator"] = 1, list(lots.values())
        self.account = np.zeros(1, dtype=ACCOUNT)
        self._books = np.zeros((0, len(lots)), dtype=BOOK)
        self._ppm = financing_ppm
        self._night = [0] * len(lots)  # midnights since 1970 that a symbol has paid for
        self.fees, self.dividends, self.financing = ([0] * len(lots) for _ in range(3))

    def fill(self, fill: Fill) -> None:
        """Book a fill.

        Raises
        ------
        BadInputError
            if it is worth more than 64 bits of micro-units can count.
        """
        i = self._at(fill.symbol, fill.ts_ns)
        row = self.symbols[i]
        lots = int(fill.quantity * int(row["lot_denominator"]))
        money = fill.price * abs(fill.quantity) * MICRO
        notional = math.ceil(money) if lots > 0 else math.floor(money)
        fee = math.ceil(fill.fee * MICRO)
        if max(notional, abs(int(self.account[0]["cash_micro"]))) > MOST_MICRO // 4:
            raise BadInputError(
                f"{fill.symbol}: its fills are worth more than {MOST_MICRO // 4 // MICRO}, the most kept"
            )
        book_trade(self.symbols, i, self.account, lots, float(fill.price), notional, fee)
        row["mark"] = float(fill.price)
        self.fees[i] += fee

    def act(self, action: Action) -> None:
        """Book a split or a dividend of a symbol that the file trades; of any other it means nothing."""
        if action.symbol not in self.index:
            return
        i = self._at(action.symbol, action.ts_ns)
        row = self.symbols[i]
        if action.kind == "dividend":
            self.dividends[i] += pay_dividend(self.symbols, self._books, i, self.account, action.value * MICRO)[0]
            return
        lots = int(row["lots"]) * action.value
        row["mark"] = float(row["mark"]) / float(action.value)
        resize_net(self.symbols, i, int(lots), 0.0, float(row["mark"]))

    def end(self, ts_ns: int) -> None:
        """Charge what shorts cost until an instant."""
        for symbol in self.index:
            self._at(symbol, ts_ns)

    def _at(self, symbol: str, ts_ns: int) -> int:
        """Return a symbol's row, its nights until an instant paid."""
        i, night = self.index[symbol], ts_ns // DAY_NS
        nights, self._night[i] = night - self._night[i], night
        if self._ppm and self.symbols[i]["lots"] < 0 and nights:
            self.financing[i] += finance_short(self.symbols, self._books, i, self.account, self._ppm, nights)[0]
        return i

    def report(self, marks: Mapping[str, float]) -> dict[str, Any]:
        """Return what `manage.py ledger` prints: positions by symbol, fees, dividends, financing, change of cash."""
        account = self.account[0]
        return {
            "positions": {symbol: self._position(i, marks.get(symbol)) for symbol, i in sorted(self.index.items())},
            "fees": int(account["fees_micro"]) / MICRO,
            "dividends": sum(self.dividends) / MICRO,
            "financing": sum(self.financing) / MICRO,
            "cash_change": int(account["cash_micro"]) / MICRO,
        }

    def _position(self, i: int, mark: float | None) -> dict[str, Any]:
        row = self.symbols[i]
        unit = 1 / int(row["lot_denominator"])
        quantity = Fraction(int(row["lots"]), int(row["lot_denominator"]))
        found: dict[str, Any] = {
            "qty": int(quantity) if quantity.denominator == 1 else float(quantity),
            "average_price": float(average_price(row, unit)),
            "realised": float(row["realised"] + row["realised_rest"]),
            "fees": self.fees[i] / MICRO,
            "dividends": self.dividends[i] / MICRO,
            "financing": self.financing[i] / MICRO,
        }
        if mark is not None:
            found["unrealised"] = float(quantity) * mark - float(row["basis"] + row["basis_rest"])
        return found


def lot_denominators(fills: Iterable[Fill], actions: Iterable[Action]) -> dict[str, int]:
    """Return for each traded symbol how many lots a unit has, so that each of its fills and positions is whole.

    Raises
    ------
    BadInputError
        if a symbol's quantities are so fine and so large together that its lots cannot be counted.
    """
    finest: dict[str, int] = {}
    held: dict[str, Fraction] = {}
    largest: dict[str, Fraction] = {}
    for event in in_order(fills, actions):
        symbol = event.symbol
        if isinstance(event, Fill):
            held[symbol] = held.get(symbol, Fraction(0)) + event.quantity
            finest[symbol] = math.lcm(finest.get(symbol, 1), event.quantity.denominator)
            largest[symbol] = max(largest.get(symbol, Fraction(0)), abs(event.quantity))
        elif event.kind == "split" and symbol in held:
            held[symbol] *= event.value
            finest[symbol] = math.lcm(finest[symbol], held[symbol].denominator)
        if symbol in held:
            largest[symbol] = max(largest[symbol], abs(held[symbol]))
            if largest[symbol] * finest[symbol] > MOST_LOTS:
                raise BadInputError(
                    f"{symbol}: {float(largest[symbol]):g} units in lots of 1/{finest[symbol]} are more lots than can "
                    f"be counted ({MOST_LOTS:.0e}); give quantities of fewer decimals"
                )
    return finest


def in_order(fills: Iterable[Fill], actions: Iterable[Action]) -> Sequence[Fill | Action]:
    """Return both by time; at one instant actions come first."""
    ordered: list[Fill | Action] = [*actions, *fills]
    return sorted(ordered, key=lambda event: event.ts_ns)  # stable


def book_file(
    fills: Sequence[Fill], actions: Sequence[Action], financing_ppm: int, marks: Mapping[str, float]
) -> dict[str, Any]:
    """Return the report of a list of fills and actions.

    Raises
    ------
    BadInputError
        if they are too many lots or too much money to count.
    """
    booked = Booked(lot_denominators(fills, actions), financing_ppm)
    ordered = in_order(fills, actions)
    for event in ordered:
        if isinstance(event, Fill):
            booked.fill(event)
        else:
            booked.act(event)
    booked.end(ordered[-1].ts_ns)
    return booked.report(marks)
