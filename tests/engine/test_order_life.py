"""An order's life, whatever a broker says and in whatever order."""

from typing import Any

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from engine.orders import WORKING
from tests.engine.desk import DAY_NS, Desk, in_state, of_type

STRATEGIES = ("bullish", "bearish", "mean_reversion", "momentum")
FREE = {"costs": {"fee_bps": 0.0, "half_spread_bps": 0.0, "impact_eta": 0.0, "volume_share": 1.0}}


def one_order(desk: Desk, strategy: str = "momentum") -> Any:
    desk.answers = False
    desk.want(strategy)
    return in_state(desk.slice({"AAA": 100.0}), "INTENT")[0]


def test_a_fill_before_the_acknowledgement_is_booked_and_the_late_acknowledgement_changes_nothing(desk) -> None:
    order = one_order(desk)
    filled = desk.fill(order, 40)
    assert in_state(filled, "PARTIALLY_FILLED")[0].filled_lots == 40
    assert desk.broker(order.order_id, "ACCEPTED") == []
    assert desk.engine.open_orders()[0].state == "PARTIALLY_FILLED"


def test_a_duplicate_fill_changes_nothing(desk) -> None:
    order = one_order(desk)
    desk.fill(order, 40, execution="a")
    before = desk.engine.snapshot()
    assert desk.fill(order, 40, execution="a") == []
    assert desk.engine.snapshot() == before


def test_fills_out_of_order_land_correctly(desk) -> None:
    order = one_order(desk)
    desk.fill(order, order.lots - 10, price=101.0, execution="second")
    done = desk.fill(order, 10, price=99.0, execution="first")
    assert in_state(done, "FILLED")
    assert desk.lots() == order.lots == desk.held("momentum")
    desk.check_books()


def test_a_fill_that_the_cancel_did_not_catch_is_booked_and_reserves_nothing(desk) -> None:
    order = one_order(desk)
    desk.control("kill")
    assert desk.engine.open_orders()[0].state == "PENDING_CANCEL"
    desk.broker(order.order_id, "CANCELED")
    late = desk.fill(order, 30)
    assert desk.lots() == desk.held("momentum") == 30
    assert in_state(late, "CANCELED")[0].filled_lots == 30
    desk.check_books()
    rest = desk.fill(order, order.lots - 30, execution="x2")
    assert in_state(rest, "FILLED")
    assert desk.lots() == order.lots
    desk.check_books()


def test_lots_beyond_the_order_are_booked_and_halt_the_symbol(desk) -> None:
    order = one_order(desk)
    outputs = desk.fill(order, order.lots + 7)
    assert [alert.rule for alert in of_type(outputs, "RiskAlert")] == ["UNEXPECTED_FILL"]
    assert in_state(outputs, "FILLED")
    assert desk.lots() == order.lots + 7
    assert desk.row()["halted"] == 1
    desk.check_books()
    more = desk.fill(order, 3, execution="x2")
    assert [alert.rule for alert in of_type(more, "RiskAlert")] == ["UNEXPECTED_FILL"]
    assert desk.lots() == order.lots + 10
    desk.check_books()


def test_a_fill_of_no_order_or_of_another_side_is_not_booked_and_halts_its_symbol(desk) -> None:
    order = one_order(desk)
    stranger = msgspec.structs.replace(order, order_id="S000000999")
    turned = msgspec.structs.replace(order, side="SELL")
    for wrong in (stranger, turned):
        desk.control("release", "symbol", "AAA", request_id=wrong.order_id + wrong.side)
        outputs = desk.fill(wrong, 5)
        assert [alert.rule for alert in of_type(outputs, "RiskAlert")] == ["UNEXPECTED_FILL"]
        assert desk.lots() == 0
        assert desk.row()["halted"] == 1
    desk.check_books()


def test_an_impossible_answer_halts_the_symbol_and_leaves_the_order(desk) -> None:
    order = one_order(desk)
    desk.fill(order, 10)
    outputs = desk.broker(order.order_id, "REJECTED")
    assert of_type(outputs, "RiskAlert")[0].rule == "IMPOSSIBLE_TRANSITION"
    assert desk.engine.open_orders()[0].state == "PARTIALLY_FILLED"
    assert desk.row()["halted"] == 1


def test_an_answer_on_an_order_that_nobody_knows_is_an_alert(desk) -> None:
    assert of_type(desk.broker("S000000777", "CANCELED"), "RiskAlert")[0].rule == "UNKNOWN_ORDER"


