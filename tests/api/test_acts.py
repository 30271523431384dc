"""What a script does: rules drafted and put in force, rounds and simulations, limits tightened, kill pressed."""

import json

import msgspec
import pytest
from django.db import OperationalError, connection

from controlroom.access.models import Approval
from controlroom.access.permissions import OVERSIGHT, STRATEGY_DEVELOPER, TOURNAMENT_ADMINISTRATOR
from controlroom.api.problems import PAGE_ONLY
from controlroom.live import source
from controlroom.pages import oversight_actions
from engine.configuration import Configuration
from events import bus as station_bus
from events.codec import decode_envelope, decode_payload
from events.models import Job, Outbox
from events.streams import REQUEST_KILL, WORKER_SNAPSHOT
from risk.models import ConfigurationVersion
from tests.api.conftest import problem_of, told
from tests.browser import scripted
from tests.controlroom_backend.test_access_kill import worker  # noqa: F401 - a fixture
from tests.controlroom_backend.test_oversight import configured
from tests.pages import rounds
from tournaments.models import RulesVersion, TournamentRound
from tournaments.selectors import active_rules

pytestmark = pytest.mark.django_db
BIG = 2**63


@pytest.fixture
def boss(script):
    return script(TOURNAMENT_ADMINISTRATOR)


def test_an_administrator_drafts_compares_and_activates(boss):
    answer = boss.post(
        "/tournaments/rules", {"changes": {"stress_paths": 300, "evidence_full": 50.0}, "reason": "a trial"}
    )
    assert answer.status_code == 201
    made = answer.json()
    assert (made["version"], made["status"], made["author"]) == (1, "draft", "tournament-administrator (token ci)")
    assert (made["rules"]["stress_paths"], made["rules"]["evidence_full"]) == (300, 50.0)
    assert active_rules().version == 0
    listed = boss.get("/tournaments/rules").json()
    assert [row["version"] for row in listed["versions"]] == [1]
    assert next(row for row in listed["fields"] if row["name"] == "stress_paths")["high"] == 10_000
    assert boss.get("/tournaments/rules/1").json() == made
    assert boss.get("/tournaments/rules/0").json()["rules"]["stress_paths"] == 200
    changes = boss.get("/tournaments/rules/diff", a=0, b=1).json()["changes"]
    assert [(row["field"], row["before"], row["after"]) for row in changes] == [
        ("stress_paths", 200, 300),
        ("evidence_full", 20.0, 50.0),
    ]
    assert boss.post("/tournaments/rules/1/activate", {"reason": "agreed"}).json()["status"] == "active"
    assert active_rules().version == 1
    assert [(event["action"], event["target"], event["reason"]) for event in told()] == [
        ("draft tournament rules", "rules 1", "a trial"),
        ("activate tournament rules", "rules 1", "agreed"),
    ]


def test_an_administrator_asks_for_a_round(boss, bars, rung, django_capture_on_commit_callbacks):
    body = {"bars": [bars], "as_of": "2019-01-06T08:00:00Z", "seed": 7, "reason": "a trial"}
    with django_capture_on_commit_callbacks(execute=True):
        answer = boss.post("/tournaments", body)
    assert answer.status_code == 202
    row = TournamentRound.objects.get()
    assert answer.json()["round_id"] == row.round_id
    assert (json.loads(row.request)["seed"], row.station_bars) == (7, False)
    assert [job.request for job in rung] == [str(row.id)]
    assert [(event["action"], event["reason"]) for event in told()] == [("run tournament", "a trial")]
    shown = boss.get(f"/tournaments/{row.round_id}").json()
    assert (shown["state"], shown["record"], shown["asked"]["bars"]) == ("open", None, [bars])
    assert shown["capital"]["shadow"]
    assert boss.post("/tournaments", body).json() == answer.json()  # the same occurrence is the same round
    assert "asked for with other inputs" in problem_of(boss.post("/tournaments", body | {"seed": 8}), 422)
    assert TournamentRound.objects.count() == 1


