"""A topic on its way to the sockets: its numbered documents, and what waits for each reader."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import msgspec

from controlroom.live.patch import Document, difference

WINDOW = 16  # messages a socket may have unacknowledged
QUEUE = 4  # deltas of one topic that may wait for a reader before it gets a snapshot instead
encoder = msgspec.json.Encoder()


class Channel:
    """One topic: its document, its number and who reads it."""

    def __init__(self, topic: str, hub: str) -> None:
        self.topic = topic
        self.hub = hub
        self.n = 0
        self.seq = 0
        self.document: Document = {}
        self.readers: set[Reader] = set()
        self._snapshot: str | None = None

    def update(self, new: Document) -> str | None:
        """Take a new document; return the encoded delta, None when nothing changed."""
        patch = difference(self.document, new)
        if not patch:
            return None
        self.n += 1
        self.document, self._snapshot = new, None
        self.seq = new.get("seq", self.seq)
        return self._encode("delta", "patch", patch)

    def snapshot(self) -> str:
        """Return the encoded whole document, encoded once until it changes."""
        if self._snapshot is None:
            self._snapshot = self._encode("snapshot", "data", self.document)
        return self._snapshot

    def _encode(self, kind: str, name: str, content: Document) -> str:
        body = {"kind": kind, "hub": self.hub, "topic": self.topic, "n": self.n, "seq": self.seq, name: content}
        return encoder.encode(body).decode()


@dataclass(eq=False)
class Reader:
    """A socket's side of the hub: what waits to be sent, and how much of what was sent has been read."""

    send: Callable[[str], Awaitable[None]]
    waiting: dict[str, list[str] | Channel] = field(default_factory=dict)
    sent: int = 0
    acknowledged: int = 0
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    def offer(self, channel: Channel, delta: str) -> None:
        """Queue a delta; too many of one topic become a snapshot to be made when it can be sent."""
        waiting = self.waiting.setdefault(channel.topic, [])
        if isinstance(waiting, list):
            waiting.append(delta)
            if len(waiting) > QUEUE:
                self.waiting[channel.topic] = channel
        self._news.set()

    def offer_snapshot(self, channel: Channel) -> None:
        """Queue the whole document in place of whatever waits."""
        self.waiting[channel.topic] = channel
        self._news.set()

    def offer_message(self, name: str, message: str) -> None:
        """Queue a message that is no document; the newest of its name wins."""
        self.waiting[name] = [message]
        self._news.set()

    def forget(self, topic: str) -> None:
        """Drop what waits for a topic."""
        self.waiting.pop(topic, None)

    def acknowledge(self, number: int) -> None:
        """Note that the browser has handled the messages up to this one."""
        self.acknowledged = max(self.acknowledged, min(number, self.sent))
        self._news.set()

    async def run(self, now_ms: Callable[[], int]) -> None:
        """Send what waits, as long as the browser keeps up."""
        while True:
            await self._news.wait()
            self._news.clear()
            while self.waiting and self.sent - self.acknowledged < WINDOW:
                topic = next(iter(self.waiting))
                waiting = self.waiting.pop(topic)
                for message in [waiting.snapshot()] if isinstance(waiting, Channel) else waiting:
                    self.sent += 1
                    await self.send(f'{{"now":{now_ms()},"m":{self.sent},{message[1:]}')
