"""Twelve kinds of tampering, each found and located by `audit verify` and by the stand-alone verifier."""

import itertools
import json
import shutil

import pytest
from msgspec.structs import replace

from audit import keys
from audit.checkpoints import Checkpoint, decode, read_lines, sign
from audit.keys import private_key
from audit.signer import Signer
from audit.verification import verify_data_directory
from events.journal import JournalWriter
from events.paths import DataPaths
from events.segments import record_hash, segment_files
from tests.audit.signed import append, both, build, change, frames, standalone

AT = 5  # the record of a segment that is tampered with


def flip(paths, find, *, offset=0, record=AT):
    """Flip a bit of one record (or its frame, which begins 8 bytes before it) on the disk."""
    file = segment_files(paths.journal / "execution")[2]
    data = bytearray(file.read_bytes())
    raw = frames(bytes(data))[record]
    at = data.find(raw) + (raw.find(find) if find else 0) + offset
    data[at] ^= 1
    file.write_bytes(data)
    return int(file.stem) + record, file.name


def located(paths, seq, segment, what, **arguments):
    bad = both(paths, **arguments)
    assert bad is not None
    assert (bad["writer"], bad["seq"], bad["segment"]) == ("execution", seq, segment)
    assert what in bad["what"]


def test_the_untouched_record_holds(signed_station):
    paths, kept = signed_station
    public = next(paths.keys.glob("signing-*.pub"))
    assert both(paths) is None
    assert both(paths, kept=kept, public_key=public) is None


def test_1_a_byte_of_a_payload_flipped(station):
    paths, _ = station
    located(paths, *flip(paths, b"instant_ns", offset=14), "the CRC-32C does not match")


def test_1b_a_payload_changed_with_its_crc_is_pinned_to_the_record_itself(station):
    paths, _ = station
    first, name = change(paths, lambda raws: [*raws[:AT], raws[AT].replace(b'_ns":1', b'_ns":2'), *raws[AT + 1 :]])
    located(paths, first + AT, name, "the record is not the one that checkpoint")


@pytest.mark.parametrize(
    ("offset", "what"), [(-8, "does not match"), (-7, "does not match"), (-4, "the CRC-32C does not match")]
)
def test_2_a_byte_of_a_frames_header_flipped(station, offset, what):
    paths, _ = station
    located(paths, *flip(paths, b"", offset=offset), what)


def test_3_a_byte_of_the_stored_previous_hash_flipped(station):
    paths, _ = station
    located(paths, *flip(paths, b'"prev":"', offset=20), "the CRC-32C does not match")


def test_3b_a_previous_hash_changed_with_its_crc(station):
    paths, _ = station

    def act(raws):
        at = raws[AT].find(b'"prev":"') + 20
        letter = b"0" if raws[AT][at : at + 1] != b"0" else b"1"
        return [*raws[:AT], raws[AT][:at] + letter + raws[AT][at + 1 :], *raws[AT + 1 :]]

    first, name = change(paths, act)
    located(paths, first + AT, name, "the previous hash is not that of the record before")


def test_4_a_record_deleted(station):
    paths, _ = station
    first, name = change(paths, lambda raws: raws[:AT] + raws[AT + 1 :])
    located(paths, first + AT, name, f"sequence {first + AT + 1} where {first + AT} belongs")


def test_5_a_record_inserted(station):
    paths, _ = station
    first, name = change(paths, lambda raws: [*raws[:AT], raws[AT].replace(b'_ns":1', b'_ns":2'), *raws[AT:]])
    located(paths, first + AT, name, "the record is not the one that checkpoint")


def test_6_a_record_duplicated(station):
    paths, _ = station
    first, name = change(paths, lambda raws: [*raws[: AT + 1], *raws[AT:]])
    located(paths, first + AT + 1, name, f"sequence {first + AT} where {first + AT + 1} belongs")


def test_7_two_records_swapped(station):
    paths, _ = station
    first, name = change(paths, lambda raws: [*raws[:AT], raws[AT + 1], raws[AT], *raws[AT + 2 :]])
    located(paths, first + AT, name, f"sequence {first + AT + 1} where {first + AT} belongs")


