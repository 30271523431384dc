"""The life of an order: states, the table of allowed transitions, and what is remembered of each order."""

from typing import Literal

import msgspec

from events.types import Denial

_ENDS = frozenset({"CANCELED", "EXPIRED", "REJECTED"})
_FILLS = frozenset({"PARTIALLY_FILLED", "FILLED"})
_ASKED = frozenset({"UNKNOWN", "PENDING_CANCEL"})

TRANSITIONS: dict[str, frozenset[str]] = {
    "INITIALIZED": frozenset({"RISK_DENIED", "INTENT"}),
    "INTENT": frozenset({"SUBMITTED", "ACCEPTED"}) | _FILLS | _ENDS | _ASKED,
    "SUBMITTED": frozenset({"ACCEPTED"}) | _FILLS | _ENDS | _ASKED,
    "ACCEPTED": _FILLS | _ENDS | _ASKED,
    "PARTIALLY_FILLED": _FILLS | frozenset({"CANCELED", "EXPIRED"}) | _ASKED,
    "PENDING_CANCEL": frozenset({"ACCEPTED"}) | _FILLS | _ENDS | _ASKED,
    "UNKNOWN": frozenset({"ACCEPTED", "PENDING_CANCEL"}) | _FILLS | _ENDS,
    # a late fill is a fact: it is booked on a closed order, which only the last of its lots makes FILLED
    "CANCELED": frozenset({"FILLED"}),
    "EXPIRED": frozenset({"FILLED"}),
    "REJECTED": frozenset({"FILLED"}),
    "RISK_DENIED": frozenset(),
    "FILLED": frozenset(),
}
"""State to the states that may follow it. INTENT is journaled before a broker hears of the order."""

WORKING = frozenset({"INTENT", "SUBMITTED", "ACCEPTED", "PARTIALLY_FILLED", "PENDING_CANCEL", "UNKNOWN"})
"""States in which an order may still fill: its exposure stays reserved."""


class ImpossibleTransitionError(ValueError):
    """An order was told to do what its state does not allow."""


class Order(msgspec.Struct, kw_only=True):
    """One order; ``lots_by_strategy`` is what each strategy wanted, signed.

    Of it ``crossed`` goes between strategies with the first fill, ``residual`` is what the market still has to give.
    """

    order_id: str
    engine_ns: int
    symbol: str
    side: Literal["BUY", "SELL"]
    lots: int
    type: Literal["MARKET", "LIMIT", "STOP"] = "MARKET"
    limit_ticks: int | None = None
    stop_ticks: int | None = None
    time_in_force: Literal["DAY", "GTC"] = "DAY"
    expires_ns: int | None = None
    state: str = "INITIALIZED"
    filled_lots: int = 0
    filled_value: float = 0.0
    lots_by_strategy: dict[str, int]
    crossed: dict[str, int] = {}
    residual: dict[str, int] = {}
    expected_price: float
    denials: list[Denial] = []
    reason: str = ""
    canceling: str = ""  # why its cancellation was asked for: it stands until the order ends
    executions: list[str] = []
    parent_id: str = ""  # of engine/algorithms.py: the decision of which this order is a slice

    def move(self, state: str) -> None:
        """Enter a state.

        Raises
        ------
        ImpossibleTransitionError
            if the table does not allow it; the order is left as it was.
        """
        if state not in TRANSITIONS[self.state]:
            raise ImpossibleTransitionError(f"order {self.order_id} cannot go from {self.state} to {state}")
        self.state = state

    @property
    def working(self) -> bool:
        """Whether it may still fill."""
        return self.state in WORKING

    @property
    def signed(self) -> int:
        """+1 for a buy, -1 for a sale."""
        return 1 if self.side == "BUY" else -1
