"""The event search: who finds what, by which filter, and what the files hold."""

import csv
import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from agents.actions import assign_strategies
from controlroom.access.models import User
from events.paths import DataPaths
from market.store import event_queries
from tests.browser import recorded, scripted

pytestmark = pytest.mark.django_db
OWN = ["momentum"]


def found(html: bytes) -> list[str]:
    """Return the records that a page lists."""
    return re.findall(r'href="/audit/(execution/\d+|station/\d+)"', html.decode())


def downloaded(client: Client, query: str = "") -> list[dict[str, Any]]:
    answer = client.get(f"/audit/events.jsonl?{query}")
    return [json.loads(line) for line in b"".join(answer.streaming_content).decode().splitlines()]


@pytest.fixture
def developer(person: Callable[..., User], client: Client) -> Client:
    """A browser of somebody who develops one strategy."""
    user = person("strategy developer", name="dev")
    assign_strategies(user=user, names=OWN)
    client.force_login(user)
    return client


def test_oversight_sees_every_event(visitor: Client, station: Any) -> None:
    events = downloaded(visitor)
    execution = [event["seq"] for event in events if event["writer"] == "execution" and event["run"] == recorded.RUN]
    assert sorted(execution) == sorted([*range(recorded.RECORDS), 3])  # 3 is also an event that scripted.py made up
    assert {event["payload"]["actor"] for event in events if event["writer"] == "station"} == {"operator", "zoë"}


def test_a_developer_sees_the_events_of_own_strategies_and_no_others(developer: Client, station: Any) -> None:
    events = downloaded(developer)
    assert events
    assert {event["agent_id"] for event in events} == set(OWN)
    assert "events of your strategies (momentum)" in developer.get("/audit/").content.decode()
    assert downloaded(developer, "agent=bullish") == []
    assert downloaded(developer, "text=REDUCING") == []


def test_whoever_owns_nothing_is_told_why_the_list_is_empty(
    person: Callable[..., User], client: Client, station: Any
) -> None:
    client.force_login(person("strategy developer"))
    html = client.get("/audit/").content.decode()
    assert found(html.encode()) == []
    assert "no strategy is yours yet" in html


def test_a_tournament_administrator_sees_tournament_events_alone(
    person: Callable[..., User], client: Client, station: Any
) -> None:
    client.force_login(person("tournament administrator"))
    assert downloaded(client) == []
    assert "you see tournament events" in client.get("/audit/").content.decode()


@pytest.mark.parametrize(
    ("query", "holds"),
    [
        ("type=StateEvent", lambda event: event["event_type"] == "StateEvent"),
        ("agent=bullish", lambda event: event["agent_id"] == "bullish"),
        ("symbol=aapl", lambda event: event["symbol"] == "AAPL"),
        ("writer=station", lambda event: event["writer"] == "station"),
        ("text=DAILY+LOSS", lambda event: "daily loss" in json.dumps(event["payload"])),
        (
            "from=2019-02-13T14:40&to=2019-02-13T14:50",
            lambda event: 600 <= (event["ts_ns"] - scripted.OPEN_NS) // scripted.SECOND < 1200,
        ),
        (
            "from=2019-02-13T09:40&to=2019-02-13T09:50&tz=et",
            lambda event: 600 <= (event["ts_ns"] - scripted.OPEN_NS) // scripted.SECOND < 1200,
        ),
        ("to=2019-02-13", lambda event: event["writer"] == "execution"),
    ],
)
def test_each_filter_gives_exactly_its_events(
    visitor: Client, station: Any, query: str, holds: Callable[[dict[str, Any]], bool]
) -> None:
    wanted = [event for event in downloaded(visitor) if holds(event)]
    assert wanted
    assert downloaded(visitor, query) == wanted
    page = visitor.get(f"/audit/?{query}").content
    assert found(page)[: len(wanted)] == [f"{event['writer']}/{event['seq']}" for event in wanted][:50]


def test_pages_follow_each_other_without_gap(visitor: Client, station: Any) -> None:
    html, seen = visitor.get("/audit/").content.decode(), []
    while True:
        seen += found(html.encode())
        link = re.search(r'href="\?([^"]*after=[^"]*)" rel="next"', html)
        if not link:
            break
        html = visitor.get(f"/audit/?{link[1].replace('&amp;', '&')}").content.decode()
    assert seen == [f"{event['writer']}/{event['seq']}" for event in downloaded(visitor)]


def test_a_bounded_search_says_how_far_it_looked_and_goes_on(
    visitor: Client, station: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_queries, "LOOKED_AT", 20)
    monkeypatch.setattr(event_queries, "LOOK_S", 0)
    html = visitor.get("/audit/?text=REDUCING").content.decode()
    assert "No event among those looked at holds this text" in html
    assert re.search(r"looked back to <span[^>]*>2019-02-13 \d\d:\d\d:\d\d UTC</span>, where this page stopped", html)
    while not found(html.encode()):
        link = re.search(r'href="\?([^"]*after=[^"]*)" rel="next">look further back', html)
        assert link
        html = visitor.get(f"/audit/?{link[1].replace('&amp;', '&')}").content.decode()
    assert found(html.encode())[0] == "execution/40"


def test_csv_holds_the_same_events_as_json_lines(visitor: Client, station: Any) -> None:
    answer = visitor.get("/audit/events.csv?agent=bullish")
    rows = list(csv.DictReader(io.StringIO(b"".join(answer.streaming_content).decode())))
    events = downloaded(visitor, "agent=bullish")
    assert [(row["writer"], int(row["seq"]), row["hash_current"]) for row in rows] == [
        (event["writer"], event["seq"], event["hash_current"]) for event in events
    ]
    assert [json.loads(row["metadata"]) for row in rows] == [event["payload"] for event in events]
    assert answer.headers["Content-Disposition"] == 'attachment; filename="events.csv"'


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("from=soon", "from 'soon' is no time; allowed are YYYY-MM-DD and YYYY-MM-DDTHH:MM:SS"),
        ("from=2019-02-14&to=2019-02-12", "from 2019-02-14 is not before to 2019-02-12"),
        (f"text={'x' * 201}", "text has 201 characters; allowed are at most 200"),
        ("after=xyz", "page key 'xyz'"),
    ],
)
def test_bad_filters_are_a_sentence(visitor: Client, station: Any, query: str, sentence: str) -> None:
    assert sentence in visitor.get(f"/audit/?{query}").content.decode().replace("&#x27;", "'")
    if not query.startswith("after"):
        answer = visitor.get(f"/audit/events.csv?{query}")
        assert answer.status_code == 400
        assert sentence in answer.content.decode()


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("type=MarketSlice", "MarketSlice records stand in the journal but not in this list"),
        ("agent=nobody", "No event matches all of this filter"),
    ],
)
def test_empty_lists_say_why(visitor: Client, station: Any, query: str, sentence: str) -> None:
    assert sentence in visitor.get(f"/audit/?{query}").content.decode()


def test_a_search_without_a_store_says_so(visitor: Client, settings: Any, tmp_path: Path) -> None:
    settings.DATA = DataPaths(tmp_path)
    answer = visitor.get("/audit/")
    assert answer.status_code == 200
    assert b"The search cannot be answered" in answer.content


def test_htmx_gets_the_table_alone(visitor: Client, station: Any) -> None:
    html = visitor.get("/audit/?agent=bullish", headers={"HX-Request": "true"}).content
    assert b"<html" not in html
    assert found(html)
