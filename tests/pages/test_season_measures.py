"""The season in figures: what each measure is made of, which rounds are in it, its errors in words, and who may see."""

import re
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import pytest
from django.test import Client

from controlroom.access.models import User
from controlroom.access.permissions import OVERSIGHT, STRATEGY_DEVELOPER, TOURNAMENT_ADMINISTRATOR
from controlroom.pages.tournaments import measures
from controlroom.pages.tournaments import season as page
from market.calendars import DAY_NS
from tests.browser import scripted
from tests.pages import allocations, rounds, seasons, trials
from tests.pages.allocations import STRATEGIES, WEEKS
from tournaments.evolution.models import Trial
from tournaments.models import AllocationVersion, TournamentRound
from tournaments.record import RoundRecord

pytestmark = pytest.mark.django_db
PATH = "/data/tournaments"
REFUSED, UNSETTLED = 6, WEEKS - 1


@pytest.fixture
def season(boss: Client) -> Client:
    """A tournament administrator's browser of a station with a quarter of rounds and searches."""
    seasons.stored()
    seasons.searched()
    return boss


def earned(record: RoundRecord) -> float:
    """Return by hand what the pool earned beyond the same capital by base weights, in basis points."""
    made, came = record.allocated, record.settlement
    assert made is not None
    assert came is not None
    base, pool, got = (
        np.array([part[name] for name in STRATEGIES]) for part in (made.base, made.competitive, came.returns_of)
    )
    return float((pool * got).sum() - pool.sum() * (base * got).sum() / base.sum()) * 1e4


@pytest.mark.parametrize("role", [STRATEGY_DEVELOPER, TOURNAMENT_ADMINISTRATOR, OVERSIGHT])
def test_every_role_may_read_it_and_nobody_may_post(
    client: Client, person: Callable[..., User], station: Any, role: str
) -> None:
    assert client.get(PATH).url.startswith("/login?next=")  # type: ignore[attr-defined]
    client.force_login(person(name="nobody"))
    assert client.get(PATH).status_code == 403
    client.force_login(person(role))
    assert client.get(PATH).status_code == 200
    assert client.post(PATH).status_code == 405


def test_the_delta_is_that_of_settled_rounds_whose_weights_were_in_force(season: Client) -> None:
    found = season.get(PATH).json()
    expected, single = [], []
    for week in range(WEEKS):
        if week in {REFUSED, UNSETTLED}:
            expected.append(None)
            continue
        single.append(earned(seasons.record(week)))
        expected.append(pytest.approx(sum(single)))
    assert found["delta"]["value"] == expected
    assert found["delta"]["said"][REFUSED] == "weights refused"
    assert found["delta"]["said"][UNSETTLED] == "not settled yet"
    spread = float(np.std(single, ddof=1))
    high, value = found["delta"]["high"][UNSETTLED - 1], found["delta"]["value"][UNSETTLED - 1]
    assert high - value == pytest.approx(spread * len(single) ** 0.5)
    figure = found["figures"]["delta"]
    assert figure["value"] == f"{np.mean(single):+.3f}\u202fbp".replace("-", "\u2212")
    assert f"a session ±\u202f{spread / len(single) ** 0.5:.3f}, {len(single)} rounds" in figure["words"]
    assert figure["words"].endswith("within two errors of zero")


def test_efficiency_is_one_by_the_gross_exposure_and_a_gap_where_it_was_not_kept(season: Client) -> None:
    found = season.get(PATH).json()
    gross = []
    for week in range(WEEKS):
        record = seasons.record(week)
        value = found["efficiency"]["value"][week]
        if week < seasons.WITHOUT_GROSS or week in {REFUSED, UNSETTLED}:
            assert value is None
            continue
        assert record.allocated is not None
        assert record.settlement is not None
        made, held = record.allocated, record.settlement.gross_of
        gross.append(sum((made.base[name] + made.competitive[name]) * held[name] for name in STRATEGIES))
        assert value == pytest.approx(1.0 / gross[-1])
    assert found["efficiency"]["said"][0] == "exposure not kept"
    error = np.std(gross, ddof=1) / len(gross) ** 0.5 / np.mean(gross) ** 2
    assert found["figures"]["efficiency"]["value"] == f"{1.0 / np.mean(gross):.2f}"
    assert f"±\u202f{error:.2f}, {len(gross)} rounds" in found["figures"]["efficiency"]["words"]


