import errno
import subprocess
import sys
from itertools import count

import pytest

from events import journal as journal_module
from events.journal import (
    JournalDamaged,
    JournalLocked,
    JournalReader,
    JournalSyncFailed,
    JournalWriteFailed,
    JournalWriter,
    verify,
)
from events.segments import GENESIS, segment_files


def entry(number, size=10):
    return ("TimerEvent", f"agent-{number}", 0.5, None, b'{"instant_ns":%d,"x":"%s"}' % (number, b"a" * size))


class Clock:
    def __init__(self):
        self._ticks = count(1)

    def utc_ns(self):
        return next(self._ticks) * 1000

    def mono_ns(self):
        return next(self._ticks)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "journal" / "execution"


def open_writer(folder, **more):
    return JournalWriter(folder, "execution", "run-1", Clock(), **more)


def test_records_come_back_in_order_with_what_was_given(folder):
    writer = open_writer(folder)
    assert (writer.seq, writer.head, writer.durable_seq) == (-1, GENESIS, -1)
    assert writer.append([entry(0), entry(1)]) == [0, 1]
    assert writer.append([entry(2)]) == [2]
    assert writer.append([]) == []
    assert (writer.seq, writer.durable_seq) == (2, -1)
    writer.sync()
    assert writer.durable_seq == 2
    records = list(JournalReader(folder).read())
    assert [record.seq for record in records] == [0, 1, 2]
    assert [record.left for record in records] == [1, 0, 0]
    first = records[0]
    assert (first.writer, first.run, first.type, first.agent_id, first.confidence, first.competitive_score) == (
        "execution", "run-1", "TimerEvent", "agent-0", 0.5, None,
    )  # fmt: skip
    assert bytes(first.payload) == entry(0)[4]
    assert records[0].prev == GENESIS
    assert JournalReader(folder).get(2).hash == writer.head
    writer.close()


def test_a_second_start_continues_the_chain(folder):
    writer = open_writer(folder)
    writer.append([entry(0), entry(1)])
    head = writer.head
    writer.close()
    again = open_writer(folder)
    assert (again.seq, again.head, again.cut, again.durable_seq) == (1, head, None, 1)
    assert again.append([entry(2)]) == [2]
    again.close()
    result = verify(folder)
    assert (result.ok, result.events, result.head) == (True, 3, JournalReader(folder).get(2).hash)


def test_a_clean_close_leaves_no_zeroed_space_and_private_files(folder):
    writer = open_writer(folder)
    writer.append([entry(0)])
    writer.sync()
    segment = segment_files(folder)[0]
    assert segment.stat().st_size >= 1024 * 1024
    writer.close()
    assert segment.read_bytes().rstrip(b"\0") == segment.read_bytes()
    assert {oct(path.stat().st_mode & 0o777) for path in folder.iterdir()} == {"0o600"}
    assert oct(folder.stat().st_mode & 0o777) == "0o700"
    writer.close()  # a second time does nothing


def test_two_writers_are_refused(folder):
    writer = open_writer(folder)
    with pytest.raises(JournalLocked, match="execution"):
        open_writer(folder)
    writer.close()
    open_writer(folder).close()


