"""From allowed orders to booked fills: the order table and what brokers say of it."""

import numpy as np

from engine.booking import book_fill, release_rest, split_wants
from engine.ledger import book_share
from engine.orders import ImpossibleTransitionError, Order
from engine.output import Output, say
from engine.state import REMEMBERED, State
from events.types import BrokerEvent, Denial, FillEvent, OrderEvent, RiskAlert, TradeEvent
from risk.checks import raises_exposure
from risk.codes import STATION_CODES, Code, named


def order_event(order: Order, engine_ns: int) -> OrderEvent:
    """Return the record of an order's present state."""
    return OrderEvent(
        engine_ns=engine_ns,
        order_id=order.order_id,
        state=order.state,
        symbol=order.symbol,
        side=order.side,
        lots=order.lots,
        filled_lots=order.filled_lots,
        type=order.type,
        limit_ticks=order.limit_ticks,
        stop_ticks=order.stop_ticks,
        time_in_force=order.time_in_force,
        expires_ns=order.expires_ns,
        lots_by_strategy=dict(order.lots_by_strategy),
        expected_price=order.expected_price,
        denials=list(order.denials),
        reason=order.reason,
    )


def make_order(state: State, i: int, now_ns: int) -> Order:
    """Return a new order of symbol row i from the kernel's ``wants``; it has no state yet."""
    wanted = {name: lots for name, lots in zip(state.names, state.wants[i].tolist(), strict=True) if lots}
    net = sum(wanted.values())
    state.order_count += 1
    return Order(
        order_id=f"S{state.order_count:09d}",
        engine_ns=now_ns,
        symbol=state.universe.instruments[i].symbol,
        side="BUY" if net > 0 else "SELL",
        lots=abs(net),
        lots_by_strategy=wanted,
        expected_price=float(state.universe.symbols[i]["mark"]),
        expires_ns=state.universe.next_close_ns(i, now_ns),
    )


def intend(state: State, i: int, now_ns: int) -> list[Output]:
    """Turn an allowed decision into an intent; the kernel has reserved it already."""
    order = make_order(state, i, now_ns)
    order.crossed, order.residual = split_wants(order.lots_by_strategy)
    order.move("INTENT")
    state.orders[order.order_id] = order
    return [say("OrderEvent", order_event(order, now_ns))]


def deny(state: State, i: int, now_ns: int) -> list[Output]:
    """Record a denied decision and count it against the strategies in it."""
    mask = int(state.masks[i])
    order = make_order(state, i, now_ns)
    codes = named(mask)
    order.denials = [
        Denial(code=code.name, value=float(state.values[i, code]), limit=float(state.limits_met[i, code]))
        for code in codes
    ]
    order.move("RISK_DENIED")
    order.reason = codes[0].name
    outputs = [say("OrderEvent", order_event(order, now_ns))]
    if codes[0] not in STATION_CODES:
        outputs += _count_denial(state, order, int(codes[0]), now_ns)
    return outputs


def _count_denial(state: State, order: Order, code: int, now_ns: int) -> list[Output]:
    outputs: list[Output] = []
    allowed = int(state.limits[0]["repeated_denials"])
    for name in order.lots_by_strategy:
        row = state.strategies[state.rows[name]]
        row["denial_run"] = row["denial_run"] + 1 if row["denial_code"] == code + 1 else 1
        row["denial_code"] = code + 1
        if row["denial_run"] >= allowed and row["enabled"]:
            row["enabled"] = 0
            met = f"{name} met {Code(code).name} {allowed} times in a row"
            alert = _alert(
                now_ns, "REPEATED_DENIAL", f"strategy:{name}", f"{met}: it may only reduce until a person enables it"
            )
            outputs.append(alert)
    return outputs


def forget_denials(state: State, i: int) -> None:
    """End the run of denials of the strategies in an order that passed."""
    state.strategies["denial_run"][state.wants[i] != 0] = 0


def on_fill(state: State, fill: FillEvent, now_ns: int) -> list[Output]:
    """Book an execution; one that is known changes nothing, one that fits no order of the station halts its symbol."""
    order = state.orders.get(fill.order_id) or state.closed_orders.get(fill.order_id)
    if order is None:
        return _strange_fill(state, fill, now_ns, f"execution {fill.execution_id} belongs to no order of the station")
    key = f"{fill.broker}:{fill.execution_id}"
    if key in order.executions:
        return []
    order.executions.append(key)
    if fill.symbol != order.symbol or fill.side != order.side or fill.lots < 1 or fill.price_micro < 1:
        said = f"{fill.side} {fill.lots} {fill.symbol} at {fill.price_micro} micro-units"
        return _strange_fill(
            state, fill, now_ns, f"execution {fill.execution_id} ({said}) does not fit order {order.order_id}"
        )
    was_working = order.working
    outputs = [say("TradeEvent", book_fill(state, order, fill, now_ns))]
    left = order.lots - order.filled_lots
    if left < 0:
        beyond = f"order {order.order_id} was filled {-left} lots beyond its {order.lots}"
        outputs += _strange_fill(state, fill, now_ns, beyond)
    if was_working or (left <= 0 and order.state != "FILLED"):
        outputs += move(state, order, "FILLED" if left <= 0 else "PARTIALLY_FILLED", now_ns, order.reason)
    else:
        outputs.append(say("OrderEvent", order_event(order, now_ns)))
    return outputs


