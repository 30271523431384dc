"""Sealed entries: encrypted to a key that dies with the round, committed to before anybody sees another's.

Bytes, all of them (``||`` joins; ``text(x)`` is the length of x's UTF-8 in 4 bytes, big end first, and that UTF-8):

=========== ===========================================================================================================
commitment  SHA-256(text(round id) || text(agent) || nonce (32) || content)
context     text(label) || text(round id) || text(agent) || text(kind) || text(step) || text(about) || commitment (32)
padded      nonce (32) || length of content in 4 bytes, big end first || content || zeros to a multiple of 1,024
box         HPKE(padded, info = context) = encapsulated key (32) || ciphertext || tag (16)
=========== ===========================================================================================================

HPKE is RFC 9180's base mode: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, ChaCha20-Poly1305; its ``info`` goes into the key
derivation, so a box opens in its own round, agent, kind, step and commitment and nowhere else. The label is
"station/tournament/transport/1" to the round's key and "station/tournament/record/1" to the competition key.

The competition key is X25519 too, derived from the Ed25519 key of purpose "competition" that `manage.py keys` keeps:
HKDF-SHA256(that key's 32 bytes, no salt, info "station/tournament/competition/1"). It has that key's id; whoever writes
the record needs its public half only. A new key changes nothing for what an older one has written: both are needed.

Secrets and nonces are passed in; what HPKE draws for each box, the library draws.
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from audit.ring import key_id

KEY_BYTES = 32
NONCE_BYTES = KEY_BYTES
PAD_BYTES = 1_024
LONGEST_CONTENT = 1_000_000
TRANSPORT = "station/tournament/transport/1"
RECORD = "station/tournament/record/1"
COMPETITION = b"station/tournament/competition/1"
_SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)

Kind = Literal["entry", "challenge", "defence"]
RefusalCode = Literal["late", "altered", "replayed", "closed", "unreadable"]


class SealError(ValueError):
    """Why something sealed is refused: ``code`` for the record, and one sentence."""

    def __init__(self, code: RefusalCode, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


class Context(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a sealed text belongs; ``agent`` wrote it, ``about`` is whom a challenge attacks."""

    round_id: str
    agent: str
    kind: Kind
    step: str
    about: str = ""


class Sealed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A sealed text: its commitment is journaled at once; ``box`` (base64) is for the round's or competition key.

    ``key`` is the id of the key it is for: of a competition key the ring's, of a round's key the round's id.
    """

    context: Context
    key: str
    commitment: str
    box: str


class Opened(NamedTuple):
    """What was in a box."""

    nonce: bytes
    content: bytes


class TransportKey:
    """The key of one round, from 32 secret bytes; after ``destroy`` nothing opens what was sealed to it.

    Its secret may lie in one file until the round closes, so that a round survives a crash. Python cannot wipe what its
    allocator copied: the promise is of what is kept, not of freed memory.
    """

    def __init__(self, round_id: str, secret: bytes) -> None:
        _check_length("the secret of a round's key", secret)
        self.round_id = round_id
        self.public = X25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw()
        self._secret = bytearray(secret)

    @property
    def destroyed(self) -> bool:
        """Return whether the secret is gone."""
        return not self._secret

    def private(self) -> X25519PrivateKey:
        """Return the private half; raises SealError ("closed") after the round has closed."""
        if self.destroyed:
            raise SealError("closed", f"round {self.round_id} has closed and its key is destroyed")
        return X25519PrivateKey.from_private_bytes(bytes(self._secret))

    def destroy(self) -> None:
        """Overwrite the secret and forget it; doing so twice is no error."""
        self._secret[:] = bytes(len(self._secret))
        self._secret.clear()


@dataclass(frozen=True)
class CompetitionKey:
    """The long-lived key of the record, with the id that the key ring gives it."""

    key: str
    private: X25519PrivateKey

    @property
    def public(self) -> bytes:
        """Return the 32 bytes that writing needs."""
        return self.private.public_key().public_bytes_raw()


def competition_key(pem: bytes, passphrase: bytes | None = None) -> CompetitionKey:
    """Return the record's key from a file of the competition's Ed25519 key (PKCS8 PEM), as `manage.py keys` writes it.

    A passphrase is a backup's. Raises SealError if that is no such key, or the passphrase is wrong.
    """
    try:
        signing = serialization.load_pem_private_key(pem, password=passphrase)
    except (ValueError, TypeError) as error:
        raise SealError("unreadable", f"the competition key cannot be read: {error}") from error
    if not isinstance(signing, Ed25519PrivateKey):
        raise SealError("unreadable", "the competition key is no Ed25519 key; make one with `manage.py keys create`")
    derived = HKDF(algorithm=hashes.SHA256(), length=KEY_BYTES, salt=None, info=COMPETITION)
    secret = derived.derive(signing.private_bytes_raw())
    return CompetitionKey(key_id(signing.public_key()), X25519PrivateKey.from_private_bytes(secret))


def commitment(round_id: str, agent: str, nonce: bytes, content: bytes) -> str:
    """Return the commitment to a text, 64 hexadecimal letters.

    Raises SealError if the nonce has not 32 bytes: fewer could be guessed along with the text.
    """
    _check_length("the nonce of a commitment", nonce)
    return hashlib.sha256(_text(round_id) + _text(agent) + nonce + content).hexdigest()


def seal(public: bytes, context: Context, nonce: bytes, content: bytes) -> Sealed:
    """Seal a text to a round's public key (32 bytes).

    Raises
    ------
    SealError
        if the key or the nonce has not 32 bytes, or the content is longer than a million.
    """
    return _sealed(TRANSPORT, public, context.round_id, context, Opened(nonce, content))


def unseal(key: TransportKey, sealed: Sealed) -> Opened:
    """Return what is in a box that was sealed to a round's key.

    Raises
    ------
    SealError
        "closed" once the key is destroyed, "replayed" if it is another round's, "altered" if any byte of the box, its
        context or its commitment is not the one that was sealed.
    """
    private = key.private()
    if sealed.context.round_id != key.round_id or sealed.key != key.round_id:
        raise SealError("replayed", f"the {_name(sealed.context)} is of another round than {key.round_id}")
    return _opened(TRANSPORT, private, sealed)


def write_record(public: bytes, key: str, context: Context, opened: Opened) -> Sealed:
    """Return a revealed text as the record keeps it: to the competition key's public half and under its id."""
    return _sealed(RECORD, public, key, context, opened)


