"""Searches on a station: asked for once a day, done by a job, shadowed later, entered into rounds, taken back."""

import contextlib
import json
from datetime import UTC, datetime
from io import StringIO

import msgspec
import pytest
from django.core.exceptions import PermissionDenied
from django.core.management import call_command
from django.db import transaction

from agents.strategies import STRATEGIES
from controlroom.access.permissions import OVERSIGHT, STRATEGY_DEVELOPER, TOURNAMENT_ADMINISTRATOR
from controlroom.jobs import evolution
from controlroom.relay.doorbell import ASKED
from controlroom.relay.incoming import handle
from engine.configuration import Configuration, Source, load_settings
from events.actions import Lease, LeaseLostError, claim_job
from events.bus import Entry
from events.codec import envelope
from events.models import Job, Outbox
from events.streams import WORKER_EVENTS
from events.types import ControlAck
from risk.actions import create_configuration
from risk.models import ConfigurationVersion
from tests.pages.rounds import SUNDAY_NS, market
from tournaments.evolution import actions, selectors
from tournaments.evolution.models import Trial
from tournaments.evolution.shadow import Shadow
from tournaments.evolution.station import SearchRequest
from tournaments.models import TournamentRound
from tournaments.selectors import record_of
from tournaments.station import RequestError, RoundRequest

DAY_NS = 86_400 * 10**9
BARS = market(420)
AS_OF_NS = int(BARS.daily.now_ns[200])
REQUEST = SearchRequest(bars=["/bars.parquet"], as_of_ns=AS_OF_NS, variants=2)
NIGHT = datetime(2019, 1, 8, 22, 0, tzinfo=UTC)
Status = Trial.Status


@pytest.fixture(autouse=True)
def lease(monkeypatch):
    """No heartbeat: it is a thread of its own, from which a test's open transaction hides the job."""
    monkeypatch.setattr(actions, "kept_lease", lambda **_: contextlib.nullcontext(Lease()))


@pytest.fixture
def administrator(db, paths, person):
    return person(TOURNAMENT_ADMINISTRATOR)


def searched(administrator, request=REQUEST, load=lambda _: BARS):
    job = actions.ask_search(request=request, reason="a look", actor=administrator)
    assert actions.search(job=claim_job(job_id=job.id, owner="me"), owner="me", load=load)
    job.refresh_from_db()
    return job


def told():
    return [json.loads(row.payload)["action"] for row in Outbox.objects.filter(type="AuditEvent").order_by("id")]


def survivor(**changes):
    """A trial of the newest search, as if it had survived."""
    row = Trial.objects.exclude(figures="").filter(strategy="momentum").first()
    Trial.objects.filter(id=row.id).update(**{"status": Status.SHADOW, "reasons": "[]", **changes})
    row.refresh_from_db()
    return row


def test_a_search_registers_every_variant_with_its_parent_and_what_it_was_deflated_by(administrator):
    job = searched(administrator)
    assert (job.state, job.result, job.error) == ("done", "8", "")
    roots = Trial.objects.filter(parent=None)
    assert sorted(roots.values_list("strategy", flat=True)) == sorted(each.name for each in STRATEGIES)
    assert set(roots.values_list("status", flat=True)) == {"promoted"}
    for row in Trial.objects.exclude(parent=None):
        kept = selectors.kept_of(row)
        assert row.name == f"{row.strategy}~{row.identity[:8]}"
        assert row.parent.strategy == row.strategy
        assert (row.proposed_ns, row.tested_until_ns, kept.trials) == (AS_OF_NS, AS_OF_NS, 8)
        assert row.fitted_from_ns < row.tested_from_ns < row.tested_until_ns
        assert row.status == (Status.REJECTED if selectors.reasons_of(row) else Status.SHADOW)
        assert kept.sharpe_error > 0.0
    assert told() == ["propose variants", "judge variants"]
    assert "SIMULATED" in Outbox.objects.filter(type="AuditEvent").last().payload


def test_the_next_search_tries_others_and_deflates_by_all(administrator):
    searched(administrator)
    searched(administrator, msgspec.structs.replace(REQUEST, as_of_ns=AS_OF_NS + 7 * DAY_NS))
    assert Trial.objects.exclude(parent=None).count() == 16
    newest = selectors.kept_of(Trial.objects.first())
    assert newest.trials == 16
    assert selectors.innovation(selectors.trials()) == (0, pytest.approx(1.0, abs=0.5))


