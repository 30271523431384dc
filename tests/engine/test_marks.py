"""Marks, volatility, days and sessions: what a slice changes before anything is decided."""

import numpy as np
import pytest

from engine.engine import Engine
from events.types import MarketSlice
from tests.engine.desk import ALMOST, DAY_NS, FREE, MINUTE_NS, START_NS, Desk, bar, instrument, of_type

DECEMBER_23 = 1_450_881_000_000_000_000  # 2015, 09:30 New York


def test_sigma_is_the_deviation_of_the_last_twenty_returns() -> None:
    desk = Desk("AAA", costs=FREE)
    prices = (100.0 * np.cumprod(1.0 + np.random.default_rng(3).normal(0.0, 0.01, 150))).tolist()
    for k, price in enumerate(prices):
        desk.slice({"AAA": price})
        returns = np.diff(prices[: k + 1])[-20:] / np.array(prices[: k + 1])[:-1][-20:]
        expected = float(np.std(returns, ddof=1)) if len(returns) > 1 else 0.0
        assert float(desk.row()["sigma"]) == pytest.approx(expected, rel=1e-9, abs=1e-15)


def test_a_new_day_starts_the_days_profit_and_the_previous_close_anew() -> None:
    desk = Desk("AAA", costs=FREE)
    desk.want("momentum")
    desk.slice({"AAA": 100.0})
    desk.slice({"AAA": 100.0})
    desk.slice({"AAA": 102.0})
    first = desk.account
    assert first["day_pnl"] == pytest.approx(first["equity"] - 1e6)
    assert first["day_pnl"] > 4000.0
    desk.slice({"AAA": 103.0}, step_ns=DAY_NS)
    second = desk.account
    assert second["day_start_equity"] == first["equity"]
    assert second["day_pnl"] == pytest.approx(second["equity"] - first["equity"])
    view = desk.engine.view()
    assert view["strategies"]["momentum"]["day_pnl"] == pytest.approx(second["day_pnl"])
    assert view["symbols"]["AAA"]["previous_close"] == 102.0
    assert view["symbols"]["AAA"]["change"] == pytest.approx(103.0 / 102.0 - 1.0)


def test_the_loss_of_a_day_does_not_count_against_the_next() -> None:
    desk = Desk("AAA", costs=FREE, limits={"max_order_value": 1e9}, weights=ALMOST)
    for strategy in desk.engine.state.names:
        desk.want(strategy)
    desk.slice({"AAA": 100.0})
    desk.slice({"AAA": 100.0})
    desk.slice({"AAA": 98.0})
    desk.slice({"AAA": 96.0}, step_ns=DAY_NS)
    assert desk.state == "ACTIVE"  # 4 % in two days, never 3 % in one
    desk.slice({"AAA": 95.0})
    assert desk.state == "REDUCING"


@pytest.mark.parametrize(("minutes", "inside"), [(-1, False), (0, True), (389, True), (390, False), (600, False)])
def test_a_bar_out_of_session_reaches_nothing(minutes, inside) -> None:
    desk = Desk(
        instrument("GOOG", asset_class="equity", calendar="XNYS"), at_ns=DECEMBER_23 - 60 * MINUTE_NS, costs=FREE
    )
    desk.want("momentum", "GOOG")
    outputs = desk.slice({"GOOG": 100.0}, step_ns=(61 + minutes) * MINUTE_NS)
    assert bool(of_type(outputs, "OrderEvent")) is inside
    assert bool(of_type(outputs, "AccountEvent")) is inside
    assert int(desk.row("GOOG")["bars"]) == int(inside)
    assert float(desk.row("GOOG")["mark"]) == (100.0 if inside else 0.0)


def test_an_order_does_not_fill_on_a_bar_out_of_session() -> None:
    made = instrument("GOOG", asset_class="equity", calendar="XNYS")
    desk = Desk(made, at_ns=DECEMBER_23 + 389 * MINUTE_NS, costs=FREE)
    desk.want("momentum", "GOOG")
    desk.slice({"GOOG": 100.0})
    desk.slice({"GOOG": 90.0})
    assert desk.fills == []
    assert desk.engine.open_orders()
    assert float(desk.row("GOOG")["mark"]) == 100.0


def test_a_bar_of_an_unknown_symbol_changes_nothing_and_harms_nothing() -> None:
    desk = Desk("AAA")
    close_ns = START_NS + MINUTE_NS
    bars = [bar("AAA", close_ns, 100.0), bar("ZZZ", close_ns, 5.0)]
    desk.feed(MarketSlice(feed="test", position="0-0", close_ns=close_ns, bars=bars))
    assert float(desk.row("AAA")["mark"]) == 100.0
    assert list(desk.engine.view()["symbols"]) == ["AAA"]


def test_a_snapshot_keeps_lots_that_wait_to_cross() -> None:
    desk = Desk("AAA", costs=FREE)
    desk.want("bullish", target=0.8)
    desk.want("bearish", target=-0.8)
    desk.slice({"AAA": 100.0})
    desk.engine = Engine.restore(desk.engine.snapshot())
    desk.silence()
    assert [trade.crossed_lots for trade in of_type(desk.slice({"AAA": 101.0}), "TradeEvent")] == [2000]
    assert desk.held("bullish") == 2000
