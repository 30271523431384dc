import json
import subprocess
import sys
import zipfile
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audit.bundle import export
from audit.errors import AuditError
from audit.proofs import Proof, check, prove
from audit.verification import verify_data_directory
from events.journal import JournalReader, JournalWriter
from tests.audit.signed import append, change, standalone

ROOT = Path(__file__).resolve().parents[2]


def manage(paths, *arguments):
    command = [sys.executable, str(ROOT / "manage.py"), "audit", *map(str, arguments), "--data-dir", str(paths.root)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@given(seq=st.integers(0, 176))
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_record_is_proved_by_its_own_bytes(signed_station, seq):
    paths, _ = signed_station
    proof = prove(paths, "execution", seq)
    assert proof.raw.encode() == JournalReader(paths.journal / "execution").get(seq).raw
    assert f"record {seq} of journal execution" in check(proof, next(paths.keys.glob("signing-*.pub")).read_bytes())


@pytest.mark.parametrize("field", ["raw", "record_hash", "root", "checkpoint", "path", "seq", "tree_size", "writer"])
def test_a_changed_proof_does_not_hold(signed_station, field):
    paths, _ = signed_station
    proof = prove(paths, "execution", 30)
    value = getattr(proof, field)
    other = {
        "raw": lambda: value.replace('_ns":1', '_ns":2'),
        "checkpoint": lambda: value.replace('"number":9', '"number":8'),
        "path": lambda: [value[1], value[0], *value[2:]],
        "seq": lambda: 31,
        "tree_size": lambda: value - 1,
        "writer": lambda: "station",
    }.get(field, lambda: value[::-1])()
    with pytest.raises(AuditError):
        check(msgspec.structs.replace(proof, **{field: other}))


def test_another_key_than_the_trusted_one_is_refused(signed_station):
    paths, _ = signed_station
    with pytest.raises(AuditError, match="more than one key"):
        check(prove(paths, "execution", 3), next(paths.keys.glob("approvals-*.pub")).read_bytes())


def test_what_is_not_there_or_not_signed_yet_is_said(station):
    paths, _ = station
    with pytest.raises(AuditError, match="has no record 9999"):
        prove(paths, "execution", 9999)
    record = JournalWriter(paths.journal / "execution", "execution", "run", segment_bytes=12_000)
    append(record, 1)
    record.close()
    with pytest.raises(AuditError, match="is not signed yet"):
        prove(paths, "execution", record.seq)


def test_a_changed_record_cannot_be_proved(station):
    paths, _ = station
    first, _ = change(paths, lambda raws: [*raws[:3], raws[3].replace(b'_ns":1', b'_ns":2'), *raws[4:]])
    with pytest.raises(AuditError, match="does not lead to the root"):
        prove(paths, "execution", first + 3)


@pytest.mark.parametrize("ends", [(0, 0), (0, 176), (7, 7), (33, 98), (90, 120)])
def test_a_bundle_proves_itself(signed_station, tmp_path, ends):
    paths, kept = signed_station
    bundle = export(paths, "execution", *ends, tmp_path / "bundle.zip")
    assert standalone(bundle) == (0, None)
    assert standalone(bundle, "--checkpoint-dir", kept, "--public-key", next(kept.glob("signing-*.pub"))) == (0, None)
    folder = tmp_path / "unpacked"
    zipfile.ZipFile(bundle).extractall(folder)
    done = subprocess.run(
        [sys.executable, "-I", "verifier.py", "."], cwd=folder, capture_output=True, text=True, check=False
    )
    assert (done.returncode, "VERIFIED" in done.stdout) == (0, True)


def tampered(bundle, folder, name, act):
    zipfile.ZipFile(bundle).extractall(folder)
    (folder / name).write_bytes(act((folder / name).read_bytes()))
    return standalone(folder)


@pytest.mark.parametrize(
    ("name", "act", "what"),
    [
        ("records.seg", lambda data: data.replace(b'_ns":1', b'_ns":2', 1), "the CRC-32C does not match"),
        ("records.seg", lambda data: data[: len(data) // 2], "broken"),
        ("checkpoint.jsonl", lambda data: data.replace(b'"number":', b'"number":1'), "signature"),
        ("bundle.json", lambda data: data.replace(b'"path": [', b'"path": ["' + b"00" * 32 + b'",'), "not those that"),
        ("bundle.json", lambda data: data.replace(b'"to_seq": 120', b'"to_seq": 121'), "the bundle ends before"),
        ("keyring.jsonl", lambda data: data.replace(b'"created_ns":1', b'"created_ns":2', 1), "line 1"),
    ],
)
def test_a_changed_bundle_does_not_hold(signed_station, tmp_path, name, act, what):
    paths, _ = signed_station
    bundle = export(paths, "execution", 90, 120, tmp_path / "bundle.zip")
    code, bad = tampered(bundle, tmp_path / "unpacked", name, act)
    assert code == 1
    assert what in bad["what"] or what == "broken"


def test_a_bundle_of_another_station_is_none_of_the_kept_checkpoints(signed_station, tmp_path):
    paths, _ = signed_station
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "execution.jsonl").write_bytes(b"")
    code, bad = standalone(export(paths, "execution", 1, 2, tmp_path / "b.zip"), "--checkpoint-dir", tmp_path / "kept")
    assert (code, "is not among the kept ones" in bad["what"]) == (1, True)


def test_the_commands(signed_station, tmp_path):
    paths, kept = signed_station
    proof, bundle = tmp_path / "proof.json", tmp_path / "bundle.zip"
    assert manage(paths, "prove", 12, "--out", proof).returncode == 0
    assert msgspec.json.decode(proof.read_bytes(), type=Proof).seq == 12
    checked = manage(paths, "prove", "--check", proof, "--public-key", next(kept.glob("signing-*.pub")))
    assert (checked.returncode, "HOLDS" in checked.stdout) == (0, True)
    proof.write_text(proof.read_text().replace("_ns", "_nt", 1))
    assert manage(paths, "prove", "--check", proof).returncode == 1
    assert manage(paths, "export", "--from", 3, "--to", 9, "--out", bundle).returncode == 0
    assert manage(paths, "export", "--from", 3, "--to", 9, "--out", bundle).returncode == 1
    found = json.loads(manage(paths, "verify", "--json", "--checkpoint-dir", kept).stdout)
    assert (found["ok"], found["first_bad"], found["events"]) == (True, None, 360)
    assert found["checked_against"]["execution"]["tree_size"] == 180
    ranged = json.loads(manage(paths, "verify", "--writer", "execution", "--from", 50, "--to", 60, "--json").stdout)
    assert ranged["ok"]
    assert ranged["checked_against"]["execution"]["tree_size"] >= 60
    lines = manage(paths, "checkpoint", "--wait", 1).stdout.splitlines()
    assert [json.loads(line)["writer"] for line in lines] == ["execution", "station"]
    assert json.loads(manage(paths, "head", "--json").stdout)["station"]["seq"] == 179


@pytest.mark.parametrize(
    "arguments",
    [
        ("verify", "--from", "x"), ("verify", "--from", "5000"), ("verify", "--writer", "nobody"), ("prove",),
        ("verify", "--public-key", "/nowhere"), ("verify", "--public-key", __file__), ("prove", "-5"),
        ("verify", "--checkpoint-dir", "/nowhere"), ("export", "--from", "9", "--to", "3", "--out", "x"),
        ("checkpoint", "--wait", "0"), ("nonsense",), ("verify", "--data-dir", "/nowhere"),
        ("prove", "--check", __file__),
    ],
)  # fmt: skip
def test_bad_input_is_one_sentence_and_exit_code_2(signed_station, arguments):
    paths, _ = signed_station
    command = [sys.executable, str(ROOT / "manage.py"), "audit", *arguments]
    env = {"STATION_DATA_DIR": str(paths.root), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
    assert (done.returncode, len(done.stderr.splitlines()), done.stdout) == (2, 1, "")


def test_a_range_that_was_changed_is_located(station):
    paths, _ = station
    first, name = change(paths, lambda raws: [*raws[:-1], raws[-1].replace(b'_ns":1', b'_ns":2')], segment=1)
    found = verify_data_directory(paths, writer="execution", from_seq=first, to_seq=first + 3)
    assert (found["first_bad"]["segment"], "signed" in found["first_bad"]["what"]) == (name, True)


def test_help_lists_every_sub_command(signed_station):
    paths, _ = signed_station
    said = manage(paths, "--help").stdout
    assert all(name in said for name in ("head", "verify", "prove", "export", "checkpoint", "archive", "example"))
    for name in ("head", "verify", "prove", "export", "checkpoint", "archive"):
        assert "example" in manage(paths, name, "--help").stdout
