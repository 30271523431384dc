"""Fitted artefacts carry the models key's signature: nobody makes one by writing to the bus.

Signed is canonical JSON (sorted keys) of the ModelEvent's name, version, outcome, occurrence, the SHA-256 of its
content, effective_from_ns and reason; the occurrence makes each good for one job, which the worker takes once.
"""

import base64
import hashlib

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from audit.ring import KeyRing, key_id
from events.paths import DataPaths
from events.types import ModelEvent

PURPOSE = "models"


class Signature(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The field ``signature`` of a ModelEvent, as JSON: base64 of 64 bytes by the key of this id."""

    key: str
    signature: str


def signed_bytes(event: ModelEvent) -> bytes:
    """Return what is signed; the bus's own field (position) is no part of it."""
    return msgspec.json.encode(
        {
            "name": event.name,
            "version": event.version,
            "outcome": event.outcome,
            "occurrence": event.occurrence,
            "content_sha256": hashlib.sha256(bytes(event.content)).hexdigest(),
            "effective_from_ns": event.effective_from_ns,
            "reason": event.reason,
        },
        order="sorted",
    )


def signed(event: ModelEvent, key: Ed25519PrivateKey) -> ModelEvent:
    """Return the event with its signature."""
    made = Signature(key=key_id(key.public_key()), signature=base64.b64encode(key.sign(signed_bytes(event))).decode())
    return msgspec.structs.replace(event, signature=msgspec.json.encode(made).decode())


def sign(event: ModelEvent, paths: DataPaths) -> ModelEvent:
    """Return the event signed with the station's models key as it is now.

    Raises
    ------
    AuditError
        if there is no such key, or it cannot be read.
    """
    from audit.keys import private_key  # noqa: PLC0415 - a command's module; the worker, which only verifies, loads none

    return signed(event, private_key(paths, PURPOSE))


def refusal(event: ModelEvent, ring: KeyRing) -> str:
    """Return why an event is not the models key's word, "" if it is; only the current key counts."""
    if not event.signature:
        return "nobody has signed it"
    try:
        given = msgspec.json.decode(event.signature, type=Signature)
    except (msgspec.DecodeError, ValueError):
        return "its signature does not hold"
    return ring.refusal(PURPOSE, given.key, given.signature, signed_bytes(event))