def test_the_lock_falls_with_its_process(folder):
    code = (
        "import os, sys; from pathlib import Path; from events.journal import JournalWriter;"
        "w = JournalWriter(Path(sys.argv[1]), 'execution', 'other');"
        "w.append([('TimerEvent', 'x', None, None, b'{}')]);"
        "w.sync(); print('ready', flush=True); sys.stdin.read()"
    )
    other = subprocess.Popen([sys.executable, "-c", code, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert other.stdout.readline() == b"ready\n"
    with pytest.raises(JournalLocked):
        open_writer(folder)
    other.kill()
    other.communicate()
    writer = open_writer(folder)
    assert (writer.seq, writer.cut) == (0, None)
    writer.close()


def test_segments_rotate_between_batches_and_read_as_one(folder):
    writer = open_writer(folder, segment_bytes=4096)
    for number in range(0, 120, 3):
        writer.append([entry(number), entry(number + 1), entry(number + 2)])
    writer.append([entry(120 + extra, 300) for extra in range(20)])  # larger than a segment
    writer.append([entry(140)])
    writer.close()
    segments = segment_files(folder)
    assert len(segments) > 5
    reader = JournalReader(folder)
    records = list(reader.read())
    assert [record.seq for record in records] == list(range(141))
    assert [record.seq for record in reader.read(77)] == list(range(77, 141))
    assert {int(segment.stem) for segment in segments} <= {
        0,
        *(record.seq + 1 for record in records if not record.left),
    }
    assert verify(folder).events == 141
    again = open_writer(folder, segment_bytes=4096)
    assert again.seq == 140
    again.append([entry(141)])
    again.close()
    assert reader.last_seq() == 141


def test_a_missing_segment_is_damage(folder):
    writer = open_writer(folder, segment_bytes=2048)
    for number in range(60):
        writer.append([entry(number)])
    writer.close()
    segments = segment_files(folder)
    assert len(segments) > 7
    for gone in (segments[0], segments[1], segments[-2]):
        kept = gone.read_bytes()
        gone.unlink()
        with pytest.raises(JournalDamaged):
            open_writer(folder)
        assert not verify(folder).ok
        gone.write_bytes(kept)
    open_writer(folder).close()


def test_old_segments_must_still_link_to_each_other(folder):
    writer = open_writer(folder, segment_bytes=1024)
    for number in range(60):
        writer.append([entry(number)])
    writer.close()
    second = segment_files(folder)[1]  # far older than those that a start reads completely
    data = bytearray(second.read_bytes())
    data[-70] ^= 1  # inside the last record's previous hash
    second.write_bytes(data)
    with pytest.raises(JournalDamaged, match=second.name):
        open_writer(folder)
    bad = verify(folder).first_bad
    assert bad.segment == second.name


def test_a_reader_follows_a_live_writer_up_to_what_is_durable(folder):
    reader = JournalReader(folder, durable_only=True)
    eager = JournalReader(folder)
    assert list(reader.read()) == []
    writer = open_writer(folder, segment_bytes=2048)
    seen = []
    for number in range(50):
        writer.append([entry(2 * number), entry(2 * number + 1)])
        fresh = list(reader.read(len(seen)))
        assert [record.seq for record in eager.read(len(seen))][-1] == 2 * number + 1
        assert fresh == []
        writer.sync()
        seen += [record.seq for record in reader.read(len(seen))]
        assert seen == list(range(2 * number + 2))
    writer.close()


def test_a_reader_stopped_inside_a_batch_goes_on_there(folder):
    writer = open_writer(folder)
    writer.append([entry(number) for number in range(10)])
    writer.sync()
    reader = JournalReader(folder)
    some = reader.stored()
    assert [next(some).record.seq for _ in range(4)] == [0, 1, 2, 3]
    some.close()
    assert [stored.record.seq for stored in reader.stored(4)] == [4, 5, 6, 7, 8, 9]
    writer.close()


def test_records_are_found_by_sequence_and_type(folder):
    writer = open_writer(folder, segment_bytes=2048)
    for number in range(40):
        kind = "SnapshotEvent" if number in {3, 11} else "TimerEvent"
        writer.append([(kind, "x", None, None, b'{"type":"SnapshotEvent","left":0,"n":%d}' % number)])
    reader = JournalReader(folder)
    assert reader.get(17).record.seq == 17
    assert reader.get(40) is None
    assert reader.get(-1) is None
    assert reader.last_of("SnapshotEvent").record.seq == 11
    assert reader.last_of("TimerEvent", "SnapshotEvent").record.seq == 39
    assert reader.last_of("RunStarted") is None
    assert reader.last_seq() == 39
    writer.close()
    assert JournalReader(folder / "none").last_seq() == -1


def test_a_payload_that_a_frame_could_not_carry_is_refused(folder):
    writer = open_writer(folder)
    with pytest.raises(JournalWriteFailed, match="NUL"):
        writer.append([("TimerEvent", "x", None, None, b'{"a":"\0"}')])
    assert writer.append([entry(0)]) == [0]
    writer.close()


def test_a_failed_sync_ends_the_journal_and_is_never_tried_again(folder, monkeypatch):
    writer = open_writer(folder)
    writer.append([entry(0)])
    calls = []

    def fail(handle):
        calls.append(handle)
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(journal_module.os, "fdatasync", fail)
    with pytest.raises(JournalSyncFailed, match="Input/output"):
        writer.sync()
    with pytest.raises(JournalSyncFailed):
        writer.sync()
    with pytest.raises(JournalWriteFailed):
        writer.append([entry(1)])
    writer.close()
    assert len(calls) == 1
    assert writer.durable_seq == -1


def test_a_full_disk_is_said_and_leaves_what_was_confirmed(tmp_path):
    folder = tmp_path / "journal" / "execution"
    code = (
        "import resource, sys; from pathlib import Path; from events.journal import *\n"
        "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (5_000_000, 5_000_000))\n"
        "w = JournalWriter(Path(sys.argv[1]), 'execution', 'r')\n"
        "try:\n"
        "    while True:\n"
        "        w.append([('TimerEvent', 'x', None, None, b'{\"a\":\"' + b'b' * 100_000 + b'\"}')]); w.sync()\n"
        "except JournalWriteFailed as error:\n"
        "    print(w.durable_seq, error); w.close()\n"
    )
    found = subprocess.run([sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=True)
    durable = int(found.stdout.split()[0])
    assert durable > 20
    assert "free space" in found.stdout
    writer = open_writer(folder)
    assert writer.seq == durable
    writer.close()
    assert segment_files(folder)[0].stat().st_size <= 5_000_000