def test_an_administrator_asks_for_a_simulation_and_stops_it(boss, bars, rung, django_capture_on_commit_callbacks):
    body = {"bars": [bars], "versions": [0], "iterations": 20, "reason": "a trial"}
    with django_capture_on_commit_callbacks(execute=True):
        answer = boss.post("/tournaments/simulations", body)
    assert answer.status_code == 202
    made = answer.json()
    assert (made["state"], made["asked"]["iterations"]) == ("waiting", 20)
    assert [job.id for job in rung] == [made["id"]]
    assert "is under way already" in problem_of(boss.post("/tournaments/simulations", body), 422)
    stopped = boss.post(f"/tournaments/simulations/{made['id']}/cancel")
    assert (stopped.status_code, stopped.json()["state"]) == (202, "canceled")
    assert "has ended already" in problem_of(boss.post(f"/tournaments/simulations/{made['id']}/cancel"), 422)
    [row] = boss.get("/tournaments/simulations").json()["simulations"]
    assert (row["id"], row["found"]) == (made["id"], [])


@pytest.mark.parametrize(
    ("path", "body", "sentence"),
    [
        (
            "/tournaments/rules",
            {"changes": {"stress_paths": 19}, "reason": "why not"},
            "stress_paths = 19 is outside 20",
        ),
        (
            "/tournaments/rules",
            {"changes": {"paths": 19}, "reason": "why not"},
            "paths is no field of the rules; there",
        ),
        (
            "/tournaments/rules",
            {"changes": {"hour": None}, "reason": "why not"},
            "hour = None is not a number; allowed",
        ),
        ("/tournaments/rules", {"changes": {"hour": [3]}, "reason": "why not"}, "hour = [3] is not a number; allowed"),
        (
            "/tournaments/rules",
            {"changes": {"hour": "3"}, "reason": "why not"},
            "hour = '3' is not a number; allowed is 0",
        ),
        (
            "/tournaments/rules",
            {"changes": {"hour": 3}, "reason": ""},
            "The reason has 0 characters; the journal wants 3",
        ),
        ("/tournaments/rules", {"changes": {"hour": 3}}, "reason is missing"),
        ("/tournaments/rules", {"changes": [], "reason": "why not"}, "changes = [] is not allowed: "),
        (
            "/tournaments/rules",
            {"changes": {}, "reason": 3},
            "reason = 3 is not allowed: input should be a valid string",
        ),
        (
            "/tournaments/rules",
            {"changes": {"hour": 3}, "reason": "why not", "force": 1},
            "force is no field; there are ch",
        ),
        ("/tournaments/rules/9/activate", {"reason": "agreed"}, "version = 9 is no version of the rules"),
        (f"/tournaments/rules/{10**30}/activate", {"reason": "agreed"}, "is no version of the rules"),
        (
            "/tournaments",
            {"bars": ["daily.csv"], "as_of": "2019-01-06T08:00:00Z", "reason": "why"},
            "must be a whole path",
        ),
        ("/tournaments", {"bars": [], "as_of": "2019-01-06T08:00:00Z", "reason": "why"}, "bars names 0 files; 1 to 16"),
        ("/tournaments", {"bars": ["BARS"], "as_of": "2019-01-06", "reason": "why"}, "has no time zone"),
        (
            "/tournaments",
            {"bars": ["BARS"], "as_of": "2019-01-06T08:00:00Z", "seed": -1, "reason": "why"},
            "seed = '-1'",
        ),
        (
            "/tournaments",
            {"bars": ["BARS"], "as_of": "2019-01-06T08:00:00Z", "seed": 1.5, "reason": "why"},
            "seed = 1.5",
        ),
        (
            "/tournaments",
            {"bars": ["BARS"], "as_of": "2019-01-06T08:00:00Z", "seed": True, "reason": "why"},
            "seed = True",
        ),
        (
            "/tournaments",
            {"bars": ["BARS"], "as_of": "2019-01-06T08:00:00Z", "capital": 0, "reason": "why"},
            "capital = '0",
        ),
        ("/tournaments", {"bars": ["BARS"], "as_of": "2019-01-06T08:00:00Z", "reason": "x"}, "reason has 1 characters"),
        (
            "/tournaments",
            {"bars": ["BARS"], "as_of": "2019-01-08T08:00:00Z", "reason": "why"},
            "give it a name of its own",
        ),
        ("/tournaments/simulations", {"bars": ["BARS"], "versions": [7], "reason": "why"}, "rules = 7 is no version"),
        (
            "/tournaments/simulations",
            {"bars": ["BARS"], "versions": [], "reason": "why"},
            "must be one version, or two",
        ),
        ("/tournaments/simulations", {"bars": ["BARS"], "versions": [0], "agents": 1, "reason": "why"}, "agents"),
        ("/tournaments/simulations/99/cancel", {}, "simulation 99 is unknown"),
    ],
)
def test_a_bad_value_is_one_sentence_and_changes_nothing(path, body, sentence, boss, bars):
    body = {name: [bars] if value == ["BARS"] else value for name, value in body.items()}
    detail = problem_of(boss.post(path, body), 422)
    assert sentence in detail
    assert detail.count("\n") == 0
    assert [table.objects.count() for table in (RulesVersion, TournamentRound, Job, Outbox)] == [0, 0, 0, 0]


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        (b"", "The body is missing; its fields are changes, reason."),
        (b"{", "Input data was truncated."),
        (b"[]", "The body must be a JSON object."),
        (b"null", "The body must be a JSON object."),
        (b'{"changes": {"risk_budget": NaN}, "reason": "why"}', "JSON is malformed: invalid character"),
        (b'{"changes": {"risk_budget": Infinity}, "reason": "why"}', "JSON is malformed: invalid character"),
        (b'{"changes": {"risk_budget": 1e999}, "reason": "why"}', "Number out of range"),
        (b'{"changes": {"hour": %d}, "reason": "why"}' % BIG, "The body has a whole number beyond 64 bits."),
        (b'{"changes": {"hour": -%d}, "reason": "why"}' % (10 * BIG), "The body has a whole number beyond 64 bits."),
        (b'{"changes": {"hour": 3}, "reason": "a\\u0000b"}', "The body has a text with a zero byte."),
        (b'{"changes": ' + b"[" * 9 + b"]" * 9 + b', "reason": "why"}', "The body is nested deeper than 8 levels."),
        (b"[" * 100_000, "The body is nested deeper than 8 levels."),
        (b'{"a":' * 100_000, "The body is nested deeper than 8 levels."),
        (b'\xff{"changes": {}}', "JSON is malformed"),
    ],
)
def test_a_body_that_is_no_json_of_ours_is_one_sentence(raw, sentence, boss):
    answer = boss.post("/tournaments/rules", raw=raw)
    assert sentence in problem_of(answer, 422 if not raw else 400)
    assert not RulesVersion.objects.exists()


