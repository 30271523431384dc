"""Prove that a record is under a signed checkpoint, or check such a proof."""

import sys
from pathlib import Path

import msgspec

from audit.arguments import Parser, sequence, writer_name
from audit.errors import AuditError
from audit.files import write_file
from audit.proofs import Proof, check, prove
from events.commandline import BadInputError, complain, existing

EXAMPLE = "audit prove 1234 --out proof.json   (then: manage.py audit prove --check proof.json --public-key FILE)"


def main(argv: list[str]) -> int:
    """Return 0, 1 if it cannot be proved or does not hold, 2 for a bad argument."""
    parser = Parser("audit prove", __doc__, EXAMPLE)
    parser.add_argument("seq", nargs="?", help="the record's sequence")
    parser.add_argument("--writer", default="execution", help="its journal (default: execution)")
    parser.add_argument("--out", type=Path, help="write the proof there (default: standard output)")
    parser.add_argument("--check", type=Path, metavar="FILE", help="check the proof in this file")
    parser.add_argument("--public-key", type=Path, help="with --check: the signing key that you trust (PEM)")
    try:
        given = parser.parse_args(argv)
        if given.check is not None:
            return _check(given.check, given.public_key)
        paths = existing(given.data_dir)
        writer, seq = writer_name(paths, given.writer), sequence("SEQ", given.seq or "")
    except BadInputError as error:
        return complain(error)
    try:
        found = msgspec.json.format(msgspec.json.encode(prove(paths, writer, seq)), indent=2) + b"\n"
    except AuditError as error:
        return complain(error, 1)
    if given.out is None:
        sys.stdout.write(found.decode())
        return 0
    try:
        write_file(given.out.absolute(), found, mode=0o644)
    except OSError as error:
        return complain(BadInputError(f"--out = {given.out} cannot be written: {error.strerror}"))
    return 0


def _check(file: Path, public_key: Path | None) -> int:
    try:
        proof = msgspec.json.decode(file.read_bytes(), type=Proof)
        trusted = public_key.read_bytes() if public_key else None
    except OSError as error:
        raise BadInputError(f"{error.filename} cannot be read: {error.strerror}") from error
    except msgspec.DecodeError as error:
        raise BadInputError(f"--check = {file} is no proof: {error}") from error
    try:
        sys.stdout.write(f"HOLDS: {check(proof, trusted)}\n")
    except (AuditError, msgspec.DecodeError) as error:
        return complain(AuditError(f"DOES NOT HOLD: {error}"), 1)
    if public_key is None:
        sys.stdout.write("The key is the proof's own; give --public-key with one that you trust.\n")
    return 0