def test_what_the_configuration_has_in_force_is_the_parent(administrator):
    configured({"momentum": {"entry": 1.5}})
    searched(administrator)
    root = Trial.objects.get(parent=None, strategy="momentum")
    assert selectors.parameters_of(root)["entry"] == 1.5
    assert all(0.75 <= selectors.parameters_of(row)["entry"] <= 2.0 for row in root.children.all())


def test_a_day_is_searched_once_by_the_clock_of_the_rules_zone(administrator):
    assert actions.ask_variants(now=NIGHT) is None  # no round has named files of bars yet
    held = RoundRequest(bars=["/daily.parquet"], symbols=["AAPL"], seed=4, as_of_ns=SUNDAY_NS)
    TournamentRound.objects.create(
        round_id="r", rules_version=0, as_of_ns=SUNDAY_NS, request=msgspec.json.encode(held).decode(), actor="boss"
    )
    one = actions.ask_variants(now=NIGHT)
    again = actions.ask_variants(now=datetime(2019, 1, 9, 3, 0, tzinfo=UTC))  # still the 8th in New York
    assert (one.id, one.occurrence) == (again.id, "evolution:2019-01-08")
    asked = selectors.request_of(one)
    assert (asked.bars, asked.symbols, asked.seed) == (["/daily.parquet"], ["AAPL"], 4)
    assert asked.as_of_ns == int(NIGHT.timestamp()) * 10**9
    assert actions.ask_variants(now=datetime(2019, 1, 9, 22, 0, tzinfo=UTC)).id != one.id
    assert told().count("propose variants") == 2
    own = SearchRequest(bars=[], through_seq=9, as_of_ns=SUNDAY_NS)
    third = actions.ask_variants(now=datetime(2019, 1, 10, 22, 0, tzinfo=UTC), request=own)
    assert selectors.request_of(third) == own


def test_the_doorbell_knows_the_job():
    from controlroom.jobs import tasks  # noqa: PLC0415

    assert ASKED[selectors.JOB] == f"{tasks.__name__}.{tasks.propose_variants.__name__}"


def test_files_that_cannot_be_read_fail_the_job_with_the_sentence(administrator):
    def load(_request):
        raise ValueError("--bars: gone.parquet cannot be read")

    job = searched(administrator, load=load)
    assert (job.state, job.error) == ("failed", "--bars: gone.parquet cannot be read")
    assert not Trial.objects.exists()
    short = searched(administrator, load=lambda _: market(150))
    assert (short.state, short.error[:14]) == ("failed", "the bars hold ")


def test_who_has_lost_the_job_writes_nothing(administrator):
    job = actions.ask_search(request=REQUEST, reason="a look", actor=administrator)
    claimed = claim_job(job_id=job.id, owner="me")
    Job.objects.update(lease_owner="somebody else")
    with pytest.raises(LeaseLostError):
        actions.search(job=claimed, owner="me", load=lambda _: BARS)
    assert not Trial.objects.exists()


def test_who_may_not_asks_for_nothing_and_bad_input_is_a_sentence(administrator, person):
    for role in (STRATEGY_DEVELOPER, OVERSIGHT):
        with pytest.raises(PermissionDenied, match="a tournament administrator may"):
            actions.ask_search(request=REQUEST, reason="why not", actor=person(role))
    for change, sentence in (({"bars": []}, "bars is empty"), ({"variants": 65}, "variants = 65 is outside 1 to 64")):
        with pytest.raises(RequestError, match=sentence):
            actions.ask_search(request=msgspec.structs.replace(REQUEST, **change), reason="a look", actor=administrator)
    with pytest.raises(RequestError, match="the journal wants 3 to 500"):
        actions.ask_search(request=REQUEST, reason="x", actor=administrator)
    assert not Job.objects.exists()
    one = actions.ask_search(request=REQUEST, reason="a look", actor=administrator)
    assert actions.ask_search(request=REQUEST, reason="once more", actor=administrator).id == one.id


# --- shadow, rounds, promotion ----------------------------------------------------------------------------------------


