"""Message limits on orders that exist already: changes share the quota of new orders, cancels have their own.

The kernel takes the tokens of new orders (engine/decisions.py). A cancel that a rule of safety asks for (kill, halt,
breaker) asks nobody; one that a strategy's targets bring takes a token of the cancels' quota, so that orders, however
many there are, never keep a cancel from leaving.
"""

import numpy as np

from engine.orders import Order
from engine.state import State
from risk.checks import take_tokens


def may_cancel(state: State, order: Order, now_ns: int) -> bool:
    """Take the tokens of one cancel; False where the quota is used up: ask again at the next slice."""
    cancels = state.guards.cancels
    return _take(state, cancels[0], cancels[1:], order, now_ns)


def may_modify(state: State, order: Order, now_ns: int) -> bool:
    """Take the tokens of one change of an order, from the quota that new orders use."""
    return _take(state, state.account[0], state.strategies, order, now_ns)


def _take(state: State, station: object, strategies: object, order: Order, now_ns: int) -> bool:
    asking = np.array([name in order.lots_by_strategy for name in state.names])
    limits = state.limits[0]
    burst = 2.0 * len(state.universe.instruments)
    return bool(
        take_tokens(station, strategies, asking, now_ns, limits["station_rate"], limits["strategy_rate"], burst)
    )
