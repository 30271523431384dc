"""What every broker offers the worker."""

from typing import Protocol

import msgspec

from engine.configuration import Configuration
from events.types import AdjustmentEvent, BrokerEvent, FillEvent, MarketSlice, OrderEvent


class BrokerTimeoutError(Exception):
    """No answer in time: whether the broker acted is unknown, and must be asked before anything is sent again."""


class BrokerUnavailableError(Exception):
    """The broker cannot be asked; a failed query is never read as flat."""


class Holdings(msgspec.Struct, frozen=True, kw_only=True):
    """What the broker says the account holds: whole lots by symbol (no zeros); cash in micro-units, if it tells.

    ``foreign_micro`` is the cash of other currencies than the account's, no zeros.
    """

    lots: dict[str, int]
    cash_micro: int | None = None
    foreign_micro: dict[str, int] | None = None


class Capabilities(msgspec.Struct, frozen=True, kw_only=True):
    """What a broker can do; what it cannot is refused before it is sent, with a sentence.

    ``executions``: it has books of its own and tells its executions by itself. ``symbols``: what it lists, None where
    it takes every symbol of the configuration.
    """

    types: frozenset[str] = frozenset({"MARKET", "LIMIT", "STOP", "STOP_LIMIT"})
    time_in_force: frozenset[str] = frozenset({"DAY", "IOC", "GTC"})
    modify: bool = True
    executions: bool = True
    symbols: frozenset[str] | None = None

    def lacks(self, order: OrderEvent) -> str:
        """Return "" where an order can be taken, else one sentence."""
        for name, value, allowed in (
            ("type", order.type, self.types),
            ("time_in_force", order.time_in_force, self.time_in_force),
            ("symbol", order.symbol, self.symbols),
        ):
            if allowed is not None and value not in allowed:
                return f"{name} = {value} is not taken here; allowed are {', '.join(sorted(allowed)) or 'none'}"
        return ""


class Broker(Protocol):
    """A venue's side of the order life; ``cancel`` and ``working`` may be called from another thread meanwhile.

    Every method raises BrokerTimeoutError where no answer came in time, BrokerUnavailableError where none can come.
    """

    name: str

    @property
    def live(self) -> bool:
        """Whether it trades real money: never under PAPER."""

    @property
    def capabilities(self) -> Capabilities:
        """What it can do."""

    def configure(self, configuration: Configuration) -> None:
        """Learn what a new configuration says of the instruments."""

    def submit(self, order: OrderEvent) -> BrokerEvent:
        """Send an order; its order id is the client order id, so that sending it twice is recognised."""

    def cancel(self, order_id: str) -> BrokerEvent:
        """Cancel what is left of an order; one that does not work any more is answered as CANCELED as well."""

    def modify(self, order: OrderEvent) -> BrokerEvent:
        """Replace a working order by its ``change``: UPDATED (``order`` says what it is now) or UPDATE_REJECTED."""

    def query(self, order_id: str) -> BrokerEvent | None:
        """Return what the broker knows of an order, None if it never heard of it."""

    def working(self) -> list[OrderEvent]:
        """Return the orders that may still fill, in order-id order."""

    def holdings(self) -> Holdings:
        """Return positions and cash."""

    def executions(self) -> list[FillEvent]:
        """Return executions; a broker connected anew may tell all it made again: each is booked once."""

    def fills(self, market: MarketSlice) -> list[FillEvent]:
        """Return what a slice does to working orders: of a simulated broker alone, before the engine sees the slice."""

    def observe(self, event: OrderEvent | BrokerEvent | FillEvent | AdjustmentEvent) -> None:
        """Take note of what the journal holds: what a simulated broker remembers is exactly that."""

    def snapshot(self) -> bytes:
        """Return the state that ``restore`` continues from; empty where the venue keeps its own."""

    def restore(self, state: bytes) -> None:
        """Continue from a snapshot."""
