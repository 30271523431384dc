"""One task per web process: reads the bus, keeps one document per topic, sends numbered deltas to its readers.

The protocol, JSON both ways on the socket /live:

browser → server
    ``{"subscribe": [topic…]}`` · ``{"unsubscribe": [topic…]}`` · ``{"resync": topic}`` after a gap ·
    ``{"ack": m}`` for the message numbers of this socket (at least every fourth)
server → browser, each with ``now`` (the server's clock at sending, ms), ``m`` (number of the message on this socket)
    ``{"kind": "snapshot", "hub", "topic", "n", "seq", "data"}`` the whole document ·
    ``{"kind": "delta", "hub", "topic", "n", "seq", "patch"}`` an RFC 7396 merge patch to document n - 1 ·
    ``{"kind": "heartbeat", "hub"}`` every two seconds · ``{"kind": "refused", "topic", "reason"}``

``seq`` is the worker's journal sequence of the view behind the document. A gap in ``n``, a reconnect or another ``hub``
means that the browser needs a snapshot. A document is encoded once, however many read it; deltas leave at most twice a
second. A reader that has not acknowledged its last messages gets no queue: when it is back, it gets a snapshot.
"""

import asyncio
import logging
import secrets
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from controlroom.live.channel import Channel, Reader, encoder
from controlroom.live.documents import document
from controlroom.live.patch import Document
from controlroom.live.snapshot import Snapshot

INTERVAL_S = 0.5  # two deltas a second
HEARTBEAT_S = 2.0
STATUS_S = 1.0
HISTORY = 120  # points of a sparkline, one a second while the view changes
RETRY_S = (0.5, 1.0, 2.0, 5.0)
FORGET_MS = 600_000  # a process without a beat is shown as down for this long

log = logging.getLogger(__name__)


class Source(Protocol):
    """Where a hub reads: the bus, or a test's script."""

    async def view(self, wait_s: float) -> dict[str, Any] | None:
        """Return the newest view if there is one that was not returned before, waiting at most that long."""

    async def beats(self) -> dict[str, dict[str, Any]]:
        """Return the status of every process that beats."""

    async def extra(self) -> dict[str, Any]:
        """Return what only the System page shows: streams, events, disk."""

    async def close(self) -> None:
        """Let go of the connection."""


