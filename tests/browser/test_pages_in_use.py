"""What a person does with the pages: kill in two presses, filter and freeze the blotter, look at a chart."""

import csv
import io

import pytest
from playwright.sync_api import Page, expect

from tests.browser import scripted
from tests.browser.conftest import Trouble
from tests.browser.stage import Stage

pytestmark = pytest.mark.browser


def live(page: Page, url: str) -> None:
    """Open a page and wait for its socket."""
    page.goto(url)
    expect(page.locator("body")).to_have_attribute("data-link", "live")


def test_kill_takes_two_presses_and_names_its_consequence(page: Page, stage: Stage) -> None:
    live(page, f"{stage.url}/")
    sure = page.locator("#kill .sure")
    expect(sure).to_be_hidden()
    page.locator("#kill summary").click()
    expect(sure).to_have_text("Confirm: stop PAPER account, cancel 1 orders", use_inner_text=True)
    expect(sure).to_be_hidden(timeout=6500)
    assert not stage.paths.kill_file.exists()


def test_kill_works_with_the_socket_blocked(page: Page, stage: Stage, trouble: Trouble) -> None:
    page.route_web_socket("**/live", lambda route: route.close())
    page.goto(f"{stage.url}/orders/")
    page.locator("#kill summary").click()
    page.locator("#kill .sure").click()
    expect(page.locator("main")).to_contain_text("Kill sent")
    assert stage.paths.kill_file.exists()
    stage.paths.kill_file.unlink()
    trouble.expected("WebSocket")


def test_blotter_filters_sorts_and_pages_in_its_url(page: Page, stage: Stage) -> None:
    live(page, f"{stage.url}/orders/?symbol=AAPL&sort=engine_ns")
    rows = page.locator("#blotter tbody tr")
    assert rows.count() > 5
    assert set(page.locator("#blotter tbody tr td:nth-child(3)").all_inner_texts()) == {"AAPL"}
    times = page.locator("#blotter tbody tr td:nth-child(2)").all_inner_texts()
    assert times == sorted(times)
    live(page, f"{stage.url}/orders/")
    first = page.locator("#blotter tbody tr td:first-child").all_inner_texts()
    page.get_by_role("link", name="next page").click()
    second = page.locator("#blotter tbody tr td:first-child").all_inner_texts()
    assert len(first) == 50
    assert not set(first) & set(second)
    expect(page.get_by_role("link", name="first page")).to_be_visible()


def test_csv_is_exactly_the_filter(page: Page, stage: Stage) -> None:
    live(page, f"{stage.url}/orders/?state=RISK_DENIED")
    shown = page.locator("#blotter tbody tr td:first-child").all_inner_texts()
    link = page.get_by_role("link", name="CSV of this filter").get_attribute("href")
    rows = list(csv.DictReader(io.StringIO(page.request.get(f"{stage.url}{link}").text())))
    assert [row["order_id"] for row in rows] == shown
    assert all(row["denials"] == "MAX_POSITION(1.0421>1.0)" for row in rows)


def test_columns_are_chosen_in_the_url(page: Page, stage: Stage) -> None:
    live(page, f"{stage.url}/orders/?col=symbol&col=fee")
    assert page.locator("#blotter th").all_inner_texts() == ["order", "symbol", "fee"]


def test_blotter_freezes_while_a_person_is_in_it(page: Page, stage: Stage) -> None:
    live(page, f"{stage.url}/orders/")
    page.locator("#blotter tbody a").first.focus()
    view = scripted.view(stage.sequence + 1)
    view["counts"]["orders"] += 12
    stage.publish(view)
    news = page.locator("#blotter-news")
    expect(news).to_have_text("12 new")
    with page.expect_response(lambda answer: "/orders/" in answer.url):
        news.click()
    expect(news).to_be_hidden()


def test_blotter_follows_while_nobody_is_in_it(page: Page, stage: Stage) -> None:
    live(page, f"{stage.url}/orders/")
    page.wait_for_timeout(800)
    view = scripted.view(stage.sequence + 1)
    view["counts"]["orders"] += 3
    with page.expect_response(lambda answer: "/orders/" in answer.url, timeout=8000):
        stage.publish(view)
    expect(page.locator("#blotter-news")).to_be_hidden()


def test_order_life_shows_denial_numbers(page: Page, stage: Stage) -> None:
    live(page, f"{stage.url}/orders/O-000033")
    expect(page.locator("main")).to_contain_text("MAX_POSITION")
    expect(page.locator("main")).to_contain_text("1.0421")
    live(page, f"{stage.url}/orders/O-000003")
    states = page.locator("main section").nth(2).locator("tbody td:nth-child(4)").all_inner_texts()
    assert states == ["INTENT", "SUBMITTED", "ACCEPTED", "FILLED"]


def test_market_chart_draws_bars_and_names_fills(page: Page, stage: Stage) -> None:
    live(page, f"{stage.url}/market/AAPL?interval=300&range=day")
    expect(page.locator("[data-chart] canvas")).to_have_count(2)
    expect(page.locator("[data-legend]")).to_contain_text("close 1")
    expect(page.get_by_role("link", name="5 min", exact=True)).to_have_attribute("aria-current", "true")
    painted = page.evaluate(
        """() => { const canvas = document.querySelector('[data-plot=price] canvas');
        const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
        const colours = new Set();
        for (let at = 0; at < data.length; at += 4) colours.add(data[at] << 16 | data[at+1] << 8 | data[at+2]);
        return [0x56b4e9, 0xe69f00, 0x7fd3b0].map(colour => colours.has(colour)); }"""
    )
    assert painted == [True, True, True]


def test_crosshair_is_linked(page: Page, stage: Stage) -> None:
    live(page, f"{stage.url}/")
    box = page.locator('[data-plot="equity"] .u-over').bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.25, box["y"] + 40)
    expect(page.locator("[data-legend]")).to_contain_text("2019-02-13 10:4")
    low = page.locator('[data-plot="drawdown"] .u-cursor-x')
    assert "translate(0px" not in (low.get_attribute("style") or "")


def test_fixed_range_says_historic(page: Page, stage: Stage) -> None:
    live(page, f"{stage.url}/?from=2019-02-13&to=2019-02-13")
    expect(page.locator("main .banner", has_text="HISTORIC")).to_be_visible()
    live(page, f"{stage.url}/?from=never")
    expect(page.locator("main .banner", has_text="are not two days")).to_be_visible()
