"""Splits and dividends: what they do to positions, marks, waiting orders and to what policies remember.

A split multiplies whole lots; the fraction of a lot that is left over is settled in cash at the mark, of the account
and of each strategy, whose lots keep adding up to the account's. It divides every price that is kept: marks, previous
closes, unfinished bars, pending outcomes, and of each policy's state the fields that the policy names (``prices`` and
``volumes`` of agents.strategies.policy.Policy), or else all of its state of the symbol is forgotten. Returns and
volatilities stay.
Working orders of the symbol are cancelled, lots that wait to cross are forgotten: both were sized in old lots.

A dividend is paid on the lots held before it, in cash, realised, to longs and by shorts; mark and previous close go ex.
"""

from fractions import Fraction
from typing import Any

import numpy as np

from engine import algorithms, execution
from engine.adjustments import pay_dividend, split_books
from engine.output import Output, say
from engine.state import PolicyRun, State
from engine.steps import value
from engine.units import pay_units, split_units
from events.types import AdjustmentEvent, CorporateActionEvent, RiskAlert

MICRO = 1_000_000
MOST = 1_000_000  # units that a split may make of one, or one of so many: beyond it a number is a mistake
MOST_LOTS = 10**15


def on_corporate_action(state: State, event: CorporateActionEvent, now_ns: int) -> list[Output]:
    """Apply an action to everything that the engine keeps of its symbol, or say why not."""
    now_ns = max(now_ns, event.effective_from_ns)
    refused = _refusal(state, event)
    if refused:
        return [_alert(now_ns, "ACTION_REFUSED", "warning", event.symbol, refused)]
    i = state.universe.index[event.symbol]
    outputs = _split(state, i, event, now_ns) if event.kind == "split" else _dividend(state, i, event, now_ns)
    value(state.account, state.universe.symbols, state.books, state.strategies, state.universe.rates)
    return outputs


def _refusal(state: State, event: CorporateActionEvent) -> str:
    if event.symbol not in state.universe.index:
        return f"{event.kind} of {event.symbol}: not a symbol of the station"
    if event.kind == "dividend":
        return (
            ""
            if event.amount_micro > 0
            else f"dividend of {event.symbol}: {event.amount_micro} micro-units, not above 0"
        )
    ratio = f"split of {event.symbol}: {event.numerator} for {event.denominator}"
    if not (0 < event.numerator <= MOST and 0 < event.denominator <= MOST):
        return f"{ratio}; each is 1 to {MOST}"
    held = abs(state.books["lots"][:, state.universe.index[event.symbol]].astype(object)).sum()
    return (
        "" if held * event.numerator <= MOST_LOTS * event.denominator else f"{ratio} makes more than {MOST_LOTS} lots"
    )


# --- splits -----------------------------------------------------------------------------------------------------------


def _split(state: State, i: int, event: CorporateActionEvent, now_ns: int) -> list[Output]:
    instrument = state.universe.instruments[i]
    numerator, denominator = event.numerator, event.denominator
    working = [order for order in state.orders.values() if order.symbol == event.symbol]
    said = f"{event.symbol} was split {numerator} for {denominator}"
    outputs = execution.cancel(state, working, now_ns, said)
    for parent in [parent for parent in state.parents.values() if parent.symbol == event.symbol]:
        outputs += algorithms.end(state, parent, "CANCELED", now_ns, said)
    for order in (*working, *state.closed_orders.values()):
        if order.symbol == event.symbol:  # a late bust of them is in old lots: reconciliation finds it
            order.booked.clear()
    _rescale_prices(state, i, numerator, denominator)
    before = int(state.universe.symbols[i]["lots"])
    cash, shares, realised = split_books(state.universe.symbols, state.books, i, state.account, numerator, denominator)
    split_units(i, state.universe.symbols, state.books, state.strategies, state.universe.rates, numerator, denominator)
    adjusted = _adjustment(
        state, i, event, now_ns, cash=cash, before=before, shares=shares, realised=realised
    )  # fmt: skip
    if cash:
        said += f": fractions of a lot were settled for {cash / MICRO:.6f} {instrument.currency}"
    return [adjusted, _alert(now_ns, "SPLIT", "info", event.symbol, said), *outputs]


