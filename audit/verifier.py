#!/usr/bin/env python3
"""Verify a record of the AI Trading Station with nothing but Python (3.11 or newer) and the package `cryptography`.

    python verifier.py DIR-OR-BUNDLE [--public-key FILE] [--checkpoint-dir DIR] [--json]

DIR is a station's data directory or an exported bundle, unpacked or as .zip. Exit code 0: everything holds; 1: the
first thing that does not hold is named; 2: the arguments cannot work. What is proved, and what is not, is in
docs/proofs.md. This file shares no code with the station, so that two implementations must agree.
"""

import argparse
import base64
import contextlib
import functools
import gzip
import hashlib
import importlib
import json
import re
import struct
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

FRAME = struct.Struct("<II")  # length and CRC-32C of the bytes that follow
ZEROS = "0" * 64  # previous hash of a first record, checkpoint or key
SECTOR = 512
HASH = 32
RING = "keyring.jsonl"
NOT_CONTINUED = "the previous hash is not that of the record before"
PREV = re.compile(rb',"prev":"([0-9a-f]{64})"\}')
FIELDS = ["writer", "run", "seq", "utc_ns", "mono_ns", "type", "agent_id", "confidence", "competitive_score", "left"]
FIELDS += ["payload", "prev"]
Fields = dict[str, Any]
Ring = tuple[dict[str, Ed25519PublicKey], list[str]]  # key id to key, and the ids of the signing keys in order


class RefusedError(Exception):
    """The arguments cannot work."""


class Bad(Exception):  # noqa: N818 - what it is, not an error of this program
    """The first thing that does not hold."""

    def __init__(self, writer: str, seq: int, segment: str, what: str) -> None:
        super().__init__(f"journal {writer}, record {seq}, {segment}: {what}")
        self.found = {"writer": writer, "seq": seq, "segment": segment, "what": what}
        self.seq, self.segment, self.what = seq, segment, what


CRC_TABLE = list(range(256))
for _ in range(8):
    CRC_TABLE = [crc >> 1 ^ (0x82F63B78 if crc & 1 else 0) for crc in CRC_TABLE]


def _crc32c_slowly(data: bytes) -> int:
    """CRC-32C (Castagnoli) of RFC 3720, a byte at a time."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = CRC_TABLE[(crc ^ byte) & 255] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


crc32c: Callable[[bytes], int] = _crc32c_slowly
with contextlib.suppress(ImportError):  # the same by the processor's instruction, where that package happens to be
    crc32c = importlib.import_module("crc32c").crc32c


def sha256(data: bytes) -> bytes:
    """Return the 32 bytes of a SHA-256."""
    return hashlib.sha256(data).digest()


# --- Merkle tree, RFC 9162 section 2.1; leaf data is the record's 32-byte hash


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return an inner node's hash, from its two children's."""
    return sha256(b"\1" + left + right)


def leaf_hash(record_hash: bytes) -> bytes:
    """Return a leaf's hash, from its record's."""
    return sha256(b"\0" + record_hash)


class Tree:
    """Size and roots of the complete subtrees, largest first: all that is needed to append."""

    def __init__(self, peaks: Sequence[bytes] = ()) -> None:
        self.size, self.peaks = 0, list(peaks)

    def append(self, leaf: bytes) -> None:
        size = self.size
        while size & 1:
            leaf = node_hash(self.peaks.pop(), leaf)
            size >>= 1
        self.peaks.append(leaf)
        self.size += 1

    def root(self) -> bytes:
        return functools.reduce(lambda right, left: node_hash(left, right), reversed(self.peaks))


def root_of_range(leaves: list[bytes], start: int, size: int, path: list[bytes]) -> bytes:
    """Root of `size` leaves, given the leaf hashes from `start` on and the hashes beside them, left to right."""
    end, beside = start + len(leaves), iter(path)

    def visit(low: int, high: int) -> bytes:
        if high <= start or low >= end:
            return next(beside)
        if high - low == 1:
            return leaves[low - start]
        middle = low + (1 << (high - low - 1).bit_length() - 1)
        left = visit(low, middle)
        return node_hash(left, visit(middle, high))

    root = visit(0, size)
    if next(beside, None) is not None:
        raise StopIteration
    return root


