"""What the simulation found, each as a direct test: it must not come back."""

import os

import msgspec
import pytest

from engine.output import Output
from events.codec import decode_payload
from events.journal import JournalSyncFailed, JournalWriter
from events.reader import JournalReader
from events.types import BrokerEvent, FillEvent
from tests.engine.desk import Desk, in_state
from tests.simulation.disk import SimulatedDisk
from tests.simulation.world import Crash, VirtualClock, World
from tests.worker.worker_station import FEED, Bench
from worker.brokers.port import BrokerTimeoutError
from worker.kill import Kill, KillSwitch, Request

RECORD = ("RiskAlert", "worker", None, None, b'{"text":"' + b"x" * 300 + b'"}')


class Machine:
    """A journal on a simulated disk."""

    def __init__(self, folder, seed):
        self.world = World(seed)
        self.disk = SimulatedDisk(self.world, folder)
        self.folder = folder / "journal" / "execution"

    def writer(self):
        self.world.revive()
        clock = VirtualClock(self.world)
        return JournalWriter(self.folder, "execution", "run", clock, disk=self.disk, segment_bytes=16_384)

    @property
    def records(self):
        return len(list(JournalReader(self.folder).read()))


@pytest.mark.parametrize("seed", range(40))
def test_a_power_cut_inside_a_batch_is_a_torn_end_whichever_sectors_it_loses(tmp_path, seed):
    machine = Machine(tmp_path, seed)
    writer = machine.writer()
    writer.append([RECORD])
    writer.sync()
    writer.append([RECORD] * 5)
    machine.disk.power_lost()
    assert machine.writer().seq in {0, 5}


@pytest.mark.parametrize("seed", range(20))
def test_what_a_failed_sync_left_in_memory_is_written_anew_by_the_next_start(tmp_path, seed):
    machine = Machine(tmp_path, seed)
    writer = machine.writer()
    writer.append([RECORD] * 5)
    machine.disk.failing_syncs = 1
    with pytest.raises(JournalSyncFailed):
        writer.sync()
    machine.disk.process_ended()
    machine.writer()
    machine.disk.power_lost()
    assert machine.records == 5
    machine.writer()


@pytest.mark.parametrize("seed", range(10))
def test_a_segment_whose_maker_died_before_it_synced_the_folder_is_not_lost(tmp_path, seed):
    machine = Machine(tmp_path, seed)
    machine.world.crash_at = ("fsync", 1)
    with pytest.raises(Crash):
        machine.writer()
    assert list(machine.folder.glob("*.seg"))
    machine.disk.process_ended()
    writer = machine.writer()
    writer.append([RECORD])
    writer.sync()
    machine.disk.power_lost()
    assert machine.records == 1


def request(scope="all", target="", request_id="k1"):
    return Kill(scope=scope, target=target, actor="a", reason="r", request_id=request_id)


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


def working(bench):
    """Trade until an order works."""
    bench.configure()
    for one in bench.slices(500):
        bench.core.apply(Output("MarketSlice", f"feed:{FEED}", one))
        if bench.core.machine.broker.working():
            return bench.core.machine.broker.working()[0]
    raise AssertionError("no order was made")


def test_a_snapshot_of_a_station_killed_before_its_configuration_can_be_read_again(bench):
    bench.core.kill(Request(kill=request(), source="socket"))
    bench.core.snapshot()
    bench.crash()
    assert bench.core.machine.killed == {"all"}
    bench.configure()
    assert bench.core.machine.engine.control.killed == ["all"]


def test_a_release_that_meets_a_newer_kill_leaves_the_older_one_in_the_journal_too(bench):
    bench.configure()
    bench.switch.request(request("symbol", "SYMA", "old"), "socket")
    bench.core.kill_requested()
    journaled = bench.core.control

    def meanwhile(action, *rest):
        batch = journaled(action, *rest)
        if action == "release":
            bench.switch.request(request("strategy", "bullish", "new"), "socket")
        return batch

    bench.core.control = meanwhile
    assert bench.core.release("person", "all clear") == "another kill stands"
    assert bench.core.machine.killed == {"symbol:SYMA", "strategy:bullish"} == bench.switch.words
    bench.switch.path.unlink()
    bench.crash()
    assert bench.switch.words == {"symbol:SYMA", "strategy:bullish"}


