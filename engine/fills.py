"""The fill model that paper broker and backtester share: what a bar does to the orders that wait for it.

Market orders fill at the next bar's open, half a spread and the impact worse: half spread = max(half a tick, k basis
points), impact = eta x sigma x sqrt(quantity / bar volume) (the square-root law, Almgren et al. 2005, "Direct
Estimation of Equity Market Impact"). One volume budget a symbol and bar, in time priority; the rest stays open.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import njit

from engine.ledger import notional_micro, price_against_us, trade_fee
from engine.orders import Order
from events.types import FillEvent

if TYPE_CHECKING:
    from engine.universe import Universe

MOST_BARS = 1e6  # of volume that a fill may be: a unit book has no budget, and a sliver of volume must cost no infinity


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


def market_fills(orders: Iterable[Order], universe: "Universe", costs: Any, broker: str) -> list[FillEvent]:
    """Return the fills of one slice for working market orders, in order-id order.

    Parameters
    ----------
    orders : working orders in order-id order; that is their time priority.
    universe : with the slice laid over it, its symbols as the one before left them (sigma of the bars before).
    costs : one row of engine.layout.COSTS.
    broker : whose executions these are.
    """
    fills: list[FillEvent] = []
    left: dict[int, int] = {}
    for order in orders:
        i = universe.index[order.symbol]
        bar = universe.bars[i]
        if not bar["present"] or order.type != "MARKET" or bar["close_ns"] <= order.engine_ns:
            continue
        if order.expires_ns is not None and order.expires_ns <= bar["open_ns"]:
            continue  # a DAY order does not see the next session, even where its own had no last bar
        if i not in left:
            share = float(costs["volume_share"])
            left[i] = int(budget_lots(float(bar["volume"]), share, universe.lot_sizes[i]))
        lots = min(order.lots - order.filled_lots, left[i])
        if lots <= 0:
            continue
        left[i] -= lots
        fills.append(_fill(order, lots, bar, universe.symbols[i], costs, broker))
    return fills


def _fill(  # noqa: PLR0917 - one order and what it meets
    order: Order, lots: int, bar: Any, row: Any, costs: Any, broker: str
) -> FillEvent:
    side = 1 if order.side == "BUY" else -1
    numerator, denominator = int(row["lot_numerator"]), int(row["lot_denominator"])
    price = market_price_micro(
        float(bar["open"]),
        side,
        lots * numerator / denominator,
        float(bar["volume"]),
        float(row["sigma"]),
        float(row["tick"]),
        float(costs["half_spread"]),
        float(costs["impact_eta"]),
    )
    notional = notional_micro(lots, price, numerator, denominator, side > 0)
    return FillEvent(
        broker=broker,
        execution_id=f"{order.order_id}.{order.filled_lots + lots}",
        order_id=order.order_id,
        broker_ns=max(int(bar["open_ns"]), order.engine_ns),
        symbol=order.symbol,
        side=order.side,
        lots=lots,
        price_micro=price,
        fee_micro=trade_fee(row, lots, notional, False),  # noqa: FBT003 - compiled; it takes what is there
        reference_price=float(bar["open"]),
    )
