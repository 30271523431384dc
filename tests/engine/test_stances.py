"""Stances: opinions beside the path that scale targets, within a clamp and for a time."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.engine import Engine
from events.types import StanceEvent
from tests.engine.desk import FREE, MINUTE_NS, START_NS, Desk, in_state, instrument, of_type


def stance(desk: Desk, bias: float = 1.0, confidence: float = 1.0, **fields: Any) -> list:
    given = {
        "strategy": "momentum", "symbol": "AAA", "source": "tester",
        "effective_from_ns": desk.now_ns, "expiry_ns": desk.now_ns + 100 * MINUTE_NS,
    } | fields  # fmt: skip
    return desk.engine.on_stance(StanceEvent(bias=bias, confidence=confidence, **given))


def multiplier(desk: Desk, symbol: str = "AAA", strategy: str = "momentum") -> float:
    state = desk.engine.state
    return float(state.books[state.rows[strategy], state.universe.index[symbol]]["stance"])


@pytest.fixture
def started() -> Desk:
    desk = Desk("AAA", "BBB", costs=FREE)
    desk.slice({"AAA": 100.0, "BBB": 100.0})
    return desk


@given(st.floats(-1.0, 1.0), st.floats(0.0, 1.0))
def test_a_multiplier_is_one_plus_bias_times_confidence_within_the_clamp(bias, confidence) -> None:
    desk = Desk("AAA", costs=FREE)
    desk.slice({"AAA": 100.0})
    assert stance(desk, bias, confidence) == []
    assert multiplier(desk) == min(1.5, max(0.5, 1.0 + bias * confidence))


@pytest.mark.parametrize(
    ("bias", "confidence", "target", "lots"),
    [
        (-0.4, 0.5, 0.5, 500),
        (1.0, 1.0, 0.5, 937),
        (-1.0, 1.0, 0.5, 312),
        (1.0, 1.0, 0.9, 1250),
        (1.0, 1.0, -0.9, -1250),
    ],
)
def test_a_stance_changes_the_lots_of_the_next_decision_and_never_beyond_a_whole_target(
    started, bias, confidence, target, lots
) -> None:
    stance(started, bias, confidence)
    started.want("momentum", target=target)
    order = in_state(started.slice({"AAA": 100.0, "BBB": 100.0}), "INTENT")[0]
    assert order.lots_by_strategy == {"momentum": lots}


def test_a_late_stance_acts_at_once_and_ends_exactly_at_its_expiry(started) -> None:
    start, now = started.now_ns - 30 * MINUTE_NS, started.now_ns
    stance(started, 0.5, effective_from_ns=start, expiry_ns=now + 2 * MINUTE_NS)
    assert multiplier(started) == 1.5
    started.slice({"AAA": 100.0}, step_ns=2 * MINUTE_NS - 1)
    assert multiplier(started) == 1.5
    started.slice({"AAA": 100.0}, step_ns=1)
    assert multiplier(started) == 1.0


def test_a_stance_begins_exactly_at_its_effective_from_and_the_due_table_says_when(started) -> None:
    at = started.now_ns + 5 * MINUTE_NS
    stance(started, 0.5, effective_from_ns=at, expiry_ns=at + MINUTE_NS)
    assert started.engine.due(at - 1) is None
    assert started.engine.due(at) == at
    started.slice({"AAA": 100.0}, step_ns=5 * MINUTE_NS - 1)
    assert multiplier(started) == 1.0
    started.slice({"AAA": 100.0}, step_ns=1)
    assert multiplier(started) == 1.5


def test_an_expired_stance_has_no_effect(started) -> None:
    stance(started, 0.5, effective_from_ns=START_NS - 10, expiry_ns=started.now_ns)
    assert multiplier(started) == 1.0


def test_the_latest_effective_from_wins_and_at_a_tie_the_one_that_came_last(started) -> None:
    now = started.now_ns
    stance(started, 0.2, effective_from_ns=now - 10)
    stance(started, 0.4, effective_from_ns=now - 20)
    assert multiplier(started) == 1.2
    stance(started, 0.3, effective_from_ns=now - 10)
    assert multiplier(started) == 1.3
    stance(started, -0.3, effective_from_ns=now - 5, expiry_ns=now + MINUTE_NS)
    assert multiplier(started) == 0.7
    started.slice({"AAA": 100.0})
    assert multiplier(started) == 1.3  # the earlier one is valid again


def test_one_for_the_symbol_goes_before_one_for_all_however_old(started) -> None:
    stance(started, 0.2, effective_from_ns=started.now_ns - 100)
    stance(started, -0.4, symbol="*")
    assert (multiplier(started), multiplier(started, "BBB")) == (1.2, 0.6)
    assert multiplier(started, "BBB", "bullish") == 1.0


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"strategy": "nobody"}, ["'nobody'", "momentum"]),
        ({"symbol": "NONE"}, ["'NONE'", "'*'"]),
        ({"bias": 1.01}, ["bias 1.01", "-1 to 1"]),
        ({"bias": float("nan")}, ["bias nan", "-1 to 1"]),
        ({"confidence": -0.1}, ["confidence -0.1", "0 to 1"]),
        ({"confidence": 1.5}, ["confidence 1.5", "0 to 1"]),
        ({"expiry_ns": START_NS, "effective_from_ns": START_NS}, ["expires", "effective_from"]),
    ],
)
def test_a_bad_stance_is_refused_with_a_sentence_and_changes_nothing(started, fields, named) -> None:
    before = started.engine.snapshot()
    alert = of_type(stance(started, **fields), "RiskAlert")[0]
    assert alert.rule == "STANCE_REFUSED"
    assert all(part in alert.message for part in named), alert.message
    assert started.engine.snapshot() == before


def test_a_snapshot_keeps_stances_in_force_and_those_to_come(started) -> None:
    now = started.now_ns
    stance(started, 0.2)
    stance(started, 0.5, effective_from_ns=now + 3 * MINUTE_NS, expiry_ns=now + 4 * MINUTE_NS)
    started.engine = Engine.restore(started.engine.snapshot())
    started.silence()
    seen = []
    for _ in range(5):
        started.slice({"AAA": 100.0})
        seen.append(multiplier(started))
    assert seen == [1.2, 1.2, 1.5, 1.2, 1.2]


def test_a_configuration_with_another_clamp_or_more_symbols_acts_on_stances_in_force(started) -> None:
    stance(started, -1.0, symbol="*")
    limits = msgspec.structs.replace(started.configuration.settings.limits, stance_low=0.8)
    wider = msgspec.structs.replace(
        started.configuration,
        version=2,
        settings=msgspec.structs.replace(started.configuration.settings, limits=limits),
        instruments=[*started.configuration.instruments, instrument("CCC")],
    )
    started.control("configure", content=msgspec.Raw(msgspec.json.encode(wider)), request_id="2")
    assert [multiplier(started, symbol) for symbol in ("AAA", "BBB", "CCC")] == [0.8, 0.8, 0.8]


def test_a_signal_names_the_multiplier_that_was_in_force(started) -> None:
    stance(started, 0.25)
    assert started.engine.view()["strategies"]["momentum"]["stances"] == {"AAA": 1.25}
