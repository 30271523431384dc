"""A record is found in the middle of a segment, and only a record."""

from hypothesis import given, settings
from hypothesis import strategies as st

from events.journal import JournalWriter
from events.reader import JournalReader, frames
from events.seek import frame_offset
from events.segments import decode_record, segment_files

LIES = [b'{"a":"\\",\\"seq\\":7,\\"utc_ns\\":"}', b'{"writer":"x","run":"r","seq":3,"utc_ns":1}', b'{"seq":5}', b"{}"]


@settings(max_examples=30)
@given(payloads=st.lists(st.sampled_from(LIES), min_size=1, max_size=20), data=st.data())
def test_the_frame_of_each_record_is_found_and_no_other(tmp_path_factory, payloads, data):
    folder = tmp_path_factory.mktemp("seek") / "execution"
    writer = JournalWriter(folder, "execution", "run")
    for payload in payloads:
        writer.append([("Odd", "engine", None, None, payload)])
    writer.sync()
    writer.close()
    segment = segment_files(folder)[0]
    seq = data.draw(st.integers(0, len(payloads) - 1))
    offset = frame_offset(segment, seq)
    assert offset is not None
    _, raw = next(frames(segment, offset, last=True))
    assert decode_record(raw).seq == seq
    assert raw == JournalReader(folder).get(seq).raw
    assert frame_offset(segment, len(payloads)) is None


def test_a_broken_frame_is_not_found(tmp_path):
    folder = tmp_path / "execution"
    writer = JournalWriter(folder, "execution", "run")
    writer.append([("Odd", "engine", None, None, b'{"note":"whole"}')])
    writer.sync()
    writer.close()
    segment = segment_files(folder)[0]
    segment.write_bytes(segment.read_bytes().replace(b"whole", b"WHOLE"))
    assert frame_offset(segment, 0) is None
