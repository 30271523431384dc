"""From allowed orders to booked fills: the order table and the shares of each strategy in it."""

from typing import Any

import numpy as np

from engine.ledger import add, book, notional_micro, share_out
from engine.orders import ImpossibleTransition, Order
from engine.output import Output, say
from engine.state import REMEMBERED, State
from events.types import BrokerEvent, Denial, FillEvent, OrderEvent, RiskAlert, TradeEvent
from risk.codes import STATION_CODES, Code

ACKNOWLEDGED = {
    "ACCEPTED": "ACCEPTED",
    "REJECTED": "REJECTED",
    "CANCELED": "CANCELED",
    "EXPIRED": "EXPIRED",
    "UNKNOWN": "UNKNOWN",
}


def order_event(order: Order, engine_ns: int) -> OrderEvent:
    """Return the record of an order's present state."""
    return OrderEvent(
        engine_ns=engine_ns, order_id=order.order_id, state=order.state, symbol=order.symbol, side=order.side, lots=order.lots,
        filled_lots=order.filled_lots, type=order.type, limit_ticks=order.limit_ticks, stop_ticks=order.stop_ticks,
        time_in_force=order.time_in_force, expires_ns=order.expires_ns, lots_by_strategy=dict(order.lots_by_strategy),
        expected_price=order.expected_price, denials=list(order.denials), reason=order.reason,
    )  # fmt: skip


def make_order(state: State, i: int, now_ns: int) -> Order:
    """Return a new order of symbol row i from the kernel's ``wants``; it has no state yet."""
    wanted = {name: int(lots) for name, lots in zip(state.names, state.wants[i], strict=True) if lots}
    net = sum(wanted.values())
    state.order_count += 1
    row = state.universe.symbols[i]
    return Order(
        order_id=f"S{state.order_count:09d}", engine_ns=now_ns, symbol=state.universe.instruments[i].symbol,
        side="BUY" if net > 0 else "SELL", lots=abs(net), lots_by_strategy=wanted, expected_price=float(row["mark"]),
        expires_ns=state.universe.next_close_ns(i, now_ns),
    )  # fmt: skip


def intend(state: State, i: int, now_ns: int) -> list[Output]:
    """Turn an allowed decision into an intent; the kernel has reserved it already."""
    order = make_order(state, i, now_ns)
    order.crossed, order.residual = _crossed_and_residual(order.lots_by_strategy)
    order.move("INTENT")
    state.orders[order.order_id] = order
    return [say("OrderEvent", order_event(order, now_ns))]


def _crossed_and_residual(wanted: dict[str, int]) -> tuple[dict[str, int], dict[str, int]]:
    """Split what strategies want into lots that they cross among themselves and lots that the market must give (both signed)."""
    net = sum(wanted.values())
    side = 1 if net > 0 else -1
    major = {name: lots for name, lots in wanted.items() if lots * side > 0}
    minor = {name: lots for name, lots in wanted.items() if lots * side < 0}
    crossing = abs(sum(minor.values()))
    shares = _shares(crossing, [abs(lots) for lots in major.values()], [abs(lots) for lots in major.values()])
    crossed = dict(minor)
    residual: dict[str, int] = {}
    for name, share in zip(major, shares, strict=True):
        crossed[name] = side * share
        residual[name] = major[name] - side * share
    return {n: q for n, q in crossed.items() if q}, {n: q for n, q in residual.items() if q}


def _shares(amount: int, weights: list[int], caps: list[int]) -> list[int]:
    out = np.zeros(len(weights), dtype=np.int64)
    share_out(amount, np.array(weights, dtype=np.int64), np.array(caps, dtype=np.int64), out)
    return [int(x) for x in out]


def deny(state: State, i: int, now_ns: int) -> list[Output]:
    """Record a denied decision and count it against the strategies in it."""
    mask = int(state.masks[i])
    order = make_order(state, i, now_ns)
    codes = [code for code in Code if mask & (1 << code)]
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
        row = state.strategies[state.names.index(name)]
        row["denial_run"] = row["denial_run"] + 1 if row["denial_code"] == code + 1 else 1
        row["denial_code"] = code + 1
        if row["denial_run"] >= allowed and row["enabled"]:
            row["enabled"] = 0
            message = (
                f"{name} met {Code(code).name} {allowed} times in a row: it may only reduce until a person enables it"
            )
            alert = RiskAlert(engine_ns=now_ns, rule="REPEATED_DENIAL", severity="critical", scope=f"strategy:{name}", message=message,
                              numbers={"denials": float(allowed)})  # fmt: skip
            outputs.append(say("RiskAlert", alert))
    return outputs


def forget_denials(state: State, i: int) -> None:
    """An order of these strategies passed: their run of denials ends."""
    for s in np.flatnonzero(state.wants[i]):
        state.strategies[s]["denial_run"] = 0


