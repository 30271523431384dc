"""What the station believes against what the broker says."""

from worker.brokers.port import BrokerTimeoutError, BrokerUnavailableError, Holdings
from worker.machine import Machine

UNCERTAIN = frozenset({"INTENT", "UNKNOWN", "PENDING_CANCEL"})


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


def _orders(machine: Machine, working: set[str]) -> str:
    engine = machine.in_force()
    ours = {order.order_id: order.state for order in engine.open_orders()}
    strange = sorted(working - ours.keys())
    if strange:
        return f"the broker works on orders that the station does not know: {', '.join(strange[:5])}"
    gone = sorted(order_id for order_id, state in ours.items() if state not in UNCERTAIN and order_id not in working)
    return f"the broker does not work on {', '.join(gone[:5])}" if gone else ""


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
    return ""
