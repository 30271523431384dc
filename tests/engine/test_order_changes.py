"""Changes of working orders: reserved at the worse of before and after until the broker has answered."""

import pytest

from engine.engine import Engine
from events.types import BrokerEvent, Change, FillEvent
from tests.engine.desk import FREE, Desk, in_state


@pytest.fixture
def desk() -> Desk:
    return Desk(
        "AAA", answers=False, costs=FREE, orders={"type": "LIMIT", "limit_bps": -100.0},
        limits={"max_order_value": 1e9},
    )  # fmt: skip


def works(desk: Desk):
    desk.want("momentum", target=0.4)
    desk.want("bullish", target=0.4)
    order = in_state(desk.slice({"AAA": 100.0}), "INTENT")[0]
    desk.broker(order.order_id, "ACCEPTED")
    assert (order.lots, order.limit_ticks) == (2000, 9900)
    return order


def reserved(desk: Desk) -> int:
    return int(desk.row()["working_buy"])


def answer(desk: Desk, order, kind: str):
    return desk.engine.on_order_event(BrokerEvent(broker="paper", order_id=order.order_id, kind=kind, broker_ns=0))


@pytest.mark.parametrize(("kind", "after"), [("UPDATED", 3000), ("UPDATE_REJECTED", 2000)])
def test_more_lots_are_reserved_at_once_and_stay_only_if_the_broker_takes_them(desk, kind, after) -> None:
    order = works(desk)
    desk.slice({"AAA": 100.0})
    refused, outputs = desk.engine.on_change(order.order_id, Change(lots=3000, limit_ticks=9950, stop_ticks=None))
    assert refused == ""
    assert in_state(outputs, "PENDING_UPDATE")[0].change == Change(lots=3000, limit_ticks=9950, stop_ticks=None)
    assert reserved(desk) == 3000
    desk.engine = Engine.restore(desk.engine.snapshot())
    desk.silence()
    (said,) = in_state(answer(desk, order, kind), "ACCEPTED")
    assert (said.lots, said.limit_ticks) == (after, 9950 if kind == "UPDATED" else 9900)
    assert reserved(desk) == after
    assert answer(desk, order, kind) == []
    desk.check_books()


@pytest.mark.parametrize(("kind", "after"), [("UPDATED", 500), ("UPDATE_REJECTED", 2000)])
def test_fewer_lots_stay_reserved_until_the_broker_takes_them(desk, kind, after) -> None:
    order = works(desk)
    assert desk.engine.on_change(order.order_id, Change(lots=500, limit_ticks=9900, stop_ticks=None))[0] == ""
    assert reserved(desk) == 2000
    answer(desk, order, kind)
    assert reserved(desk) == after
    desk.check_books()
    desk.fill(order, after)
    assert desk.engine.open_orders() == []
    assert desk.lots() == after
    desk.check_books()


def test_a_fill_that_meets_a_change_is_kept_and_the_order_ends_with_it(desk) -> None:
    order = works(desk)
    desk.engine.on_change(order.order_id, Change(lots=500, limit_ticks=9900, stop_ticks=None))
    desk.fill(order, 800)
    assert in_state(answer(desk, order, "UPDATED"), "FILLED")[0].lots == 800
    assert reserved(desk) == 0
    desk.check_books()


def test_a_fill_of_the_whole_order_waits_for_the_answer_to_its_increase(desk) -> None:
    order = works(desk)
    desk.slice({"AAA": 100.0})
    desk.engine.on_change(order.order_id, Change(lots=2600, limit_ticks=9900, stop_ticks=None))
    assert in_state(desk.fill(order, 2000), "PARTIALLY_FILLED")
    assert reserved(desk) == 600
    assert in_state(answer(desk, order, "UPDATE_REJECTED"), "FILLED")
    assert reserved(desk) == 0
    desk.check_books()


