"""Overrides and deployments: asked by people, signed, judged by the worker's own gate, taken by a real engine."""

import json
import time
from datetime import timedelta

import msgspec
import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.utils import timezone

from audit.keys import create_missing
from audit.ring import KeyRing
from controlroom.access import approvals, stepup
from controlroom.access.models import Approval, User
from controlroom.access.permissions import OVERSIGHT, STRATEGY_DEVELOPER, TOURNAMENT_ADMINISTRATOR
from controlroom.access.stepup import StepUpNeededError
from controlroom.allocations.actions import ask_deployment, beside, deploy, end_override, override
from controlroom.relay.incoming import handle
from engine.allocation import Allocation, Override
from engine.configuration import Configuration, Source, load_settings
from engine.engine import Engine
from events.bus import Entry
from events.codec import decode_payload, envelope
from events.models import Outbox
from events.streams import WORKER_EVENTS
from events.types import ControlEvent
from market.calendars import DAY_NS
from risk.actions import create_configuration
from tests.engine.desk import MINUTE_NS, START_NS, Desk, of_type
from tests.pages import rounds
from tournaments.allocation.drawdown import Standing
from tournaments.models import AllocationVersion, TournamentRound
from worker.approvals import Gate, Used
from worker.control import ControlServer

State = AllocationVersion.State
QUARTER = dict.fromkeys(("bullish", "bearish", "mean_reversion", "momentum"), 0.25)


class Worker:
    """An engine behind the control socket, which takes from the outbox what the gate lets through, and answers."""

    def __init__(self, paths):
        self.desk = Desk("AAA")
        self.desk.slice({"AAA": 100.0})
        self.engine: Engine = self.desk.engine
        self.gate = Gate(lambda: KeyRing.read(paths.keys))
        self.taken = set()
        self.server = ControlServer(paths.socket("worker"), self)

    def status(self):
        return msgspec.json.encode(self.engine.view())

    @property
    def weights(self):
        return {name: round(each["weight"], 6) for name, each in self.engine.view()["strategies"].items()}

    @property
    def in_force(self):
        plain = Allocation(version=0, round_id="", weights=self.weights)
        return self.engine.state.allocation or plain

    def take(self, *, answer=True):
        """Take what waits on the bus; return why the last of it was refused, "" if it was not."""
        why = ""
        for row in Outbox.objects.filter(stream="control.worker", type="ControlEvent").order_by("id"):
            event: ControlEvent = decode_payload("ControlEvent", row.payload.encode())
            if event.action != "allocate" or row.request_id in self.taken:
                continue
            self.taken.add(row.request_id)
            used = Used(self.in_force, self.engine.now_ns)
            why = self.gate.refusal(event, configuration(2), time.time_ns(), used)
            if why:
                told = msgspec.structs.replace(refused(event), reason=why)
            else:
                [told] = of_type(self.engine.on_control(event), "ControlAck")
                why = told.reason
            message = envelope("ControlAck", "worker", told, 1, id=f"ack:{event.request_id}")
            if answer:
                handle(Entry(WORKER_EVENTS, "1-1", message))
        return why


def refused(event):
    from events.types import ControlAck  # noqa: PLC0415 - of this one line

    return ControlAck(engine_ns=0, request_id=event.request_id, action=event.action, accepted=False, reason="")


def configuration(operators):
    source = Source(feed="simulated", label="SIMULATED", detail="seed 1", interval_s=60)
    return Configuration(
        version=1, mode="PAPER", settings=load_settings(), instruments=[], source=source, operators=operators
    )


@pytest.fixture
def two(person, paths):
    """Two people of the oversight group, old enough to approve, on a station with two operators."""
    create_missing(paths)
    create_configuration(build=lambda _: msgspec.json.encode(configuration(2)), actor=None, reason="start")
    made = person(OVERSIGHT, name="ada"), person(OVERSIGHT, name="bob")
    User.objects.update(date_joined=timezone.now() - timedelta(days=9))
    return tuple(User.objects.get(pk=one.pk) for one in made)


@pytest.fixture
def worker(two, paths):
    made = Worker(paths)
    made.server.start()
    yield made
    made.server.close()


def proof(user):
    return stepup.StepUp(username=user.username, at=time.time())


def ask(actor, weight, strategy="momentum", until_ns=START_NS + 7 * DAY_NS):
    return override(
        strategy=strategy, weight=weight, until_ns=until_ns, reason="too hot", actor=actor, proof=proof(actor)
    )


def test_less_capital_takes_one_person_at_once_and_ends_by_itself(worker, two):
    made = ask(two[0], 0.10)
    assert (made.state, made.actor) == (State.TOLD, "ada")
    assert worker.weights == QUARTER  # nothing has changed until the worker has taken it
    assert worker.take() == ""
    assert worker.weights == QUARTER | {"momentum": 0.10}
    made.refresh_from_db()
    assert made.state == State.ACKNOWLEDGED
    worker.desk.slice({"AAA": 100.0}, step_ns=7 * DAY_NS)
    assert worker.weights == QUARTER


