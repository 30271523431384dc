import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from audit import keys
from audit.checkpoints import check_chain, last_checkpoint, read_checkpoints, read_lines
from audit.errors import AuditError
from audit.ring import KeyRing
from audit.signer import Signer, sign_rest
from audit.signing import state_path, tree_path
from audit.verification import verify_data_directory
from events.journal import JournalWriter
from events.paths import DataPaths
from tests.audit.signed import append, change

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def paths(tmp_path):
    found = DataPaths(tmp_path / "data")
    found.root.mkdir(mode=0o700)
    keys.create_missing(found)
    return found


def journal(paths, writer="execution"):
    return JournalWriter(paths.journal / writer, writer, "run", segment_bytes=12_000)


def sign_all(paths, copies=None):
    return sign_rest(paths, copies)


def holds(paths, writer="execution"):
    """The chain of checkpoints holds, and each root is the journal's."""
    good, bad = check_chain(read_lines(paths, writer), writer, KeyRing.read(paths.keys))
    assert bad is None
    assert verify_data_directory(paths)["ok"]
    return good


def test_nothing_that_is_not_durable_is_signed(paths):
    record = journal(paths)
    append(record, 3)
    record.append([("TimerEvent", "x", None, None, b"{}")])
    assert sign_all(paths) == []
    assert last_checkpoint(paths, "execution").tree_size == record.durable_seq + 1 < record.seq + 1
    record.close()
    sign_all(paths)
    assert [each.tree_size for each in holds(paths)] == [record.seq, record.seq + 1]


def test_two_signers_never_work_on_one_record(paths):
    first = Signer(paths)
    with pytest.raises(AuditError, match="another signer"):
        Signer(paths)
    first.close()
    Signer(paths).close()


def test_a_rotated_key_signs_from_then_on_and_the_old_checkpoints_hold(paths):
    record, signer = journal(paths), Signer(paths)
    append(record, 2)
    signer.step()
    old, new = keys.rotate(paths, "signing")
    append(record, 2)
    signer.step()
    signer.close()
    record.close()
    assert [each.key for each in holds(paths)] == [old, new]


REFUSALS = {
    "a rewritten record": lambda paths: change(
        paths, lambda raws: [*raws[:-1], raws[-1].replace(b'_ns":1', b'_ns":2')], segment=-1
    ),
    "a shorter journal": lambda paths: change(paths, lambda raws: raws[:1], segment=-1),
    "checkpoints taken away": lambda paths: (paths.checkpoints / "execution.jsonl").unlink(),
    "a damaged state": lambda paths: state_path(paths, "execution").write_bytes(b"{}"),
    "no state and another journal": lambda paths: (
        state_path(paths, "execution").unlink(),
        change(paths, lambda raws: [raws[0].replace(b'_ns":1', b'_ns":2'), *raws[1:]], segment=0),
    ),
}


@pytest.mark.parametrize("what", REFUSALS)
def test_what_does_not_extend_the_signed_record_is_refused_and_the_other_journal_goes_on(paths, what, caplog):
    for writer in ("execution", "station"):
        record = journal(paths, writer)
        append(record, 30)
        sign_all(paths)
        append(record, 30)
        record.close()
    sign_all(paths)
    before = [each.number for each in read_checkpoints(paths, "station")]
    REFUSALS[what](paths)
    record = journal(paths, "station")
    append(record, 2)
    record.close()
    with caplog.at_level("CRITICAL"):
        assert sign_all(paths) == ["execution"]
    assert "journal execution" in caplog.text
    assert [each.number for each in read_checkpoints(paths, "station")] == [*before, before[-1] + 1]


def test_new_records_that_do_not_continue_the_signed_ones_are_refused(paths):
    record = journal(paths)
    append(record, 10)
    record.close()
    signer = Signer(paths)
    signer.step()
    other = DataPaths(paths.root / "other")
    forged = JournalWriter(other.journal / "execution", "execution", "forged", segment_bytes=12_000)
    append(forged, 30)
    forged.close()
    shutil.rmtree(paths.journal / "execution")
    shutil.move(other.journal / "execution", paths.journal / "execution")
    assert not signer.step()
    assert signer.refused == ["execution"]
    signer.close()


def test_state_and_tree_are_made_again_when_they_are_gone(paths):
    record = journal(paths)
    append(record, 20)
    sign_all(paths)
    tree = tree_path(paths, "execution").read_bytes()
    for file in (state_path(paths, "execution"), tree_path(paths, "execution")):
        file.unlink()
    append(record, 1)
    record.close()
    assert sign_all(paths) == []
    assert tree_path(paths, "execution").read_bytes()[: len(tree)] == tree
    assert [each.number for each in holds(paths)] == [0, 1]


