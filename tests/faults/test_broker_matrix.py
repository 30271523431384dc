"""The matrix of a misbehaving broker: what each of its failures leaves of the order that meets it."""

from types import SimpleNamespace

import pytest
from worker_station import FEED, Bench

from engine.output import Output
from events.codec import decode_payload
from events.types import OrderEvent
from worker.brokers.misbehaving import FAULTS, Fault, MisbehavingBroker, Venue, faults_of
from worker.reconcile import difference

MINUTES = 160
CASH = 10**12


class Stage:
    """A core, a venue that outlives it, and a clock that a test moves."""

    def __init__(self, folder, script, minutes=MINUTES):
        self.venue = Venue(CASH, script)
        self.second = 0.0
        self.bench = Bench(folder, lambda *given: MisbehavingBroker(self.venue, *given))
        self.clock()
        self.bench.configure()
        self._slices = self.bench.slices(minutes)

    def clock(self):
        self.core.clock = SimpleNamespace(monotonic=lambda: self.second, utc_ns=lambda: 0, mono_ns=lambda: 0)

    @property
    def core(self):
        return self.bench.core

    @property
    def engine(self):
        return self.core.machine.engine

    def slice(self):
        one = next(self._slices, None)
        if one is not None:
            self.core.apply(Output("MarketSlice", f"feed:{FEED}", one))
            self.core.take_executions()
            self.second += 1.0
        return one is not None

    def until(self, happened):
        while not happened():
            assert self.slice(), "the market ended before it happened"

    def whole(self, each=lambda: None):
        while self.slice():
            each()
        self.settle()

    def settle(self):
        """Let time pass until the broker was asked of everything."""
        for _ in range(3):
            self.second += 6.0
            self.core.reconcile()

    def life(self, order_id):
        states = [order.state for order in self.payloads("OrderEvent") if order.order_id == order_id]
        return [state for state, before in zip(states, [None, *states], strict=False) if state != before]

    def payloads(self, kind):
        return [decode_payload(each.type, each.payload) for each in self.bench.records if each.type == kind]

    def alerts(self):
        return ", ".join(dict.fromkeys(alert.rule for alert in self.payloads("RiskAlert"))) or "no alert"

    @property
    def first(self):
        return next(order.order_id for order in self.payloads("OrderEvent") if order.state == "INTENT")

    def agrees(self):
        """Whether orders, positions and cash are the venue's, nothing was sent twice, and a restart knows the same."""
        assert not self.venue.arrived or set(self.venue.arrived.values()) == {1}
        assert difference(self.core.machine) == ""
        assert self.core.machine.reconciled
        view = self.engine.view()
        self.bench.crash()
        assert self.bench.done.exact
        assert self.engine.view()["positions"] == view["positions"]
        return True


@pytest.fixture
def stage(tmp_path):
    return lambda *script: Stage(tmp_path, [Fault(*each) for each in script])


def test_a_timeout_before_acceptance(stage, fault_row):
    made = stage(("submit", 1, "lost"))
    made.until(lambda: made.venue.happened)
    order_id = made.first
    assert made.life(order_id) == ["INTENT", "UNKNOWN"]
    made.core.ask_unknown()
    assert made.engine.state.orders[order_id].state == "UNKNOWN"  # said once: its lots stay reserved
    made.whole(made.core.ask_unknown)
    assert made.life(order_id) == ["INTENT", "UNKNOWN", "REJECTED"]
    assert order_id not in made.venue.arrived
    assert made.agrees()
    fault_row(
        fault="broker: time-out, and the order never arrived",
        orders="UNKNOWN, its lots reserved; REJECTED once the broker has said twice that it never heard of it",
        state="ACTIVE throughout",
        sees="UNKNOWN, then REJECTED on Orders with the reason",
        recovers="by itself: asked every second, evidence after 5 s",
        measured=f"sent again 0, {len(made.venue.arrived)} other orders went on",
    )


