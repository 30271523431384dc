"""Every page, its data and its forms: what they answer, to whom, with how many queries."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.test.signals import template_rendered

from controlroom.access.models import User
from events.models import Outbox
from events.paths import DataPaths
from tests.browser import scripted

pytestmark = pytest.mark.django_db
AUDIT = ("/audit/", "/audit/record", "/audit/requests", "/audit/tournaments")
PAGES = (
    *("/", "/market/", "/market/AAPL", "/positions/", "/orders/", "/orders/O-000033", "/risk/", "/limits/"),
    *("/approvals/", "/system/", "/tournaments/", "/tournaments/rules", *AUDIT),
)
RECORD = "/audit/execution/40"
DATA = (
    "/data/equity", "/data/sparks", "/data/bars/AAPL", "/orders/orders.csv", "/risk/figures", "/data/var",
    RECORD, f"{RECORD}/proof", "/audit/events.csv", "/audit/events.jsonl",
)  # fmt: skip
QUERIES = 9
"""Session, person, roles and permissions; the station is read from the bus and the store, not from this database."""


@pytest.mark.parametrize("path", [*PAGES, *DATA])
def test_answers_with_few_queries(visitor: Client, station: Any, path: str, django_assert_max_num_queries: Any) -> None:
    station.publish(scripted.view())
    visitor.get(path)
    with django_assert_max_num_queries(QUERIES):
        assert visitor.get(path).status_code == 200


@pytest.mark.parametrize("path", PAGES)
def test_page_stands_without_a_worker(visitor: Client, station: Any, path: str) -> None:
    answer = visitor.get(path)
    assert answer.status_code == 200
    assert b"No word from the worker" in answer.content


@pytest.mark.parametrize("path", PAGES)
def test_page_stands_without_bus_and_store(visitor: Client, settings: Any, tmp_path: Path, path: str) -> None:
    settings.DATA = DataPaths(tmp_path)
    answer = visitor.get(path)
    assert answer.status_code == 200
    assert b"the bus does not answer" in answer.content


@pytest.mark.parametrize("path", [*PAGES, *DATA])
def test_strangers_are_sent_to_the_login_and_the_roleless_refused(
    client: Client, person: Callable[..., User], station: Any, path: str
) -> None:
    assert client.get(path).url.startswith("/login?next=")
    client.force_login(person())
    assert client.get(path).status_code == (200 if path == "/data/sparks" else 403)


@pytest.mark.parametrize("path", [*PAGES, *DATA])
def test_pages_take_no_post(visitor: Client, station: Any, path: str) -> None:
    assert visitor.post(path).status_code == 405


def test_numbers_carry_their_raw_value_and_the_page_its_sequence(visitor: Client, station: Any) -> None:
    view = scripted.view(seq=4711)
    station.publish(view)
    html = visitor.get("/").content.decode()
    assert 'data-seq="4711"' in html
    found = re.search(r'data-field="kpi.equity" data-format="money" data-value="([^"]+)"', html)
    assert found
    assert float(found[1]) == view["account"]["equity"]


def test_no_inline_script_style_or_handler(visitor: Client, station: Any) -> None:
    station.publish(scripted.view())
    for path in PAGES:
        html = visitor.get(path).content.decode()
        assert not re.search(r"<script(?![^>]*\b(src|type=\"application/json\"))", html)
        assert not re.search(r"\sstyle=|<style|\son[a-z]+=", html)


def test_links_lead_somewhere(visitor: Client, station: Any) -> None:
    station.publish(scripted.view())
    seen = {
        link.replace("&amp;", "&")
        for path in PAGES
        for link in re.findall(r'\shref="(/[^"#]*)', visitor.get(path).content.decode())
    }
    own = {link for link in seen if not link.startswith(("/static/", "/admin/"))}
    assert own
    for link in own:
        answer = visitor.get(link)
        asked_first = answer.headers.get("Location", "").startswith(("/one-time-codes", "/step-up"))
        assert answer.status_code == 200 or asked_first, link


@pytest.mark.parametrize(
    ("path", "part"),
    [
        ("/market/NOPE", "/market/NOPE"),
        ("/orders/O-999999", "/orders/O-999999"),
        ("/nowhere", "/nowhere"),
    ],
)
def test_unknown_things_are_not_found(visitor: Client, station: Any, path: str, part: str) -> None:
    station.publish(scripted.view())
    answer = visitor.get(path)
    assert answer.status_code == 404
    assert part in answer.content.decode().replace("&#x27;", "'")


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("side=LEFT", "side 'LEFT' is unknown; allowed are BUY, SELL"),
        ("state=HAPPY", "state 'HAPPY' is unknown"),
        ("sort=price", "sort 'price' is not possible"),
        ("from=soon", "day 'soon' is not one"),
        ("after=xyz", "page key 'xyz'"),
    ],
)
def test_bad_filters_are_a_sentence(visitor: Client, station: Any, query: str, sentence: str) -> None:
    html = visitor.get(f"/orders/?{query}").content.decode().replace("&#x27;", "'")
    assert sentence in html
    if not query.startswith("after"):
        answer = visitor.get(f"/orders/orders.csv?{query}")
        assert answer.status_code == 400
        assert sentence in answer.content.decode()


def test_htmx_gets_the_table_alone(visitor: Client, station: Any) -> None:
    html = visitor.get("/orders/?symbol=AAPL", headers={"HX-Request": "true"}).content.decode()
    assert "<html" not in html
    assert "AAPL" in html


def test_equity_comes_oldest_first_with_its_marks(visitor: Client, station: Any) -> None:
    station.publish(scripted.view())
    told = visitor.get("/data/equity?range=all").json()
    assert told["at_ms"] == sorted(told["at_ms"])
    assert len(told["at_ms"]) == len(told["equity"]) == len(told["drawdown"]) == scripted.MINUTES
    assert json.loads(told["marks"][0]["metadata"])["state"] == "REDUCING"


def test_bars_are_aggregated_and_only_the_tail_is_sent(visitor: Client, station: Any) -> None:
    station.publish(scripted.view())
    whole = visitor.get("/data/bars/AAPL?interval=300&range=day").json()
    assert len(whole["at_ms"]) == -(-scripted.MINUTES // 5)
    tail = visitor.get(f"/data/bars/AAPL?interval=300&range=day&after={whole['at_ms'][-2]}").json()
    assert tail["at_ms"] == whole["at_ms"][-2:]


def test_sparklines_begin_with_what_the_store_knows(visitor: Client, station: Any) -> None:
    station.publish(scripted.view())
    told = visitor.get("/data/sparks").json()["header:kpi.equity"]
    assert 2 <= len(told) <= 120
    assert told[-1] == pytest.approx(1_006_412, abs=2000)
    assert b'data-spark="header:kpi.equity" data-trend=' in visitor.get("/positions/").content


@pytest.mark.parametrize("path", ["/data/equity", "/data/bars/AAPL"])
def test_missing_store_is_said(visitor: Client, settings: Any, tmp_path: Path, path: str) -> None:
    settings.DATA = DataPaths(tmp_path)
    answer = visitor.get(path)
    assert answer.status_code == 503
    assert answer.json()["error"]


def test_theme_is_kept_in_a_cookie(visitor: Client, station: Any) -> None:
    answer = visitor.post("/theme", {"theme": "light", "next": "/positions/"})
    assert answer.url == "/positions/"
    assert b'data-theme="light"' in visitor.get("/positions/").content
    assert visitor.post("/theme", {"theme": "pink"}).status_code == 400
    assert visitor.post("/theme", {"theme": "dark", "next": "https://evil.test/"}).url == "/"
    assert visitor.get("/theme").status_code == 405


@pytest.mark.parametrize(
    ("form", "payload"),
    [
        ({"action": "pause"}, {"action": "pause", "actor": "operator", "speed": 0.0}),
        ({"action": "step"}, {"action": "step", "actor": "operator", "speed": 0.0}),
        ({"speed": "600"}, {"action": "speed", "actor": "operator", "speed": 600.0}),
        ({"speed": "max"}, {"action": "speed", "actor": "operator", "speed": 0.0}),
    ],
)
def test_replay_is_steered_through_the_outbox(
    visitor: Client, station: Any, form: dict[str, str], payload: dict[str, Any]
) -> None:
    assert visitor.post("/replay", form | {"next": "/market/"}).url == "/market/"
    row = Outbox.objects.get(stream="control.feed")
    assert json.loads(row.payload) == payload


@pytest.mark.parametrize("form", [{}, {"action": "rewind"}, {"action": "speed", "speed": "7"}, {"speed": "fast"}])
def test_bad_wishes_change_nothing(visitor: Client, station: Any, form: dict[str, str]) -> None:
    assert visitor.post("/replay", form).status_code == 400
    assert not Outbox.objects.filter(stream="control.feed").exists()


def test_replay_asks_for_a_role(client: Client, person: Callable[..., User], station: Any) -> None:
    client.force_login(person())
    assert client.post("/replay", {"action": "pause"}).status_code == 403


def test_broken_view_says_what_works(visitor: Client, station: Any) -> None:
    visitor.raise_request_exception = False
    station.worker.xadd("worker.snapshot", {"view": b"{broken"})
    answer = visitor.get("/")
    assert answer.status_code == 500
    assert b"the kill switch</a>" in answer.content


def test_order_that_only_the_worker_knows_is_said_to_be_on_its_way(visitor: Client, station: Any) -> None:
    view = scripted.view()
    view["orders"][0]["order_id"] = "S-new"
    station.publish(view)
    answer = visitor.get("/orders/S-new")
    assert answer.status_code == 200
    assert b"the recorder has not stored it yet" in answer.content


def test_every_template_is_rendered(visitor: Client, station: Any, templates_folder: Path) -> None:
    rendered: set[str] = set()

    def note(template: Any, **_more: Any) -> None:
        rendered.add(template.name)

    template_rendered.connect(note)
    try:
        visitor.get("/")
        station.publish(scripted.view(killed=["all"]))
        visitor.post("/audit/verify", {"writer": "execution"})
        for path in (*PAGES, RECORD, "/nowhere"):
            visitor.get(path)
    finally:
        template_rendered.disconnect(note)
    ours = {str(file.relative_to(templates_folder)) for file in templates_folder.rglob("*.html")}
    tested = ("pages/tournaments/", "pages/allocation/", "pages/evolution/")  # beside these pages' tests
    elsewhere = {name for name in ours if name.startswith(tested)}
    assert ours - elsewhere <= rendered
