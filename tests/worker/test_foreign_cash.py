"""Cash of other currencies, as the station has it and as the broker tells it."""

import pytest

from engine.output import Output
from events.types import MarketSlice
from tests.engine.desk import FREE, MINUTE_NS, TINY_TICK, Desk, bar, configure, control, instrument
from worker.machine import Machine
from worker.reconcile import difference


@pytest.fixture
def machine():
    """A machine that holds a share paid in euros."""
    desk = Desk(
        instrument("SAP", currency="EUR", tick=TINY_TICK), instrument("EURUSD", asset_class="fx", tradable=False),
        costs=FREE | {"fee_bps": 1.0}, rates={"EUR": "EURUSD"},
    )  # fmt: skip
    made = Machine()
    for event in (configure(desk.configuration), control("reconciled")):
        made.step(Output("ControlEvent", "test", event))
    desk.engine = made.engine
    desk.silence()
    desk.want("momentum", "SAP", 0.5)
    for number in range(1, 5):
        close_ns = desk.now_ns + number * MINUTE_NS
        bars = [bar("EURUSD", close_ns, 1.25), bar("SAP", close_ns, 100.0)]
        position = f"{number}-0"
        market = MarketSlice(feed="simulated", position=position, close_ns=close_ns, bars=bars)
        made.step(Output("MarketSlice", "feed:test", market))
        for order in list(made.intents.values()):
            made.step(Output("BrokerEvent", "paper", made.broker.submit(order)))
    assert made.engine.state.foreign_cash()["EUR"] < 0
    return made


def test_it_agrees_and_still_does_after_a_restart(machine):
    assert machine.broker.holdings().foreign_micro == machine.engine.state.foreign_cash()
    assert machine.broker.holdings().cash_micro == 1_000_000 * 10**6
    assert difference(machine) == ""
    again = Machine()
    again.restore(machine.snapshot())
    assert again.broker.holdings() == machine.broker.holdings()
    assert difference(again) == ""


def test_a_broker_that_has_other_money_is_named_with_both_amounts(machine):
    owed = machine.engine.state.foreign_cash()["EUR"]
    machine.engine.state.account[0]["foreign_micro"][1] += 1_000_000
    said = f"cash in EUR: the station has {(owed + 1_000_000) / 1e6:.6f}, the broker {owed / 1e6:.6f}"
    assert difference(machine) == said
