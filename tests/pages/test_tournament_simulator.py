"""The simulator's page and a claim's stress path: who may ask, what is refused, and figures that say SIMULATED."""

import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from django.test import Client
from django.utils import timezone

from controlroom.access.models import User
from controlroom.pages.tournaments import stress_paths
from controlroom.pages.tournaments.simulator import left_ms
from events.models import Job, Outbox
from tests.pages import rounds
from tests.tournaments.test_simulation import FEW, RULES, season
from tournaments.record import RoundRecord
from tournaments.simulating.record import Simulation
from tournaments.simulation import Simulated, simulate
from tournaments.stress.marks import StressPath

pytestmark = pytest.mark.django_db
URL, RUN = "/tournaments/simulator", "/tournaments/simulator/run"


@pytest.fixture(scope="module")
def found() -> Simulated:
    """A whole simulation, small."""
    return simulate(season(), RULES, agents=2, iterations=2, trials=FEW)


@pytest.fixture(scope="module")
def record() -> RoundRecord:
    """A whole round, settled."""
    return rounds.held()[0]


def form(file: Path, **change: str) -> dict[str, str]:
    given = {"bars": f"{file}\n", "symbols": "AAPL, MSFT", "agents": "4", "iterations": "20", "seed": "7"}
    return given | {"first": "0", "second": "", "reason": "how honest is it"} | change


def asked(client: Client, file: Path, django_capture: Any, **change: str) -> Job:
    with django_capture(execute=True):
        assert client.post(RUN, form(file, **change)).url == URL
    return Job.objects.get()


def ended(job: Job, *found: Simulated) -> None:
    result = msgspec.json.encode(Simulation(found=list(found))).decode()
    Job.objects.filter(id=job.id).update(state="done", percent=100, result=result, finished_at=timezone.now())


def test_an_administrator_asks_and_it_is_rung_for_and_told(
    boss: Client, bars: Path, rung: list[Job], django_capture_on_commit_callbacks: Any
) -> None:
    job = asked(boss, bars, django_capture_on_commit_callbacks)
    assert [each.id for each in rung] == [job.id]
    request = msgspec.json.decode(job.request)
    assert (request["versions"], request["agents"], request["iterations"], request["seed"]) == ([0], 4, 20, 7)
    assert (request["symbols"], request["actor"]) == (["AAPL", "MSFT"], "boss")
    told = rounds.told("simulate tournaments")[0]
    assert (told["actor"], told["outcome"], told["reason"]) == ("boss", "requested", "how honest is it")
    html = boss.get(URL).content.decode()
    assert 'data-under-way="true"' in html
    assert f"Cancel simulation {job.id}" in html
    with django_capture_on_commit_callbacks(execute=True):
        assert boss.post(f"/tournaments/simulator/{job.id}/cancel").url == URL
    job.refresh_from_db()
    assert job.state == "canceled"
    assert "it has no figures" in boss.get(URL, {"job": str(job.id)}).content.decode()


def test_developers_and_oversight_see_it_and_can_post_to_nothing(
    developer: Client, visitor: Client, bars: Path, rung: list[Job]
) -> None:
    for who in (developer, visitor):
        html = who.get(URL).content.decode()
        assert "A tournament administrator may ask for a simulation here" in html
        assert RUN not in html
        for path in (RUN, "/tournaments/simulator/1/cancel"):
            assert who.post(path, form(bars)).status_code == 403
    assert rung == []
    assert not Job.objects.exists()
    assert not Outbox.objects.exists()