def test_8_the_tail_cut_off(station):
    paths, _ = station
    *_, last = segment_files(paths.journal / "execution")
    raws = frames(last.read_bytes())
    keep = max(n for n in range(1, len(raws)) if json.loads(raws[n - 1])["left"] == 0)
    first, name = change(paths, lambda raws: raws[:keep], segment=-1)
    located(paths, first + keep, name, f"the journal ends before record {first + len(raws) - 1}, which checkpoint")


def test_9_a_segment_removed(station):
    paths, _ = station
    files = segment_files(paths.journal / "execution")
    files[2].unlink()
    located(paths, int(files[2].stem), files[3].name, f"the segment of record {int(files[2].stem)} is missing")


def test_9b_the_last_segment_removed(station):
    paths, _ = station
    files = segment_files(paths.journal / "execution")
    files[-1].unlink()
    located(paths, int(files[-1].stem), files[-2].name, "the journal ends before record")


@pytest.mark.parametrize("folder", ["journal/execution", "journal"])
def test_9c_a_whole_journal_removed(station, folder):
    paths, kept = station
    shutil.rmtree(paths.root / folder)
    located(paths, 0, "", "the journal ends before record", kept=kept)
    shutil.rmtree(paths.checkpoints)
    located(paths, 0, "", "the journal ends before record", kept=kept)


def test_10_two_segments_swapped(station):
    paths, _ = station
    one, two = segment_files(paths.journal / "execution")[1:3]
    first, second = one.read_bytes(), two.read_bytes()
    one.write_bytes(second)
    two.write_bytes(first)
    located(paths, int(one.stem), one.name, f"sequence {int(two.stem)} where {int(one.stem)} belongs")


def rewritten(tmp_path, paths):
    """A whole new, consistent journal in which one number is another; return the record's sequence."""
    raws = [raw for file in segment_files(paths.journal / "execution") for raw in frames(file.read_bytes())]
    changed, prev = len(raws) // 2, "0" * 64
    for file in segment_files(paths.journal / "execution"):
        first = int(file.stem)

        def act(old, first=first):
            nonlocal prev
            new = []
            for number, raw in enumerate(old, first):
                text = raw.replace(b'_ns":1', b'_ns":2') if number == changed else raw
                text = text[:-66] + prev.encode() + text[-2:]
                new.append(text)
                prev = record_hash(text)
            return new

        change(paths, act, segment=segment_files(paths.journal / "execution").index(file))
    return changed, next(f.name for f in reversed(segment_files(paths.journal / "execution")) if int(f.stem) <= changed)


def test_11_the_whole_journal_rewritten_under_the_old_checkpoints(station, tmp_path):
    paths, kept = station
    seq, name = rewritten(tmp_path, paths)
    located(paths, seq, name, "the record is not the one that checkpoint", kept=kept)


def test_11b_rewritten_with_its_checkpoints_remade_under_a_new_key(signed_station, station, tmp_path):
    _, kept = signed_station
    forged = build(tmp_path / "forged", batches=90)
    rewritten(tmp_path, forged)
    for leftover in forged.checkpoints.iterdir():
        leftover.unlink()
    signer = Signer(forged)
    assert signer.step()
    signer.close()
    assert both(forged) is None  # nothing inside the directory can tell
    bad = both(forged, kept=kept)
    assert (bad["writer"], bad["seq"]) == ("execution", 0)  # other clocks: every record is another one
    assert "are not those that checkpoint 0 signed" in bad["what"]
    public = next(kept.glob("signing-*.pub"))
    assert "does not hold the public key given" in both(forged, public_key=public)["what"]


def test_11c_the_same_rewritten_in_place_is_located_between_two_kept_checkpoints(station, tmp_path):
    paths, kept = station
    seq, _ = rewritten(tmp_path, paths)
    for folder in (paths.checkpoints, paths.keys):
        shutil.rmtree(folder)
    keys.create_missing(paths)
    signer = Signer(paths)
    assert signer.step()
    signer.close()
    sizes = [0, *(decode(line).tree_size for line in (kept / "execution.jsonl").read_bytes().splitlines())]
    low, high = next((a, b) for a, b in itertools.pairwise(sizes) if a <= seq < b)
    bad = both(paths, kept=kept)
    assert bad["seq"] == low
    assert f"records {low} to {high - 1} are not those that checkpoint" in bad["what"]


