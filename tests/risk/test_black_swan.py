"""The black-swan detector through the engine: crashes trip within one bar, ordinary minutes never, nothing re-arms."""

import random

import pytest

from engine.engine import Engine
from risk.black_swan import LEAST_SESSIONS
from tests.engine.desk import DAY_NS, MINUTE_NS, START_NS, Desk, in_state, of_type

SYMBOLS = ("AAA", "BBB", "CCC", "SPY", "EEE")


def rules(outputs: list) -> list[tuple[str, str]]:
    return [(alert.rule, alert.scope) for alert in of_type(outputs, "RiskAlert")]


def calm(*symbols: str, minutes: int = 30, **sections) -> tuple[Desk, dict[str, float]]:
    """A desk after some ordinary minutes of 0.05 % each."""
    desk, draw = Desk(*symbols, **sections), random.Random(3)
    prices = dict.fromkeys(symbols, 100.0)
    for _ in range(minutes):
        prices = {symbol: price * (1.0 + draw.gauss(0.0, 0.0005)) for symbol, price in prices.items()}
        assert rules(desk.slice(prices)) == []
    return desk, prices


def crash(prices: dict[str, float], fall: float, *symbols: str) -> dict[str, float]:
    return {symbol: price * (1.0 - fall) if symbol in symbols else price for symbol, price in prices.items()}


@pytest.mark.parametrize("fall", [0.065, -0.065, 0.5])
def test_a_crash_halts_its_symbol_within_one_bar_and_takes_its_orders_back(fall) -> None:
    desk, prices = calm(*SYMBOLS, costs={"volume_share": 0.0001})
    desk.want("momentum", "AAA")
    desk.want("momentum", "BBB")
    desk.slice(prices)
    assert {order.symbol for order in desk.engine.open_orders()} == {"AAA", "BBB"}
    outputs = desk.slice(crash(prices, fall, "AAA"))
    assert rules(outputs) == [("SWAN_DAY", "symbol:AAA")]
    assert {order.symbol for order in in_state(outputs, "PENDING_CANCEL")} == {"AAA"}
    assert (desk.row("AAA")["halted"], desk.row("BBB")["halted"], desk.state) == (1, 0, "ACTIVE")
    denied = in_state(desk.slice(crash(prices, fall, "AAA")), "RISK_DENIED")
    assert {(order.symbol, order.reason) for order in denied} <= {("AAA", "HALTED_SYMBOL")}


def test_a_tripped_symbol_says_so_once_and_trips_again_only_after_a_release() -> None:
    desk, prices = calm(*SYMBOLS)
    fallen = crash(prices, 0.1, "AAA")
    assert rules(desk.slice(fallen)) == [("SWAN_DAY", "symbol:AAA")]
    assert rules(desk.slice(crash(fallen, 0.1, "AAA"))) == []
    assert rules(desk.slice(prices)) == []  # back again: still halted
    assert desk.row("AAA")["halted"] == 1
    desk.control("release", "symbol", "AAA")
    assert desk.row("AAA")["halted"] == 0
    assert rules(desk.slice(crash(prices, 0.1, "AAA"))) == [("SWAN_DAY", "symbol:AAA")]
    shown = [each for each in desk.engine.view()["breakers"] if each["scope"] == "symbol:AAA"]
    assert [(each["rule"], each["released_by"]) for each in shown if each["tripped_ns"]] == [("SWAN_DAY", "")]


def test_a_move_is_judged_by_its_own_minute_once_ten_sessions_are_known() -> None:
    """Every day has a wild minute at noon: there the same move passes that halts at any other minute."""
    desk, draw = Desk("AAA", "BBB"), random.Random(5)
    price, noon = 100.0, 60
    for _ in range(LEAST_SESSIONS + 2):
        for minute in range(120):
            wild = draw.choice([-0.03, 0.03, -0.025, 0.025]) if minute == noon else draw.gauss(0.0, 0.0003)
            price *= 1.0 + wild
            outputs = desk.slice({"AAA": price, "BBB": 50.0})
            assert rules(outputs) == []
        desk.now_ns += DAY_NS - 120 * MINUTE_NS
    day = float(desk.engine.state.guards.variances[0]) ** 0.5
    assert day == pytest.approx(0.02)  # two hours of twenty-four say nothing of a day
    move = 1.6 * day
    for _ in range(noon):
        desk.slice({"AAA": price, "BBB": 50.0})
    assert rules(desk.slice({"AAA": price * (1.0 - move), "BBB": 50.0})) == []
    outputs = desk.slice({"AAA": price * (1.0 - move) ** 2, "BBB": 50.0})
    assert rules(outputs) == [("SWAN_MINUTE", "symbol:AAA")]


