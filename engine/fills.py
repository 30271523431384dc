"""The fill model that paper broker and backtester share: what a slice does to the orders that wait for it.

Market orders fill at the next bar's open, half a spread and the impact worse: half spread = max(half a tick, k basis
points), impact = eta x sigma x sqrt(quantity / bar volume) (the square-root law, Almgren et al. 2005, "Direct
Estimation of Equity Market Impact"). A stop is reached where the bar touches it: it fills at the open where that is
beyond it, else at the stop, and pays spread and impact as a market order does. A limit fills at the open where that is
better, else at the limit where the bar trades through it; a bar that only touches it fills nothing. A stop-limit order
is a stop that never pays more than its limit, and a limit order once its stop was reached. One volume budget a symbol
and bar, stops and market orders before limits, each in time priority; the rest stays open.

Where a slice has a quote, its half spread is the real one, and what takes liquidity takes what the quote shows at its
price: what was taken of a level stays taken until its price or its size changes.
"""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numba import njit

from engine.ledger import notional_micro, price_against_us, trade_fee
from engine.orders import Order
from events.types import FillEvent, Quote

if TYPE_CHECKING:
    from engine.universe import Universe

MOST_BARS = 1e6  # of volume that a fill may be: a unit book has no budget, and a sliver of volume must cost no infinity
MICRO = 1_000_000

Taken = dict[str, tuple[float, float, int]]
"""A symbol's side ("AAPL BUY") to the price and size of the level that was taken from, and the lots taken of it."""


@njit(cache=True)
def market_price_micro(  # noqa: PLR0917 - compiled code is called with positions
    open_price: float,
    side: int,
    quantity: float,
    volume: float,
    sigma: float,
    tick: float,
    half_spread: float,
    impact_eta: float,
) -> int:
    """Return the price in micro-units at which a market order of ``quantity`` units fills; side +1 buys, -1 sells.

    The impact is at most the open itself; a sale gets at least a tick.
    """
    half = max(0.5 * tick, half_spread * open_price)
    bars = min(quantity / volume, MOST_BARS) if volume > 0.0 else 0.0
    impact = min(impact_eta * sigma * np.sqrt(bars), 1.0) * open_price
    price = open_price + side * (half + impact)
    if side < 0:
        price = max(price, tick)
    rounded: int = price_against_us(price, side)
    return rounded


@njit(cache=True)
def budget_lots(volume: float, share: float, unit: float) -> int:
    """Return how many lots of a bar's volume may be ours."""
    return int(volume * share / unit)


class Meeting(NamedTuple):
    """What an order meets in a slice: the price before spread and impact, and whether it takes what others offer."""

    price: float
    takes: bool


class Level(NamedTuple):
    """The far side of a quote: its price and size, half of the spread, and the instant."""

    price: float
    size: float
    half: float
    ts_ns: int


def eligible(order: Order, bar: Any) -> bool:
    """Whether a slice's bar is one that the order waits for: after its decision, and of its own session."""
    if not bar["present"] or bar["close_ns"] <= order.engine_ns:
        return False
    # a DAY order does not see the next session, even where its own had no last bar
    return order.expires_ns is None or order.expires_ns > bar["open_ns"]


def reached(order: Order, bar: Any, tick: float) -> bool:
    """Whether a bar touches an order's stop."""
    if order.stop_ticks is None:
        return False
    stop = order.stop_ticks * tick
    return bool(bar["high"] >= stop if order.side == "BUY" else bar["low"] <= stop)


def meeting(order: Order, bar: Any, tick: float) -> Meeting | None:
    """Return where a bar meets an order, None where it does not: see the module's own words for the rules."""
    side, opened = order.signed, float(bar["open"])
    if order.type == "MARKET" or (order.type == "STOP" and order.triggered):
        return Meeting(opened, takes=True)
    if order.type == "LIMIT" or (order.type == "STOP_LIMIT" and order.triggered):
        return _at_limit(order, bar, tick)
    if not reached(order, bar, tick):
        return None
    assert order.stop_ticks is not None  # noqa: S101 - narrows the type: only an order with a stop is reached
    stop = order.stop_ticks * tick
    price = opened if (opened - stop) * side >= 0.0 else stop
    if order.type == "STOP":
        return Meeting(price, takes=True)
    assert order.limit_ticks is not None  # noqa: S101 - Terms.fault
    limit = order.limit_ticks * tick
    if (limit - price) * side > 0.0:
        return Meeting(price, takes=True)
    # what came first, the stop or the limit, a bar does not tell; its close is after both
    return Meeting(limit, takes=False) if (limit - float(bar["close"])) * side > 0.0 else None