def test_strangers_go_to_the_login_and_the_roleless_are_refused(
    client: Client, person: Callable[..., User], station: Any
) -> None:
    assert client.get(URL).url.startswith("/login?next=")
    client.force_login(person())
    assert client.get(URL).status_code == 403


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"bars": "daily.csv"}, "must be a whole path from / to a"),
        ({"symbols": "AAPL, AAPL"}, "symbols names one twice"),
        ({"agents": "two"}, "agents = 'two' must be a whole number"),
        ({"agents": "17"}, "agents = 17 must be a whole number from 2 to 16"),
        ({"iterations": "0"}, "iterations = 0 must be a whole number from 1 to 10,000"),
        ({"seed": "-1"}, "seed = '-1' must be a whole number"),
        ({"first": ""}, "rules A = '' must be a whole number"),
        ({"first": "9"}, "rules = 9 is no version of the rules"),
        ({"second": "0"}, "must be one version, or two different ones"),
        ({"reason": "x"}, "reason has 1 characters"),
    ],
)
def test_what_is_wrong_is_a_sentence_and_what_was_typed_stays(
    boss: Client, bars: Path, rung: list[Job], change: dict[str, str], said: str
) -> None:
    answer = boss.post(RUN, form(bars, **change))
    words = rounds.text_of(answer.content.decode())
    assert answer.status_code == 400
    assert "Not asked for" in words
    assert said in words
    assert f'value="{change.get("reason", "how honest is it")}"' in answer.content.decode()
    assert not Job.objects.exists()
    assert rung == []


def test_what_was_found_stands_side_by_side_with_errors_and_says_simulated(
    boss: Client, bars: Path, rung: list[Job], found: Simulated, django_capture_on_commit_callbacks: Any
) -> None:
    job = asked(boss, bars, django_capture_on_commit_callbacks)
    other = msgspec.structs.replace(found, rules_version=2, rules_sha256="c0ffee" * 10, false_winner_rate=0.123)
    ended(job, found, other)
    html = boss.get(URL).content.decode()
    words = rounds.text_of(html)
    result = words[words.index(f"Simulation {job.id} SIMULATED") :]
    assert "A: rules 1 " in result
    assert "B: rules 2 c0ffeec0" in result
    same, none = found.identical, found.evidence
    assert f"{found.wins['bearish'] / found.rounds * 100:.1f}\u202f%" in result
    assert f"±\u202f{same.share_error * 100:.1f}" in result
    assert f"{found.false_winner_rate * 100:.1f}\u202f%" in result
    assert "12.3\u202f%" in result
    assert f"±\u202f{found.false_winner_error * 100:.1f}" in result
    assert f"{found.regret:.5f}" in result
    assert f"{none.regret_bound:.5f}" in result
    assert "saw the same histories" in result
    assert "A less B, paired" in result
    assert "competitive delta" in result
    assert 'data-under-way="false"' in html
    assert not re.search(r"\sstyle=|<style|\son[a-z]+=|<script(?![^>]*\b(src|type=\"application/json\"))", html)


def test_an_htmx_request_gets_the_work_alone_and_a_strange_number_nothing(boss: Client) -> None:
    part = boss.get(URL, headers={"HX-Request": "true"}).content.decode()
    assert "<html" not in part
    assert "Nothing has been simulated here yet" in part
    for number in ("9", "x", "1" * 40):
        assert boss.get(URL, {"job": number}).status_code == 404


def test_the_time_left_is_by_the_pace_of_this_attempt() -> None:
    job = Job(state="running", percent=60, started_at=timezone.now() - timedelta(seconds=20))
    assert left_ms(job, 0) == pytest.approx(20 / 60 * 40 * 1000, abs=300)
    assert left_ms(job, 50) == pytest.approx(20 / 10 * 40 * 1000, abs=600)
    assert left_ms(job, 60) is None
    assert left_ms(Job(state="waiting", percent=60), 0) is None


# stress paths


