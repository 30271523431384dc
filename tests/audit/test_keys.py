import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from audit import keys
from audit.errors import AuditError
from audit.ring import KeyRing, key_id
from events.paths import DataPaths

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def paths(tmp_path):
    (tmp_path / "data").mkdir()
    found = DataPaths(tmp_path / "data")
    keys.create_missing(found)
    return found


def run(paths, *arguments):
    command = [sys.executable, str(ROOT / "manage.py"), "keys", *arguments, "--data-dir", str(paths.root)]
    return subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)


def test_private_files_are_nobody_elses(paths):
    assert stat.S_IMODE(paths.keys.stat().st_mode) == 0o700
    files = list(paths.keys.glob("*.key"))
    assert len(files) == len(keys.PURPOSES)
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    assert keys.create_missing(paths) == []


def test_another_user_cannot_read_a_key(tmp_path):
    file = next(paths_of(tmp_path).keys.glob("signing-*.key"))
    for each in (tmp_path, *tmp_path.parents[:2]):
        each.chmod(0o755)
    done = subprocess.run(
        ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "cat", str(file)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    assert "PRIVATE" not in done.stdout


def paths_of(folder):
    (folder / "data").mkdir(mode=0o755)
    found = DataPaths(folder / "data")
    keys.create_missing(found)
    return found


def test_a_key_that_others_may_read_is_not_used(paths):
    next(paths.keys.glob("signing-*.key")).chmod(0o644)
    with pytest.raises(AuditError, match="may be read by others"):
        keys.private_key(paths, "signing")


def test_a_rotation_chains_the_new_key_to_the_old_one_and_removes_its_private_half(paths):
    before = KeyRing.read(paths.keys).current("signing")
    old, new = keys.rotate(paths, "signing")
    ring = KeyRing.read(paths.keys)
    assert (before.key, ring.current("signing").key, ring.current("signing").by) == (old, new, old)
    assert not keys.private_file(paths, "signing", old).exists()
    assert old in ring.keys  # what it signed stays verifiable


def test_the_competitions_old_key_stays_and_is_backed_up_since_it_reads_what_was_sealed_to_it(paths, tmp_path):
    old, new = keys.rotate(paths, "competition")
    assert keys.private_file(paths, "competition", old).exists()
    assert [key_id(key.public_key()) for key in keys.private_keys(paths, "competition")] == [old, new]
    assert len(keys.private_keys(paths, "signing")) == 1
    names = keys.backup(paths, tmp_path / "backup", b"a long passphrase")
    assert {f"competition-{old}.key", f"competition-{new}.key"} <= set(names)


@pytest.mark.parametrize("line", range(4))
@pytest.mark.parametrize("field", ["key", "public", "created_ns", "previous", "by", "signature", "countersignature"])
def test_a_ring_that_was_changed_anywhere_does_not_hold(paths, line, field):
    keys.rotate(paths, "signing")
    file = paths.keys / "keyring.jsonl"
    lines = file.read_text().splitlines()
    at = (
        lines[line].find(f'"{field}":')
        + len(field)
        + 3
        + (0 if field == "created_ns" else 30 if field == "public" else 5)
    )
    letter = lines[line][at]
    other = "2" if letter == "1" else "1"
    lines[line] = lines[line][:at] + other + lines[line][at + 1 :]
    file.write_text("".join(f"{each}\n" for each in lines))
    with pytest.raises(AuditError, match="line"):
        KeyRing.read(paths.keys)


def test_a_backup_is_encrypted_and_restores_the_key(paths, tmp_path):
    phrase = tmp_path / "phrase"
    phrase.write_text("correct horse battery\n")
    done = run(paths, "backup", "--to", str(tmp_path / "usb"), "--passphrase-file", str(phrase))
    assert (done.returncode, done.stderr) == (0, "")
    file = next((tmp_path / "usb").glob("signing-*.key"))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert b"ENCRYPTED" in file.read_bytes()
    restored = serialization.load_pem_private_key(file.read_bytes(), b"correct horse battery")
    assert restored.sign(b"x") == keys.private_key(paths, "signing").sign(b"x")
    assert KeyRing.read(tmp_path / "usb").current("signing") is not None
    again = run(paths, "backup", "--to", str(tmp_path / "usb"), "--passphrase-file", str(phrase))
    assert again.returncode == 2
    assert "is there already" in again.stderr


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["backup"], "needs --to"),
        (["backup", "--to", "elsewhere"], "needs --passphrase-file"),
        (
            ["backup", "--to", "elsewhere", "--passphrase-file", "/nowhere"],
            "/nowhere cannot be read",
        ),
        (["forget"], "invalid choice"),
        (["rotate", "--purpose", "other"], "invalid choice"),
    ],
)
def test_bad_input_is_one_sentence(paths, arguments, sentence):
    done = run(paths, *arguments)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_without_keys_a_rotation_says_how_to_make_them(paths):
    shutil.rmtree(paths.keys)
    done = run(paths, "rotate")
    assert (done.returncode, "keys create" in done.stderr) == (2, True)


def test_no_private_key_is_ever_printed(paths):
    said = "".join(
        run(paths, *arguments).stdout for arguments in (["create"], ["list"], ["rotate"], ["list", "--json"])
    )
    assert "PRIVATE" not in said
    assert KeyRing.read(paths.keys).current("signing").key in said