def test_a_cancel_that_got_lost_is_sent_again_once_the_broker_says_that_the_order_works(bench, monkeypatch):
    order = working(bench)
    broker = bench.core.machine.broker

    def lost(_order_id):
        raise BrokerTimeoutError("no answer within 2 s")

    with monkeypatch.context() as away:
        away.setattr(broker, "cancel", lost)
        bench.core.kill(Request(kill=request(), source="socket"))
    assert broker.working()
    bench.core.ask_unknown()
    assert not broker.working()
    assert order.order_id not in {each.order_id for each in bench.core.machine.engine.open_orders()}


def test_a_late_acknowledgement_does_not_take_back_a_cancel():
    desk = Desk("AAA", answers=False)
    desk.want("bullish")
    desk.slice({"AAA": 100.0})
    order = desk.engine.open_orders()[0]
    assert in_state(desk.control("kill"), "PENDING_CANCEL")
    late = BrokerEvent(broker="paper", order_id=order.order_id, kind="ACCEPTED", broker_ns=0)
    assert not desk.engine.on_order_event(late)
    assert order.state == "PENDING_CANCEL"


def test_what_a_broker_executes_of_itself_is_booked_once_before_its_answer_or_after(bench, monkeypatch):
    order = working(bench)
    broker = bench.core.machine.broker
    fill = FillEvent(
        broker=broker.name, execution_id="E1", order_id=order.order_id, broker_ns=order.engine_ns, symbol=order.symbol,
        side=order.side, lots=1, price_micro=100_000_000, fee_micro=10, reference_price=100.0,
    )  # fmt: skip
    stranger = msgspec.structs.replace(fill, execution_id="X1", order_id="X")
    monkeypatch.setattr(broker, "executions", lambda: [fill, fill, stranger, stranger])
    bench.core.take_executions()
    bench.core.take_executions()
    monkeypatch.undo()
    taken = [decode_payload("FillEvent", r.payload).execution_id for r in bench.records if r.type == "FillEvent"]
    assert taken.count("E1") == 1
    assert taken.count("X1") == 1
    bench.crash()
    assert bench.done.exact


class Dies:
    """The system's disk until a call of this name; then the process is gone."""

    def __init__(self, name, calls):
        self.name, self.left = name, calls

    def __getattr__(self, name):
        if name == self.name:
            self.left -= 1
            if not self.left:
                raise Crash
        return getattr(os, name)


def test_a_kill_that_meets_a_release_which_a_crash_cuts_short_stands(tmp_path):
    file = tmp_path / "kill" / "KILL"
    switch = KillSwitch(file, disk=Dies("rename", 2))
    switch.request(request(request_id="old"), "socket")
    switch.requests.clear()
    switch.check()
    look = switch.check

    def look_and_meet():
        words = look()
        with file.open("ab") as other:
            other.write(msgspec.json.encode(request("symbol", "AAA", "new")) + b"\n")
        return words

    switch.check = look_and_meet
    with pytest.raises(Crash):
        switch.release()
    assert not file.exists()
    after = KillSwitch(file)
    after.recover()
    assert after.check() == {"all", "symbol:AAA"}
    assert not list(file.parent.glob("*.released"))


def test_a_second_line_that_nobody_can_read_keeps_the_station_killed_through_a_release(tmp_path):
    file = tmp_path / "kill" / "KILL"
    file.parent.mkdir()
    file.write_bytes(b"stop\n")
    switch = KillSwitch(file)
    assert switch.check() == {"all"}
    switch.requests.clear()
    look = switch.check

    def look_and_meet():
        words = look()
        switch.check = look
        with file.open("ab") as other:
            other.write(b"stop again\n")
        return words

    switch.check = look_and_meet
    assert not switch.release()
    assert switch.words == {"all"}
    assert file.exists()
