"""Who has done what was asked: readers that send no answer of their own are watched at how far they are.

The worker answers a person's ControlEvent itself (controlroom/relay/incoming.py). Of all else a process says only how
far it is, and never before it is there: the feed in its beat, once it has changed its pace; the worker by the position
that its journal holds; the recorder by what it has acknowledged on the bus after its own sync.
"""

from collections.abc import Callable
from typing import Any

import msgspec
import redis
from django.utils import timezone

from events.actions import mark_done
from events.bus import order
from events.selectors import unanswered
from events.streams import CONTROL_AUDIT, CONTROL_FEED, CONTROL_WORKER, POSITION_WORKER, status_key

AT_ONCE = 500
RECORDER = "recorder"  # the group that takes control.audit into the station journal
Place = tuple[int, int]
NOWHERE: Place = (0, 0)


def _feed(bus: Any) -> Place:
    beat = bus.get(status_key("feed"))
    metrics = msgspec.json.decode(beat).get("metrics", {}) if beat else {}
    return int(metrics.get("control.ms", 0)), int(metrics.get("control.number", 0))


def _worker(bus: Any) -> Place:
    position = bus.hget(POSITION_WORKER, CONTROL_WORKER)
    return order(position.decode()) if position else NOWHERE


def _recorder(bus: Any) -> Place:
    try:
        groups = bus.xinfo_groups(CONTROL_AUDIT)
    except redis.ResponseError:  # no such stream yet
        return NOWHERE
    for group in groups:
        if group["name"] in {RECORDER, RECORDER.encode()} and not group["pending"]:
            last = group["last-delivered-id"]
            return order(last.decode() if isinstance(last, bytes) else last)
    return NOWHERE


READERS: dict[str, tuple[Callable[[Any], Place], str]] = {
    CONTROL_FEED: (_feed, "the feed's pace is changed"),
    CONTROL_WORKER: (_worker, "in the worker's journal"),
    CONTROL_AUDIT: (_recorder, "in the station journal"),
}
"""Stream to how far its reader is, and what that means."""


def take_answers(bus: redis.Redis) -> int:
    """Note which requests are done; return how many.

    Raises
    ------
    redis.RedisError
        if the bus cannot be asked.
    """
    rows, places, marked = unanswered(limit=AT_ONCE), dict[str, Place](), 0
    for stream in sorted({row.stream for row in rows} & READERS.keys()):
        places[stream] = READERS[stream][0](bus)
    for stream, place in places.items():
        ids = [row.id for row in rows if row.stream == stream and order(row.entry) <= place]
        marked += mark_done(ids=ids, now=timezone.now(), answer=READERS[stream][1]) if ids else 0
    return marked
