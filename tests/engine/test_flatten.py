"""Flatten and maintenance: what leaves a station that is closed, and what a person finds afterwards."""

import pytest

from engine.engine import Engine
from tests.engine.desk import FREE, Desk, in_state, of_type

PRICES = {"AAA": 100.0, "BBB": 100.0}


@pytest.fixture
def held() -> Desk:
    """Two strategies hold both symbols; the market is deep."""
    desk = Desk("AAA", "BBB", costs=FREE)
    for symbol in PRICES:
        desk.want("momentum", symbol, 0.4)
        desk.want("bullish", symbol, -0.1)
    desk.slice(PRICES)
    desk.slice(PRICES)
    assert (desk.lots("AAA"), desk.lots("BBB")) == (375, 375)
    return desk


def flat(desk: Desk, slices: int = 2) -> list:
    said = []
    for _ in range(slices):
        said += desk.slice(PRICES)
    return said


@pytest.mark.parametrize("closed", ["kill", "halt", "maintenance", ""])
def test_everything_is_sold_whatever_keeps_the_station_closed_and_it_stays_closed(held, closed) -> None:
    if closed:
        held.control(closed)
    said = held.control("flatten") + flat(held)
    orders = in_state(said, "INTENT")
    assert {(order.symbol, order.side, order.lots, order.purpose, order.type) for order in orders} == {
        ("AAA", "SELL", 375, "flatten", "MARKET"), ("BBB", "SELL", 375, "flatten", "MARKET"),
    }  # fmt: skip
    assert all(
        order.checked is not None and order.lots_by_strategy == {"momentum": -500, "bullish": 125} for order in orders
    )
    assert (held.lots("AAA"), held.held("momentum"), held.held("bullish")) == (0, 0, 0)
    assert [alert.rule for alert in of_type(said, "RiskAlert")] == ["FLAT"]
    assert held.engine.control.flattening == []
    assert in_state(flat(held, 3), "INTENT") == []
    view = held.engine.view()
    assert (view["state"], view["killed"]) == {
        "kill": ("HALTED", ["all"]), "halt": ("HALTED", []), "maintenance": ("MAINTENANCE", []), "": ("HALTED", []),
    }[closed]  # fmt: skip
    held.check_books()


def test_what_works_is_cancelled_before_anything_is_sold() -> None:
    desk = Desk("AAA", answers=False, costs=FREE)
    desk.want("momentum")
    order = in_state(desk.slice({"AAA": 100.0}), "INTENT")[0]
    desk.broker(order.order_id, "ACCEPTED")
    desk.fill(order, 700)
    assert in_state(desk.control("flatten"), "PENDING_CANCEL")
    assert in_state(desk.slice({"AAA": 100.0}), "INTENT") == []  # no answer yet: what is left may still fill
    (sale,) = in_state(desk.broker(order.order_id, "CANCELED"), "INTENT")
    assert (sale.side, sale.lots) == ("SELL", 700)
    desk.check_books()


def test_a_kill_that_comes_later_stops_it_and_cancels_its_orders() -> None:
    desk = Desk("AAA", costs=FREE | {"volume_share": 0.0001})
    desk.want("momentum")
    for _ in range(3):
        desk.slice({"AAA": 100.0})
    assert in_state(desk.control("flatten"), "INTENT")
    outputs = desk.control("kill")
    assert [order.purpose for order in in_state(outputs, "CANCELED")] == ["flatten"]
    assert in_state(flat_of(desk), "INTENT") == []
    desk.check_books()


def flat_of(desk: Desk) -> list:
    return desk.slice({"AAA": 100.0}) + desk.slice({"AAA": 100.0})


def test_a_symbol_and_a_strategy_are_flattened_alone(held) -> None:
    said = held.control("flatten", "symbol", "AAA") + flat(held)
    assert {order.symbol for order in in_state(said, "INTENT")} == {"AAA"}
    assert (held.lots("AAA"), held.lots("BBB")) == (0, 375)
    assert held.engine.view()["symbols"]["AAA"]["halted"]
    held.control("flatten", "strategy", "momentum")
    flat(held)
    assert (held.held("momentum", "BBB"), held.held("bullish", "BBB")) == (0, -125)
    assert held.engine.view()["strategies"]["momentum"]["state"] == "off"
    assert held.state == "ACTIVE"
    held.check_books()


def test_flattening_orders_pass_every_other_check(held) -> None:
    held.control("kill")
    held.control("unreconciled")
    said = held.control("flatten") + held.slice(PRICES)
    assert {order.reason for order in in_state(said, "RISK_DENIED")} == {"UNRECONCILED"}
    assert in_state(said, "INTENT") == []
    held.control("reconciled")
    assert len(in_state(held.slice(PRICES), "INTENT")) == 2