def _at_limit(order: Order, bar: Any, tick: float) -> Meeting | None:
    assert order.limit_ticks is not None  # noqa: S101 - Terms.fault
    side, limit, opened = order.signed, order.limit_ticks * tick, float(bar["open"])
    if (limit - opened) * side > 0.0:
        return Meeting(opened, takes=False)
    through = float(bar["low"]) < limit if side > 0 else float(bar["high"]) > limit
    return Meeting(limit, takes=False) if through else None


def first_quotes(quotes: Iterable[Quote]) -> dict[str, Quote]:
    """Return each symbol's first quote of a slice: the one that stands when its orders arrive."""
    found: dict[str, Quote] = {}
    for quote in quotes:
        found.setdefault(quote.symbol, quote)
    return found


def _level(quote: Quote | None, side: int) -> Level | None:
    if quote is None:
        return None
    price, size = (quote.ask, quote.ask_size) if side > 0 else (quote.bid, quote.bid_size)
    assert price is not None  # noqa: S101 - narrows the type: a valid quote has all four
    assert size is not None  # noqa: S101
    assert quote.ask is not None  # noqa: S101
    assert quote.bid is not None  # noqa: S101
    return Level(price, size, 0.5 * (quote.ask - quote.bid), quote.ts_ns)


class _Slice:
    """One slice's budgets, levels and fills while orders take their turns."""

    def __init__(self, universe: "Universe", costs: Any, broker: str, quotes: Iterable[Quote], taken: Taken) -> None:
        self.universe, self.costs, self.broker = universe, costs, broker
        self.quotes = first_quotes(quotes)
        self.taken = taken
        self.fills: list[FillEvent] = []
        self._budgets: dict[int, int] = {}

    def take(self, order: Order, met: Meeting) -> None:
        """Let an order have what is left for it."""
        i = self.universe.index[order.symbol]
        level = _level(self.quotes.get(order.symbol), order.signed) if self._takes(order) else None
        wanted = order.lots - order.filled_lots
        lots = min(wanted, self._budget(i))
        if level is not None:
            lots = min(lots, self._left(order, level, i))
        if lots <= 0:
            return
        price = self._price(order, met, lots, level, i)
        if price < 1:
            return
        self._budgets[i] -= lots
        if level is not None:
            key = f"{order.symbol} {order.side}"
            self.taken[key] = (level.price, level.size, self._gone(key, level) + lots)
        self.fills.append(self._fill(order, lots, price, met, level, i))

    def take_quote(self, order: Order) -> None:
        """Let an order that no bar meets have what the quote shows, within its limit."""
        level = _level(self.quotes[order.symbol], order.signed)
        assert level is not None  # noqa: S101 - the caller has seen it
        i = self.universe.index[order.symbol]
        if not self.universe.bars[i]["present"]:
            self._budgets.setdefault(i, MICRO * MICRO)  # no bar, no volume: what the level shows is all there is
        tick = float(self.universe.symbols[i]["tick"])
        if order.limit_ticks is None or (order.limit_ticks * tick - level.price) * order.signed >= 0.0:
            self.take(order, Meeting(level.price, takes=True))

    def _takes(self, order: Order) -> bool:
        """Whether an order takes from the level that the quote shows: not a stop reached later, nor what rests."""
        if order.type == "MARKET" or (order.type == "STOP" and order.triggered):
            return True
        quote = self.quotes.get(order.symbol)
        if order.limit_ticks is None or quote is None or (order.type == "STOP_LIMIT" and not order.triggered):
            return False
        tick = float(self.universe.symbols[self.universe.index[order.symbol]]["tick"])
        far = quote.ask if order.side == "BUY" else quote.bid
        return far is not None and (order.limit_ticks * tick - far) * order.signed >= 0.0

    def _budget(self, i: int) -> int:
        if i not in self._budgets:
            volume, share = float(self.universe.bars[i]["volume"]), float(self.costs["volume_share"])
            self._budgets[i] = int(budget_lots(volume, share, self.universe.lot_sizes[i]))
        return self._budgets[i]

    def _gone(self, key: str, level: Level) -> int:
        price, size, lots = self.taken.get(key, (0.0, 0.0, 0))
        return lots if (price, size) == (level.price, level.size) else 0

    def _left(self, order: Order, level: Level, i: int) -> int:
        shown = int(level.size / self.universe.lot_sizes[i] + 1e-9)
        return shown - self._gone(f"{order.symbol} {order.side}", level)

    def _price(self, order: Order, met: Meeting, lots: int, level: Level | None, i: int) -> int:
        """Return the price in micro-units: against us, and never beyond a limit."""
        row, bar, side = self.universe.symbols[i], self.universe.bars[i], order.signed
        if level is not None:
            price = int(price_against_us(level.price, side))
        elif met.takes:
            quote = _level(self.quotes.get(order.symbol), side)
            real = quote.half / met.price if quote is not None else -1.0
            price = int(market_price_micro(
                met.price, side, lots * int(row["lot_numerator"]) / int(row["lot_denominator"]), float(bar["volume"]),
                float(row["sigma"]), float(row["tick"]) if real < 0.0 else 0.0,
                float(self.costs["half_spread"]) if real < 0.0 else real, float(self.costs["impact_eta"]),
            ))  # fmt: skip
        else:
            price = int(price_against_us(met.price, -side))
        if order.limit_ticks is None:
            return price
        limit = int(price_against_us(order.limit_ticks * float(row["tick"]), -side))  # rounded so that it is kept
        return min(price, limit) if side > 0 else max(price, limit)

    def _fill(  # noqa: PLR0917 - one order and what it meets
        self, order: Order, lots: int, price: int, met: Meeting, level: Level | None, i: int
    ) -> FillEvent:
        row = self.universe.symbols[i]
        notional = notional_micro(lots, price, int(row["lot_numerator"]), int(row["lot_denominator"]), order.signed > 0)
        arrived = level.ts_ns if level is not None else int(self.universe.bars[i]["open_ns"])
        return FillEvent(
            broker=self.broker,
            execution_id=f"{order.order_id}.{order.filled_lots + lots}",
            order_id=order.order_id,
            broker_ns=max(arrived, order.engine_ns),
            symbol=order.symbol,
            side=order.side,
            lots=lots,
            price_micro=price,
            fee_micro=int(trade_fee(row, lots, notional, level is None and not met.takes)),
            reference_price=met.price if level is None else level.price - order.signed * level.half,
        )