def read_record(keys: Mapping[str, CompetitionKey], recorded: Sealed) -> Opened:
    """Return a text of the record, whichever of the competition's keys, old or new, it was written to.

    Raises
    ------
    SealError
        "unreadable" if its key is not there, "altered" if anything is not as it was written.
    """
    held = keys.get(recorded.key)
    if held is None:
        known = ", ".join(sorted(keys)) or "none"
        raise SealError("unreadable", f"competition key {recorded.key} is not here ({known}); restore it from a backup")
    return _opened(RECORD, held.private, recorded)


def accept(
    held: tuple[Sealed, ...], sealed: Sealed, expected: Context, *, received_ns: int, deadline_ns: int
) -> tuple[Sealed, ...]:
    """Return what a step holds after one more sealed text; the same one again changes nothing, however late.

    What a box holds is not looked at: whoever wants an altered one refused at once unseals it too and drops the text.

    Parameters
    ----------
    expected : the context that the sender (as it logged in, not as it says) and the running step give it.

    Raises
    ------
    SealError
        "replayed" if it is another's or of another round or step, its box or commitment came before, or its agent has
        sealed already; "late" after the deadline.
    """
    if sealed in held:
        return held
    name = _name(expected)
    if sealed.context != expected or sealed.key != expected.round_id:
        raise SealError("replayed", f"the {name} was sealed as the {_name(sealed.context)}; it counts there alone")
    if received_ns > deadline_ns:
        late = (received_ns - deadline_ns) / 1e9
        raise SealError("late", f"the {name} came {late:.3f} s after the deadline")
    for other in held:
        if other.context == expected:
            raise SealError("replayed", f"the {name} is sealed already; it cannot be replaced")
        if other.box == sealed.box or other.commitment == sealed.commitment:
            raise SealError("replayed", f"the {name} repeats the {_name(other.context)}")
    return (*held, sealed)


def _sealed(label: str, public: bytes, key: str, context: Context, opened: Opened) -> Sealed:
    nonce, content = opened.nonce, opened.content
    _check_length("a public key", public)
    if len(content) > LONGEST_CONTENT:
        raise SealError(
            "unreadable", f"{_name(context)} has {len(content)} bytes; at most {LONGEST_CONTENT} are sealed"
        )
    committed = commitment(context.round_id, context.agent, nonce, content)
    plain = nonce + len(content).to_bytes(4, "big") + content
    padded = plain + bytes(-len(plain) % PAD_BYTES)
    info = _info(label, context, committed)
    try:
        box = _SUITE.encrypt(padded, X25519PublicKey.from_public_bytes(public), info)
    except ValueError as error:  # a point of small order, such as 32 zeros
        raise SealError("unreadable", f"the public key {public.hex()} is no X25519 key") from error
    return Sealed(context=context, key=key, commitment=committed, box=base64.b64encode(box).decode())


def _opened(label: str, private: X25519PrivateKey, sealed: Sealed) -> Opened:
    context, refused = sealed.context, SealError("altered", f"the {_name(sealed.context)} is not as it was sealed")
    try:
        box = base64.b64decode(sealed.box, validate=True)
        if base64.b64encode(box).decode() != sealed.box:  # base64 has spare bits: two texts of one box
            raise refused
        padded = _SUITE.decrypt(box, private, _info(label, context, sealed.commitment))
    except SealError:
        raise
    except (InvalidTag, ValueError) as error:
        raise refused from error
    nonce, rest = padded[:NONCE_BYTES], padded[NONCE_BYTES + 4 :]
    length = int.from_bytes(padded[NONCE_BYTES : NONCE_BYTES + 4], "big")
    content = rest[:length]
    if not padded or len(padded) % PAD_BYTES or len(content) != length or any(rest[length:]):
        raise refused
    if not hmac.compare_digest(commitment(context.round_id, context.agent, nonce, content), sealed.commitment):
        raise refused
    return Opened(nonce, content)


def _info(label: str, context: Context, committed: str) -> bytes:
    parts = (label, context.round_id, context.agent, context.kind, context.step, context.about)
    return b"".join(_text(part) for part in parts) + bytes.fromhex(committed)


def _check_length(what: str, given: bytes) -> None:
    if len(given) != KEY_BYTES:
        raise SealError("unreadable", f"{what} has {len(given)} bytes; it must have {KEY_BYTES}")


def _text(text: str) -> bytes:
    raw = text.encode()
    return len(raw).to_bytes(4, "big") + raw


def _name(context: Context) -> str:
    about = f" about {context.about}" if context.about else ""
    return f"{context.kind} of {context.agent}{about} (round {context.round_id}, step {context.step})"
