"""What the header says of a station in each of its states."""

from typing import Any

import pytest

from controlroom.live.documents import document, is_topic, system
from controlroom.live.header import bars_limit_ms
from controlroom.live.rows import against_expected
from controlroom.live.snapshot import Snapshot
from controlroom.pages.ages import age
from tests.browser import scripted


def header(view: dict[str, Any] | None, **more: Any) -> dict[str, Any]:
    """Return the header's document."""
    return document("header", Snapshot(view, more.pop("beats", scripted.beats()), **more))


@pytest.mark.parametrize(
    ("change", "state"),
    [
        ({}, "ACTIVE"),
        ({"killed": ["all"]}, "KILLED"),
        ({"killed": ["account"]}, "KILLED"),
        ({"killed": ["strategy:momentum"]}, "ACTIVE"),
        ({"state": "HALTED", "killed": ["symbol:AAPL"]}, "HALTED"),
        ({"state": "UNCONFIGURED"}, "UNCONFIGURED"),
    ],
)
def test_state_is_the_gravest_thing_to_say(change: dict[str, Any], state: str) -> None:
    assert header(scripted.view(**change))["state"] == state


def test_no_view_is_unreachable_and_no_number_is_made_up() -> None:
    made = header(None, beats={})
    assert made["state"] == "UNREACHABLE"
    assert made["kpi"] == {}


@pytest.mark.parametrize(
    ("interval", "speed", "limit"),
    [(60, None, 125_000), (60, 1, 125_000), (60, 120, 6000), (60, "max", 5000), (86_400, 86_400, 7000)],
)
def test_bars_are_stale_after_two_intervals_at_the_replays_speed(interval: int, speed: Any, limit: int) -> None:
    assert bars_limit_ms(interval, speed) == limit


def test_feeds_own_word_on_its_speed_wins() -> None:
    beats = scripted.beats()
    beats["feed"]["metrics"] = {"speed": 600.0, "paused": 1}
    source = header(scripted.view(), run={"speed": 120}, beats=beats)["source"]
    assert source["speed"] == "600\u00d7"
    assert source["paused"]


def test_paused_replay_is_paused_and_not_stale() -> None:
    beats = scripted.beats()
    beats["feed"]["metrics"] = {"speed": 120.0, "paused": 1}
    made = header(scripted.view(arrival_ns=1_000_000_000_000), beats=beats)
    assert age(made, "bars", 1_030_000) == ("paused 30\u202fs", False)


def test_worker_that_beats_vouches_for_an_old_view() -> None:
    view = scripted.view(seq=10) | {"wall_ns": 1_000_000_000}
    beats = scripted.beats()
    beats["worker"]["metrics"] = {"seq": 10}
    assert header(view, beats=beats)["stamps"]["equity"] == beats["worker"]["beat_ns"] // 1_000_000
    beats["worker"]["metrics"] = {"seq": 11}
    assert header(view, beats=beats)["stamps"]["equity"] == 1000


def test_missing_stamp_is_stale() -> None:
    assert age({"stamps": {}, "limits": {}}, "worker", 5) == ("STALE no sign", True)


@pytest.mark.parametrize(("side", "points"), [("BUY", -10.0), ("SELL", 10.0)])
def test_paying_more_is_worse_for_a_buyer_and_better_for_a_seller(side: str, points: float) -> None:
    assert against_expected(side, 100.0, 100.1) == pytest.approx(points)


def test_supervisor_knows_what_does_not_beat_and_what_is_given_up() -> None:
    supervised = [
        {"name": "celery-beat", "state": "ready", "pid": 7, "restarts": 0, "failed": False},
        {"name": "recorder", "state": "failed", "pid": 0, "restarts": 5, "failed": True},
    ]
    snapshot = Snapshot(scripted.view(), scripted.beats(), supervised=supervised)
    rows = document("system", snapshot)["processes"]["by"]
    assert rows["celery-beat"]["state"] == "up"
    assert rows["recorder"]["state"] == "failed"
    assert document("header", snapshot)["failed"] == ["recorder"]


def test_strategy_topic_has_its_targets() -> None:
    made = document("strategy.momentum", Snapshot(scripted.view()))
    assert made["strategy"]["title"] == "Momentum"
    assert made["targets"] == {"AAPL": 0.42, "SPY": -0.1}


@pytest.mark.parametrize(
    ("topic", "known"),
    [("header", True), ("market.AAPL", True), ("market.", False), ("markets", False), ("positions.x", False)],
)
def test_topics_are_a_closed_list(topic: str, known: bool) -> None:  # noqa: FBT001
    assert is_topic(topic) is known


def test_system_says_how_far_the_record_is_signed_and_that_the_signer_is_the_same_user() -> None:
    beat = {"metrics": {"signed_seq_execution": 41, "signed_seq_station": 7, "unsigned_age_s": 0.4, "own_user": 0.0}}
    found = system(Snapshot(view=None, beats={"signer": beat}))["signer"]
    assert (found["execution"], found["station"], found["age_s"]) == (41, 7, 0.4)
    assert found["isolation"] == "none (same user)"
    assert system(Snapshot(view=None))["signer"] == {}