def test_a_body_that_is_too_large_is_refused(boss):
    assert "too large" in problem_of(boss.post("/tournaments/rules", raw=b" " * 3_000_000), 413)


@pytest.mark.parametrize(
    ("path", "query", "sentence"),
    [
        ("/tournaments", {"limit": 0}, "limit = '0' is not allowed: input should be greater than or equal to 1."),
        ("/tournaments", {"limit": 101}, "limit = '101' is not allowed"),
        ("/tournaments", {"limit": "many"}, "limit = 'many' is not allowed"),
        ("/tournaments", {"page": 10**30}, "page = "),
        ("/tournaments", {"limt": 5}, "query has 'limt', which is unknown; allowed are limit, page."),
        ("/tournaments/rules/diff", {"a": 0}, "b is missing."),
        ("/tournaments/evolution", {"status": "alive"}, "status = 'alive' is not allowed: input should be 'proposed'"),
        ("/allocations", {"limit": -1}, "limit = '-1' is not allowed"),
        ("/status", {"fast": 1}, "query has 'fast', which is unknown; allowed are none."),
    ],
)
def test_a_bad_query_is_one_sentence(path, query, sentence, boss):
    assert sentence in problem_of(boss.get(path, **query), 422)


@pytest.mark.parametrize(
    "path", ["/tournaments/nothing", "/tournaments/a/b", "/tournaments/%00", "/tournaments/rules/9"]
)
def test_what_is_not_there_is_a_problem(path, boss):
    problem_of(boss.get(path), 404)


