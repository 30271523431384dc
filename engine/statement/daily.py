"""A day's statement from the execution journal: booked again from its fills, so that it can contradict the engine.

A day is the UTC date: what happened after its beginning and at or before its end. Money by symbol is in the symbol's
currency; the sums are those of the account's currency.
"""

from collections.abc import Iterable
from datetime import date
from typing import Any

import msgspec
import numpy as np

from engine.configuration import Configuration
from engine.layout import ACCOUNT, SYMBOL
from engine.ledger import average_price, book_income, book_net, move_cash, resize_net
from events.codec import decode_payload
from events.segments import Record
from events.types import AccountEvent, AdjustmentEvent, ControlEvent, MarketSlice, TradeEvent
from market.calendars import session_of_bar

MICRO = 1_000_000
DAY_NS = 86_400_000_000_000
WANTED = frozenset({"ControlEvent", "MarketSlice", "TradeEvent", "AdjustmentEvent", "AccountEvent"})
MONEY = ("bought", "sold", "fees", "dividends", "financing", "cash_in_lieu")


class NoStatementError(ValueError):
    """One sentence: the date and which ones there are."""


class _Books:
    """The account as its fills make it, and what moved since the day began."""

    def __init__(self) -> None:
        self.index: dict[str, int] = {}
        self.currencies: list[str] = []
        self.calendars: list[str] = []
        self.symbols = np.zeros(0, dtype=SYMBOL)
        self.account = np.zeros(1, dtype=ACCOUNT)
        self.last: AccountEvent | None = None
        self.own = ""
        self.moved: list[dict[str, int]] = []
        self.strategies: dict[str, dict[str, float]] = {}
        self.fills: list[dict[str, Any]] = []
        self.since: dict[str, float] = {}  # what strategies paid since the engine last said what they had earned
        self.off = (0, 0.0)  # cash in micro-units and equity, against the engine's, when it last said them

    def judge(self, account: AccountEvent) -> None:
        """Compare with what the engine says of the account at this instant."""
        self.last, self.since = account, {}
        table = self.symbols[self.symbols["currency"] == 0]
        value = float((table["lots"] * table["lot_numerator"] / table["lot_denominator"] * table["mark"]).sum())
        cash = int(self.account[0]["cash_micro"])
        self.off = (cash - account.cash_micro, cash / MICRO + value - account.equity)

    def configure(self, event: ControlEvent) -> None:
        try:
            given = msgspec.json.decode(event.content, type=Configuration)
        except msgspec.DecodeError:
            return  # the worker refused it too
        if not self.own:
            self.own = given.settings.account.currency
            self.account[0]["cash_micro"] = round(given.settings.account.initial_cash * MICRO)
        fresh = [each for each in given.instruments if each.symbol not in self.index]
        table = np.zeros(len(self.symbols) + len(fresh), dtype=SYMBOL)
        table[: len(self.symbols)] = self.symbols
        for i, each in enumerate(fresh, start=len(self.symbols)):
            self.index[each.symbol] = i
            self.currencies.append(each.currency)
            self.calendars.append(each.calendar)
            table[i]["lot_numerator"], table[i]["lot_denominator"] = each.lot_numerator, each.lot_denominator
            table[i]["currency"] = int(each.currency != self.own)  # slot 1 is everybody else's: not in the sums
            self.moved.append(dict.fromkeys(MONEY, 0))
        self.symbols = table

    def mark(self, market: MarketSlice) -> None:
        for bar in market.bars:
            i = self.index.get(bar.symbol)
            if i is not None and bar.close and session_of_bar(self.calendars[i], bar.open_ns, bar.close_ns):
                self.symbols[i]["mark"] = bar.close

    def trade(self, trade: TradeEvent) -> None:
        i = self.index[trade.symbol]
        if trade.lots:
            side, before = 1 if trade.side == "BUY" else -1, self._cash(i)
            book_net(self.symbols, i, self.account, side * trade.lots, round(trade.price * MICRO), trade.fee_micro, 0.0)
            self.moved[i]["bought" if side > 0 else "sold"] -= side * (self._cash(i) - before + trade.fee_micro)
            self.moved[i]["fees"] += trade.fee_micro
            self.fills.append(
                {name: getattr(trade, name) for name in ("engine_ns", "symbol", "side", "quantity", "price")}
                | {"fee": trade.fee_micro / MICRO}
            )
        for name, profit in trade.realised.items():
            self._strategy(name)["realised_before_fees"] += profit
        for name in trade.lots_by_strategy:
            self._strategy(name)["fills"] += 1

    def adjust(self, event: AdjustmentEvent) -> None:
        i = self.index[event.symbol]
        if event.kind == "split":
            whole = event.lots_before * event.numerator / event.denominator
            resize_net(self.symbols, i, event.lots, whole - event.lots, event.price)
            move_cash(self.account[0], int(self.symbols[i]["currency"]), event.cash_micro)
            self.symbols[i]["mark"] = event.price
            self.moved[i]["cash_in_lieu"] += event.cash_micro
        else:
            book_income(self.symbols, i, self.account, event.cash_micro)
            sign = 1 if event.kind == "dividend" else -1
            self.moved[i]["dividends" if event.kind == "dividend" else "financing"] += sign * event.cash_micro
        for name, profit in event.realised.items():
            self._strategy(name)[event.kind] += profit
            if event.kind == "financing":  # the others leave a strategy as rich as before
                self.since[name] = self.since.get(name, 0.0) + profit

    def begin(self) -> dict[str, Any]:
        """Start a day: forget what moved, return how things stand."""
        self.moved = [dict.fromkeys(MONEY, 0) for _ in self.moved]
        self.strategies, self.fills = {}, []
        return self.stand()

    def stand(self) -> dict[str, Any]:
        symbols = {symbol: self._position(i) for symbol, i in self.index.items()}
        own = [p for symbol, p in symbols.items() if not self.symbols[self.index[symbol]]["currency"]]
        cash = int(self.account[0]["cash_micro"])
        return {
            "cash_micro": cash,
            "equity": cash / MICRO + sum(p["value"] for p in own),
            "realised": sum(p["realised"] for p in own),
            "unrealised": sum(p["unrealised"] for p in own),
            "symbols": symbols,
            "pnl": {name: pnl + self.since.get(name, 0.0) for name, pnl in self.last.strategies.items()}
            if self.last
            else {},
        }

    def _position(self, i: int) -> dict[str, float]:
        row = self.symbols[i]
        unit = int(row["lot_numerator"]) / int(row["lot_denominator"])
        quantity, mark = int(row["lots"]) * unit, float(row["mark"])
        cost = float(row["basis"] + row["basis_rest"])
        return {
            "qty": quantity, "average_price": float(average_price(row, unit)), "mark": mark, "value": quantity * mark,
            "realised": float(row["realised"] + row["realised_rest"]),
            "unrealised": quantity * mark - cost if quantity else 0.0,
        }  # fmt: skip

    def _cash(self, i: int) -> int:
        account = self.account[0]
        return int(account["foreign_micro"][1] if self.symbols[i]["currency"] else account["cash_micro"])

    def _strategy(self, name: str) -> dict[str, float]:
        zeros = {"fills": 0, "realised_before_fees": 0.0, "dividend": 0.0, "financing": 0.0, "split": 0.0}
        return self.strategies.setdefault(name, zeros)


