"""Tournaments inside a run: rounds open by the market's time, decide the engine's weights, and survive kill -9."""

import json
from collections import Counter

import pytest

from events.codec import decode_payload
from tests.operator.test_tournament_command import written
from tests.station.stations import assert_nothing_twice, assert_the_record_gives_itself, finish, kills, restarts

pytestmark = [pytest.mark.station, pytest.mark.timeout(900)]
PATIENCE_S = 800.0  # the first round of a version of the code compiles its simulator
SYMBOLS = ("SPY", "MSFT", "JPM")
SESSIONS = 65


@pytest.fixture(scope="module")
def feed(tmp_path_factory):
    """Drawn daily bars of thirteen weeks."""
    bars = written(tmp_path_factory.mktemp("bars") / "daily.csv", SYMBOLS, SESSIONS)
    return ("--feed", f"replay:{bars}", "--tournaments", "weekly", "--speed", "max")


@pytest.fixture(scope="module")
def undisturbed(feed, folder):
    return finish(folder / "tournaments", *feed, patience_s=PATIENCE_S)


def told(run, kind):
    """Return the station's words of a kind, which come from the control room, in order."""
    return [decode_payload(each.type, each.payload) for each in run.records(kind, writer="station")]


def allocations(run):
    """Return what the worker was told of each round and took: content by request, in order."""
    taken = {ack.request_id for ack in run.payloads("ControlAck") if ack.action == "allocate" and ack.accepted}
    events = [event for event in run.payloads("ControlEvent") if event.action == "allocate"]
    assert {event.request_id for event in events} == taken
    return {event.request_id: json.loads(bytes(event.content)) for event in events}


def test_rounds_open_by_the_markets_time_and_their_weights_are_what_the_engine_trades_by(undisturbed):
    due = [job.occurrence for job in undisturbed.payloads("JobDue") if job.occurrence.startswith("tournament:")]
    assert len(due) == len(set(due)) >= 12
    ended = {event.round_id: event.state for event in told(undisturbed, "RoundEvent")}
    settled = [name for name in due if ended.get(name) == "settled"]
    assert len(settled) >= 8  # the first weeks have too few sessions for an entry
    found = allocations(undisturbed)
    assert [each["round_id"] for each in found.values()] == settled
    assert [each["version"] for each in found.values()] == list(range(1, len(found) + 1))
    assert len({json.dumps(each["weights"], sort_keys=True) for each in found.values()}) > 1
    deployed = [event for event in told(undisturbed, "AllocationEvent") if event.deployed]
    assert [event.round_id for event in deployed] == settled
    weights = [{name: event.base[name] + event.competitive[name] for name in event.base} for event in deployed]
    assert [each["weights"] for each in found.values()] == weights
    assert undisturbed.result["chain_ok"] is True


def test_the_record_gives_the_run_again(undisturbed, short_dir):
    assert_the_record_gives_itself(undisturbed, short_dir)


def test_killed_processes_change_no_round_no_weight_and_no_order(undisturbed, feed, short_dir):
    groups = (("worker", "celery"), ("worker", "relay", "celery"))
    disturb = kills(20261128, undisturbed.result["bars"], *groups)
    disturbed = finish(short_dir / "killed", *feed, disturb=disturb, patience_s=PATIENCE_S)
    assert restarts(disturbed) == Counter(name for group in groups for name in group)
    assert disturbed.same() == undisturbed.same()
    assert allocations(disturbed) == allocations(undisturbed)
    steps = [(event.round_id, event.step, event.sha256) for event in told(disturbed, "RoundEvent")]
    assert len(steps) == len(set(steps))
    assert steps == [(event.round_id, event.step, event.sha256) for event in told(undisturbed, "RoundEvent")]
    assert_nothing_twice(disturbed)
    assert_the_record_gives_itself(disturbed, short_dir)