def test_a_survivor_is_shadowed_on_later_sessions_and_enters_the_rounds_asked_for_after_that(administrator):
    searched(administrator)
    row = survivor()
    searched(administrator, msgspec.structs.replace(REQUEST, as_of_ns=int(BARS.daily.now_ns[210])))
    row.refresh_from_db()
    assert (row.status, row.shadow_sessions) == (Status.SHADOW, 10)
    assert selectors.challengers(before_ns=2**62) == ()
    TournamentRound.objects.create(
        round_id="r", rules_version=0, as_of_ns=int(BARS.daily.now_ns[240]), request="{}", actor="boss"
    )
    later_ns = int(BARS.daily.now_ns[230])
    searched(administrator, msgspec.structs.replace(REQUEST, as_of_ns=later_ns))
    row.refresh_from_db()
    assert row.shadow_sessions == 30
    assert row.status == Status.CHALLENGER
    known_ns = int(BARS.daily.now_ns[240])
    assert selectors.challengers(before_ns=known_ns) == ()  # that round had been asked for
    assert selectors.challengers(before_ns=known_ns + 1, station_bars=True) == ()
    [entrant] = selectors.challengers(before_ns=known_ns + 1)
    assert (entrant.name, entrant.policy.name) == (row.name, "momentum")
    names = [each.name for each in entrant.policy.parameters]
    assert dict(zip(names, entrant.parameters.tolist(), strict=True)) == selectors.parameters_of(row)


def test_one_that_has_lost_in_shadow_is_rejected_for_good(administrator):
    searched(administrator)
    row = survivor()
    with transaction.atomic():
        actions._shadowed(row.id, Shadow(20, -9.0, 3.5, "lost"), AS_OF_NS + 40 * DAY_NS)
        actions._shadowed(row.id, Shadow(21, 9.0, 3.5, "enters"), AS_OF_NS + 41 * DAY_NS)
    row.refresh_from_db()
    assert (row.status, row.shadow_excess, row.challenger_from_ns) == (Status.REJECTED, -9.0, None)
    assert "in 20 sessions of shadow it lost to its parent" in selectors.reasons_of(row)[0]
    assert told().count("shadow of a variant") == 1


def configured(strategies=None):
    source = Source(feed="simulated", label="SIMULATED", detail="seed 1", interval_s=60)
    settings = msgspec.structs.replace(load_settings(), strategies=strategies or {})

    def build(version):
        made = Configuration(version=version, mode="PAPER", settings=settings, instruments=[], source=source)
        return msgspec.json.encode(made)

    return create_configuration(build=build, actor=None, reason="start")


def challenger(administrator):
    searched(administrator)
    return survivor(status=Status.CHALLENGER, challenger_from_ns=AS_OF_NS)


def promoted(row, version=2):
    ConfigurationVersion.objects.create(version=version, content=ConfigurationVersion.objects.first().content)
    with transaction.atomic():
        actions.promote(trial=row, before={}, version=version, actor=None, reason="two people")


def test_a_promotion_keeps_what_it_replaced_and_rounds_that_had_the_challenger_keep_it(administrator):
    configured()
    row = challenger(administrator)
    round_ns = AS_OF_NS + DAY_NS
    TournamentRound.objects.create(round_id="r", rules_version=0, as_of_ns=round_ns, request="{}", actor="boss")
    promoted(row)
    row.refresh_from_db()
    root = Trial.objects.get(parent=None, strategy="momentum")
    assert (row.status, row.configuration, row.promoted_ns) == (Status.PROMOTED, 2, round_ns)
    assert (root.status, selectors.reasons_of(root)) == (Status.RETIRED, [f"replaced by {row.name}"])
    assert [each.name for each in selectors.challengers(before_ns=round_ns)] == [row.name]
    assert selectors.challengers(before_ns=round_ns + 1) == ()
    assert selectors.promoted_parameters() == {"momentum": selectors.parameters_of(row)}
    assert selectors.innovation(selectors.trials())[0] == 1
    assert selectors.may_be_promoted(root)


def test_a_promotion_that_the_worker_refuses_is_taken_back(administrator):
    configured()
    row = challenger(administrator)
    promoted(row)

    def answered(*, accepted):
        ack = ControlAck(engine_ns=0, request_id="configure-2", action="configure", accepted=accepted, reason="no")
        handle(Entry(WORKER_EVENTS, "1-0", envelope("ControlAck", "worker", ack, 1)))
        row.refresh_from_db()
        return row.status

    assert answered(accepted=True) == Status.PROMOTED
    assert answered(accepted=False) == Status.CHALLENGER
    root = Trial.objects.get(parent=None, strategy="momentum")
    assert (root.status, root.reasons, row.promoted_ns, row.challenger_until_ns) == (Status.PROMOTED, "[]", None, None)
    assert "promotion taken back" in told()
    assert selectors.promoted_parameters() == {}