def test_a_wrong_tree_is_made_again(paths):
    record = journal(paths)
    append(record, 20)
    sign_all(paths)
    file = tree_path(paths, "execution")
    tree = file.read_bytes()
    file.write_bytes(bytes(len(tree)))
    append(record, 1)
    record.close()
    assert sign_all(paths) == []
    assert file.read_bytes()[: len(tree)] == tree


@pytest.mark.parametrize("cut", ["state only", "half a line", "no trailing newline"])
def test_a_kill_between_state_and_line_is_repaired_without_a_fork(paths, cut):
    record = journal(paths)
    append(record, 5)
    sign_all(paths)
    append(record, 5)
    record.close()
    sign_all(paths)
    file = paths.checkpoints / "execution.jsonl"
    whole = file.read_bytes()
    lines = whole.splitlines(keepends=True)
    file.write_bytes({"state only": lines[0], "half a line": whole[:-200], "no trailing newline": whole[:-1]}[cut])
    assert sign_all(paths) == []
    assert file.read_bytes() == whole
    holds(paths)


def test_copies_are_made_caught_up_and_never_overwritten(paths, tmp_path, caplog):
    away = tmp_path / "usb"
    record, signer = journal(paths), Signer(paths, away)
    append(record, 4)
    signer.step()
    with caplog.at_level("WARNING"):
        signer.copy()
    assert "usb" in caplog.text
    append(record, 4)
    signer.step()
    away.mkdir()
    signer._copy_again = 0.0
    signer.copy()
    assert (away / "execution.jsonl").read_bytes() == (paths.checkpoints / "execution.jsonl").read_bytes()
    assert KeyRing.read(away).lines == KeyRing.read(paths.keys).lines
    assert list(away.glob("signing-*.pub"))
    assert not list(away.glob("*.key"))
    (away / "execution.jsonl").write_bytes(b"another's\n")
    append(record, 4)
    signer.step()
    signer.copy()
    assert (away / "execution.jsonl").read_bytes() == b"another's\n"
    assert signer._metrics.gauge("copies_away").value == 0 or not signer._copied
    signer.close()
    record.close()


def start(paths):
    command = [sys.executable, str(ROOT / "manage.py"), "signer", "--data-dir", str(paths.root)]
    return subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


def test_killed_at_random_points_it_neither_loses_nor_forks_a_checkpoint(paths):
    """kill -9 in a loop while a journal grows: what was once published stays, and the chain goes on from it."""
    record, draw = journal(paths), random.Random(5)
    published: list[bytes] = []
    for _ in range(6):
        process = start(paths)
        until = time.monotonic() + 60
        while len(read_lines(paths, "execution")) <= len(published):
            assert time.monotonic() < until, "the signer signs nothing"
            append(record, 3, record.seq)
            time.sleep(0.01)
        for _ in range(draw.randrange(12)):
            append(record, 3, record.seq)
            time.sleep(draw.random() * 0.2)
        process.send_signal(signal.SIGKILL)
        process.wait()
        lines = read_lines(paths, "execution")
        assert lines[: len(published)] == published
        published = lines
    record.close()
    process = start(paths)
    while last_checkpoint(paths, "execution").tree_size <= record.seq:
        time.sleep(0.05)
    process.terminate()
    assert process.wait(timeout=30) == 0
    assert holds(paths)[-1].tree_size == record.seq + 1


def test_a_clean_stop_signs_what_is_left(paths):
    record = journal(paths)
    append(record, 3)
    process = start(paths)
    while last_checkpoint(paths, "execution") is None:
        time.sleep(0.05)
    append(record, 50)
    process.terminate()
    assert process.wait(timeout=30) == 0
    record.close()
    assert last_checkpoint(paths, "execution").tree_size == record.seq + 1


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [(["--data-dir", "/nowhere"], "--data-dir = /nowhere"), (["--checkpoint-dir", __file__], "is a file")],
)
def test_bad_input_is_one_sentence(paths, arguments, sentence):
    command = [sys.executable, str(ROOT / "manage.py"), "signer", "--data-dir", str(paths.root), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert sentence in done.stderr


def test_a_beat_names_what_is_signed(paths):
    record, signer = journal(paths), Signer(paths)
    append(record, 3)
    signer.step()
    append(record, 3)
    signer._beat()  # without a bus it only counts
    numbers = signer._metrics.snapshot()
    assert numbers["signed_seq_execution"] == last_checkpoint(paths, "execution").tree_size - 1
    assert numbers["unsigned_records"] == 6
    signer.close()
    record.close()
