"""What was asked for, and how far it has come: to everybody's eyes for oversight, one's own for the others."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import redis
from django.test import Client
from django.utils import timezone

from controlroom.access.models import User
from controlroom.relay.answers import take_answers
from controlroom.relay.outgoing import send_waiting
from events import bus
from events.actions import acknowledge
from events.models import Outbox
from events.types import ControlAck
from tests.browser import scripted

pytestmark = pytest.mark.django_db


@pytest.fixture
def relay(station: Any) -> redis.Redis:
    """The relay's connection, to an empty set of streams."""
    client = bus.connect(station.paths, "relay")
    for key in ("control.feed", "control.audit", "control.worker"):
        client.delete(key)
    return client


def state(client: Client, number: int) -> dict[str, Any]:
    found: dict[str, Any] = client.get(f"/data/requests/{number}").json()
    return found


def test_a_pause_goes_from_requested_over_sent_to_done(visitor: Client, station: Any, relay: redis.Redis) -> None:
    station.publish(scripted.view())
    html = visitor.post("/replay", {"action": "pause", "next": "/positions/"}, follow=True).content.decode()
    row = Outbox.objects.get(stream="control.feed")
    assert f'data-request="{row.id}"' in html
    assert state(visitor, row.id)["state"] == "requested"
    assert send_waiting(relay) == 1
    assert take_answers(relay) == 0
    assert state(visitor, row.id)["state"] == "sent"
    milliseconds, number = bus.order(Outbox.objects.get(id=row.id).entry)
    feed = bus.connect(station.paths, "feed")
    bus.beat(feed, "feed", {"control.ms": milliseconds - 1, "control.number": 9})
    assert take_answers(relay) == 0
    bus.beat(feed, "feed", {"control.ms": milliseconds, "control.number": number})
    assert take_answers(relay) == 1
    told = state(visitor, row.id)
    assert (told["state"], told["by"], told["note"]) == ("done", "feed", "the feed's pace is changed")
    assert told["requested_ms"] <= told["sent_ms"] <= told["acknowledged_ms"] == told["done_ms"]
    assert take_answers(relay) == 0


def test_an_audit_event_is_done_once_the_recorder_has_acknowledged_it(
    visitor: Client, station: Any, relay: redis.Redis
) -> None:
    recorder = bus.connect(station.paths, "recorder")
    visitor.post("/audit/verify")
    rows = Outbox.objects.filter(stream="control.audit")
    send_waiting(relay)
    assert take_answers(relay) == 0
    bus.ensure_group(recorder, "control.audit", "recorder")
    entries = bus.read_group(recorder, ["control.audit"], "recorder", count=10)
    assert take_answers(relay) == 0  # delivered, and not yet in the journal
    bus.acknowledge(recorder, "recorder", entries)
    assert take_answers(relay) == rows.count()
    assert {row.answer for row in rows} == {"in the station journal"}


def test_a_refusal_is_shown_with_the_workers_words(visitor: Client, station: Any, relay: redis.Redis) -> None:
    row = Outbox.objects.create(
        stream="control.worker",
        type="ControlEvent",
        agent_id="controlroom",
        payload='{"action":"enable","scope":"strategy","target":"momentum","reason":"try"}',
        actor="operator",
        request_id="r1",
    )
    send_waiting(relay)
    assert take_answers(relay) == 0  # the worker answers a ControlEvent itself
    acknowledge(ack=ControlAck(engine_ns=1, request_id="r1", action="enable", accepted=False, reason="killed"))
    told = state(visitor, row.id)
    assert (told["state"], told["note"], told["done_ms"]) == ("refused", "killed", None)
    assert told["what"] == "enable · strategy · momentum · try"


@pytest.mark.parametrize(
    ("published", "words"),
    [(False, "not sent for 60 s: the relay is away"), (True, "not acknowledged for 60 s: the feed may be away")],
)
def test_what_stays_without_an_answer_says_so(visitor: Client, station: Any, *, published: bool, words: str) -> None:
    row = Outbox.objects.create(
        stream="control.feed", type="FeedControl", agent_id="x", payload="{}", actor="operator", request_id="r2"
    )
    then = timezone.now() - timedelta(seconds=60)
    Outbox.objects.filter(id=row.id).update(created=then, published_at=then if published else None)
    assert words in visitor.get("/audit/requests").content.decode()


def test_everybody_sees_their_own_requests_and_oversight_all(
    person: Callable[..., User], client: Client, station: Any
) -> None:
    for actor in ("dev", "other"):
        Outbox.objects.create(
            stream="control.feed", type="FeedControl", agent_id="x", payload="{}", actor=actor, request_id=actor
        )
    client.force_login(person("strategy developer", name="dev"))
    html = client.get("/audit/requests").content.decode()
    assert "<td>dev</td>" in html
    assert "<td>other</td>" not in html
    assert client.get(f"/data/requests/{Outbox.objects.get(actor='other').id}").status_code == 404
    client.force_login(person("oversight", name="boss"))
    assert "<td>other</td>" in client.get("/audit/requests").content.decode()


def test_a_relay_that_is_away_is_said_in_every_header(visitor: Client, station: Any) -> None:
    station.publish(scripted.view())
    html = visitor.get("/positions/").content.decode()
    assert 'data-shown-if="relay_away"><strong>Requested, relay away since' in html
    bus.beat(bus.connect(station.paths, "relay"), "relay", {})
    assert 'data-shown-if="relay_away" hidden>' in visitor.get("/positions/").content.decode()


def test_htmx_gets_the_table_alone(visitor: Client, station: Any) -> None:
    assert b"<html" not in visitor.get("/audit/requests", headers={"HX-Request": "true"}).content


def test_a_payload_that_is_no_json_is_still_listed(visitor: Client, station: Any) -> None:
    Outbox.objects.create(stream="x", type="Odd", agent_id="x", payload="{", actor="a", request_id="odd")
    assert "Odd: Odd" in visitor.get("/audit/requests").content.decode()
