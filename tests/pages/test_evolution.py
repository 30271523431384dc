"""Evolution: what every role sees, who may do what, and a promotion from the button to a signed configuration."""

import json
import re
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.test import Client
from django.utils import timezone

from audit.keys import create_missing
from audit.ring import KeyRing
from controlroom.access import approvals, stepup
from controlroom.access.models import Approval, User
from controlroom.access.permissions import OVERSIGHT, STRATEGY_DEVELOPER, TOURNAMENT_ADMINISTRATOR
from controlroom.pages.tournaments import evolution, lanes
from controlroom.pages.tournaments.evolution_actions import promote
from controlroom.relay.incoming import handle
from engine.configuration import Configuration, Source, load_settings
from events.bus import Entry
from events.codec import envelope
from events.models import Job, Outbox
from events.streams import WORKER_EVENTS
from events.types import ControlAck, ControlEvent
from risk.actions import create_configuration
from risk.models import ConfigurationVersion
from tests.browser import scripted
from tests.pages import rounds, trials
from tournaments.evolution.models import Trial
from tournaments.evolution.selectors import parameters_of
from worker.approvals import Approved, Gate

pytestmark = pytest.mark.django_db
PATH = "/tournaments/evolution"
Status = Trial.Status


@pytest.fixture
def two(person: Callable[..., User], station: Any) -> list[User]:
    """Two people of the oversight group, old enough to approve, on a station with two operators and its keys."""
    station.publish(scripted.view())
    create_missing(station.paths)
    source = Source(feed="simulated", label="SIMULATED", detail="seed 1", interval_s=60)

    def build(version: int) -> bytes:
        made = Configuration(
            version=version, mode="PAPER", settings=load_settings(), instruments=[], source=source, operators=2
        )
        return msgspec.json.encode(made)

    create_configuration(build=build, actor=None, reason="start")
    names = [person(OVERSIGHT, name=name).pk for name in ("ada", "bob")]
    User.objects.update(date_joined=timezone.now() - timedelta(days=9))
    return [User.objects.get(pk=each) for each in names]


def proof(user: User) -> stepup.StepUp:
    return stepup.StepUp(username=user.username, at=time.time())


def challenger() -> Trial:
    return trials.search(trials.root("momentum"), statuses=("rejected", "challenger"))[1]


def form(file: Path, **change: str) -> dict[str, str]:
    given = {"bars": f"{file}\n", "as_of": "2019-01-06T07:30:00Z", "symbols": "", "seed": "7", "variants": "4"}
    return given | {"reason": "a look"} | change


# --- the page ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", [STRATEGY_DEVELOPER, TOURNAMENT_ADMINISTRATOR, OVERSIGHT])
def test_every_role_sees_all_of_it_and_each_its_own_buttons(
    client: Client, person: Callable[..., User], station: Any, role: str
) -> None:
    station.publish(scripted.view())
    name = challenger().name
    shadowed = trials.search(trials.root("bullish"), week=1, statuses=("shadow",))[0].name
    client.force_login(person(role))
    html = client.get(PATH).content.decode()
    posts = set(re.findall(r'method="post" action="(/tournaments[^"]*)"', html))
    wanted = {
        STRATEGY_DEVELOPER: set(),
        TOURNAMENT_ADMINISTRATOR: {f"{PATH}/run", f"{PATH}/{name}/retire", f"{PATH}/{shadowed}/retire"},
        OVERSIGHT: {f"{PATH}/{name}/promote"},
    }
    assert posts == wanted[role]
    assert '<a href="/tournaments/evolution" aria-current="page">Evolution</a>' in html
    assert html.count('<span class="tag">SIMULATED</span>') == 2
    assert not re.search(r"\sstyle=|<style|\son[a-z]+=", html)


def test_numbers_stand_with_their_errors_and_with_what_they_were_deflated_by(boss: Client) -> None:
    row = challenger()
    words = rounds.text_of(boss.get(PATH).content.decode())
    assert f"{row.sharpe:+.2f} ±\u202f0.95" in words.replace("\u2212", "-")
    assert "97\u202f%" in words
    assert "2 trials count as 1.4" in words
    assert "5 of 6 126 sessions" in words
    assert f"from {row.parent.name}" in words
    assert "its Sharpe ratio is above luck with probability 0.31; 0.95 is asked" in words
    for name, value in parameters_of(row).items():
        before = parameters_of(row.parent)[name]
        if value != before:
            assert f"{name} {before:g} → {value:g}" in words