def slice_fills(  # noqa: PLR0917 - what a slice brings
    orders: list[Order], universe: "Universe", costs: Any, broker: str, quotes: Iterable[Quote] = (),
    taken: Taken | None = None,
) -> list[FillEvent]:  # fmt: skip
    """Return the fills of one slice for working orders, in order-id order; at most one an order.

    Parameters
    ----------
    orders : working orders in order-id order; that is their time priority.
    universe : with the slice laid over it, its symbols as the one before left them (sigma of the bars before).
    costs : one row of engine.layout.COSTS.
    broker : whose executions these are.
    quotes : valid quotes of the slice, in order of time.
    taken : what was taken of each level before; what is taken now is added to it.
    """
    turn = _Slice(universe, costs, broker, quotes, {} if taken is None else taken)
    for order, met in _turns(orders, turn):
        if met is None:
            turn.take_quote(order)
        else:
            turn.take(order, met)
    if len(turn.fills) > 1:
        turn.fills.sort(key=lambda fill: fill.order_id)
    return turn.fills


def _turns(orders: list[Order], turn: _Slice) -> Iterator[tuple[Order, Meeting | None]]:
    """Yield orders and what they meet: what takes liquidity first, then what rests, each in time priority."""
    universe, later = turn.universe, list[tuple[Order, Meeting | None]]()
    for order in orders:
        i = universe.index[order.symbol]
        bar = universe.bars[i]
        met = meeting(order, bar, float(universe.symbols[i]["tick"])) if eligible(order, bar) else None
        if met is not None and (order.type in {"MARKET", "STOP"} or met.takes):
            yield order, met
        elif met is not None or _may_take(order, turn.quotes.get(order.symbol)):
            later.append((order, met))
    yield from later


def after_slice(orders: Iterable[Order], universe: "Universe", quotes: Iterable[Quote] = ()) -> None:
    """Note on working orders what a slice has shown: that a stop was reached, that a bar could have filled them."""
    quoted = first_quotes(quotes)
    for order in orders:
        i = universe.index[order.symbol]
        bar = universe.bars[i]
        if eligible(order, bar):
            order.seen_bar = True
            if not order.triggered and reached(order, bar, float(universe.symbols[i]["tick"])):
                order.triggered = True
        elif not bar["present"] and order.symbol in quoted and _sees(order, quoted[order.symbol]):
            order.seen_bar = True


def _may_take(order: Order, quote: Quote | None) -> bool:
    """Whether an order that no bar meets may take what a quote shows: not while it waits for its stop."""
    waits = order.stop_ticks is not None and not order.triggered
    return quote is not None and not waits and _sees(order, quote)


def _sees(order: Order, quote: Quote) -> bool:
    """Whether a quote comes after an order's decision and within its time."""
    return quote.ts_ns >= order.engine_ns and (order.expires_ns is None or order.expires_ns > quote.ts_ns)
