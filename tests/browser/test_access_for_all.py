"""Everybody can use the pages: axe finds nothing, the keyboard reaches all, nothing scrolls sideways, both themes."""

from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.browser import scripted
from tests.browser.stage import Stage

pytestmark = pytest.mark.browser
AUDIT = ("/audit/", "/audit/execution/40", "/audit/record", "/audit/requests", "/audit/tournaments")
PAGES = (
    *("/", "/market/AAPL", "/positions/", "/orders/", "/orders/O-000033", "/risk/", "/limits/"),
    *("/approvals/", "/system/", "/tournaments/", "/tournaments/rules", "/allocation/"),
    *AUDIT,
)
ACTS = ("/acts/flatten", "/acts/maintenance", "/step-up", "/one-time-codes")
PLAIN = ("/login", "/kill", "/release", "/first-password", *ACTS, "/nowhere")


def themed(context: BrowserContext, stage: Stage, theme: str) -> Page:
    """Return a tab in a theme."""
    context.add_cookies([{"name": "station_theme", "value": theme, "url": stage.url}])
    return context.new_page()


def violations(page: Page) -> str:
    """Return what axe says against the page ("" if nothing)."""
    found = Axe().run(page)
    return found.generate_report() if found.violations_count else ""


NOTHING_ASIDE = "document.documentElement.scrollWidth <= window.innerWidth"


def fits(page: Page) -> None:
    """See that nothing lies sideways of a page at the three widths, nor within what scrolls in it."""
    for width in (1280, 1366, 1920):
        page.set_viewport_size({"width": width, "height": 720})
        page.wait_for_function(NOTHING_ASIDE)
        inside = "[...document.querySelectorAll('.scroll')].filter(one => one.scrollWidth > one.clientWidth + 1).length"
        assert (width, page.evaluate(inside)) == (width, 0)


@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize("path", PAGES)
def test_axe_finds_nothing(context: BrowserContext, stage: Stage, path: str, theme: str) -> None:
    page = themed(context, stage, theme)
    page.goto(f"{stage.url}{path}")
    expect(page.locator("body")).to_have_attribute("data-link", "live")
    expect(page.locator("html")).to_have_attribute("data-theme", theme)
    assert violations(page) == ""


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_axe_finds_nothing_when_things_are_wrong(context: BrowserContext, stage: Stage, theme: str) -> None:
    stage.publish(scripted.view(stage.sequence + 1, killed=["all"], arrival_ns=1))
    page = themed(context, stage, theme)
    page.goto(f"{stage.url}/")
    expect(page.locator('.badge.link [data-age="bars"]')).to_contain_text("STALE")
    page.locator(".kill.release summary").click()
    assert violations(page) == ""
    expect(page.locator('.badge.state[data-stale="true"]')).to_be_visible(timeout=15_000)  # the worker says no more
    assert violations(page) == ""


def test_axe_would_find_what_cannot_be_read(page: Page, stage: Stage) -> None:
    page.goto(f"{stage.url}/")
    page.evaluate("document.querySelectorAll('.figures .label').forEach(one => { one.style.color = '#333'; })")
    assert "color-contrast" in violations(page)


@pytest.mark.parametrize("path", PLAIN)
def test_axe_finds_nothing_on_plain_pages(context: BrowserContext, stage: Stage, path: str, trouble: Any) -> None:
    page = context.new_page()
    page.goto(f"{stage.url}{path}")
    assert violations(page) == ""
    trouble.expected("404")


@pytest.mark.parametrize("path", PAGES)
def test_no_page_scrolls_sideways(page: Page, stage: Stage, path: str) -> None:
    page.goto(f"{stage.url}{path}")
    expect(page.locator("body")).to_have_attribute("data-link", "live")
    for width, height in ((1920, 1080), (1366, 768), (1280, 720)):
        page.set_viewport_size({"width": width, "height": height})
        page.wait_for_function("width => innerWidth === width", arg=width)
        page.wait_for_function(NOTHING_ASIDE)  # a chart takes its new width a frame or more after the window
        wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        cut = page.evaluate(
            """[...document.querySelectorAll('header.top > *')]
            .filter(one => one.getBoundingClientRect().right > innerWidth).length"""
        )
        assert (width, wide, cut) == (width, 0, 0)


@pytest.mark.parametrize("path", PAGES)
def test_keyboard_alone_reaches_everything(page: Page, stage: Stage, path: str) -> None:
    page.goto(f"{stage.url}{path}")
    expect(page.locator("body")).to_have_attribute("data-link", "live")
    wanted = page.evaluate(
        """[...document.querySelectorAll('a[href], button, select, input:not([type=hidden]), summary')]
        .filter(one => one.checkVisibility() && !one.closest('details:not([open]) > :not(summary)')).length"""
    )
    seen = page.evaluate_handle("new Set()")
    for _ in range(wanted * 3 + 40):
        page.keyboard.press("Tab")
        done = page.evaluate(
            "seen => { seen.add(document.activeElement); return document.activeElement === document.body; }", seen
        )
        if done and page.evaluate("(seen) => seen.size", seen) > wanted:
            break
    reached = page.evaluate(
        """seen => [...seen]
        .filter(one => one.matches('a[href], button, select, input:not([type=hidden]), summary')).length""",
        seen,
    )
    assert reached >= wanted


def test_theme_is_changed_by_a_button_and_kept(page: Page, stage: Stage) -> None:
    page.goto(f"{stage.url}/positions/")
    page.get_by_role("button", name="light theme").click()
    expect(page).to_have_url(f"{stage.url}/positions/")
    expect(page.locator("html")).to_have_attribute("data-theme", "light")
    page.goto(f"{stage.url}/system/")
    expect(page.locator("html")).to_have_attribute("data-theme", "light")


def test_pages_and_kill_work_without_scripts(browser: Browser, signed_in: dict[str, Any], stage: Stage) -> None:
    context = browser.new_context(storage_state=signed_in, java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{stage.url}/")
    expect(page.locator('.figures [data-field="kpi.equity"]')).not_to_be_empty()
    expect(page.locator('tr[data-key="AAPL"]')).to_contain_text("AAPL")
    page.locator("#kill summary").click()
    page.locator("#kill .sure").click()
    expect(page.locator("main")).to_contain_text("Kill sent")
    assert stage.paths.kill_file.exists()
    stage.paths.kill_file.unlink()
    context.close()
