"""What brokers say of orders: each answer moves one order, or nothing."""

from engine import execution, external, modify
from engine.orders import Order
from engine.output import Output
from engine.state import State
from events.types import BrokerEvent


def on_broker(state: State, event: BrokerEvent, now_ns: int) -> list[Output]:
    """Take a broker's answer; what it repeats, or says of an order that has ended, changes nothing."""
    order = state.orders.get(event.order_id)
    if order is not None:
        return _answer(state, order, event, now_ns)
    if event.kind == "EXTERNAL":
        return external.take_in(state, event, now_ns)
    if event.order_id in state.closed_orders:
        return []
    message = f"{event.broker} says {event.kind} of order {event.order_id}, which the station does not know"
    return [execution.alert(now_ns, "UNKNOWN_ORDER", "account", message)]


def _answer(state: State, order: Order, event: BrokerEvent, now_ns: int) -> list[Output]:
    if event.kind in {"UPDATED", "UPDATE_REJECTED"}:
        return modify.answered(state, order, event, now_ns)
    if event.kind == "ACCEPTED":
        return _works(state, order, event, now_ns)
    known = event.kind in {order.state, "EXTERNAL"}
    return [] if known else execution.move(state, order, event.kind, now_ns, event.reason)


def _works(state: State, order: Order, event: BrokerEvent, now_ns: int) -> list[Output]:
    """Take the word that an order works."""
    if order.canceling:  # although it shall not: a late answer, or the cancel was lost
        return execution.cancel(state, [order], now_ns, order.canceling)
    if order.change is not None:  # whether its change came through nobody knows: the order is taken back
        return execution.cancel(state, [order], now_ns, "a change of it was not confirmed")
    if order.state == "EXTERNAL":  # nothing new: a person decides what becomes of it
        return []
    to = "ACCEPTED"
    if order.filled_lots > 0:
        to = "PARTIALLY_FILLED" if order.state == "UNKNOWN" else order.state
    return [] if to == order.state else execution.move(state, order, to, now_ns, event.reason)