# --- frames and chain of one segment


class Segment:
    """What a segment's bytes hold: the records' hashes, how many are in whole batches, and what does not hold."""

    def __init__(self, data: bytes, writer: str, name: str, first: int, prev: str) -> None:
        self.hashes: list[bytes] = []
        self.whole, self.rest = 0, b""
        self.bad: Bad | None = None
        at, left = 0, 0
        while at + 8 <= len(data):
            length, crc = FRAME.unpack_from(data, at)
            raw = data[at + 8 : at + 8 + length]
            if not length or len(raw) != length or crc32c(raw) != crc:
                break
            seq, what = first + len(self.hashes), ""
            try:
                what, left = follow(raw, writer, seq, prev, left)
            except (ValueError, KeyError, TypeError) as error:
                what = f"not a record: {error}"
            if what:
                self.bad = Bad(writer, seq, name, what)
                return
            self.hashes.append(sha256(raw))
            prev, at = self.hashes[-1].hex(), at + 8 + length
            self.whole = self.whole if left else len(self.hashes)
        self.rest = data[at:].strip(b"\0")
        what = broken_frame(data, at, writer) if self.rest else ""
        if what:
            self.bad = Bad(writer, first + len(self.hashes), name, what)


def follow(raw: bytes, writer: str, seq: int, prev: str, left: int) -> tuple[str, int]:
    """Return (what keeps a record from being the next one, how many of its batch are still to come)."""
    record = json.loads(raw)
    found, of_batch = record["seq"], int(record["left"])
    if record["writer"] != writer:
        return f"written by {record['writer']!r}", 0
    if found != seq:
        return f"sequence {found} where {seq} belongs", 0
    if prev and record["prev"] != prev:
        return NOT_CONTINUED, 0
    if of_batch < 0 or (left and of_batch != left - 1):
        return f"{of_batch} left in its batch where {left - 1} belongs", 0
    if list(record) != FIELDS or not raw.startswith(magic(writer)) or not PREV.fullmatch(raw[-75:]):
        return "the record is not in the form in which the station writes it", 0
    return "", of_batch


def magic(writer: str) -> bytes:
    """Return the bytes with which every record of a writer begins."""
    return b'{"writer":' + json.dumps(writer).encode() + b',"run":'


def broken_frame(data: bytes, at: int, writer: str) -> str:
    """Say what is wrong with the frame at an offset, or "" if an interrupted write explains it.

    Records hold no NUL byte and segments are zeroed before they are written: what a crash did not write is still zero.
    """
    body = at + 8
    if body > len(data):
        return ""
    length, crc = FRAME.unpack_from(data, at)
    end = body + length
    if length and end <= len(data) and data.find(b"\0", body, end) < 0:
        return "the CRC-32C does not match"
    following = valid_frames(data, body, writer)
    text_end = data.find(b"\0", body)
    text_end = len(data) if text_end < 0 else text_end
    if following:
        text_end = min(text_end, following[0][0])
    headless = lost(data, at, at)
    joined = bool(following) and text_end == following[0][0]
    if not headless and text_end > body and (joined or crc32c(data[body:text_end]) == crc):
        return "the length does not match"
    if any(not left for _, left in following[:-1]):
        return "the frame is broken and later batches follow"
    return "" if headless or lost(data, at, text_end) else "the frame is broken in the middle of its bytes"


def lost(data: bytes, frame: int, at: int) -> bool:
    """Whether the sector of an offset holds nothing of the frame, or nothing at all follows the offset."""
    sector = at - at % SECTOR
    return not data[at:].strip(b"\0") or not data[max(frame, sector) : sector + SECTOR].strip(b"\0")


def valid_frames(data: bytes, offset: int, writer: str) -> list[tuple[int, int]]:
    """Return (offset, records of its batch still to come) of every whole frame behind an offset."""
    begin, found = magic(writer), []
    at = data.find(begin, offset + 8)
    while at >= 0:
        length, crc = FRAME.unpack_from(data, at - 8)
        raw = data[at : at + length]
        if length and len(raw) == length and crc32c(raw) == crc:
            found.append((at - 8, json.loads(raw)["left"]))
        at = data.find(begin, at + 1)
    return found


