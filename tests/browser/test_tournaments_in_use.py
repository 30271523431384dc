"""The tournaments' pages as a person meets them: full of rounds, in both themes, at three widths, all of it drawn."""

from collections.abc import Iterator

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


SEASON = """
from tests.pages import seasons
seasons.stored()
seasons.searched()
"""
GONE = """
from tournaments.evolution.models import Trial
from tournaments.models import AllocationVersion, TournamentRound
AllocationVersion.objects.all().delete()
TournamentRound.objects.filter(round_id__contains="week-").delete()
TournamentRound.objects.filter(round_id__contains=":try-").delete()
Trial.objects.filter(parent__isnull=False).delete()
Trial.objects.all().delete()
"""
FIRST = """
from tests.pages import allocations, seasons
allocations.stored(seasons.record(11), round_id="tournament:XNYS:week-12")
"""
DRAWN = "#measures .scatterlayer .trace.scatter"
PIECES = "document.querySelectorAll('#measures .xy2 .js-line').length"


@pytest.fixture
def season(stored: Stage) -> Iterator[Stage]:
    """The stage with a quarter of rounds, three in SHADOW beside them, and searches; they are gone afterwards."""
    stored.manage_shell(SEASON)
    yield stored
    stored.manage_shell(GONE)


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_the_season_in_figures_can_be_read_by_everybody(context: BrowserContext, season: Stage, theme: str) -> None:
    page = themed(context, season, theme)
    for path in ("/tournaments/", "/tournaments/?of=shadow"):
        page.goto(f"{season.url}{path}")
        expect(page.locator("body")).to_have_attribute("data-link", "live")
        expect(page.locator(DRAWN).nth(19)).to_be_attached()
        colour = page.evaluate("getComputedStyle(document.querySelector('#measures .js-line')).stroke")
        assert colour == {"dark": "rgb(185, 194, 255)", "light": "rgb(47, 59, 179)"}[theme]
        page.locator("#measures summary").click()
        fits(page)
        assert violations(page) == ""


def test_one_crosshair_reads_six_charts_and_says_why_there_is_a_gap(page: Page, season: Stage) -> None:
    page.goto(f"{season.url}/tournaments/")
    expect(page.locator(DRAWN).nth(19)).to_be_attached()
    assert page.evaluate(PIECES) == 2  # a line before the refused round, and one after it
    for subplot in ("xy", "xy6"):
        chart = page.locator(f'#measures .nsewdrag[data-subplot="{subplot}"]')
        chart.scroll_into_view_if_needed()
        width = chart.bounding_box()["width"]
        for share in (0.5, 0.54, 0.55):
            chart.hover(position={"x": width * share, "y": 20})
        box = page.locator("#measures .hoverlayer")
        expect(box).to_contain_text("2019-01-06 02:00 ET")
        for words in ("week-06", "delta : weights refused", "efficiency : weights refused", "Momentum : 0.531 ±",
                      "bars (overnight gap)", "diversity : 0.42", "promoted a week : 0.33 ±"):  # fmt: skip
            expect(box).to_contain_text(words)
        expect(box).not_to_contain_text("benched")  # that was in another week


def test_the_season_is_told_in_words_and_a_new_round_comes_by_itself(page: Page, season: Stage) -> None:
    page.goto(f"{season.url}/tournaments/")
    expect(page.locator('[data-figure="delta"]')).to_contain_text("a session ±")
    expect(page.locator('[data-figure="innovation"]')).to_contain_text("2 promoted in 8.0 weeks")
    expect(page.locator("#measures summary")).to_have_text("In words and numbers: 12 rounds, 2 marks")
    page.locator("#measures summary").click()
    expect(page.locator("#measures [data-marks]")).to_contain_text("2019-02-10 02:00 ET: Bearish benched")
    expect(page.locator(".by-round tbody tr").first).to_contain_text("not settled yet")
    page.locator("body").evaluate("document.activeElement.blur()")  # what somebody uses is left as it is
    season.manage_shell(FIRST)
    expect(page.locator("#measures summary")).to_have_text("In words and numbers: 13 rounds, 2 marks", timeout=20_000)
    expect(page.locator(".by-round tbody tr").first).to_contain_text("week-12")
    page.locator("#measures").get_by_role("link", name="SHADOW", exact=True).click()
    expect(page).to_have_url(f"{season.url}/tournaments/?of=shadow#measures")
    expect(page.locator("#measures summary")).to_have_text(
        "In words and numbers: 5 rounds, no marks"
    )  # with the two that were there


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
