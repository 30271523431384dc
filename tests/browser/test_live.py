"""The live page: new numbers arrive, old ones are called old, a lost server is said, nobody's work is replaced."""

import time

import pytest
from playwright.sync_api import Page, WebSocketRoute, expect

from tests.browser import scripted
from tests.browser.conftest import Trouble
from tests.browser.stage import Stage

pytestmark = pytest.mark.browser
EQUITY = '.figures [data-field="kpi.equity"]'


def opened(page: Page, stage: Stage, path: str = "/") -> Page:
    """Open a page and wait until its socket lives."""
    page.goto(f"{stage.url}{path}")
    expect(page.locator("body")).to_have_attribute("data-link", "live")
    return page


def test_new_view_reaches_an_open_page(page: Page, stage: Stage) -> None:
    opened(page, stage)
    view = scripted.view(stage.sequence + 7, 330)
    view["account"]["equity"] = 987_654.321
    stage.publish(view)
    expect(page.locator(EQUITY)).to_have_attribute("data-value", "987654.321")
    expect(page.locator(EQUITY)).to_have_text("987\u202f654.32")
    expect(page.locator("body")).to_have_attribute("data-seq", str(view["seq"]))
    expect(page.locator('[data-topic="header"][data-field="market_ms"][data-format="et"]')).to_have_text("15:00:00")


def test_first_html_says_the_same_as_the_first_message(page: Page, stage: Stage) -> None:
    html = page.request.get(f"{stage.url}/positions/").text()
    opened(page, stage, "/positions/")
    page.wait_for_timeout(1200)
    fields = page.eval_on_selector_all(
        "[data-field], [data-cell]", "all => all.filter(one => !one.closest('template')).map(one => one.textContent)"
    )
    first = page.evaluate(
        """html => [...new DOMParser().parseFromString(html, 'text/html').querySelectorAll('[data-field], [data-cell]')]
        .filter(one => !one.closest('template')).map(one => one.textContent)""",
        html,
    )
    assert fields == first


def test_rows_come_change_and_go(page: Page, stage: Stage) -> None:
    opened(page, stage, "/positions/")
    row = page.locator('tr[data-key="AAPL"]')
    expect(row).to_have_count(1)
    view = scripted.view(stage.sequence + 1)
    del view["positions"]["AAPL"]
    view["positions"]["ZZZ"] = view["positions"]["MSFT"] | {"lots": 7, "qty": 7.0}
    stage.publish(view)
    expect(row).to_have_count(0)
    expect(page.locator('tr[data-key="ZZZ"] [data-cell="qty"]')).to_have_text("+7")
    expect(page.locator('tr[data-key="ZZZ"] a')).to_have_attribute("href", "/market/ZZZ")


def test_a_region_with_focus_is_not_replaced(page: Page, stage: Stage) -> None:
    opened(page, stage, "/positions/")
    page.locator('tr[data-key="AAPL"] a').focus()
    view = scripted.view(stage.sequence + 1)
    del view["positions"]["AAPL"]
    stage.publish(view)
    expect(page.locator("body")).to_have_attribute("data-seq", str(view["seq"]))
    expect(page.locator('tr[data-key="AAPL"]')).to_have_count(1)


def test_silent_feed_becomes_stale_within_its_limit(page: Page, stage: Stage) -> None:
    opened(page, stage)
    age = page.locator('.badge.link [data-age="bars"]')
    expect(age).to_have_attribute("data-stale", "false")
    end = time.monotonic() + 9  # two bars at 120x and five seconds are six
    while time.monotonic() < end and age.get_attribute("data-stale") != "true":
        stage.beat()
        page.wait_for_timeout(300)
    expect(age).to_contain_text("STALE")
    expect(page.locator('tr[data-key="AAPL"] .age')).to_contain_text("STALE")
    expect(page.locator('.figures [data-age="equity"]').first).to_have_attribute("data-stale", "false")


def test_silent_worker_makes_its_numbers_stale(page: Page, stage: Stage) -> None:
    opened(page, stage)
    worker = page.locator('.figures [data-age="worker"]').first
    expect(worker).to_contain_text("STALE", timeout=8000)
    expect(page.locator('a[data-stale-by="worker"]').first).to_have_attribute("data-stale", "true")


def test_ended_replay_is_ended_and_not_stale(page: Page, stage: Stage) -> None:
    view = scripted.view(stage.sequence + 1, arrival_ns=time.time_ns() - 3_600_000_000_000)
    view["source"]["ended"] = True
    stage.publish(view)
    opened(page, stage)
    expect(page.locator('.badge.link [data-age="bars"]')).to_have_text("ended")
    expect(page.locator(".replay")).to_be_hidden()


def test_closed_market_says_when_it_closed(page: Page, stage: Stage) -> None:
    old = time.time_ns() - 60_000_000_000
    stage.publish(scripted.view(stage.sequence + 1, 390, arrival_ns=old, symbol_change={"in_session": False}))
    opened(page, stage)
    expect(page.locator('.badge.link [data-age="bars"]')).to_have_text("closed, last 16:00 ET")