# --- limits -----------------------------------------------------------------------------------------------------------


def test_oversight_tightens_and_does_not_loosen(script, paths):
    configured(2)
    boss = script(OVERSIGHT, scopes=("read", "limits"))
    row = next(each for each in boss.get("/limits").json()["limits"] if each["name"] == "max_var")
    assert row["tighter"] == "lower"
    tighter, looser = float(row["value"]) / 2, float(row["value"]) * 1.5
    answer = boss.post("/limits", {"changes": {"max_var": tighter}, "reason": "a rough week"})
    assert answer.status_code == 202
    made = ConfigurationVersion.objects.get(version=answer.json()["configuration"])
    assert (made.actor, made.reason) == ("oversight (token ci)", "a rough week")
    before = Outbox.objects.count()
    for changes in ({"max_var": looser}, {"max_var": looser, "max_gross": 0.1}):
        assert problem_of(boss.post("/limits", {"changes": changes, "reason": "better now"}), 403) == PAGE_ONLY
    assert "is no limit" in problem_of(boss.post("/limits", {"changes": {"most": 1}, "reason": "better now"}), 422)
    assert (ConfigurationVersion.objects.count(), Approval.objects.count(), Outbox.objects.count()) == (2, 0, before)


# --- reads ------------------------------------------------------------------------------------------------------------

SECRET = "sealed-until-the-reveal"


@pytest.mark.parametrize("state", ["predict", "challenge"])
def test_a_sealed_entry_is_not_shown_before_the_reveal(state, boss):
    """Neither the box nor anything that stands in a record ahead of its time."""
    import msgspec  # noqa: PLC0415

    whole = rounds.held()[0]
    early = msgspec.structs.replace(rounds.at(state), entries=whole.entries, debates=whole.debates)
    row = rounds.stored(early, sealed=json.dumps({"momentum": SECRET}))
    for answer in (boss.get(f"/tournaments/{row.round_id}"), boss.get("/tournaments")):
        assert answer.status_code == 200
        assert SECRET not in answer.content.decode()
    record = boss.get(f"/tournaments/{row.round_id}").json()["record"]
    assert (record["entries"], record["revised"], record["debates"]) == ({}, {}, {})
    assert record["opened"]["symbols"] == list(rounds.SYMBOLS)


def test_a_settled_round_is_shown_with_all_of_it(boss):
    whole = rounds.held()[1]
    row = rounds.stored(whole)
    shown = boss.get(f"/tournaments/{row.round_id}").json()
    assert set(shown["record"]["entries"]) == set(whole.entries)
    assert shown["record"]["settlement"]["returns"] == whole.settlement.returns
    best = min(whole.scores, key=lambda score: score.rank)
    assert (shown["standings"][0]["agent"], shown["standings"][0]["total"]) == (best.agent, best.total)
    assert shown["standings"][0]["base"] == whole.allocated.base[best.agent]
    listed = boss.get("/tournaments").json()
    assert [each["round_id"] for each in listed["rounds"]] == [row.round_id]
    assert listed["rounds"][0]["standings"] == shown["standings"]


def test_the_season_has_pages(boss):
    for number in range(3):
        rounds.stored(rounds.at("open"), round_id=f"round-{number}")
    first, last = boss.get("/tournaments", limit=2).json(), boss.get("/tournaments", limit=2, page=2).json()
    assert [each["round_id"] for each in first["rounds"] + last["rounds"]] == ["round-2", "round-1", "round-0"]
    assert (first["older"], last["older"]) == (True, False)


