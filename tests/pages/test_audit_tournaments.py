"""The audit of tournaments: whose events are listed, by which filter, in which pages, and where they lead."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from django.test import Client

from agents.actions import assign_strategies
from controlroom.access.models import User
from controlroom.access.permissions import STRATEGY_DEVELOPER, TOURNAMENT_ADMINISTRATOR
from controlroom.pages import store
from events.codec import encode_payload
from events.journal import JournalReader, JournalWriter
from events.paths import DataPaths
from market.store.embedded import EmbeddedStore
from recorder.tail import Tail
from tests.pages.rounds import text_of
from tests.recorder import held_round

pytestmark = pytest.mark.django_db
PAGE = "/audit/tournaments"
ROUNDS = ("tournament:XNYS:2019-01-07", "tournament:XNYS:2019-01-14")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> DataPaths:
    """A record of two rounds, one told as the other, in its journal and in the store."""
    paths = DataPaths(tmp_path_factory.mktemp("rounds"))
    journal = JournalWriter(paths.journal / "station", "station", "run")
    for round_id in ROUNDS:
        for agent, told in held_round.told():
            payload = msgspec.structs.replace(told, round_id=round_id)
            journal.append([(type(told).__name__, agent, None, None, encode_payload(payload))])
    journal.sync()
    journal.close()
    filled = EmbeddedStore(paths.store, writing=True)
    tail = Tail(paths.journal / "station", filled)
    while tail.step():
        pass
    filled.close()
    return paths


@pytest.fixture
def record(folder: DataPaths, station: Any, settings: Any) -> list[dict[str, Any]]:
    """The record as the pages' own, newest first: each event's number, agent, type, round and hash."""
    settings.DATA = folder
    store._opened.cache_clear()
    stored = JournalReader(folder.journal / "station").stored()
    return [
        {"seq": each.record.seq, "agent": each.record.agent_id, "type": each.record.type, "hash": each.hash,
         "round": json.loads(bytes(each.record.payload))["round_id"]}
        for each in stored
    ][::-1]  # fmt: skip


def listed(html: str, panel: str = "Tournament events") -> list[int]:
    """Return the numbers of the records in a table."""
    table = re.search(rf'aria-label="{panel}"><table.*?</table>', html, re.DOTALL)
    return [int(seq) for seq in re.findall(r'href="/audit/station/(\d+)"', table[0])] if table else []


def all_pages(client: Client, query: str = "") -> list[int]:
    html, seen = client.get(f"{PAGE}?{query}").content.decode(), list[int]()
    while True:
        seen += listed(html)
        link = re.search(r'href="\?([^"]*)" rel="next"', html)
        if not link:
            return seen
        html = client.get(f"{PAGE}?{link[1].replace('&amp;', '&')}").content.decode()


@pytest.mark.parametrize(
    ("query", "holds"),
    [
        ("", lambda _: True),
        (f"round={ROUNDS[0]}", lambda event: event["round"] == ROUNDS[0]),
        ("strategy=bullish", lambda event: event["agent"] == "bullish"),
        (f"round={ROUNDS[1]}&strategy=momentum", lambda e: (e["round"], e["agent"]) == (ROUNDS[1], "momentum")),
    ],
)
def test_pages_are_together_exactly_the_events_of_the_filter(
    visitor: Client, record: list[dict[str, Any]], query: str, holds: Callable[[dict[str, Any]], bool]
) -> None:
    assert len(record) > 80  # more than a page
    wanted = [event["seq"] for event in record if holds(event)]
    assert wanted
    assert all_pages(visitor, query) == wanted


def test_an_event_says_round_strategy_type_hash_and_age_and_leads_to_its_record(
    visitor: Client, record: list[dict[str, Any]]
) -> None:
    newest = next(event for event in record if event["type"] == "ScoreEvent")
    html = visitor.get(f"{PAGE}?round={newest['round']}&strategy={newest['agent']}").content.decode()
    row = next(row for row in re.findall(r"<tr>.*?</tr>", html) if f'/audit/station/{newest["seq"]}"' in row)
    text = text_of(row)
    for word in (newest["round"], newest["agent"], "ScoreEvent", newest["hash"][:12], "sharpe", "sharpe_error"):
        assert word in text
    assert 'class="age"' in row
    told = visitor.get(f"/audit/station/{newest['seq']}").content.decode()
    assert newest["hash"] in told
    assert 'value="tournament:XNYS:2019-01-14"' in html  # the form keeps what was asked


def test_a_sealed_text_is_named_and_not_shown(visitor: Client, record: list[dict[str, Any]]) -> None:
    html = visitor.get(f"{PAGE}?strategy=bullish").content.decode()
    boxes = [told.box for agent, told in held_round.told() if agent == "bullish" and hasattr(told, "box")]
    assert len(boxes) == 3
    assert not [box for box in boxes if box[:40] in html]
    assert text_of(html).count("text sealed") >= 3


def test_results_of_a_round_are_those_of_its_events(visitor: Client, record: list[dict[str, Any]]) -> None:
    html = visitor.get(f"{PAGE}?round={ROUNDS[0]}").content.decode()
    wanted = [e["seq"] for e in record if e["type"] == "TournamentResultEvent" and e["round"] == ROUNDS[0]]
    assert listed(html, "Results of strategies") == wanted
    assert len(wanted) == 4
    results = re.search(r'aria-label="Results of strategies".*?</table>', html, re.DOTALL)
    assert results
    told = [told for _, told in held_round.told() if type(told).__name__ == "TournamentResultEvent"]
    for event in told:
        assert f"{100 * event.capital_allocation:.2f}" in results[0]
    assert f'href="/tournaments/{ROUNDS[0]}"' in html
    through_time = visitor.get(f"{PAGE}?strategy=bullish").content.decode()
    assert len(listed(through_time, "Results of strategies")) == 2


def test_a_tournament_administrator_sees_every_tournament_event(
    person: Callable[..., User], client: Client, record: list[dict[str, Any]]
) -> None:
    client.force_login(person(TOURNAMENT_ADMINISTRATOR))
    assert all_pages(client) == [event["seq"] for event in record]


def test_a_developer_sees_own_strategies_alone_and_each_link_opens(
    person: Callable[..., User], client: Client, record: list[dict[str, Any]]
) -> None:
    user = person(STRATEGY_DEVELOPER)
    client.force_login(user)
    html = client.get(PAGE).content.decode()
    assert listed(html) == []
    assert "no strategy is yours yet" in html
    assign_strategies(user=user, names=["momentum"])
    mine = [event["seq"] for event in record if event["agent"] == "momentum"]
    assert all_pages(client) == all_pages(client, "strategy=momentum") == mine
    html = client.get(PAGE).content.decode()
    assert "events of your strategies (momentum)" in html
    assert len(listed(html, "Results of strategies")) == 2
    assert {client.get(f"/audit/station/{seq}").status_code for seq in mine} == {200}
    for query in ("strategy=bullish", f"round={ROUNDS[0]}&strategy=bullish"):
        html = client.get(f"{PAGE}?{query}").content.decode()
        assert listed(html) == listed(html, "Results of strategies") == []
        assert "that you may see" in html
    assert not [event for event in record if event["agent"] == "bullish" and event["hash"][:12] in html]


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("round=tournament:XNYS:1999-01-01", "matches all of this filter. Loosen it, or clear it"),
        (f"strategy={'x' * 201}", "strategy has 201 characters; allowed are at most 200"),
        ("after=xyz", "page key 'xyz' is not one that this list gave"),
        ("round=%00%27%22%3Cscript%3E", "matches all of this filter"),
    ],
)
def test_what_finds_nothing_or_is_no_filter_is_a_sentence(
    visitor: Client, record: list[dict[str, Any]], query: str, sentence: str
) -> None:
    answer = visitor.get(f"{PAGE}?{query}")
    assert answer.status_code == 200
    assert sentence in text_of(answer.content.decode())
    assert listed(answer.content.decode()) == []
    assert b"<script>" not in answer.content


def test_a_record_without_a_round_says_what_will_come(visitor: Client, station: Any) -> None:
    html = visitor.get(PAGE).content.decode()
    assert "No tournament has been held in this record" in html
    assert "Results of strategies" not in html


def test_a_store_that_is_away_is_said(visitor: Client, station: Any, settings: Any, tmp_path: Path) -> None:
    settings.DATA = DataPaths(tmp_path)
    text = text_of(visitor.get(PAGE).content.decode())
    assert "cannot be read: store" in text
    assert "Rounds and the journals do not depend on it" in text