def replace_checkpoint(paths, number, make):
    file = paths.checkpoints / "execution.jsonl"
    lines = read_lines(paths, "execution")
    lines[number] = make(decode(lines[number])).line()
    file.write_bytes(b"".join(line + b"\n" for line in lines))
    return decode(lines[number - 1]).tree_size


def test_12_a_checkpoint_with_a_forged_signature(station):
    paths, _ = station

    def forge(old: Checkpoint) -> Checkpoint:
        return replace(old, signature="A" + old.signature[1:] if old.signature[0] != "A" else "B" + old.signature[1:])

    size = replace_checkpoint(paths, 4, forge)
    located(paths, size, "checkpoints/execution.jsonl", "checkpoint 4: its signature is not that of key")


def test_12b_a_checkpoint_signed_by_another_key(station, tmp_path):
    paths, _ = station
    other = DataPaths(tmp_path / "other")
    keys.create_missing(other)
    size = replace_checkpoint(paths, 4, lambda old: sign(old, private_key(other, "signing")))
    located(paths, size, "checkpoints/execution.jsonl", "is not a signing key of the ring")


def test_12e_a_checkpoint_of_the_right_key_over_another_root(station):
    paths, _ = station
    own = private_key(paths, "signing")
    size = replace_checkpoint(paths, -1, lambda old: sign(replace(old, root="ab" * 32), own))
    last = decode(read_lines(paths, "execution")[-1])
    bad = both(paths)
    assert bad["seq"] == size
    assert bad["what"] == f"records {size} to {last.tree_size - 1} are not those that checkpoint {last.number} signed"


def test_12c_the_last_checkpoints_removed_against_kept_ones(station):
    paths, kept = station
    lines = read_lines(paths, "execution")
    (paths.checkpoints / "execution.jsonl").write_bytes(b"".join(line + b"\n" for line in lines[:5]))
    located(
        paths, decode(lines[4]).tree_size, "checkpoints/execution.jsonl", "checkpoint 5 is missing", kept=kept
    )  # fmt: skip


def test_12d_a_key_ring_with_a_strange_key(station):
    paths, _ = station
    ring = paths.keys / "keyring.jsonl"
    ring.write_text(ring.read_text().replace('"purpose":"signing"', '"purpose":"approvals"', 1))
    bad = both_where(paths)
    assert bad["segment"] == "keyring.jsonl"


def both_where(paths):
    """The wording of a damaged ring may differ between the two; where it is may not."""
    ours, (_, theirs) = verify_data_directory(paths)["first_bad"], standalone(paths.root)
    assert {**ours, "what": ""} == {**theirs, "what": ""}
    return ours


def test_a_torn_tail_that_nobody_signed_is_no_damage(station):
    paths, _ = station
    journal = JournalWriter(paths.journal / "execution", "execution", "run", segment_bytes=12_000)
    append(journal, 1, 500)
    journal.close()
    *_, last = segment_files(paths.journal / "execution")
    last.write_bytes(last.read_bytes()[:-30])
    assert both(paths) is None


@pytest.mark.parametrize("lost", range(4))
def test_sectors_that_a_power_cut_lost_are_judged_alike(station, lost):
    """A batch over several sectors that was never synced, each of them lost in turn, the first one included."""
    paths, _ = station
    journal = JournalWriter(paths.journal / "execution", "execution", "run", segment_bytes=1 << 20)
    *_, last = segment_files(paths.journal / "execution")
    begin = len(last.read_bytes().rstrip(b"\0"))
    journal.append([("RiskAlert", "x", None, None, b'"' + b"y" * 600 + b'"')] * 3)
    data = bytearray(last.read_bytes())
    journal.close()
    first = begin - begin % 512 + lost * 512
    data[max(begin, first) : first + 512] = bytes(first + 512 - max(begin, first))
    last.write_bytes(data)
    assert both(paths) is None