def test_a_developer_sees_the_audit_of_their_own_area_alone(script, monkeypatch):
    """The same area as the page's: a developer without strategies sees nothing, whatever the filter."""
    asked = []

    class Store:
        def events(self, filters, **_named):
            asked.append(filters.scope)
            return type("Page", (), {"rows": [], "next_key": None})()

    monkeypatch.setattr("controlroom.api.audit.station_store", Store)
    assert script(STRATEGY_DEVELOPER).get("/audit/events", type="FillEvent").json() == {"events": [], "next": None}
    assert script(OVERSIGHT).get("/audit/events").status_code == 200
    assert (asked[0].agents, asked[0].types, asked[1]) == ((), (), None)


def test_orders_and_events_come_in_pages_by_the_pages_filter(script, paths):
    scripted.fill_store(paths.store)
    reader = script(OVERSIGHT, scopes=("read",))
    first = reader.get("/orders", limit=3, symbol="AAPL").json()
    assert {row["symbol"] for row in first["orders"]} == {"AAPL"}
    rest = reader.get("/orders", limit=3, symbol="AAPL", after=first["next"]).json()
    assert not {row["order_id"] for row in first["orders"]} & {row["order_id"] for row in rest["orders"]}
    assert "side 'UP' is unknown" in problem_of(reader.get("/orders", side="up"), 422)
    assert "day '13' is not one" in problem_of(reader.get("/orders", **{"from": "13"}), 422)
    problem_of(reader.get("/orders", after="nonsense"), 422)
    problem_of(reader.get("/orders", sort="luck"), 422)
    assert reader.get("/audit/events", text="a\x00").status_code == 200


def test_the_status_is_the_pages_with_its_age_and_record(script, paths, servers):
    view = scripted.view()
    worker_bus = station_bus.connect(paths, "worker")
    worker_bus.xadd(WORKER_SNAPSHOT, {"view": json.dumps(view)})
    worker_bus.close()
    dev = script(STRATEGY_DEVELOPER)
    found = dev.get("/status").json()
    assert (found["seq"], found["trouble"]) == (view["seq"], "")
    assert found["header"]["kpi"]["equity"] == view["account"]["equity"]
    assert found["now_ms"] >= found["header"]["stamps"]["equity"]
    assert dev.get("/positions").json()["positions"]["totals"]["cash"] == view["account"]["cash"]
    used = {name: each["weight"] for name, each in view["strategies"].items()}
    assert dev.get("/allocations").json()["in_use"] == used
    source._client.cache_clear()


def test_a_token_puts_no_looser_rules_in_force(boss):
    changes = {"strategy_cap": 1.0, "evidence": False, "drawdown_benched": 1.0}
    assert boss.post("/tournaments/rules", {"changes": changes, "reason": "why not"}).status_code == 201
    told = problem_of(boss.post("/tournaments/rules/1/activate", {"reason": "why not"}), 403)
    assert "rules 1 are looser in strategy_cap, drawdown_benched, evidence; a person puts them in force" in told
    assert RulesVersion.objects.get().status == "draft"


def test_of_two_tightenings_at_once_the_second_builds_on_the_first(script, paths, monkeypatch):
    configured(2)
    overseer, real = script(OVERSIGHT), oversight_actions.in_turn
    others = iter([{"changes": {"max_order_value": 1000.0}, "reason": "first"}])

    def in_turn():
        for other in others:  # the first one's whole request goes through while this one waits for its turn
            assert overseer.post("/limits", other).status_code == 202
        real()

    monkeypatch.setattr(oversight_actions, "in_turn", in_turn)
    assert overseer.post("/limits", {"changes": {"max_order_lots": 5}, "reason": "second"}).status_code == 202
    held = msgspec.json.decode(ConfigurationVersion.objects.order_by("version").last().content, type=Configuration)
    assert (held.settings.limits.max_order_value, held.settings.limits.max_order_lots) == (1000.0, 5)


# --- kill -------------------------------------------------------------------------------------------------------------