def test_the_innovation_rate_has_its_poisson_error(boss: Client) -> None:
    trials.season()
    words = rounds.text_of(boss.get(PATH).content.decode())
    assert "Innovation rate 0.11 ±\u202f0.11 a week 1 promoted variant in 9.0 weeks" in words
    Trial.objects.update(promoted_ns=None)
    words = rounds.text_of(boss.get(PATH).content.decode())
    assert "Innovation rate 0.00 below 0.33 with 95\u202f% a week 0 promoted variants" in words


def test_an_empty_page_says_why_and_what_to_do(boss: Client, developer: Client) -> None:
    for who, words in ((boss, "Ask for a search below"), (developer, "A tournament administrator may ask for some")):
        html = who.get(PATH).content.decode()
        assert "No variant has been tried yet" in html
        assert words in html
    assert "once a week has passed" in html


def test_the_lineage_names_what_was_in_force_one_after_the_other(boss: Client) -> None:
    every = trials.season()
    promoted = next(each for each in every if each.status == Status.PROMOTED and each.parent is not None)
    words = rounds.text_of(boss.get(PATH).content.decode())
    line = words[words.index("80 trials in 10 searches") :]
    assert f"{promoted.parent.name} in force before anybody searched, replaced" in line
    assert f"{promoted.name} promoted as of 2019-03-03 02:00:00 ET" in line
    assert "configuration 2" in line
    drawn = lanes.lane([each for each in reversed(every) if each.strategy == "momentum"])
    assert (len(drawn["dots"]), len(drawn["joints"])) == (80, 1)
    best = max(drawn["dots"], key=lambda dot: dot["trial"].excess)
    assert float(best["y"]) == min(float(dot["y"]) for dot in drawn["dots"]) == lanes.EDGE


def test_trials_are_filtered_and_paged_by_the_address(boss: Client, django_assert_max_num_queries: Any) -> None:
    trials.season()
    rows = re.compile(r'data-state="(rejected|shadow|challenger|promoted|retired)"')
    with django_assert_max_num_queries(9):
        html = boss.get(PATH).content.decode()
    assert len(rows.findall(html)) == evolution.SHOWN
    assert 'rel="next"' in html
    assert rows.findall(boss.get(PATH, {"status": "challenger"}).content.decode()) == ["challenger"]
    assert len(rows.findall(boss.get(PATH, {"strategy": "momentum", "status": "shadow"}).content.decode())) == 1
    for strange in ({"status": "<b>"}, {"page": "²"}, {"page": "9999"}, {"strategy": "x" * 900}):
        answer = boss.get(PATH, strange)
        assert answer.status_code == 200
        assert b"<b>" not in answer.content


def test_strangers_go_to_the_login(client: Client, station: Any) -> None:
    for path in (PATH, f"{PATH}/run", f"{PATH}/x/promote", f"{PATH}/x/retire"):
        assert client.get(path).url.startswith("/login?next=")
        assert client.post(path).url.startswith("/login?next=")


def test_season_and_round_mark_challengers_that_have_no_capital(boss: Client) -> None:
    record = rounds.held()[1]
    row = next(each for each in record.scores if each.agent == "momentum")
    name = "momentum~3f2a90c1"
    opened = msgspec.structs.replace(record.opened, challengers=[name])
    results = tuple(
        msgspec.structs.replace(each, agents=(*each.agents, name)) if each.step in {"open", "predict"} else each
        for each in record.round.results
    )
    held = msgspec.structs.replace(
        record, opened=opened, scores=[*record.scores, msgspec.structs.replace(row, agent=name, rank=5)],
        round=msgspec.structs.replace(record.round, results=results),
    )  # fmt: skip
    rounds.stored(held)
    assert "Momentum~3f2a90c1 challenger" in rounds.text_of(boss.get("/tournaments/").content.decode())
    one = boss.get(f"/tournaments/{record.round.round_id}")
    assert one.status_code == 200
    assert "Momentum~3f2a90c1 challenger, no capital" in rounds.text_of(one.content.decode())


