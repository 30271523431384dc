"""Routing between brokers that list a symbol: which one gets a new order; an order stays where it is.

The table names brokers in order, for a symbol, else its asset class, else "*". A new order goes to the first that can
take it and answers; one that is unavailable is passed over for new orders only. What it has already is asked of it
alone, and an order whose sending was not answered goes nowhere else: it may have arrived.
"""

from collections import Counter
from collections.abc import Callable
from typing import Any

import msgspec

from engine.configuration import Configuration
from events.types import AdjustmentEvent, BrokerEvent, FillEvent, MarketSlice, OrderEvent
from worker.brokers.port import Broker, BrokerTimeoutError, BrokerUnavailableError, Capabilities, Holdings

NAME = "router"
EVERY = "*"
ENDED = frozenset({"CANCELED", "EXPIRED", "REJECTED", "RISK_DENIED", "FILLED"})


def moneyless(configuration: Configuration) -> Configuration:
    """Return the configuration for brokers after the first: the account's money on paper lies at one."""
    settings = configuration.settings
    account = msgspec.structs.replace(settings.account, initial_cash=0.0)
    return msgspec.structs.replace(configuration, settings=msgspec.structs.replace(settings, account=account))


def _together(amounts: list[dict[str, int]]) -> dict[str, int]:
    sums: Counter[str] = Counter()
    for each in amounts:
        sums.update(each)
    return {currency: amount for currency, amount in sums.items() if amount}


def candidates(table: dict[str, list[str]], symbol: str, asset_class: str) -> list[str]:
    """Return the brokers of a symbol in order: the symbol's own entry, else its asset class's, else that of "*"."""
    for entry in (symbol, asset_class, EVERY):
        if entry in table:
            return list(table[entry])
    return []


def choose(
    names: list[str], order: OrderEvent, lacks: Callable[[str, OrderEvent], str], available: Callable[[str], bool]
) -> tuple[str, str]:
    """Return the broker for a new order and "", or "" and one sentence why there is none.

    Parameters
    ----------
    names : the symbol's brokers in order.
    lacks : why a broker cannot take the order, "" where it can.
    available : whether a broker answers at present.
    """
    why = []
    for name in names:
        reason = lacks(name, order) or ("" if available(name) else "unavailable")
        if not reason:
            return name, ""
        why.append(f"{name}: {reason}")
    return "", f"no broker for {order.symbol} ({'; '.join(why) or 'the routing table names none'})"


class Memory(msgspec.Struct, kw_only=True):
    """A snapshot: where each order is by the journal, and what every broker remembers."""

    homes: dict[str, str]
    brokers: dict[str, bytes]


