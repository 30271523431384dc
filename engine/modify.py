"""Changes of working orders: what is reserved is the worse of before and after until the broker has answered."""

from engine import execution, gate
from engine.booking import release
from engine.decisions import ALLOWED, NOTHING
from engine.ledger import share_out
from engine.messages import may_modify
from engine.orders import Order, Terms
from engine.output import Output, say
from engine.state import State
from events.types import BrokerEvent, Change
from risk.codes import Code

CHANGEABLE = frozenset({"ACCEPTED", "PARTIALLY_FILLED"})


def request(state: State, order: Order, change: Change, now_ns: int) -> tuple[str, list[Output]]:
    """Ask for an order's change; return why it is refused ("" if it is not) and the PENDING_UPDATE for the broker.

    Every change takes a message's tokens. More lots pass all checks of a new order, which take them, and are reserved
    at once; fewer stay reserved until the broker has answered, and so do the old prices: nothing is free before it is
    sure.
    """
    refused = _fault(state, order, change, now_ns)
    if refused:
        return refused, []
    more = change.lots - order.lots
    if more > 0:
        i = state.universe.index[order.symbol]
        extra = _shares(order, more)
        mask = gate.judge(state, i, extra, now_ns)
        if mask != ALLOWED:
            state.masks[i] = NOTHING
            return f"{more} more lots of order {order.order_id} are denied: {_names(mask)}", []
        state.masks[i] = NOTHING
        order.extra = extra
    elif not may_modify(state, order, now_ns):
        return f"the change of order {order.order_id} is denied: {Code.ORDER_RATE.name}", []
    order.change = change
    return "", execution.move(state, order, "PENDING_UPDATE", now_ns, order.reason)


def _fault(state: State, order: Order, change: Change, now_ns: int) -> str:
    if order.state not in CHANGEABLE or order.change is not None or order.canceling or order.external:
        return f"order {order.order_id} is {order.state} and cannot be changed now"
    if change.lots <= order.filled_lots:
        return f"lots = {change.lots} must be above the {order.filled_lots} that were filled"
    terms = Terms(order.type, change.limit_ticks, change.stop_ticks, order.time_in_force)
    if terms.fault:
        return terms.fault
    if change == Change(lots=order.lots, limit_ticks=order.limit_ticks, stop_ticks=order.stop_ticks):
        return f"order {order.order_id} is what it shall become"
    i = state.universe.index[order.symbol]
    for name, ticks in (("limit_ticks", change.limit_ticks), ("stop_ticks", change.stop_ticks)):
        mask = 0 if ticks is None else gate.price_denials(state, i, order.signed * change.lots, ticks, now_ns)
        if mask:
            return f"{name} = {ticks} for {change.lots} lots is denied: {_names(mask)}"
    return ""


def _names(mask: int) -> str:
    return ", ".join(code.name for code in Code if mask & (1 << code))


def answered(state: State, order: Order, event: BrokerEvent, now_ns: int) -> list[Output]:
    """Take the broker's word on a change: the order is what it became, or what it was."""
    change, order.change = order.change, None
    if change is None:
        return []
    i = state.universe.index[order.symbol]
    if event.kind == "UPDATED":
        _become(state, order, change, i)
    else:
        release(state, i, order.signed, (order.extra,))
        # a bust may have given back what had executed of the lots that are refused now
        _waive(state, order, sum(map(abs, order.residual.values())) - max(0, order.lots - order.filled_lots), i)
    order.extra = {}
    if order.filled_lots >= order.lots:
        return execution.move(state, order, "FILLED", now_ns, event.reason)
    if order.state != "PENDING_UPDATE":
        return [say("OrderEvent", execution.order_event(order, now_ns))]
    to = "PARTIALLY_FILLED" if order.filled_lots else "ACCEPTED"
    return execution.move(state, order, to, now_ns, event.reason)


def _become(state: State, order: Order, change: Change, i: int) -> None:
    for name, lots in order.extra.items():
        order.residual[name] = order.residual.get(name, 0) + lots
        order.lots_by_strategy[name] = order.lots_by_strategy.get(name, 0) + lots
    lots = max(change.lots, order.filled_lots)  # what was filled meanwhile cannot be taken back
    _waive(state, order, order.lots - lots, i)
    order.lots, order.limit_ticks, order.stop_ticks = lots, change.limit_ticks, change.stop_ticks


def _waive(state: State, order: Order, fewer: int, i: int) -> None:
    """Take lots that nobody waits for any more out of the order and out of what is reserved; none where <= 0."""
    if fewer <= 0:
        return
    gone = _shares(order, -fewer)
    for name, less in gone.items():
        order.residual[name] += less
        order.lots_by_strategy[name] += less
    release(state, i, order.signed, ({name: -less for name, less in gone.items()},))


def _shares(order: Order, more: int) -> dict[str, int]:
    """Return signed lots by strategy, pro rata to what each still waits for; less takes no more than there is."""
    names = [name for name, lots in order.residual.items() if lots]
    left = [abs(order.residual[name]) for name in names]
    sizes = share_out(abs(more), left, left if more < 0 else [abs(more)] * len(names))
    sign = order.signed * (1 if more > 0 else -1)
    return {name: sign * size for name, size in zip(names, sizes, strict=True) if size}
