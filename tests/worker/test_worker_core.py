"""Journal, machine and broker together, without a bus: what is on disk before a broker call, and after every crash."""

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from worker_station import FEED, OPEN_NS, Bench, configuration, configure_event, essence

from engine.output import Output
from events.codec import decode_payload
from events.segments import JournalDamaged
from events.types import MarketSlice, RunStarted
from worker.brokers.port import BrokerTimeoutError
from worker.keeper import Keeper
from worker.machine import Machine
from worker.resume import ReplayDiffersError, resume

MINUTES = 500


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """An uninterrupted run."""
    return Bench(tmp_path_factory.mktemp("whole")).configure().trade(MINUTES)


def states_of(records, order_id):
    events = [decode_payload("OrderEvent", r.payload) for r in records if r.type == "OrderEvent"]
    return [event.state for event in events if event.order_id == order_id]


def test_orders_are_decided_accepted_and_filled(whole):
    counts = whole.core.machine.projection.counts
    assert counts.orders > 20
    assert counts.fills >= counts.orders - 3
    lives = {tuple(states_of(whole.records, f"S{number:09d}")) for number in range(1, 20)}
    assert ("INTENT", "ACCEPTED", "FILLED") in lives


def test_an_intent_is_on_disk_before_the_broker_hears_of_it(bench):
    bench.configure()
    broker, seen = bench.core.machine.broker, []
    submit = broker.submit

    def spy(order):
        seen.append((bench.core.keeper.unsynced, order.order_id))
        return submit(order)

    broker.submit = spy
    bench.trade(300)
    assert seen
    assert all(unsynced == 0 for unsynced, _ in seen)
    intents = {decode_payload("OrderEvent", r.payload).order_id for r in bench.records if r.type == "OrderEvent"}
    assert {order_id for _, order_id in seen} <= intents


def test_a_resume_steps_the_journal_again_and_compares_every_byte(bench):
    bench.configure().trade(200)
    before, digest, view = essence(bench.records), bench.digest, bench.core.machine.engine.view()
    bench.crash()
    assert bench.done.exact
    assert bench.done.replayed >= 200
    assert essence(bench.records) == before
    assert bench.digest == digest
    assert bench.core.machine.engine.view() == view


def test_a_resume_from_a_snapshot_equals_one_from_the_beginning(bench, whole):
    bench.configure().trade(150)
    bench.core.snapshot()
    bench.trade(300, first=150).crash()
    assert 0 < bench.done.replayed < 220
    bench.trade(MINUTES, first=300)
    assert essence(bench.records) == essence(whole.records)
    assert bench.digest == whole.digest


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(cuts=st.lists(st.integers(1, MINUTES - 1), min_size=1, max_size=4, unique=True), snapshot=st.booleans())
def test_crashes_anywhere_change_nothing(tmp_path_factory, whole, cuts, snapshot):
    bench, first = Bench(tmp_path_factory.mktemp("cut")).configure(), 0
    for cut in sorted(cuts):
        bench.trade(cut, first=first)
        if snapshot:
            bench.core.snapshot()
        bench.crash()
        first = cut
    bench.trade(MINUTES, first=first)
    assert essence(bench.records) == essence(whole.records)
    executions = [decode_payload("FillEvent", r.payload).execution_id for r in bench.records if r.type == "FillEvent"]
    assert len(executions) == len(set(executions))


def test_a_torn_end_is_cut_off_and_the_lost_inputs_are_taken_again(bench, whole):
    bench.configure().trade(300)
    segment = max((bench.folder / "execution").glob("*.seg"))
    with segment.open("r+b") as file:
        file.seek(bench.journal._place.offset - 900)
        file.write(bytes(900))
    bench.crash()
    assert bench.journal.cut is not None
    position = bench.core.machine.positions["market.simulated"]
    done = int(position.split("-")[0]) // 9
    assert done < 300
    bench.trade(MINUTES, first=done)
    assert bench.digest == whole.digest


def test_damage_before_the_end_refuses_to_start(bench):
    bench.configure().trade(300)
    segment = max((bench.folder / "execution").glob("*.seg"))
    with segment.open("r+b") as file:
        file.seek(5000)
        file.write(b"\xff" * 8)
    with pytest.raises(JournalDamaged, match="damaged at record"):
        bench.crash()


def test_another_outcome_than_the_journaled_one_refuses_and_names_the_record(bench):
    bench.configure().trade(100)
    rows = bench.records
    changed = next(r for r in rows if r.type == "AccountEvent")
    wrong = msgspec.structs.replace(decode_payload("AccountEvent", changed.payload), equity=1.0)

    class Told:
        def last_of(self, *_, **__):
            return None

        def read(self, _from):
            for row in rows:
                yield (
                    msgspec.structs.replace(row, payload=msgspec.Raw(msgspec.json.encode(wrong)))
                    if row is changed
                    else row
                )

    with pytest.raises(ReplayDiffersError, match=f"record {changed.seq} "):
        resume(Machine(), Told(), {"test": "same"})