# --- keys and checkpoints


def lines_of(file: Path) -> list[bytes]:
    """Whole lines; what an interrupted write left behind the last newline counts for nothing."""
    return file.read_bytes().split(b"\n")[:-1] if file.is_file() else []


def compact(fields: Fields) -> bytes:
    """Return the JSON that is signed: no spaces, fields in their order."""
    return json.dumps(fields, separators=(",", ":"), ensure_ascii=False).encode()


def load_key(pem: bytes) -> tuple[str, Ed25519PublicKey]:
    """Return a public key with its id; ValueError if it is none."""
    key = serialization.load_pem_public_key(pem)
    if not isinstance(key, Ed25519PublicKey):
        raise ValueError("no Ed25519 key")  # noqa: TRY004 - of a file's content, not of an argument's type
    raw = key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return hashlib.sha256(raw).hexdigest()[:16], key


def signed_part(fields: Fields, *without: str) -> bytes:
    """Return what a signature is over: the fields without the signatures themselves."""
    return compact({name: value for name, value in fields.items() if name not in without})


def read_ring(folder: Path) -> Ring:
    """Return (key id to key, ids of signing keys in order); ValueError names the line that does not hold."""
    keys: dict[str, Ed25519PublicKey] = {}
    current: dict[str, str] = {}
    order: list[str] = []
    before = ZEROS
    for number, line in enumerate(lines_of(folder / RING)):
        where = f"{folder / RING} line {number + 1}"
        try:
            entry = json.loads(line)
            identity, key = load_key(entry["public"].encode())
            older = current.get(entry["purpose"], identity)
            if (entry["key"], entry["by"], entry["previous"]) != (identity, older, before):
                raise ValueError("it does not continue the line before")  # noqa: TRY301 - one place says where
            content = signed_part(entry, "signature", "countersignature")
            keys[identity] = key
            keys[older].verify(base64.b64decode(entry["signature"]), content)
            key.verify(base64.b64decode(entry["countersignature"]), content)
        except (ValueError, KeyError, TypeError, InvalidSignature) as error:
            raise ValueError(f"{where}: {error or 'a signature does not hold'}") from error
        current[entry["purpose"]], before = identity, hashlib.sha256(line).hexdigest()
        order += [identity] if entry["purpose"] == "signing" else []
    return keys, order


CHECKPOINT = ["writer", "number", "tree_size", "root", "head", "utc_ns", "previous", "key", "signature"]


def check_checkpoint(
    line: bytes, index: int | None, before: tuple[Fields, bytes] | None, writer: str, ring: Ring
) -> Fields:
    """Return a checkpoint's fields; ValueError says why it does not hold. `before` is (fields, line) or None."""
    keys, order = ring
    found = json.loads(line)
    if not isinstance(found, dict) or list(found) != CHECKPOINT or compact(found) != line:
        raise ValueError("it is not written as the signer writes it")
    last: Fields = before[0] if before else {"tree_size": 0, "key": ""}
    size, key = found["tree_size"], found["key"]
    older = order[: order.index(last["key"])] if before else []
    previous = hashlib.sha256(before[1]).hexdigest() if before else ZEROS
    for wrong, what in (
        (found["writer"] != writer, f"it is one of journal {found['writer']}"),
        (index is not None and found["number"] != index, f"it has number {found['number']}"),
        (index is not None and found["previous"] != previous, "it does not continue the checkpoint before"),
        (size <= last["tree_size"], f"its {size} records are not more than those of the checkpoint before"),
        (key in older, f"key {key} had been replaced by {last['key']} before"),
        (key not in order, f"its key {key} is not a signing key of the ring"),
    ):
        if wrong:
            raise ValueError(what)
    try:
        keys[key].verify(base64.b64decode(found["signature"]), signed_part(found, "signature"))
    except (InvalidSignature, ValueError):
        raise ValueError(f"its signature is not that of key {key}") from None
    return found


