"""Outbox rows to the bus, in id order. A crash between sending and noting sends a row again, with the same id."""

from typing import Any, cast

import redis
from django.utils import timezone

from events.actions import mark_published
from events.bus import FIELD
from events.codec import envelope
from events.models import Outbox
from events.selectors import waiting_rows
from events.streams import CONTROL_FEED

BATCH = 100
KEPT = {CONTROL_FEED: 100}
KEPT_OTHERS = 10_000


def encoded(row: Outbox) -> bytes:
    """Return the row as the bus carries it; its id is the row's, so that a reader knows a second copy."""
    created_ns = int(row.created.timestamp() * 1_000_000) * 1000
    return envelope(row.type, row.agent_id, row.payload.encode(), created_ns, id=str(row.id))


def send_waiting(bus: redis.Redis) -> int:
    """Send what waits, at most one batch, and note it; return how many rows that were.

    Raises
    ------
    redis.RedisError
        if the bus does not take them; they stay waiting.
    """
    rows = waiting_rows(limit=BATCH)
    if not rows:
        return 0
    with bus.pipeline(transaction=False) as pipe:
        for row in rows:
            kept = KEPT.get(row.stream, KEPT_OTHERS)
            cast("Any", pipe).xadd(row.stream, {FIELD: encoded(row)}, maxlen=kept, approximate=True)
        sent = pipe.execute()
    entries = {
        row.id: entry.decode() if isinstance(entry, bytes) else entry for row, entry in zip(rows, sent, strict=True)
    }
    mark_published(entries=entries, now=timezone.now())
    return len(rows)