def test_another_fingerprint_compares_floats_to_a_billionth_and_lots_exactly(bench):
    bench.configure().trade(60)
    rows = bench.records
    changed = next(r for r in rows if r.type == "AccountEvent")
    account = decode_payload("AccountEvent", changed.payload)

    def told(payload):
        class Told:
            def last_of(self, *_, **__):
                return None

            def read(self, _from):
                for row in rows:
                    yield (
                        msgspec.structs.replace(row, payload=msgspec.Raw(msgspec.json.encode(payload)))
                        if row is changed
                        else row
                    )

        return Told()

    near = msgspec.structs.replace(account, equity=account.equity * (1 + 1e-12))
    assert not resume(Machine(), told(near), {"test": "other"}).exact
    with pytest.raises(ReplayDiffersError):
        resume(Machine(), told(near), {"test": "same"})
    cash = msgspec.structs.replace(account, cash_micro=account.cash_micro + 1)
    with pytest.raises(ReplayDiffersError):
        resume(Machine(), told(cash), {"test": "other"})


def crash_before_acknowledgement(bench, monkeypatch, *, heard):
    """Crash after an intent is on disk; ``heard`` says whether the broker got it."""
    sent = []

    def die(order):
        if heard:
            sent.append(order.order_id)
        raise KeyboardInterrupt

    broker = bench.core.machine.broker
    monkeypatch.setattr(broker, "submit", die)
    with pytest.raises(KeyboardInterrupt):
        bench.trade(500)
    return sent


def test_an_unanswered_intent_is_sent_again_only_to_a_broker_that_never_heard_of_it(bench, whole, monkeypatch):
    bench.configure()
    crash_before_acknowledgement(bench, monkeypatch, heard=False)
    waiting = list(bench.core.machine.intents)
    assert waiting
    bench.crash()
    assert not bench.core.machine.intents
    done = int(bench.core.machine.positions["market.simulated"].split("-")[0]) // 9
    bench.trade(MINUTES, first=done)
    assert essence(bench.records) == essence(whole.records)


def test_an_order_that_the_broker_knows_is_not_sent_twice(bench):
    bench.configure()
    machine, submitted = bench.core.machine, []
    for one in bench.slices(500):
        bench.core.keeper.append(machine.step(Output("MarketSlice", "feed", one)))
        if machine.intents:
            break
    order = next(iter(machine.intents.values()))
    machine.broker.observe(order)
    machine.broker.submit = lambda sent: submitted.append(sent.order_id)
    bench.core.settle(resend=True)
    assert order.order_id not in submitted
    assert states_of(bench.records, order.order_id)[-1] == "ACCEPTED"


def test_a_timeout_is_unknown_and_the_broker_is_asked_before_anything_else(bench):
    bench.configure()
    broker = bench.core.machine.broker
    accept = broker.submit

    def late(order):
        raise BrokerTimeoutError("no answer within 2 s")

    broker.submit = late
    for one in bench.slices(500):
        bench.core.apply(Output("MarketSlice", "feed", one))
        if bench.core.machine.unknown:
            break
    order_id = next(iter(bench.core.machine.unknown))
    assert states_of(bench.records, order_id)[-1] == "UNKNOWN"
    assert order_id in {order.order_id for order in bench.core.machine.engine.open_orders()}
    broker.submit = accept
    bench.core.reconcile()
    assert bench.core.machine.reconciled


def test_what_the_broker_holds_otherwise_ends_trading_until_it_agrees(bench):
    bench.configure().trade(150)
    broker = bench.core.machine.broker
    broker._lots["SYMA"] = broker._lots.get("SYMA", 0) + 5
    bench.core.reconcile()
    assert not bench.core.machine.reconciled
    before = bench.core.machine.projection.counts.orders
    for one in bench.slices(250, first=150):
        bench.core.apply(Output("MarketSlice", "feed", one))
    assert bench.core.machine.projection.counts.orders == before
    broker._lots["SYMA"] -= 5
    bench.core.reconcile()
    assert bench.core.machine.reconciled


def test_a_repeated_control_event_is_taken_once(bench):
    bench.configure()
    before = len(bench.records)
    bench.core.apply(Output("ControlEvent", "controlroom", configure_event(configuration())))
    assert len(bench.records) == before


def test_a_configuration_that_does_not_fit_is_refused_in_words(bench):
    bench.configure()
    bad = msgspec.structs.replace(
        configure_event(configuration(version=2), "second"), content=msgspec.Raw(b'{"version":2,"mode":"LIVE"}')
    )
    bench.core.apply(Output("ControlEvent", "controlroom", bad))
    ack = decode_payload("ControlAck", bench.records[-1].payload)
    assert not ack.accepted
    assert "LIVE" in ack.reason
    assert bench.core.machine.configuration.version == 1


def test_steps_without_orders_share_a_sync(bench, monkeypatch):
    bench.configure()
    syncs = []
    sync = bench.journal.sync
    monkeypatch.setattr(bench.journal, "sync", lambda: (syncs.append(1), sync()))
    quiet = [MarketSlice(feed=FEED, position=f"{n}-0", close_ns=OPEN_NS + n, bars=[]) for n in range(1, 50)]
    for one in quiet:
        bench.core.apply(Output("MarketSlice", "feed", one))
    assert not syncs
    assert bench.core.keeper.unsynced >= 49
    bench.core.keeper.sync()
    assert len(syncs) == 1


def test_a_run_names_its_fingerprint_and_where_it_went_on(bench):
    bench.configure().trade(30).crash()
    runs = [decode_payload("RunStarted", r.payload) for r in bench.records if r.type == "RunStarted"]
    assert all(isinstance(run, RunStarted) for run in runs)
    assert runs[-1].replayed > 30
    assert isinstance(bench.core.keeper, Keeper)