def statement(records: Iterable[Record], day: date | None) -> dict[str, Any]:
    """Return a day's statement; without a day the last one that the journal holds an account of.

    ``difference`` is what the sum of its parts and, at its last word of the day, the engine's own account differ by: 0
    in cash, a rounding in equity.

    Raises
    ------
    NoStatementError
        if the journal holds nothing of that day.
    """
    kept = [(record.type, decode_payload(record.type, record.payload)) for record in records if record.type in WANTED]
    days = sorted({_day_of(payload.engine_ns) for kind, payload in kept if kind == "AccountEvent"})
    wanted = (day - date(1970, 1, 1)).days if day is not None else (days[-1] if days else -1)
    if wanted not in days:
        held = f"{_iso(days[0])} to {_iso(days[-1])}" if days else "nothing yet"
        raise NoStatementError(
            f"--date: the journal has no account of {_iso(wanted) if days else 'any day'}; it has {held}"
        )
    books = _Books()
    opening: dict[str, Any] | None = None
    for kind, payload in kept:
        instant = (
            0 if kind == "ControlEvent" else getattr(payload, "close_ns" if kind == "MarketSlice" else "engine_ns")
        )
        if instant and _day_of(instant) > wanted:
            break
        if opening is None and instant and _day_of(instant) == wanted:
            opening = books.begin()
        _take(books, kind, payload)
    return _report(books, opening or books.begin(), wanted)