def read_checkpoints(
    lines: list[bytes], keys: Path, where: str, writer: str, public_key: str | None
) -> tuple[list[Fields], Bad | None]:
    """Return (checkpoints that hold, Bad or None)."""
    good: list[Fields] = []
    before: tuple[Fields, bytes] | None = None
    try:
        ring = read_ring(keys)
    except ValueError as error:
        return good, Bad(writer, 0, RING, str(error))
    if public_key is not None and public_key not in ring[1]:
        what = f"the key ring does not hold the public key given ({public_key}): these are another key's checkpoints"
        return good, Bad(writer, 0, RING, what)
    for index, line in enumerate(lines):
        try:
            before = (check_checkpoint(line, index, before, writer, ring), line)
        except (ValueError, TypeError) as error:
            size = good[-1]["tree_size"] if good else 0
            return good, Bad(writer, size, f"{where}/{writer}.jsonl", f"checkpoint {index}: {error}")
        good.append(before[0])
    return good, None


def anchors(root: Path, writer: str, public_key: str | None, kept: Path | None) -> tuple[list[Fields], Bad | None]:
    """Return the checkpoints that a journal is compared with, and what is wrong with the others."""
    ours = lines_of(root / "checkpoints" / f"{writer}.jsonl")
    own, own_bad = read_checkpoints(ours, root / "keys", "checkpoints", writer, None if kept else public_key)
    if kept is None:
        return own, own_bad
    lines = lines_of(kept / f"{writer}.jsonl")
    good, bad = read_checkpoints(lines, kept, str(kept), writer, public_key)
    rings = lines_of(root / "keys" / RING), lines_of(kept / RING)
    if bad is None and rings[0][: len(rings[1])] != rings[1]:
        bad = Bad(writer, 0, RING, "the key ring is not the kept one, continued")
    for index, line in enumerate(lines if bad is None else ()):
        if index >= len(ours) or ours[index] != line:
            what = f"checkpoint {index} is {'missing' if index >= len(ours) else 'not the kept one'}"
            size = good[index - 1]["tree_size"] if index else 0
            return good, Bad(writer, size, f"checkpoints/{writer}.jsonl", what)
    return (good + own[len(good) :], own_bad) if bad is None else (good, bad)


# --- a data directory


