"""A fill into the books: which strategy gets which of its lots, at what cost."""

from collections.abc import Iterable

from engine.ledger import book_net, book_share, share_out
from engine.orders import Booked, Image, Order
from engine.state import State
from events.types import FillEvent, TradeEvent


def split_wants(wanted: dict[str, int]) -> tuple[dict[str, int], dict[str, int]]:
    """Split what strategies want into lots that they cross among themselves and lots that the market must give.

    Both signed; together they are ``wanted``, and the crossed ones add up to zero.
    """
    net = sum(wanted.values())
    side = 1 if net > 0 else -1
    minor = {name: lots for name, lots in wanted.items() if lots * side < 0}
    if not minor:
        return {}, dict(wanted)
    major = {name: lots for name, lots in wanted.items() if lots * side > 0}
    sizes = [abs(lots) for lots in major.values()]
    crossed, residual = dict(minor), {}
    for name, share in zip(major, share_out(abs(sum(minor.values())), sizes, sizes), strict=True):
        crossed[name] = side * share
        residual[name] = major[name] - side * share
    return {n: q for n, q in crossed.items() if q}, {n: q for n, q in residual.items() if q}


def book_fill(state: State, order: Order, fill: FillEvent, now_ns: int) -> TradeEvent:
    """Book an execution into the net position, the account and the strategies' books; release what it had reserved."""
    i = state.universe.index[order.symbol]
    side, unit, price = order.signed, state.universe.lot_sizes[i], fill.price_micro * 1e-6
    within, beyond = _fill_shares(order, fill.lots, side)
    shares = {name: within.get(name, 0) + beyond.get(name, 0) for name in {**within, **beyond}}
    crossed = order.crossed if order.filled_lots == 0 else {}
    before = images(state, i, {**shares, **crossed})
    cash = cash_micro(state, i)
    realised: dict[str, float] = {}
    for booked in (crossed, shares):
        for name, lots in booked.items():
            profit = book_share(state.books, state.rows[name], i, lots, price, unit)
            realised[name] = realised.get(name, 0.0) + profit
    if order.working:
        release(state, i, side, (crossed, within))
        if order.external:
            release_external(state, i, order, min(fill.lots, max(0, order.lots - order.filled_lots)))
    fees = _charge_fee(state, i, shares, fill)
    slippage = book_net(
        state.universe.symbols,
        i,
        state.account,
        side * fill.lots,
        fill.price_micro,
        fill.fee_micro,
        order.expected_price,
    )
    order.filled_lots += fill.lots
    order.filled_value += fill.lots * unit * price
    order.crossed_price = price if crossed else order.crossed_price
    order.booked[f"{fill.broker}:{fill.execution_id}"] = Booked(
        fill=fill, within=within, beyond=beyond, crossed=bool(crossed), slippage=slippage, fees=fees,
        cash_micro=cash - cash_micro(state, i), before=before, after=images(state, i, before),
    )  # fmt: skip
    return TradeEvent(
        engine_ns=max(now_ns, fill.broker_ns),
        execution_id=fill.execution_id,
        order_id=order.order_id,
        symbol=order.symbol,
        side=order.side,
        lots=fill.lots,
        quantity=fill.lots * unit,
        price=price,
        fee_micro=fill.fee_micro,
        slippage=slippage,
        lots_by_strategy={name: shares.get(name, 0) + crossed.get(name, 0) for name in {**shares, **crossed}},
        crossed_lots=sum(q for q in crossed.values() if q > 0),
        realised=realised,
    )


def cash_micro(state: State, i: int) -> int:
    """Return the account's cash of symbol i's currency, in its micro-units."""
    account, currency = state.account[0], int(state.universe.symbols[i]["currency"])
    return int(account["foreign_micro"][currency] if currency else account["cash_micro"])


def images(state: State, i: int, names: Iterable[str]) -> dict[str, Image]:
    """Return what the net position ("") and the books of these strategies hold of symbol i."""
    rows = {"": state.universe.symbols[i]} | {name: state.books[state.rows[name], i] for name in names if name}
    return {
        name: Image(
            int(row["lots"]), float(row["basis"]), float(row["basis_rest"]), float(row["realised"]),
            float(row["realised_rest"]),
        )
        for name, row in rows.items()
    }  # fmt: skip


def release_rest(state: State, order: Order) -> None:
    """Release what an order that works no longer had reserved and did not fill."""
    i = state.universe.index[order.symbol]
    crossed = order.crossed if order.filled_lots == 0 else {}
    release(state, i, order.signed, (crossed, order.residual, order.extra))
    order.extra = {}
    if order.external:
        release_external(state, i, order, max(0, order.lots - order.filled_lots))


def release_external(state: State, i: int, order: Order, lots: int) -> None:
    """Release lots of an order of nobody here: they were reserved in the symbol alone."""
    state.universe.symbols[i]["working_buy" if order.signed > 0 else "working_sell"] -= lots


def release(state: State, i: int, side: int, parts: tuple[dict[str, int], ...], *, again: bool = False) -> None:
    """Take signed lots by strategy out of what works, or put them in ``again``.

    Crossed ones add up to zero, the net order has none of them.
    """
    net, sign = 0, -1 if again else 1
    for part in parts:
        for name, lots in part.items():
            held = state.books[state.rows[name], i]
            held["working"] -= sign * lots
            held["working_gross"] -= sign * abs(lots)
            net += lots
    state.universe.symbols[i]["working_buy" if side > 0 else "working_sell"] -= sign * abs(net)


def _draw_on_change(order: Order, lots: int) -> None:
    """Move lots that an unanswered change asks for to the order: what executes beyond it is of them, and reserved so.

    The broker has changed the order already; only its word is still on the way.
    """
    asked = [abs(left) for left in order.extra.values()]
    sizes = share_out(max(0, min(lots, sum(asked))), asked, asked)
    for name, size in zip(list(order.extra), sizes, strict=True):
        order.extra[name] -= order.signed * size
        for held in (order.residual, order.lots_by_strategy):
            held[name] = held.get(name, 0) + order.signed * size


def _fill_shares(order: Order, lots: int, side: int) -> tuple[dict[str, int], dict[str, int]]:
    """Take a fill's lots from the strategies' residuals, pro rata; lots beyond the order go to the first of them.

    Returns both, signed: what the order was for, and what came beyond it.
    """
    _draw_on_change(order, lots - sum(map(abs, order.residual.values())))
    names = list(order.residual) or list(order.lots_by_strategy)
    if not names:  # an order of nobody here: its fills change the net position alone
        return {}, {}
    left = [abs(order.residual.get(name, 0)) for name in names]
    amount = min(lots, sum(left))
    within: dict[str, int] = {}
    for name, share in zip(names, share_out(amount, left, left), strict=True):
        if share:
            order.residual[name] -= side * share
            within[name] = side * share
    return within, {names[0]: side * (lots - amount)} if lots > amount else {}


def _charge_fee(state: State, i: int, shares: dict[str, int], fill: FillEvent) -> dict[str, int]:
    """Share the fee by lots and return the shares: the micro-units add up to the fee exactly."""
    lots = [abs(q) for q in shares.values()]
    fees = dict(zip(shares, share_out(fill.fee_micro, lots, [fill.fee_micro] * len(lots)), strict=True))
    for name, fee in fees.items():
        state.books[state.rows[name], i]["fees_micro"] += fee
    return fees
