import asyncio

import msgspec
import pytest
import redis

from events import VERSION, bus, embedded
from events.paths import DataPaths


@pytest.fixture
def connected(bus_server):
    clients = []

    def connect(process):
        clients.append(bus.connect(bus_server.paths, process))
        return clients[-1]

    yield connect
    for client in clients:
        client.close()


def test_what_is_published_is_read_from_a_position_on(connected):
    feed, worker = connected("feed"), connected("worker")
    assert bus.last_id(worker, "market.read") == "0-0"
    assert bus.publish_many(feed, [("market.read", f"{n}-0", b"%d" % n) for n in range(1, 6)]) == [
        f"{n}-0" for n in range(1, 6)
    ]
    assert bus.publish(feed, "market.read", b"6", id="6-0") == "6-0"
    found = bus.read_from(worker, {"market.read": "2-0"}, count=3)
    assert found == [bus.Entry("market.read", f"{n}-0", b"%d" % n) for n in (3, 4, 5)]
    assert bus.read_from(worker, {"market.read": "6-0"}, block_ms=1) == []
    assert bus.last_id(worker, "market.read") == "6-0"
    with pytest.raises(redis.ResponseError, match="equal or smaller"):
        bus.publish(feed, "market.read", b"again", id="6-0")
    assert "market.read" in bus.streams_like(worker, "market.*")


def test_a_group_gets_each_entry_once_and_again_until_acknowledged(connected):
    feed, recorder = connected("feed"), connected("recorder")
    bus.ensure_group(recorder, "market.group", "recorder")
    bus.ensure_group(recorder, "market.group", "recorder")
    for number in range(1, 4):
        bus.publish(feed, "market.group", b"%d" % number, id=f"{number}-0")
    assert bus.lag(recorder, "market.group", "recorder") == 3
    taken = bus.read_group(recorder, ["market.group"], "recorder")
    assert [entry.event for entry in taken] == [b"1", b"2", b"3"]
    assert bus.read_group(recorder, ["market.group"], "recorder") == []
    assert bus.lag(recorder, "market.group", "recorder") == 3
    assert bus.read_group(recorder, ["market.group"], "recorder", delivered_again=True) == taken
    bus.acknowledge(recorder, "recorder", taken[:2])
    assert bus.read_group(recorder, ["market.group"], "recorder", delivered_again=True) == taken[2:]
    assert bus.lag(recorder, "market.group", "recorder") == 1
    assert bus.lag(recorder, "market.none", "recorder") == bus.lag(recorder, "market.group", "nobody") == 0


def test_a_stream_is_trimmed_only_below_its_slowest_reader(connected):
    feed, recorder = connected("feed"), connected("recorder")
    bus.ensure_group(recorder, "market.trim", "recorder")
    for number in range(1, 11):
        bus.publish(feed, "market.trim", b"%d" % number, id=f"{number}-0")
    assert bus.trim_below_readers(feed, "market.trim", ["9-0"]) == 0  # the group has read nothing
    taken = bus.read_group(recorder, ["market.trim"], "recorder", count=8)
    assert bus.trim_below_readers(feed, "market.trim", ["9-0"]) == 0  # read, not acknowledged
    bus.acknowledge(recorder, "recorder", taken[:5])
    assert bus.trim_below_readers(feed, "market.trim", ["9-0"]) == 5
    bus.acknowledge(recorder, "recorder", taken[5:])
    assert bus.trim_below_readers(feed, "market.trim", ["0-0"]) == 0  # a reader that holds nothing yet
    assert bus.trim_below_readers(feed, "market.trim", ["7-0"]) == 1
    assert bus.read_from(feed, {"market.trim": "0"})[0].id == "7-0"
    assert bus.last_id(feed, "market.trim") == "10-0"


def test_a_beat_lasts_ten_seconds_and_names_the_process(connected):
    relay, status = connected("relay"), connected("status")
    bus.beat(relay, "relay", {"pending": 3})
    found = msgspec.json.decode(status.get("status.relay"))
    assert (found["process"], found["metrics"], found["version"]) == ("relay", {"pending": 3}, VERSION)
    assert found["beat_ns"] >= found["started_ns"]
    assert 0 < status.ttl("status.relay") <= 10


async def test_the_asynchronous_client_speaks_the_same(bus_server, connected):
    bus.publish(connected("feed"), "market.async", b"x", id="1-0")
    client = bus.connect_async(bus_server.paths, "web")
    async with asyncio.timeout(10):
        assert await client.xread({"market.async": "0"}) == [[b"market.async", [(b"1-0", {b"event": b"x"})]]]
    await client.aclose()


def test_an_absent_bus_is_said_with_its_place(tmp_path):
    paths = DataPaths(tmp_path)
    with pytest.raises(bus.BusUnreachableError, match=r"does not answer worker within 0\.1 s"):
        bus.connect(paths, "worker", deadline_s=0.1)
    embedded.prepare(paths)
    with pytest.raises(bus.BusUnreachableError, match=r"bus\.sock"):
        bus.connect(paths, "worker", deadline_s=0.1)
    with pytest.raises(embedded.EmbeddedServerError, match="'stranger' has no user"):
        bus.connect_async(paths, "stranger")


def test_redis_url_names_another_server(bus_server, monkeypatch):
    secret = embedded.password(bus_server.paths, "bus", "feed")
    monkeypatch.setenv("REDIS_URL", f"unix://feed:{secret}@{bus_server.paths.socket('bus')}")
    client = bus.connect(DataPaths(bus_server.paths.root / "elsewhere"), "feed", deadline_s=5)
    assert bus.publish(client, "market.url", b"{}", id="1-0") == "1-0"
    client.close()
