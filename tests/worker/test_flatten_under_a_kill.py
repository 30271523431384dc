"""Flatten at the worker: its orders alone pass the kill, and a kill that comes later holds them back."""

import msgspec
import pytest
from worker_station import FEED

from engine.output import Output
from events.codec import decode_payload
from worker.kill import Kill


@pytest.fixture
def holding(bench):
    """A core that holds something, killed."""
    bench.configure()
    slices = bench.slices(500)
    for one in slices:
        bench.core.apply(Output("MarketSlice", f"feed:{FEED}", one))
        if len(positions(bench)) > 2:
            break
    bench.later = slices
    kill(bench, "k1")
    return bench


def kill(bench, request_id, scope="all", target=""):
    asked = Kill(scope=scope, target=target, actor="ann", reason="r", request_id=request_id)
    bench.switch.request(asked, "socket")
    bench.core.kill_requested()


def positions(bench):
    return {name: row["lots"] for name, row in bench.core.machine.engine.view()["positions"].items() if row["lots"]}


def go_on(bench, count=3):
    for _ in range(count):
        bench.core.apply(Output("MarketSlice", f"feed:{FEED}", next(bench.later)))


def orders(bench):
    found = [decode_payload("OrderEvent", each.payload) for each in bench.records if each.type == "OrderEvent"]
    return {order.order_id: order for order in found}


def test_a_killed_station_is_sold_out_and_stays_killed(holding):
    before, known = positions(holding), set(orders(holding))
    holding.core.control("flatten", "ann", "out")
    go_on(holding, 8)
    assert len(before) > 2
    assert positions(holding) == {}
    sent = [order for name, order in orders(holding).items() if name not in known]
    assert {order.purpose for order in sent} == {"flatten"}
    assert holding.switch.words == {"all"} == holding.core.machine.killed
    assert holding.switch.permits == frozenset()
    holding.crash()
    assert holding.done.exact
    assert positions(holding) == {}


def test_nothing_else_passes_with_it(holding):
    holding.switch.permit(["all"])
    ordinary = next(order for order in orders(holding).values() if order.state == "FILLED")
    checked = next(order for order in all_intents(holding) if order.order_id == ordinary.order_id)
    (answer,) = holding.core.desk.send(holding.core.machine.broker, [checked])
    assert (answer.kind, answer.reason) == ("REJECTED", "KILLED: not sent")
    holding.switch.permit([])
    forged = msgspec.structs.replace(checked, purpose="flatten")
    (answer,) = holding.core.desk.send(holding.core.machine.broker, [forged])
    assert (answer.kind, answer.reason) == ("REJECTED", "KILLED: not sent")  # no flatten of its scope is under way


def all_intents(bench):
    found = [decode_payload("OrderEvent", each.payload) for each in bench.records if each.type == "OrderEvent"]
    return [order for order in found if order.state == "INTENT"]


def test_a_kill_that_comes_later_holds_them_back(holding, monkeypatch):
    """It is pressed after the flatten was taken and before its orders leave."""
    desk = holding.core.desk
    send = desk.send

    def pressed(*given):
        late = Kill(scope="all", target="", actor="ann", reason="stop it", request_id="k2")
        holding.switch.request(late, "socket")
        return send(*given)

    before = positions(holding)
    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(desk, "send", pressed)
        holding.core.control("flatten", "ann", "out")
    holding.core.kill_requested()
    go_on(holding)
    assert positions(holding) == before
    flattening = [order for order in orders(holding).values() if order.purpose == "flatten"]
    assert flattening
    assert {order.state for order in flattening} == {"REJECTED"}
    assert holding.core.machine.engine.control.flattening == []


def test_a_restart_in_the_middle_goes_on(holding):
    holding.core.control("flatten", "ann", "out")
    later = holding.later
    holding.crash()
    holding.switch.check()
    holding.core.kill_requested()
    holding.later = later
    go_on(holding, 8)
    assert positions(holding) == {}
    assert holding.core.machine.reconciled
