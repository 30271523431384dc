"""Allocations in the engine: who may use how much of the capital, from the next decision, until what ends it."""

import msgspec
import pytest

from engine.allocation import Allocation, Override
from engine.engine import Engine
from engine.rounds import Kept
from market.occurrences import Schedule
from tests.engine.desk import DAY_NS, FREE, MINUTE_NS, Desk, configuration, configure, control, in_state, of_type
from tests.engine.desk import settings as settings_of

EVEN = {"bullish": 0.2, "bearish": 0.2, "mean_reversion": 0.2, "momentum": 0.2}


def allocate(desk: Desk, version: int = 1, overrides=None, **weights: float) -> str:
    """Tell the engine an allocation; return why it was refused, "" if it was not."""
    given = Allocation(version=version, round_id="r1", weights=EVEN | weights, overrides=overrides or {})
    return told(desk.engine, given, version)


def told(engine: Engine, given: Allocation, version: int) -> str:
    content = msgspec.Raw(msgspec.json.encode(given))
    outputs = engine.on_control(control("allocate", content=content, request_id=f"allocate-{version}"))
    [answer] = of_type(outputs, "ControlAck")
    assert answer.accepted is not bool(answer.reason)
    return answer.reason


def weights(engine: Engine) -> dict[str, float]:
    return {name: float(row["weight"]) for name, row in zip(engine.state.names, engine.state.strategies, strict=True)}


@pytest.fixture
def desk() -> Desk:
    made = Desk("AAA", costs=FREE)
    made.slice({"AAA": 100.0})
    return made


