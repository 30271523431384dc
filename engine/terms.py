"""How the strategies' net orders trade: at the market, or as limit orders a little beyond the mark."""

import math
from typing import Any

from engine.configuration import Orders
from engine.orders import AT_MARKET, Terms


def terms_of(orders: Orders, row: Any, lots: int) -> Terms:
    """Return the terms of a net order of signed lots in a symbol's row.

    A limit is ``limit_bps`` beyond the mark, on the tick that keeps it: a buy's rounded down, a sale's up, at least
    one tick.
    """
    if orders.type == "MARKET":
        return AT_MARKET if orders.time_in_force == "DAY" else Terms(time_in_force=orders.time_in_force)
    side, mark, tick = (1 if lots > 0 else -1), float(row["mark"]), float(row["tick"])
    ticks = mark * (1.0 + side * orders.limit_bps * 1e-4) / tick
    whole = math.floor(ticks + 1e-6) if side > 0 else math.ceil(ticks - 1e-6)
    return Terms("LIMIT", limit_ticks=max(1, whole), time_in_force=orders.time_in_force)
