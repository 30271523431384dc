"""What a crash can leave is cut off and said; everything else is damage and refuses."""

import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from events.journal import JournalDamaged, JournalReader, JournalWriter, verify
from events.segments import FRAME, segment_files

BATCHES = (1, 3, 1)


def entry(number, size):
    return ("TimerEvent", "agent", 0.25, None, b'{"instant_ns":%d,"x":"%s"}' % (number, b"z" * size))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """(bytes of one segment, offset after each batch with the records up to there)."""
    folder = tmp_path_factory.mktemp("whole") / "execution"
    writer = JournalWriter(folder, "execution", "run")
    ends, number = [(0, 0)], 0
    for size in BATCHES:
        writer.append([entry(number + index, 17 * (number + index) % 40) for index in range(size)])
        number += size
        ends.append((writer._place.offset, number))
    writer.close()
    return segment_files(folder)[0].read_bytes(), ends


def planted(folder, data):
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / f"{0:020d}.seg").write_bytes(data)
    return folder


def check_recovered(folder, kept):
    """A start keeps exactly the whole batches, goes on after them, and the chain holds."""
    writer = JournalWriter(folder, "execution", "again")
    assert writer.seq == kept - 1
    cut = writer.cut
    assert writer.append([entry(kept, 5)]) == [kept]
    writer.close()
    result = verify(folder)
    assert (result.ok, result.events, result.tail) == (True, kept + 1, "")
    return cut


@pytest.mark.parametrize("filler", [b"", b"\0" * 5000], ids=["truncated", "zeroed"])
def test_a_tail_torn_at_any_byte_is_cut_to_the_last_whole_batch(whole, tmp_path, filler):
    data, ends = whole
    folder = tmp_path / "execution"
    for at in range(len(data)):
        planted(folder, data[:at] + filler)
        offset, kept = max(end for end in ends if end[0] <= at)
        result = verify(folder)
        assert result.ok, (at, result)
        assert result.events == kept
        assert [record.seq for record in JournalReader(folder).read()] == list(range(kept))
        if at % 16 and min(abs(at - end) for end, _ in ends) > 10:
            continue  # a start syncs several times: not at every byte
        cut = check_recovered(folder, kept)
        rest = data[offset:at].rstrip(b"\0")
        assert (cut.cut_bytes if cut else 0) == len(rest), at
        assert bool(cut) == bool(rest), at


def test_lost_sectors_of_the_last_batch_are_a_torn_tail(tmp_path):
    folder = tmp_path / "execution"
    writer = JournalWriter(folder, "execution", "run")
    writer.append([entry(0, 100)])
    before = writer._place.offset
    writer.append([entry(number, 700) for number in range(1, 6)])
    after = writer._place.offset
    writer.close()
    data = segment_files(folder)[0].read_bytes()
    for first in range(before // 512 + 1, after // 512):
        planted(folder, data[: first * 512] + bytes(512) + data[(first + 1) * 512 :])
        cut = check_recovered(folder, 1)
        assert cut.what == "torn record"
        assert cut.cut_bytes > 0


def test_lost_sectors_before_later_batches_are_damage_unless_none_was_synced(tmp_path):
    folder = tmp_path / "execution"
    writer = JournalWriter(folder, "execution", "run")
    for number in range(8):
        writer.append([entry(number, 700)])
    writer.close()
    data = segment_files(folder)[0].read_bytes()
    broken = data[:1024] + bytes(512) + data[1536:]
    planted(folder, broken)
    with pytest.raises(JournalDamaged, match="later batches follow"):
        JournalWriter(folder, "execution", "again")
    (folder / "durable").write_bytes((5).to_bytes(8, "little"))
    with pytest.raises(JournalDamaged, match="later batches follow"):
        JournalWriter(folder, "execution", "again")
    (folder / "durable").write_bytes((1).to_bytes(8, "little"))
    check_recovered(folder, 1)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_flipped_byte_anywhere_is_found_and_refuses(whole, tmp_path, data):
    content, _ = whole
    at = data.draw(st.integers(0, len(content) - 1))
    flip = data.draw(st.integers(1, 255))
    changed = bytearray(content)
    changed[at] ^= flip
    if changed[at] == 0 and at >= len(content) - 1:
        return  # the last byte alone turned to zero is exactly what an interrupted write leaves
    folder = planted(tmp_path / "execution", bytes(changed))
    result = verify(folder)
    assert not result.ok, (at, flip)
    assert result.first_bad.writer == "execution"
    with pytest.raises(JournalDamaged):
        JournalWriter(folder, "execution", "again")
    assert (folder / f"{0:020d}.seg").read_bytes() == bytes(changed), "a refused journal must stay as it is"


def frames_of(data):
    found, offset = [], 0
    while offset + FRAME.size <= len(data):
        length, _ = FRAME.unpack_from(data, offset)
        found.append(data[offset : offset + FRAME.size + length])
        offset += FRAME.size + length
    return found


@pytest.mark.parametrize(
    "change",
    [
        lambda frames: frames[1:],
        lambda frames: frames[:3] + frames[4:],
        lambda frames: [frames[1], frames[0], *frames[2:]],
        lambda frames: [*frames[:2], frames[1], *frames[2:]],
        lambda frames: [*frames, frames[-1]],
    ],
    ids=["first deleted", "middle deleted", "reordered", "doubled", "last doubled"],
)
def test_deleted_reordered_and_doubled_records_are_damage(whole, tmp_path, change):
    data, _ = whole
    folder = planted(tmp_path / "execution", b"".join(change(frames_of(data))))
    result = verify(folder)
    assert not result.ok
    assert result.first_bad.seq >= 0
    with pytest.raises(JournalDamaged):
        JournalWriter(folder, "execution", "again")


def test_a_journal_of_another_writer_is_refused(whole, tmp_path):
    folder = planted(tmp_path / "station", whole[0])
    with pytest.raises(JournalDamaged, match="written by 'execution'"):
        JournalWriter(folder, "station", "run")


def test_a_torn_end_of_an_older_segment_is_damage(tmp_path):
    folder = tmp_path / "execution"
    writer = JournalWriter(folder, "execution", "run", segment_bytes=1024)
    for number in range(12):
        writer.append([entry(number, 20)])
    writer.close()
    first: Path = segment_files(folder)[0]
    first.write_bytes(first.read_bytes()[:-10])
    assert verify(folder).first_bad.segment == first.name
    with pytest.raises(JournalDamaged):
        JournalWriter(folder, "execution", "again")
    with pytest.raises(JournalDamaged):
        list(JournalReader(folder).read())