def test_a_timeout_after_acceptance(stage, fault_row):
    made = stage(("submit", 1, "silent"))
    made.until(lambda: made.venue.happened)
    order_id = made.first
    made.core.ask_unknown()
    made.whole()
    assert made.life(order_id)[:3] == ["INTENT", "UNKNOWN", "ACCEPTED"]
    assert made.life(order_id)[-1] == "FILLED"
    assert made.agrees()
    fault_row(
        fault="broker: time-out, and the order had arrived",
        orders="UNKNOWN, ACCEPTED when asked, then FILLED as any other",
        state="ACTIVE throughout",
        sees="UNKNOWN on Orders for a second",
        recovers="by itself: asked every second",
        measured=f"arrived twice 0 of {made.venue.arrived.total()}",
    )


def test_a_fill_told_twice(stage, fault_row):
    made = stage(*(("fill", number, "twice") for number in range(1, 4)))
    made.whole()
    assert len(made.venue.happened) == 3
    assert made.agrees()
    fault_row(
        fault="broker: executions told twice",
        orders="FILLED, each execution booked once",
        state="ACTIVE throughout",
        sees=made.alerts(),
        recovers="nothing to recover",
        measured=f"{len(made.venue.executions)} told, {len(made.payloads('FillEvent'))} booked",
    )


def test_a_fill_before_the_acknowledgement(stage, fault_row):
    made = stage(("submit", 1, "filled first"), ("submit", 2, "filled first"))
    made.until(lambda: len(made.venue.happened) == 2)
    made.whole()
    assert made.life(made.first) == ["INTENT", "FILLED"]
    assert made.agrees()
    fault_row(
        fault="broker: executed before it is acknowledged",
        orders="INTENT to FILLED; the late acknowledgement changes nothing",
        state="ACTIVE throughout",
        sees=made.alerts(),
        recovers="nothing to recover",
        measured="2 orders filled first",
    )


def stranger(made, order_id="X1", lots=40):
    """Put an order into the venue that nobody here asked for."""
    known = OrderEvent(
        engine_ns=made.venue.last_close_ns, order_id=order_id, state="ACCEPTED", symbol="SYMA", side="BUY", lots=lots,
        filled_lots=0, type="LIMIT", limit_ticks=1000, stop_ticks=None, time_in_force="GTC", expires_ns=None,
        lots_by_strategy={}, expected_price=10.0,
    )  # fmt: skip
    made.venue.arrive(known)
    made.core.reconcile()
    assert made.life(order_id) == ["EXTERNAL"]
    row = made.engine.state.universe.symbols[made.engine.state.universe.index["SYMA"]]
    assert int(row["working_buy"]) >= lots  # the limits see it
    assert not made.core.machine.reconciled


@pytest.mark.parametrize("action", ["adopt", "ignore", "flatten_external"])
def test_an_unknown_order(stage, fault_row, action):
    made = stage()
    made.until(lambda: made.venue.arrived)
    stranger(made)
    before = made.core.machine.projection.counts.orders
    for _ in range(20):
        made.slice()
    assert made.core.machine.projection.counts.orders == before
    made.core.control(action, "ann", "her decision", "account", "X1")
    made.core.reconcile()
    assert made.core.machine.reconciled
    ends = {"adopt": "ACCEPTED", "ignore": "EXTERNAL", "flatten_external": "CANCELED"}
    assert made.life("X1")[-1] == ends[action]
    assert (made.venue.orders["X1"].state == "CANCELED") == (action == "flatten_external")
    made.whole()
    assert made.core.machine.projection.counts.orders > before
    assert difference(made.core.machine) == ""
    fault_row(
        fault="broker: works on an order of somebody else",
        orders="EXTERNAL with its lots reserved; a person's word makes it ACCEPTED, CANCELED, or leaves it EXTERNAL",
        state="ACTIVE, not reconciled until a person has decided: every order is denied UNRECONCILED",
        sees="alerts EXTERNAL_ORDER, UNRECONCILED that name the order",
        recovers="adopt, ignore or flatten_external",
        measured="orders meanwhile 0",
    )


def test_a_part_and_then_a_reject(stage, fault_row):
    made = stage(("fill", 1, "part then reject"))
    made.until(lambda: made.venue.happened)
    order_id = made.venue.executions[0].order_id
    made.settle()
    assert made.life(order_id)[-2:] == ["PARTIALLY_FILLED", "CANCELED"]
    held = made.engine.state.closed_orders[order_id]
    assert 0 < held.filled_lots < held.lots
    made.whole()
    assert made.agrees()
    fault_row(
        fault="broker: executes a part of an order and rejects it then",
        orders="CANCELED with the part that was executed; no lot of the rest stays reserved",
        state="ACTIVE; not reconciled for at most 30 s",
        sees="the reason on Orders: REJECTED after so many lots",
        recovers="by itself at the next reconciliation (30 s): the broker is asked how the order ended",
        measured=f"{held.filled_lots} of {held.lots} lots",
    )


