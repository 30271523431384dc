"""`keys`: the station's Ed25519 keys (signing, approvals, competition, models); create, rotate, back up.

Below ``DATA/keys`` (0700): ``PURPOSE-ID.key`` (PKCS8 PEM, 0600), ``PURPOSE-ID.pub`` (PEM) and the ring of all public
keys (audit/ring.py), whose newest entry of a purpose is its current key.
"""

import fcntl
import getpass
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from audit.arguments import Parser, print_json
from audit.errors import AuditError
from audit.files import append_line, make_private, write_file
from audit.ring import RING, KeyRing, key_id, new_entry, public_pem
from events.commandline import BadInputError, complain, existing
from events.paths import DataPaths

PURPOSES = ("signing", "approvals", "competition", "models")
READING = frozenset({"competition"})
"""Purposes whose old private keys are kept, and backed up: they read what was sealed to them."""
SHORTEST_PASSPHRASE = 12
EXAMPLE = "keys backup --to /media/usb/station-keys --passphrase-file phrase.txt"


def create_missing(paths: DataPaths) -> list[str]:
    """Make a key for each purpose that has none; return these purposes.

    Raises
    ------
    AuditError
        if the ring does not hold.
    OSError
        if the folder cannot be written.
    """
    make_private(paths.keys)
    with _locked(paths):
        ring = KeyRing.read(paths.keys)
        missing = [purpose for purpose in PURPOSES if ring.current(purpose) is None]
        for purpose in missing:
            key = Ed25519PrivateKey.generate()
            ring = _add(paths, ring, purpose, key, signer=key)
    return missing


def rotate(paths: DataPaths, purpose: str) -> tuple[str, str]:
    """Replace a purpose's key by a new one that the old one signs; return the ids of both.

    The old private key is removed afterwards: nobody shall sign with it any more. Its public half stays in the ring.
    The competition's stays too: what was sealed to it can be read with nothing else.

    Raises
    ------
    AuditError
        if there is no key to replace, or it cannot be read.
    """
    with _locked(paths):
        ring = KeyRing.read(paths.keys)
        old = private_key(paths, purpose, ring)
        _add(paths, ring, purpose, Ed25519PrivateKey.generate(), signer=old)
        fresh = KeyRing.read(paths.keys).current(purpose)
    old_id = key_id(old.public_key())
    if purpose not in READING:
        private_file(paths, purpose, old_id).unlink()
    return old_id, fresh.key if fresh else ""


def private_key(paths: DataPaths, purpose: str, ring: KeyRing | None = None) -> Ed25519PrivateKey:
    """Return a purpose's current private key.

    Raises
    ------
    AuditError
        if there is none, it cannot be read, or others may read it.
    """
    current = (ring or KeyRing.read(paths.keys)).current(purpose)
    if current is None:
        raise AuditError(f"{paths.keys} has no {purpose} key; make one with `manage.py keys create`")
    return _read_private(paths, purpose, current.key)


def private_keys(paths: DataPaths, purpose: str, ring: KeyRing | None = None) -> list[Ed25519PrivateKey]:
    """Return a purpose's private keys that are of use, oldest first: the current one; of the competition all.

    Raises
    ------
    AuditError
        as ``private_key``; an empty list where the purpose has none.
    """
    entries = [entry for entry in (ring or KeyRing.read(paths.keys)).entries if entry.purpose == purpose]
    return [_read_private(paths, purpose, entry.key) for entry in (entries if purpose in READING else entries[-1:])]


