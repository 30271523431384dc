"""A broker that does not answer, answers twice, in the wrong order, or works on what nobody asked for."""

from collections import Counter

import msgspec
import pytest
from worker_station import FEED

from engine import engine
from engine.output import Output
from events.codec import decode_payload
from worker.brokers.port import BrokerTimeoutError

MINUTES = 500


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """An undisturbed run of the same market."""
    from worker_station import Bench  # noqa: PLC0415 - found by this folder's conftest

    return Bench(tmp_path_factory.mktemp("whole")).configure().trade(MINUTES)


def payloads(bench, kind):
    return [decode_payload(record.type, record.payload) for record in bench.records if record.type == kind]


def rules(bench):
    return ", ".join(dict.fromkeys(alert.rule for alert in payloads(bench, "RiskAlert"))) or "no alert"


@pytest.fixture
def venue(bench):
    """Yield a core whose broker remembers by itself what was sent to it, as a venue does."""
    bench.configure()
    broker = bench.core.machine.broker
    submit = broker.submit
    broker.sent = Counter()

    def remember(order):
        broker.sent[order.order_id] += 1
        answer = submit(order)
        broker._book[order.order_id] = order
        return answer

    broker.submit = remember
    return bench


def trade(bench, each=lambda: None):
    """Take the whole market, doing something after each slice."""
    for one in bench.slices(MINUTES):
        bench.core.apply(Output("MarketSlice", f"feed:{FEED}", one))
        each()


def test_a_timeout_is_unknown_until_the_broker_was_asked(venue, whole, fault_row):
    broker, states, silent = venue.core.machine.broker, set(), Counter()
    submit = broker.submit

    def every_third_is_silent(order):
        answer = submit(order)
        if len(broker.sent) % 3 == 0:
            silent[order.order_id] += 1
            raise BrokerTimeoutError("no answer within 2 s")
        return answer

    def look():
        states.update(order.state for order in venue.core.machine.engine.open_orders())
        venue.core.reconcile()

    broker.submit = every_third_is_silent
    trade(venue, look)
    assert silent
    assert "UNKNOWN" in states
    assert set(broker.sent.values()) == {1}
    assert venue.digest == whole.digest
    fault_row(
        fault="broker does not answer (timeout)",
        orders="UNKNOWN, never REJECTED, its exposure reserved; the broker is asked before anything is sent again",
        state="ACTIVE throughout",
        sees="UNKNOWN on Orders",
        recovers="by itself: asked at the next reconciliation (30 s), the order goes on as the broker says",
        measured=f"{silent.total()} of {broker.sent.total()} answers lost, sent twice 0, the undisturbed run's orders",
    )


def test_a_duplicate_fill_changes_nothing(venue, whole, fault_row):
    broker, seen = venue.core.machine.broker, set()
    fills, observe = broker.fills, broker.observe

    def once(event):
        key = getattr(event, "execution_id", None)
        if key is None or key not in seen:
            observe(event)
            seen.add(key)

    broker.fills = lambda market: [fill for fill in fills(market) for _ in range(2)]
    broker.observe = once
    trade(venue)
    venue.core.reconcile()
    assert venue.core.machine.reconciled
    assert venue.digest == whole.digest
    assert account(venue) == account(whole)
    fault_row(
        fault="broker reports a fill twice",
        orders="the second one changes nothing: fills are keyed by broker and execution id",
        state="ACTIVE throughout",
        sees=rules(venue),
        recovers="nothing to recover",
        measured=f"{2 * (len(seen) - 1)} fills for {len(seen) - 1}, cash and positions those of the undisturbed run",
    )


def account(bench):
    row = bench.core.machine.engine.state.account[0]
    return {name: float(row[name]) for name in ("cash_micro", "fees_micro", "equity", "realised")}


def test_a_fill_before_its_acknowledgement_is_booked(venue, whole, fault_row, monkeypatch):
    """The answers come a slice late: the fill of the next open is there before them."""
    monkeypatch.setattr(engine, "FILLABLE", engine.FILLABLE | {"UNKNOWN"})
    broker, late, early = venue.core.machine.broker, [], Counter()
    submit, fills = broker.submit, broker.fills

    def silent(order):
        late.append(submit(order))
        raise BrokerTimeoutError("no answer within 2 s")

    def made(market):
        found = fills(market)
        early.update(fill.order_id for fill in found if fill.order_id in {answer.order_id for answer in late})
        return found

    def answer():
        for each in late[: len(late) - len(venue.core.machine.broker.working())]:
            venue.core.apply(Output("BrokerEvent", broker.name, each))
            late.remove(each)

    broker.submit, broker.fills = silent, made
    trade(venue, answer)
    venue.core.reconcile()
    assert early
    assert venue.digest == whole.digest
    assert account(venue) == account(whole)
    fault_row(
        fault="broker reports a fill before it acknowledges the order",
        orders="the fill is booked, the late acknowledgement changes nothing",
        state="ACTIVE throughout",
        sees=rules(venue),
        recovers="nothing to recover",
        measured=f"{len(early)} orders filled first, cash and positions those of the undisturbed run",
    )


def test_an_order_that_nobody_asked_for_ends_trading(venue, fault_row):
    broker, market = venue.core.machine.broker, iter(venue.slices(MINUTES))
    for one in market:
        venue.core.apply(Output("MarketSlice", f"feed:{FEED}", one))
        if broker.working():
            break
    strange = msgspec.structs.replace(broker.working()[0], order_id="X1")
    broker._book["X1"] = strange
    venue.core.reconcile()
    assert venue.core.machine.engine.state.orders["X1"].state == "EXTERNAL"
    before = venue.core.machine.projection.counts.orders
    for one in market:
        venue.core.apply(Output("MarketSlice", f"feed:{FEED}", one))
    assert venue.core.machine.projection.counts.orders == before
    alerts = payloads(venue, "RiskAlert")
    assert "works on order X1" in alerts[0].message
    venue.core.reconcile()
    assert not venue.core.machine.reconciled  # it was executed meanwhile: somebody must say whose it is
    venue.core.control("adopt", "ann", "hers", "account", "X1")
    venue.core.reconcile()
    assert venue.core.machine.reconciled
    fault_row(
        fault="broker works on an order that the station does not know",
        orders="EXTERNAL, its lots reserved so that limits see them; no new one until a person has decided",
        state="ACTIVE, not reconciled: every order is denied UNRECONCILED",
        sees=f"alerts {rules(venue)} that name the order",
        recovers="a person adopts, ignores or flattens it, or cancels it at the broker before it fills",
        measured="orders meanwhile 0",
    )
