"""What the station believes against what the broker says."""

from engine.external import undecided
from engine.orders import Order
from events.types import BrokerEvent
from worker.brokers.port import Broker, BrokerTimeoutError, BrokerUnavailableError, Holdings
from worker.machine import Machine
from worker.orders import ask

UNCERTAIN = frozenset({"INTENT", "UNKNOWN", "PENDING_CANCEL"})
ENDS = frozenset({"CANCELED", "EXPIRED", "REJECTED"})


def difference(machine: Machine) -> str:
    """Return "" where orders, positions and cash agree, else one sentence; a failed query is never read as flat."""
    broker = machine.broker
    if broker is None:
        return "there is no broker"
    try:
        holdings, working = broker.holdings(), {order.order_id for order in broker.working()}
    except (BrokerTimeoutError, BrokerUnavailableError) as error:
        return f"{broker.name} cannot be asked: {error}"
    return _orders(machine, working) or _positions(machine, holdings)


def strangers(machine: Machine) -> list[BrokerEvent]:
    """Return what the broker works on and the station does not know, as it is taken in; empty where nobody answers."""
    broker = machine.broker
    if broker is None:
        return []
    try:
        working = broker.working()
    except (BrokerTimeoutError, BrokerUnavailableError):
        return []
    ours = machine.in_force().state.orders
    return [
        BrokerEvent(broker=broker.name, order_id=order.order_id, kind="EXTERNAL", broker_ns=0, order=order)
        for order in working
        if order.order_id not in ours and order.symbol in machine.in_force().state.universe.index
    ]


def endings(machine: Machine) -> list[BrokerEvent]:
    """Ask the broker of every order that works here and not there; return its words that one has ended."""
    broker = machine.broker
    if broker is None:
        return []
    try:
        working = {order.order_id for order in broker.working()}
    except (BrokerTimeoutError, BrokerUnavailableError):
        return []
    gone = [
        order
        for order in machine.in_force().open_orders()
        if order.state not in UNCERTAIN and order.order_id not in working
    ]
    return [answer for order in gone if (answer := _ending(broker, order)) is not None]


def _ending(broker: Broker, order: Order) -> BrokerEvent | None:
    answer = ask(broker, order.order_id)
    if answer is None:
        reason = f"{broker.name} does not know it any more"
        ended = BrokerEvent(broker=broker.name, order_id=order.order_id, kind="CANCELED", broker_ns=0, reason=reason)
        return ended if order.external else None
    if answer.kind == "REJECTED" and order.filled_lots > 0:  # some of it was executed: what was refused is the rest
        reason = f"{answer.reason or 'rejected'} after {order.filled_lots} lots"
        return BrokerEvent(
            broker=broker.name, order_id=order.order_id, kind="CANCELED", broker_ns=answer.broker_ns, reason=reason
        )
    return answer if answer.kind in ENDS else None


def never_heard(machine: Machine, broker: str, order_id: str) -> BrokerEvent:
    """Return how an order ends of which its broker says again that it has never heard: nothing of it can work."""
    order = machine.in_force().state.orders.get(order_id)
    canceled = order is not None and (order.canceling or order.filled_lots)
    return BrokerEvent(
        broker=broker, order_id=order_id, kind="CANCELED" if canceled else "REJECTED", broker_ns=0,
        reason=f"{broker} has never heard of it, asked twice",
    )  # fmt: skip


def _orders(machine: Machine, working: set[str]) -> str:
    engine = machine.in_force()
    ours = {order.order_id: order.state for order in engine.open_orders()}
    strange = sorted(working - ours.keys())
    if strange:
        return f"the broker works on orders that the station does not know: {', '.join(strange[:5])}"
    gone = sorted(order_id for order_id, state in ours.items() if state not in UNCERTAIN and order_id not in working)
    if gone:
        return f"the broker does not work on {', '.join(gone[:5])}"
    waiting = [order.order_id for order in undecided(engine.state)]
    return f"external orders wait for a decision (adopt, ignore, flatten): {', '.join(waiting[:5])}" if waiting else ""


def _positions(machine: Machine, holdings: Holdings) -> str:
    engine = machine.in_force()
    lots = engine.state.universe.symbols["lots"].tolist()
    ours = {each.symbol: held for each, held in zip(engine.state.universe.instruments, lots, strict=True) if held}
    for symbol in sorted(ours.keys() | holdings.lots.keys()):
        if ours.get(symbol, 0) != holdings.lots.get(symbol, 0):
            return f"{symbol}: the station has {ours.get(symbol, 0)} lots, the broker {holdings.lots.get(symbol, 0)}"
    cash = int(engine.state.account[0]["cash_micro"])
    if holdings.cash_micro is not None and holdings.cash_micro != cash:
        return f"cash: the station has {cash / 1e6:.6f}, the broker {holdings.cash_micro / 1e6:.6f}"
    return "" if holdings.foreign_micro is None else _foreign(engine.state.foreign_cash(), holdings.foreign_micro)


def _foreign(ours: dict[str, int], theirs: dict[str, int]) -> str:
    for currency in sorted(ours.keys() | theirs.keys()):
        here, there = ours.get(currency, 0), theirs.get(currency, 0)
        if here != there:
            return f"cash in {currency}: the station has {here / 1e6:.6f}, the broker {there / 1e6:.6f}"
    return ""
