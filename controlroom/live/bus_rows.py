"""Entries and descriptions of the bus as rows of the System page: pure functions."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from controlroom.live.snapshot import milliseconds
from events.streams import (
    CONTROL_FEED,
    CONTROL_WORKER,
    REQUEST_KILL,
    STREAMS,
    WORKER_EVENTS,
    WORKER_SNAPSHOT,
    Stream,
    market_stream,
)

SHOWN_EVENTS = frozenset({"StateEvent", "ControlAck", "RiskAlert", "JobDue", "PhaseEvent", "hello"})
LONGEST = 200  # characters of what an event says


def decoded_beats(keys: Sequence[bytes], values: Sequence[bytes | None]) -> dict[str, dict[str, Any]]:
    """Return the statuses by process; what expired between the two commands is left out."""
    found = zip(keys, values, strict=True)
    return {
        key.decode().removeprefix("status."): msgspec.json.decode(value) for key, value in found if value is not None
    }


def event_row(identity: str, event: bytes) -> dict[str, Any] | None:
    """Return an envelope of worker.events as a row, None for what the page does not list."""
    try:
        envelope = msgspec.json.decode(event)
    except msgspec.DecodeError:
        return None
    if envelope.get("type") not in SHOWN_EVENTS:
        return None
    payload = envelope.get("payload") or {}
    said = [
        f"{name} {value}"
        for name, value in payload.items()
        if isinstance(value, str | int | bool) and value != "" and not name.endswith("_ns")
    ]
    market = milliseconds(payload.get("engine_ns"))
    return {
        "id": identity,
        "at_ms": market or milliseconds(envelope.get("timestamp")),
        "clock": "market" if market else "this machine",
        "type": envelope["type"],
        "says": ", ".join(said)[:LONGEST],
    }


def stream_names(run: Mapping[str, Any]) -> list[str]:
    """Return the streams of this run, in the order of the table in events/streams.py."""
    feed = (run.get("source") or {}).get("feed") or "replay"
    return [market_stream(feed), CONTROL_WORKER, CONTROL_FEED, REQUEST_KILL, WORKER_EVENTS, WORKER_SNAPSHOT]


def _known(name: str) -> Stream | None:
    feeds = name.startswith("market.")
    return next((known for known in STREAMS if known.pattern == ("market.FEED" if feeds else name)), None)


def stream_row(name: str, information: Mapping[str, Any], groups: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return a stream with who writes it and how far its readers are behind."""
    known = _known(name)
    readers = [
        f"{text(group['name'])} {group.get('lag') or 0} behind, {group.get('pending', 0)} unacknowledged"
        for group in groups
    ]
    return {
        "stream": name,
        "writer": known.writer if known else "",
        "carries": known.carries if known else "",
        "length": information.get("length"),
        "last": text(information.get("last-generated-id", "")),
        "readers": "; ".join(readers) or (", ".join(known.readers) if known else ""),
        "lag": max((group.get("lag") or 0 for group in groups), default=0),
    }


def text(value: bytes | str) -> str:
    """Return a reply's bytes as text."""
    return value.decode() if isinstance(value, bytes) else value