class Journal:
    """Verifies one journal of a data directory."""

    def __init__(self, root: Path, writer: str, checkpoints: list[Fields], bad: Bad | None) -> None:
        self.root, self.writer, self.waiting, self.rest = root, writer, list(checkpoints), bad
        self.tree, self.end, self.head = Tree(), 0, ZEROS
        self.held: Fields | None = None
        self.recent: list[tuple[int, list[bytes], str]] = []  # first sequence, hashes, name: since the checkpoint held

    def verify(self) -> None:
        segments = self.segments()
        for segment in segments:
            self.segment(segment, last=segment == segments[-1])
        if self.waiting:
            missing = self.waiting[0]
            what = f"the journal ends before record {missing['tree_size'] - 1}, which checkpoint {missing['number']}"
            raise self.bad(self.end, segments[-1].name if segments else "", f"{what} signed")
        if self.rest is not None:
            raise self.rest

    def segments(self) -> list[Path]:
        folder = self.root / "journal" / self.writer
        entries = [json.loads(line) for line in lines_of(folder / "archived.jsonl")]
        files = {f"{entry['first_seq']:020d}.seg": Path(entry["file"]) for entry in entries}
        files.update((file.name, file) for file in folder.glob("*.seg"))
        return [file for _, file in sorted(files.items())]

    def segment(self, file: Path, *, last: bool) -> None:
        data, name = segment_bytes(file), file.name
        first = int(name[:20]) if name[:20].isdecimal() else -1
        # As it names the hash before it: that link is looked at afterwards, when the records themselves are known.
        length = FRAME.unpack_from(data)[0] if len(data) > 8 else 0
        named = PREV.fullmatch(data[8 : 8 + length][-75:])
        prev = named.group(1).decode() if named else ""
        found = Segment(data, self.writer, name, first, prev)
        bad, hashes = found.bad, found.hashes
        if bad is None and (found.rest or found.whole < len(hashes)):
            if not last:
                bad = self.bad(first + len(hashes), name, "the segment ends inside a batch")
            else:  # an interrupted write's
                hashes = hashes[: found.whole]
        if first != self.end:
            what = f"the segment of record {self.end} is missing"
            raise self.pinned(self.end, name, what if self.end else "the journal does not begin with record 0")
        if hashes and prev != self.head:
            raise self.pinned(first, name, NOT_CONTINUED)
        if bad is None or bad.seq > first:
            self.grow(first, hashes, name)
        if bad is not None:
            raise self.pinned(bad.seq, name, bad.what)

    def grow(self, first: int, hashes: list[bytes], name: str) -> None:
        self.recent.append((first, hashes, name))
        for record_hash in hashes:
            self.tree.append(leaf_hash(record_hash))
            if self.waiting and self.waiting[0]["tree_size"] == self.tree.size:
                against = self.waiting[0]
                if (self.tree.root().hex(), record_hash.hex()) != (against["root"], against["head"]):
                    raise self.mismatch(against)
                self.held, self.recent = self.waiting.pop(0), [(first, hashes, name)]
        self.end = first + len(hashes)
        self.head = hashes[-1].hex() if hashes else self.head

    def mismatch(self, against: Fields) -> Bad:
        start = self.held["tree_size"] if self.held else 0
        seq = self.first_different(against)
        if seq is not None:
            return self.bad(
                seq, self.name_of(seq), f"the record is not the one that checkpoint {against['number']} signed"
            )
        what = f"records {start} to {against['tree_size'] - 1} are not those that checkpoint {against['number']} signed"
        return self.bad(start, self.name_of(start), what)

    def pinned(self, seq: int, name: str, what: str) -> Bad:
        """Ask the signer's tree: a record that was changed with its CRC is noticed only at the next one."""
        different = self.first_different(self.waiting[0]) if self.waiting else None
        if different is not None and different < seq:
            number = self.waiting[0]["number"]
            what = f"the record is not the one that checkpoint {number} signed"
            return self.bad(different, self.name_of(different), what)
        return self.bad(seq, name, what)

    def first_different(self, against: Fields) -> int | None:
        """First record since the last good checkpoint whose leaf is not the signer's, if its tree is the signed one."""
        file, size = self.root / "checkpoints" / f"{self.writer}.tree", against["tree_size"]
        if not file.is_file():
            return None
        with file.open("rb") as tree:

            def node(level: int, index: int) -> bytes:  # nodes lie in the order in which they become complete
                last = ((index + 1) << level) - 1
                tree.seek((2 * last - last.bit_count() + level) * HASH)
                return tree.read(HASH)

            start, peaks = 0, []
            for level in range(size.bit_length() - 1, -1, -1):
                if size >> level & 1:
                    peaks.append(node(level, start >> level))
                    start += 1 << level
            if Tree(peaks).root().hex() != against["root"]:
                return None
            for first, hashes, _ in self.recent:
                for index, record_hash in enumerate(hashes[: max(size - first, 0)]):
                    if node(0, first + index) != leaf_hash(record_hash):
                        return first + index
        return None

    def name_of(self, seq: int) -> str:
        return next((name for first, hashes, name in self.recent if first <= seq < first + len(hashes)), "")

    def bad(self, seq: int, segment: str, what: str) -> Bad:
        return Bad(self.writer, seq, segment, what)


def segment_bytes(file: Path) -> bytes:
    """Return a segment's bytes, unpacked where it is archived."""
    try:
        return gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise RefusedError(
            f"the segment {file.name} was looked for in {file.parent} and cannot be read: {error}"
        ) from error


def verify_directory(root: Path, public_key: str | None, kept: Path | None) -> list[str]:
    """Verify every journal; return lines for a person."""
    said = []
    signed = [*(root / "checkpoints").glob("*.jsonl"), *(kept.glob("*.jsonl") if kept else ())]
    writers = {file.stem for file in signed if file.name != RING}  # a journal that was taken away is missed
    writers |= {folder.name for folder in (root / "journal").glob("*") if folder.is_dir()}
    for writer in sorted(writers):
        checkpoints, bad = anchors(root, writer, public_key, kept)
        journal = Journal(root, writer, checkpoints, bad)
        journal.verify()
        until = f"signed up to {journal.held['tree_size'] - 1}" if journal.held else "no signed checkpoint covers it"
        said.append(f"journal {writer}: {journal.end} records hold, head {journal.head}, {until}")
    return said