def test_a_kill_by_token_takes_the_pages_three_ways(script, paths, servers, worker):  # noqa: F811
    dev = script(STRATEGY_DEVELOPER, scopes=("kill",))
    who = "strategy-developer (token ci)"
    answer = dev.post("/kill", {"reason": "it runs away"})
    assert answer.status_code == 200
    said = answer.json()
    assert (said["noted"], said["paths"]) == (True, {"file": "", "socket": "", "bus": ""})
    assert (said["canceled"], said["killed"]) == (3, ["all"])
    assert worker.killed == [("all", "", who)]
    line = json.loads(paths.kill_file.read_text())
    assert (line["scope"], line["actor"], line["request_id"]) == ("all", who, said["request_id"])
    [entry] = station_bus.read_from(station_bus.connect(paths, "status"), {REQUEST_KILL: "0"})
    event = decode_payload("ControlEvent", decode_envelope(entry.event).payload)
    assert (event.action, event.actor, event.request_id) == ("kill", who, said["request_id"])
    assert [(each["action"], each["target"], each["actor"], each["reason"]) for each in told()] == [
        ("kill by token", "all", who, "it runs away")
    ]


def test_a_kill_of_one_symbol(script, paths):
    dev = script(STRATEGY_DEVELOPER, scopes=("kill",))
    said = dev.post("/kill", {"reason": "it runs away", "scope": "symbol", "target": "AAPL"}).json()
    assert (said["scope"], said["target"], said["paths"]["file"]) == ("symbol", "AAPL", "")
    assert said["paths"]["socket"]
    assert json.loads(paths.kill_file.read_text())["target"] == "AAPL"
    assert json.loads(paths.kill_file.read_text())["reason"] == "it runs away"


def test_a_kill_waits_for_no_database_once_the_token_is_known(script, paths, monkeypatch):
    dev = script(STRATEGY_DEVELOPER, scopes=("kill",))

    def writes_are_locked(execute, sql, parameters, many, context):
        if not sql.startswith("SELECT"):
            raise OperationalError("database is locked")
        return execute(sql, parameters, many, context)

    with connection.execute_wrapper(writes_are_locked):
        said = dev.post("/kill", {"reason": "it runs away"}).json()
    assert (said["paths"]["file"], said["noted"]) == ("", False)
    assert json.loads(paths.kill_file.read_text())["scope"] == "all"


def test_a_kill_that_reaches_nothing_says_so(script, paths):
    (paths.root / "kill").write_text("in the way")
    answer = script(STRATEGY_DEVELOPER, scopes=("kill",)).post("/kill", {"reason": "it runs away"})
    assert "The kill reached nothing (file: " in problem_of(answer, 502)


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({}, "reason is missing."),
        ({"reason": "x"}, "The reason has 1 characters; the journal wants 3 to 500."),
        (
            {"reason": "stop", "scope": "universe"},
            "scope = 'universe' is not allowed: input should be 'all', 'account'",
        ),
        ({"reason": "stop", "scope": "symbol"}, "target is empty; name the symbol that is meant."),
        ({"reason": "stop", "scope": "symbol", "target": "A" * 65}, "must be at most 64 printable characters."),
        ({"reason": "stop", "drill": True}, "drill is no field; there are reason, scope, target."),
    ],
)
def test_a_bad_kill_is_named_and_changes_nothing(body, sentence, script, paths):
    assert sentence in problem_of(script(STRATEGY_DEVELOPER).post("/kill", body), 422)
    assert not paths.kill_file.exists()


def test_without_a_database_the_answer_names_what_still_works(script, paths):
    dev = script(STRATEGY_DEVELOPER, scopes=("kill",))
    dev.client.raise_request_exception = False

    def gone(*_query: object) -> None:
        raise OperationalError("the database is gone")

    with connection.execute_wrapper(gone):
        answer = dev.post("/kill", {"reason": "it runs away"})
    assert "The kill page and manage.py kill work all the same" in problem_of(answer, 503)
    assert answer.headers["Retry-After"] == "5"
