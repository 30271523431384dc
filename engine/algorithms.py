"""Execution algorithms: a decision that is worked in slices, each an order of its own over the bars that follow.

TWAP sends equal slices at equal times; participation sends a share of each bar's volume (Bertsimas and Lo 1998,
"Optimal Control of Execution Costs"; Johnson 2010, "Algorithmic Trading and DMA", chapter 5). All of it is in event
time, so the same journal gives the same slices. What a decision has not sent yet stays reserved, and each slice meets
every check again as it leaves. A decision ends, and what it has not sent is released, when the targets turn, when
anything new is blocked for it, when a slice is denied, and at its session's close.
"""

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from numba import njit

from engine import execution
from engine.booking import release
from engine.decisions import ALLOWED, WAITING, commitments, judge_symbol, portfolio, reserve
from engine.layout import ACTIVE
from engine.ledger import share_out
from engine.orders import AT_MARKET, Terms
from engine.output import Output, say
from engine.parents import Parent
from engine.state import State
from events.types import ParentEvent
from risk.var_limit import begin

MINUTE_NS = 60_000_000_000
End = Literal["DONE", "CANCELED", "EXPIRED"]


@njit(cache=True)
def judge_slice(  # noqa: PLR0917 - compiled code is called with positions
    i: int,
    net: int,
    want: Any,
    symbols: Any,
    books: Any,
    strategies: Any,
    account: Any,
    costs: Any,
    limits: Any,
    rates: Any,
    now_ns: int,
    risk: Any,
    weights: Any,
    covariance: Any,
    variances: Any,
    values: Any,
    limits_met: Any,
) -> int:
    """Run all checks on a slice that is reserved already, as if it were not; return the mask of denials.

    want i8 [s]: signed lots by strategy. The reservation is as before on return: what is denied, its parent releases.
    """
    row = symbols[i]
    if net > 0:
        row.working_buy -= net
    else:
        row.working_sell += net
    for s in range(len(want)):
        books[s, i].working -= want[s]
        books[s, i].working_gross -= abs(want[s])
    totals, exposures = np.zeros(3), np.zeros(len(strategies))
    commitments(symbols, books, rates, totals, exposures)
    portfolio(symbols, rates, weights)
    begin(risk[0], weights, covariance, variances)
    mask: int = judge_symbol(
        i, net, want, symbols, books, strategies, account[0], costs[0], limits[0], rates, now_ns, totals, exposures,
        risk[0], weights, covariance, variances, values, limits_met,
    )  # fmt: skip
    reserve(symbols, books, i, want, net, rates, totals, exposures)
    if mask == ALLOWED:
        row.last_decided_ns = now_ns
    return mask


def intend(state: State, i: int, now_ns: int, terms: Terms = AT_MARKET) -> list[Output]:
    """Turn an allowed decision into an intent, or into a parent and its first slice; the kernel has reserved it all."""
    parent = _parent(state, i, now_ns)
    if parent is None:
        return execution.intend(state, i, now_ns, terms)
    state.parents[parent.parent_id] = parent
    outputs = [say("ParentEvent", _event(parent, "WORKING", now_ns))]
    lots = _slice(state, parent, i, now_ns)
    if lots > 0:
        outputs += _send(state, parent, i, _shares(parent, lots), now_ns)
    return outputs + _done(state, parent, now_ns)


def advance(
    state: State, now_ns: int, *, contradicted: Callable[[Parent], bool] = lambda _parent: False
) -> list[Output]:
    """Send the slices that are due at this slice of the market; end what may not go on.

    A symbol in which one leaves waits with new decisions until the next slice.
    """
    outputs: list[Output] = []
    for parent in list(state.parents.values()):
        i = state.universe.index[parent.symbol]
        reason = blocked(state, parent) or ("targets turned" if contradicted(parent) else "")
        if reason:
            outputs += end(state, parent, "CANCELED", now_ns, reason)
        elif state.universe.symbols[i]["present"] and state.masks[i] != WAITING:
            outputs += _next(state, parent, i, now_ns)
    return outputs


def blocked(state: State, parent: Parent) -> str:
    """Return why a parent may send nothing more, "" where it may: it takes no part in a state that may only reduce."""
    account, row = state.account[0], state.universe.symbols[state.universe.index[parent.symbol]]
    if account["killed"] or account["state"] != ACTIVE or not account["reconciled"]:
        return "the station takes nothing new"
    if row["killed"] or row["halted"] or row["restricted"] or not row["tradable"]:
        return f"{parent.symbol} takes nothing new"
    for name in parent.residual:
        strategy = state.strategies[state.rows[name]]
        if strategy["killed"] or not strategy["enabled"]:
            return f"{name} takes nothing new"
    return ""


def end_blocked(state: State, now_ns: int) -> list[Output]:
    """End every parent that may send nothing more: after whatever a person did."""
    outputs: list[Output] = []
    for parent in list(state.parents.values()):
        reason = blocked(state, parent)
        if reason:
            outputs += end(state, parent, "CANCELED", now_ns, reason)
    return outputs


def expire(state: State, now_ns: int, *, everything: bool) -> list[Output]:
    """End the parents whose session has closed, or all of them at the end of the data."""
    outputs: list[Output] = []
    for parent in list(state.parents.values()):
        closed = parent.expires_ns <= now_ns
        if everything or closed:
            outputs += end(state, parent, "EXPIRED", now_ns, "end of session" if closed else "end of data")
    return outputs


def end(state: State, parent: Parent, how: End, now_ns: int, reason: str = "") -> list[Output]:
    """End a parent: what it has not sent is not reserved any more; its slices that work go on by themselves."""
    release(state, state.universe.index[parent.symbol], parent.signed, (parent.residual,))
    parent.residual = {}
    del state.parents[parent.parent_id]
    return [say("ParentEvent", _event(parent, how, now_ns, reason))]


