"""Rounds on a station: held by a job, sealed until they are revealed, resumed after a crash, told once."""

import msgspec
import pytest
from django.core.exceptions import PermissionDenied

from controlroom.access.permissions import STRATEGY_DEVELOPER
from events.actions import LeaseLostError, claim_job
from events.codec import decode_payload
from events.models import Job, Outbox
from market.calendars import DAY_NS
from tests.pages.rounds import SUNDAY_NS, market
from tournaments import actions, keeping
from tournaments.holding import actions as holding
from tournaments.models import RulesVersion, TournamentRound
from tournaments.rules import RulesError
from tournaments.sealing import Sealed
from tournaments.selectors import active_rules, record_of, round_of
from tournaments.station import RequestError, RoundRequest

REQUEST = RoundRequest(bars=["/bars.parquet"], as_of_ns=SUNDAY_NS)
pytestmark = pytest.mark.usefixtures("no_heartbeat")


def asked(request=REQUEST):
    row, job = actions.ask_round(request=request, reason="by hand", actor=None)
    return row, claim_job(job_id=job.id, owner="me")


def held(request=REQUEST, given=None):
    row, job = asked(request)
    assert holding.hold(job=job, owner="me", row=round_of(job), load=lambda _: given or market())
    row.refresh_from_db()
    return row


def told(kind=None):
    rows = Outbox.objects.filter(stream="control.audit").exclude(type="AuditEvent").order_by("id")
    return [row for row in rows if kind in {None, row.type}]


def test_a_round_is_held_settled_and_told_once(administrator):
    row = held()
    record = record_of(row)
    assert (row.round_id, row.state, row.reason) == ("tournament:XNYS:2019-01-07", "settled", "")
    assert record.round.state == "settled"
    assert len(record.scores) == 4
    assert record.settlement is not None
    kinds = [each.type for each in told()]
    assert kinds.count("TournamentResultEvent") == kinds.count("CommitmentEvent") == kinds.count("EntryEvent") == 4
    assert kinds.count("RoundEvent") == 8
    assert kinds.index("CommitmentEvent") < kinds.index("EntryEvent") < kinds.index("RulingEvent")
    results = [decode_payload(each.type, each.payload.encode()) for each in told("TournamentResultEvent")]
    assert sum(each.capital_allocation for each in results) <= 1.0
    assert Job.objects.get(name="tournament_round").state == "done"
    before = len(told())
    again, job = actions.ask_round(request=REQUEST, reason="again", actor=None)
    assert again.id == row.id
    with pytest.raises(RequestError, match="with other inputs"):
        actions.ask_round(request=msgspec.structs.replace(REQUEST, seed=2), reason="again", actor=None)
    with pytest.raises(RequestError, match="letters, digits"):
        actions.ask_round(request=msgspec.structs.replace(REQUEST, name="a/b"), reason="again", actor=None)
    with pytest.raises(RulesError, match="The reason has 1 characters"):
        actions.ask_round(request=REQUEST, reason="x", actor=None)
    assert claim_job(job_id=job.id, owner="me") is None
    assert len(told()) == before


def test_no_entry_can_be_read_before_the_reveal_and_no_key_is_left_after_it(administrator, paths):
    row, _job = asked()
    driven = holding._driven(row, lambda _: market())
    for at_ns in (SUNDAY_NS + 1, SUNDAY_NS + 2):
        driven._step(at_ns)
    entry = driven.record.entries["momentum"][0]
    row.refresh_from_db()
    assert row.state == "challenge"
    everything = row.record + row.sealed + "".join(each.payload for each in Outbox.objects.all())
    assert entry.rationale[:40] not in everything
    assert str(entry.probabilities[0]) not in everything
    assert list((paths.secrets / "rounds").iterdir())
    assert (paths.secrets / "rounds").stat().st_mode & 0o077 == 0
    again = holding._driven(row, lambda _: market())
    assert again.record.entries == driven.record.entries
    again._step(SUNDAY_NS + 3)
    assert not list((paths.secrets / "rounds").iterdir())
    row.refresh_from_db()
    assert entry.rationale[:40] in row.record
    assert entry.rationale[:40] not in "".join(each.payload for each in Outbox.objects.all())


