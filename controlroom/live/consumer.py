"""The socket at /live: authorises, subscribes and passes on; the protocol stands in controlroom/live/hub.py."""

import asyncio
import logging
from urllib.parse import urlsplit

import msgspec
from channels.auth import get_user
from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db import Error as DatabaseError

from controlroom.live.authority import may_see
from controlroom.live.channel import Reader
from controlroom.live.source import station_hub

RECHECK_S = 10.0
MOST_TOPICS = 16
LARGEST = 4096  # bytes of a message from a browser

UNAUTHENTICATED, FORBIDDEN, BAD_MESSAGE = 4401, 4403, 4400
log = logging.getLogger(__name__)


class Request(msgspec.Struct, forbid_unknown_fields=True):
    """What a browser may say."""

    subscribe: list[str] = []
    unsubscribe: list[str] = []
    resync: str = ""
    ack: int = 0


def same_origin(headers: list[tuple[bytes, bytes]]) -> bool:
    """Return whether the page that opened the socket came from this very host and port."""
    found = dict(headers)
    origin, host = found.get(b"origin", b"").decode("latin1"), found.get(b"host", b"").decode("latin1")
    return bool(host) and urlsplit(origin).netloc.lower() == host.lower()


class LiveConsumer(AsyncWebsocketConsumer):  # type: ignore[misc]  # channels ships no types
    """One browser's socket."""

    async def connect(self) -> None:
        """Accept a signed-in person's own page, refuse everything else."""
        self.reader = Reader(self._send_text)
        self.topics: set[str] = set()
        self.tasks: list[asyncio.Task[None]] = []
        if not same_origin(self.scope["headers"]):
            await self.accept()
            await self.close(FORBIDDEN)
            return
        user = self.scope.get("user")
        if user is None or not user.is_authenticated:
            await self.accept()
            await self.close(UNAUTHENTICATED)
            return
        self.hub = station_hub()
        self.hub.start()
        await self.accept()
        loop = asyncio.get_running_loop()
        self.tasks = [
            loop.create_task(self.reader.run(self.hub.now_ms), name="live-send"),
            loop.create_task(self._recheck(), name="live-recheck"),
        ]

    async def disconnect(self, code: int) -> None:  # noqa: ARG002  channels' signature
        """Let go of the topics."""
        for task in self.tasks:
            task.cancel()
        if self.topics:
            self.hub.leave(self.reader)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """Handle one request; a malformed one closes the socket."""
        if not self.tasks:
            return
        text = text_data or ""
        try:
            if bytes_data is not None or len(text) > LARGEST:
                raise msgspec.ValidationError("text of at most 4096 bytes is expected")
            request = msgspec.json.decode(text, type=Request)
        except msgspec.DecodeError as error:
            log.info("live socket: bad message: %s", error)
            await self.close(BAD_MESSAGE)
            return
        if request.ack:
            self.reader.acknowledge(request.ack)
        for topic in request.unsubscribe:
            self.topics.discard(topic)
            self.hub.unsubscribe(self.reader, topic)
        if request.resync in self.topics:
            self.hub.subscribe(self.reader, request.resync)
        if request.subscribe:
            await self._subscribe(request.subscribe)

    async def _subscribe(self, topics: list[str]) -> None:
        for topic in topics:
            allowed = await database_sync_to_async(may_see)(self.scope["user"], topic)
            if not allowed or len(self.topics) >= MOST_TOPICS:
                self._refuse(topic[:60], "not for this user" if not allowed else "too many topics")
                continue
            self.topics.add(topic)
            self.hub.subscribe(self.reader, topic)

    def _refuse(self, topic: str, reason: str) -> None:
        message = msgspec.json.encode({"kind": "refused", "topic": topic, "reason": reason}).decode()
        self.reader.offer_message(f"refused {topic}", message)

    async def _recheck(self) -> None:
        """Ask again and again who this is and what they may see: a session may end and a role change."""
        while True:
            await asyncio.sleep(RECHECK_S)
            try:
                user: AbstractBaseUser | AnonymousUser = await get_user(self.scope)
                allowed = {topic: await database_sync_to_async(may_see)(user, topic) for topic in self.topics}
            except DatabaseError as error:
                log.warning("live socket: cannot recheck the session (%s); trying again", error)
                continue
            if not user.is_authenticated:
                await self.close(UNAUTHENTICATED)
                return
            self.scope["user"] = user
            for topic in [topic for topic, may in allowed.items() if not may]:
                self.topics.discard(topic)
                self.hub.unsubscribe(self.reader, topic)
                self._refuse(topic, "not for this user any more")

    async def _send_text(self, text: str) -> None:
        await self.send(text_data=text)