def test_an_index_that_falls_halts_the_station_once_a_level() -> None:
    desk, prices = calm(*SYMBOLS)
    desk.slice(prices, step_ns=DAY_NS)  # the next session: its previous close is known
    close = float(desk.row("SPY")["previous_close"])
    for share in (0.98, 0.96, 0.94, 0.9305):
        assert rules(desk.slice(prices | {"SPY": close * share})) == [], share
    halted = desk.slice(prices | {"SPY": close * 0.9299})
    assert rules(halted) == [("INDEX_FALL", "account")]
    assert [event.state for event in of_type(halted, "StateEvent")] == ["HALTED"]
    assert desk.state == "HALTED"
    desk.control("release")
    assert desk.state == "ACTIVE"
    assert rules(desk.slice(prices | {"SPY": close * 0.92})) == []
    assert rules(desk.slice(prices | {"SPY": close * 0.8699})) == [("INDEX_FALL", "account")]
    assert desk.state == "HALTED"


@pytest.mark.parametrize(("tripping", "apart", "state"), [(1, 0, "ACTIVE"), (2, 0, "HALTED"), (2, 6, "ACTIVE")])
def test_a_quarter_of_the_symbols_within_five_minutes_halts_the_station(tripping, apart, state) -> None:
    desk, prices = calm("AAA", "BBB", "CCC", "DDD", "EEE", "FFF", "GGG", "HHH")
    for symbol in ("AAA", "BBB")[:tripping]:
        prices = crash(prices, 0.1, symbol)
        desk.slice(prices)
        for _ in range(apart):
            desk.slice(prices)
    assert desk.state == state


def test_a_night_is_judged_by_the_days_deviation() -> None:
    for fall, tripped in ((0.12, []), (0.17, [("SWAN_NIGHT", "symbol:AAA")])):
        desk, prices = calm(*SYMBOLS)
        assert rules(desk.slice(crash(prices, fall, "AAA"), step_ns=DAY_NS)) == tripped


def test_what_the_detector_knows_survives_a_restart() -> None:
    desk, prices = calm(*SYMBOLS, minutes=60)
    desk.slice(crash(prices, 0.1, "AAA"))
    restored = Engine.restore(desk.engine.snapshot())
    assert restored.view()["breakers"] == desk.engine.view()["breakers"]
    desk.engine = restored
    desk.silence()
    assert rules(desk.slice(crash(prices, 0.3, "AAA"))) == []
    assert rules(desk.slice(crash(prices, 0.1, "BBB"))) == [("SWAN_DAY", "symbol:BBB"), ("SYMBOLS_TOGETHER", "account")]


def test_a_symbol_that_parts_from_its_index_and_a_hole_in_the_feed_alert_and_halt_nothing() -> None:
    desk, draw = Desk("AAA", "SPY", at_ns=START_NS), random.Random(9)
    price, index, seen = 100.0, 100.0, []
    for minute in range(460):
        common = draw.gauss(0.0, 0.0005)
        index *= 1.0 + common
        price *= 1.0 + (common if minute < 400 else -common) + draw.gauss(0.0, 0.0001)
        seen += rules(desk.slice({"AAA": price, "SPY": index}))
    assert seen == [("CORRELATION_BREAK", "symbol:AAA")]
    assert rules(desk.slice({"AAA": price, "SPY": index}, step_ns=7 * MINUTE_NS)) == [("FEED_GAP", "account")]
    assert desk.state == "ACTIVE"
    assert not desk.engine.state.universe.symbols["halted"].any()