# --- a search ---------------------------------------------------------------------------------------------------------


def test_the_administrator_asks_for_a_search_once(
    boss: Client, bars: Path, rung: list[Job], django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        assert boss.post(f"{PATH}/run", form(bars)).url == PATH
        boss.post(f"{PATH}/run", form(bars))
    job = Job.objects.get()
    assert (job.name, len(rung)) == ("propose_variants", 2)
    asked = json.loads(job.request)
    assert (asked["bars"], asked["seed"], asked["variants"]) == ([str(bars)], 7, 4)
    assert [each["reason"] for each in rounds.told("propose variants")] == ["a look"]
    html = boss.get(PATH).content.decode()
    assert "requested, not taken up yet" in html
    assert '<button type="submit" disabled>Propose variants</button>' in html


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"bars": "daily.parquet"}, "must be a whole path from / to a .parquet or .csv file"),
        ({"as_of": "soon"}, "as of = 'soon' is no instant"),
        ({"variants": "65"}, "variants = 65 is outside 1 to 64 a strategy"),
        ({"variants": "-1"}, "variants = '-1' must be a whole number"),
        ({"seed": "x"}, "seed = 'x' must be a whole number"),
        ({"reason": "x"}, "The reason has 1 characters; the journal wants 3 to 500"),
    ],
)
def test_a_wrong_field_is_one_sentence_and_changes_nothing(
    boss: Client, bars: Path, rung: list[Job], change: dict[str, str], sentence: str
) -> None:
    answer = boss.post(f"{PATH}/run", form(bars, **change))
    assert answer.status_code == 400
    assert sentence in rounds.text_of(answer.content.decode())
    assert rung == []
    assert not Job.objects.exists()
    assert not Outbox.objects.exists()


def test_other_roles_can_post_to_nothing(developer: Client, visitor: Client, bars: Path, rung: list[Job]) -> None:
    row = challenger()
    for who, paths in ((developer, ("run", f"{row.name}/promote", f"{row.name}/retire")),
                       (visitor, ("run", f"{row.name}/retire"))):  # fmt: skip
        for path in paths:
            assert who.post(f"{PATH}/{path}", form(bars)).status_code == 403
    row.refresh_from_db()
    assert (row.status, Job.objects.count(), Approval.objects.count(), rung) == (Status.CHALLENGER, 0, 0, [])


def test_the_administrator_retires_a_challenger_and_no_rejected_one(boss: Client) -> None:
    row = challenger()
    assert boss.post(f"{PATH}/{row.name}/retire", {"reason": "looks odd"}).url == PATH
    row.refresh_from_db()
    assert row.status == Status.RETIRED
    lost = Trial.objects.get(status=Status.REJECTED)
    answer = boss.post(f"{PATH}/{lost.name}/retire", {"reason": "looks odd"})
    assert answer.status_code == 400
    assert f"{lost.name} is rejected; only one in shadow" in answer.content.decode()
    assert boss.post(f"{PATH}/momentum~nobody/retire", {"reason": "looks odd"}).status_code == 404
    assert [each["target"] for each in rounds.told("retire a variant")] == [row.name]


# --- promotion --------------------------------------------------------------------------------------------------------


def held() -> Configuration:
    return msgspec.json.decode(ConfigurationVersion.objects.first().content, type=Configuration)


def test_a_promotion_asks_for_password_and_code_first(two: list[User], client: Client) -> None:
    row = challenger()
    client.force_login(two[0])
    answer = client.post(f"{PATH}/{row.name}/promote", {"reason": "it is better"})
    assert answer.url.startswith(("/one-time-codes", "/step-up"))
    assert not Approval.objects.exists()


