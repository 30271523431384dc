"""Whatever targets and prices come: no decision can take the account beyond its limits, however its orders fill."""

from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from events.types import MarketSlice, TimerEvent
from tests.engine.desk import FREE, MINUTE_NS, Desk, bar, configure, in_state, of_type

SYMBOLS = ("AAA", "BBB", "CCC")
LIMITS = {"max_position": 0.3, "max_strategy": 0.2, "max_gross": 0.6, "max_net": 0.4, "max_order_value": 150_000.0}
STRATEGIES = 4

step = st.tuples(
    st.lists(st.sampled_from([-1.0, -0.6, 0.0, 0.3, 0.7, 1.0]), min_size=12, max_size=12),
    st.tuples(*[st.floats(0.9, 1.1)] * 3),
    st.sampled_from([0.0, 300.0, 3000.0, 1e7]),
    st.lists(st.booleans(), min_size=3, max_size=3),
)


class Commitments:
    """The most lots that account and strategies could hold if any of the open orders filled, and no other."""

    def __init__(self, desk: Desk) -> None:
        state = desk.engine.state
        symbols, books = state.universe.symbols, state.books
        self.lots = np.maximum(
            np.abs(symbols["lots"]),
            np.maximum(symbols["lots"] + symbols["working_buy"], symbols["working_sell"] - symbols["lots"]),
        )
        lots, bought, sold = books["lots"], np.maximum(books["crossing"], 0), np.maximum(-books["crossing"], 0)
        for order in state.orders.values():
            i = state.universe.index[order.symbol]
            for part in (order.residual, order.crossed if order.filled_lots == 0 else {}):
                for name, wanted in part.items():
                    (bought if wanted > 0 else sold)[state.rows[name], i] += abs(wanted)
        self.held = np.maximum(np.abs(lots), np.maximum(np.abs(lots + bought), np.abs(lots - sold)))


def check_decision(desk: Desk, before: Commitments, after: Commitments) -> None:
    """No commitment grew beyond its limit in the decision."""
    state = desk.engine.state
    marks, equity = state.universe.symbols["mark"], float(state.account[0]["equity"])
    slack = 1e-6 * abs(equity)

    def within(name: str, now: Any, then: Any) -> None:
        limit = max(0.0, LIMITS[name] * equity)
        assert (np.asarray(now) <= np.maximum(limit, then) + slack).all(), (name, now, then, limit)

    within("max_position", after.lots * marks, before.lots * marks)
    within("max_gross", (after.lots * marks).sum(), (before.lots * marks).sum())
    within("max_strategy", (after.held * marks).sum(axis=1), (before.held * marks).sum(axis=1))


def decide(desk: Desk, market: MarketSlice) -> None:
    """Feed one slice as the worker does, and compare what is committed before and after the decision."""
    engine = desk.engine
    desk.now_ns = market.close_ns
    while (instant := engine.due(market.close_ns)) is not None:
        engine.on_timer(TimerEvent(instant_ns=instant))
    for fill in engine.simulated_fills(market, "paper"):
        engine.on_fill(fill)
    before = Commitments(desk)
    outputs = engine.on_slice(market)
    check_decision(desk, before, Commitments(desk))
    desk.answer(outputs)
    desk.check_books()