def test_an_order_without_an_answer_stays_reserved_until_there_is_evidence(desk) -> None:
    order = one_order(desk)
    desk.broker(order.order_id, "UNKNOWN")
    desk.slice({"AAA": 100.0}, step_ns=DAY_NS)
    assert desk.engine.open_orders()[0].state == "UNKNOWN"
    assert desk.row()["working_buy"] == order.lots
    desk.fill(order, 10)
    desk.broker(order.order_id, "UNKNOWN")
    assert in_state(desk.broker(order.order_id, "ACCEPTED"), "PARTIALLY_FILLED")
    desk.broker(order.order_id, "CANCELED")
    desk.check_books()
    assert desk.row()["working_buy"] == 0


def test_a_release_gives_a_halted_symbol_back(desk) -> None:
    desk.control("halt", "symbol", "AAA")
    desk.want("momentum")
    assert in_state(desk.slice({"AAA": 100.0}), "RISK_DENIED")[0].reason == "HALTED_SYMBOL"
    desk.control("release", "symbol", "AAA")
    assert in_state(desk.slice({"AAA": 100.0}), "INTENT")


class OrderLife(RuleBasedStateMachine):
    """Targets turn, brokers answer in any order, fills come late, twice, too many: the books hold after every step."""

    orders = Bundle("orders")
    executions = Bundle("executions")

    def __init__(self) -> None:
        super().__init__()
        self.desk = Desk("AAA", answers=False, **FREE)
        self.position = 0
        self.count = 0

    @rule(target=orders, wanted=st.tuples(*[st.sampled_from([-1.0, -0.5, 0.0, 0.5, 1.0])] * 4))
    def decide(self, wanted):
        for strategy, target in zip(STRATEGIES, wanted, strict=True):
            self.desk.want(strategy, target=target)
        intents = in_state(self.desk.slice({"AAA": 100.0}), "INTENT")
        return intents[0] if intents else None

    @rule()
    def next_day(self):
        self.desk.slice({"AAA": 100.0}, step_ns=DAY_NS)

    @rule(order=orders, kind=st.sampled_from(["ACCEPTED", "REJECTED", "CANCELED", "EXPIRED", "UNKNOWN"]))
    def answer(self, order, kind):
        if order is not None:
            self.desk.broker(order.order_id, kind)

    @rule(target=executions, order=orders, share=st.sampled_from([0.1, 0.3, 0.5, 1.0, 1.3]), price=st.integers(95, 105))
    def fill(self, order, share, price):
        if order is None:
            return None
        self.count += 1
        lots, execution = max(1, int(order.lots * share)), f"x{self.count}"
        outputs = self.desk.fill(order, lots, float(price), execution)
        trade = of_type(outputs, "TradeEvent")[0]
        side = 1 if order.side == "BUY" else -1
        assert sum(trade.lots_by_strategy.values()) == side * lots
        self.position += side * lots
        return (order, lots, float(price), execution)

    @rule(known=executions)
    def repeat(self, known):
        if known is not None:
            before = self.desk.engine.snapshot()
            assert self.desk.fill(*known) == []
            assert self.desk.engine.snapshot() == before

    @rule(order=consumes(orders))
    def finish(self, order):
        """A broker's last word: what is left is cancelled."""
        if order is not None:
            self.desk.broker(order.order_id, "CANCELED")
            assert order.order_id not in {each.order_id for each in self.desk.engine.open_orders()}

    @rule(action=st.sampled_from(["kill", "release", "halt"]))
    def steer(self, action):
        self.desk.control(action)

    @invariant()
    def positions_are_the_sum_of_fills(self):
        assert self.desk.lots() == self.position

    @invariant()
    def books_hold(self):
        self.desk.check_books()
        if not self.desk.engine.open_orders():
            assert self.desk.row()["working_buy"] == self.desk.row()["working_sell"] == 0
            assert not self.desk.engine.state.books["working"].any()
        assert all(order.state in WORKING for order in self.desk.engine.open_orders())

    @invariant()
    def money_is_cash_and_positions(self):
        self.desk.slice()
        view = self.desk.engine.view()
        value = sum(position["value"] for position in view["positions"].values())
        assert abs(view["account"]["equity"] - view["account"]["cash"] - value) < 1e-6
        profits = sum(strategy["pnl"] for strategy in view["strategies"].values())
        assert abs(profits - (view["account"]["equity"] - view["account"]["initial_cash"])) < 1e-6


OrderLife.TestCase.settings = settings(max_examples=40, stateful_step_count=30)
TestOrderLife = OrderLife.TestCase