def test_much_more_capital_takes_two_people(worker, two):
    ada, bob = two
    ask(ada, 0.05)
    worker.take()
    asked = ask(ada, 0.20)
    assert isinstance(asked, Approval)
    assert asked.target.startswith("momentum: 20.00% until 2022-01-08")
    assert AllocationVersion.objects.count() == 1
    with pytest.raises(PermissionDenied, match="somebody else has to approve"):
        approvals.approve(approval_id=asked.pk, actor=ada, proof=proof(ada))
    approvals.approve(approval_id=asked.pk, actor=bob, proof=proof(bob))
    assert worker.take() == ""
    assert worker.weights == QUARTER | {"momentum": 0.20}
    asked.refresh_from_db()
    assert asked.state == Approval.State.DONE
    assert AllocationVersion.objects.first().actor == "ada, bob"


def test_a_small_step_more_takes_one_person_and_each_change_is_in_the_record(worker, two):
    deploy(record=decided())
    worker.take()
    now_ns = worker.engine.now_ns
    assert isinstance(ask(two[0], 0.27, until_ns=now_ns + DAY_NS), AllocationVersion)
    assert worker.take() == ""
    assert worker.weights["momentum"] == 0.27
    told = [json.loads(row.payload) for row in Outbox.objects.filter(type="AuditEvent")]
    assert [row["target"] for row in told if row["action"] == "deploy allocation"] == ["1", "2"]


def test_an_override_that_is_replaced_counts_by_what_comes_after_it(worker, two):
    ask(two[0], 0.05)
    worker.take()
    assert isinstance(ask(two[0], 0.10, until_ns=START_NS + DAY_NS), Approval)  # all of it six days earlier
    assert isinstance(ask(two[0], 0.10), Approval)  # nor does one person lift in small steps what is held down
    assert isinstance(ask(two[0], 0.04), AllocationVersion)


def test_the_end_of_an_override_that_gives_much_back_takes_two_people(worker, two):
    ask(two[0], 0.05)
    worker.take()
    asked = end_override(strategy="momentum", reason="cooled", actor=two[0], proof=proof(two[0]))
    assert isinstance(asked, Approval)
    approvals.approve(approval_id=asked.pk, actor=two[1], proof=proof(two[1]))
    worker.take()
    assert worker.weights == QUARTER
    with pytest.raises(ValidationError, match="'momentum' has no override that runs"):
        end_override(strategy="momentum", reason="cooled", actor=two[0], proof=proof(two[0]))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"strategy": "luck"}, "strategy = 'luck' is none; there are "),
        ({"weight": float("nan")}, "weight = nan must be 0 to 1"),
        ({"weight": 1.1}, "weight = 1.1 must be 0 to 1"),
        ({"weight": 0.5}, "weights and overrides add up to 1.25"),
        ({"until_ns": START_NS}, "must be after the market's 2022-01-01T00:01:00Z and within 28 days"),
        ({"until_ns": START_NS + 40 * DAY_NS}, "within 28 days of it"),
    ],
)
def test_bad_input_names_the_field_and_changes_nothing(worker, two, change, says):
    with pytest.raises(ValidationError, match=says):
        ask(two[0], **{"weight": 0.1} | change)
    assert not AllocationVersion.objects.exists()
    assert not Approval.objects.exists()


def test_only_oversight_may_and_only_after_a_step_up(worker, two, person):
    for role in (STRATEGY_DEVELOPER, TOURNAMENT_ADMINISTRATOR):
        with pytest.raises(PermissionDenied, match="may not override an allocation; oversight may"):
            ask(person(role, name=role.split()[0]), 0.1)
    with pytest.raises(StepUpNeededError):
        override(
            strategy="momentum", weight=0.1, until_ns=START_NS + DAY_NS, reason="too hot", actor=two[0], proof=None
        )
    assert not AllocationVersion.objects.exists()


def test_without_a_worker_nothing_is_changed(two):
    with pytest.raises(ValidationError, match="The worker does not answer; nothing was changed"):
        ask(two[0], 0.1)


def test_a_second_change_waits_until_the_worker_has_answered_the_first(worker, two):
    ask(two[0], 0.1)
    with pytest.raises(ValidationError, match="Another allocation is on its way"):
        ask(two[0], 0.12)
    worker.take()
    ask(two[0], 0.12)


# --- rounds -----------------------------------------------------------------------------------------------------------