def test_lost_server_is_offline_then_live_again(page: Page, stage: Stage, trouble: Trouble) -> None:
    opened(page, stage)
    stage.stop_web()
    expect(page.locator("#link")).to_contain_text("reconnecting", timeout=5000)
    expect(page.locator("body")).to_have_attribute("data-link", "offline", timeout=12_000)
    expect(page.locator("#link")).to_contain_text("OFFLINE")
    expect(page.locator("#offline")).to_be_visible()
    grey = page.evaluate("getComputedStyle(document.documentElement).getPropertyValue('--stale').trim()")
    shown = page.evaluate(f"getComputedStyle(document.querySelector('{EQUITY}')).color")
    assert shown == f"rgb({int(grey[1:3], 16)}, {int(grey[3:5], 16)}, {int(grey[5:7], 16)})"
    stage.start_web()
    stage.publish(scripted.view(stage.sequence + 5, 340))
    expect(page.locator("body")).to_have_attribute("data-link", "live", timeout=20_000)
    expect(page.locator("body")).to_have_attribute("data-seq", str(stage.sequence + 5))
    expect(page.locator("#offline")).to_be_hidden()
    trouble.expected("WebSocket connection")
    trouble.expected("net::ERR_")  # what was being fetched when the server went


def test_a_gap_in_the_deltas_asks_for_a_snapshot(page: Page, stage: Stage) -> None:
    state = {"drop": False, "dropped": 0, "resyncs": 0}

    def between(route: WebSocketRoute) -> None:
        server = route.connect_to_server()

        def from_server(message: str) -> None:
            if state["drop"] and '"kind":"delta"' in message and '"topic":"header"' in message:
                state["drop"], state["dropped"] = False, state["dropped"] + 1
                return
            route.send(message)

        def from_page(message: str) -> None:
            state["resyncs"] += '"resync"' in message
            server.send(message)

        server.on_message(from_server)
        route.on_message(from_page)

    page.route_web_socket("**/live", between)
    opened(page, stage)
    state["drop"] = True
    stage.publish(scripted.view(stage.sequence + 1, 331))
    page.wait_for_timeout(1500)
    stage.publish(scripted.view(stage.sequence + 2, 332))
    expect(page.locator("body")).to_have_attribute("data-seq", str(stage.sequence + 2))
    assert state["dropped"] == 1
    assert state["resyncs"] >= 1


def test_hidden_tab_pauses_all_but_the_header(page: Page, stage: Stage) -> None:
    sent: list[str] = []
    page.on("websocket", lambda socket: socket.on("framesent", lambda frame: sent.append(str(frame))))
    opened(page, stage)
    page.evaluate(
        """Object.defineProperty(document, 'hidden', { value: true, configurable: true });
        document.dispatchEvent(new Event('visibilitychange'));"""
    )
    before = page.locator('tr[data-key="AAPL"] [data-cell="last"]').inner_text()
    stage.publish(scripted.view(stage.sequence + 1, 200, killed=["all"]))
    expect(page).to_have_title("KILLED (1) REPLAY Overview \u00b7 AI Trading Station")
    assert page.locator('tr[data-key="AAPL"] [data-cell="last"]').inner_text() == before
    assert any("unsubscribe" in frame and "overview" in frame and "header" not in frame for frame in sent)
    page.evaluate("delete document.hidden; document.dispatchEvent(new Event('visibilitychange'));")
    expect(page.locator('tr[data-key="AAPL"] [data-cell="last"]')).not_to_have_text(before)


def test_kill_changes_title_icon_and_words(page: Page, stage: Stage) -> None:
    opened(page, stage)
    stage.publish()  # a beat that is fresh however long the page took
    expect(page).to_have_title("(1) REPLAY Overview \u00b7 AI Trading Station")
    stage.publish(scripted.view(stage.sequence + 1, killed=["all"]))
    expect(page).to_have_title("KILLED (1) REPLAY Overview \u00b7 AI Trading Station")
    expect(page.locator(".badge.state")).to_have_text("KILLED")
    expect(page.locator("#icon")).to_have_attribute("href", "/static/icons/kill.svg")
    expect(page.locator(".kill.release")).to_be_visible()


def test_simulated_is_said_everywhere(page: Page, stage: Stage) -> None:
    view = scripted.view(stage.sequence + 1)
    view["source"] |= {"label": "SIMULATED", "feed": "simulated", "detail": "seed 7"}
    stage.publish(view)
    for path in ("/", "/market/AAPL", "/positions/", "/orders/", "/system/"):
        opened(page, stage, path)
        assert "SIMULATED" in page.title()
        expect(page.locator(".badge.source")).to_contain_text("SIMULATED")
        expect(page.locator("main .banner", has_text="SIMULATED")).to_be_visible()


def test_failed_process_is_said_in_every_header(page: Page, stage: Stage) -> None:
    row = '[{"name":"recorder","state":"failed","pid":0,"started_ns":0,"restarts":5,"failed":true}]'
    (stage.paths.run / "processes.json").write_text(row)
    stage.publish()
    opened(page, stage, "/system/")
    expect(page.locator("main .banner", has_text="FAILED recorder")).to_be_visible()
    expect(page.locator('tr[data-key="recorder"] [data-cell="state"]')).to_have_text("failed")