# --- a bundle


def verify_bundle(folder: Path, public_key: str | None, kept: Path | None) -> list[str]:
    """Verify an exported range of records; return lines for a person."""
    try:
        about = json.loads((folder / "bundle.json").read_bytes())
        writer, first, last = about["writer"], about["from_seq"], about["to_seq"]
        data, path = (folder / "records.seg").read_bytes(), [bytes.fromhex(each) for each in about["path"]]
        line = lines_of(folder / "checkpoint.jsonl")[0]
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        raise RefusedError(f"{folder} is no whole bundle: {error}") from error
    found = Segment(data, writer, "records.seg", first, about["prev"])
    hashes = found.hashes
    if found.bad is not None or found.rest:
        raise found.bad or Bad(writer, first + len(hashes), "records.seg", "the last frame is not whole")
    if first + len(hashes) != last + 1:
        raise Bad(writer, first + len(hashes), "records.seg", f"the bundle ends before record {last}")
    try:
        ring = read_ring(folder)
        checkpoint = check_checkpoint(line, None, None, writer, ring)
        if public_key is not None and public_key not in ring[1]:
            raise ValueError(f"the key ring does not hold the public key given ({public_key})")  # noqa: TRY301
        if kept is not None and line not in lines_of(kept / f"{writer}.jsonl"):
            raise ValueError(f"checkpoint {checkpoint['number']} is not among the kept ones of {kept}")  # noqa: TRY301
    except ValueError as error:
        raise Bad(writer, last, "checkpoint.jsonl", str(error)) from error
    try:
        root = root_of_range([leaf_hash(each) for each in hashes], first, checkpoint["tree_size"], path).hex()
    except (StopIteration, RuntimeError, IndexError):
        root = ""
    if root != checkpoint["root"]:
        what = f"records {first} to {last} are not those that checkpoint {checkpoint['number']} signed"
        raise Bad(writer, first, "records.seg", what)
    under = f"checkpoint {checkpoint['number']} of key {checkpoint['key']}"
    return [f"journal {writer}: records {first} to {last} are under {under}"]


# --- command line


def verify(target: Path, key_file: Path | None, kept: Path | None) -> list[str]:
    """Verify a data directory or a bundle; return lines for a person, raise Bad at the first thing that is wrong."""
    public_key = None
    if key_file is not None:
        try:
            public_key = load_key(key_file.read_bytes())[0]
        except (OSError, ValueError) as error:
            raise RefusedError(f"--public-key cannot be used: {error}; give the .pub file of a signing key") from error
    if kept is not None and not kept.is_dir():
        raise RefusedError(f"--checkpoint-dir = {kept} is not a folder")
    if target.is_file() and zipfile.is_zipfile(target):
        with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(target) as bundle:
            for name in ("bundle.json", "records.seg", "checkpoint.jsonl", RING):
                if name in bundle.namelist():
                    (Path(folder) / name).write_bytes(bundle.read(name))
            return verify_bundle(Path(folder), public_key, kept)
    if (target / "bundle.json").is_file():
        return verify_bundle(target, public_key, kept)
    if any((target / name).is_dir() for name in ("journal", "checkpoints", "keys")):
        return verify_directory(target, public_key, kept)
    raise RefusedError(f"{target} is neither a data directory (it has no folder journal) nor an exported bundle")


def main(argv: list[str]) -> int:
    """Verify what the command line names; return 0, 1 (does not hold) or 2 (cannot be verified)."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", type=Path, help="a data directory, or a bundle (folder or .zip)")
    parser.add_argument("--public-key", type=Path, help="a signing key that you trust (PEM)")
    parser.add_argument("--checkpoint-dir", type=Path, help="checkpoints and key ring that were kept elsewhere")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    given = parser.parse_args(argv)
    try:
        said = verify(given.target, given.public_key, given.checkpoint_dir)
    except RefusedError as error:
        print(error, file=sys.stderr)
        return 2
    except Bad as error:
        print(json.dumps({"ok": False, "first_bad": error.found}) if given.json else f"DOES NOT HOLD: {error}")
        return 1
    print(json.dumps({"ok": True, "first_bad": None}) if given.json else "\n".join([*said, "VERIFIED"]))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