def _rescale_prices(state: State, i: int, numerator: int, denominator: int) -> None:
    """Divide every price that is kept of symbol i by the ratio, multiply volumes; forget what was sized in lots."""
    row = state.universe.symbols[i]
    for name in ("mark", "previous_close"):
        row[name] *= denominator / numerator
    for name in ("volume", "volume_average"):
        row[name] *= numerator / denominator
    state.books["outcome_price"][:, i] *= denominator / numerator
    state.books["crossing"][:, i] = 0
    state.crossing = bool(state.books["crossing"].any())
    for aggregate in state.aggregates.values():
        bucket = aggregate.buckets[i]
        for name in ("open", "high", "low", "close"):
            bucket[name] *= denominator / numerator
        bucket["volume"] *= numerator / denominator
    for s, run in enumerate(state.runs):
        if rescale_policy(run, i, numerator, denominator):
            state.books[s, i]["target"] = 0.0
            state.books[s, i]["outcome_left"] = 0


def rescale_policy(run: PolicyRun, i: int, numerator: int, denominator: int) -> bool:
    """Let a policy's state of symbol i live on after a split; return whether it had to be forgotten instead.

    The fields that the policy names as prices are divided by the ratio, its volumes multiplied. One that names none
    (``prices`` None) starts anew, flat and in its warm-up: it must not take the gap for a move.
    """
    policy, row = run.policy, run.state[i]
    if policy.prices is None:
        run.state[i] = np.zeros((), dtype=run.state.dtype)
        run.targets[i] = run.scores[i] = 0.0
        run.features[i] = 0.0
        return True
    for name in policy.prices:
        row[name] *= denominator / numerator
    for name in policy.volumes:
        row[name] *= numerator / denominator
    return False


# --- dividends --------------------------------------------------------------------------------------------------------


def _dividend(state: State, i: int, event: CorporateActionEvent, now_ns: int) -> list[Output]:
    universe, amount = state.universe, event.amount_micro
    row = universe.symbols[i]
    lots = int(row["lots"])
    cash, shares = pay_dividend(universe.symbols, state.books, i, state.account, Fraction(amount))
    pay_units(i, universe.symbols, state.books, state.strategies, universe.rates, amount)
    account = state.account[0]
    account["dividends_micro"] += round(cash * float(universe.rates[int(row["currency"])]))
    for name in ("mark", "previous_close"):
        if row[name] > amount / MICRO:
            row[name] -= amount / MICRO
    if not lots and not any(shares):
        return []
    return [_adjustment(
        state, i, event, now_ns, cash=cash, before=lots, shares=shares, realised=[share / MICRO for share in shares]
    )]  # fmt: skip


# --- what is said -----------------------------------------------------------------------------------------------------


def _adjustment(
    state: State,
    i: int,
    event: CorporateActionEvent,
    now_ns: int,
    *,
    cash: int,
    before: int,
    shares: list[int],
    realised: list[float],
) -> Output:
    instrument, row = state.universe.instruments[i], state.universe.symbols[i]
    lots = int(row["lots"])
    return say("AdjustmentEvent", AdjustmentEvent(
        engine_ns=now_ns, symbol=instrument.symbol, kind=event.kind, currency=instrument.currency,
        price=float(row["mark"]), lots_before=before, lots=lots, quantity=lots * state.universe.lot_sizes[i],
        cash_micro=cash,
        lots_by_strategy={
            name: held for name, held in zip(state.names, state.books[:, i]["lots"].tolist(), strict=True) if held
        },
        cash_by_strategy_micro={name: share for name, share in zip(state.names, shares, strict=True) if share},
        realised={name: profit for name, profit in zip(state.names, realised, strict=True) if profit},
        numerator=event.numerator, denominator=event.denominator,
    ))  # fmt: skip


def _alert(now_ns: int, rule: str, severity: Any, symbol: str, message: str) -> Output:
    alert = RiskAlert(engine_ns=now_ns, rule=rule, severity=severity, scope=f"symbol:{symbol}", message=message)
    return say("RiskAlert", alert)
