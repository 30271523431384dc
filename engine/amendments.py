"""Corrections and busts of executions, in whatever order they come: what survives is what the books hold.

Where nothing was booked in a row since, taking an execution out restores the row as it was, to the last bit: the books
are those of a ledger that never saw it. Where something was, its lots go out at its own price: lots, cash and fees are
exactly those of the surviving executions, and profit and cost together (realised less basis) are too; how they divide
follows the average cost at that moment, as a broker's statement shows a late correction.
"""

from typing import Any

import msgspec

from engine.booking import book_fill, images, release, release_external
from engine.ledger import add, book, move_cash
from engine.orders import Booked, Order
from engine.output import Output, say
from engine.state import State
from events.types import FillEvent, TradeEvent


def amend(state: State, order: Order, event: FillEvent, now_ns: int) -> list[Output]:
    """Book a correction or a bust; one that comes before what it amends waits for it."""
    root = order.aliases.get(amended(event), amended(event))
    order.aliases[f"{event.broker}:{event.execution_id}"] = root
    if root not in order.executions:
        known = order.early.get(root)
        if known is None or known.broker_ns <= event.broker_ns:
            order.early[root] = event
        return []
    return _apply(state, order, root, event, now_ns)


def amended(event: FillEvent) -> str:
    """Return the key of the execution that an amendment is about."""
    return f"{event.broker}:{event.amends}"


def take(state: State, order: Order, fill: FillEvent, now_ns: int) -> list[Output]:
    """Book an execution, and what was said of it before it came."""
    key = f"{fill.broker}:{fill.execution_id}"
    early = order.early.pop(key, None)
    outputs = [say("TradeEvent", book_fill(state, order, fill, now_ns))]
    return outputs + _apply(state, order, key, early, now_ns) if early is not None else outputs


def _apply(state: State, order: Order, root: str, event: FillEvent, now_ns: int) -> list[Output]:
    key = f"{event.broker}:{event.execution_id}"
    order.aliases[key] = root
    outputs: list[Output] = []
    booked = order.booked.get(root)
    if booked is not None and booked.fill.broker_ns <= event.broker_ns:  # an older word on it changes nothing
        outputs.append(say("TradeEvent", take_out(state, order, root, event, now_ns)))
        if event.kind == "CORRECTION":
            outputs.append(say("TradeEvent", _rebook(state, order, root, event, now_ns)))
    early = order.early.pop(key, None)
    return outputs + _apply(state, order, root, early, now_ns) if early is not None else outputs


def _rebook(state: State, order: Order, root: str, event: FillEvent, now_ns: int) -> TradeEvent:
    """Book what an execution truly was, under the name of the first."""
    broker, _, execution_id = root.partition(":")
    named = msgspec.structs.replace(event, broker=broker, execution_id=execution_id)
    trade = book_fill(state, order, named, now_ns)
    return msgspec.structs.replace(trade, execution_id=event.execution_id)


def take_out(state: State, order: Order, key: str, event: FillEvent, now_ns: int) -> TradeEvent:
    """Take an execution out of the books and return the trade that undoes it; its lots are the order's again."""
    booked = order.booked.pop(key)
    fill, i = booked.fill, state.universe.index[order.symbol]
    order.filled_lots -= fill.lots
    price, unit = fill.price_micro * 1e-6, state.universe.lot_sizes[i]
    order.filled_value -= fill.lots * unit * price
    uncross = bool(order.crossed) and order.filled_lots == 0  # crossed lots stay crossed while any execution stands
    realised = _undo_rows(state, i, order, booked, unit, uncross=uncross)
    _undo_account(state, i, booked)
    for name, lots in booked.within.items():
        order.residual[name] = order.residual.get(name, 0) + lots
    if order.working:
        release(state, i, order.signed, (order.crossed if uncross else {}, booked.within), again=True)
        if order.external:
            release_external(state, i, order, -fill.lots)
    shares = {**booked.within}
    for name, lots in [*booked.beyond.items(), *(order.crossed.items() if uncross else ())]:
        shares[name] = shares.get(name, 0) + lots
    return TradeEvent(
        engine_ns=max(now_ns, event.broker_ns),
        execution_id=event.execution_id if event.kind == "BUST" else f"{event.execution_id}/out",
        order_id=order.order_id,
        symbol=order.symbol,
        side="SELL" if order.side == "BUY" else "BUY",
        lots=fill.lots,
        quantity=fill.lots * unit,
        price=price,
        fee_micro=-fill.fee_micro,
        slippage=-booked.slippage,
        lots_by_strategy={name: -lots for name, lots in shares.items()},
        crossed_lots=sum(q for q in order.crossed.values() if q > 0) if uncross else 0,
        realised=realised,
    )


def _undo_rows(state: State, i: int, order: Order, booked: Booked, unit: float, *, uncross: bool) -> dict[str, float]:
    """Restore each row that nothing else has touched since; take the lots out of the others at the execution's price.

    Returns the change of each strategy's realised profit.
    """
    exact = uncross == booked.crossed  # else the images hold a crossing that must stay, or lack one that must go
    names = dict.fromkeys([*booked.after, *booked.within, *booked.beyond, *(order.crossed if uncross else ())])
    now = images(state, i, names)
    for name, found in now.items():
        if exact and found == booked.after.get(name):
            for field, value in booked.before[name]._asdict().items():
                _row(state, i, name)[field] = value
        else:
            _undo_row(_row(state, i, name), name, order, booked, unit, uncross=uncross)
    after = images(state, i, now)
    return {
        name: after[name].realised + after[name].realised_rest - found.realised - found.realised_rest
        for name, found in now.items()
        if name
    }


def _undo_row(row: Any, name: str, order: Order, booked: Booked, unit: float, *, uncross: bool) -> None:
    fill = booked.fill
    lots = booked.within.get(name, 0) + booked.beyond.get(name, 0) if name else order.signed * fill.lots
    if lots:
        book(row, -lots, fill.price_micro * 1e-6, unit)
    if uncross and order.crossed.get(name):
        book(row, -order.crossed[name], order.crossed_price, unit)
    if not name:
        row["realised"], row["realised_rest"] = add(row["realised"], row["realised_rest"], fill.fee_micro * 1e-6)


def _row(state: State, i: int, name: str) -> Any:
    return state.books[state.rows[name], i] if name else state.universe.symbols[i]


def _undo_account(state: State, i: int, booked: Booked) -> None:
    account, currency = state.account[0], int(state.universe.symbols[i]["currency"])
    move_cash(account, currency, booked.cash_micro)
    if currency:
        account["foreign_fees_micro"][currency] -= booked.fill.fee_micro
    else:
        account["fees_micro"] -= booked.fill.fee_micro
    account["slippage"] -= booked.slippage * float(state.universe.rates[currency])
    for name, fee in booked.fees.items():
        state.books[state.rows[name], i]["fees_micro"] -= fee