def test_two_people_promote_and_the_worker_would_take_exactly_that(two: list[User], station: Any) -> None:
    ada, bob = two
    row, root = challenger(), trials.root("momentum")
    asked = promote(trial=row, actor=ada, proof=proof(ada), reason="it is better")
    assert asked.target.startswith(f"{row.name}: ")
    assert held().version == 1
    with pytest.raises(PermissionDenied, match="somebody else has to approve it"):
        approvals.approve(approval_id=asked.pk, actor=ada, proof=proof(ada))
    before = held()
    approvals.approve(approval_id=asked.pk, actor=bob, proof=proof(bob))
    made, newest = held(), ConfigurationVersion.objects.first()
    assert made.settings.strategies == {"momentum": parameters_of(row)}
    assert (
        msgspec.structs.replace(made, version=1, settings=msgspec.structs.replace(made.settings, strategies={}))
        == before
    )  # nothing else has changed
    assert "approved by ada, bob" in newest.reason
    sent = msgspec.json.decode(Outbox.objects.get(type="ControlEvent").payload, type=ControlEvent)
    assert msgspec.json.decode(sent.signature, type=Approved).approvers == ["ada", "bob"]
    gate = Gate(lambda: KeyRing.read(station.paths.keys))
    assert gate.refusal(sent, before, time.time_ns()) == ""
    assert "nobody has signed it" in gate.refusal(msgspec.structs.replace(sent, signature=""), before, time.time_ns())

    row.refresh_from_db()
    root.refresh_from_db()
    assert (row.status, row.configuration) == (Status.PROMOTED, 2)
    assert (root.status, json.loads(root.reasons)) == (Status.RETIRED, [f"replaced by {row.name}"])
    ack = ControlAck(engine_ns=0, request_id=sent.request_id, action="configure", accepted=True, reason="")
    handle(Entry(WORKER_EVENTS, "1-0", envelope("ControlAck", "worker", ack, time.time_ns())))
    asked.refresh_from_db()
    assert asked.state == Approval.State.DONE
    assert [each["target"] for each in rounds.told("promote a variant")] == [row.name]


def test_what_was_replaced_comes_back_the_same_way(two: list[User]) -> None:
    ada, bob = two
    row, root = challenger(), trials.root("momentum")
    for each in (row, root):
        asked = promote(trial=Trial.objects.get(pk=each.pk), actor=ada, proof=proof(ada), reason="it is better")
        approvals.approve(approval_id=asked.pk, actor=bob, proof=proof(bob))
    assert held().settings.strategies == {"momentum": parameters_of(root)}
    states = dict(Trial.objects.values_list("name", "status"))
    assert (states[root.name], states[row.name]) == (Status.PROMOTED, Status.RETIRED)


def test_what_is_no_challenger_any_more_is_refused_and_changes_nothing(two: list[User]) -> None:
    ada, bob = two
    row = challenger()
    asked = promote(trial=row, actor=ada, proof=proof(ada), reason="it is better")
    Trial.objects.filter(pk=row.pk).update(status=Status.RETIRED)
    with pytest.raises(ValidationError, match="is retired; a challenger may be promoted"):
        approvals.approve(approval_id=asked.pk, actor=bob, proof=proof(bob))
    asked.refresh_from_db()
    assert (asked.state, held().version) == (Approval.State.REFUSED, 1)
    lost = Trial.objects.get(status=Status.REJECTED)
    with pytest.raises(ValidationError, match="is rejected; a challenger may be promoted"):
        promote(trial=lost, actor=ada, proof=proof(ada), reason="it is better")


def test_people_of_other_roles_are_refused_by_the_action(two: list[User], person: Callable[..., User]) -> None:
    row = challenger()
    for role in (STRATEGY_DEVELOPER, TOURNAMENT_ADMINISTRATOR):
        other = person(role, name=role.split()[0])
        with pytest.raises(PermissionDenied, match="may not promote a variant; oversight may"):
            promote(trial=row, actor=other, proof=proof(other), reason="it is better")
    with pytest.raises(stepup.StepUpNeededError):
        promote(trial=row, actor=two[0], proof=None, reason="it is better")
    assert not Approval.objects.exists()


def test_a_promotion_of_before_another_configuration_is_asked_again(two: list[User]) -> None:
    ada, bob = two
    first, second = trials.search(trials.root("momentum"), statuses=("challenger", "challenger"))
    one, other = (promote(trial=each, actor=ada, proof=proof(ada), reason="it is better") for each in (first, second))
    approvals.approve(approval_id=one.pk, actor=bob, proof=proof(bob))
    with pytest.raises(ValidationError, match="ask again"):
        approvals.approve(approval_id=other.pk, actor=bob, proof=proof(bob))
    assert held().settings.strategies == {"momentum": parameters_of(first)}
