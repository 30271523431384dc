"""What a bar does to the orders that wait for it: price, volume, time."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.fills import budget_lots, market_price_micro
from tests.engine.desk import DAY_NS, FREE, MINUTE_NS, START_NS, Desk, in_state, instrument, of_type

DECEMBER_23, DECEMBER_24 = 1_450_881_000_000_000_000, 1_450_967_400_000_000_000  # 2015, 09:30 New York


def costed(**costs: float) -> Desk:
    return Desk("AAA", costs=FREE | costs, limits={"max_order_value": 1e9})


def two_slices(desk: Desk, target: float, opened: float, volume: float = 1e6) -> tuple:
    desk.want("momentum", target=target)
    order = in_state(desk.slice({"AAA": 100.0}), "INTENT")[0]
    desk.slice({"AAA": (opened, opened)}, volume)
    return order, desk.fills


def test_a_market_order_fills_at_the_next_open_not_at_the_price_that_decided(desk) -> None:
    order, fills = two_slices(desk, 1.0, 101.5)
    assert [(fill.order_id, fill.lots, fill.reference_price) for fill in fills] == [(order.order_id, 2500, 101.5)]
    assert fills[0].broker_ns == START_NS + MINUTE_NS
    assert fills[0].price_micro == 101_505_000  # half a tick worse: the spread is never less


@pytest.mark.parametrize(("target", "side"), [(1.0, 1), (-1.0, -1)])
def test_half_spread_is_the_larger_of_half_a_tick_and_its_share_of_the_price(target, side) -> None:
    _, fills = two_slices(costed(half_spread_bps=5.0), target, 100.0)
    assert fills[0].price_micro == 100_000_000 + side * 50_000
    _, fills = two_slices(costed(half_spread_bps=0.1), target, 100.0)
    assert fills[0].price_micro == 100_000_000 + side * 5_000


@given(
    bar=st.tuples(st.floats(0.01, 1e5), st.floats(0.0, 1e9), st.floats(0.0, 0.2)),
    side=st.sampled_from([1, -1]),
    quantity=st.floats(0.001, 1e6),
    tick=st.sampled_from([0.01, 0.0001, 1e-8]),
    eta=st.floats(0.0, 1.0),
)
def test_every_price_is_against_us_by_spread_and_impact(bar, side, quantity, tick, eta) -> None:
    opened, volume, sigma = bar
    micro = market_price_micro(opened, side, quantity, volume, sigma, tick, 1e-4, eta)
    bars = min(quantity / volume, 1e6) if volume > 0 else 0.0
    impact = min(eta * sigma * math.sqrt(bars), 1.0) * opened
    expected = opened + side * (max(tick / 2, 1e-4 * opened) + impact)
    expected = max(expected, tick) if side < 0 else expected
    assert -1e-3 <= (micro - expected * 1e6) * side <= 1.0 + 1e-3 + expected * 1e-9
    assert micro >= 0


def test_a_larger_part_of_the_bar_pays_more_by_the_square_root() -> None:
    paid = [market_price_micro(100.0, 1, q, 1e6, 0.01, 1e-8, 0.0, 0.1) - 100_000_000 for q in (100.0, 400.0, 1600.0)]
    assert paid == [pytest.approx(1000, abs=2), pytest.approx(2000, abs=2), pytest.approx(4000, abs=2)]


def test_sigma_is_of_the_bars_before_the_one_that_fills() -> None:
    desk = costed(impact_eta=1.0)
    desk.want("momentum")
    for price in (100.0, 101.0, 100.0, 101.0):
        desk.slice({"AAA": price})
    sigma = float(desk.row()["sigma"])
    desk.want("momentum", target=0.0)
    order = in_state(desk.slice({"AAA": 101.0}), "INTENT")[0]
    sigma = float(desk.row()["sigma"])
    desk.slice({"AAA": (101.0, 150.0)})
    expected = 101.0 - 0.005 - sigma * math.sqrt(order.lots / 1e6) * 101.0
    assert desk.fills[0].price_micro == math.floor(expected * 1e6)


def test_one_volume_budget_a_bar_in_time_priority_and_the_rest_stays_open() -> None:
    desk = costed(volume_share=0.1)
    desk.want("momentum")
    first = in_state(desk.slice({"AAA": 100.0}), "INTENT")[0]
    desk.want("bullish")
    second = in_state(desk.slice({"AAA": 100.0}, volume=10_000), "INTENT")[0]  # 1000 of the first's 2500
    assert [fill.lots for fill in desk.fills] == [1000]
    desk.slice({"AAA": 100.0}, volume=20_000)
    assert [(fill.order_id, fill.lots) for fill in desk.fills] == [(first.order_id, 1500), (second.order_id, 500)]
    desk.slice({"AAA": 100.0}, volume=0)
    assert desk.fills == []
    desk.slice({"AAA": 100.0}, volume=1e6)
    assert [(fill.order_id, fill.lots) for fill in desk.fills] == [(second.order_id, second.lots - 500)]
    assert len({fill.execution_id for fill in desk.fills}) == 1
    assert desk.lots() == first.lots + second.lots
    desk.check_books()


@given(st.floats(0.0, 1e9), st.floats(1e-4, 1.0), st.sampled_from([1.0, 1e-4, 100.0]))
def test_a_budget_is_never_more_than_its_share(volume, share, unit) -> None:
    lots = budget_lots(volume, share, unit)
    assert 0 <= lots * unit <= volume * share * (1 + 1e-12)


def test_the_fee_is_a_part_of_the_notional_rounded_up(desk) -> None:
    desk = costed(fee_bps=1.0)
    _, fills = two_slices(desk, 0.4, 33.333333)
    notional = 1000 * fills[0].price_micro
    assert fills[0].fee_micro == -(-notional * 100 // 1_000_000)
    assert desk.account["cash"] == pytest.approx(1e6 - (notional + fills[0].fee_micro) * 1e-6, abs=1e-9)
    assert desk.account["fees"] == fills[0].fee_micro * 1e-6


def test_orders_expire_with_their_day() -> None:
    desk = Desk("AAA", costs=FREE | {"volume_share": 0.0001})
    desk.want("momentum")
    order = in_state(desk.slice({"AAA": 100.0}), "INTENT")[0]
    assert order.expires_ns == START_NS + DAY_NS
    desk.slice({"AAA": 100.0}, step_ns=DAY_NS - 2 * MINUTE_NS)
    assert desk.engine.open_orders()[0].state == "PARTIALLY_FILLED"
    expired = in_state(desk.slice({"AAA": 100.0}), "EXPIRED")
    assert [(each.order_id, each.filled_lots, each.reason) for each in expired] == [
        (order.order_id, 200, "end of session")
    ]
    desk.check_books()


def stock(at_ns: int) -> Desk:
    made = instrument("GOOG", asset_class="equity", calendar="XNYS")
    return Desk(made, at_ns=at_ns, costs=FREE | {"volume_share": 0.01})


def test_a_half_day_ends_at_one() -> None:
    desk = stock(DECEMBER_24)
    desk.want("momentum", "GOOG")
    order = in_state(desk.slice({"GOOG": 100.0}), "INTENT")[0]
    assert order.expires_ns == DECEMBER_24 + 210 * MINUTE_NS
    desk.slice({"GOOG": 100.0}, volume=1000, step_ns=208 * MINUTE_NS)
    assert desk.lots("GOOG") == 10
    expired = in_state(desk.slice({"GOOG": 100.0}, volume=1000), "EXPIRED")
    assert [each.filled_lots for each in expired] == [20]


def test_an_order_of_the_last_slice_is_the_next_sessions_and_fills_at_its_open() -> None:
    desk = stock(DECEMBER_23 + 389 * MINUTE_NS)
    desk.want("momentum", "GOOG")
    order = in_state(desk.slice({"GOOG": 100.0}), "INTENT")[0]
    assert order.expires_ns == DECEMBER_24 + 210 * MINUTE_NS
    assert desk.engine.open_orders()
    desk.slice({"GOOG": (104.0, 105.0)}, step_ns=DAY_NS - 389 * MINUTE_NS)
    assert [(fill.order_id, fill.reference_price, fill.broker_ns) for fill in desk.fills] == [
        (order.order_id, 104.0, DECEMBER_24)
    ]


def test_an_order_does_not_see_the_next_session_even_where_its_own_had_no_last_bar() -> None:
    desk = stock(DECEMBER_23)
    desk.want("momentum", "GOOG")
    order = in_state(desk.slice({"GOOG": 100.0}), "INTENT")[0]
    outputs = desk.slice({"GOOG": 100.0}, step_ns=DAY_NS)
    assert desk.fills == []
    assert [each.order_id for each in in_state(outputs, "EXPIRED")] == [order.order_id]
    again = in_state(outputs, "INTENT")
    assert [(each.lots, each.expires_ns) for each in again] == [(order.lots, DECEMBER_24 + 210 * MINUTE_NS)]
    desk.check_books()


def test_everything_expires_at_the_end_of_the_data_and_nothing_new_is_decided(desk) -> None:
    desk.want("momentum")
    order = in_state(desk.slice({"AAA": 100.0}), "INTENT")[0]
    desk.want("bullish")
    outputs = desk.slice(ended=True, step_ns=0)
    assert [(each.order_id, each.reason) for each in in_state(outputs, "EXPIRED")] == [(order.order_id, "end of data")]
    assert in_state(outputs, "INTENT") == []
    assert desk.engine.open_orders() == []
    assert of_type(outputs, "AccountEvent")
    desk.check_books()


def test_a_last_slice_with_bars_fills_and_then_leaves_nothing_open(desk) -> None:
    desk.want("momentum")
    desk.slice({"AAA": 100.0})
    desk.want("bullish")
    outputs = desk.slice({"AAA": 100.0}, ended=True)
    assert desk.lots() == 2500
    assert in_state(outputs, "INTENT") == []
    assert desk.engine.open_orders() == []