def test_a_start_of_the_station_keeps_what_people_promoted(administrator, paths):
    configured()
    row = challenger(administrator)
    promoted(row)
    source = {"feed": "simulated", "label": "SIMULATED", "detail": "seed 2", "interval_s": 60}
    (paths.run / "run.json").write_text(json.dumps({"source": source, "instruments": []}))
    paths.settings.write_text("[strategies.momentum]\nentry = 1.7\n[strategies.bullish]\nchannel_bars = 20\n")
    said = StringIO()
    call_command("configure", operators=1, stdout=said)
    newest = msgspec.json.decode(ConfigurationVersion.objects.first().content, type=Configuration)
    assert newest.settings.strategies["momentum"] == selectors.parameters_of(row)
    assert newest.settings.strategies["bullish"] == {"channel_bars": 20}
    assert "strategies.momentum: the variant that people promoted holds, not the file" in said.getvalue()


def test_rounds_are_held_with_the_parameters_that_people_promoted(administrator):
    from tournaments import actions as tournament  # noqa: PLC0415
    from tournaments.holding import actions as holding  # noqa: PLC0415

    configured({"momentum": {"entry": 1.5}})
    asked = RoundRequest(bars=["/bars.parquet"], as_of_ns=SUNDAY_NS)
    held, _ = tournament.ask_round(request=asked, reason="by hand", actor=None)
    driven = holding._driven(held, lambda _: BARS, None)
    [momentum] = [each for each in driven.conductor.inputs.entrants if each.name == "momentum"]
    assert momentum.parameters[[each.name for each in momentum.policy.parameters].index("entry")] == 1.5


def test_a_round_is_held_with_its_challengers_and_their_row_says_so(administrator, monkeypatch):
    from tournaments import actions as tournament  # noqa: PLC0415
    from tournaments.holding import actions as holding  # noqa: PLC0415

    monkeypatch.setattr(holding, "kept_lease", lambda **_: contextlib.nullcontext(Lease()))
    fast = {"stress_paths": 20, "stress_symbols": 2}
    tournament.draft_rules(changes=fast, reason="small for a test", actor=administrator)
    tournament.activate_rules(version=1, reason="small for a test", actor=administrator)
    searched(administrator)
    row = survivor(status=Status.CHALLENGER, challenger_from_ns=SUNDAY_NS - DAY_NS)
    asked = RoundRequest(bars=["/bars.parquet"], as_of_ns=SUNDAY_NS)
    held, job = tournament.ask_round(request=asked, reason="by hand", actor=None)
    assert holding.hold(job=claim_job(job_id=job.id, owner="me"), owner="me", row=held, load=lambda _: BARS)
    held.refresh_from_db()
    record = record_of(held)
    assert held.state == "settled"
    assert record.opened.challengers == [row.name]
    assert row.name in {each.agent for each in record.scores}
    assert sorted(record.allocated.base) == sorted(each.name for each in STRATEGIES)
    results = [json.loads(each.payload) for each in Outbox.objects.filter(type="TournamentResultEvent")]
    assert {each["strategy_id"]: each["capital_allocation"] for each in results}[row.name] == 0.0
    assert len(results) == 5


@pytest.mark.realdata
def test_files_of_real_bars_are_searched_by_the_task(administrator, station_data):
    file = station_data / "us_day1_2018-05-01_2019-02-15_24sym.parquet"
    asked = SearchRequest(bars=[str(file)], as_of_ns=SUNDAY_NS + 40 * DAY_NS, variants=1, symbols=["AAPL", "SPY", "V"])
    job = actions.ask_search(request=asked, reason="a look", actor=administrator)
    assert evolution.propose(job_id=job.id, owner="me")
    assert not evolution.propose(job_id=job.id, owner="me")  # a second ring does nothing
    job.refresh_from_db()
    assert (job.state, job.result, job.error) == ("done", "4", "")
    assert {selectors.kept_of(row).sessions for row in Trial.objects.exclude(parent=None)} == {126}


def test_a_challenger_is_retired_by_an_administrator_alone_and_once(administrator, person):
    row = challenger(administrator)
    with pytest.raises(PermissionDenied):
        actions.retire(trial=row, reason="no more", actor=person(OVERSIGHT))
    made = actions.retire(trial=row, reason="no more", actor=administrator)
    assert (made.status, selectors.reasons_of(made)) == (Status.RETIRED, ["no more"])
    assert not selectors.may_be_promoted(made)
    assert selectors.challengers(before_ns=AS_OF_NS + 1) == ()
    with pytest.raises(RequestError, match="is retired; only one in shadow or a challenger can be retired"):
        actions.retire(trial=row, reason="once more", actor=administrator)
    assert told()[-1] == "retire a variant"
