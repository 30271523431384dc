"""A round that a crash stops between predict and challenge: nothing that is kept anywhere tells of an entry."""

import base64
import json
import struct

import msgspec
import pytest
import redis

from audit.keys import private_file
from audit.ring import KeyRing
from events import bus
from events.embedded import WEB_USER, password
from tests.faults.round_station import RoundStation, round_of
from tournaments.sealing import Context, Sealed, SealError, competition_key, read_record

pytestmark = [pytest.mark.station, pytest.mark.timeout(900)]  # compiled code may have to be made first

ALTERED, WHOLE = round_of("altered"), round_of("whole")
RECORD = ("file journal", "file valkey", "bus", "records")
"""Where the places of journals and bus begin."""
LONG = 9  # digits of a number that no other number is by chance


def test_entries_are_sealed_until_they_are_revealed(short_dir, fault_row):
    with RoundStation(short_dir / "d", "altered", "whole") as station:
        station.start("celery")
        stop_before_reveal(station, ALTERED)
        alter(station)
        station.end_lease(ALTERED)
        station.start("celery")
        stop_before_reveal(station, WHOLE)
        station.wait_until_journaled()
        before, boxes, key = everything(station), sealed(station), station_key(station)
        station.end_lease(WHOLE)
        station.start("celery")
        station.wait_until_done(WHOLE)
        station.wait_until_journaled()
        entries = station.record(WHOLE).entries
        found = assert_that_nothing_told(before, entries)
        assert_that_the_altered_one_is_refused(station)
        assert_that_it_is_told_now(station, entries)
        assert_that_the_key_is_gone(station, before, key)
        assert_that_the_journal_has_what_was_committed_to(station, entries, boxes)
    fault_row(
        fault="a round stops with its entries sealed; a byte of a sealed entry is changed",
        orders="none: a round places no order",
        state="as before: trading does not know of it",
        sees="the round is void; its page names the agent whose entry is not as it was sealed",
        recovers="the untouched round goes on by itself; the altered one stays void, allocations stay",
        measured=f"{len(entries)} entries as {found} byte strings looked for in {len(before)} files, keys and records "
        f"of {sum(map(len, before.values())) / 2**20:.0f} MiB: found 0; the round's key afterwards 0 times",
    )


def stop_before_reveal(station, round_id):
    """Let the worker die when the entries are sealed and not yet revealed."""
    station.wait_for_step(round_id, {"challenge"})
    with station.held_up():
        station.kill9("celery")
    assert station.state(round_id) == "challenge"


def sealed(station, round_id=WHOLE):
    return msgspec.json.decode(station.row(round_id)["sealed"], type=dict[str, Sealed])


