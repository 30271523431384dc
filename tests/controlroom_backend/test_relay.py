"""The relay over a real bus: order, duplicates with their id, one relayer, hello, acknowledgements, lost servers."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Self

import msgspec
import pytest
from django.db import connection, transaction

from controlroom.relay import outgoing
from controlroom.relay.incoming import handle
from controlroom.relay.lock import RelayLock
from controlroom.relay.main import run
from events import bus as station_bus
from events.actions import put
from events.bus import Entry
from events.codec import decode_envelope, decode_payload, envelope
from events.models import Job, Outbox
from events.streams import CONTROL_FEED, CONTROL_WORKER, WORKER_EVENTS, status_key
from events.types import ControlAck, ControlEvent, JobDue, ModelEvent
from risk.models import ConfigurationVersion

pytestmark = pytest.mark.django_db(transaction=True)


def promise(count: int, stream: str = CONTROL_WORKER) -> None:
    for number in range(count):
        with transaction.atomic():
            event = ControlEvent(
                action="pause", scope="all", target=str(number), actor="ada", reason="", request_id=f"r{number}"
            )
            put(stream=stream, payload=event, actor="ada", request_id=f"{stream}-{number}")


def messages(bus, stream: str = CONTROL_WORKER):
    return [decode_envelope(entry.event) for entry in station_bus.read_from(bus, {stream: "0"})]


def said(payload: msgspec.Struct, kind: str = "", entry: str = "1-0") -> Entry:
    return Entry(WORKER_EVENTS, entry, envelope(kind or type(payload).__name__, "worker", payload, time.time_ns()))


class Running:
    """A relay in a thread."""

    def __init__(self, paths) -> None:
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._run, args=(paths,))
        self.failed: list[BaseException] = []

    def _run(self, paths) -> None:
        try:
            run(paths, self.stop)
        except BaseException as error:  # noqa: BLE001 - shown to the test
            self.failed.append(error)
        finally:
            connection.close()

    def __enter__(self) -> Self:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self.thread.join()
        assert self.failed == []


def test_rows_go_out_in_id_order_with_their_ids(paths, servers):
    promise(250)
    bus = station_bus.connect(paths, "relay")
    while outgoing.send_waiting(bus):
        pass
    sent = messages(bus)
    assert [int(message.id) for message in sent] == sorted(Outbox.objects.values_list("id", flat=True))
    assert [decode_payload("ControlEvent", message.payload).target for message in sent] == [str(n) for n in range(250)]
    assert not Outbox.objects.filter(published_at=None).exists()


def test_a_row_does_not_overtake_one_with_a_lower_id_that_is_not_committed_yet(paths, servers):
    bus, written, finish = station_bus.connect(paths, "relay"), threading.Event(), threading.Event()

    def change(name: str, *, wait: bool) -> None:
        try:
            with transaction.atomic():
                event = ControlEvent(action="pause", scope="all", target=name, actor=name, reason="", request_id=name)
                put(stream=CONTROL_WORKER, payload=event, actor=name, request_id=name)
                written.set()
                assert not wait or finish.wait(20)
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as threads:
        slow = threads.submit(change, "slow", wait=True)
        assert written.wait(20)
        quick = threads.submit(change, "quick", wait=False)
        time.sleep(0.3)  # enough for one that need not wait
        outgoing.send_waiting(bus)
        finish.set()
        slow.result()
        quick.result()
    while outgoing.send_waiting(bus):
        pass
    sent = messages(bus)
    assert [decode_payload("ControlEvent", message.payload).target for message in sent] == ["slow", "quick"]
    assert [int(message.id) for message in sent] == sorted(Outbox.objects.values_list("id", flat=True))


def test_a_crash_between_sending_and_noting_repeats_with_the_same_id(paths, servers, monkeypatch):
    promise(3)
    bus = station_bus.connect(paths, "relay")

    def crash(**_named: object) -> int:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(outgoing, "mark_published", crash)
        with pytest.raises(KeyboardInterrupt):
            outgoing.send_waiting(bus)
    assert outgoing.send_waiting(bus) == 3
    ids = [message.id for message in messages(bus)]
    assert ids[:3] == ids[3:]
    assert len(set(ids)) == 3


def test_two_relays_send_each_row_once_and_the_second_takes_over(paths, servers, until):
    with Running(paths) as first, Running(paths):
        promise(40)
        until(lambda: not Outbox.objects.filter(published_at=None).exists(), "all published")
        first.stop.set()
        first.thread.join()
        promise(5, CONTROL_FEED)
        until(lambda: not Outbox.objects.filter(published_at=None).exists(), "the rest published")
    bus = station_bus.connect(paths, "status")
    assert len(messages(bus)) == 40
    assert len(messages(bus, CONTROL_FEED)) == 5


def test_the_lock_is_held_by_one(paths):
    def taken_elsewhere() -> bool:
        lock = RelayLock(paths.run)
        try:
            return lock.take()
        finally:
            lock.give_back()
            connection.close()

    first = RelayLock(paths.run)
    with ThreadPoolExecutor(1) as elsewhere:  # a thread has a database connection of its own, as a process would
        assert first.take()
        assert not elsewhere.submit(taken_elsewhere).result()
        first.give_back()
        assert elsewhere.submit(taken_elsewhere).result()


def test_a_lost_bus_delays_rows_and_loses_none(paths, servers, until):
    with Running(paths):
        promise(2)
        until(lambda: not Outbox.objects.filter(published_at=None).exists(), "published")
        servers.stop("bus")
        promise(3, CONTROL_FEED)
        time.sleep(0.3)
        assert Outbox.objects.filter(published_at=None).count() == 3
        servers.start("bus")
        until(lambda: not Outbox.objects.filter(published_at=None).exists(), "published after the return")
    bus = station_bus.connect(paths, "status")
    assert len({message.id for message in messages(bus, CONTROL_FEED)}) == 3


def test_it_beats_with_what_waits(paths, servers, until):
    bus = station_bus.connect(paths, "status")
    with Running(paths):
        found = msgspec.json.decode(until(lambda: bus.get(status_key("relay")), "a beat"))
    assert found["process"] == "relay"
    assert {"waiting", "lag_s"} <= set(found["metrics"])


def test_hello_is_answered_with_the_current_configuration_once(paths, servers, until):
    for version in (1, 2):
        ConfigurationVersion.objects.create(
            version=version, content=f'{{"v":{version}}}', sha256="", actor="station", reason="start"
        )
    worker = station_bus.connect(paths, "worker")
    hello = ControlEvent(action="hello", scope="all", target="", actor="worker", reason="", request_id="h")
    station_bus.publish(worker, WORKER_EVENTS, said(hello).event)
    with Running(paths):
        until(lambda: messages(worker), "an answer")
    [answer] = messages(worker)
    event = decode_payload("ControlEvent", answer.payload)
    assert (event.action, event.content) == ("configure", msgspec.Raw(b'{"v":2}'))


def test_a_hello_delivered_twice_has_one_answer_and_a_second_hello_its_own(paths):
    ConfigurationVersion.objects.create(version=1, content="{}", sha256="", actor="station", reason="start")
    hello = ControlEvent(action="hello", scope="all", target="", actor="worker", reason="", request_id="h")
    for entry, kind in (("1-0", "ControlEvent"), ("1-0", "ControlEvent"), ("2-0", "hello")):
        handle(said(hello, kind, entry))
    assert Outbox.objects.count() == 2


def test_without_a_configuration_hello_has_no_answer(paths):
    handle(said(ControlEvent(action="hello", scope="all", target="", actor="worker", reason="", request_id="h")))
    assert not Outbox.objects.exists()


def test_an_answer_of_the_worker_ends_the_request(paths, servers, until):
    promise(1)
    with Running(paths):
        worker = station_bus.connect(paths, "worker")
        request = Outbox.objects.get().request_id
        ack = ControlAck(engine_ns=1, request_id=request, action="pause", accepted=True, reason="")
        station_bus.publish(worker, WORKER_EVENTS, said(ack).event)
        until(lambda: Outbox.objects.exclude(done_at=None).exists(), "done")


def test_a_due_job_is_one_row_even_while_its_doorbell_is_dead(paths):
    due = JobDue(engine_ns=1, job="refit_calibrators", occurrence="o", effective_from_ns=2, through_seq=3, wait=True)
    handle(said(due))
    handle(said(due, entry="2-0"))
    job = Job.objects.get()
    assert (job.name, job.occurrence, job.state) == ("refit_calibrators", "o", "waiting")


def test_a_job_that_nobody_can_do_is_answered_so_that_no_replay_waits(paths):
    handle(said(JobDue(engine_ns=1, job="unheard_of", occurrence="o", effective_from_ns=2, through_seq=3, wait=True)))
    event = msgspec.json.decode(Outbox.objects.get().payload, type=ModelEvent)
    assert (event.outcome, event.occurrence) == ("failed", "o")
    assert not Job.objects.exists()


@pytest.mark.parametrize("event", [b"", b"{", b'{"type":"ControlAck","timestamp":1,"agent_id":"x","payload":{}}'])
def test_an_entry_that_cannot_be_read_is_passed_over(paths, event, caplog):
    handle(Entry(WORKER_EVENTS, "1-0", event))
    assert "cannot be read" in caplog.text