def _strange_fill(state: State, fill: FillEvent, now_ns: int, message: str) -> list[Output]:
    halted = _halt_symbol(state, fill.symbol)
    return [_alert(now_ns, "UNEXPECTED_FILL", f"symbol:{fill.symbol}", f"{message}{halted}", lots=float(fill.lots))]


def _halt_symbol(state: State, symbol: str) -> str:
    i = state.universe.index.get(symbol)
    if i is None:
        return ""
    state.universe.symbols[i]["halted"] = 1
    return f"; {symbol} is halted"


def _alert(now_ns: int, rule: str, scope: str, message: str, **numbers: float) -> Output:
    alert = RiskAlert(engine_ns=now_ns, rule=rule, severity="critical", scope=scope, message=message, numbers=numbers)
    return say("RiskAlert", alert)


def move(state: State, order: Order, to: str, now_ns: int, reason: str = "") -> list[Output]:
    """Bring an order into a state, releasing what it had reserved once it no longer works."""
    was_working = order.working
    try:
        order.move(to)
    except ImpossibleTransitionError as error:
        halted = _halt_symbol(state, order.symbol)
        return [_alert(now_ns, "IMPOSSIBLE_TRANSITION", f"symbol:{order.symbol}", f"{error}{halted}")]
    order.reason = reason
    if was_working and not order.working:
        _close(state, order)
    return [say("OrderEvent", order_event(order, now_ns))]


def _close(state: State, order: Order) -> None:
    release_rest(state, order)
    state.orders.pop(order.order_id, None)
    state.closed_orders[order.order_id] = order
    while len(state.closed_orders) > REMEMBERED:
        state.closed_orders.pop(next(iter(state.closed_orders)))


def on_broker(state: State, event: BrokerEvent, now_ns: int) -> list[Output]:
    """Take a broker's answer; what it repeats, or says of an order that has ended, changes nothing."""
    order = state.orders.get(event.order_id)
    if order is None:
        if event.order_id in state.closed_orders:
            return []
        message = f"{event.broker} says {event.kind} of order {event.order_id}, which the station does not know"
        return [_alert(now_ns, "UNKNOWN_ORDER", "account", message)]
    to: str = event.kind
    if to == "ACCEPTED" and order.canceling:  # it works although it shall not: a late answer, or the cancel was lost
        return cancel(state, [order], now_ns, order.canceling)
    if to == "ACCEPTED" and order.filled_lots > 0:
        to = "PARTIALLY_FILLED" if order.state == "UNKNOWN" else order.state
    return [] if to == order.state else move(state, order, to, now_ns, event.reason)


def cancel(state: State, orders: list[Order], now_ns: int, reason: str) -> list[Output]:
    """Ask for the cancellation of working orders; they stay reserved until the broker has answered."""
    outputs: list[Output] = []
    for order in orders:
        order.canceling = reason
        if order.state != "PENDING_CANCEL":
            outputs += move(state, order, "PENDING_CANCEL", now_ns, reason)
    return outputs


def raising_orders(state: State) -> list[Order]:
    """Return the working orders on a side that could leave a larger position: REDUCING takes them back."""
    found = []
    for order in state.orders.values():
        row = state.universe.symbols[state.universe.index[order.symbol]]
        held, bought, sold = int(row["lots"]), int(row["working_buy"]), int(row["working_sell"])
        on_side = bought if order.side == "BUY" else sold  # the order itself is among what works
        if raises_exposure(held, bought - on_side, sold - on_side, order.signed * on_side):
            found.append(order)
    return found


def expire(state: State, now_ns: int, *, everything: bool) -> list[Output]:
    """Expire DAY orders whose session has closed, or all orders at the end of the data.

    One without the broker's answer stays: only evidence ends it.
    """
    outputs: list[Output] = []
    for order in list(state.orders.values()):
        closed = order.time_in_force == "DAY" and order.expires_ns is not None and order.expires_ns <= now_ns
        if order.state != "UNKNOWN" and (everything or closed):
            reason = "end of session" if closed else "end of data"
            outputs += move(state, order, "EXPIRED", now_ns, reason)
    return outputs


def cross_at_open(state: State, now_ns: int) -> list[Output]:
    """Book lots that strategies wanted to cross with no net order left, at this slice's open, free of cost.

    ``now_ns`` is the slice's before, as for any fill.
    """
    outputs: list[Output] = []
    universe, crossing = state.universe, state.books["crossing"]
    for i in np.flatnonzero(np.any(crossing != 0, axis=0) & (universe.symbols["present"] != 0)).tolist():
        price, open_ns = float(universe.bars[i]["open"]), int(universe.bars[i]["open_ns"])
        lots = {name: quantity for name, quantity in zip(state.names, crossing[:, i].tolist(), strict=True) if quantity}
        realised = {
            name: book_share(state.books, state.rows[name], i, quantity, price, universe.lot_sizes[i])
            for name, quantity in lots.items()
        }
        crossing[:, i] = 0
        symbol = universe.instruments[i].symbol
        crossed = sum(q for q in lots.values() if q > 0)
        outputs.append(say("TradeEvent", TradeEvent(
            engine_ns=max(now_ns, open_ns), execution_id=f"cross.{symbol}.{open_ns}", order_id="",
            symbol=symbol, side="BUY", lots=0, quantity=0.0, price=price, fee_micro=0, slippage=0.0,
            lots_by_strategy=lots, crossed_lots=crossed, realised=realised,
        )))  # fmt: skip
    return outputs
