"""Tournaments: season, round and rules; who may change what, what is read before the reveal, and what is refused."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from django.test import Client
from django.test.signals import template_rendered

from controlroom.access.models import User
from controlroom.access.permissions import OVERSIGHT, STRATEGY_DEVELOPER, TOURNAMENT_ADMINISTRATOR
from controlroom.pages.formats import show
from controlroom.pages.tournaments import asked, one_round, season
from events.actions import create_job, put
from events.models import Job, Outbox
from events.streams import CONTROL_AUDIT
from events.tournament import CommitmentEvent
from tests.browser import scripted
from tests.pages import rounds
from tournaments import actions
from tournaments.models import AllocationVersion, RulesVersion, TournamentRound
from tournaments.record import RoundRecord
from tournaments.rounds import event_id

pytestmark = pytest.mark.django_db
SCRIPT = "<script>alert(1)</script>"
PAGES = ("/tournaments/", "/tournaments/rules", "/tournaments/tournament:XNYS:2019-01-07")
FORMS = ("/tournaments/run", "/tournaments/rules/draft", "/tournaments/rules/1/activate")


@pytest.fixture(scope="module")
def record() -> RoundRecord:
    """A whole round, settled."""
    return rounds.held()[0]


def request_form(file: Path, **change: str) -> dict[str, str]:
    given = {"bars": f"{file}\n", "as_of": "2019-01-06T07:30:00Z", "symbols": "AAPL, MSFT", "seed": "7"}
    return given | {"capital": "1000000", "name": "", "reason": "a first look"} | change


@pytest.mark.parametrize("role", [STRATEGY_DEVELOPER, TOURNAMENT_ADMINISTRATOR, OVERSIGHT])
def test_every_role_sees_all_of_it_and_the_administrator_alone_the_forms(
    client: Client, person: Callable[..., User], station: Any, record: RoundRecord, role: str
) -> None:
    station.publish(scripted.view())
    rounds.stored(record)
    client.force_login(person(role))
    for path in PAGES:
        html = client.get(path).content.decode()
        assert re.search(r'<a href="/tournaments/" aria-current="page">Tournaments', html)
        actions_of = set(re.findall(r'method="post" action="(/tournaments[^"]*)"', html))
        wanted = {"/tournaments/": {FORMS[0]}, "/tournaments/rules": {FORMS[1]}}.get(path, set())
        assert actions_of == (wanted if role == TOURNAMENT_ADMINISTRATOR else set())


def test_strangers_go_to_the_login_and_the_roleless_are_refused(
    client: Client, person: Callable[..., User], station: Any
) -> None:
    for path in (*PAGES, *FORMS):
        assert client.get(path).url.startswith("/login?next=")
        assert client.post(path).url.startswith("/login?next=")
    client.force_login(person())
    assert {client.get(path).status_code for path in (*PAGES, *FORMS)} == {403}
    assert b"/tournaments/" not in client.get("/data/sparks").content


@pytest.mark.parametrize("path", FORMS)
def test_a_developer_and_oversight_can_post_to_nothing(
    developer: Client, visitor: Client, bars: Path, rung: list[Job], path: str
) -> None:
    for who in (developer, visitor):
        assert who.post(path, request_form(bars) | {"base": "0", "hour": "4"}).status_code == 403
    assert rung == []
    assert not any(table.objects.exists() for table in (TournamentRound, RulesVersion, Job, Outbox))


@pytest.mark.parametrize("path", PAGES)
def test_pages_take_no_post_and_few_queries(
    boss: Client, record: RoundRecord, path: str, django_assert_max_num_queries: Any
) -> None:
    rounds.stored(record)
    boss.get(path)
    with django_assert_max_num_queries(10):
        assert boss.get(path).status_code == 200
    assert boss.post(path).status_code == 405


@pytest.mark.parametrize("path", PAGES[:2])
def test_no_inline_script_style_or_handler_and_every_field_has_a_label(boss: Client, path: str) -> None:
    html = boss.get(path).content.decode()
    assert not re.search(r"<script(?![^>]*\b(src|type=\"application/json\"))", html)
    assert not re.search(r"\sstyle=|<style|\son[a-z]+=", html)


def test_every_template_is_rendered(boss: Client, record: RoundRecord, templates_folder: Path) -> None:
    rounds.stored(record)
    rendered: set[str] = set()

    def note(template: Any, **_more: Any) -> None:
        rendered.add(template.name)

    template_rendered.connect(note)
    try:
        for path in (*PAGES, "/tournaments/simulator", f"{PAGES[2]}/claims/momentum/1"):
            boss.get(path)
    finally:
        template_rendered.disconnect(note)
    folder = templates_folder / "pages" / "tournaments"
    assert {f"pages/tournaments/{file.name}" for file in folder.glob("*.html")} <= rendered


# the season


def test_an_empty_season_says_why_and_what_to_do(boss: Client, developer: Client) -> None:
    for who, words in ((boss, "Ask for one below"), (developer, "A tournament administrator may ask for one here")):
        html = who.get("/tournaments/").content.decode()
        assert "No round has been held in this station yet" in html
        assert words in html
        assert "manage.py tournament run --bars" in html


def test_the_season_shows_newest_first_with_intervals_beside_ranks(boss: Client) -> None:
    earlier, later = rounds.held()
    rounds.stored(earlier)
    rounds.stored(later)
    html = boss.get("/tournaments/").content.decode()
    links = re.findall(r'href="/tournaments/(tournament:[^"]+)"', html)
    assert links == [later.round.round_id, earlier.round.round_id]
    words = rounds.text_of(html)
    best = min(later.scores, key=lambda score: (score.rank, score.agent))
    assert f"{best.total:.3f} ±\u202f{best.error or 0:.3f}" in words
    assert f"{best.low:.3f} to {best.high:.3f}" in words
    assert f"{later.first_is_best or 0:.0%}".replace("%", "\u202f%") in words
    assert words.count("Mean-reversion") == 2
    assert 'data-state="settled">settled' in html
    assert "SHADOW" in html
    assert "Resilience in the totals is SIMULATED stress" in words
    one = rounds.text_of(boss.get(f"/tournaments/{later.round.round_id}").content.decode())
    assert "the engine is not told what it allocates" in one


@pytest.mark.parametrize(
    ("state", "says"),
    [
        ("", "It has decided no weights yet"),
        ("proposed", "they wait for people, and nothing has changed"),
        ("told", "which has not answered yet"),
        ("acknowledged", "The engine has taken its weights as allocation 1"),
        ("refused", "The engine has not taken its weights: too old"),
    ],
)
def test_a_round_on_the_stations_bars_says_what_became_of_its_weights(boss: Client, state: str, says: str) -> None:
    record = rounds.held()[-1]
    row = rounds.stored(record)
    TournamentRound.objects.filter(pk=row.pk).update(station_bars=True)
    if state:
        AllocationVersion.objects.create(
            version=1, round_id=row.round_id, content="{}", settings_weights="{}", state=state, answer="too old",
            request_id="allocate-1", actor="tournament", reason="a round", at_ns=1,
        )  # fmt: skip
    season, one = boss.get("/tournaments/").content.decode(), boss.get(f"/tournaments/{row.round_id}").content.decode()
    assert "SHADOW</strong>" not in one
    assert says in rounds.text_of(one)
    assert (f"weights {state}" in rounds.text_of(season)) is bool(state)
    assert ("NOT DEPLOYED" in one) is (state != "acknowledged")


def test_a_void_round_has_its_reason_and_no_scores(boss: Client) -> None:
    rounds.stored(rounds.void(f"3 entrants {SCRIPT}"), round_id="tournament:hand:few")
    html = boss.get("/tournaments/").content.decode()
    assert 'data-state="void">void' in html
    assert "3 entrants &lt;script&gt;" in html
    one = boss.get("/tournaments/tournament:hand:few").content.decode()
    assert "VOID" in one
    assert SCRIPT not in html + one
    assert one.count('data-step="never"') == 7


def test_a_season_is_shown_half_a_year_at_a_time(boss: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(season, "SHOWN", 2)
    for number in range(3):
        rounds.stored(rounds.at("open"), round_id=f"tournament:hand:{number}")
    first, second = (boss.get(f"/tournaments/?page={page}").content.decode() for page in (1, 2))
    assert (first.count("tournament:hand:"), second.count("tournament:hand:")) == (4, 2)  # address and name
    assert 'href="?page=2"' in first
    for strange in ("0", "-1", "x", "9" * 30, "²"):
        assert boss.get("/tournaments/", {"page": strange}).status_code == 200
    assert "There is no round that old" in boss.get("/tournaments/?page=99").content.decode()


# asking for a round


def test_the_administrator_asks_for_a_round_and_sees_it(
    boss: Client, bars: Path, rung: list[Job], django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        answer = boss.post("/tournaments/run", request_form(bars))
    row = TournamentRound.objects.get()
    assert answer.url == "/tournaments/tournament:XNYS:2019-01-07"
    held = json.loads(row.request)
    assert (held["bars"], held["symbols"], held["seed"]) == ([str(bars)], ["AAPL", "MSFT"], 7)
    assert held["as_of_ns"] == row.as_of_ns == 1_546_759_800_000_000_000
    assert [job.occurrence for job in rung] == [row.round_id]
    assert [(each["actor"], each["reason"]) for each in rounds.told("run tournament")] == [("boss", "a first look")]
    html = boss.get(answer.url).content.decode()
    assert "is asked for" in html
    assert "requested, not taken up yet" in html
    assert 'hx-trigger="every 2s"' in html
    assert str(bars) in html
    fragment = boss.get(answer.url, headers={"HX-Request": "true"}).content.decode()
    assert "<html" not in fragment
    assert "No step is done yet" in fragment


def test_the_same_round_twice_is_one_and_on_other_inputs_refused(
    boss: Client, bars: Path, rung: list[Job], django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        boss.post("/tournaments/run", request_form(bars))
        again = boss.post("/tournaments/run", request_form(bars), follow=True)
        other = boss.post("/tournaments/run", request_form(bars, seed="8"))
    assert "was asked for before" in again.content.decode()
    assert other.status_code == 400
    assert "is there already, held on other inputs; give this one another name" in other.content.decode()
    assert (TournamentRound.objects.count(), Job.objects.count(), len(rounds.told("run tournament"))) == (1, 1, 1)
    with django_capture_on_commit_callbacks(execute=True):
        assert boss.post("/tournaments/run", request_form(bars, seed="8", name="second")).status_code == 302
    assert TournamentRound.objects.filter(round_id="tournament:hand:second").exists()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"bars": ""}, "bars names 0 files; 1 to 16 are allowed, one a line"),
        ({"bars": "/nowhere/daily.parquet"}, "bars = '/nowhere/daily.parquet' is no file on the station's machine"),
        ({"bars": "daily.parquet"}, "must be a whole path from / to a .parquet or .csv file"),
        ({"bars": "/etc/passwd"}, "must be a whole path from / to a .parquet or .csv file"),
        ({"bars": "/a\0b.csv"}, "is no file on the station's machine"),
        ({"bars": f"/{'a' * 300}.csv"}, "is no file on the station's machine"),
        ({"bars": f"/{'a' * 2000}.csv"}, "must be a whole path from / to a .parquet or .csv file"),
        ({"bars": "/a.csv,/b.csv\n" * 9}, "bars names 18 files; 1 to 16 are allowed, one a line"),
        ({"as_of": "soon"}, "as of = 'soon' is no instant; write it as 2019-02-10T07:00:00Z"),
        ({"as_of": "2019-01-06T07:30:00"}, "has no time zone; end it with Z for UTC"),
        ({"as_of": "0001-01-01T00:00:00+14:00"}, "is outside 1970 to 2199"),
        ({"as_of": "2019-01-09T15:00:00Z"}, "as_of lies in no round of the schedule"),
        ({"as_of": "2190-01-09T15:00:00Z", "name": "x"}, "calendar"),
        ({"symbols": "AAPL,<b>"}, "symbols = '<b>' is no symbol; write them as AAPL, MSFT"),
        ({"symbols": "AAPL,AAPL"}, "symbols names one twice"),
        ({"seed": "-1"}, "seed = '-1' must be a whole number from 0 to 2147483647"),
        ({"seed": "²"}, "must be a whole number from 0"),
        ({"capital": "nan"}, "capital = 'nan' must be a number from 1 to 1000000000000"),
        ({"name": "a/b"}, "name = 'a/b' is not allowed; up to 24 letters"),
        ({"reason": " x "}, "reason has 1 characters; the journal wants 3 to 500"),
    ],
)
def test_a_wrong_field_is_one_sentence_and_changes_nothing(
    boss: Client, bars: Path, rung: list[Job], change: dict[str, str], sentence: str
) -> None:
    answer = boss.post("/tournaments/run", request_form(bars, **change))
    assert answer.status_code == 400
    html = answer.content.decode()
    alert = re.search(r'role="alert"><strong>Not asked for</strong><span>(.*?)</span>', html)
    assert alert
    assert sentence in rounds.text_of(alert[1])
    assert "<b>" not in html
    assert 'value="a first look"' in html or "reason" in change  # what was typed stays
    assert rung == []
    assert not any(table.objects.exists() for table in (TournamentRound, Job, Outbox))


def test_an_instant_keeps_its_microseconds_and_any_zone() -> None:
    assert asked.instant_ns("2019-01-06T02:30:00.000001-05:00") == 1_546_759_800_000_001_000


# one round


def test_a_settled_round_shows_every_part_with_its_errors(boss: Client) -> None:
    record = rounds.held()[1]
    rounds.stored(record)
    html = boss.get("/tournaments/tournament:XNYS:2019-01-14?agent=momentum").content.decode()
    words = rounds.text_of(html)
    assert html.count('data-step="done"') == 8
    for step in record.round.results:
        at_ms = step.at_ns // 1_000_000
        assert f"done {show(at_ms, 'et_full').text} {show(at_ms, 'utc_full').text}" in words
    assert "XNYS session of 2019-01-14, closes 2019-01-14 16:00:00 ET" in words
    debate = record.debates["momentum"]
    for claim, reply, ruled in zip(debate.claims, debate.replies, debate.rulings, strict=True):
        assert claim.statement in words
        assert reply.why_it_stands[:60] in words
        assert f"{ruled.measured * 100:.3f}".replace("-", "\u2212") in words
        assert f"Brier: challenger {ruled.challenger_brier:.3f}, defender {ruled.defender_brier:.3f}" in words
    assert record.entries["momentum"][0].rationale[:60] in words
    for score in record.scores:
        assert f"{score.low:.3f} to {score.high:.3f}" in words
        assert f"±\u202f{score.resilience.error:.3f}" in words
    for family in record.scores[0].resilience.families:
        assert family.family.replace("_", " ") in words
    made = record.allocated
    assert made is not None
    assert f"{made.base['momentum'] * 100:.2f}\u202f%" in words
    assert "NOT DEPLOYED" in words
    bound = set(made.pool_rules.values()) - {"wish"}
    assert bound
    assert all(rule in words for rule in bound)
    assert "abstained" not in words
    assert "skill against climatology" in words


def test_each_entrant_has_its_own_transcript_and_a_strange_one_none(boss: Client, record: RoundRecord) -> None:
    rounds.stored(record)
    for name, debate in record.debates.items():
        html = boss.get("/tournaments/tournament:XNYS:2019-01-07", {"agent": name}).content.decode()
        assert debate.claims[0].statement in rounds.text_of(html)
        assert re.search(rf'href="\?agent={name}#said" aria-current="page"', html)
    assert boss.get("/tournaments/tournament:XNYS:2019-01-07", {"agent": SCRIPT}).status_code == 200


def test_before_the_reveal_entries_are_sealed_and_only_their_commitments_shown(
    boss: Client, record: RoundRecord
) -> None:
    secret = record.entries["momentum"][0].rationale
    kept = msgspec.structs.replace(rounds.at("challenge"), entries=record.entries, revised=record.entries)
    sealed = json.dumps({"momentum": {"commitment": "from-the-sealed-box", "box": "boxed-text"}})
    row = rounds.stored(kept, sealed=sealed)  # a record that says too much is not shown either
    told_of = CommitmentEvent(round_id=row.round_id, agent="momentum", commitment="c0ffee" * 10, received_ns=1)
    put(
        stream=CONTROL_AUDIT, payload=told_of, actor="station",
        request_id=event_id(row.round_id, "predict", "CommitmentEvent", "momentum"),
    )  # fmt: skip
    html = boss.get(f"/tournaments/{row.round_id}").content.decode()
    assert html.count('data-state="sealed">sealed') == 4
    assert "c0ffeec0ffeec0ffeec0ffee" in html
    assert secret[:40] not in html
    assert "what it predicts" not in html
    assert "from-the-sealed-box" not in html
    assert "boxed-text" not in html
    assert re.search(r'data-step="now" aria-current="step"><strong>Challenge', html)
    assert html.count('data-step="coming"') == 5
    assert one_round.readable(record) is record


def test_texts_of_agents_are_escaped(boss: Client, record: RoundRecord) -> None:
    def marked(each: Any) -> Any:
        return msgspec.structs.replace(each, rationale=SCRIPT, risk_factors=(SCRIPT,))

    debate = record.debates["bullish"]
    claims = [msgspec.structs.replace(each, statement=SCRIPT) for each in debate.claims]
    replies = [msgspec.structs.replace(each, precedents=SCRIPT, changes_mind_when=SCRIPT) for each in debate.replies]
    evil = msgspec.structs.replace(
        record,
        entries=record.entries | {"bullish": [marked(each) for each in record.entries["bullish"]]},
        revised=record.revised | {"bullish": [marked(each) for each in record.revised["bullish"]]},
        debates=record.debates | {"bullish": msgspec.structs.replace(debate, claims=claims, replies=replies)},
    )
    rounds.stored(evil)
    html = boss.get("/tournaments/tournament:XNYS:2019-01-07?agent=bullish").content.decode()
    assert SCRIPT not in html
    assert html.count("&lt;script&gt;alert(1)&lt;/script&gt;") >= 2 * len(record.entries["bullish"]) + 3 * len(claims)


def test_a_late_step_an_abstention_and_a_failed_job_are_said(boss: Client, record: RoundRecord) -> None:
    held = rounds.at("settle").round
    missing = held.results[1].agents[3]
    late = [
        msgspec.structs.replace(
            each, late=each.step == "rule", agents=each.agents[: 3 if each.step == "predict" else 4]
        )
        for each in held.results
    ]
    kept = msgspec.structs.replace(
        rounds.at("settle"),
        round=msgspec.structs.replace(held, results=tuple(late)),
        **{
            part: {name: said for name, said in getattr(record, part).items() if name != missing}
            for part in ("entries", "revised", "debates")
        },
    )
    row = rounds.stored(kept)
    job, _ = create_job(name="tournament_round", occurrence=row.round_id, request=str(row.id))
    Job.objects.filter(id=job.id).update(state="failed", error=f"cut off {SCRIPT}")
    html = boss.get(f"/tournaments/{row.round_id}", {"agent": missing}).content.decode()
    assert re.search(r'data-step="late"><strong>Rule</strong> <span class="warned">late', html)
    assert 'data-state="abstained">abstained' in html
    assert "abstained: no valid entry came in time" in html
    assert "cut off &lt;script&gt;" in html
    assert "hx-trigger" not in html
    assert "Not settled: the predicted session closes" in html
    assert re.search(r'data-step="now" aria-current="step"><strong>Settle', html)


@pytest.mark.parametrize("state", rounds.LEFT)
def test_every_unfinished_state_can_be_shown(boss: Client, state: str) -> None:
    row = rounds.stored(rounds.at(state))
    assert boss.get(f"/tournaments/{row.round_id}").status_code == 200
    assert boss.get("/tournaments/").status_code == 200


def test_unknown_rounds_are_not_found(boss: Client) -> None:
    for path in ("/tournaments/nowhere", "/tournaments/a/b", "/tournaments/rules/1"):
        assert boss.get(path).status_code == 404


def test_superusers_see_the_tables_but_nothing_sealed_and_change_none(
    client: Client, person: Callable[..., User], station: Any, record: RoundRecord
) -> None:
    row = rounds.stored(record, sealed='{"momentum": "boxed-text"}')
    boss = person(name="root")
    boss.is_superuser = boss.is_staff = True
    boss.save()
    actions.draft_rules(changes={"hour": 4}, reason="a trial", actor=person(TOURNAMENT_ADMINISTRATOR, name="other"))
    client.force_login(boss)
    html = client.get(f"/admin/tournaments/tournamentround/{row.id}/change/").content.decode()
    assert row.round_id in html
    assert "boxed-text" not in html
    assert record.entries["momentum"][0].rationale[:40] not in html
    version = RulesVersion.objects.get()
    for path in (f"tournamentround/{row.id}", f"rulesversion/{version.id}"):
        assert client.post(f"/admin/tournaments/{path}/change/", {"version": 9}).status_code == 403
        assert client.post(f"/admin/tournaments/{path}/delete/").status_code == 403