def test_an_entry_that_was_altered_voids_the_round(administrator):
    row, job = asked()
    driven = holding._driven(row, lambda _: market())
    for at_ns in (SUNDAY_NS + 1, SUNDAY_NS + 2):
        driven._step(at_ns)
    boxes = msgspec.json.decode(row.sealed, type=dict[str, Sealed])
    bullish = boxes["bullish"]
    middle = len(bullish.box) // 2
    flipped = bullish.box[:middle] + ("A" if bullish.box[middle] != "A" else "B") + bullish.box[middle + 1 :]
    boxes["bullish"] = msgspec.structs.replace(bullish, box=flipped)
    TournamentRound.objects.update(sealed=msgspec.json.encode(boxes).decode())
    holding.hold(job=job, owner="me", row=round_of(job), load=lambda _: market())
    row.refresh_from_db()
    assert row.state == "void"
    assert "the entry of bullish" in row.reason
    assert "is not as it was sealed" in row.reason
    assert record_of(row).allocated is None


@pytest.mark.parametrize("crash_at", range(8))
def test_a_round_that_is_cut_off_anywhere_goes_on_and_tells_nothing_twice(administrator, monkeypatch, crash_at):
    row, job = asked()
    step, done = holding.Driven._step, []

    def cut_off(self, at_ns):
        if len(done) == crash_at:
            raise SystemExit("killed")
        done.append(at_ns)
        step(self, at_ns)

    monkeypatch.setattr(holding.Driven, "_step", cut_off)
    with pytest.raises(SystemExit, match="killed"):
        holding.hold(job=job, owner="me", row=round_of(job), load=lambda _: market())
    monkeypatch.setattr(holding.Driven, "_step", step)
    holding.hold(job=job, owner="me", row=round_of(job), load=lambda _: market())
    row.refresh_from_db()
    assert row.state == "settled"
    ids = [each.request_id for each in told()]
    assert len(set(ids)) == len(ids)
    kinds = [each.type for each in told()]
    assert kinds.count("RoundEvent") == 8
    assert kinds.count("TournamentResultEvent") == 4


def test_a_cut_off_round_ends_as_an_undisturbed_one(administrator, monkeypatch):
    whole = record_of(held())
    TournamentRound.objects.all().delete()
    Job.objects.all().delete()
    Outbox.objects.all().delete()
    row, _job = asked()
    for _ in range(8):
        driven = holding._driven(row, lambda _: market())
        at = {"open": 5, "predict": 20, "challenge": 30, "defend": 40, "rule": 50, "score": 55, "allocate": 60}
        state = driven.record.round.state
        minute = at.get(state)
        driven._step(driven.record.round.settles_ns if minute is None else SUNDAY_NS + minute * 60 * 10**9 - 10**9)
        row.refresh_from_db()
    assert record_of(row) == whole


def test_fewer_strategies_than_the_rules_ask_for_void_it_and_allocations_stay(administrator):
    first = held()
    actions.draft_rules(changes={"min_strategies": 5}, reason="more of them", actor=administrator)
    actions.activate_rules(version=2, reason="more of them", actor=administrator)
    row = held(msgspec.structs.replace(REQUEST, as_of_ns=SUNDAY_NS + 7 * DAY_NS), market(150))
    assert (row.state, record_of(row).allocated) == ("void", None)
    assert "min_strategies = 5" in row.reason
    assert record_of(first).allocated is not None
    assert not list(keeping.Path(holding._folder()).iterdir())


def test_the_next_round_builds_on_the_one_before(administrator):
    first = record_of(held())
    second = record_of(held(msgspec.structs.replace(REQUEST, as_of_ns=SUNDAY_NS + 7 * DAY_NS), market(150)))
    assert second.allocated.base_before == first.allocated.base
    assert (first.allocated.settled_rounds, second.allocated.settled_rounds) == (0, 1)


def test_bars_that_cannot_be_read_void_the_round_with_the_reason(administrator):
    row, job = asked()

    def load(_request):
        raise ValueError("--bars: gone.parquet cannot be read")

    holding.hold(job=job, owner="me", row=round_of(job), load=load)
    row.refresh_from_db()
    assert (row.state, row.reason) == ("void", "--bars: gone.parquet cannot be read")
    assert Job.objects.get().state == "done"