def decided(**base):
    """A round that has decided these base weights; others stay at 22.5 %."""
    record = rounds.held()[0]
    made = msgspec.structs.replace(
        record.allocated, base=dict.fromkeys(QUARTER, 0.225) | base, competitive=dict.fromkeys(QUARTER, 0.005),
        automatic=True,
    )  # fmt: skip
    return msgspec.structs.replace(record, allocated=made)


def test_a_round_within_the_automatic_limit_reaches_the_engine_by_itself(worker):
    assert deploy(record=decided(momentum=0.24)).state == State.TOLD
    assert worker.take() == ""
    assert worker.weights["momentum"] == 0.245


def test_a_larger_step_waits_for_two_people_and_changes_nothing_until_then(worker, two):
    row = deploy(record=decided(momentum=0.31, bullish=0.15))
    assert row.state == State.PROPOSED
    worker.take()
    assert worker.weights == QUARTER
    asked = ask_deployment(version=row.version, reason="looks right", actor=two[0], proof=proof(two[0]))
    approvals.approve(approval_id=asked.pk, actor=two[1], proof=proof(two[1]))
    assert worker.take() == ""
    assert worker.weights["momentum"] == 0.315
    row.refresh_from_db()
    assert row.state == State.REFUSED  # it stands under the number that people approved it by
    assert AllocationVersion.objects.first().round_id == row.round_id


def test_what_a_later_round_has_overtaken_is_not_deployed(worker, two):
    row = deploy(record=decided(momentum=0.31, bullish=0.15))
    asked = ask_deployment(version=row.version, reason="looks right", actor=two[0], proof=proof(two[0]))
    later = decided(momentum=0.23)
    later = msgspec.structs.replace(
        later, round=msgspec.structs.replace(later.round, round_id="tournament:XNYS:2030-01-07")
    )
    deploy(record=later)
    with pytest.raises(ValidationError, match="2030-01-07 came later"):
        approvals.approve(approval_id=asked.pk, actor=two[1], proof=proof(two[1]))
    with pytest.raises(ValidationError, match="version = 2 is told; a proposed one can be deployed"):
        ask_deployment(version=2, reason="looks right", actor=two[0], proof=proof(two[0]))


def test_an_override_goes_on_beside_a_round_and_gives_way_to_a_bench(worker, two):
    opened_ns = decided().opened.as_of_ns
    worker.desk.slice({"AAA": 100.0}, step_ns=opened_ns - worker.engine.now_ns if opened_ns > START_NS else MINUTE_NS)
    ask(two[0], 0.10, until_ns=worker.engine.now_ns + 20 * DAY_NS)
    worker.take()
    deploy(record=decided())
    assert worker.take() == ""
    assert worker.weights == dict.fromkeys(QUARTER, 0.23) | {"momentum": 0.10}
    benched = decided(momentum=0.0)
    standing = benched.allocated.standing | {"momentum": Standing(status="benched", ceiling=0.0)}
    made = msgspec.structs.replace(benched.allocated, standing=standing, competitive={})
    deploy(record=msgspec.structs.replace(benched, allocated=made))
    assert worker.take() == ""
    assert worker.weights["momentum"] == 0.0


def test_a_lost_answer_blocks_nobody_for_the_view_has_it(worker, two):
    made = ask(two[0], 0.1)
    worker.take(answer=False)
    assert worker.weights["momentum"] == 0.1
    ask(two[0], 0.05)
    made.refresh_from_db()
    assert made.state == State.ACKNOWLEDGED


def test_an_override_made_after_a_proposal_is_kept_when_that_is_deployed(worker, two):
    row = deploy(record=decided(momentum=0.31, bullish=0.15))
    ask(two[0], 0.02, strategy="bearish")
    worker.take()
    asked = ask_deployment(version=row.version, reason="looks right", actor=two[0], proof=proof(two[0]))
    approvals.approve(approval_id=asked.pk, actor=two[1], proof=proof(two[1]))
    assert worker.take() == ""
    assert (worker.weights["momentum"], worker.weights["bearish"]) == (0.315, 0.02)


def test_nobody_overrides_a_bench(worker, two):
    record = decided(momentum=0.0)
    standing = record.allocated.standing | {"momentum": Standing(status="benched", ceiling=0.0)}
    made = msgspec.structs.replace(record, allocated=msgspec.structs.replace(record.allocated, standing=standing))
    row = rounds.stored(made)
    TournamentRound.objects.filter(pk=row.pk).update(station_bars=True)
    with pytest.raises(ValidationError, match="momentum is benched for its drawdown by tournament:XNYS"):
        ask(two[0], 0.1)


def test_weights_beside_an_override_never_add_up_to_more_than_all():
    given = beside(QUARTER, {"momentum": Override(weight=0.4, until_ns=1)})
    assert given["momentum"] == 0.25
    assert sum(weight for name, weight in given.items() if name != "momentum") == pytest.approx(0.6)
    assert beside(QUARTER, {}) == QUARTER
