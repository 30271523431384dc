"""The life of an order: states, the table of allowed transitions, and what is remembered of each order."""

from typing import Literal, NamedTuple

import msgspec

from events.types import Change, Denial, FillEvent, OrderType, TimeInForce

_ENDS = frozenset({"CANCELED", "EXPIRED", "REJECTED"})
_FILLS = frozenset({"PARTIALLY_FILLED", "FILLED"})
_ASKED = frozenset({"UNKNOWN", "PENDING_CANCEL"})
_CHANGED = frozenset({"PENDING_UPDATE"})

TRANSITIONS: dict[str, frozenset[str]] = {
    "INITIALIZED": frozenset({"RISK_DENIED", "INTENT", "EXTERNAL"}),
    "INTENT": frozenset({"SUBMITTED", "ACCEPTED"}) | _FILLS | _ENDS | _ASKED,
    "SUBMITTED": frozenset({"ACCEPTED"}) | _FILLS | _ENDS | _ASKED,
    "ACCEPTED": _FILLS | _ENDS | _ASKED | _CHANGED,
    # a bust may leave an order that works without a single execution
    "PARTIALLY_FILLED": _FILLS | frozenset({"ACCEPTED", "CANCELED", "EXPIRED"}) | _ASKED | _CHANGED,
    "PENDING_UPDATE": frozenset({"ACCEPTED"}) | _FILLS | _ENDS | _ASKED,
    "PENDING_CANCEL": frozenset({"ACCEPTED"}) | _FILLS | _ENDS | _ASKED,
    "UNKNOWN": frozenset({"ACCEPTED", "PENDING_CANCEL"}) | _FILLS | _ENDS,
    # works at the broker, nobody here asked for it: a person adopts it, ignores it or takes it back
    "EXTERNAL": frozenset({"ACCEPTED"}) | _FILLS | _ENDS | _ASKED,
    # a late fill is a fact: it is booked on a closed order, which only the last of its lots makes FILLED
    "CANCELED": frozenset({"FILLED"}),
    "EXPIRED": frozenset({"FILLED"}),
    "REJECTED": frozenset({"FILLED"}),
    "RISK_DENIED": frozenset(),
    "FILLED": frozenset({"CANCELED"}),  # an execution was busted: it ended with less than its lots
}
"""State to the states that may follow it. INTENT is journaled before a broker hears of the order."""

WORKING = frozenset(
    {
        "INTENT", "SUBMITTED", "ACCEPTED", "PARTIALLY_FILLED", "PENDING_UPDATE", "PENDING_CANCEL", "UNKNOWN",
        "EXTERNAL",
    }
)  # fmt: skip
"""States in which an order may still fill: its exposure stays reserved."""


class Terms(NamedTuple):
    """How an order trades: its type, prices in ticks (None where its type has none) and time in force.

    Raises nothing by itself; ``fault`` names what is missing or too much.
    """

    type: OrderType = "MARKET"
    limit_ticks: int | None = None
    stop_ticks: int | None = None
    time_in_force: TimeInForce = "DAY"

    @property
    def fault(self) -> str:
        """Return "" where type and prices fit, else one sentence."""
        for name, ticks, wanted in (
            ("limit_ticks", self.limit_ticks, self.type in {"LIMIT", "STOP_LIMIT"}),
            ("stop_ticks", self.stop_ticks, self.type in {"STOP", "STOP_LIMIT"}),
        ):
            if wanted and (ticks is None or ticks < 1):
                return f"{name} = {ticks} of a {self.type} order must be a whole number of ticks above zero"
            if not wanted and ticks is not None:
                return f"{name} = {ticks} is not for a {self.type} order; leave it out"
        return ""


AT_MARKET = Terms()


class Image(NamedTuple):
    """What a fill finds in a row of positions, or leaves there."""

    lots: int
    basis: float
    basis_rest: float
    realised: float
    realised_rest: float


class Booked(msgspec.Struct, kw_only=True):
    """An execution as it was booked, with all that is needed to take it out again.

    ``within`` and ``beyond`` are signed lots by strategy: of the order, and more than it; ``crossed`` says that the
    order's crossing was booked with it. ``before`` and ``after`` are the rows it touched, "" the net position.
    """

    fill: FillEvent
    within: dict[str, int]
    beyond: dict[str, int]
    crossed: bool
    cash_micro: int  # what it took out of the cash, its fee included
    slippage: float
    fees: dict[str, int]
    before: dict[str, Image]
    after: dict[str, Image]


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
    type: OrderType = "MARKET"
    limit_ticks: int | None = None
    stop_ticks: int | None = None
    time_in_force: TimeInForce = "DAY"
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
    triggered: bool = False  # its stop was reached: from then on it is a market or a limit order
    seen_bar: bool = False  # a bar could have filled it: an IOC order ends with it
    purpose: Literal["", "flatten"] = ""
    external: Literal["", "undecided", "ignored"] = ""
    change: Change | None = None  # asked of the broker, not answered yet
    extra: dict[str, int] = {}  # signed lots by strategy that a change has reserved beyond the order
    booked: dict[str, Booked] = {}  # by execution, corrected ones under the first one's name
    aliases: dict[str, str] = {}  # a correction's key to the first execution's
    early: dict[str, FillEvent] = {}  # corrections and busts of what has not come yet, by what they amend
    crossed_price: float = 0.0
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
    def terms(self) -> Terms:
        """Type, prices and time in force."""
        return Terms(self.type, self.limit_ticks, self.stop_ticks, self.time_in_force)

    @property
    def reserved_lots(self) -> int:
        """Lots that are reserved: the larger of the order as it is and as it is asked to become."""
        return max(self.lots, self.change.lots if self.change is not None else 0)

    @property
    def working(self) -> bool:
        """Whether it may still fill."""
        return self.state in WORKING

    @property
    def signed(self) -> int:
        """+1 for a buy, -1 for a sale."""
        return 1 if self.side == "BUY" else -1
