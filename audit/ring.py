"""The key ring: every public key that the station ever had, each signed by the one that it replaced.

``keys/keyring.jsonl`` has one JSON line a key: purpose, key (its id), public (PEM), created_ns, previous (SHA-256 of
the line before, 64 zeros in the first), by (the id of the key that signed it, its own for the first of a purpose),
signature (by that key) and countersignature (by the new key), both over the line without the two. So whoever trusts any
one key of the ring can verify what was signed before and after it.
"""

import base64
import hashlib
from collections.abc import Sequence
from pathlib import Path

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from audit.errors import AuditError
from audit.files import whole_lines

RING = "keyring.jsonl"
FIRST = "0" * 64
KEY_ID_LETTERS = 16


class RingEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One key as the ring holds it."""

    purpose: str
    key: str
    public: str
    created_ns: int
    previous: str
    by: str
    signature: str = ""
    countersignature: str = ""

    def signed_bytes(self) -> bytes:
        """Return what both signatures are over."""
        content = msgspec.structs.asdict(self)
        del content["signature"], content["countersignature"]
        return msgspec.json.encode(content)


def key_id(key: Ed25519PublicKey) -> str:
    """Return the first half of SHA-256's half of a public key's 32 bytes, 16 hexadecimal letters."""
    raw = key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return hashlib.sha256(raw).hexdigest()[:KEY_ID_LETTERS]


def public_pem(key: Ed25519PublicKey) -> bytes:
    """Return a public key as PEM."""
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def read_public(pem: bytes, origin: str) -> Ed25519PublicKey:
    """Return a public key from PEM.

    Raises
    ------
    AuditError
        if that is no Ed25519 public key.
    """
    try:
        key = serialization.load_pem_public_key(pem)
    except ValueError as error:
        raise AuditError(f"{origin} is no public key in PEM") from error
    if not isinstance(key, Ed25519PublicKey):
        raise AuditError(f"{origin} is no Ed25519 key")
    return key


def line_hash(line: bytes) -> str:
    """Return SHA-256 of a line's bytes without its newline."""
    return hashlib.sha256(line).hexdigest()


class KeyRing:
    """A verified ring; ``lines`` are its bytes, ``entries`` what they say, in order."""

    def __init__(self, lines: Sequence[bytes], origin: str) -> None:
        self.lines = list(lines)
        self.entries: list[RingEntry] = []
        self.keys: dict[str, Ed25519PublicKey] = {}
        for number, line in enumerate(self.lines):
            self._take(number, line, origin)

    @classmethod
    def read(cls, folder: Path) -> "KeyRing":
        """Read and verify the ring of a folder; an absent one is empty.

        Raises
        ------
        AuditError
            naming the line that does not hold.
        """
        return cls(whole_lines(folder / RING), str(folder / RING))

    @classmethod
    def of_one(cls, key: Ed25519PublicKey, purpose: str = "signing") -> "KeyRing":
        """Return a ring of one key that somebody trusts for other reasons."""
        ring, identity = cls([], ""), key_id(key)
        ring.entries.append(
            RingEntry(purpose=purpose, key=identity, public="", created_ns=0, previous=FIRST, by=identity)
        )
        ring.keys[identity] = key
        return ring

    def current(self, purpose: str) -> RingEntry | None:
        """Return the newest key of a purpose."""
        return next((entry for entry in reversed(self.entries) if entry.purpose == purpose), None)

    def refusal(self, purpose: str, key: str, signature: str, content: bytes) -> str:
        """Return why a signature (base64) is not the word of a purpose's current key over the content, "" if it is."""
        current = self.current(purpose)
        if current is None or key != current.key:
            return f"key {key[:16]!r} is not the {purpose} key in force"
        try:
            self.keys[current.key].verify(base64.b64decode(signature), content)
        except (InvalidSignature, ValueError):
            return "its signature does not hold"
        return ""

    def position(self, key: str, purpose: str) -> int:
        """Return a key's place in the ring, -1 if it has none for this purpose."""
        return next((n for n, each in enumerate(self.entries) if each.key == key and each.purpose == purpose), -1)

    def _take(self, number: int, line: bytes, origin: str) -> None:
        where = f"{origin} line {number + 1}"
        try:
            entry = msgspec.json.decode(line, type=RingEntry)
        except msgspec.DecodeError as error:
            raise AuditError(f"{where} is no key: {error}") from error
        public = read_public(entry.public.encode(), where)
        before = self.current(entry.purpose)
        if entry.key != key_id(public):
            raise AuditError(f"{where}: the key is not {entry.key}")
        if entry.previous != (line_hash(self.lines[number - 1]) if number else FIRST):
            raise AuditError(f"{where} does not continue the line before")
        if entry.by != (before.key if before else entry.key):
            raise AuditError(f"{where} is not signed by the key that it replaces")
        signer = self.keys[before.key] if before else public
        try:
            signer.verify(base64.b64decode(entry.signature), entry.signed_bytes())
            public.verify(base64.b64decode(entry.countersignature), entry.signed_bytes())
        except (InvalidSignature, ValueError) as error:
            raise AuditError(f"{where}: a signature does not hold") from error
        self.entries.append(entry)
        self.keys[entry.key] = public


def new_entry(ring: KeyRing, purpose: str, key: Ed25519PrivateKey, signer: Ed25519PrivateKey, created_ns: int) -> bytes:
    """Return the line that adds a key to the ring, signed by the one before it (or itself) and by the new one."""
    public = key.public_key()
    entry = RingEntry(
        purpose=purpose,
        key=key_id(public),
        public=public_pem(public).decode(),
        created_ns=created_ns,
        previous=line_hash(ring.lines[-1]) if ring.lines else FIRST,
        by=key_id(signer.public_key()),
    )
    content = entry.signed_bytes()
    signed = msgspec.structs.replace(
        entry,
        signature=base64.b64encode(signer.sign(content)).decode(),
        countersignature=base64.b64encode(key.sign(content)).decode(),
    )
    return msgspec.json.encode(signed)