@settings(max_examples=60)
@given(st.lists(step, min_size=3, max_size=15))
def test_no_decision_goes_beyond_a_limit_however_its_orders_fill(steps) -> None:
    desk = Desk(*SYMBOLS, costs=FREE | {"symbol_budget": 1.0, "volume_share": 0.1}, limits=LIMITS)
    prices = np.array([100.0, 50.0, 200.0])
    for targets, moves, volume, present in steps:
        for k, target in enumerate(targets):
            desk.want(desk.engine.state.names[k // 3], SYMBOLS[k % 3], target)
        prices = prices * np.array(moves)
        close_ns = desk.now_ns + MINUTE_NS
        bars = [
            bar(symbol, close_ns, float(price), volume)
            for symbol, price, here in zip(SYMBOLS, prices, present, strict=True)
            if here
        ]
        decide(desk, MarketSlice(feed="test", position="0-0", close_ns=close_ns, bars=bars))


@settings(max_examples=60)
@given(st.lists(st.lists(st.sampled_from([-1.0, -0.5, 0.5, 1.0]), min_size=12, max_size=12), min_size=1, max_size=6))
def test_at_prices_that_stand_still_every_limit_holds_after_all_fills(rounds) -> None:
    desk = Desk(*SYMBOLS, costs=FREE | {"symbol_budget": 1.0, "volume_share": 1.0}, limits=LIMITS)
    prices = {"AAA": 100.0, "BBB": 50.0, "CCC": 200.0}
    for targets in rounds:
        for k, target in enumerate(targets):
            desk.want(desk.engine.state.names[k // 3], SYMBOLS[k % 3], target)
        for _ in range(3):
            desk.slice(prices, volume=1e7)
        view = desk.engine.view()
        equity = 1e6  # what it was at the most: fills cost half a tick
        assert view["account"]["gross"] <= LIMITS["max_gross"] * equity
        assert abs(view["account"]["net"]) <= LIMITS["max_net"] * equity
        assert all(abs(each["value"]) <= LIMITS["max_position"] * equity for each in view["positions"].values())
        assert all(each["gross"] <= LIMITS["max_strategy"] * equity for each in view["strategies"].values())


def test_a_strategy_cannot_pass_its_limit_with_several_symbols_at_one_instant() -> None:
    desk = Desk(*SYMBOLS, costs=FREE | {"symbol_budget": 1.0}, limits={"max_strategy": 0.3})
    for symbol in SYMBOLS:
        desk.want("momentum", symbol)
    desk.slice({"AAA": 100.0, "BBB": 50.0, "CCC": 200.0})
    desk.slice({"AAA": 100.0, "BBB": 50.0, "CCC": 200.0})
    gross = desk.engine.view()["strategies"]["momentum"]["gross"]
    assert 0.29 * 1e6 < gross <= 0.3 * 1e6
    assert desk.held("momentum", "AAA") == 2500
    assert 0 < desk.held("momentum", "BBB") <= 1000


def test_equity_below_zero_turns_no_target_round() -> None:
    desk = Desk("AAA", costs=FREE | {"symbol_budget": 1.0}, limits={"drawdown_halted": 1.0, "drawdown_reducing": 1.0,
                "drawdown_warning": 1.0, "daily_loss": 1.0, "max_order_value": 1e9})  # fmt: skip
    for strategy in desk.engine.state.names:
        desk.want(strategy, target=-1.0)
    desk.slice({"AAA": 100.0})
    desk.slice({"AAA": 100.0})
    assert desk.lots() == -10_000
    desk.slice({"AAA": 250.0})
    assert desk.account["equity"] < 0.0
    desk.slice({"AAA": 250.0})
    assert desk.lots() <= 0


def test_what_is_decided_at_one_instant_counts_against_the_gross_limit_of_the_rest() -> None:
    desk = Desk(*SYMBOLS, costs=FREE | {"symbol_budget": 1.0}, limits={"max_gross": 0.6, "max_strategy": 1.0})
    for strategy in desk.engine.state.names:
        for symbol in SYMBOLS:
            desk.want(strategy, symbol, 0.25)
    outputs = desk.slice({"AAA": 100.0, "BBB": 50.0, "CCC": 200.0})
    assert {order.symbol for order in in_state(outputs, "INTENT")} == {"AAA", "BBB"}
    assert [(order.symbol, order.reason) for order in in_state(outputs, "RISK_DENIED")] == [("CCC", "MAX_GROSS")]


def test_a_strategy_can_use_its_whole_limit_at_one_instant() -> None:
    desk = Desk(*SYMBOLS, costs=FREE | {"symbol_budget": 1.0}, limits={"max_strategy": 0.2})
    desk.want("momentum", "AAA", 0.4)
    desk.slice({"AAA": 100.0, "BBB": 50.0})
    desk.slice({"AAA": 100.0, "BBB": 50.0})
    desk.want("momentum", "AAA", 0.55)
    desk.want("momentum", "BBB", 0.24)
    desk.slice({"AAA": 100.0, "BBB": 50.0})
    desk.slice({"AAA": 100.0, "BBB": 50.0})
    assert desk.held("momentum", "AAA") * 100 == pytest.approx(137_500, abs=200)
    assert desk.held("momentum", "BBB") * 50 == pytest.approx(60_000, abs=200)


@pytest.mark.parametrize("orders", [{}, {"type": "LIMIT"}])
@pytest.mark.parametrize("side", [1, -1])
def test_what_is_worth_more_than_an_order_may_be_leaves_lot_by_lot_and_nothing_is_added(orders, side) -> None:
    desk = Desk("AAA", costs=FREE, limits={"no_trade_band": 0.0}, orders=orders)
    desk.want("momentum", target=0.02 * side)
    desk.slice({"AAA": 100.0})
    desk.slice({"AAA": 100.0})
    held = desk.lots()
    assert held * side > 3
    limits = msgspec.structs.replace(desk.configuration.settings.limits, max_order_value=5.0)
    tight = msgspec.structs.replace(desk.configuration.settings, limits=limits)
    changed = msgspec.structs.replace(desk.configuration, version=2, settings=tight)
    assert of_type(desk.engine.on_control(configure(changed)), "ControlAck")[0].accepted
    desk.silence()
    desk.want("momentum", target=0.04 * side)
    outputs = desk.slice({"AAA": 100.0})
    assert {order.reason for order in in_state(outputs, "RISK_DENIED")} == {"MAX_ORDER_VALUE"}
    assert in_state(outputs, "INTENT") == []
    desk.want("momentum", target=0.0)
    sizes = []
    for _ in range(3):
        sizes += [order.lots for order in in_state(desk.slice({"AAA": 100.0}), "INTENT")]
    desk.slice({})
    assert sizes == [1, 1, 1]
    desk.slice({"AAA": 100.0})
    assert (held - desk.lots()) * side >= 3
    desk.check_books()
