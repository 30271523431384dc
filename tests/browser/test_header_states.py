"""What a person sees when the station is not well: in the header, in the tab, in the kill switch, in a flat chart."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser import scripted
from tests.browser.conftest import Trouble
from tests.browser.stage import Stage

pytestmark = pytest.mark.browser


def opened(page: Page, stage: Stage, path: str = "/") -> None:
    page.goto(f"{stage.url}{path}")
    expect(page.locator("body")).to_have_attribute("data-link", "live")


def test_offline_while_killed_is_said_in_tab_header_and_kill_switch(page: Page, stage: Stage, trouble: Trouble) -> None:
    stage.publish(scripted.view(stage.sequence + 1, killed=["all"]))
    opened(page, stage)
    expect(page.locator("#kill .if-old")).to_be_hidden()
    stage.stop_web()
    expect(page.locator("body")).to_have_attribute("data-link", "offline", timeout=15_000)
    expect(page).to_have_title("OFFLINE KILLED (1) REPLAY Overview \u00b7 AI Trading Station")
    expect(page.locator("#icon")).to_have_attribute("href", "/static/icons/offline.svg")
    for width in (1280, 1366, 1920):
        page.set_viewport_size({"width": width, "height": 720})
        crowded = page.evaluate(
            """[...document.querySelectorAll('header.top > *')].filter(one => one.checkVisibility()).map(one => {
            const box = one.getBoundingClientRect();
            return [one.className, box.top < 0 || box.bottom > 48 || box.right > innerWidth || one.scrollHeight > 46];
            }).filter(([, bad]) => bad)"""
        )
        assert crowded == [], width
    page.locator("#kill summary").click()
    expect(page.locator("#kill .sure")).to_contain_text("OFFLINE: as last heard")
    trouble.expected("WebSocket")
    trouble.expected("net::ERR_")


def test_stale_is_said_in_the_tab(page: Page, stage: Stage) -> None:
    stage.publish(scripted.view(stage.sequence + 1, arrival_ns=1))
    opened(page, stage)
    expect(page).to_have_title("STALE (1) REPLAY Overview \u00b7 AI Trading Station")
    expect(page.locator("#icon")).to_have_attribute("href", "/static/icons/alert.svg")


def test_a_flat_curve_is_not_drawn_down_to_zero(page: Page, stage: Stage) -> None:
    flat = {"at_ms": [scripted.OPEN_NS // 1_000_000 + 60_000 * n for n in range(30)]}
    flat |= {"equity": [1_000_000.0] * 30, "drawdown": [0.0] * 30, "marks": []}
    page.route("**/data/equity*", lambda route: route.fulfill(json=flat))
    page.add_init_script(
        """const drawn = CanvasRenderingContext2D.prototype.fillText;
        window.labels = new Set();
        CanvasRenderingContext2D.prototype.fillText = function (text, ...rest) {
          if (this.canvas.closest('[data-plot=equity]')) window.labels.add(text);
          return drawn.call(this, text, ...rest); };"""
    )
    view = scripted.view(stage.sequence + 1)
    view["account"]["equity"] = 1_000_000.0
    stage.publish(view)
    opened(page, stage)
    page.wait_for_function("[...window.labels].some(text => /^\\d[\\d\\u202f]{6,}$/.test(text))")
    labels = page.evaluate("[...window.labels]")
    levels = [
        int(text.replace("\u202f", "")) for text in labels if len(text) > 6 and text.replace("\u202f", "").isdigit()
    ]
    assert levels
    assert all(990_000 < level < 1_010_000 for level in levels)


@pytest.mark.parametrize("path", ["/login", "/kill", "/release", "/first-password", "/nowhere"])
def test_the_theme_holds_on_plain_pages(page: Page, stage: Stage, trouble: Trouble, path: str) -> None:
    page.context.add_cookies([{"name": "station_theme", "value": "light", "url": stage.url}])
    page.goto(f"{stage.url}{path}")
    expect(page.locator("html")).to_have_attribute("data-theme", "light")
    trouble.expected("404")


def test_the_icon_answers_under_its_old_name(page: Page, stage: Stage) -> None:
    answer = page.request.get(f"{stage.url}/favicon.ico")
    assert answer.status == 200
    assert answer.headers["content-type"] == "image/svg+xml"


def test_latest_orders_print_their_day(page: Page, stage: Stage) -> None:
    opened(page, stage, "/orders/")
    expect(page.locator("#working tbody tr td").first).to_have_text("02-13 14:48:00")


def test_events_name_the_clock_of_their_time(page: Page, stage: Stage) -> None:
    from events.bus import FIELD  # noqa: PLC0415
    from events.codec import envelope  # noqa: PLC0415
    from events.types import ControlAck  # noqa: PLC0415

    ack = ControlAck(engine_ns=scripted.OPEN_NS, request_id="r", action="pause", accepted=True, reason="")
    stage.worker.xadd("worker.events", {FIELD: envelope("ControlAck", "worker", ack, 1_795_000_000_000_000_000)})
    hello = b'{"type":"hello","timestamp":1795000000000000000,"agent_id":"worker","payload":{"version":1}}'
    stage.worker.xadd("worker.events", {FIELD: hello})
    opened(page, stage, "/system/")
    rows = page.locator('[data-rows="events"] tr')
    expect(rows.filter(has_text="ControlAck").last).to_contain_text("market")
    expect(rows.filter(has_text="hello").last).to_contain_text("this machine")


def test_a_relay_that_falls_silent_is_said(page: Page, stage: Stage) -> None:
    opened(page, stage)
    banner = page.locator("main .banner", has_text="relay away since")
    expect(banner).to_be_hidden()
    stage.beating = lambda: {name: one for name, one in scripted.beats().items() if name != "relay"}
    stage.play()
    expect(banner).to_be_visible(timeout=15_000)
    expect(banner).to_contain_text("UTC")