def test_a_round_that_was_begun_again_and_again_is_given_up(administrator):
    row, job = asked()
    Job.objects.update(attempts=6)
    job.refresh_from_db()
    holding.hold(job=job, owner="me", row=round_of(job), load=lambda _: market())
    row.refresh_from_db()
    assert (row.state, row.reason) == ("void", "given up after 5 attempts that never ended")


def test_what_somebody_else_has_done_meanwhile_is_not_done_over(administrator):
    row, _job = asked()
    one, other = (holding._driven(TournamentRound.objects.get(id=row.id), lambda _: market()) for _ in range(2))
    one._step(SUNDAY_NS + 1)
    one._step(SUNDAY_NS + 2)
    row.refresh_from_db()
    kept = row.sealed
    with pytest.raises(LeaseLostError, match="somebody else has done open"):
        other._step(SUNDAY_NS + 1)
    row.refresh_from_db()
    assert (row.state, row.sealed) == ("challenge", kept)


def test_a_round_that_cannot_be_settled_keeps_its_allocation_and_the_job_says_why(administrator):
    row = held(given=market(120))
    Job.objects.update(state="waiting", lease_owner="", lease_until=None)
    job = claim_job(job_id=Job.objects.get().id, owner="me")

    def load(_request):
        raise ValueError("the file is gone")

    holding.hold(job=job, owner="me", row=round_of(job), load=load)
    row.refresh_from_db()
    assert (row.state, row.reason) == ("settle", "")
    assert record_of(row).allocated is not None
    assert (Job.objects.get().state, Job.objects.get().error) == ("failed", "the file is gone")


def test_an_unsettled_round_waits_for_its_session(administrator):
    row = held(given=market(120))
    assert (row.state, record_of(row).settlement) == ("settle", None)
    allocated = record_of(row).allocated
    assert allocated is not None
    row = held(given=market(140))
    assert (row.state, record_of(row).allocated) == ("settled", allocated)
    assert record_of(row).settlement is not None
    assert Job.objects.count() == 2


# --- rules and people -------------------------------------------------------------------------------------------------


def test_who_is_no_administrator_changes_no_rules_and_runs_nothing(db, paths, person):
    developer = person(STRATEGY_DEVELOPER)
    with pytest.raises(PermissionDenied):
        actions.draft_rules(changes={"stress_paths": 20}, reason="why not", actor=developer)
    with pytest.raises(PermissionDenied):
        actions.activate_rules(version=1, reason="why not", actor=developer)
    with pytest.raises(PermissionDenied):
        actions.ask_round(request=REQUEST, reason="why not", actor=developer)
    assert not RulesVersion.objects.exists()
    assert not TournamentRound.objects.exists()


def test_a_version_is_immutable_and_one_is_in_force(administrator):
    actions.draft_rules(changes={"pool_maximum": 0.05}, reason="less", actor=administrator)
    assert active_rules().pool_maximum == 0.1
    actions.activate_rules(version=2, reason="less", actor=administrator)
    assert active_rules().pool_maximum == 0.05
    assert active_rules().stress_paths == 20
    states = dict(RulesVersion.objects.values_list("version", "status"))
    assert states == {1: "retired", 2: "active"}
    actions.activate_rules(version=1, reason="back again", actor=administrator)
    assert active_rules().version == 1


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"pool_maximum": 0.11}, "pool_maximum"),
        ({"min_strategies": 1}, "min_strategies"),
        ({"min_strategies": "many"}, "min_strategies"),
        ({"no_such_field": 1}, "no_such_field"),
        ({"weight_accuracy": 0.9}, "weight"),
        ({}, "nothing changes"),
    ],
)
def test_a_bad_value_is_named_and_changes_nothing(administrator, changes, sentence):
    with pytest.raises(RulesError, match=sentence):
        actions.draft_rules(changes=changes, reason="a try", actor=administrator)
    assert RulesVersion.objects.count() == 1


def test_an_instant_outside_the_schedule_needs_a_name(administrator):
    monday = msgspec.structs.replace(REQUEST, as_of_ns=SUNDAY_NS + 2 * DAY_NS)
    with pytest.raises(RequestError, match="name of its own"):
        actions.ask_round(request=monday, reason="by hand", actor=None)
    row, _ = actions.ask_round(request=msgspec.structs.replace(monday, name="tuesday"), reason="by hand", actor=None)
    assert row.round_id == "tournament:hand:tuesday"