def _parent(state: State, i: int, now_ns: int) -> Parent | None:
    """Return the parent of the decision in the kernel's ``wants``, None where it goes to the market at once."""
    settings, universe, row = state.configuration.settings.execution, state.universe, state.universe.symbols[i]
    wanted = {name: lots for name, lots in zip(state.names, state.wants[i].tolist(), strict=True) if lots}
    net = sum(wanted.values())
    lots, average = abs(net), float(row["volume_average"])
    if settings.algorithm == "market" or not lots * universe.lot_sizes[i] > settings.slice_above * average:
        return None
    instrument, expires_ns = universe.instruments[i], universe.next_close_ns(i, now_ns)
    inside = now_ns < int(row["session_close_ns"])  # else it is an order of the next session
    start_ns = now_ns if inside else universe.session_open_after(instrument.calendar, now_ns)
    interval_ns = max(1, int(row["interval_ns"]))
    spacing_ns, slices = interval_ns, 0
    if settings.algorithm == "twap":
        spacing_ns = max(round(settings.horizon_minutes * MINUTE_NS) // settings.slices, interval_ns)
        slices = max(1, min(settings.slices, lots, (expires_ns - start_ns) // spacing_ns))
    if slices == 1 or expires_ns - start_ns <= interval_ns:  # one bar is all that is left: there is nothing to slice
        return None
    state.parent_count += 1
    return Parent(
        parent_id=f"P{state.parent_count:09d}",
        symbol=instrument.symbol,
        side="BUY" if net > 0 else "SELL",
        lots=lots,
        algorithm=settings.algorithm,
        slices=slices,
        start_ns=start_ns,
        spacing_ns=spacing_ns,
        participation=settings.participation,
        expires_ns=expires_ns,
        lots_by_strategy=wanted,
        residual=dict(wanted),
        expected_price=float(row["mark"]),
    )


def _slice(state: State, parent: Parent, i: int, now_ns: int) -> int:
    """Return how many lots are due now.

    TWAP: what the schedule wants sent by now, less what was; participation: the share of the bar that has just closed,
    less what still works.
    """
    if parent.slices:
        due = min(parent.slices, max(0, now_ns - parent.start_ns) // parent.spacing_ns + 1)
        return parent.lots * due // parent.slices - parent.sent_lots
    volume = float(state.universe.symbols[i]["volume"])
    share = int(parent.participation * volume / state.universe.lot_sizes[i])
    working = sum(o.lots - o.filled_lots for o in state.orders.values() if o.parent_id == parent.parent_id)
    return max(0, min(share - working, parent.lots - parent.sent_lots))


def _shares(parent: Parent, lots: int) -> dict[str, int]:
    """Take a slice from what is left, pro rata; lots that cross between strategies go with the first slice."""
    side = parent.signed
    shares = {name: left for name, left in parent.residual.items() if left * side < 0}
    major = {name: abs(left) for name, left in parent.residual.items() if left * side > 0}
    sizes = list(major.values())
    for name, share in zip(major, share_out(lots + abs(sum(shares.values())), sizes, sizes), strict=True):
        if share:
            shares[name] = side * share
    return shares


def _next(state: State, parent: Parent, i: int, now_ns: int) -> list[Output]:
    lots = _slice(state, parent, i, now_ns)
    if lots <= 0:
        return []
    shares = _shares(parent, lots)
    _want(state, i, shares)
    guards = state.guards
    mask = judge_slice(
        i, parent.signed * lots, state.wants[i], state.universe.symbols, state.books, state.strategies, state.account,
        state.costs, state.limits, state.universe.rates, now_ns, guards.risk, guards.weights, guards.covariance,
        guards.variances, state.values[i], state.limits_met[i],
    )  # fmt: skip
    state.masks[i] = mask
    if mask != ALLOWED:
        outputs = execution.deny(state, i, now_ns)
        outputs += end(state, parent, "CANCELED", now_ns, outputs[0].payload.reason)
    else:
        execution.forget_denials(state, i)
        outputs = _send(state, parent, i, shares, now_ns) + _done(state, parent, now_ns)
    state.masks[i] = WAITING
    return outputs


def _send(state: State, parent: Parent, i: int, shares: dict[str, int], now_ns: int) -> list[Output]:
    """Make a slice's order: what it holds is its own from now on."""
    _want(state, i, shares)
    outputs = execution.intend(state, i, now_ns)
    order = state.orders[outputs[0].payload.order_id]
    order.parent_id = parent.parent_id
    parent.sent_lots += order.lots
    parent.residual = {
        name: left - shares.get(name, 0) for name, left in parent.residual.items() if left != shares.get(name, 0)
    }
    return outputs


def _want(state: State, i: int, shares: dict[str, int]) -> None:
    state.wants[i] = [shares.get(name, 0) for name in state.names]


def _done(state: State, parent: Parent, now_ns: int) -> list[Output]:
    return [] if parent.residual else end(state, parent, "DONE", now_ns)


def _event(parent: Parent, state: Literal["WORKING"] | End, now_ns: int, reason: str = "") -> ParentEvent:
    return ParentEvent(
        engine_ns=now_ns,
        parent_id=parent.parent_id,
        state=state,
        symbol=parent.symbol,
        side=parent.side,
        lots=parent.lots,
        sent_lots=parent.sent_lots,
        algorithm=parent.algorithm,
        slices=parent.slices,
        lots_by_strategy=dict(parent.lots_by_strategy),
        expected_price=parent.expected_price,
        expires_ns=parent.expires_ns,
        reason=reason,
    )
