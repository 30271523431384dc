"""JSON of envelopes and payloads: declared field order, finite numbers, one encoder and one decoder a type."""

from typing import Any

import msgspec

from events.tournament import TYPES
from events.types import PAYLOADS, Envelope, MarketEvent


class CodecError(ValueError):
    """Bytes or a payload that no reader could take: the sentence names the type, the field and what is allowed."""


KNOWN = {**PAYLOADS, **TYPES}
"""Every payload by name."""

_encoder = msgspec.json.Encoder()
_envelopes = msgspec.json.Decoder(Envelope)
_decoders: dict[str, msgspec.json.Decoder[Any]] = {
    **{name: msgspec.json.Decoder(payload) for name, payload in KNOWN.items()},
    "MarketEvent": msgspec.json.Decoder(MarketEvent),
}
_by_class: dict[type, msgspec.json.Decoder[Any]] = {
    payload: msgspec.json.Decoder(payload) for payload in (*KNOWN.values(), *MarketEvent.__args__)
}


def encode_payload(payload: msgspec.Struct) -> bytes:
    """Return a payload's JSON.

    JSON has no NaN and no infinity: the encoder writes null for them. Where the field may be empty (a bar's price) that
    is what a reader gets; everywhere else it is refused here, before it can reach a journal.

    Raises
    ------
    CodecError
        if the type is not one of events/types.py, or a number that must be finite is not.
    """
    try:
        raw = _encoder.encode(payload)
        if b"null" in raw:
            _by_class[type(payload)].decode(raw)
    except KeyError as error:
        raise CodecError(f"payload {type(payload).__name__} is not a type of events/types.py") from error
    except (msgspec.ValidationError, msgspec.EncodeError, OverflowError, TypeError, UnicodeEncodeError) as error:
        raise CodecError(f"payload {type(payload).__name__}: {error}; numbers must be finite") from error
    return raw


def decode_payload(type: str, raw: bytes | msgspec.Raw) -> Any:  # noqa: A002 - the envelope's own field name
    """Return the payload of an event of this type.

    Raises
    ------
    CodecError
        if the type is unknown, the bytes are not JSON, or a field is missing, unknown or of another type.
    """
    decoder = _decoders.get(type)
    if decoder is None:
        raise CodecError(f"event type {type!r} is unknown; events/types.py has the list")
    try:
        return decoder.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise CodecError(f"payload of {type}: {error}") from error


def encode_envelope(envelope: Envelope) -> bytes:
    """Return an envelope's JSON, the payload's bytes untouched in it."""
    return _encoder.encode(envelope)


def decode_envelope(raw: bytes) -> Envelope:
    """Return a message of the bus, its payload still undecoded.

    Raises
    ------
    CodecError
        if the bytes are not an envelope.
    """
    try:
        return _envelopes.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise CodecError(f"envelope: {error}") from error


def envelope(
    type: str,  # noqa: A002 - the envelope's own field name
    agent_id: str,
    payload: msgspec.Struct | bytes,
    timestamp_ns: int,
    confidence: float | None = None,
    *,
    id: str = "",  # noqa: A002 - the envelope's own field name
    competitive_score: float | None = None,
) -> bytes:
    """Return the JSON that goes into a stream entry's field ``event``; a payload given as bytes is JSON already.

    Raises
    ------
    CodecError
        as :func:`encode_payload`.
    """
    raw = payload if isinstance(payload, bytes) else encode_payload(payload)
    return _encoder.encode(
        Envelope(
            type=type,
            timestamp=timestamp_ns,
            agent_id=agent_id,
            confidence_score=confidence,
            competitive_score=competitive_score,
            id=id,
            payload=msgspec.Raw(raw),
        )
    )
