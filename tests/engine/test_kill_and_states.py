"""Kill, pause, repeated denials: what they stop, what they leave, what ends them."""

import msgspec
import pytest

from engine.engine import Engine
from tests.engine.desk import FREE, Desk, in_state, of_type


@pytest.fixture
def two() -> Desk:
    desk = Desk("AAA", "BBB", costs=FREE | {"volume_share": 0.0001})
    for strategy in ("momentum", "bullish"):
        for symbol in ("AAA", "BBB"):
            desk.want(strategy, symbol)
    return desk


PRICES = {"AAA": 100.0, "BBB": 100.0}


def flip(desk: Desk, target: float) -> None:
    for strategy in ("momentum", "bullish"):
        for symbol in ("AAA", "BBB"):
            desk.want(strategy, symbol, target)


@pytest.mark.parametrize("scope", ["all", "account"])
def test_kill_all_cancels_every_order_keeps_positions_and_lets_nothing_new_out(two, scope) -> None:
    two.slice(PRICES)
    two.slice(PRICES)
    held = two.lots("AAA"), two.lots("BBB")
    assert min(held) > 0
    outputs = two.control("kill", scope)
    assert len(in_state(outputs, "CANCELED")) == 2
    assert [event.killed for event in of_type(outputs, "StateEvent")] == [["all"]]
    assert two.engine.open_orders() == []
    for target in (-1.0, 0.0, 1.0):
        flip(two, target)
        assert of_type(two.slice(PRICES), "OrderEvent") == []
    assert (two.lots("AAA"), two.lots("BBB")) == held
    two.check_books()


def test_a_symbols_kill_stops_that_symbol_alone(two) -> None:
    two.slice(PRICES)
    outputs = two.control("kill", "symbol", "AAA")
    assert {order.symbol for order in in_state(outputs, "CANCELED")} == {"AAA"}
    flip(two, -1.0)
    said = two.slice(PRICES) + two.slice(PRICES)
    assert {order.symbol for order in in_state(said, "INTENT")} == {"BBB"}
    assert {(order.symbol, order.reason) for order in in_state(said, "RISK_DENIED")} == {("AAA", "KILLED")}
    assert two.engine.view()["killed"] == ["symbol:AAA"]


def test_a_strategys_kill_cancels_the_orders_it_is_in_and_the_others_go_on(two) -> None:
    two.slice(PRICES)
    outputs = two.control("kill", "strategy", "bullish")
    assert len(in_state(outputs, "CANCELED")) == 2  # both strategies share each net order
    said = in_state(two.slice(PRICES), "INTENT")
    assert said
    assert {name for order in said for name in order.lots_by_strategy} == {"momentum"}
    assert two.engine.view()["strategies"]["bullish"]["state"] == "killed"


def test_the_kill_is_latched_over_slices_days_a_snapshot_and_a_configuration(two) -> None:
    two.control("kill")
    two.slice(PRICES)
    two.slice(PRICES, step_ns=86_400_000_000_000)
    two.engine = Engine.restore(two.engine.snapshot())
    two.silence()
    two.slice(PRICES)
    newer = msgspec.structs.replace(two.configuration, version=2)
    two.control("configure", content=msgspec.Raw(msgspec.json.encode(newer)), request_id="two")
    two.control("reconciled")
    assert of_type(two.slice(PRICES), "OrderEvent") == []
    assert two.engine.view()["killed"] == ["all"]


def test_only_a_reasoned_release_ends_a_kill_and_one_for_all_ends_every_scope(two) -> None:
    for scope, target in (("symbol", "AAA"), ("strategy", "bullish"), ("all", "")):
        two.control("kill", scope, target)
    refused = of_type(two.control("release", reason="  "), "ControlAck")[0]
    assert (refused.accepted, refused.reason) == (False, "reason is empty; a release says why")
    two.control("release", "symbol", "AAA")
    assert two.engine.view()["killed"] == ["strategy:bullish", "all"]
    two.control("release")
    assert two.engine.view()["killed"] == []
    assert in_state(two.slice(PRICES), "INTENT")


@pytest.mark.parametrize("action", ["kill", "release", "halt"])
@pytest.mark.parametrize(("scope", "target"), [("symbol", "NONE"), ("strategy", "nobody")])
def test_an_unknown_target_is_refused_with_a_sentence_and_changes_nothing(two, action, scope, target) -> None:
    before = two.engine.snapshot()
    outputs = two.control(action, scope, target)
    ack = of_type(outputs, "ControlAck")[0]
    assert not ack.accepted
    assert target in ack.reason or "cannot be halted" in ack.reason
    assert len(outputs) == 1
    assert two.engine.snapshot() == before


def test_killing_twice_says_the_same_and_changes_nothing(two) -> None:
    two.control("kill")
    before = two.engine.snapshot()
    assert of_type(two.control("kill"), "StateEvent") == []
    assert two.engine.snapshot() == before