def test_other_weights_act_on_the_next_decision(desk) -> None:
    desk.want("momentum", target=1.0)
    assert allocate(desk, momentum=0.1) == ""
    [order] = in_state(desk.slice({"AAA": 100.0}), "INTENT")
    assert order.lots_by_strategy == {"momentum": 1000}  # a tenth of a million at 100
    assert desk.engine.view()["allocation"]["weights"]["momentum"] == 0.1


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"momentum": 0.5}, "add up to 1.1"),
        ({"momentum": -0.1}, "weight of momentum = -0.1 must be 0 to 1"),
        ({"luck": 0.1}, "weights name"),
        ({"version": 0}, "version = 0 is not above 0"),
        ({"overrides": {"luck": Override(weight=0.1, until_ns=10**19 // 2)}}, "overrides name luck"),
        ({"overrides": {"momentum": Override(weight=0.41, until_ns=9 * 10**18)}}, "add up to 1.01"),
    ],
)
def test_a_bad_allocation_is_refused_with_the_field_and_changes_nothing(desk, changes, says) -> None:
    before = desk.engine.snapshot()
    assert says in allocate(desk, **changes)
    assert desk.engine.snapshot() == before


def test_an_override_that_has_ended_when_it_comes_is_dropped_and_the_rest_taken(desk) -> None:
    assert allocate(desk, overrides={"momentum": Override(weight=0.9, until_ns=desk.now_ns)}, momentum=0.1) == ""
    assert weights(desk.engine)["momentum"] == 0.1
    assert desk.engine.state.allocation.overrides == {}


def test_what_is_no_allocation_is_refused(desk) -> None:
    outputs = desk.engine.on_control(control("allocate", content=msgspec.Raw(b'{"weights": 3}')))
    [answer] = of_type(outputs, "ControlAck")
    assert answer.reason.startswith("allocation refused: ")


def test_an_older_version_is_refused(desk) -> None:
    assert allocate(desk, version=3) == ""
    assert "version = 3 is not above 3" in allocate(desk, version=3, momentum=0.1)
    assert weights(desk.engine)["momentum"] == 0.2


def test_an_override_ends_at_its_instant_and_a_restart_forgets_nothing(desk) -> None:
    until_ns = desk.now_ns + 3 * MINUTE_NS
    assert allocate(desk, overrides={"momentum": Override(weight=0.05, until_ns=until_ns)}) == ""
    assert weights(desk.engine)["momentum"] == 0.05
    again = Engine.restore(desk.engine.snapshot())
    assert weights(again) == weights(desk.engine)
    assert again.state.allocation == desk.engine.state.allocation
    desk.slice({"AAA": 100.0}, step_ns=2 * MINUTE_NS)
    assert weights(desk.engine)["momentum"] == 0.05
    desk.slice({"AAA": 100.0})
    assert weights(desk.engine)["momentum"] == 0.2
    assert desk.engine.state.allocation.overrides == {}
    assert desk.engine.due(desk.now_ns + DAY_NS) != until_ns


def test_a_configuration_keeps_the_allocation_unless_it_names_other_weights(desk) -> None:
    assert allocate(desk, momentum=0.1) == ""
    chosen = desk.configuration
    desk.engine.on_control(configure(msgspec.structs.replace(chosen, version=2)))
    assert weights(desk.engine)["momentum"] == 0.1
    more = configuration([*chosen.instruments, msgspec.structs.replace(chosen.instruments[0], symbol="BBB")], version=3)
    desk.engine.on_control(configure(msgspec.structs.replace(more, settings=chosen.settings)))
    assert weights(desk.engine)["momentum"] == 0.1
    other = settings_of(costs=FREE, weights={"momentum": 0.3})
    desk.engine.on_control(configure(msgspec.structs.replace(more, version=4, settings=other)))
    assert weights(desk.engine) == dict.fromkeys(EVEN, 0.0) | {"momentum": 0.3}
    assert desk.engine.state.allocation is None
    assert "is not above 1" in allocate(desk, version=1)


# --- the schedule -----------------------------------------------------------------------------------------------------

WEEKLY = Schedule(
    enabled=True, interval="weekly", weekday="sunday", hour=2, minute=0, zone="America/New_York", calendar="24/7",
    duration_ns=60 * MINUTE_NS,
)  # fmt: skip


def scheduled(schedule: Schedule | None) -> Desk:
    made = Desk("AAA", costs=FREE)
    given = None if schedule is None else {"schedule": msgspec.to_builtins(schedule)}
    plain = msgspec.to_builtins(made.configuration) | {"version": 2, "tournaments": given}
    made.engine.on_control(configure(msgspec.convert(plain, type(made.configuration))))
    made.slice({"AAA": 100.0})
    return made


def jobs(outputs) -> list[str]:
    return [each.occurrence for each in of_type(outputs, "JobDue") if "tournament" in each.job]


def run(desk: Desk, days: int) -> list[str]:
    found: list[str] = []
    for _ in range(days * 4):
        found += jobs(desk.slice({"AAA": 100.0}, step_ns=DAY_NS // 4))
    return found


def test_a_round_is_named_when_the_schedule_opens_it_and_again_when_its_session_has_closed() -> None:
    found = run(scheduled(WEEKLY), 10)
    first, second = "tournament:24/7:2022-01-03", "tournament:24/7:2022-01-10"
    assert found == [first, f"settle_tournament:{first}", second, f"settle_tournament:{second}"]


def test_nothing_is_named_without_a_schedule_or_with_one_that_is_off() -> None:
    assert run(scheduled(None), 10) == []
    assert run(scheduled(msgspec.structs.replace(WEEKLY, enabled=False)), 10) == []


def test_a_schedule_that_moves_within_the_week_names_no_session_twice() -> None:
    desk = scheduled(WEEKLY)
    found = run(desk, 1)
    later = msgspec.structs.replace(WEEKLY, hour=12)
    plain = msgspec.to_builtins(desk.engine.state.configuration)
    plain |= {"version": 3, "tournaments": {"schedule": msgspec.to_builtins(later)}}
    desk.engine.on_control(configure(msgspec.convert(plain, type(desk.configuration))))
    assert [*found, *run(desk, 2)].count("tournament:24/7:2022-01-03") == 1


def test_a_snapshot_of_before_there_were_rounds_holds_those_to_come() -> None:
    desk = scheduled(WEEKLY)
    desk.engine.rounds.kept = Kept()
    assert run(desk, 3)[:1] == ["tournament:24/7:2022-01-03"]


def test_a_restart_between_opening_and_close_names_what_is_left_and_nothing_twice() -> None:
    desk = scheduled(WEEKLY)
    assert run(desk, 1) == []
    assert run(desk, 1) == ["tournament:24/7:2022-01-03"]
    desk.engine = Engine.restore(desk.engine.snapshot())
    desk.silence()
    assert run(desk, 3) == ["settle_tournament:tournament:24/7:2022-01-03"]
