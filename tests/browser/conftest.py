"""Chromium, and a stage to look at. Any error in a page's console fails the test that opened it."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page

from tests.browser.stage import PASSWORD, USER, Stage

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    """Debian's Chromium, as root and without a network of its own."""
    return browser_type_launch_args | {"executable_path": CHROMIUM, "args": ARGUMENTS}


@pytest.fixture(scope="session")
def whole_stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """One stage for all tests of this folder."""
    made = Stage(tmp_path_factory.mktemp("station"))
    try:
        made.start()
        yield made
    finally:
        made.close()


@pytest.fixture
def stage(whole_stage: Stage) -> Iterator[Stage]:
    """The stage with a fresh view; whatever a test does to it is undone."""
    whole_stage.reset()
    yield whole_stage
    whole_stage.reset()


@pytest.fixture(scope="session")
def signed_in(whole_stage: Stage, browser: Browser) -> dict[str, Any]:
    """Cookies of the operator, from a real login."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{whole_stage.url}/login")
    page.fill("[name=username]", USER)
    page.fill("[name=password]", PASSWORD)
    page.click("button[type=submit]")
    page.wait_for_selector("nav.side")
    state: dict[str, Any] = context.storage_state()
    context.close()
    return state


class Trouble(list[str]):
    """What pages complained of; a test that provokes an error names it."""

    def __init__(self) -> None:
        super().__init__()
        self._expected: list[str] = []

    def expected(self, part: str) -> None:
        """Do not mind complaints that contain this text, also those that still come."""
        self._expected.append(part)

    def unexpected(self) -> list[str]:
        """Return the complaints that nobody expected."""
        return [line for line in self if not any(part in line for part in self._expected)]


@pytest.fixture
def trouble() -> Iterator[Trouble]:
    """Every console error and every uncaught exception of the test's pages; there must be none at the end."""
    found = Trouble()
    yield found
    assert not found.unexpected()


@pytest.fixture
def context(browser: Browser, signed_in: dict[str, Any], trouble: Trouble) -> Iterator[BrowserContext]:
    """A browser of the operator's."""
    made = browser.new_context(storage_state=signed_in, viewport={"width": 1280, "height": 720})

    def listen(page: Page) -> None:
        def hear(message: ConsoleMessage) -> None:
            if message.type == "error":
                trouble.append(f"{page.url}: {message.text}")

        page.on("console", hear)
        page.on("pageerror", lambda error: trouble.append(f"{page.url}: {error}"))

    made.on("page", listen)
    yield made
    made.close()


@pytest.fixture
def page(context: BrowserContext) -> Page:
    """A tab of the operator's."""
    return context.new_page()
