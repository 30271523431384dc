"""The tournaments' pages as a person meets them: full of rounds, in both themes, at three widths, all of it drawn."""

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.browser.conftest import Trouble
from tests.browser.stage import PASSWORD, USER, Stage
from tests.browser.test_access_for_all import fits, themed, violations
from tests.operator.test_tournament_command import written

pytestmark = pytest.mark.browser

STORED = f"""
from django.contrib.auth.models import Group
from controlroom.access.models import User
from tests.pages import rounds
from tournaments import actions
from tournaments.models import TournamentRound
User.objects.get(username="{USER}").groups.add(Group.objects.get(name="tournament administrator"))
if not TournamentRound.objects.exists():
    earlier, later = rounds.held()
    for one in (earlier, later):
        rounds.stored(one)
    rounds.stored(rounds.at("challenge", later), round_id="tournament:hand:sealed")
    rounds.stored(rounds.void("3 valid entries are fewer than min_strategies = 4"), round_id="tournament:hand:few")
    boss = User.objects.get(username="{USER}")
    for number, change in enumerate(({{"hour": 3}}, {{"stress_paths": 300}})):
        actions.draft_rules(changes=change, reason="a trial of something", actor=boss)
    actions.activate_rules(version=1, reason="agreed", actor=boss)
"""
ROUND = "/tournaments/tournament:XNYS:2019-01-14?agent=momentum"
PAGES = ("/tournaments/", ROUND, "/tournaments/tournament:hand:sealed", "/tournaments/tournament:hand:few")
RULES = "/tournaments/rules"


@pytest.fixture
def stored(stage: Stage) -> Stage:
    """The stage with four rounds and two versions of the rules; its person is a tournament administrator too."""
    stage.manage_shell(STORED)
    return stage


@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize("path", [*PAGES, RULES])
def test_all_of_it_can_be_read(context: BrowserContext, stored: Stage, path: str, theme: str) -> None:
    page = themed(context, stored, theme)
    page.goto(f"{stored.url}{path}")
    expect(page.locator("body")).to_have_attribute("data-link", "live")
    fits(page)
    assert violations(page) == ""


def test_bars_are_as_long_as_their_numbers(page: Page, stored: Stage) -> None:
    page.goto(f"{stored.url}{ROUND}")
    drawn = page.evaluate(
        """[...document.querySelectorAll('svg.measured, svg.left')].map(one => [
        one.querySelector('.part').getBoundingClientRect().width / one.getBoundingClientRect().width * 100,
        Number(one.querySelector('.part').getAttribute('width'))])"""
    )
    assert len(drawn) >= 6 * 4
    assert all(abs(seen - wanted) < 1.0 for seen, wanted in drawn)


def test_a_draft_is_typed_compared_and_activated(page: Page, stored: Stage, trouble: Trouble) -> None:
    trouble.expected("400 (Bad Request)")
    page.goto(f"{stored.url}{RULES}")
    page.fill("[name=stress_symbols]", "999")
    page.locator("#fields [name=reason]").fill("too many")
    page.get_by_role("button", name="Draft rules").click()
    expect(page.get_by_role("alert").filter(has_text="Not changed")).to_contain_text("outside 1 to 64 symbols")
    expect(page.locator("[name=stress_symbols]")).to_have_value("999")
    page.fill("[name=stress_symbols]", "4")
    page.get_by_role("button", name="Draft rules").click()
    expect(page.locator("#difference tbody")).to_contain_text("stress_symbols")
    row = page.locator("#versions tbody tr").first
    row.locator("[name=reason]").fill("it was compared")
    row.get_by_role("button").click()
    expect(page.locator("#versions tbody tr").first).to_contain_text("active")
    expect(page.locator("#difference")).to_contain_text("are the same in every field")


HOLD = """
from controlroom.jobs import rounds
from events.models import Job
job = Job.objects.get(name="tournament_round", occurrence="tournament:hand:by-hand")
assert rounds.hold(job_id=job.id, owner="the stage")
"""
DEVELOPER = f"""
from django.contrib.auth.models import Group
from django.utils import timezone
from controlroom.access.models import User
made, _ = User.objects.get_or_create(username="developer")
made.set_password("{PASSWORD}")
made.password_set_at = timezone.now()
made.save()
made.groups.set([Group.objects.get(name="strategy developer")])
"""
POST = """async ([path, fields]) => {
  const token = document.querySelector("[name=csrfmiddlewaretoken]").value;
  const headers = {"X-CSRFToken": token};
  return (await fetch(path, {method: "POST", headers, body: new URLSearchParams(fields)})).status;
}"""
SOCKET = """said => new Promise(resolve => {
  const socket = new WebSocket(location.origin.replace("http", "ws") + "/live");
  socket.onopen = () => socket.send(JSON.stringify(said));
  socket.onclose = closed => resolve(closed.code);
})"""


def test_the_administrator_asks_for_a_round_and_watches_it_end(page: Page, stored: Stage) -> None:
    bars = written(stored.paths.root / "bars.csv")
    page.goto(f"{stored.url}/tournaments/")
    for name, text in (("bars", str(bars)), ("as_of", "2018-07-08T06:00:00Z"), ("name", "by-hand")):
        page.fill(f"#run [name={name}]", text)
    page.fill("#run [name=reason]", "to see it")
    page.get_by_role("button", name="Ask for this round").click()
    expect(page).to_have_url(f"{stored.url}/tournaments/tournament:hand:by-hand")
    expect(page.locator("#shadow")).to_contain_text("the engine is not told what it allocates")
    expect(page.locator("#round")).to_contain_text("requested, not taken up yet")
    stored.manage_shell(HOLD)
    expect(page.locator("#round .word").first).to_have_text("settled", timeout=20_000)  # without a reload
    expect(page.locator("#said")).to_contain_text("under attack")


def test_a_strategy_developer_is_refused_in_page_form_and_socket(stored: Stage, browser: Browser) -> None:
    stored.manage_shell(DEVELOPER)
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{stored.url}/login")
    page.fill("[name=username]", "developer")
    page.fill("[name=password]", PASSWORD)
    page.click("button[type=submit]")
    page.wait_for_selector("nav.side")
    for path in ("/tournaments/", "/tournaments/rules", "/tournaments/simulator", "/allocation/"):
        page.goto(f"{stored.url}{path}")
        assert page.locator("main form[method=post]").count() == 0, path
    forms = (
        ("/tournaments/run", {"bars": "/x.csv", "as_of": "2018-07-08T06:00:00Z", "seed": "1", "reason": "mine"}),
        ("/tournaments/rules/draft", {"base": "2", "hour": "4", "reason": "mine"}),
        ("/tournaments/rules/1/activate", {"reason": "mine"}),
        ("/allocation/override", {"strategy": "momentum", "weight": "90", "reason": "mine"}),
    )
    for path, fields in forms:
        assert page.evaluate(POST, [path, fields]) == 403, path
    assert page.evaluate(SOCKET, {"run": "tournament:hand:mine"}) in range(4000, 5000)  # it takes no such word
    context.close()