def _take(books: _Books, kind: str, payload: Any) -> None:
    match kind:
        case "ControlEvent":
            if payload.action == "configure":
                books.configure(payload)
        case "MarketSlice":
            books.mark(payload)
        case "TradeEvent":
            books.trade(payload)
        case "AdjustmentEvent":
            books.adjust(payload)
        case "AccountEvent":
            books.judge(payload)


def _report(books: _Books, opening: dict[str, Any], day: int) -> dict[str, Any]:
    closing = books.stand()
    own = [m for m, row in zip(books.moved, books.symbols, strict=True) if not row["currency"]]
    total = {name: sum(m[name] for m in own) for name in MONEY}
    flows = (
        total["sold"]
        - total["bought"]
        - total["fees"]
        + total["dividends"]
        - total["financing"]
        + total["cash_in_lieu"]
    )
    pnl = {name: closing["pnl"][name] - opening["pnl"].get(name, 0.0) for name in closing["pnl"]}
    return {
        "date": _iso(day),
        "currency": books.own,
        "opening": {"cash": opening["cash_micro"] / MICRO, "equity": opening["equity"]},
        "closing": {"cash": closing["cash_micro"] / MICRO, "equity": closing["equity"]},
        "totals": {name: amount / MICRO for name, amount in total.items()},
        "realised": closing["realised"] - opening["realised"],
        "unrealised_change": closing["unrealised"] - opening["unrealised"],
        "symbols": _by_symbol(books, opening, closing),
        "strategies": {name: {"pnl": pnl.get(name, 0.0), **books.strategies.get(name, {})} for name in sorted(pnl)},
        "fills": books.fills,
        "difference": {
            "cash": (opening["cash_micro"] + flows - closing["cash_micro"]) / MICRO,
            "cash_to_engine": books.off[0] / MICRO,
            "equity": opening["equity"] + closing["realised"] - opening["realised"]
            + closing["unrealised"] - opening["unrealised"] - closing["equity"],
            "equity_to_engine": books.off[1],
        },
    }  # fmt: skip


def _by_symbol(books: _Books, opening: dict[str, Any], closing: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for symbol, i in sorted(books.index.items()):
        now, before = closing["symbols"][symbol], opening["symbols"].get(symbol, {})
        if not now["qty"] and not before.get("qty") and not any(books.moved[i].values()):
            continue
        found[symbol] = {
            "currency": books.currencies[i], "qty_before": before.get("qty", 0.0), **now,
            "realised": now["realised"] - before.get("realised", 0.0),
            "unrealised_change": now["unrealised"] - before.get("unrealised", 0.0),
            **{name: amount / MICRO for name, amount in books.moved[i].items()},
        }  # fmt: skip
    return found


def _day_of(instant_ns: int) -> int:
    return (instant_ns - 1) // DAY_NS


def _iso(day: int) -> str:
    return str(np.datetime64(day, "D"))
