"""Stress paths and the simulator as a person meets them: drawn, explored by keyboard and mouse, in both themes."""

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.browser.conftest import Trouble
from tests.browser.stage import USER, Stage
from tests.browser.test_access_for_all import fits, themed, violations
from tests.browser.test_tournaments_in_use import ROUND, STORED

pytestmark = pytest.mark.browser
CLAIM = "/tournaments/tournament:XNYS:2019-01-14/claims/momentum/1"
SIMULATOR = "/tournaments/simulator"
SIMULATED = f"""
from controlroom.access.models import User
from events.models import Job
from tests.tournaments.test_simulation import FEW, RULES, season
from tournaments.simulating import actions
from tournaments.simulating.record import Simulation, SimulationRequest
from tournaments.simulation import simulate
import msgspec
if not Job.objects.filter(name="tournament_simulation").exists():
    boss = User.objects.get(username="{USER}")
    request = SimulationRequest(bars=["/data/daily.parquet"], versions=[0, 1])
    job = actions.ask_simulation(request=request, reason="a look at it", actor=boss)
    found = simulate(season(), RULES, agents=2, iterations=6, trials=FEW)
    state = msgspec.json.encode(Simulation(found=[found, found])).decode()
    Job.objects.filter(id=job.id).update(state="done", percent=100, result=state)
"""


@pytest.fixture(scope="module")
def held(whole_stage: Stage) -> None:
    """Held rounds and one simulation in the stage's database."""
    whole_stage.manage_shell(STORED + SIMULATED)


@pytest.fixture
def stored(stage: Stage, held: None) -> Stage:
    """The stage with these."""
    return stage


@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize("path", [ROUND, CLAIM, SIMULATOR])
def test_all_of_it_can_be_read(context: BrowserContext, stored: Stage, path: str, theme: str) -> None:
    page = themed(context, stored, theme)
    page.goto(f"{stored.url}{path}")
    expect(page.locator("body")).to_have_attribute("data-link", "live")
    fits(page)
    assert violations(page) == ""


def test_the_pictures_words_lie_inside_it_and_apart(page: Page, stored: Stage) -> None:
    page.goto(f"{stored.url}{ROUND}")
    expect(page.locator("svg.fan")).to_have_count(3)
    wrong = page.evaluate(
        """[...document.querySelectorAll('svg.fan')].flatMap(svg => {
        const box = svg.getBoundingClientRect(), found = [];
        const texts = [...svg.querySelectorAll('text')].map(one => [one.textContent, one.getBoundingClientRect()]);
        for (const [words, at] of texts) if (at.left < box.left - 1 || at.right > box.right + 1) found.push(words);
        const [one, two] = texts.slice(-2).map(([, at]) => at);
        if (one.bottom > two.top + 3 && two.bottom > one.top + 3) found.push('levels');
        return found; })"""
    )
    assert wrong == []


def test_a_picture_opens_larger_by_keyboard_and_says_its_numbers_under_the_mouse(page: Page, stored: Stage) -> None:
    page.goto(f"{stored.url}{ROUND}")
    page.get_by_role("link", name="Stress path of claim 1, larger").focus()
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{stored.url}{CLAIM}")
    chart = page.locator("#explore .scatterlayer .trace")
    expect(chart).to_have_count(5)
    page.locator("#explore .nsewdrag").first.hover()
    expect(page.locator("#explore .hoverlayer")).to_contain_text("median under stress")
    expect(page.locator("#explore .hoverlayer")).to_contain_text("worst path")
    expect(page.locator("#numbers tbody tr")).to_have_count(13)


def test_without_scripts_the_drawing_stays(browser: Browser, signed_in: dict[str, Any], stored: Stage) -> None:
    context = browser.new_context(storage_state=signed_in, java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{stored.url}{CLAIM}")
    expect(page.locator("#explore svg.fan")).to_be_visible()
    context.close()


def test_a_simulation_is_asked_for_and_canceled(page: Page, stored: Stage, trouble: Trouble, tmp_path: Path) -> None:
    trouble.expected("400 (Bad Request)")
    file = tmp_path / "daily.csv"
    page.goto(f"{stored.url}{SIMULATOR}")
    expect(page.locator("#result")).to_contain_text("SIMULATED")
    page.fill("[name=bars]", str(file))
    page.fill("#ask [name=reason]", "to see it")
    page.get_by_role("button", name="Simulate").click()
    expect(page.get_by_role("alert").filter(has_text="Not asked for")).to_contain_text("is no file on the station")
    expect(page.locator("#ask [name=reason]")).to_have_value("to see it")
    file.write_text("ts,sym,o,h,l,c,v\n")
    page.get_by_role("button", name="Simulate").click()
    row = page.locator("#work tbody tr").first
    expect(row).to_contain_text("waiting")
    row.get_by_role("button", name="Cancel simulation").click()
    expect(page.locator("#work tbody tr").first).to_contain_text("canceled")
