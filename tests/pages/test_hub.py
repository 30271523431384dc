"""The hub on a real bus: numbered deltas, snapshots for the slow, one encoding for all, and no bus at all."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from controlroom.live.channel import QUEUE, WINDOW, Channel, Reader
from controlroom.live.hub import Hub
from controlroom.live.patch import merged
from controlroom.live.source import station_hub
from tests.browser import scripted


class Browser:
    """A reader that keeps what it gets and rebuilds the documents, as static/station.js does."""

    def __init__(self, hub: Hub) -> None:
        self.hub, self.messages, self.documents, self.numbers = hub, [], {}, {}
        self.reader = Reader(self._take)
        self.acknowledges = True

    async def _take(self, text: str) -> None:
        message = json.loads(text)
        self.messages.append(message)
        if message["kind"] == "snapshot":
            self.documents[message["topic"]], self.numbers[message["topic"]] = message["data"], message["n"]
        elif message["kind"] == "delta":
            assert message["n"] == self.numbers[message["topic"]] + 1
            self.documents[message["topic"]] = merged(self.documents[message["topic"]], message["patch"])
            self.numbers[message["topic"]] = message["n"]
        if self.acknowledges:
            self.reader.acknowledge(message["m"])

    def kinds(self, topic: str) -> list[str]:
        return [message["kind"] for message in self.messages if message.get("topic") == topic]


async def until(condition: Callable[[], Any], seconds: float = 8.0) -> None:
    """Wait until something holds."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event of its own
            await asyncio.sleep(0.02)


@pytest.fixture
async def hub(station: Any) -> AsyncIterator[Hub]:
    """A running hub."""
    made = station_hub()
    made.start()
    yield made
    await made.stop()


@pytest.fixture
async def follow(hub: Hub) -> AsyncIterator[Callable[..., Browser]]:
    """Let a browser follow topics."""
    tasks = []

    def begin(*topics: str) -> Browser:
        browser = Browser(hub)
        for topic in topics:
            hub.subscribe(browser.reader, topic)
        tasks.append(asyncio.create_task(browser.reader.run(hub.now_ms)))
        return browser

    yield begin
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_snapshot_then_deltas_that_make_the_next_document(station: Any, follow: Callable[..., Browser]) -> None:
    station.publish(scripted.view(seq=5))
    browser = follow("positions")
    await until(lambda: browser.documents.get("positions", {}).get("seq") == 5)
    for seq in range(6, 9):
        station.publish(scripted.view(seq=seq, minute=seq))
        await until(lambda seq=seq: browser.documents["positions"].get("seq") == seq)
    assert browser.kinds("positions")[0] == "snapshot"
    assert set(browser.kinds("positions")[1:]) == {"delta"}
    assert browser.documents["positions"] == browser.hub.channels["positions"].document
    assert [message["m"] for message in browser.messages] == list(range(1, len(browser.messages) + 1))


async def test_at_most_two_deltas_a_second(station: Any, follow: Callable[..., Browser]) -> None:
    station.publish(scripted.view(seq=1))
    browser = follow("positions")
    await until(lambda: browser.documents.get("positions", {}).get("seq") == 1)
    before, began = len(browser.kinds("positions")), time.monotonic()
    for seq in range(2, 42):
        station.publish(scripted.view(seq=seq, minute=seq))
        await asyncio.sleep(0.05)
    await until(lambda: browser.documents["positions"]["seq"] == 41)
    assert len(browser.kinds("positions")) - before <= 2 * (time.monotonic() - began) + 2


async def test_reader_that_does_not_keep_up_gets_a_snapshot_instead_of_a_queue(
    station: Any, follow: Callable[..., Browser]
) -> None:
    station.publish(scripted.view(seq=1))
    browser = follow("positions")
    await until(lambda: browser.documents.get("positions", {}).get("seq") == 1)
    browser.acknowledges = False
    channel = browser.hub.channels["positions"]
    for seq in range(2, 2 + WINDOW + QUEUE + 5):
        delta = channel.update({**channel.document, "count": 1000 + seq, "seq": seq})
        assert delta is not None
        browser.reader.offer(channel, delta)
        await asyncio.sleep(0)
    await asyncio.sleep(0.1)
    assert len(browser.messages) <= WINDOW + 2
    assert browser.reader.waiting["positions"] is channel
    browser.acknowledges = True
    browser.reader.acknowledge(browser.messages[-1]["m"])
    await until(lambda: browser.kinds("positions")[-1] == "snapshot")


async def test_one_encoding_serves_all_readers() -> None:
    channel = Channel("overview", "hub")
    channel.update({"seq": 1})
    assert channel.snapshot() is channel.snapshot()
    channel.update({"seq": 2})
    assert json.loads(channel.snapshot())["n"] == 2
    assert channel.update({"seq": 2}) is None


async def test_heartbeats_come_without_news(station: Any, follow: Callable[..., Browser]) -> None:
    browser = follow("header")
    await until(lambda: [message for message in browser.messages if message["kind"] == "heartbeat"], 5.0)
    heartbeat = next(message for message in browser.messages if message["kind"] == "heartbeat")
    assert heartbeat["now"] > 0
    assert heartbeat["hub"] == browser.hub.id


async def test_unread_topics_are_not_kept(hub: Hub) -> None:
    browser = Browser(hub)
    hub.subscribe(browser.reader, "overview")
    hub.leave(browser.reader)
    assert hub.channels == {}


async def test_system_topic_tells_streams_disk_and_processes(station: Any, follow: Callable[..., Browser]) -> None:
    station.publish(scripted.view(seq=3))
    browser = follow("system")
    await until(lambda: "disk" in browser.documents.get("system", {}))
    told = browser.documents["system"]
    assert told["streams"]["by"]["worker.snapshot"]["length"] >= 1
    assert told["processes"]["by"]["worker"]["state"] == "up"
    assert told["disk"]["free"] > 0


async def test_history_grows_with_the_view(station: Any, hub: Hub) -> None:
    for seq in range(3):
        station.publish(scripted.view(seq=seq, minute=seq + 1))
        await asyncio.sleep(1.1)
    await until(lambda: len(hub.history.get("header:kpi.equity", ())) >= 2)
    assert "overview:symbols.by.AAPL.last" in hub.history


async def test_a_bus_that_does_not_answer_is_said_and_tried_again() -> None:
    calls = []

    async def refuse() -> Any:
        calls.append(1)
        raise ConnectionError("no such socket")

    hub = Hub(refuse)
    browser = Browser(hub)
    hub.subscribe(browser.reader, "header")
    task = asyncio.create_task(browser.reader.run(hub.now_ms))
    hub.start()
    await until(lambda: len(calls) >= 2)
    assert browser.documents["header"]["trouble"] == "the bus does not answer (ConnectionError)"
    assert browser.documents["header"]["state"] == "UNREACHABLE"
    await hub.stop()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
