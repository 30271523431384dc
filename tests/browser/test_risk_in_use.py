"""The Risk page as a person meets it: a breaker that trips while it is open, and all that is stored, in both themes."""

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser import scripted
from tests.browser.stage import Stage
from tests.browser.test_access_for_all import NOTHING_ASIDE, themed, violations

pytestmark = pytest.mark.browser

STORED = """
import json
from risk.models import RiskReport, VarSnapshot
if not VarSnapshot.objects.exists():
    whole = {"var_95": 0.011, "es_95": 0.015, "var_99": 0.018, "es_99": 0.024}
    content = json.dumps({"strategies": {"bullish": whole}, "uncovered": ["TSLA"]})
    for day, loss in enumerate((0.004, -0.006, 0.031)):
        VarSnapshot.objects.create(
            engine_ns=1_549_900_000_000_000_000 + day * 86_400_000_000_000, day=f"2019-02-1{day + 1}", equity=1e6,
            loss=loss, exceeded=loss > 0.018, covariance_version=3, content=content, **whole)
    tail = {"market": "calm", "horizon_days": 1, "var_99": 0.02, "es_99": 0.03, "worst": 0.1, "beyond": {"0.05": 0.01}}
    scenario = {"name": "every price falls 10 %", "kind": "hypothetical", "loss": 0.03, "worst": "A", "worst_loss": 0.0}
    table = [[1.0, 0.9, -0.9, 0.3], [0.9, 1.0, 0.6, -0.3], [-0.9, 0.6, 1.0, 0.0], [0.3, -0.3, 0.0, 1.0]]
    report = {"scenarios": [scenario], "tails": [tail], "regime": "calm", "symbols": list("ABCD"), "correlation": table}
    RiskReport.objects.create(
        occurrence="covariance:3", engine_ns=1, covariance_version=3, through="2019-02-12", content=json.dumps(report))
"""


@pytest.fixture
def stored(stage: Stage) -> Stage:
    """The stage with three days of value at risk and a stress report in its database."""
    stage.manage_shell(STORED)
    return stage


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_all_of_it_can_be_read_with_breakers_tripped(context: BrowserContext, stored: Stage, theme: str) -> None:
    stored.publish(scripted.view(stored.sequence + 1, breakers=scripted.breakers(tripped=True)))
    page = themed(context, stored, theme)
    page.goto(f"{stored.url}/risk/")
    expect(page.locator("#var-said")).to_contain_text("1 exception in 2 days")
    expect(page.locator('[data-plot="var"] canvas')).to_be_visible()
    expect(page.locator("#correlation td[data-shade='-4']").first).to_have_text("\u22120.90")
    for width in (1280, 1366, 1920):
        page.set_viewport_size({"width": width, "height": 720})
        page.wait_for_function(NOTHING_ASIDE)
    assert violations(page) == ""


def test_a_breaker_that_trips_stands_out_at_once_and_a_limit_moves_its_bar(page: Page, stage: Stage) -> None:
    page.goto(f"{stage.url}/risk/")
    expect(page.locator("body")).to_have_attribute("data-link", "live")
    banner, first = page.locator(".banner.bad[data-topic=risk]"), page.locator("#breakers tbody tr").first
    expect(banner).to_be_hidden()
    expect(first).to_contain_text("armed")
    account = stage.view["account"] | {"gross": 1.1 * stage.view["account"]["equity"]}
    stage.publish(scripted.view(stage.sequence + 1, breakers=scripted.breakers(tripped=True), account=account))
    expect(banner).to_contain_text("TRIPPED")
    expect(first.locator('[data-cell="state"]')).to_have_text("tripped")
    expect(page.locator("nav.side a", has_text="Risk")).to_contain_text("3")
    row = page.locator('#limits tr[data-key="max_gross"]')
    expect(row.locator('[data-state="beyond"]')).to_have_text("beyond")
    assert row.locator("meter").evaluate("one => one.value") == 1
    freed = [row | {"tripped_ns": None, "released_by": "zo\u00eb"} for row in scripted.breakers(tripped=True)]
    stage.publish(scripted.view(stage.sequence + 2, breakers=freed))
    expect(banner).to_be_hidden()
    expect(page.locator("#breakers")).to_contain_text("zo\u00eb")