@pytest.mark.parametrize(("kind", "left"), [("UPDATED", 350), ("UPDATE_REJECTED", 0)])
def test_what_executes_beyond_the_order_comes_out_of_the_lots_that_are_asked_for(desk, kind, left) -> None:
    order = works(desk)
    desk.slice({"AAA": 100.0})
    desk.engine.on_change(order.order_id, Change(lots=2600, limit_ticks=9900, stop_ticks=None))
    desk.fill(order, 1500)
    desk.fill(order, 750, execution="x2")
    assert reserved(desk) == 350
    desk.engine = Engine.restore(desk.engine.snapshot())
    desk.silence()
    answer(desk, order, kind)
    assert reserved(desk) == left
    desk.check_books()


@pytest.mark.parametrize(("kind", "left"), [("UPDATED", 1850), ("UPDATE_REJECTED", 1250)])
def test_a_bust_of_what_executed_beyond_the_order_leaves_what_the_broker_still_works_on(desk, kind, left) -> None:
    order = works(desk)
    desk.slice({"AAA": 100.0})
    desk.engine.on_change(order.order_id, Change(lots=2600, limit_ticks=9900, stop_ticks=None))
    desk.fill(order, 750)
    desk.fill(order, 1500, execution="x2")
    desk.engine.on_fill(FillEvent(
        broker="paper", execution_id="bust", order_id=order.order_id, broker_ns=desk.engine.now_ns, symbol="AAA",
        side="BUY", lots=1500, price_micro=100_000_000, fee_micro=0, reference_price=100.0, kind="BUST",
        amends="x2",
    ))  # fmt: skip
    assert reserved(desk) == 1850
    answer(desk, order, kind)
    assert reserved(desk) == left
    desk.check_books()


def test_a_change_that_nobody_confirmed_ends_in_a_cancel(desk) -> None:
    order = works(desk)
    desk.slice({"AAA": 100.0})
    desk.engine.on_change(order.order_id, Change(lots=3000, limit_ticks=9900, stop_ticks=None))
    answer(desk, order, "UNKNOWN")
    assert in_state(answer(desk, order, "ACCEPTED"), "PENDING_CANCEL")
    assert reserved(desk) == 3000
    answer(desk, order, "CANCELED")
    assert reserved(desk) == 0
    desk.check_books()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (Change(lots=100, limit_ticks=9900, stop_ticks=None), "lots = 100 must be above the 200 that were filled"),
        (Change(lots=2000, limit_ticks=None, stop_ticks=None), "limit_ticks = None of a LIMIT order"),
        (Change(lots=2000, limit_ticks=1, stop_ticks=None), "limit_ticks = 1 for 2000 lots is denied: PRICE_COLLAR"),
        (Change(lots=2000, limit_ticks=9900, stop_ticks=None), "is what it shall become"),
        (Change(lots=10**8, limit_ticks=9900, stop_ticks=None), "for 100000000 lots is denied: MAX_ORDER_VALUE"),
        (Change(lots=20_000, limit_ticks=9900, stop_ticks=None), "18000 more lots of order S000000001 are denied: "),
    ],
)
def test_a_change_that_cannot_be_is_refused_with_a_sentence_and_changes_nothing(desk, change, says) -> None:
    order = works(desk)
    desk.fill(order, 200)
    desk.slice({"AAA": 100.0})
    before = reserved(desk)
    refused, outputs = desk.engine.on_change(order.order_id, change)
    assert says in refused
    assert outputs == []
    assert reserved(desk) == before
    desk.check_books()
    assert desk.engine.on_change("S9", change)[0] == "order S9 does not work"


def test_a_change_takes_the_tokens_of_a_message(desk) -> None:
    order = works(desk)  # took one of the two that a symbol gives
    assert desk.engine.on_change(order.order_id, Change(lots=2000, limit_ticks=9890, stop_ticks=None))[0] == ""
    answer(desk, order, "UPDATED")
    refused, outputs = desk.engine.on_change(order.order_id, Change(lots=1500, limit_ticks=9890, stop_ticks=None))
    assert (refused, outputs) == (f"the change of order {order.order_id} is denied: ORDER_RATE", [])
    working = desk.engine.state.orders[order.order_id]
    assert (working.state, working.lots, working.change) == ("ACCEPTED", 2000, None)
    desk.slice({"AAA": 100.0})
    assert desk.engine.on_change(order.order_id, Change(lots=1500, limit_ticks=9890, stop_ticks=None))[0] == ""
    desk.check_books()