class RoutedBroker:
    """Several brokers as one: what the worker sees is a broker, what the journal says names the one that it was.

    Their events carry the names of the table. Where an order is, the journal tells, by the acknowledgement that
    ``observe`` is shown; what was sent since the start without one is known too, any other is asked of every broker.

    Parameters
    ----------
    connect : opens the broker of a name; the flag says whether it is the first, whose is the account's money on paper.
    """

    name = NAME

    def __init__(self, connect: Callable[[str, bool], Broker], configuration: Configuration) -> None:
        self._connect = connect
        self._brokers: dict[str, Broker] = {}
        self._homes: dict[str, str] = {}
        self._sent: dict[str, str] = {}  # of this process alone: no snapshot holds it
        self._waiting: dict[str, OrderEvent] = {}  # observed before it is known where they are
        self._silent: set[str] = set()
        self.configure(configuration)

    @property
    def live(self) -> bool:
        """Whether any of them trades real money."""
        return any(broker.live for broker in self._brokers.values())

    @property
    def capabilities(self) -> Capabilities:
        """What any of them can do; which one can take an order is looked at as it is sent."""
        each = [broker.capabilities for broker in self._brokers.values()]
        return Capabilities(
            types=frozenset().union(*(one.types for one in each)),
            time_in_force=frozenset().union(*(one.time_in_force for one in each)),
            modify=any(one.modify for one in each),
            executions=any(one.executions for one in each),
        )

    def configure(self, configuration: Configuration) -> None:
        """Take the routing table and the instruments; a broker that the table names no more keeps what it has."""
        self._table = configuration.settings.routing
        for name in (name for names in self._table.values() for name in names):
            self._open(name)
        self._classes = {each.symbol: each.asset_class for each in configuration.instruments}
        for k, broker in enumerate(self._brokers.values()):
            broker.configure(moneyless(configuration) if k else configuration)

    def submit(self, order: OrderEvent) -> BrokerEvent:
        """Send a new order to the first broker that can take it; REJECTED where there is none."""
        names = candidates(self._table, order.symbol, self._classes.get(order.symbol, ""))
        name, why = choose(names, order, self._lacks, self._available)
        if not name:
            return BrokerEvent(
                broker=NAME, order_id=order.order_id, kind="REJECTED", broker_ns=order.engine_ns, reason=why
            )
        self._sent[order.order_id] = name  # from here on it may be there
        return self._said(name, self._call(name, self._brokers[name].submit, order))

    def cancel(self, order_id: str) -> BrokerEvent:
        """Cancel an order where it is; one whose place is not known is cancelled everywhere."""
        home = self._home(order_id)
        if home is not None:
            return self._said(home, self._call(home, self._brokers[home].cancel, order_id))
        for name in self._brokers:
            self._call(name, self._brokers[name].cancel, order_id)
        return BrokerEvent(broker=NAME, order_id=order_id, kind="CANCELED", broker_ns=0)

    def modify(self, order: OrderEvent) -> BrokerEvent:
        """Replace a working order where it is."""
        name = self._home(order.order_id)
        if name is None:
            raise BrokerUnavailableError(f"no broker is known to have order {order.order_id}")
        return self._said(name, self._call(name, self._brokers[name].modify, order))

    def query(self, order_id: str) -> BrokerEvent | None:
        """Return what the broker that has an order knows of it; without a place all are asked, and all must answer."""
        home = self._home(order_id)
        for name in self._brokers if home is None else [home]:
            known = self._call(name, self._brokers[name].query, order_id)
            if known is not None:
                self._sent[order_id] = name
                return self._said(name, known)
        return None

    def working(self) -> list[OrderEvent]:
        """Return the orders that may still fill anywhere, in order-id order."""
        found = [order for name, broker in self._brokers.items() for order in self._call(name, broker.working)]
        return sorted(found, key=lambda order: order.order_id)

    def holdings(self) -> Holdings:
        """Return positions and cash of all brokers together; one that fails makes the whole query fail."""
        all_of_them = [self._call(name, broker.holdings) for name, broker in self._brokers.items()]
        lots: dict[str, int] = {}
        for each in all_of_them:
            for symbol, held in each.lots.items():
                lots[symbol] = lots.get(symbol, 0) + held
        cash = [each.cash_micro for each in all_of_them if each.cash_micro is not None]
        foreign = [each.foreign_micro for each in all_of_them if each.foreign_micro is not None]
        return Holdings(
            lots={symbol: held for symbol, held in sorted(lots.items()) if held},
            cash_micro=sum(cash) if len(cash) == len(all_of_them) else None,
            foreign_micro=_together(foreign) if len(foreign) == len(all_of_them) else None,
        )

    def executions(self) -> list[FillEvent]:
        """Return executions of every broker that answers; the others are asked again the next time."""
        found: list[FillEvent] = []
        for name, broker in self._brokers.items():
            try:
                found += [self._filled(name, fill) for fill in self._call(name, broker.executions)]
            except (BrokerTimeoutError, BrokerUnavailableError):
                continue
        return found

    def fills(self, market: MarketSlice) -> list[FillEvent]:
        """Return what a slice does to the orders of simulated brokers, in order-id order."""
        made = [self._filled(name, fill) for name, broker in self._brokers.items() for fill in broker.fills(market)]
        return sorted(made, key=lambda fill: fill.order_id)

    def observe(self, event: OrderEvent | BrokerEvent | FillEvent | AdjustmentEvent) -> None:
        """Show a journaled event to the broker that it is about: an acknowledgement says which one that is.

        A split or a dividend of paper brokers' symbols is booked at the first: together they hold what it says.
        """
        if isinstance(event, AdjustmentEvent):
            next(iter(self._brokers.values())).observe(event)
            return
        order_id = event.order_id
        if isinstance(event, BrokerEvent) and event.broker in self._brokers and event.kind not in ENDED:
            self._homes[order_id] = event.broker
        if isinstance(event, FillEvent) and event.broker in self._brokers:
            self._homes[order_id] = event.broker
        home = self._homes.get(order_id)
        if isinstance(event, OrderEvent):
            if event.state not in ENDED:
                self._waiting[order_id] = event  # its acknowledgement follows and names the broker
                return
            self._waiting.pop(order_id, None)
        if home is None:
            return
        order = self._waiting.pop(order_id, None)
        if order is not None:
            self._brokers[home].observe(order)
        self._brokers[home].observe(event)
        ended = event.state if isinstance(event, OrderEvent) else event.kind if isinstance(event, BrokerEvent) else ""
        if ended in ENDED:
            self._homes.pop(order_id, None)
            self._sent.pop(order_id, None)

    def snapshot(self) -> bytes:
        """Return where orders are, and every broker's state."""
        states = {name: broker.snapshot() for name, broker in self._brokers.items()}
        return msgspec.msgpack.encode(Memory(homes=self._homes, brokers=states))

    def restore(self, state: bytes) -> None:
        """Continue from a snapshot.

        Raises
        ------
        msgspec.DecodeError
            if the bytes are none.
        """
        try:
            kept = msgspec.msgpack.decode(state, type=Memory)
        except msgspec.ValidationError:  # of the one broker that there was before there was a table
            first = next(iter(self._brokers))
            self._brokers[first].restore(state)
            self._homes = {order.order_id: first for order in self._brokers[first].working()}
            return
        self._homes = kept.homes
        for name, raw in kept.brokers.items():
            self._open(name)
            self._brokers[name].restore(raw)

    def _open(self, name: str) -> None:
        if name not in self._brokers:
            self._brokers[name] = self._connect(name, not self._brokers)

    def _home(self, order_id: str) -> str | None:
        return self._homes.get(order_id) or self._sent.get(order_id)

    def _available(self, name: str) -> bool:
        """Whether a broker answers: one that did not is asked once more before a new order passes it over."""
        if name not in self._silent:
            return True
        try:
            self._call(name, self._brokers[name].working)
        except (BrokerTimeoutError, BrokerUnavailableError):
            return False
        return True

    def _lacks(self, name: str, order: OrderEvent) -> str:
        return self._brokers[name].capabilities.lacks(order)

    def _call(self, name: str, method: Callable[..., Any], *given: Any) -> Any:
        """Call a broker, and remember whether it answered."""
        try:
            answer = method(*given)
        except (BrokerTimeoutError, BrokerUnavailableError):
            self._silent.add(name)
            raise
        self._silent.discard(name)
        return answer

    @staticmethod
    def _said(name: str, event: BrokerEvent) -> BrokerEvent:
        return msgspec.structs.replace(event, broker=name)

    @staticmethod
    def _filled(name: str, fill: FillEvent) -> FillEvent:
        return msgspec.structs.replace(fill, broker=name)