def alter(station):
    """Change one bit of a sealed entry."""
    boxes = sealed(station, ALTERED)
    raw = bytearray(base64.b64decode(boxes["bullish"].box))
    raw[len(raw) // 2] ^= 1
    boxes["bullish"] = msgspec.structs.replace(boxes["bullish"], box=base64.b64encode(raw).decode())
    query = "UPDATE tournaments_tournamentround SET sealed = ? WHERE round_id = ?"
    station.database.execute(query, (msgspec.json.encode(boxes).decode(), ALTERED))


def station_key(station):
    """Return the secret of the round's key, which one file has."""
    (file,) = (station.paths.secrets / "rounds").iterdir()
    assert file.stat().st_mode & 0o077 == 0
    return file.read_bytes()


# --- all that a station keeps -----------------------------------------------------------------------------------------


def everything(station):
    """Return place to bytes: files as they lie on the disk, Valkey's keys, the database's rows, records."""
    files = (each for each in station.paths.root.rglob("*") if each.is_file())
    found = {f"file {each.relative_to(station.paths.root)}": each.read_bytes() for each in files}
    assert {"file django.sqlite3", "file django.sqlite3-wal", "file logs/celery.out"} <= set(found)
    for name, client in (("bus", bus.connect(station.paths, "status")), ("web", web(station))):
        with client:
            found |= {f"{name} {key}": value_of(client, key) for key in client.scan_iter()}
    assert any("control.audit" in place for place in found)
    found["rows"] = station.run("-m", "django", "dumpdata", "--exclude", "access.station")
    assert ALTERED.encode() in found["rows"]
    records, holds = station.journaled()
    assert holds
    found["records"] = json.dumps(records).encode()
    assert b"CommitmentEvent" in found["records"]
    return found


def web(station):
    secret = password(station.paths, "web", WEB_USER)
    return redis.Redis(unix_socket_path=str(station.paths.socket("web")), username=WEB_USER, password=secret)


def value_of(client, key):
    read = {
        b"string": client.get,
        b"hash": client.hgetall,
        b"list": lambda key: client.lrange(key, 0, -1),
        b"set": client.smembers,
        b"zset": lambda key: client.zrange(key, 0, -1, withscores=True),
        b"stream": client.xrange,
    }
    return b"\n".join(flat(read[client.type(key)](key)))


def flat(value):
    """Yield every byte string of a reply."""
    if isinstance(value, bytes):
        yield value
    elif isinstance(value, dict):
        yield from flat(list(value.items()))
    elif isinstance(value, list | tuple | set):
        for each in value:
            yield from flat(each)


# --- what an entry looks like -----------------------------------------------------------------------------------------


def texts(prediction):
    """Yield what a reader would know a prediction by: its JSON, its words, its probabilities, its prices."""
    yield msgspec.json.encode(prediction)
    yield prediction.rationale.encode()
    yield msgspec.json.encode(prediction.probabilities)
    numbers = (prediction.expected_return, prediction.entry, prediction.take_profit, prediction.stop_loss)
    yield from (text for text in map(msgspec.json.encode, numbers) if len(text) >= LONG)


def forms(prediction):
    """Yield these as they might be written: as they are, escaped, in base64, in hexadecimal, in 16 bits; and packed."""
    for text in texts(prediction):
        yield text
        yield json.dumps(text.decode())[1:-1].encode()
        yield text.hex().encode()
        yield text.decode().encode("utf-16-le")
        for shift in range(3):
            coded = base64.b64encode(bytes(shift) + text)[4 if shift else 0 : -4]
            yield from {coded, coded.translate(bytes.maketrans(b"+/", b"-_"))} if len(coded) >= LONG else ()
    for number in (*prediction.probabilities, prediction.expected_return, prediction.entry):
        yield struct.pack(">d", number)
        yield struct.pack("<d", number)


def assert_that_nothing_told(before, entries):
    """Return in how many forms the entries were looked for."""
    looked_for = {(agent, form) for agent, entry in entries.items() for each in entry for form in forms(each)}
    assert [(place, agent, form) for place, raw in before.items() for agent, form in looked_for if form in raw] == []
    return len(looked_for)


def assert_that_it_is_told_now(station, entries):
    """After the reveal the web's database has every word, and the journals and the bus none."""
    now = everything(station)
    for entry in entries.values():
        for each in entry:
            for text in texts(each):
                assert text in station.row(WHOLE)["record"].encode()
            written = json.dumps(json.dumps(each.rationale)[1:-1])[1:-1].encode()
            assert written in now["rows"]
            assert not any(each.rationale.encode() in raw for place, raw in now.items() if place.startswith(RECORD))


def assert_that_the_key_is_gone(station, before, key):
    """One file had the round's key while it was needed; now nothing has, nor had a copy of the database then."""
    written = (key, key.hex().encode(), base64.b64encode(key).rstrip(b"="))
    had = {place for place, raw in before.items() if any(form in raw for form in written)}
    assert had == {f"file secrets/rounds/{WHOLE.replace(':', '-')}.secret"}
    assert not any(form in raw for raw in everything(station).values() for form in written)
    assert not list((station.paths.secrets / "rounds").iterdir())


def assert_that_the_journal_has_what_was_committed_to(station, entries, boxes):
    """The record's own key opens each entry and no box of the round's; it is what the commitment was made of."""
    current = KeyRing.read(station.paths.keys).current("competition")
    own = competition_key(private_file(station.paths, "competition", current.key).read_bytes())
    told = {
        (kind, agent): json.loads(payload)
        for kind, agent, payload in station.journaled()[0]
        if json.loads(payload)["round_id"] == WHOLE
    }
    for agent, entry in entries.items():
        revealed, committed = told["EntryEvent", agent], told["CommitmentEvent", agent]
        context = Context(round_id=WHOLE, agent=agent, kind="entry", step="predict")
        recorded = Sealed(context=context, key=own.key, commitment=committed["commitment"], box=revealed["box"])
        assert revealed["commitment"] == committed["commitment"] == boxes[agent].commitment
        assert read_record({own.key: own}, recorded).content == msgspec.json.encode(entry)
        with pytest.raises(SealError, match="not as it was sealed"):
            read_record({own.key: own}, msgspec.structs.replace(boxes[agent], key=own.key))


def assert_that_the_altered_one_is_refused(station):
    row, job = station.row(ALTERED), station.job(ALTERED)
    assert (row["state"], row["sealed"]) == ("void", "{}")
    assert row["reason"] == f"the entry of bullish (round {ALTERED}, step predict) is not as it was sealed"
    record = station.record(ALTERED)
    assert (record.entries, record.debates, record.scores, record.allocated) == ({}, {}, [], None)
    assert (job["state"], job["attempts"]) == ("done", 2)