def _read_private(paths: DataPaths, purpose: str, identity: str) -> Ed25519PrivateKey:
    file = private_file(paths, purpose, identity)
    try:
        if file.stat().st_mode & 0o077:
            raise AuditError(f"{file} may be read by others; chmod 600 it, and rotate it if anybody did")
        key = serialization.load_pem_private_key(file.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:
        raise AuditError(f"{file} cannot be read ({error}); restore it from a backup") from error
    if not isinstance(key, Ed25519PrivateKey) or key_id(key.public_key()) != identity:
        raise AuditError(f"{file} is not the private half of key {identity}; restore it from a backup")
    return key


def backup(paths: DataPaths, folder: Path, passphrase: bytes) -> list[str]:
    """Write every private key that is still of use, encrypted (PKCS8), and the public ring; return the files' names.

    Raises
    ------
    AuditError
        if a key cannot be read or a file of that name is there.
    """
    ring = KeyRing.read(paths.keys)
    encryption = serialization.BestAvailableEncryption(passphrase)
    files: dict[str, bytes] = {RING: b"".join(line + b"\n" for line in ring.lines)}
    for purpose in PURPOSES:
        for key in private_keys(paths, purpose, ring):
            name = f"{purpose}-{key_id(key.public_key())}"
            pkcs8 = serialization.PrivateFormat.PKCS8
            files[f"{name}.key"] = key.private_bytes(serialization.Encoding.PEM, pkcs8, encryption)
            files[f"{name}.pub"] = public_pem(key.public_key())
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # one that is there keeps its mode: a medium's is not ours
    taken = [name for name in files if name != RING and (folder / name).exists()]
    if taken:
        raise AuditError(f"{folder / taken[0]} is there already; give a folder without this backup")
    for name, content in files.items():
        write_file(folder / name, content)
    return sorted(files)


def private_file(paths: DataPaths, purpose: str, key: str) -> Path:
    """Return where a private key lies."""
    return paths.keys / f"{purpose}-{key}.key"


def _add(
    paths: DataPaths, ring: KeyRing, purpose: str, key: Ed25519PrivateKey, *, signer: Ed25519PrivateKey
) -> KeyRing:
    """Write both halves, then the ring's line: a key counts only once the ring has it."""
    identity = key_id(key.public_key())
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    write_file(private_file(paths, purpose, identity), pem)
    write_file(paths.keys / f"{purpose}-{identity}.pub", public_pem(key.public_key()), mode=0o644)
    file = paths.keys / RING
    if file.exists() and not file.read_bytes().endswith(b"\n"):  # what an interrupted write left counts for nothing
        write_file(file, b"".join(line + b"\n" for line in ring.lines), mode=0o644)
    append_line(file, new_entry(ring, purpose, key, signer, time.time_ns()), mode=0o644)
    return KeyRing.read(paths.keys)


@contextmanager
def _locked(paths: DataPaths) -> Iterator[None]:
    """Keep a second process from changing the ring."""
    if not paths.keys.is_dir():
        raise AuditError(f"{paths.keys} is not there; make the keys with `manage.py keys create`")
    handle = os.open(paths.keys / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def main(argv: list[str]) -> int:
    """Create, rotate, back up or list the keys; return 0, 1 or 2."""
    parser = Parser("keys", __doc__, EXAMPLE)
    parser.add_argument("what", choices=("create", "rotate", "backup", "list"), help="list shows the public keys")
    parser.add_argument("--purpose", choices=PURPOSES, default="signing", help="which key to rotate (default: signing)")
    parser.add_argument("--to", type=Path, help="backup: a folder outside the data directory")
    parser.add_argument("--passphrase-file", type=Path, help="backup: a file whose first line encrypts the keys")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    try:
        given = parser.parse_args(argv)
        paths = existing(given.data_dir)
        found = _do(paths, given.what, given.purpose, given.to, given.passphrase_file)
    except (BadInputError, AuditError) as error:
        return complain(error)
    except OSError as error:
        return complain(AuditError(f"{error.filename}: {error.strerror}; give a folder that can be written"))
    if given.json:
        print_json(found)
    else:
        sys.stdout.write("".join(f"{name}: {value}\n" for name, value in found.items()))
    return 0


def _do(paths: DataPaths, what: str, purpose: str, folder: Path | None, phrase: Path | None) -> dict[str, str]:
    if what == "create":
        made = create_missing(paths)
        return {"created": ", ".join(made) or "nothing: every purpose has its key", **_list(paths)}
    if what == "rotate":
        old, new = rotate(paths, purpose)
        return {"purpose": purpose, "old": f"{old} (its private half is removed)", "new": new}
    if what == "backup":
        if folder is None:
            raise BadInputError("keys backup needs --to FOLDER, on another disk than the data directory's")
        return {"folder": str(folder), "files": ", ".join(backup(paths, folder.absolute(), _passphrase(phrase)))}
    return _list(paths)


def _list(paths: DataPaths) -> dict[str, str]:
    ring = KeyRing.read(paths.keys)
    current = [entry for purpose in PURPOSES if (entry := ring.current(purpose)) is not None]
    return {entry.purpose: f"{entry.key} ({paths.keys / f'{entry.purpose}-{entry.key}.pub'})" for entry in current}


def _passphrase(file: Path | None) -> bytes:
    if file is not None:
        try:
            phrase = file.read_bytes().split(b"\n")[0]
        except OSError as error:
            raise BadInputError(f"--passphrase-file = {file} cannot be read: {error.strerror}") from error
    elif sys.stdin.isatty():
        phrase = getpass.getpass("Passphrase for the backup: ").encode()
        if getpass.getpass("The same again: ").encode() != phrase:
            raise BadInputError("the two passphrases differ; type the same twice")
    else:
        raise BadInputError("keys backup needs --passphrase-file FILE where there is no terminal to ask at")
    if len(phrase) < SHORTEST_PASSPHRASE:
        raise BadInputError(f"the passphrase must have at least {SHORTEST_PASSPHRASE} characters, not {len(phrase)}")
    return phrase
