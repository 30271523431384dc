"""Flatten: cancel what works in a scope, then sell and buy back what it holds until nothing is left.

The only thing that sends orders while the station is KILLED, HALTED or in MAINTENANCE. Its orders pass every check but
those of the state that it is there for; where the account is concerned they may only reduce. A kill that comes later
ends it, and so does being flat.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

import numpy as np

from engine import execution, gate
from engine.decisions import ALLOWED, CROSSED, NOTHING
from engine.layout import ACTIVE, REDUCING
from engine.output import Output
from engine.state import State

if TYPE_CHECKING:
    from engine.engine import Engine

FLATTEN: Literal["flatten"] = "flatten"


def step(engine: "Engine", words: list[str], now_ns: int) -> list[Output]:
    """Send what the scopes under a flatten still hold; a scope that holds and waits for nothing is taken off ``words``.

    Called between slices or after one: a symbol whose orders still work, or wait for their cancel, is left alone until
    they have ended; one without a bar in the slice too.
    """
    state = engine.state
    outputs: list[Output] = []
    for word in list(words):
        busy = _busy(state, word)
        for i, wanted in _holdings(state, word):
            row = state.universe.symbols[i]
            waits = busy[i] or not row["present"] or row["last_decided_ns"] >= now_ns
            if waits or state.books["crossing"][:, i].any():
                continue
            outputs += _leave(state, i, wanted, now_ns, word)
        if not any(busy) and not any(True for _ in _holdings(state, word)):
            words.remove(word)
            outputs.append(execution.alert(now_ns, "FLAT", _scope(word), f"{word} is flat", severity="info"))
    return outputs


def covers(word: str, symbol: str, strategies: dict[str, int]) -> bool:
    """Whether a scope holds an order of a symbol with lots of these strategies."""
    kind, _, name = word.partition(":")
    return kind == "all" or (name == symbol if kind == "symbol" else name in strategies)


def _leave(state: State, i: int, wanted: dict[str, int], now_ns: int, word: str) -> list[Output]:
    with _as_if_open(state, i, word):
        mask = gate.judge(state, i, wanted, now_ns)
    if mask == CROSSED:
        state.crossing = True
    if mask == ALLOWED:
        return execution.intend(state, i, now_ns, purpose=FLATTEN)
    outputs = execution.deny(state, i, now_ns, purpose=FLATTEN) if mask > 0 else []
    state.masks[i] = NOTHING
    state.universe.symbols[i]["last_decided_ns"] = now_ns  # asked once a slice
    return outputs


@contextmanager
def _as_if_open(state: State, i: int, word: str) -> Iterator[None]:
    """Let the checks judge as if nobody had killed or halted anything: all others run as they are.

    The station counts as REDUCING, so that exposure can only fall; only where one strategy leaves an open station is
    it ACTIVE, since its lots may have been what held another's in balance.
    """
    account, row, strategies = state.account[0], state.universe.symbols[i], state.strategies
    kept = int(account["state"]), int(account["killed"]), int(row["killed"]), int(row["halted"])
    alone = word.startswith("strategy:") and kept[0] == ACTIVE and not kept[1]
    killed = strategies["killed"].copy()
    account["state"], account["killed"] = ACTIVE if alone else REDUCING, 0
    row["killed"] = row["halted"] = 0
    strategies["killed"] = 0
    try:
        yield
    finally:
        account["state"], account["killed"], row["killed"], row["halted"] = kept
        strategies["killed"] = killed


def _holdings(state: State, word: str) -> Iterator[tuple[int, dict[str, int]]]:
    """Yield each symbol row in which a scope holds lots, with what it takes by strategy to hold none."""
    kind, _, name = word.partition(":")
    lots = state.books["lots"]
    for i in np.flatnonzero(np.any(lots != 0, axis=0)).tolist():
        if kind == "symbol" and state.universe.instruments[i].symbol != name:
            continue
        held = {
            each: -int(lots[s, i])
            for each, s in state.rows.items()
            if lots[s, i] and (kind != "strategy" or each == name)
        }
        if held:
            yield i, held


def _busy(state: State, word: str) -> list[bool]:
    """Return by symbol row whether an order of the scope still works there, or any waits for its cancel's answer."""
    busy = [False] * len(state.universe.instruments)
    for order in state.orders.values():
        if covers(word, order.symbol, order.lots_by_strategy) or order.state == "PENDING_CANCEL":
            busy[state.universe.index[order.symbol]] = True
    return busy


def _scope(word: str) -> str:
    return "account" if word == "all" else word
