"""Breakers on equity: exactly at a limit holds, beyond it acts within one bar, nothing re-arms itself."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.configuration import load_settings
from engine.layout import ACCOUNT
from risk.breakers import HALTED, NONE, REDUCING, WARNING, judge
from tests.engine.desk import ALMOST, DAY_NS, FREE, NO_BOOKS, NO_SWANS, Desk, in_state, of_type

LIMITS = load_settings().limits


def level(equity: float, high: float = 1e6, start: float | None = None) -> tuple[int, str]:
    account = np.zeros(1, dtype=ACCOUNT)[0]
    account["equity"], account["breaker_high_water"] = equity, high
    account["breaker_day_start"] = equity if start is None else start
    return judge(account, LIMITS)[:2]


@pytest.mark.parametrize(
    ("fraction", "at", "beyond"),
    [(0.05, (NONE, ""), WARNING), (0.08, (WARNING, "DRAWDOWN"), REDUCING), (0.10, (REDUCING, "DRAWDOWN"), HALTED)],
)
@pytest.mark.parametrize("high", [1e6, 100_000.0, 1_234_567.89, 3.0e8])
def test_a_drawdown_at_its_limit_holds_and_a_cent_beyond_acts(fraction, at, beyond, high) -> None:
    limit = round(high * (1.0 - fraction), 6)
    assert level(limit, high) == at
    assert level(limit - 0.01, high) == (beyond, "DRAWDOWN")


def test_a_daily_loss_at_its_limit_holds_and_a_cent_beyond_reduces() -> None:
    assert level(970_000.0, start=1e6) == (NONE, "")
    assert level(969_999.99, start=1e6) == (REDUCING, "DAILY_LOSS")


@given(st.floats(1.0, 2e6), st.floats(1.0, 2e6))
def test_less_equity_never_means_a_lower_level(first, second) -> None:
    low, high = sorted((first, second))
    assert level(low)[0] >= level(high)[0]


def holding() -> Desk:
    """A desk whose four strategies hold the whole account in one coin, bought at 100."""
    desk = Desk("AAA", costs=FREE, limits={"max_order_value": 1e9} | NO_BOOKS, weights=ALMOST, black_swan=NO_SWANS)
    for strategy in desk.engine.state.names:
        desk.want(strategy)
    desk.slice({"AAA": 100.0})
    desk.slice({"AAA": 100.0})
    assert desk.account["gross"] > 0.99 * desk.account["equity"]
    return desk


def alerts(outputs: list) -> list[tuple[str, str]]:
    return [(alert.rule, alert.severity) for alert in of_type(outputs, "RiskAlert")]


def test_each_level_acts_within_one_bar_and_says_so_once() -> None:
    desk = holding()
    day = desk.account["day_start_equity"]
    desk.slice({"AAA": 98.0})
    desk.slice({"AAA": 98.0}, step_ns=DAY_NS)  # a new day: the daily loss starts anew
    warned = desk.slice({"AAA": 94.9})
    assert day > desk.account["equity"]
    assert desk.state == "REDUCING"  # 3.2 % in a day
    assert ("DAILY_LOSS", "critical") in alerts(warned)
    halted = desk.slice({"AAA": 89.0})
    assert desk.state == "HALTED"
    assert [state.state for state in of_type(halted, "StateEvent")] == ["HALTED"]
    assert alerts(halted) == [("DRAWDOWN", "critical")]
    assert alerts(desk.slice({"AAA": 80.0})) == []


def test_a_warning_comes_once() -> None:
    desk = Desk(
        "AAA",
        costs=FREE,
        limits={"max_order_value": 1e9, "daily_loss": 1.0} | NO_BOOKS,
        weights=ALMOST,
        black_swan=NO_SWANS,
    )
    for strategy in desk.engine.state.names:
        desk.want(strategy)
    desk.slice({"AAA": 100.0})
    desk.slice({"AAA": 100.0})
    assert alerts(desk.slice({"AAA": 95.1})) == []
    assert alerts(desk.slice({"AAA": 94.0})) == [("DRAWDOWN", "warning")]
    assert alerts(desk.slice({"AAA": 93.0})) == []
    assert alerts(desk.slice({"AAA": 96.0})) == []
    assert alerts(desk.slice({"AAA": 94.0})) == []
    assert desk.state == "ACTIVE"


def test_nothing_re_arms_itself_and_a_release_starts_from_the_equity_that_was_accepted() -> None:
    desk = holding()
    desk.slice({"AAA": 89.0})
    assert desk.state == "HALTED"
    desk.slice({"AAA": 120.0}, step_ns=DAY_NS)
    assert desk.state == "HALTED"
    desk.slice({"AAA": 90.0}, step_ns=DAY_NS)
    assert desk.control("release", reason=" ")[-1].payload.accepted is False
    assert desk.state == "HALTED"
    released = desk.control("release")
    assert [state.state for state in of_type(released, "StateEvent")] == ["ACTIVE"]
    desk.slice({"AAA": 88.0})
    assert desk.state == "ACTIVE"  # 2.2 % below the equity of the release, far more below the high water
    assert desk.account["drawdown"] > 0.2
    desk.slice({"AAA": 80.0})
    assert desk.state == "HALTED"


def test_halted_takes_back_what_works_and_decides_nothing() -> None:
    desk = Desk("AAA", "BBB", costs={**FREE, "volume_share": 0.0001}, limits={"max_order_value": 1e9})
    desk.want("momentum", "AAA")
    desk.slice({"AAA": 100.0, "BBB": 100.0})
    assert len(desk.engine.open_orders()) == 1
    halted = desk.control("halt")
    assert in_state(halted, "PENDING_CANCEL")
    assert in_state(halted, "CANCELED")
    desk.want("momentum", "BBB")
    assert of_type(desk.slice({"AAA": 100.0, "BBB": 100.0}), "OrderEvent") == []


def test_reducing_takes_back_orders_that_could_raise_exposure_and_lets_others_work() -> None:
    desk = Desk(
        "AAA", "BBB", costs={**FREE, "volume_share": 0.001}, limits={"daily_loss": 0.001, "max_order_value": 1e9}
    )
    for strategy in desk.engine.state.names:
        desk.want(strategy, "AAA")
    desk.slice({"AAA": 100.0, "BBB": 100.0})
    desk.slice({"AAA": 100.0, "BBB": 100.0})  # 1000 lots of the orders are filled, the rest works
    for strategy in desk.engine.state.names:
        desk.want(strategy, "BBB")
    desk.slice({"AAA": 100.0, "BBB": 100.0})
    assert {order.symbol for order in desk.engine.open_orders()} == {"AAA", "BBB"}
    outputs = desk.slice({"AAA": 98.0, "BBB": 100.0})
    assert desk.state == "REDUCING"
    assert {order.symbol for order in in_state(outputs, "PENDING_CANCEL")} == {"AAA", "BBB"}
    assert desk.engine.open_orders() == []
    held = desk.lots("AAA")
    assert held > 0
    for strategy in desk.engine.state.names:
        desk.want(strategy, "AAA", 0.0)
    leaving = desk.slice({"AAA": 98.0, "BBB": 100.0}, volume=1e7)
    sold = in_state(leaving, "INTENT")
    assert [order.side for order in sold if order.symbol == "AAA"] == ["SELL"]
    desk.slice({"AAA": 98.0, "BBB": 100.0}, volume=1e7)
    assert desk.lots("AAA") == 0


def test_while_reducing_no_fill_of_any_open_order_can_raise_a_position() -> None:
    desk = holding()
    desk.slice({"AAA": 96.0})
    assert desk.state == "REDUCING"
    for target in (1.0, -1.0, 0.5, -0.5, 0.0):
        before = abs(desk.lots())
        for strategy in desk.engine.state.names:
            desk.want(strategy, target=target)
        desk.slice({"AAA": 96.0})
        desk.slice({"AAA": 96.0})
        assert abs(desk.lots()) <= before
    assert desk.lots() == 0
