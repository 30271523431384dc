import gzip
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from audit.archive import archive
from audit.errors import AuditError
from audit.proofs import prove
from audit.signer import Signer
from audit.verification import verify_data_directory
from events.archived import MANIFEST, ArchiveAway, archived_segments
from events.journal import JournalReader, JournalWriter, verify
from events.segments import segment_files
from tests.audit.signed import SEGMENT_BYTES, append, both, standalone

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def archived(station, tmp_path):
    """A station whose oldest segments lie elsewhere, and what its record was before."""
    paths, _ = station
    before = [stored.raw for stored in JournalReader(paths.journal / "execution").stored()]
    report = archive(paths, "execution", tmp_path / "archive", keep=1)
    assert report.moved >= 3
    return paths, tmp_path / "archive", before


def test_archived_segments_are_moved_and_the_record_reads_as_before(archived):
    paths, folder, before = archived
    journal = paths.journal / "execution"
    assert len(list(journal.glob("*.seg"))) == 2
    assert {file.suffix for file in (folder / "execution").iterdir()} == {".gz"}
    reader = JournalReader(journal)
    assert [stored.raw for stored in reader.stored()] == before
    assert [stored.raw for stored in reader.stored(40)] == before[40:]
    assert reader.get(3).raw == before[3]
    assert reader.last_seq() == len(before) - 1
    assert verify(journal).events == len(before)
    assert prove(paths, "execution", 3).raw.encode() == before[3]
    assert both(paths) is None


def test_the_writer_goes_on_even_where_the_archive_is_away(archived):
    paths, folder, before = archived
    shutil.move(folder, folder.with_name("unplugged"))
    record = JournalWriter(paths.journal / "execution", "execution", "next", segment_bytes=SEGMENT_BYTES)
    assert record.seq == len(before) - 1
    append(record, 2)
    record.close()
    signer = Signer(paths)
    assert signer.step()
    assert signer.refused == []
    signer.close()


def test_an_archive_that_is_away_is_said_in_one_sentence_that_names_where(archived):
    paths, folder, _ = archived
    shutil.move(folder, folder.with_name("unplugged"))
    with pytest.raises(ArchiveAway, match=f"looked for in {folder / 'execution'}"):
        list(JournalReader(paths.journal / "execution").stored())
    with pytest.raises(AuditError, match="looked for in"):
        verify_data_directory(paths)
    done = subprocess.run(
        [sys.executable, "-I", str(ROOT / "audit/verifier.py"), str(paths.root)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "was looked for in" in done.stderr


def test_a_moved_archive_is_found_again(archived):
    paths, folder, before = archived
    moved = folder.with_name("moved")
    shutil.move(folder, moved)
    assert archive(paths, "execution", moved, keep=1).relocated == len(archived_segments(paths.journal / "execution"))
    assert verify(paths.journal / "execution").events == len(before)


def test_a_file_that_is_not_the_archived_one_is_refused(archived):
    paths, folder, _ = archived
    moved = folder.with_name("moved")
    shutil.move(folder, moved)
    file = next((moved / "execution").iterdir())
    file.write_bytes(gzip.compress(b"another"))
    with pytest.raises(AuditError, match="is not the file that was archived"):
        archive(paths, "execution", moved, keep=1)


def test_a_changed_byte_in_an_archive_is_found_and_located(archived):
    paths, folder, _ = archived
    file = sorted((folder / "execution").iterdir())[1]
    data = bytearray(gzip.decompress(file.read_bytes()))
    data[data.find(b"instant_ns", 4000) + 14] ^= 1
    file.write_bytes(gzip.compress(bytes(data)))
    bad = both(paths)
    assert (bad["segment"], bad["what"]) == (file.name, "the CRC-32C does not match")


def test_what_is_not_signed_or_not_projected_stays(station, tmp_path):
    paths, _ = station
    report = archive(paths, "execution", tmp_path / "archive", keep=0, projected=100)
    assert "the store has not read it yet (records up to 100 are)" in report.stays
    for file in paths.checkpoints.glob("execution*"):
        file.unlink()
    assert "not signed yet" in archive(paths, "execution", tmp_path / "archive", keep=0).stays
    assert all(entry.last_seq <= 100 for entry in archived_segments(paths.journal / "execution").values())


def test_a_segment_that_does_not_verify_is_not_moved(station, tmp_path):
    paths, _ = station
    file = segment_files(paths.journal / "execution")[0]
    data = bytearray(file.read_bytes())
    data[500] ^= 1
    file.write_bytes(data)
    with pytest.raises(AuditError, match="nothing of it was archived"):
        archive(paths, "execution", tmp_path / "archive", keep=0)
    assert file.exists()
    assert not list((tmp_path / "archive" / "execution").glob("*.gz"))


class PowerCut(BaseException):
    """The process is gone at this call."""


@pytest.mark.parametrize("call", range(12))
def test_a_crash_at_any_step_loses_nothing_and_the_next_archive_repairs_it(station, tmp_path, monkeypatch, call):
    paths, _ = station
    journal = paths.journal / "execution"
    before = [stored.raw for stored in JournalReader(journal).stored()]
    left = [call]

    def crashing(act):
        def wrapped(*arguments, **named):
            if left[0] == 0:
                raise PowerCut
            left[0] -= 1
            return act(*arguments, **named)

        return wrapped

    with monkeypatch.context() as patched:
        for name in ("write_file", "append_line", "decompressed", "sync_folder"):
            patched.setattr(f"audit.archive.{name}", crashing(getattr(sys.modules["audit.archive"], name)))
        patched.setattr(Path, "unlink", crashing(Path.unlink))
        with pytest.raises(PowerCut):
            archive(paths, "execution", tmp_path / "archive", keep=0)
    assert [stored.raw for stored in JournalReader(journal).stored()] == before
    archive(paths, "execution", tmp_path / "archive", keep=0)
    assert [stored.raw for stored in JournalReader(journal).stored()] == before
    assert len(list(journal.glob("*.seg"))) == 1
    assert standalone(paths.root)[0] == 0


def test_half_a_line_in_the_manifest_counts_for_nothing(archived, tmp_path):
    paths, folder, before = archived
    manifest = paths.journal / "execution" / MANIFEST
    lines = manifest.read_bytes()
    manifest.write_bytes(lines + lines[:50])
    assert verify(paths.journal / "execution").events == len(before)
    archive(paths, "execution", folder, keep=0)
    assert verify(paths.journal / "execution").events == len(before)
    assert all(msgspec.json.decode(line) for line in manifest.read_bytes().splitlines())


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--to", __file__], "is a file"),
        (["--to", "DATA/journal/x"], "lies in the journal itself"),
        (["--to", "elsewhere", "--keep", "-1"], "--keep"),
        ([], "--to"),
    ],
)
def test_bad_input_is_one_sentence(station, arguments, sentence):
    paths, _ = station
    given = [each.replace("DATA", str(paths.root)) for each in arguments]
    command = [sys.executable, str(ROOT / "manage.py"), "audit", "archive", *given, "--data-dir", str(paths.root)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert sentence in done.stderr