def on_fill(state: State, fill: FillEvent, now_ns: int) -> list[Output]:
    """Book an execution; one that is known changes nothing, one of an unknown order halts its symbol."""
    order = state.orders.get(fill.order_id) or state.closed_orders.get(fill.order_id)
    key = f"{fill.broker}:{fill.execution_id}"
    if order is None:
        return _strange_fill(state, fill, now_ns, f"execution {fill.execution_id} belongs to no order of the station")
    if key in order.executions:
        return []
    order.executions.append(key)
    outputs = [say("TradeEvent", _book(state, order, fill, now_ns))]
    left = order.lots - order.filled_lots
    if left < 0:
        outputs += _strange_fill(
            state, fill, now_ns, f"order {order.order_id} was filled {-left} lots beyond its {order.lots}"
        )
    if order.working or left <= 0:
        outputs += move(state, order, "FILLED" if left <= 0 else "PARTIALLY_FILLED", now_ns, order.reason)
    else:
        outputs.append(say("OrderEvent", order_event(order, now_ns)))
    return outputs


def _strange_fill(state: State, fill: FillEvent, now_ns: int, message: str) -> list[Output]:
    i = state.universe.index.get(fill.symbol)
    if i is not None:
        state.universe.symbols[i]["halted"] = 1
    alert = RiskAlert(engine_ns=now_ns, rule="UNEXPECTED_FILL", severity="critical", scope=f"symbol:{fill.symbol}",
                      message=f"{message}; {fill.symbol} is halted", numbers={"lots": float(fill.lots)})  # fmt: skip
    return [say("RiskAlert", alert)]


def _book(state: State, order: Order, fill: FillEvent, now_ns: int) -> TradeEvent:
    i = state.universe.index[order.symbol]
    row, account = state.universe.symbols[i], state.account[0]
    numerator, denominator = int(row["lot_numerator"]), int(row["lot_denominator"])
    unit, price, side = numerator / denominator, fill.price_micro * 1e-6, order.signed
    shares = _fill_shares(order, fill.lots, side)
    crossed = order.crossed if order.filled_lots == 0 else {}
    realised = _book_strategies(state, i, shares, crossed, price, unit)
    _charge_fee(state, i, shares, fill)
    book(state.universe.symbols[i], side * fill.lots, price, unit)
    notional = notional_micro(fill.lots, fill.price_micro, numerator, denominator, side > 0)
    account["cash_micro"] -= side * notional + fill.fee_micro
    account["fees_micro"] += fill.fee_micro
    slippage = side * (price - order.expected_price) * fill.lots * unit
    account["slippage"] += slippage
    if order.working:
        _release(state, i, side, min(fill.lots, order.lots - order.filled_lots))
    order.filled_lots += fill.lots
    order.filled_value += fill.lots * unit * price
    booked = {
        name: shares.get(name, 0) + crossed.get(name, 0) for name in [*shares, *(n for n in crossed if n not in shares)]
    }
    return TradeEvent(
        engine_ns=max(now_ns, fill.broker_ns), execution_id=fill.execution_id, order_id=order.order_id, symbol=order.symbol, side=order.side,
        lots=fill.lots, quantity=fill.lots * unit, price=price, fee_micro=fill.fee_micro, slippage=slippage, lots_by_strategy=booked,
        crossed_lots=sum(q for q in crossed.values() if q > 0), realised=realised,
    )  # fmt: skip


def _fill_shares(order: Order, lots: int, side: int) -> dict[str, int]:
    """Take a fill's lots from the strategies' residuals, pro rata; lots beyond the order go to the first of them."""
    names = list(order.residual) or list(order.lots_by_strategy)
    left = [abs(order.residual.get(name, 0)) for name in names]
    within = min(lots, sum(left))
    shares = _shares(within, left, left)
    shares[0] += lots - within
    for name, share in zip(names, shares, strict=True):
        order.residual[name] = order.residual.get(name, 0) - side * min(share, abs(order.residual.get(name, 0)))
    return {name: side * share for name, share in zip(names, shares, strict=True) if share}


def _book_strategies(
    state: State, i: int, shares: dict[str, int], crossed: dict[str, int], price: float, unit: float
) -> dict[str, float]:
    realised: dict[str, float] = {}
    for booked in (crossed, shares):
        for name, lots in booked.items():
            row = state.books[state.names.index(name), i]
            realised[name] = realised.get(name, 0.0) + book(row, lots, price, unit)
            row["working"] -= lots
    return realised


def _charge_fee(state: State, i: int, shares: dict[str, int], fill: FillEvent) -> None:
    """Share the fee by lots: the micro-units add up to the fee exactly."""
    lots = [abs(q) for q in shares.values()]
    for name, fee in zip(shares, _shares(fill.fee_micro, lots, [fill.fee_micro] * len(lots)), strict=True):
        state.books[state.names.index(name), i]["fees_micro"] += fee
    row = state.universe.symbols[i]
    row["realised"], row["realised_rest"] = add(
        float(row["realised"]), float(row["realised_rest"]), -fill.fee_micro * 1e-6
    )


