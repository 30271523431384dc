import os
import pathlib
import shutil
import stat
import tempfile
import time

import msgspec
import pytest
import redis
from celery import Celery
from redis.backoff import NoBackoff
from redis.retry import Retry

from events import bus, embedded
from events.paths import DataPaths
from events.streams import STREAMS

OWNERS = {stream.pattern.replace("FEED", "some"): stream.writer for stream in STREAMS}


@pytest.mark.parametrize("process", embedded.PROCESSES)
def test_each_process_writes_its_own_streams_and_reads_all(bus_server, process):
    client = bus.connect(bus_server.paths, process)
    for stream, owner in OWNERS.items():
        if process == owner:
            bus.publish(client, stream, b"{}")
        else:
            with pytest.raises(redis.exceptions.NoPermissionError):
                bus.publish(client, stream, b"{}")
        bus.read_from(client, {stream: "0"})
    bus.beat(client, process, {})
    for other in embedded.PROCESSES:
        if other != process:
            with pytest.raises(redis.exceptions.NoPermissionError):
                bus.beat(client, other, {})
    if process == "worker":
        client.hset("position.worker", "market.some", "1-0")
    else:
        with pytest.raises(redis.exceptions.NoPermissionError):
            client.hset("position.worker", "market.some", "1-0")
    client.close()


@pytest.mark.parametrize("process", embedded.PROCESSES)
@pytest.mark.parametrize(
    "command",
    [
        ("FLUSHALL",),
        ("FLUSHDB",),
        ("CONFIG", "GET", "*"),
        ("ACL", "LIST"),
        ("SHUTDOWN",),
        ("DEBUG", "SLEEP", "0"),
        ("EVAL", "return 1", "0"),
        ("SAVE",),
        ("REPLICAOF", "NO", "ONE"),
        ("KEYS", "*"),
        ("CLIENT", "KILL", "TYPE", "normal"),
        ("MODULE", "LIST"),
        ("PUBLISH", "x", "y"),
    ],
    ids=" ".join,
)
def test_no_process_may_command_the_server(bus_server, process, command):
    client = bus.connect(bus_server.paths, process)
    with pytest.raises((redis.exceptions.NoPermissionError, redis.ResponseError), match=r"permission|not allowed"):
        client.execute_command(*command)
    client.close()


@pytest.mark.parametrize("process", ["recorder", "relay", "web", "worker", "status"])
def test_readers_cannot_change_what_others_write(bus_server, process):
    feed = bus.connect(bus_server.paths, "feed")
    bus.publish(feed, "market.kept", b"{}")
    client = bus.connect(bus_server.paths, process)
    entry = client.xrange("market.kept")[0][0]
    for command in (
        ("XDEL", "market.kept", entry),
        ("XTRIM", "market.kept", "MAXLEN", "0"),
        ("DEL", "market.kept"),
        ("RENAME", "market.kept", f"status.{process}.x"),
        ("EXPIRE", "market.kept", "1"),
        ("XSETID", "market.kept", "9-9"),
        ("XGROUP", "DESTROY", "market.kept", "recorder"),
        ("SET", "market.kept", "x"),
        ("MOVE", "market.kept", "1"),
    ):
        with pytest.raises(redis.exceptions.NoPermissionError):
            client.execute_command(*command)
    assert feed.xlen("market.kept") >= 1
    client.close()
    feed.close()


def test_strangers_and_wrong_passwords_stay_outside(bus_server):
    socket = str(bus_server.paths.socket("bus"))
    for arguments in ({}, {"username": "feed", "password": "wrong"}, {"username": "nobody", "password": "x"}):
        with pytest.raises(redis.exceptions.AuthenticationError):
            redis.Redis(unix_socket_path=socket, retry=Retry(NoBackoff(), 0), **arguments).ping()


def test_files_are_private_and_passwords_stay_the_same(bus_server):
    paths = bus_server.paths
    before = (paths.secrets / "bus-acl.json").read_bytes()
    secrets = msgspec.json.decode(before, type=dict[str, str])
    assert set(secrets) == set(embedded.PROCESSES)
    assert len(set(secrets.values())) == len(secrets)
    embedded.prepare(paths)
    assert (paths.secrets / "bus-acl.json").read_bytes() == before
    for file in (*paths.secrets.iterdir(), *paths.run.glob("*.conf")):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
    for folder in (paths.root, paths.secrets, paths.run, paths.valkey, paths.valkey / "bus"):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700, folder
    assert stat.S_IMODE(paths.socket("bus").stat().st_mode) == 0o700
    text = (paths.secrets / "bus.acl").read_text() + (paths.run / "valkey-bus.conf").read_text()
    assert not [secret for secret in secrets.values() if secret in text]


def test_a_lost_user_gets_a_password_and_the_others_keep_theirs(tmp_path):
    paths = DataPaths(tmp_path / "data")
    embedded.prepare(paths)
    before = embedded.password(paths, "bus", "worker")
    (paths.secrets / "bus-acl.json").write_bytes(msgspec.json.encode({"worker": before, "someone": "x"}))
    embedded.prepare(paths)
    assert embedded.password(paths, "bus", "worker") == before
    assert len(embedded.password(paths, "bus", "feed")) > 30
    with pytest.raises(embedded.EmbeddedServerError, match="'someone' has no user on bus"):
        embedded.password(paths, "bus", "someone")


def test_what_keeps_a_server_from_starting_is_one_sentence(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(embedded.EmbeddedServerError, match=f"data directory {blocked}.*make it writable"):
        embedded.valkey_command(DataPaths(blocked), "bus")
    with pytest.raises(embedded.EmbeddedServerError, match="start the station first"):
        embedded.web_url(DataPaths(tmp_path / "none"))
    assert not embedded.probe(DataPaths(tmp_path / "none"), "bus")


def test_the_web_server_takes_celery_and_the_cache(bus_server):
    server = type(bus_server)(bus_server.paths, "web")
    server.start()
    try:
        with Celery(broker=embedded.web_url(bus_server.paths), set_as_current=False).connection() as broker:
            queue = broker.SimpleQueue("q")
            queue.put({"a": 1})
            assert queue.get(timeout=10).payload == {"a": 1}
            queue.close()
        cache = redis.Redis.from_url(embedded.web_url(bus_server.paths, "unix"))
        assert cache.set("k", "v")
        cache.close()
        with pytest.raises(redis.exceptions.AuthenticationError):
            redis.Redis(unix_socket_path=str(bus_server.paths.socket("web")), retry=Retry(NoBackoff(), 0)).ping()
    finally:
        server.stop()


def test_streams_survive_a_killed_server_in_a_folder_with_spaces_and_a_long_name(bus_server):
    root = pathlib.Path(tempfile.mkdtemp(prefix="bus-"))
    paths = DataPaths(root / ("a folder " * 6).strip() / ("b" * 60))
    assert len(os.fsencode(paths.run / "bus.sock")) > 108
    server = type(bus_server)(paths)
    try:
        server.start()
        feed = bus.connect(paths, "feed")
        bus.publish(feed, "market.kept", b"one", id="1-0")
        feed.close()
        time.sleep(1.2)  # the append-only file is synced once a second
        server.process.kill()
        server.process.wait()
        server.start()
        feed = bus.connect(paths, "feed")
        assert bus.read_from(feed, {"market.kept": "0"}) == [bus.Entry("market.kept", "1-0", b"one")]
        feed.close()
    finally:
        server.stop()
        shutil.rmtree(root)
        shutil.rmtree(paths.socket("bus").parent, ignore_errors=True)