@pytest.mark.parametrize("kind", ["lost", "silent", "unavailable"])
def test_a_disconnection_during_a_cancel(stage, fault_row, kind):
    made = stage(("cancel", 1, kind))
    made.until(made.venue.working)
    order_id = made.venue.working()[0].order_id
    made.core.control("halt", "ann", "enough", "account")
    assert made.life(order_id)[-2:] == ["PENDING_CANCEL", "UNKNOWN"]
    made.core.ask_unknown()
    assert made.life(order_id)[-1] == "CANCELED"
    assert not made.venue.working()
    made.whole()
    assert made.agrees()
    fault_row(
        fault="broker: the connection breaks during a cancel",
        orders="UNKNOWN with its lots reserved, cancelled again if it works still: CANCELED",
        state="as before: the cancel's cause stands (here HALTED)",
        sees="UNKNOWN, then CANCELED on Orders",
        recovers="by itself: asked every second, the cancel is sent again",
        measured="orders that work at the broker in the end 0",
    )


def test_wrong_positions_at_a_restart(stage, fault_row):
    made = stage()
    made.until(lambda: len(made.venue.executions) > 3)
    asked = made.venue._calls["holdings"]
    made.venue._script = {("holdings", asked + n): Fault("holdings", asked + n, "wrong") for n in (1, 2)}
    made.bench.crash()
    made.clock()
    made.core.control("unreconciled", "worker", "a start knows nothing yet")
    made.core.reconcile()
    assert not made.core.machine.reconciled
    before = made.core.machine.projection.counts.orders
    for _ in range(15):
        made.slice()
    assert made.core.machine.projection.counts.orders == before
    made.whole()
    assert made.core.machine.projection.counts.orders > before or not made.slice()
    assert made.agrees()
    fault_row(
        fault="broker: another position than the station's at its start",
        orders="none: every order is denied UNRECONCILED; a query that fails is never read as flat",
        state="ACTIVE, not reconciled",
        sees="alert UNRECONCILED with the symbol and both quantities",
        recovers="a person finds out which is right; once both agree the next reconciliation (30 s) lets trading go on",
        measured="orders meanwhile 0",
    )


def test_busts_and_corrections(stage, fault_row):
    made = stage(("fill", 1, "busted"), ("fill", 2, "corrected"), ("fill", 4, "busted"), ("fill", 5, "corrected"))
    made.whole()
    kinds = [fill.kind for fill in made.payloads("FillEvent")]
    assert (kinds.count("BUST"), kinds.count("CORRECTION")) == (2, 2)
    assert made.agrees()
    fault_row(
        fault="broker: takes executions back and corrects them",
        orders="FILLED becomes CANCELED with what survives; positions, cash and fees are the surviving executions'",
        state="ACTIVE throughout",
        sees="the opposite trade on the order's page",
        recovers="nothing to recover",
        measured="2 busts, 2 corrections: positions and cash the venue's",
    )


@pytest.mark.parametrize("seed", range(6))
def test_everything_at_once_ends_where_the_venue_stands(tmp_path, seed):
    script = faults_of(seed, 60, 0.15)
    assert script == faults_of(seed, 60, 0.15)
    made = Stage(tmp_path, script, minutes=420)
    made.whole(lambda: made.core.ask_unknown() if made.second % 20 else made.core.reconcile())
    made.venue._script = {}
    made.settle()
    assert len(made.venue.happened) >= 4
    assert len(made.venue.executions) > 4
    assert made.agrees()


def test_a_fault_that_nobody_knows_is_refused():
    with pytest.raises(ValueError, match=r"fault 'late' of 'submit' is unknown"):
        Venue(CASH, [Fault("submit", 1, "late")])
    assert {fault.call for fault in faults_of(1, 500, 0.5)} == set(FAULTS)
