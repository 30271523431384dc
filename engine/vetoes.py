"""The veto ledger: what each denied order saved or cost afterwards, by code.

A denial opens a veto at the decision's mark. It is settled after `VETO_BARS` bars of the symbol or at the close of the
session that the order was for, whichever is first: profit = (mark then - mark at the decision) x signed quantity, in
account currency, costs left out. A loss that the order would have made was saved, a profit is what the denial cost.

One veto is open per symbol, side and headline code: a strategy that asks for the same at every bar is counted once,
with how often it asked, until that veto is settled.
"""

import msgspec

from engine.output import Output, say
from engine.state import State
from events.types import OrderEvent, VetoEvent

VETO_BARS = 30


class Veto(msgspec.Struct, kw_only=True):
    """A denial that is not settled yet; ``due_bars`` counts the symbol's bars."""

    order_id: str
    symbol: str
    side: str
    code: str
    lots: int
    lots_by_strategy: dict[str, int]
    decided_ns: int
    price: float
    due_bars: int
    closes_ns: int
    asked: int = 1


class Total(msgspec.Struct, kw_only=True):
    """What one code's vetoes came to; money in account currency."""

    count: int = 0  # opened, pending ones too
    saved: float = 0.0
    cost: float = 0.0


class Kept(msgspec.Struct, kw_only=True):
    """A snapshot."""

    opened: dict[str, Veto]
    totals: dict[str, Total]


class Vetoes:
    """Open vetoes, at most one per symbol, side and code, and the totals by code."""

    def __init__(self) -> None:
        self.opened: dict[str, Veto] = {}
        self.totals: dict[str, Total] = {}

    def take(self, state: State, order: OrderEvent) -> None:
        """Open a veto for a denied order, or count that it was asked for again."""
        code = order.denials[0].code
        key = f"{order.symbol} {order.side} {code}"
        known = self.opened.get(key)
        if known is not None:
            known.asked += 1
            return
        i = state.universe.index[order.symbol]
        self.opened[key] = Veto(
            order_id=order.order_id,
            symbol=order.symbol,
            side=order.side,
            code=code,
            lots=order.lots,
            lots_by_strategy=dict(order.lots_by_strategy),
            decided_ns=order.engine_ns,
            price=order.expected_price,
            due_bars=int(state.universe.symbols[i]["bars"]) + VETO_BARS,
            closes_ns=order.expires_ns or state.universe.next_close_ns(i, order.engine_ns),
        )
        self.totals.setdefault(code, Total()).count += 1

    def split(self, symbol: str, numerator: int, denominator: int) -> None:
        """Count in the lots and prices that a split leaves."""
        for veto in self.opened.values():
            if veto.symbol == symbol:
                veto.price *= denominator / numerator
                veto.lots = veto.lots * numerator // denominator

    def settle(self, state: State, now_ns: int, *, everything: bool) -> list[Output]:
        """Settle what is due after a mark, or all of it at the end of the data."""
        outputs: list[Output] = []
        for key, veto in list(self.opened.items()):
            row = state.universe.symbols[state.universe.index[veto.symbol]]
            if everything or now_ns >= veto.closes_ns or row["bars"] >= veto.due_bars:
                del self.opened[key]
                outputs.append(self._settled(state, veto, now_ns))
        return outputs

    def _settled(self, state: State, veto: Veto, now_ns: int) -> Output:
        i = state.universe.index[veto.symbol]
        row = state.universe.symbols[i]
        later = now_ns > veto.closes_ns and row["session_open_ns"] >= veto.closes_ns  # no slice came at that close
        mark = float(row["previous_close"] if later else row["mark"])
        signed = veto.lots if veto.side == "BUY" else -veto.lots
        rate = float(state.universe.rates[int(row["currency"])])
        profit = (mark - veto.price) * signed * state.universe.lot_sizes[i] * rate
        total = self.totals[veto.code]
        total.saved += max(0.0, -profit)
        total.cost += max(0.0, profit)
        return say("VetoEvent", VetoEvent(
            engine_ns=now_ns, order_id=veto.order_id, symbol=veto.symbol, side=veto.side, code=veto.code,
            lots=veto.lots, lots_by_strategy=veto.lots_by_strategy, decided_ns=veto.decided_ns, price=veto.price,
            mark=mark, profit=profit, asked=veto.asked,
        ))  # fmt: skip

    def view(self) -> dict[str, dict[str, float]]:
        """Return by code how many there were, what they saved and cost, and how many are not settled."""
        pending: dict[str, int] = {}
        for veto in self.opened.values():
            pending[veto.code] = pending.get(veto.code, 0) + 1
        return {
            code: {
                "count": total.count, "saved": total.saved, "cost": total.cost, "net": total.saved - total.cost,
                "pending": pending.get(code, 0),
            }
            for code, total in sorted(self.totals.items())
        }  # fmt: skip

    def keep(self) -> Kept:
        """Return a snapshot."""
        return Kept(opened=self.opened, totals=self.totals)

    def restore(self, kept: Kept) -> None:
        """Continue from a snapshot."""
        self.opened, self.totals = kept.opened, kept.totals