def test_stress_is_that_of_each_strategy_with_its_error_and_bars(season: Client) -> None:
    found = season.get(PATH).json()
    assert [each["title"] for each in found["resilience"]] == ["Bullish", "Bearish", "Mean-reversion", "Momentum"]
    assert [each["tone"] for each in found["recovery"]] == [1, 2, 3, 4]
    for week in range(WEEKS):
        marks = {score.agent: score.resilience for score in seasons.record(week).scores}
        for k, name in enumerate(STRATEGIES):
            own = marks[name]
            assert found["resilience"][k]["value"][week] == pytest.approx(own.resilience)
            assert found["recovery"][k]["value"][week] == pytest.approx((own.regained or 0.0) * 100)
            told = found["resilience"][k]["said"][week]
            assert told.startswith(f"{own.resilience:.3f} ±\u202f{own.error:.3f}; regained ")
            assert f"% in {own.regain_bars:.1f} bars ({own.worst.replace('_', ' ')})" in told
    assert len(found["sentences"]) == 4
    assert all("mean of 12 rounds" in said and said.count("±") == 2 for said in found["sentences"])


def test_innovation_counts_promotions_up_to_each_round_by_weeks_since_the_first_search(season: Client) -> None:
    found = season.get(PATH).json()["innovation"]
    assert found["value"] == [None] * 4 + [
        pytest.approx(each) for each in (0, 1 / 2, 1 / 3, 2 / 4, 2 / 5, 2 / 6, 2 / 7, 2 / 8)
    ]
    assert found["said"][3] == "no week of searches"
    assert found["said"][4] == "0.00 (below 3.00 with 95\u202f%), 0 in 1.0 weeks"
    assert found["said"][6] == "0.33 ±\u202f0.33, 1 in 3.0 weeks"
    assert found["high"][-1] - found["value"][-1] == pytest.approx(2**0.5 / 8)
    assert (found["low"][4], found["high"][4]) == (None, None)  # a count of none shows no spread


def test_searches_on_files_are_of_shadow_alone(boss: Client) -> None:
    seasons.stored()
    made = trials.search(trials.root("bullish"), statuses=("promoted",))[0]
    at_ns = allocations.at_ns(3)
    Trial.objects.filter(pk=made.pk).update(proposed_ns=at_ns, promoted_ns=at_ns + DAY_NS)
    deployed, shadow = (boss.get(PATH, {"of": of}).json() for of in ("deployed", "shadow"))
    assert set(deployed["innovation"]["value"]) == {None}
    assert "Evolution asks for one" in deployed["figures"]["innovation"]["words"]
    assert shadow["innovation"]["value"] == [None, 0.5, pytest.approx(0.2)]


def test_deployed_rounds_and_those_in_shadow_are_never_mixed(season: Client) -> None:
    for of, weeks in (("deployed", range(WEEKS)), ("shadow", (3, 5, 8)), ("strange", range(WEEKS))):
        found = season.get(PATH, {"of": of}).json()
        ids = [row[0][0] for row in found["table"]["rows"]][::-1]
        assert all(("try" in each) == (of == "shadow") for each in ids)
        assert found["diversity"]["value"] == [
            pytest.approx(seasons.record(week).allocated.diversity_index) for week in weeks  # type: ignore[union-attr]
        ]  # fmt: skip
    shadow = season.get(PATH, {"of": "shadow"}).json()
    assert None not in shadow["delta"]["value"]  # nothing there waits for the engine
    assert shadow["delta"]["value"][0] == pytest.approx(earned(seasons.record(3)))


def test_of_one_instant_the_shadow_round_held_last_is_drawn(boss: Client) -> None:
    for name in ("first", "second"):
        allocations.stored(seasons.record(3), station_bars=False, round_id=f"tournament:hand:{name}")
    rows = boss.get(PATH, {"of": "shadow"}).json()["table"]["rows"]
    assert [row[0][0] for row in rows] == ["tournament:hand:second"]


def test_who_was_halved_and_benched_is_marked_and_said_with_its_round(season: Client) -> None:
    found = season.get(PATH).json()
    assert [(mark["kind"], mark["text"]) for mark in found["marks"]] == [
        ("halved", "Bearish halved"), ("benched", "Bearish benched")
    ]  # fmt: skip
    assert found["said"][-1] == "tournament:XNYS:week-11; Bearish benched"
    assert found["at"][-1] == "2019-02-10T02:00:00"  # New York's clock


def test_challengers_are_not_drawn(boss: Client) -> None:
    record = seasons.record(0)
    assert record.opened is not None
    tried = msgspec.structs.replace(record.scores[0], agent="momentum~3f2a90c1")
    opened = msgspec.structs.replace(record.opened, challengers=[tried.agent])
    allocations.stored(msgspec.structs.replace(record, opened=opened, scores=[*record.scores, tried]))
    found = boss.get(PATH).json()
    assert "momentum~" not in repr(found)
    assert len(found["resilience"]) == 4


def test_a_state_of_weights_is_said_and_an_override_keeps_what_was_taken(boss: Client) -> None:
    held = seasons.record(4)
    allocations.stored(held)
    said = lambda: boss.get(PATH).json()["delta"]["said"]  # noqa: E731
    assert said() == ["weights not told yet"]
    row = allocations.version(1, held, state="told")
    assert said() == ["weights not answered yet"]
    AllocationVersion.objects.filter(pk=row.pk).update(state="acknowledged")
    allocations.version(2, held, state="proposed")
    assert said()[0].endswith("bp, no error yet: one round")


def test_what_has_been_seen_is_not_read_again(season: Client) -> None:
    def seen() -> str:
        return str(season.get(PATH).json()["digest"])

    before = seen()
    assert season.get(PATH, {"seen": before}).status_code == 204
    assert season.get(PATH, {"seen": before, "of": "shadow"}).status_code == 200
    for change in (
        lambda: Trial.objects.first().delete(),  # type: ignore[union-attr]
        lambda: AllocationVersion.objects.filter(version=7).update(state="acknowledged"),
        lambda: rounds.stored(rounds.at("open"), round_id="tournament:hand:new"),
    ):
        change()
        assert season.get(PATH, {"seen": before}).status_code == 200
        before = seen()


def test_two_years_at_most_and_few_queries(
    season: Client, monkeypatch: pytest.MonkeyPatch, django_assert_max_num_queries: Any
) -> None:
    with django_assert_max_num_queries(11):
        assert len(season.get(PATH).json()["at"]) == WEEKS
    monkeypatch.setattr(measures, "ROUNDS", 2)
    assert [row[0][0] for row in season.get(PATH).json()["table"]["rows"]] == [
        "tournament:XNYS:week-11", "tournament:XNYS:week-10"
    ]  # fmt: skip


def test_rounds_that_decided_nothing_are_not_in_it(boss: Client) -> None:
    allocations.stored(rounds.void("few"), round_id="tournament:hand:void")
    for state in ("predict", "challenge"):
        allocations.stored(rounds.at(state), round_id=f"tournament:hand:{state}")
    found = boss.get(PATH).json()
    assert found["at"] == []
    assert {each["value"] for each in found["figures"].values()} == {"\u2013"}


def test_one_round_claims_no_error(boss: Client) -> None:
    held = seasons.record(5)
    allocations.stored(held)
    allocations.version(1, held)
    found = boss.get(PATH).json()
    for name in ("delta", "efficiency"):
        assert "no error yet: one round" in found["figures"][name]["words"]
    assert found["delta"]["high"] == [None]
    assert all("no error yet" in said for said in found["sentences"])


def test_an_empty_panel_says_why_and_what_to_do(boss: Client, developer: Client) -> None:
    html = boss.get("/tournaments/").content.decode()
    words = rounds.text_of(html)
    assert "No round on the station's own bars has decided any capital yet. The schedule holds the next one" in words
    assert "by the form below" in rounds.text_of(boss.get("/tournaments/?of=shadow").content.decode())
    assert "A tournament administrator may hold one" in rounds.text_of(
        developer.get("/tournaments/?of=shadow").content.decode()
    )
    allocations.stored(seasons.record(3), station_bars=False)
    assert "SHADOW has 1 round" in rounds.text_of(boss.get("/tournaments/").content.decode())


def test_the_choice_is_in_the_address_beside_the_page(season: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "SHOWN", 5)
    html = season.get("/tournaments/?of=shadow&page=2").content.decode()
    assert 'data-url="/data/tournaments?of=shadow"' in html
    assert re.search(r'href="\?page=2&amp;of=shadow#measures" aria-current="page">SHADOW', html)
    assert 'href="?page=2&amp;of=deployed#measures"' in html
    assert 'href="/tournaments/?of=shadow">newest rounds' in html
    assert 'href="?page=3&amp;of=shadow" rel="next">older rounds' in html
    assert 'data-url="/data/tournaments?of=deployed"' in season.get("/tournaments/", {"of": "<b>"}).content.decode()


def test_a_strategy_the_view_does_not_know_keeps_its_own_name_and_no_markup(boss: Client, station: Any) -> None:
    strange = "<script>alert(1)</script>"
    text = msgspec.json.encode(seasons.record(0)).decode().replace('"momentum"', msgspec.json.encode(strange).decode())
    TournamentRound.objects.filter(pk=allocations.stored(seasons.record(0)).pk).update(record=text)
    station.publish(scripted.view())
    answer = boss.get(PATH)
    assert answer.headers["Content-Type"] == "application/json"
    assert strange.capitalize() in [each["title"] for each in answer.json()["resilience"]]