def test_a_cancelled_order_stays_reserved_until_the_broker_has_answered() -> None:
    desk = Desk("AAA", answers=False, costs=FREE)
    desk.want("momentum")
    order = in_state(desk.slice({"AAA": 100.0}), "INTENT")[0]
    assert in_state(desk.control("kill"), "PENDING_CANCEL")
    assert desk.row()["working_buy"] == order.lots
    assert of_type(desk.control("kill"), "OrderEvent") == []
    desk.broker(order.order_id, "CANCELED")
    assert desk.row()["working_buy"] == 0


def test_nothing_is_decided_before_the_broker_agrees_or_while_it_does_not(desk) -> None:
    desk.want("momentum")
    desk.control("unreconciled")
    assert of_type(desk.slice({"AAA": 100.0}), "OrderEvent") == []
    desk.control("reconciled")
    assert in_state(desk.slice({"AAA": 100.0}), "INTENT")


def test_a_paused_strategy_only_reduces_until_it_is_enabled(desk) -> None:
    desk.want("momentum")
    desk.want("bullish", target=0.5)
    desk.slice({"AAA": 100.0})
    desk.slice({"AAA": 100.0})
    desk.control("pause", "strategy", "momentum")
    desk.want("momentum", target=-1.0)
    leaving = in_state(desk.slice({"AAA": 100.0}), "INTENT")
    assert [order.lots_by_strategy for order in leaving] == [{"momentum": -2500}]
    desk.slice({"AAA": 100.0})
    assert (desk.held("momentum"), desk.held("bullish")) == (0, 1250)
    assert in_state(desk.slice({"AAA": 100.0}), "INTENT") == []
    desk.control("enable", "strategy", "momentum")
    assert in_state(desk.slice({"AAA": 100.0}), "INTENT")[0].side == "SELL"
    assert not of_type(desk.control("pause", "strategy", "nobody"), "ControlAck")[0].accepted


def test_the_same_denial_again_and_again_switches_a_strategy_off_until_a_person_enables_it() -> None:
    desk = Desk("AAA", "BBB", costs=FREE, limits={"max_order_value": 1000.0, "repeated_denials": 5})
    desk.want("momentum", "AAA")
    alerts = []
    for _ in range(4):
        outputs = desk.slice(PRICES)
        assert [order.reason for order in in_state(outputs, "RISK_DENIED")] == ["MAX_ORDER_VALUE"]
        alerts += of_type(outputs, "RiskAlert")
    assert alerts == []
    fifth = desk.slice(PRICES)
    assert [(a.rule, a.scope) for a in of_type(fifth, "RiskAlert")] == [("REPEATED_DENIAL", "strategy:momentum")]
    assert desk.engine.view()["strategies"]["momentum"]["state"] == "off"
    assert of_type(desk.slice(PRICES), "OrderEvent") == []
    desk.control("enable", "strategy", "momentum")
    assert in_state(desk.slice(PRICES), "RISK_DENIED")
    assert desk.engine.view()["strategies"]["momentum"]["state"] == "active"


def test_an_order_that_passes_ends_the_run_of_denials() -> None:
    desk = Desk("AAA", "BBB", costs=FREE, limits={"max_order_value": 20_000.0, "repeated_denials": 3})
    desk.want("momentum", "AAA")
    for target in (0.1, -0.1, 0.1, -0.1, 0.1):
        desk.want("momentum", "BBB", target)
        desk.slice(PRICES)
    assert desk.engine.view()["strategies"]["momentum"]["state"] == "active"


def test_a_denial_names_every_code_with_the_numbers_that_decided() -> None:
    desk = Desk("AAA", costs=FREE, limits={"max_order_value": 1000.0, "max_position": 0.01, "max_gross": 0.1})
    desk.want("momentum")
    denied = in_state(desk.slice({"AAA": 100.0}), "RISK_DENIED")[0]
    assert [(d.code, d.value, d.limit) for d in denied.denials] == [
        ("MAX_ORDER_VALUE", 250_000.0, 1000.0),
        ("MAX_POSITION", 250_000.0, 10_000.0),
        ("MAX_GROSS", 250_000.0, 100_000.0),
    ]
    assert denied.reason == "MAX_ORDER_VALUE"
    assert desk.engine.open_orders() == []
    desk.check_books()


def test_an_act_that_is_not_the_engines_is_refused_with_a_sentence(desk) -> None:
    ack = of_type(desk.control("resume"), "ControlAck")[0]
    assert (ack.accepted, ack.reason) == (False, "action resume is not for the engine")


def test_a_broken_configuration_is_refused_whole(desk) -> None:
    given = msgspec.to_builtins(desk.configuration) | {"version": 2}
    given["settings"]["weights"] = {"momentum": 0.9}
    given["settings"]["strategies"] = {"momentum": {"entry": 99.0}}
    before = desk.engine.snapshot()
    for broken in (
        given,
        {k: v for k, v in given.items() if k != "source"},
        given | {"settings": given["settings"] | {"strategies": {}, "limits": {}}},
        given | {"settings": given["settings"] | {"strategies": {}}, "instruments": []},
        given | {"version": 0},
    ):
        outputs = desk.control("configure", content=msgspec.Raw(msgspec.json.encode(broken)))
        ack = of_type(outputs, "ControlAck")[0]
        assert not ack.accepted
        assert len(ack.reason) > 20
        assert desk.engine.snapshot() == before