def test_beside_each_ruling_stands_its_path_with_its_numbers(boss: Client, record: RoundRecord) -> None:
    row = rounds.stored(record)
    html = boss.get(f"/tournaments/{row.round_id}?agent=momentum").content.decode()
    assert html.count('class="fan"') == 3
    assert html.count(">SIMULATED</span> Median") == 3
    path = record.debates["momentum"].rulings[0].path
    assert path is not None
    words = rounds.text_of(html)
    assert f"{abs(path.worst[-1]) * 100:.2f}\u202f%" in words
    assert f"{abs(path.calm[-1]) * 100:.2f}\u202f%" in words
    assert f'href="/tournaments/{row.round_id}/claims/momentum/3"' in html


def test_a_round_of_before_has_no_path_and_is_shown_as_it_was(boss: Client, record: RoundRecord) -> None:
    debates = {
        name: msgspec.structs.replace(
            each, rulings=[msgspec.structs.replace(ruling, path=None) for ruling in each.rulings]
        )
        for name, each in record.debates.items()
    }
    row = rounds.stored(msgspec.structs.replace(record, debates=debates))
    html = boss.get(f"/tournaments/{row.round_id}?agent=momentum").content.decode()
    assert 'class="fan"' not in html
    assert html.count('class="measured"') == 3
    assert boss.get(f"/tournaments/{row.round_id}/claims/momentum/1").status_code == 404


def test_a_claims_own_page_has_the_numbers_as_a_table_and_as_data(boss: Client, record: RoundRecord) -> None:
    row = rounds.stored(record)
    answer = boss.get(f"/tournaments/{row.round_id}/claims/bullish/2")
    html, ruled = answer.content.decode(), record.debates["bullish"].rulings[1]
    assert record.debates["bullish"].claims[1].statement in rounds.text_of(html)
    assert html.count("SIMULATED") >= 2
    data = msgspec.json.decode(re.findall(r'<script id="path"[^>]*>(.*?)</script>', html)[0])
    assert ruled.path is not None
    assert data["median"] == pytest.approx([100 * value for value in ruled.path.median])
    assert data["threshold"] - data["measured"] == pytest.approx(100 * (ruled.measured - ruled.threshold))
    assert "'unsafe-inline'" in answer["Content-Security-Policy"]
    assert "'unsafe-inline'" not in boss.get(f"/tournaments/{row.round_id}")["Content-Security-Policy"]
    for strange in ("bullish/0", "bullish/4", "nobody/1"):
        assert boss.get(f"/tournaments/{row.round_id}/claims/{strange}").status_code == 404
    assert boss.get("/tournaments/nowhere/claims/bullish/1").status_code == 404


def test_before_the_reveal_a_claim_has_no_page(boss: Client, record: RoundRecord) -> None:
    kept = msgspec.structs.replace(rounds.at("challenge"), debates=record.debates)
    row = rounds.stored(kept)
    assert boss.get(f"/tournaments/{row.round_id}/claims/momentum/1").status_code == 404


@pytest.mark.parametrize(("low", "high"), [(-1e-5, 1e-5), (-0.4, 0.3), (0.0, 6.5), (-90.0, 20.0), (0.001, 0.0012)])
def test_ticks_are_round_few_and_inside(low: float, high: float) -> None:
    found = stress_paths.ticks(low, high, 5)
    assert 2 <= len(found) <= 6
    assert all(low - 1e-12 <= value <= high + 1e-12 for value in found)


def test_levels_whose_names_would_cover_each_other_are_named_apart(record: RoundRecord) -> None:
    ruled = record.debates["momentum"].rulings[0]
    nothing = (0.0, 0.0)
    flat = StressPath(
        bars=(0, 1), low=(0.0, -0.02), median=nothing, high=(0.0, 0.01), worst=(0.0, -0.02), calm=nothing, begins=0
    )
    near = msgspec.structs.replace(ruled, measured=0.0101, threshold=0.01)
    levels = stress_paths.picture(flat, near, 86_400)["levels"]
    heights = [float(level["text_y"]) for level in levels]
    assert abs(heights[0] - heights[1]) >= 13.9
    assert heights[1] > heights[0], "the larger loss stands lower"