class Hub:
    """Reads its source and keeps its readers up to date; one per event loop."""

    def __init__(
        self,
        source: Callable[[], Awaitable[Source]],
        run: Callable[[], dict[str, Any]] = dict,
        supervised: Callable[[], list[dict[str, Any]]] = list,
    ) -> None:
        self.id = secrets.token_hex(6)
        self.channels: dict[str, Channel] = {}
        self.history: dict[str, tuple[float, ...]] = {}
        self.current = Snapshot(view=None)
        self._make_source = source
        self._run_description, self._supervised = run, supervised
        self._trouble: str | None = "the bus has not answered yet"
        self._series: dict[str, deque[float]] = {}
        self._beats: dict[str, dict[str, Any]] = {}
        self._sampled = (0.0, -1)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start the hub's task unless it runs."""
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._run(), name="live-hub")

    async def stop(self) -> None:
        """End the hub's task."""
        while self._task is not None and not self._task.done():
            self._task.cancel()  # again if need be: a client that is just connecting may take it for its own time-out
            await asyncio.wait({self._task}, timeout=0.2)

    @staticmethod
    def now_ms() -> int:
        """Return the server's clock."""
        return time.time_ns() // 1_000_000

    def subscribe(self, reader: Reader, topic: str) -> None:
        """Let a reader follow a topic, beginning with its snapshot."""
        channel = self.channels.get(topic)
        if channel is None:
            channel = self.channels[topic] = Channel(topic, self.id)
            channel.update(self._document(topic))
        channel.readers.add(reader)
        reader.offer_snapshot(channel)

    def unsubscribe(self, reader: Reader, topic: str) -> None:
        """Let a reader go; a topic without readers is not kept up to date."""
        channel = self.channels.get(topic)
        if channel is None:
            return
        channel.readers.discard(reader)
        reader.forget(topic)
        if not channel.readers:
            del self.channels[topic]

    def leave(self, reader: Reader) -> None:
        """Let a reader go from all its topics."""
        for topic in list(self.channels):
            self.unsubscribe(reader, topic)

    def _document(self, topic: str) -> Document:
        made = document(topic, self.current)
        if topic == "header" and self._trouble:
            made["trouble"] = self._trouble
        return made

    def publish(self) -> None:
        """Bring every topic that is read up to date and offer the differences."""
        for channel in self.channels.values():
            delta = channel.update(self._document(channel.topic))
            if delta is not None:
                for reader in channel.readers:
                    reader.offer(channel, delta)

    def heartbeat(self) -> None:
        """Tell every reader that the hub lives."""
        message = encoder.encode({"kind": "heartbeat", "hub": self.id}).decode()
        for reader in {reader for channel in self.channels.values() for reader in channel.readers}:
            reader.offer_message("heartbeat", message)

    async def _run(self) -> None:
        beat = asyncio.create_task(self._heartbeats(), name="live-heartbeat")
        attempt = 0
        try:
            while True:
                try:
                    source = await self._make_source()
                    try:
                        attempt = 0
                        await self._follow(source)
                    finally:
                        await source.close()
                except Exception as error:  # noqa: BLE001  the page must say what failed, whatever it was, and the hub go on
                    log.warning("live hub: %s: %s", type(error).__name__, error)
                    self._trouble = f"the bus does not answer ({type(error).__name__})"
                    self.publish()
                await asyncio.sleep(RETRY_S[min(attempt, len(RETRY_S) - 1)])
                attempt += 1
        finally:
            beat.cancel()

    async def _heartbeats(self) -> None:
        while True:
            self.heartbeat()
            await asyncio.sleep(HEARTBEAT_S)

    async def _follow(self, source: Source) -> None:
        asked = 0.0
        beats, extra = self._beats, self.current.extra
        while True:
            began = time.monotonic()
            view = await source.view(INTERVAL_S)
            if began - asked >= STATUS_S:
                asked = began
                beats = self._remember(await source.beats())
                if "system" in self.channels:
                    extra = await source.extra()
            self._trouble = None
            view = view or self.current.view
            run, supervised = self._run_description(), self._supervised()
            self.current = Snapshot(view, beats, run, self.now_ms(), extra, supervised)
            self._sample()
            self.publish()
            await asyncio.sleep(max(0.0, INTERVAL_S - (time.monotonic() - began)))

    def _remember(self, beats: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        """Keep a process that fell silent for a while, marked down, so that its absence is seen."""
        oldest = (self.now_ms() - FORGET_MS) * 1_000_000
        silent = {name: {**beat, "state": "down"} for name, beat in self._beats.items()
                  if name not in beats and beat.get("beat_ns", 0) > oldest}  # fmt: skip
        self._beats = {**silent, **{name: {**beat, "state": "up"} for name, beat in beats.items()}}
        return self._beats

    def _sample(self) -> None:
        now, view = time.monotonic(), self.current.view
        if view is None or now - self._sampled[0] < STATUS_S or view.get("seq") == self._sampled[1]:
            return
        self._sampled = (now, view.get("seq", -1))
        for name, value in samples(self.current).items():
            self._series.setdefault(name, deque(maxlen=HISTORY)).append(value)
        self.history = {name: tuple(series) for name, series in self._series.items()}


def samples(snapshot: Snapshot) -> dict[str, float]:
    """Return the numbers that have a sparkline, by the path of their field."""
    header, overview = document("header", snapshot), document("overview", snapshot)
    found = {f"header:kpi.{name}": value for name, value in header["kpi"].items()}
    found |= {
        f"overview:strategies.by.{name}.pnl": row.get("pnl") for name, row in overview["strategies"]["by"].items()
    }
    found |= {f"overview:symbols.by.{name}.last": row.get("last") for name, row in overview["symbols"]["by"].items()}
    return {
        name: float(value)
        for name, value in found.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }
