"""What a whole round tells the journal: the station's own steps on drawn bars, sealed for a key of these tests."""

import base64
from functools import lru_cache

import msgspec
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from events.types import Payload
from tests.pages import rounds
from tournaments.journaled import Sealing, events_of
from tournaments.sealing import Context, TransportKey, competition_key, seal

ABSTAINS = "momentum"
"""Whose entry does not come, so that every type of event is told."""


@lru_cache(maxsize=1)
def told() -> tuple[tuple[str, Payload], ...]:
    """Return agent and payload of every event, in the order of the steps."""
    record = rounds.held()[0]
    pem = Ed25519PrivateKey.from_private_bytes(bytes(32)).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    sealing = Sealing(competition_key(pem), lambda: bytes(32))
    key, round_id = TransportKey(record.round.round_id, bytes(32)), record.round.round_id
    sealed = {
        agent: seal(
            key.public,
            Context(round_id=round_id, agent=agent, kind="entry", step="predict"),
            bytes(32),
            msgspec.json.encode(entry),
        )
        for agent, entry in record.entries.items()
        if agent != ABSTAINS
    }
    public = base64.b64encode(key.public).decode()
    return tuple(
        (agent, payload)
        for step in rounds.STEPS
        for _, agent, payload in events_of(step, record, sealed, public, sealing)
    )
