"""From allowed orders to booked fills: the order table, and what moves an order in it."""

from typing import Literal

import msgspec
import numpy as np

from engine import amendments
from engine.booking import release_rest, split_wants
from engine.decisions import ALLOWED, NOTHING
from engine.ledger import book_share
from engine.orders import AT_MARKET, ImpossibleTransitionError, Order, Terms
from engine.output import Output, finite, say
from engine.state import REMEMBERED, State
from events.types import Checked, Denial, FillEvent, OrderEvent, RiskAlert, TradeEvent
from risk.checks import raises_exposure
from risk.codes import STATION_CODES, Code, named

CODES = [code.name for code in Code]
"""Every check that an allowed order has passed: all run, none can be left out."""

Purpose = Literal["", "flatten"]


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
        purpose=order.purpose,
        change=order.change,
    )


def make_order(state: State, i: int, now_ns: int, terms: Terms = AT_MARKET, purpose: Purpose = "") -> Order:
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
        type=terms.type,
        limit_ticks=terms.limit_ticks,
        stop_ticks=terms.stop_ticks,
        time_in_force=terms.time_in_force,
        expires_ns=None if terms.time_in_force == "GTC" else state.universe.next_close_ns(i, now_ns),
        purpose=purpose,
    )


class UncheckedError(RuntimeError):
    """Somebody wants an intent that the checks have not allowed."""


def intend(state: State, i: int, now_ns: int, terms: Terms = AT_MARKET, purpose: Purpose = "") -> list[Output]:
    """Turn an allowed decision into an intent, with the record of its checks; the kernel has reserved it already.

    Raises
    ------
    UncheckedError
        if the last word of the checks on symbol row i is not that its ``wants`` are allowed. Each word is good once.
    ValueError
        if the terms do not fit together.
    """
    if int(state.masks[i]) != ALLOWED:
        raise UncheckedError(f"an order of {state.universe.instruments[i].symbol} was not allowed by the checks")
    if terms.fault:
        raise ValueError(terms.fault)
    state.masks[i] = NOTHING
    order = make_order(state, i, now_ns, terms, purpose)
    order.crossed, order.residual = split_wants(order.lots_by_strategy)
    order.move("INTENT")
    state.orders[order.order_id] = order
    checked = Checked(codes=CODES, version=state.version)
    return [say("OrderEvent", msgspec.structs.replace(order_event(order, now_ns), checked=checked))]


def deny(state: State, i: int, now_ns: int, terms: Terms = AT_MARKET, purpose: Purpose = "") -> list[Output]:
    """Record a denied decision and count it against the strategies in it."""
    mask = int(state.masks[i])
    order = make_order(state, i, now_ns, terms, purpose)
    codes = named(mask)
    order.denials = [
        Denial(code=code.name, value=finite(state.values[i, code]), limit=finite(state.limits_met[i, code]))
        for code in codes
    ]
    order.move("RISK_DENIED")
    order.reason = codes[0].name
    outputs = [say("OrderEvent", order_event(order, now_ns))]
    if codes[0] not in STATION_CODES and not purpose:
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
            made = alert(
                now_ns, "REPEATED_DENIAL", f"strategy:{name}", f"{met}: it may only reduce until a person enables it"
            )
            outputs.append(made)
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
    wrong = fill.kind != "BUST" and (fill.lots < 1 or fill.price_micro < 1)
    if fill.symbol != order.symbol or fill.side != order.side or wrong:
        said = f"{fill.side} {fill.lots} {fill.symbol} at {fill.price_micro} micro-units"
        return _strange_fill(
            state, fill, now_ns, f"execution {fill.execution_id} ({said}) does not fit order {order.order_id}"
        )
    booking = amendments.take if fill.kind == "FILL" else amendments.amend
    outputs = booking(state, order, fill, now_ns)
    if not outputs:
        return []
    left = order.reserved_lots - order.filled_lots
    if left < 0:
        beyond = f"order {order.order_id} was filled {-left} lots beyond its {order.reserved_lots}"
        outputs += _strange_fill(state, fill, now_ns, beyond)
    to = _after_fill(order, left)
    moves = to != order.state or to == "PARTIALLY_FILLED"
    return outputs + (
        move(state, order, to, now_ns, order.reason) if moves else [say("OrderEvent", order_event(order, now_ns))]
    )


def _after_fill(order: Order, left: int) -> str:
    """Return the state of an order once an execution was booked, corrected or taken out."""
    if left <= 0:
        return "FILLED"
    if not order.working:
        return "CANCELED" if order.state == "FILLED" else order.state
    if order.filled_lots > 0:
        return "PARTIALLY_FILLED"
    return "ACCEPTED" if order.state == "PARTIALLY_FILLED" else order.state


def _strange_fill(state: State, fill: FillEvent, now_ns: int, message: str) -> list[Output]:
    halted = _halt_symbol(state, fill.symbol)
    return [alert(now_ns, "UNEXPECTED_FILL", f"symbol:{fill.symbol}", f"{message}{halted}", lots=float(fill.lots))]


def _halt_symbol(state: State, symbol: str) -> str:
    i = state.universe.index.get(symbol)
    if i is None:
        return ""
    state.universe.symbols[i]["halted"] = 1
    return f"; {symbol} is halted"


def alert(
    now_ns: int, rule: str, scope: str, message: str, severity: Literal["info", "warning", "critical"] = "critical",
    **numbers: float,
) -> Output:  # fmt: skip
    """Return an alert."""
    said = RiskAlert(engine_ns=now_ns, rule=rule, severity=severity, scope=scope, message=message, numbers=numbers)
    return say("RiskAlert", said)


def move(state: State, order: Order, to: str, now_ns: int, reason: str = "") -> list[Output]:
    """Bring an order into a state, releasing what it had reserved once it no longer works."""
    was_working = order.working
    try:
        order.move(to)
    except ImpossibleTransitionError as error:
        halted = _halt_symbol(state, order.symbol)
        return [alert(now_ns, "IMPOSSIBLE_TRANSITION", f"symbol:{order.symbol}", f"{error}{halted}")]
    order.reason = reason
    if was_working and not order.working:
        _close(state, order)
    return [say("OrderEvent", order_event(order, now_ns))]


def _close(state: State, order: Order) -> None:
    release_rest(state, order)
    order.change = None
    state.orders.pop(order.order_id, None)
    state.closed_orders[order.order_id] = order
    while len(state.closed_orders) > REMEMBERED:
        state.closed_orders.pop(next(iter(state.closed_orders)))


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
    """Expire DAY orders whose session has closed, or all orders at the end of the data; end IOC orders after a bar.

    One without the broker's answer stays: only evidence ends it.
    """
    outputs: list[Output] = []
    for order in list(state.orders.values()):
        closed = order.time_in_force != "GTC" and order.expires_ns is not None and order.expires_ns <= now_ns
        if order.state == "UNKNOWN" or (order.external and not everything):
            continue
        if order.time_in_force == "IOC" and order.seen_bar:
            outputs += move(state, order, "CANCELED", now_ns, "immediate or cancel")
        elif everything or closed:
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
