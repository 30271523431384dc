"""Server and browser write every value the same way."""

from typing import Any

import pytest
from playwright.sync_api import Page

from controlroom.pages.formats import FORMATS, show
from tests.browser.stage import Stage

pytestmark = pytest.mark.browser
NUMBERS = [
    0,
    1,
    -1,
    0.5,
    -0.5,
    0.125,
    -0.125,
    0.005,
    -0.004,
    2.675,
    1e-9,
    -1e-9,
    0.0005,
    12.3456,
    999.995,
    1234.5678,
    -98765.4321,
    1_000_000,
    1_006_412.18,
    123_456_789.125,
    42.0,
    10.05,
    9.99995,
    0.1,
    0.09999,
    1e9,
    123456.7,
]
INSTANTS = [1_549_981_800_000, 1_550_005_199_999, 1_552_201_200_000, 1_573_020_000_123, 1_795_372_252_926]
LENGTHS = [0, 99, 950, 9_949, 10_000, 59_999, 119_999, 120_000, 3_599_000, 3_600_000, 172_799_000, 172_800_000, 9e8]
WORDS = ["ACTIVE", "active", "market", "a b", ["all", "symbol:AAPL"]]
CLOCKS = {
    "et",
    "et_minute",
    "et_day",
    "et_day_minute",
    "et_short",
    "when",
    "et_stamp",
    "et_full",
    "utc",
    "utc_stamp",
    "utc_full",
}
TEXTS = {"text", "list", "state", "maybe", "unusual", "order_type"}


def values(name: str) -> list[Any]:
    """Return what a format is tried with."""
    if name in CLOCKS:
        return [None, *INSTANTS]
    if name in TEXTS:
        return [None, "", *(WORDS if name == "list" else WORDS[:-1])]
    return [None, *(LENGTHS if name == "duration" else NUMBERS)]


def test_every_format_agrees(page: Page, stage: Stage) -> None:
    page.goto(f"{stage.url}/")
    assert set(page.evaluate("Object.keys(Station.formats)")) == set(FORMATS)
    cases = [(name, value) for name in FORMATS for value in values(name)]
    theirs = page.evaluate(
        "cases => cases.map(([name, value]) => Station.show(value, name))", [list(case) for case in cases]
    )
    ours = []
    for name, value in cases:
        shown = show(value, name)
        ours.append({"text": shown.text, **shown.attributes})
    assert list(zip(cases, theirs, strict=True)) == list(zip(cases, ours, strict=True))
