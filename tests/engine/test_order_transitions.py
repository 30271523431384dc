"""The table of order states, pair by pair."""

import itertools

import pytest

from engine.orders import TRANSITIONS, WORKING, ImpossibleTransitionError, Order

STATES = (
    "INITIALIZED", "RISK_DENIED", "INTENT", "SUBMITTED", "ACCEPTED", "PARTIALLY_FILLED", "FILLED", "PENDING_CANCEL",
    "CANCELED", "REJECTED", "EXPIRED", "UNKNOWN", "PENDING_UPDATE", "EXTERNAL",
)  # fmt: skip
ALIVE = {
    "INTENT", "SUBMITTED", "ACCEPTED", "PARTIALLY_FILLED", "PENDING_UPDATE", "PENDING_CANCEL", "UNKNOWN", "EXTERNAL",
}  # fmt: skip
FOLLOWERS = {
    "INITIALIZED": {"RISK_DENIED", "INTENT", "EXTERNAL"},
    "RISK_DENIED": set(),
    "INTENT": {
        "SUBMITTED", "ACCEPTED", "PARTIALLY_FILLED", "FILLED", "PENDING_CANCEL", "CANCELED", "REJECTED", "EXPIRED",
        "UNKNOWN",
    },
    "SUBMITTED": {
        "ACCEPTED", "PARTIALLY_FILLED", "FILLED", "PENDING_CANCEL", "CANCELED", "REJECTED", "EXPIRED", "UNKNOWN",
    },
    "ACCEPTED": {
        "PARTIALLY_FILLED", "FILLED", "PENDING_UPDATE", "PENDING_CANCEL", "CANCELED", "REJECTED", "EXPIRED", "UNKNOWN",
    },
    "PARTIALLY_FILLED": {
        "ACCEPTED", "PARTIALLY_FILLED", "FILLED", "PENDING_UPDATE", "PENDING_CANCEL", "CANCELED", "EXPIRED", "UNKNOWN",
    },
    "PENDING_UPDATE": {
        "ACCEPTED", "PARTIALLY_FILLED", "FILLED", "PENDING_CANCEL", "CANCELED", "REJECTED", "EXPIRED", "UNKNOWN",
    },
    "EXTERNAL": {
        "ACCEPTED", "PARTIALLY_FILLED", "FILLED", "PENDING_CANCEL", "CANCELED", "REJECTED", "EXPIRED", "UNKNOWN",
    },
    "PENDING_CANCEL": {
        "PENDING_CANCEL", "ACCEPTED", "PARTIALLY_FILLED", "FILLED", "CANCELED", "REJECTED", "EXPIRED", "UNKNOWN",
    },
    "UNKNOWN": {"ACCEPTED", "PARTIALLY_FILLED", "FILLED", "PENDING_CANCEL", "CANCELED", "REJECTED", "EXPIRED"},
    "FILLED": {"CANCELED"},
    "CANCELED": {"FILLED"},
    "REJECTED": {"FILLED"},
    "EXPIRED": {"FILLED"},
}  # fmt: skip


def order(state: str) -> Order:
    made = Order(
        order_id="S1",
        engine_ns=0,
        symbol="AAA",
        side="BUY",
        lots=5,
        lots_by_strategy={"momentum": 5},
        expected_price=1.0,
    )
    made.state = state
    return made


def test_the_table_knows_every_state_and_no_other() -> None:
    assert set(TRANSITIONS) == set(STATES)
    assert set().union(*TRANSITIONS.values()) <= set(STATES)
    assert set(WORKING) == ALIVE


@pytest.mark.parametrize(("before", "after"), list(itertools.product(STATES, STATES)))
def test_every_pair(before, after) -> None:
    moved = order(before)
    if after in FOLLOWERS[before]:
        moved.move(after)
        assert moved.state == after
        return
    with pytest.raises(ImpossibleTransitionError, match=f"order S1 cannot go from {before} to {after}"):
        moved.move(after)
    assert moved.state == before


def test_no_order_leaves_risk_denied_and_none_comes_back_to_life() -> None:
    for state in set(STATES) - ALIVE - {"INITIALIZED"}:
        assert not TRANSITIONS[state] & ALIVE
