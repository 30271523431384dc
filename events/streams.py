"""The one table of bus streams: who writes, who reads, how long an entry stays.

Kept in code because ACL users, readers and the documentation are made from it.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Stream:
    """A bus stream; ``readers`` with a name in brackets read from their own journaled position, the rest by group."""

    pattern: str
    writer: str
    readers: tuple[str, ...]
    carries: str
    retention: str


STREAMS = (
    Stream("market.FEED", "feed", ("(worker)", "recorder"),
           "MarketEvent, SliceEnd, CorporateActionEvent, StanceEvent, FeedEnd",
           "trimmed below the slowest reader"),
    Stream("control.worker", "relay", ("(worker)", "recorder"), "ControlEvent, ModelEvent", "the last 10,000"),
    Stream("control.feed", "relay", ("(feed)",), "pause, resume, step, speed of a replay", "the last 100"),
    Stream("control.audit", "relay", ("recorder",), "AuditEvent: what people did in the pages", "the last 10,000"),
    Stream("request.kill", "web", ("(worker)",), "kill requests of the control room", "the last 100"),
    Stream("worker.events", "worker", ("relay", "(web)"),
           "JobDue, ControlAck, StateEvent, hello; alerts, orders and trades for the pages",
           "trimmed below the slowest group, at most 100,000"),
    Stream("worker.snapshot", "worker", ("(web)",), "the worker's whole view with its journal sequence", "the last 4"),
)  # fmt: skip
"""Beside the streams each process keeps ``status.PROCESS``, one JSON string that expires ten seconds after its last
beat, and the worker keeps ``position.worker``, a hash of stream to the last entry that its journal holds."""

CONTROL_WORKER = "control.worker"
CONTROL_FEED = "control.feed"
CONTROL_AUDIT = "control.audit"
REQUEST_KILL = "request.kill"
WORKER_EVENTS = "worker.events"
WORKER_SNAPSHOT = "worker.snapshot"
POSITION_WORKER = "position.worker"


def market_stream(feed: str) -> str:
    """Return the stream that only this feed writes."""
    return f"market.{feed}"


def status_key(process: str) -> str:
    """Return the key under which a process beats."""
    return f"status.{process}"