def _release(state: State, i: int, side: int, lots: int) -> None:
    state.universe.symbols[i]["working_buy" if side > 0 else "working_sell"] -= lots


def move(state: State, order: Order, to: str, now_ns: int, reason: str = "") -> list[Output]:
    """Bring an order into a state, releasing what it had reserved once it no longer works."""
    was_working = order.working
    try:
        order.move(to)
    except ImpossibleTransition as error:
        state.universe.symbols[state.universe.index[order.symbol]]["halted"] = 1
        alert = RiskAlert(engine_ns=now_ns, rule="IMPOSSIBLE_TRANSITION", severity="critical", scope=f"symbol:{order.symbol}",
                          message=f"{error}; {order.symbol} is halted")  # fmt: skip
        return [say("RiskAlert", alert)]
    order.reason = reason
    if was_working and not order.working:
        _close(state, order)
    return [say("OrderEvent", order_event(order, now_ns))]


def _close(state: State, order: Order) -> None:
    i = state.universe.index[order.symbol]
    _release(state, i, order.signed, max(0, order.lots - order.filled_lots))
    remaining: dict[str, int] = dict(order.residual)
    if order.filled_lots == 0:
        for name, lots in order.crossed.items():
            remaining[name] = remaining.get(name, 0) + lots
    for name, lots in remaining.items():
        state.books[state.names.index(name), i]["working"] -= lots
    state.orders.pop(order.order_id, None)
    state.closed_orders[order.order_id] = order
    while len(state.closed_orders) > REMEMBERED:
        state.closed_orders.pop(next(iter(state.closed_orders)))


def on_broker(state: State, event: BrokerEvent, now_ns: int) -> list[Output]:
    """Take a broker's answer; what it repeats changes nothing."""
    order = state.orders.get(event.order_id)
    if order is None:
        known = event.order_id in state.closed_orders
        message = f"{event.broker} says {event.kind} of order {event.order_id}, which the station does not know"
        alert = RiskAlert(engine_ns=now_ns, rule="UNKNOWN_ORDER", severity="critical", scope="account", message=message)
        return [] if known else [say("RiskAlert", alert)]
    to = ACKNOWLEDGED[event.kind]
    if to == order.state or (to == "ACCEPTED" and order.filled_lots > 0):
        return []
    return move(state, order, to, now_ns, event.reason)


def cancel(state: State, orders: list[Order], now_ns: int, reason: str) -> list[Output]:
    """Ask for the cancellation of working orders; they stay reserved until the broker has answered."""
    outputs: list[Output] = []
    for order in orders:
        if order.state != "PENDING_CANCEL":
            outputs += move(state, order, "PENDING_CANCEL", now_ns, reason)
    return outputs


def expire(state: State, now_ns: int, *, everything: bool) -> list[Output]:
    """Expire DAY orders whose session has closed, or all of them at the end of the data."""
    due = [o for o in state.orders.values() if everything or (o.expires_ns is not None and o.expires_ns <= now_ns)]
    outputs: list[Output] = []
    for order in due:
        outputs += move(state, order, "EXPIRED", now_ns, "end of data" if everything else "end of session")
    return outputs


def cross_at_open(state: State, bars: Any, now_ns: int) -> list[Output]:
    """Book lots that strategies wanted to cross with no net order left, at this slice's open, free of cost."""
    outputs: list[Output] = []
    names = state.names
    for i in np.flatnonzero(np.any(state.books["crossing"] != 0, axis=0) & (state.universe.symbols["present"] != 0)):
        column, price, row = state.books[:, i], float(bars[i]["open"]), state.universe.symbols[i]
        lots = {names[s]: int(column[s]["crossing"]) for s in range(len(names)) if column[s]["crossing"]}
        unit = int(row["lot_numerator"]) / int(row["lot_denominator"])
        realised: dict[str, float] = {}
        for name, quantity in lots.items():
            held = state.books[names.index(name), i]
            realised[name] = book(held, quantity, price, unit)
            held["crossing"] = 0
        symbol = state.universe.instruments[i].symbol
        crossed = sum(q for q in lots.values() if q > 0)
        outputs.append(say("TradeEvent", TradeEvent(
            engine_ns=max(now_ns - 1, int(bars[i]["open_ns"])), execution_id=f"cross.{symbol}.{now_ns}", order_id="", symbol=symbol, side="BUY",
            lots=0, quantity=0.0, price=price, fee_micro=0, slippage=0.0, lots_by_strategy=lots, crossed_lots=crossed, realised=realised,
        )))  # fmt: skip
    return outputs