def test_it_goes_on_after_a_restart_in_lots_that_one_order_may_have(held) -> None:
    desk = Desk("AAA", costs=FREE, limits={"max_order_lots": 100, "no_trade_band": 0.0})
    for wanted in (0.03, 0.06, 0.09, 0.12):
        desk.want("momentum", target=wanted)
        desk.slice({"AAA": 100.0})
        desk.slice({"AAA": 100.0})
    lots = desk.lots()
    assert lots > 100
    sizes = [order.lots for order in in_state(desk.control("flatten"), "INTENT")]
    for _ in range(6):
        desk.engine = Engine.restore(desk.engine.snapshot())
        desk.silence()
        sizes += [order.lots for order in in_state(desk.slice({"AAA": 100.0}), "INTENT")]
    assert max(sizes) == 100
    assert (sum(sizes), desk.lots()) == (lots, 0)


def test_a_release_ends_it(held) -> None:
    held.control("kill")
    held.control("flatten")
    held.control("release")
    assert held.engine.control.flattening == []


def test_an_unknown_target_is_refused(held) -> None:
    ack = of_type(held.control("flatten", "symbol", "NONE"), "ControlAck")[0]
    assert (ack.accepted, ack.reason) == (False, "target 'NONE' is not a symbol of the station")


# --- maintenance ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("before", ["ACTIVE", "REDUCING", "HALTED"])
def test_maintenance_resumes_only_the_state_that_it_interrupted(held, before) -> None:
    if before != "ACTIVE":
        held.control("reduce" if before == "REDUCING" else "halt")
    held.control("maintenance")
    held.control("maintenance", request_id="again")
    assert held.state == "MAINTENANCE"
    held.want("momentum", "AAA", -1.0)
    assert of_type(held.slice(PRICES), "OrderEvent") == []
    held.engine = Engine.restore(held.engine.snapshot())
    held.silence()
    held.control("resume_maintenance")
    assert held.state == before
    ack = of_type(held.control("resume_maintenance", request_id="twice"), "ControlAck")[0]
    assert (ack.accepted, ack.reason) == (False, f"the station is {before}, not in MAINTENANCE")


def test_orders_that_work_stay_in_maintenance_and_cancels_pass() -> None:
    desk = Desk("AAA", costs=FREE | {"volume_share": 0.0001})
    desk.want("momentum")
    desk.slice({"AAA": 100.0})
    desk.control("maintenance")
    desk.slice({"AAA": 100.0})
    assert desk.lots() == 100
    assert in_state(desk.control("kill"), "CANCELED")


def test_a_breaker_in_maintenance_acts_at_the_resumption() -> None:
    desk = Desk("AAA", costs=FREE, limits={"drawdown_halted": 0.1, "drawdown_reducing": 0.05, "drawdown_warning": 0.01})
    desk.want("momentum")
    desk.slice({"AAA": 100.0})
    desk.slice({"AAA": 100.0})
    desk.control("maintenance")
    desk.slice({"AAA": 50.0})
    assert desk.state == "MAINTENANCE"
    desk.control("resume_maintenance")
    assert desk.state == "HALTED"


def test_maintenance_is_of_the_whole_station(held) -> None:
    ack = of_type(held.control("maintenance", "symbol", "AAA"), "ControlAck")[0]
    assert ack.reason == "scope symbol cannot be in maintenance; allowed are all and account"


def test_a_station_that_was_flattened_in_maintenance_resumes_halted_and_buys_nothing_back(held) -> None:
    held.control("maintenance")
    held.control("flatten")
    flat(held)
    assert held.lots("AAA") == 0
    held.control("resume_maintenance")
    assert held.state == "HALTED"
    assert in_state(flat(held, 3), "INTENT") == []
    assert (held.lots("AAA"), held.lots("BBB")) == (0, 0)


def test_a_strategy_that_is_enabled_again_is_flattened_no_longer() -> None:
    desk = Desk("AAA", "BBB", costs=FREE | {"volume_share": 0.0001})
    desk.want("momentum", "AAA", 0.4)
    for _ in range(3):
        desk.slice(PRICES)
    desk.control("flatten", "strategy", "momentum")
    assert desk.engine.control.flattening == ["strategy:momentum"]
    desk.control("enable", "strategy", "momentum")
    assert desk.engine.control.flattening == []
    assert [order for order in in_state(flat(desk, 3), "INTENT") if order.purpose == "flatten"] == []
    assert desk.lots("AAA") > 0
