"""The socket lets in signed-in people from our own pages, and nobody who may not any more."""

import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from channels.testing import WebsocketCommunicator
from django.contrib.auth.models import AnonymousUser

from controlroom.access.models import User
from controlroom.live import consumer, source
from controlroom.live.consumer import FORBIDDEN, UNAUTHENTICATED, LiveConsumer
from tests.browser import scripted

pytestmark = pytest.mark.django_db(transaction=True)
HEADERS = [(b"host", b"station.test"), (b"origin", b"http://station.test")]


@pytest.fixture
async def knock(station: Any) -> AsyncIterator[Callable[..., WebsocketCommunicator]]:
    """Open a socket as somebody."""
    opened = []

    def make(user: Any, headers: list[tuple[bytes, bytes]] | None = None) -> WebsocketCommunicator:
        communicator = WebsocketCommunicator(
            LiveConsumer.as_asgi(), "/live", headers=HEADERS if headers is None else headers
        )
        communicator.scope["user"] = user
        opened.append(communicator)
        return communicator

    yield make
    for communicator in opened:
        await communicator.disconnect()
    for hub in source._hubs.values():
        await hub.stop()


async def closing_code(communicator: WebsocketCommunicator) -> int:
    """Return the code with which the socket closes."""
    await communicator.connect()
    while True:
        output = await communicator.receive_output(3)
        if output["type"] == "websocket.close":
            return int(output["code"])


async def message_of(communicator: WebsocketCommunicator, kind: str, seconds: float = 5.0) -> dict[str, Any]:
    """Return the next message of a kind."""
    while True:
        message: dict[str, Any] = json.loads(await communicator.receive_from(seconds))
        if message["kind"] == kind:
            return message


async def oversight(person: Callable[..., User], *roles: str) -> User:
    """Return somebody of these roles, oversight by default."""
    return await sync_to_async(person)(*(roles or ("oversight",)))


@pytest.mark.parametrize(
    "headers", [[], [(b"host", b"station.test")], [(b"host", b"station.test"), (b"origin", b"http://evil.test")]]
)
async def test_other_origins_are_refused(knock: Any, person: Any, headers: list[tuple[bytes, bytes]]) -> None:
    assert await closing_code(knock(await oversight(person), headers)) == FORBIDDEN


async def test_strangers_are_refused(knock: Any) -> None:
    assert await closing_code(knock(AnonymousUser())) == UNAUTHENTICATED


async def test_subscriber_gets_a_snapshot(knock: Any, person: Any, station: Any) -> None:
    station.publish(scripted.view(seq=77))
    socket = knock(await oversight(person))
    assert (await socket.connect())[0]
    await socket.send_to(json.dumps({"subscribe": ["header", "market.AAPL"]}))
    message = await message_of(socket, "snapshot")
    assert message["topic"] == "header"
    assert message["m"] == 1
    assert (await message_of(socket, "snapshot"))["topic"] == "market.AAPL"


async def test_person_without_a_role_sees_no_topic(knock: Any, person: Any) -> None:
    socket = knock(await sync_to_async(person)())
    await socket.connect()
    await socket.send_to(json.dumps({"subscribe": ["positions"]}))
    assert await message_of(socket, "refused") | {"now": 0, "m": 0} == {
        "kind": "refused",
        "topic": "positions",
        "reason": "not for this user",
        "now": 0,
        "m": 0,
    }


async def test_unknown_topic_is_refused(knock: Any, person: Any) -> None:
    socket = knock(await oversight(person))
    await socket.connect()
    await socket.send_to(json.dumps({"subscribe": ["secrets"]}))
    assert (await message_of(socket, "refused"))["topic"] == "secrets"


async def test_role_that_ends_ends_its_topics(knock: Any, person: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    user = await oversight(person)

    async def again(_scope: Any) -> User:
        return await User.objects.aget(pk=user.pk)

    monkeypatch.setattr(consumer, "RECHECK_S", 0.2)
    monkeypatch.setattr(consumer, "get_user", again)
    socket = knock(user)
    await socket.connect()
    await socket.send_to(json.dumps({"subscribe": ["orders"]}))
    await message_of(socket, "snapshot")
    await sync_to_async(user.groups.clear)()
    assert (await message_of(socket, "refused"))["reason"] == "not for this user any more"


async def test_session_that_ends_closes_the_socket(knock: Any, person: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async def gone(_scope: Any) -> AnonymousUser:
        return AnonymousUser()

    monkeypatch.setattr(consumer, "RECHECK_S", 0.2)
    monkeypatch.setattr(consumer, "get_user", gone)
    assert await closing_code(knock(await oversight(person))) == UNAUTHENTICATED


@pytest.mark.parametrize(
    "text", [" ", "no json", '{"subscribe": 7}', '{"unknown": 1}', '{"subscribe": ["' + "x" * 5000 + '"]}']
)
async def test_nonsense_closes_the_socket(knock: Any, person: Any, text: str) -> None:
    socket = knock(await oversight(person))
    await socket.connect()
    await socket.send_to(text)
    while (output := await socket.receive_output(3))["type"] != "websocket.close":
        pass
    assert output["code"] == consumer.BAD_MESSAGE


async def test_more_topics_than_a_page_has_are_refused(knock: Any, person: Any) -> None:
    socket = knock(await oversight(person))
    await socket.connect()
    await socket.send_to(json.dumps({"subscribe": [f"market.S{number}" for number in range(17)]}))
    for number in range(1, 17):
        assert json.loads(await socket.receive_from(5))["m"] == number
    await socket.send_to(json.dumps({"ack": 16}))
    assert (await message_of(socket, "refused"))["reason"] == "too many topics"
