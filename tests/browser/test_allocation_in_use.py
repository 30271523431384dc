"""The Allocation page as a person meets it: a quarter of history drawn in both themes, and an override by its form."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, expect
from pyotp import TOTP

from tests.browser import scripted
from tests.browser.conftest import Trouble
from tests.browser.stage import PASSWORD, SECRET, Stage
from tests.browser.test_access_for_all import fits, themed, violations

pytestmark = pytest.mark.browser
USED = "used.json"
STORED = f"""
import json
from django.conf import settings
from tests.browser.scripted import MINUTES, OPEN_NS
from tests.pages import allocations
from tournaments.models import AllocationVersion, TournamentRound
AllocationVersion.objects.all().delete()
TournamentRound.objects.filter(round_id__contains="week-").delete()
TournamentRound.objects.filter(round_id__contains=":try-").delete()
said = allocations.in_use(allocations.quarter(), OPEN_NS + MINUTES * 60 * 10**9)
(settings.DATA.root / "{USED}").write_text(json.dumps(said))
"""
GONE = """
from tournaments.models import AllocationVersion, TournamentRound
AllocationVersion.objects.all().delete()
TournamentRound.objects.filter(round_id__contains="week-").delete()
TournamentRound.objects.filter(round_id__contains=":try-").delete()
"""
AREAS = "document.querySelectorAll('.drawn .scatterlayer .trace.scatter .fills path').length"


@pytest.fixture(scope="module")
def told(whole_stage: Stage) -> Iterator[dict[str, Any]]:
    """A quarter of rounds and versions in the stage's database, and what its worker says of the one in force."""
    whole_stage.manage_shell(STORED)
    yield json.loads((whole_stage.paths.root / USED).read_text())
    whole_stage.manage_shell(GONE)


@pytest.fixture
def stored(stage: Stage, told: dict[str, Any]) -> Stage:
    """The stage with the worker on the version in force."""
    view = scripted.view(stage.sequence + 1, allocation=told["allocation"])
    for name, weight in told["weights"].items():
        view["strategies"][name]["weight"] = weight
    stage.publish(view)
    return stage


@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize("path", ["/allocation/", "/allocation/?of=shadow"])
def test_all_of_it_can_be_read(context: BrowserContext, stored: Stage, path: str, theme: str) -> None:
    page = themed(context, stored, theme)
    page.goto(f"{stored.url}{path}")
    expect(page.locator("body")).to_have_attribute("data-link", "live")
    expect(page.locator(".drawn .scatterlayer").first).to_be_visible()
    fits(page)
    assert violations(page) == ""


def test_the_bar_is_as_long_as_the_weights(page: Page, stored: Stage, told: dict[str, Any]) -> None:
    page.goto(f"{stored.url}/allocation/")
    share = page.evaluate(
        """[...document.querySelectorAll('#now .parts rect')]
        .reduce((sum, one) => sum + one.getBoundingClientRect().width, 0)
        / document.querySelector('#now .parts').getBoundingClientRect().width"""
    )
    assert share == pytest.approx(sum(told["weights"].values()), abs=0.01)


def test_a_mark_and_every_area_is_drawn_and_one_crosshair_reads_all_charts(page: Page, stored: Stage) -> None:
    page.goto(f"{stored.url}/allocation/")
    expect(page.locator(".drawn .scatterlayer").first).to_be_visible()
    page.wait_for_function(f"{AREAS} >= 9")
    page.set_viewport_size({"width": 1920, "height": 1080})
    chart = page.locator('.drawn .nsewdrag[data-subplot="xy"]')
    for x in (100, 120, 125):
        chart.hover(position={"x": x, "y": 100})
    box = page.locator(".drawn .hoverlayer")
    for words in ("Bullish", "Bullish, competitive", "Cash", "ln E", "deployed", "diversity"):
        expect(box).to_contain_text(words)
    page.get_by_text("Marks in words: 5").click()
    expect(page.locator(".marks")).to_contain_text("2019-02-10 02:00 ET: Bearish benched")


def test_an_acknowledgement_appears_by_itself(page: Page, stored: Stage) -> None:
    page.goto(f"{stored.url}/allocation/")
    expect(page.locator("#now")).to_contain_text("acknowledged: version 15")
    stored.manage_shell("from tests.pages import allocations; allocations.version(17, allocations.record(11))")
    expect(page.locator("#now")).to_contain_text("acknowledged: version 17", timeout=20_000)
    expect(page.locator("#difference")).to_contain_text("it runs version 15, an older one")
    expect(page.locator("#versions tbody tr").first).to_contain_text("17")
    stored.manage_shell("from tournaments.models import *; AllocationVersion.objects.filter(version=17).delete()")


def test_an_override_is_reviewed_after_password_and_code_and_refused_without_a_worker(
    page: Page, stored: Stage, trouble: Trouble
) -> None:
    trouble.expected("400 (Bad Request)")
    page.goto(f"{stored.url}/allocation/")
    form = page.locator("#override form").first
    form.get_by_label("Strategy").select_option("bullish")
    form.get_by_label("Weight").fill("12")
    form.get_by_label("Until").fill("2019-02-20 16:00")
    form.get_by_label("Reason").fill("its data is late")
    form.get_by_role("button").click()
    if "step-up" in page.url:
        page.fill("[name=password]", PASSWORD)
        page.fill("[name=code]", TOTP(SECRET).now())
        page.locator("main button[type=submit]").click()
    review = page.locator("#review")
    expect(review).to_contain_text("Hold Bullish at 12.00\u202f% of the capital?")
    expect(review).to_contain_text("2019-02-20 16:00:00 ET")
    review.get_by_role("button", name="Hold Bullish at 12.00\u202f% of the PAPER account").click()
    expect(page.get_by_role("alert").filter(has_text="Not changed")).to_contain_text("The worker does not answer")
    expect(form.get_by_label("Weight")).to_have_value("12")


def test_a_benched_strategy_is_asked_for_by_its_form_and_waits_for_a_second_person(page: Page, stored: Stage) -> None:
    page.goto(f"{stored.url}/allocation/")
    form = page.locator("#override form").filter(has_text="Bearish, benched for its drawdown")
    form.get_by_label("Reason to let Bearish in again").fill("its data was wrong")
    form.get_by_role("button", name="Review Bearish").click()
    if "step-up" in page.url:
        page.fill("[name=password]", PASSWORD)
        page.fill("[name=code]", TOTP(SECRET).now())
        page.locator("main button[type=submit]").click()
    review = page.locator("#review")
    expect(review).to_contain_text("Ask that Bearish is let in again?")
    review.get_by_role("button", name="Ask for Bearish in the PAPER account").click()
    expect(page).to_have_url(f"{stored.url}/approvals/")
    waiting = page.get_by_role("row").filter(has_text="re-admit strategy").first
    expect(waiting).to_contain_text("bearish, benched by tournament:XNYS:week-11")
