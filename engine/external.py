"""Orders that the broker works on and nobody here asked for: counted at once, decided by a person."""

import msgspec

from engine import execution
from engine.ledger import book_share, share_out
from engine.orders import Order
from engine.output import Output, say
from engine.state import State
from events.types import BrokerEvent, ControlEvent


def take_in(state: State, event: BrokerEvent, now_ns: int) -> list[Output]:
    """Import an order: its lots count as working in its symbol, so that every limit sees them."""
    given = event.order
    if given is None or given.symbol not in state.universe.index or given.lots < 1:
        what = "says nothing of it" if given is None else f"{given.side} {given.lots} {given.symbol}"
        message = f"{event.broker} works on order {event.order_id}, which cannot be counted ({what}): cancel it there"
        return [execution.alert(now_ns, "EXTERNAL_ORDER", "account", message)]
    order = Order(
        order_id=event.order_id, engine_ns=now_ns, symbol=given.symbol, side=given.side, lots=given.lots,
        type=given.type, limit_ticks=given.limit_ticks, stop_ticks=given.stop_ticks,
        time_in_force=given.time_in_force, expires_ns=given.expires_ns, lots_by_strategy={},
        expected_price=float(state.universe.symbols[state.universe.index[given.symbol]]["mark"]),
        external="undecided",
    )  # fmt: skip
    order.move("EXTERNAL")
    order.reason = f"not of the station: works at {event.broker}"
    known = state.closed_orders.pop(order.order_id, None)
    if known is not None:  # it had ended here: what was booked on it stays booked on it
        order.booked, order.executions, order.aliases = known.booked, known.executions, known.aliases
        order.filled_lots, order.filled_value = known.filled_lots, known.filled_value
        order.lots = max(order.lots, order.filled_lots + 1)
    state.orders[order.order_id] = order
    row = state.universe.symbols[state.universe.index[order.symbol]]
    row["working_buy" if order.signed > 0 else "working_sell"] += order.lots - order.filled_lots
    message = f"{event.broker} works on order {order.order_id} ({order.side} {order.lots} {order.symbol}), which the "
    message += "station does not know: adopt, ignore or flatten it"
    return [
        say("OrderEvent", execution.order_event(order, now_ns)),
        execution.alert(now_ns, "EXTERNAL_ORDER", f"symbol:{order.symbol}", message),
    ]


def undecided(state: State) -> list[Order]:
    """Return the external orders that wait for a person: those that work, and those that were executed meanwhile."""
    executed = [order for order in state.closed_orders.values() if order.filled_lots]
    return [order for order in (*state.orders.values(), *executed) if order.external == "undecided"]


def decide(state: State, event: ControlEvent, now_ns: int) -> tuple[str, list[Output]]:
    """Do what a person decided of an external order: adopt, ignore or flatten_external; return why not, or the outputs.

    Adopted it is an order of one strategy, which its targets then lead as every other; ignored it stays counted and is
    left alone; flattened it is cancelled, and what it had filled is the strategy's, which trades it away.
    """
    order = state.orders.get(event.target) or state.closed_orders.get(event.target)
    if order is None or not order.external:
        return f"target {event.target!r} is no external order", []
    if event.action == "ignore":
        order.external = "ignored"
        order.reason = f"ignored by {event.actor}: {event.reason}"
        return "", [say("OrderEvent", execution.order_event(order, now_ns))]
    owner, refused = _owner(state, event)
    if refused:
        return refused, []
    give(state, order, owner)
    word = "adopted" if event.action == "adopt" else "flattened"
    order.reason = f"{word} by {event.actor} for {owner}"
    if event.action == "flatten_external" and order.working:
        return "", execution.cancel(state, [order], now_ns, order.reason)
    if order.state == "EXTERNAL":
        return "", execution.move(state, order, "ACCEPTED", now_ns, order.reason)
    return "", [say("OrderEvent", execution.order_event(order, now_ns))]


def _owner(state: State, event: ControlEvent) -> tuple[str, str]:
    """Return the strategy that an act names, the heaviest where it names none; or why it cannot be."""
    try:
        given = msgspec.json.decode(event.content, type=dict[str, str] | None) or {}
    except msgspec.DecodeError:
        return "", 'content must be a JSON object of texts, as {"strategy": NAME}'
    owner = given.get("strategy", heaviest(state))
    return owner, "" if owner in state.rows else f"strategy {owner!r} is none; there are {', '.join(state.names)}"


def heaviest(state: State) -> str:
    """Return the strategy with the largest weight, the first of several."""
    weights: list[float] = state.strategies["weight"].tolist()
    return state.names[weights.index(max(weights))]


def give(state: State, order: Order, owner: str) -> None:
    """Make an order one strategy's: what waits, what was filled and its fees."""
    i, s = state.universe.index[order.symbol], state.rows[owner]
    held, unit = state.books[s, i], state.universe.lot_sizes[i]
    left = order.signed * max(0, order.lots - order.filled_lots)
    order.external = ""
    order.lots_by_strategy = {owner: order.signed * order.lots}
    order.residual = {owner: left}
    if order.working:
        held["working"] += left
        held["working_gross"] += abs(left)
    for booked in order.booked.values():
        if booked.within or booked.beyond:  # it was somebody's before
            continue
        lots = order.signed * booked.fill.lots
        book_share(state.books, s, i, lots, booked.fill.price_micro * 1e-6, unit)
        (fee,) = share_out(booked.fill.fee_micro, [1], [booked.fill.fee_micro])
        held["fees_micro"] += fee
        booked.within, booked.fees = {owner: lots}, {owner: fee}
        booked.before, booked.after = {"": booked.before[""]}, {"": booked.after[""]}
