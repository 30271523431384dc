"""Allocation: what is in force, in use and told; deployed beside SHADOW; who may override, and what is refused."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from django.test import Client
from django.test.signals import template_rendered

from controlroom.access import stepup
from controlroom.access.models import Approval, User
from controlroom.access.permissions import OVERSIGHT, STRATEGY_DEVELOPER, TOURNAMENT_ADMINISTRATOR
from controlroom.pages.allocation import asked, brief
from controlroom.pages.formats import NEW_YORK, moment
from engine.allocation import Override
from engine.configuration import Configuration, Source, load_settings
from events.models import Outbox
from market.calendars import DAY_NS
from market.occurrences import upcoming
from risk.actions import create_configuration
from tests.browser import scripted
from tests.browser.scripted import OPEN_NS
from tests.pages import allocations, rounds
from tournaments import actions
from tournaments.models import AllocationVersion, Readmission
from tournaments.rules import Rules, schedule_of

pytestmark = pytest.mark.django_db
ACTS = ("/allocation/override", "/allocation/end", "/allocation/deploy", "/allocation/readmit")
SCRIPT = "<script>alert(1)</script>"
MOMENTUM = {"strategy": "momentum", "weight": "12", "until": "2019-02-20 16:00", "reason": "its data is late"}


def configured() -> None:
    def build(version: int) -> bytes:
        source = Source(feed="simulated", label="SIMULATED", detail="", interval_s=60)
        made = Configuration(version=version, mode="PAPER", settings=load_settings(), instruments=[], source=source)
        return msgspec.json.encode(made)

    create_configuration(build=build, actor=None, reason="start")


def using(station: Any, row: AllocationVersion, **more: float) -> None:
    """Let the worker say that it runs a version, some strategies at another weight."""
    said = allocations.in_use(row, OPEN_NS + scripted.MINUTES * 60 * 10**9)
    view = scripted.view(allocation=said["allocation"])
    for name, weight in (said["weights"] | more).items():
        view["strategies"][name]["weight"] = weight
    station.publish(view)


@pytest.fixture
def quarter(station: Any, db: None) -> AllocationVersion:
    """A quarter of rounds, and the worker on the version in force."""
    configured()
    row = allocations.quarter()
    using(station, row)
    return row


@pytest.fixture
def overseer(person: Callable[..., User], client: Client, monkeypatch: pytest.MonkeyPatch) -> Client:
    """Somebody of oversight who has just given password and code."""
    user = person(OVERSIGHT, name="ada")
    client.force_login(user)
    fresh = stepup.StepUp(username="ada", at=stepup.time.time())
    monkeypatch.setattr(stepup, "of", lambda _request: fresh)
    monkeypatch.setattr(stepup, "needed", lambda _request, _back: None)
    return client


def row_of(html: str, title: str) -> str:
    return rounds.text_of(re.search(rf"<tr><td><span class=.swatch.[^>]*></span>{title}.*?</tr>", html)[0])  # type: ignore[index]


# who sees and does what


@pytest.mark.parametrize("role", [STRATEGY_DEVELOPER, TOURNAMENT_ADMINISTRATOR, OVERSIGHT])
def test_every_role_sees_it_and_oversight_alone_the_forms(
    client: Client, person: Callable[..., User], quarter: AllocationVersion, role: str
) -> None:
    client.force_login(person(role))
    html = client.get("/allocation/").content.decode()
    assert re.search(r'<a href="/allocation/" aria-current="page">Allocation', html)
    assert set(re.findall(r'name="act" value="(\w+)"', html)) == (set(asked.FIELDS) if role == OVERSIGHT else set())
    reviewed = client.get("/allocation/", {"act": "override", **MOMENTUM})
    assert (reviewed.status_code == 302) == (role == OVERSIGHT)  # to enrol a device; others see the page alone
    assert b'id="review"' not in reviewed.content


@pytest.mark.parametrize("path", ACTS)
def test_strangers_and_other_roles_can_post_to_nothing(
    client: Client, developer: Client, boss: Client, quarter: AllocationVersion, path: str
) -> None:
    before = AllocationVersion.objects.count()
    for who in (developer, boss):
        assert who.post(path, MOMENTUM | {"version": "16"}).status_code == 403
    assert Client().post(path).url.startswith("/login?next=")  # type: ignore[attr-defined]
    assert (AllocationVersion.objects.count(), Approval.objects.count(), Outbox.objects.count()) == (before, 0, 0)


def test_pages_take_no_post_and_few_queries(
    visitor: Client, quarter: AllocationVersion, django_assert_max_num_queries: Any
) -> None:
    for path in ("/allocation/", "/allocation/figures", "/data/allocation"):
        visitor.get(path)
        with django_assert_max_num_queries(17):
            assert visitor.get(path).status_code == 200
        assert visitor.post(path).status_code == 405
    html = visitor.get("/allocation/").content.decode()
    assert not re.search(r"<script(?![^>]*\b(src|type=\"application/json\"))|\sstyle=|<style|\son[a-z]+=", html)


def test_every_template_is_rendered(overseer: Client, quarter: AllocationVersion, templates_folder: Path) -> None:
    rendered: set[str] = set()

    def note(template: Any, **_more: Any) -> None:
        rendered.add(template.name)

    template_rendered.connect(note)
    try:
        overseer.get("/allocation/", {"act": "override", **MOMENTUM})
        overseer.get("/allocation/figures")
        overseer.get("/")
    finally:
        template_rendered.disconnect(note)
    folder = templates_folder / "pages" / "allocation"
    assert {f"pages/allocation/{file.name}" for file in folder.glob("*.html")} <= rendered


# what it shows


def test_an_empty_station_says_what_to_do_next(visitor: Client, station: Any) -> None:
    configured()
    station.publish(scripted.view())
    html = visitor.get("/allocation/").content.decode()
    words = rounds.text_of(html)
    assert "no allocation in force: the settings' weights (configuration 1)" in words
    assert "No allocation has been deployed yet" in words
    assert "No version yet" in words
    assert "without evidence the pool is 2\u202f% of the capital" in words
    assert "25.00\u202f%" in row_of(html, "Bullish")
    for which in ("deployed", "shadow"):
        drawn = visitor.get("/data/allocation", {"of": which}).json()
        assert (drawn["capital"]["at"], drawn["decisions"]["at"], drawn["marks"]) == ([], [], [])


def test_before_any_configuration_and_worker_nothing_is_claimed(visitor: Client, station: Any) -> None:
    words = rounds.text_of(visitor.get("/allocation/").content.decode())
    assert "No strategy is known" in words
    assert "No strategy is known yet: the worker has not said any" in words


def test_what_is_in_force_is_shown_with_bounds_override_and_standing(
    visitor: Client, quarter: AllocationVersion
) -> None:
    html = visitor.get("/allocation/").content.decode()
    made = allocations.record(allocations.WEEKS - 1).allocated
    assert made is not None
    words = rounds.text_of(html)
    assert f"acknowledged: version {quarter.version} of tournament:XNYS:week-11 , by operator" in words
    bullish = row_of(html, "Bullish")
    for weight in (
        made.base["bullish"],
        made.competitive["bullish"],
        made.base["bullish"] + made.competitive["bullish"],
    ):
        assert f"{weight * 100:.2f}\u202f%" in bullish
    assert "base: move limit competitive: agent cap" in bullish
    momentum = row_of(html, "Momentum")
    assert (
        "10.00\u202f% , 5\u202fd 18\u202fh left, until 2019-02-19 09:30:00 ET ; by operator: its broker's borrow"
        in momentum
    )
    assert "benched" in row_of(html, "Bearish")
    cash = 1 - sum(allocations.in_use(quarter, OPEN_NS)["weights"].values())
    assert f"Cash {cash * 100:.2f}\u202f% {cash * 100:.2f}\u202f%" in words
    assert 'id="difference"' not in html


def test_other_weights_in_use_are_said_with_the_reason(
    visitor: Client, quarter: AllocationVersion, station: Any
) -> None:
    using(station, quarter, bullish=0.20)
    words = rounds.text_of(visitor.get("/allocation/").content.decode())
    assert f"Bullish: the worker uses other weights than acknowledged version {quarter.version}" in words
    assert "differs 20.00\u202f%" in words
    station.publish(scripted.view(configuration=2, allocation=None))
    words = rounds.text_of(visitor.get("/allocation/").content.decode())
    assert "because it runs configuration 2 and the database's newest is 1" in words


def test_what_was_told_is_not_claimed_before_the_worker_acknowledges_it(
    visitor: Client, quarter: AllocationVersion
) -> None:
    told = allocations.version(20, allocations.record(2), state=AllocationVersion.State.TOLD)
    html = visitor.get("/allocation/").content.decode()
    words = rounds.text_of(html)
    assert "Version 20 was sent by tournament" in words
    assert f"acknowledged: version {quarter.version} " in words
    assert "Capital now" in words
    drawn = visitor.get("/data/allocation").json()["capital"]["said"]
    assert not any("version 20" in each for each in drawn)
    told.state = AllocationVersion.State.ACKNOWLEDGED
    told.save()
    assert "acknowledged: version 20 " in rounds.text_of(visitor.get("/allocation/").content.decode())


def test_another_configurations_weights_end_an_allocation(visitor: Client, quarter: AllocationVersion) -> None:
    AllocationVersion.objects.update(settings_weights='{"bullish": 1.0}')
    words = rounds.text_of(visitor.get("/allocation/").content.decode())
    assert "no allocation in force" in words
    assert "the worker uses other weights than the settings" in words


def test_evidence_and_worth_have_their_errors_and_say_how_long_skill_takes(
    visitor: Client, quarter: AllocationVersion
) -> None:
    words = rounds.text_of(visitor.get("/allocation/").content.decode())
    made = allocations.record(allocations.WEEKS - 1).allocated
    assert made is not None
    assert f"+{made.evidence:.3f} of the 3.00 (odds of 20 to one)" in words
    assert "about 85 weeks" in words
    assert re.search(r"bp of the capital a session, ±\u202f\d\.\d{3} over 12 rounds", words)
    assert "SIMULATED" in words


def test_one_settled_round_has_no_error_and_says_so(visitor: Client, station: Any) -> None:
    configured()
    allocations.stored(allocations.record(0))
    allocations.version(1, allocations.record(0))
    assert "no error yet: one settled round" in visitor.get("/allocation/").content.decode()


# the charts


def test_deployed_and_shadow_are_never_mixed(visitor: Client, quarter: AllocationVersion) -> None:
    deployed = visitor.get("/data/allocation").json()
    shadow = visitor.get("/data/allocation?of=shadow").json()
    assert (deployed["of"], shadow["of"]) == ("deployed", "shadow")
    assert {each.split(":")[1] for each in deployed["decisions"]["round"]} == {"XNYS"}
    assert shadow["decisions"]["round"] == [f"tournament:hand:try-{week}" for week in (3, 5, 8)]
    assert all("hand" not in each for each in deployed["capital"]["said"])
    assert all(each.startswith("SHADOW · tournament:hand:") for each in shadow["capital"]["said"])
    words = rounds.text_of(visitor.get("/allocation/?of=shadow").content.decode())
    assert "SHADOW: what rounds would have given NOT DEPLOYED" in words
    assert "SHADOW, SIMULATED" in words


def test_areas_add_up_to_all_of_the_capital_at_every_change(visitor: Client, quarter: AllocationVersion) -> None:
    drawn = visitor.get("/data/allocation").json()["capital"]
    totals = [sum(shares) for shares in zip(*(area["share"] for area in drawn["areas"]), strict=True)]
    assert totals == pytest.approx([100.0] * len(drawn["at"]), abs=1e-4)
    assert drawn["at"] == sorted(drawn["at"])
    assert drawn["at"][-1] == "2019-02-13T14:48:00"  # the market's time, New York's clock
    momentum = next(area for area in drawn["areas"] if (area["title"], area["pool"]) == ("Momentum", "base"))
    assert momentum["share"][-1] == 10.0
    assert 12.0 in momentum["share"]
    assert not any("refused" in each for each in drawn["said"])


def test_overrides_their_ends_and_benchings_are_marked(visitor: Client, quarter: AllocationVersion) -> None:
    marks = [(each["at"][:10], each["kind"], each["text"]) for each in visitor.get("/data/allocation").json()["marks"]]
    assert marks == [
        ("2018-12-31", "override", "Momentum held at 12.0 % by zoë"),
        ("2019-01-04", "ended", "override of Momentum ended"),
        ("2019-01-27", "halved", "Bearish halved"),
        ("2019-02-10", "benched", "Bearish benched"),
        ("2019-02-11", "override", "Momentum held at 10.0 % by operator"),
    ]


def test_what_has_not_changed_is_not_sent_again(visitor: Client, quarter: AllocationVersion) -> None:
    html = visitor.get("/allocation/figures").content.decode()
    seen = re.search(r'data-digest="(\w+)"', html)
    assert seen
    assert "<html" not in html
    assert visitor.get("/allocation/figures", {"seen": seen[1]}).status_code == 204
    allocations.version(20, allocations.record(2), state=AllocationVersion.State.TOLD)
    assert b"Version 20 was sent" in visitor.get("/allocation/figures", {"seen": seen[1]}).content


def test_nothing_that_people_wrote_becomes_markup(visitor: Client, station: Any) -> None:
    configured()
    over = {"momentum": Override(weight=0.1, until_ns=OPEN_NS + 9 * DAY_NS)}
    using(station, allocations.version(1, overrides=over, actor=SCRIPT, reason=SCRIPT))
    html = visitor.get("/allocation/").content.decode()
    assert SCRIPT not in html
    assert "&lt;script&gt;" in html


# asking


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"strategy": "gold"}, "strategy = 'gold' is none; there are bullish, bearish, mean_reversion, momentum."),
        ({"weight": "much"}, "weight = 'much' must be a number from 0 to 100, percent of the capital."),
        ({"weight": "nan"}, "weight = 'nan' must be a number from 0 to 100"),
        ({"weight": "101"}, "weight = '101' must be a number from 0 to 100"),
        ({"weight": "60"}, "weights and overrides add up to"),
        ({"until": "soon"}, "until = 'soon' is no instant; write New York's clock as 2019-02-20 16:00."),
        ({"until": "2019-02-13 14:00"}, "until = '2019-02-13 14:00' is past; the market's time is"),
        ({"until": "0001-01-01 00:00"}, "is outside 1970 to 2199."),
        ({"reason": "x"}, "reason has 1 characters; the journal wants 3 to 500."),
    ],
)
def test_a_wrong_field_is_one_sentence_beside_the_form(
    overseer: Client, quarter: AllocationVersion, change: dict[str, str], sentence: str
) -> None:
    answer = overseer.get("/allocation/", {"act": "override", **MOMENTUM, **change})
    assert answer.status_code == 400
    html = answer.content.decode()
    alert = re.search(r'role="alert"><strong>Not changed</strong><span>(.*?)</span>', html)
    assert alert
    assert sentence in rounds.text_of(alert[1])
    assert 'id="review"' not in html
    assert 'value="its data is late"' in html or "reason" in change


def test_a_review_names_target_scope_and_consequence_and_changes_nothing(
    overseer: Client, quarter: AllocationVersion
) -> None:
    html = overseer.get("/allocation/", {"act": "override", **MOMENTUM}).content.decode()
    words = rounds.text_of(html)
    assert "Hold Momentum at 12.00\u202f% of the capital?" in words
    assert "strategy momentum of the PAPER account" in words
    assert "2019-02-20 16:00:00 ET (2019-02-20 21:00:00 UTC)" in words
    assert "2.00\u202f% of the capital more, it is overridden already: a second person must approve" in words
    less = overseer.get("/allocation/", {"act": "override", **MOMENTUM, "strategy": "bullish"}).content.decode()
    assert "It gives nothing more: the worker is told at once" in less
    end = overseer.get("/allocation/", {"act": "end", "strategy": "momentum", "reason": "it is back"}).content.decode()
    assert "End the override of Momentum in the PAPER account" in end
    assert "beyond 5\u202f%: a second person must approve" in end
    deploy = overseer.get("/allocation/", {"act": "deploy", "version": "16", "reason": "agreed"}).content.decode()
    assert "Ask for version 16 in the PAPER account" in deploy
    assert (AllocationVersion.objects.count(), Approval.objects.count()) == (16, 0)


def test_deployment_of_a_proposed_version_becomes_a_request(overseer: Client, quarter: AllocationVersion) -> None:
    answer = overseer.post("/allocation/deploy", {"version": "16", "reason": "it was looked at"})
    assert answer.headers["Location"] == "/approvals/"
    assert [each.target for each in Approval.objects.all()] == ["allocation 16 of tournament:XNYS:week-11"]
    again = overseer.post("/allocation/deploy", {"version": "15", "reason": "it was looked at"})
    assert again.status_code == 400
    assert "version = 15 is acknowledged; a proposed one can be deployed." in again.content.decode()


def test_a_benched_strategy_is_asked_for_and_said_to_be_let_in(overseer: Client, quarter: AllocationVersion) -> None:
    asked = {"strategy": "bearish", "reason": "its data was wrong"}
    page = rounds.text_of(overseer.get("/allocation/").content.decode())
    assert "Let a benched strategy in again Bearish, benched for its drawdown" in page
    review = rounds.text_of(overseer.get("/allocation/", {"act": "readmit", **asked}).content.decode())
    assert "tournament:XNYS:week-11 says that Bearish is benched for its drawdown." in review
    assert "Until then nothing changes." in review
    assert (
        'name="reason" value="" size="40"' in overseer.get("/allocation/", {"act": "readmit", **asked}).content.decode()
    )
    wrong = overseer.post("/allocation/readmit", asked | {"strategy": "momentum"})
    assert wrong.status_code == 400
    assert "strategy = &#x27;momentum&#x27; is not benched; benched are bearish." in wrong.content.decode()
    assert overseer.post("/allocation/readmit", asked).headers["Location"] == "/approvals/"
    assert [each.target for each in Approval.objects.all()] == ["bearish, benched by tournament:XNYS:week-11"]
    Readmission.objects.create(strategy="bearish", benched_ns=0, people="ada, bob", reason="its data was wrong")
    html = overseer.get("/allocation/").content.decode()
    assert "benched, let in again by ada, bob from the next round on" in row_of(html, "Bearish")
    assert "Let a benched strategy in again" not in html


def test_an_override_without_a_worker_is_refused_with_a_sentence(overseer: Client, quarter: AllocationVersion) -> None:
    answer = overseer.post("/allocation/override", MOMENTUM)
    assert answer.status_code == 400
    assert "The worker does not answer; nothing was changed." in answer.content.decode()
    assert AllocationVersion.objects.count() == 16


def test_new_yorks_clock_and_any_offset_name_an_instant() -> None:
    for text in ("2019-02-20 16:00", "2019-02-20T16:00 ET", "2019-02-20T21:00:00Z", "2019-02-20 22:00+01:00"):
        assert moment(asked.until_ns(text) // 10**6, NEW_YORK).isoformat() == "2019-02-20T16:00:00-05:00"


# the overview


def test_the_overview_has_the_capital_by_pool_and_counts_down_by_the_markets_time(
    visitor: Client, quarter: AllocationVersion
) -> None:
    html = visitor.get("/").content.decode()
    words = rounds.text_of(html)
    assert f"allocation {quarter.version}, acknowledged" in words
    assert re.search(r"base 59\.\d\u202f% competitive 2\.\d\u202f% of at most 10 % unallocated 38\.1\u202f%", words)
    assert "3\u202fd 11\u202fh of the market's time" in words  # from Wednesday 14:48 to Sunday 02:00
    assert "opens 2019-02-17 02:00:00 ET ( 2019-02-17 07:00:00 UTC )" in words
    assert "Newest round: tournament:XNYS:week-11 , settled" in words


def test_the_overview_claims_no_pool_for_weights_that_are_no_versions(
    visitor: Client, quarter: AllocationVersion, station: Any
) -> None:
    using(station, quarter, bullish=0.2)
    words = rounds.text_of(visitor.get("/").content.decode())
    assert f"allocation {quarter.version} cash" in words
    assert "competitive" not in words
    station.publish(scripted.view())
    assert "settings' weights" in rounds.text_of(visitor.get("/").content.decode())


def test_a_live_feed_counts_by_the_clock_and_a_schedule_that_is_off_says_so(
    visitor: Client, station: Any, person: Callable[..., User]
) -> None:
    view = scripted.view()
    view["source"] |= {"feed": "tiingo", "label": "LIVE"}
    station.publish(view)
    assert "by the clock" in visitor.get("/").content.decode()
    boss = person(TOURNAMENT_ADMINISTRATOR, name="boss")
    actions.draft_rules(changes={"enabled": False}, reason="by hand alone", actor=boss)
    actions.activate_rules(version=1, reason="by hand alone", actor=boss)
    assert "The schedule of rules 1 is off" in visitor.get("/").content.decode()


@pytest.mark.parametrize("change", [{}, {"zone": "Asia/Tokyo", "weekday": "friday"}])
def test_the_countdown_ends_where_the_calendar_has_the_round(change: dict[str, Any]) -> None:
    schedule = schedule_of(Rules(**change))
    for now_ns in (OPEN_NS, OPEN_NS + 3 * DAY_NS, 1_552_201_200_000_000_000 - 1):  # up to March's missing hour
        found = upcoming(schedule, now_ns)
        assert found is not None
        assert brief.next_opening(schedule, now_ns) == found.opens_ns
