"""Limit, stop and stop-limit orders, their time in force, and real quotes: what one slice does to them."""

import pytest

from engine.engine import Engine
from engine.orders import Order, Terms
from events.types import Bar, MarketSlice, Quote
from tests.engine.desk import DAY_NS, FREE, MINUTE_NS, START_NS, Desk, in_state, instrument, of_type


class Market:
    """A desk whose next orders trade on given terms: what the terms decide is all that differs."""

    def __init__(self, monkeypatch, *, at_ns: int = START_NS, tick: float = 0.01, **costs: float) -> None:
        made = instrument("AAA", tick=tick)
        self.desk = Desk(
            made, at_ns=at_ns, costs=FREE | costs,
            limits={"max_order_value": 1e9, "price_collar": 0.5, "max_gross": 10.0, "max_position": 10.0},
        )  # fmt: skip
        self.terms = Terms()
        monkeypatch.setattr("engine.engine.terms_of", lambda *_: self.terms)

    def order(
        self, terms: Terms, strategy: str = "momentum", target: float = 1.0, price: float = 100.0, volume: float = 1e6
    ) -> Order:
        self.terms = terms
        self.desk.want(strategy, target=target)
        return in_state(self.desk.slice({"AAA": price}, volume), "INTENT")[0]

    def bar(self, opened: float, high: float, low: float, close: float, volume: float = 1e6, **fields):
        """Feed one bar; return (price, lots) of its fills and all outputs."""
        end = self.desk.now_ns + MINUTE_NS
        made = Bar(
            feed="test", symbol="AAA", open_ns=end - MINUTE_NS, interval_s=60, open=opened, high=high, low=low,
            close=close, volume=volume, close_ns=end,
        )  # fmt: skip
        outputs = self.desk.feed(MarketSlice(feed="test", position="0-0", close_ns=end, bars=[made], **fields))
        return [(_rounded(fill.price_micro), fill.lots) for fill in self.desk.fills], outputs

    def prices(self, *bar: float, **fields) -> list[float]:
        return [price for price, _ in self.bar(*bar, **fields)[0]]


def _rounded(price_micro: int) -> float:
    """Forget the micro-unit against us that half of the smallest tick costs."""
    return round(price_micro / 1e6, 5)


@pytest.fixture
def market(monkeypatch) -> Market:
    return Market(monkeypatch, tick=1e-6)  # half a tick is no spread


def ticks(price: float) -> int:
    return round(price * 1e6)


@pytest.mark.parametrize(
    ("target", "limit", "bar", "price"),
    [
        (1.0, 99.0, (100.0, 101.0, 99.0, 100.0), None),  # touched, not traded through
        (1.0, 99.0, (100.0, 101.0, 98.9, 100.0), 99.0),
        (1.0, 99.0, (98.0, 100.0, 97.0, 99.0), 98.0),  # the open betters it
        (1.0, 99.0, (99.0, 100.0, 99.0, 100.0), None),  # the open touches it
        (-1.0, 101.0, (100.0, 101.0, 99.0, 100.0), None),
        (-1.0, 101.0, (100.0, 101.1, 99.0, 100.0), 101.0),
        (-1.0, 101.0, (102.0, 103.0, 101.5, 102.0), 102.0),
    ],
)
def test_a_limit_fills_where_it_is_traded_through_and_at_a_better_open(market, target, limit, bar, price) -> None:
    order = market.order(Terms("LIMIT", limit_ticks=ticks(limit)), target=target)
    assert (order.type, order.limit_ticks, order.time_in_force) == ("LIMIT", ticks(limit), "DAY")
    assert market.prices(*bar) == ([] if price is None else [price])


@pytest.mark.parametrize(
    ("target", "stop", "bar", "price"),
    [
        (1.0, 101.0, (100.0, 100.9, 99.0, 100.0), None),
        (1.0, 101.0, (100.0, 101.0, 99.0, 100.0), 101.0),  # reached inside the bar: at the stop
        (1.0, 101.0, (103.0, 104.0, 102.0, 103.0), 103.0),  # a gap through it: at the open
        (-1.0, 99.0, (100.0, 101.0, 98.0, 99.5), 99.0),
        (-1.0, 99.0, (97.0, 98.0, 96.0, 97.0), 97.0),
    ],
)
def test_a_stop_fills_at_the_stop_and_after_a_gap_at_the_open(market, target, stop, bar, price) -> None:
    market.order(Terms("STOP", stop_ticks=ticks(stop)), target=target)
    assert market.prices(*bar) == ([] if price is None else [price])


def test_a_stop_pays_spread_and_impact_and_a_limit_does_not(monkeypatch) -> None:
    market = Market(monkeypatch, tick=1e-6, half_spread_bps=10.0)
    market.order(Terms("STOP", stop_ticks=ticks(101.0)))
    assert market.prices(100.0, 102.0, 100.0, 100.0) == [pytest.approx(101.0 * 1.001, abs=1e-6)]
    market = Market(monkeypatch, tick=1e-6, half_spread_bps=10.0)
    market.order(Terms("LIMIT", limit_ticks=ticks(99.0)))
    assert market.prices(100.0, 101.0, 98.0, 100.0) == [99.0]


def test_a_stop_that_was_reached_stays_a_market_order(market) -> None:
    order = market.order(Terms("STOP", stop_ticks=ticks(101.0)))
    fills, _ = market.bar(100.0, 101.5, 100.0, 100.0, volume=500)
    assert fills == [(101.0, 500)]
    assert market.bar(90.0, 91.0, 89.0, 90.0)[0] == [(90.0, order.lots - 500)]


def test_a_stop_that_met_no_volume_is_reached_all_the_same(market) -> None:
    order = market.order(Terms("STOP", stop_ticks=ticks(101.0)))
    assert market.prices(100.0, 101.5, 100.0, 100.0, volume=0) == []
    assert market.bar(95.0, 96.0, 94.0, 95.0)[0] == [(95.0, order.lots)]


@pytest.mark.parametrize(
    ("stop", "limit", "bar", "price"),
    [
        (101.0, 102.0, (100.0, 101.5, 99.0, 100.0), 101.0),  # reached inside, its limit is better than the stop
        (101.0, 102.0, (101.5, 103.0, 101.0, 102.5), 101.5),  # reached at the open, within its limit
        (101.0, 102.0, (103.0, 104.0, 102.5, 103.0), None),  # a gap beyond both: it waits at its limit
        (101.0, 102.0, (103.0, 104.0, 101.5, 101.5), 102.0),  # and is traded through before the close
        (101.0, 101.0, (100.0, 101.5, 99.0, 101.2), None),
        (101.0, 101.0, (100.0, 101.5, 99.0, 100.5), 101.0),  # the close is after the stop: traded through
    ],
)
def test_a_stop_limit_is_a_stop_that_never_pays_more_than_its_limit(market, stop, limit, bar, price) -> None:
    market.order(Terms("STOP_LIMIT", limit_ticks=ticks(limit), stop_ticks=ticks(stop)))
    assert market.prices(*bar) == ([] if price is None else [price])


def test_a_stop_limit_waits_as_a_limit_once_it_was_reached(market) -> None:
    market.order(Terms("STOP_LIMIT", limit_ticks=ticks(102.0), stop_ticks=ticks(101.0)))
    assert market.prices(103.0, 104.0, 102.5, 103.0) == []
    market.desk.engine = Engine.restore(market.desk.engine.snapshot())
    market.desk.silence()
    assert market.prices(103.0, 103.0, 102.0, 103.0) == []
    assert market.prices(103.0, 103.0, 101.9, 103.0) == [102.0]


def test_a_stop_limit_pays_the_spread_up_to_its_limit(monkeypatch) -> None:
    market = Market(monkeypatch, tick=1e-6, half_spread_bps=100.0)
    market.order(Terms("STOP_LIMIT", limit_ticks=ticks(101.5), stop_ticks=ticks(101.0)))
    assert market.prices(100.0, 102.0, 100.0, 101.0) == [101.5]


def test_stops_go_before_limits_and_both_in_time_priority_out_of_one_budget(market) -> None:
    limit = market.order(Terms("LIMIT", limit_ticks=ticks(99.0)), "momentum")
    first = market.order(Terms("STOP", stop_ticks=ticks(101.0)), "bullish")
    second = market.order(Terms("STOP", stop_ticks=ticks(101.0)), "bearish", target=1.0)
    volume = first.lots + 300
    market.bar(100.0, 102.0, 98.0, 100.0, volume=volume)
    assert [(fill.order_id, fill.lots) for fill in market.desk.fills] == [
        (first.order_id, first.lots), (second.order_id, 300),
    ]  # fmt: skip
    market.bar(100.0, 102.0, 98.0, 100.0, volume=1e6)
    assert [fill.order_id for fill in market.desk.fills] == [limit.order_id, second.order_id]
    market.desk.check_books()


def test_ioc_cancels_what_its_first_bar_does_not_fill(market) -> None:
    order = market.order(Terms(time_in_force="IOC"))
    market.desk.slice({})  # no bar of the symbol: it waits for its first
    assert market.desk.engine.open_orders()[0].order_id == order.order_id
    market.desk.want("momentum", target=0.0)
    _, outputs = market.bar(100.0, 100.0, 100.0, 100.0, volume=700)
    ended = in_state(outputs, "CANCELED")
    assert [(each.order_id, each.filled_lots, each.reason) for each in ended] == [
        (order.order_id, 700, "immediate or cancel")
    ]
    market.desk.check_books()


def test_gtc_outlives_its_session_and_day_does_not(monkeypatch) -> None:
    for tif, left in (("GTC", 1), ("DAY", 0)):
        market = Market(monkeypatch, tick=1e-6)
        order = market.order(Terms("LIMIT", limit_ticks=ticks(90.0), time_in_force=tif))
        assert (order.expires_ns is None) == (tif == "GTC")
        market.desk.control("maintenance")  # nothing new, what works stays
        market.desk.slice({"AAA": 100.0}, step_ns=DAY_NS)
        assert len(market.desk.engine.open_orders()) == left
        market.desk.slice({"AAA": 100.0}, ended=True)
        assert market.desk.engine.open_orders() == []


def test_a_limit_beyond_the_collar_is_denied_and_reserves_nothing(market) -> None:
    market.terms = Terms("LIMIT", limit_ticks=ticks(10.0))
    market.desk.want("momentum")
    denied = in_state(market.desk.slice({"AAA": 100.0}), "RISK_DENIED")
    assert [(each.reason, each.type, each.limit_ticks) for each in denied] == [("PRICE_COLLAR", "LIMIT", ticks(10.0))]
    market.desk.check_books()
    market.terms = Terms()
    assert in_state(market.desk.slice({"AAA": 100.0}), "INTENT")


@pytest.mark.parametrize(
    ("terms", "says"),
    [
        (Terms("LIMIT"), "limit_ticks = None of a LIMIT order"),
        (Terms("STOP", stop_ticks=0), "stop_ticks = 0 of a STOP order"),
        (Terms("MARKET", limit_ticks=5), "limit_ticks = 5 is not for a MARKET order"),
        (Terms("STOP_LIMIT", limit_ticks=5), "stop_ticks = None of a STOP_LIMIT order"),
    ],
)
def test_terms_that_do_not_fit_say_which_field(terms, says) -> None:
    assert terms.fault.startswith(says)


def test_settings_make_every_order_a_limit_order() -> None:
    desk = Desk("AAA", costs=FREE, orders={"type": "LIMIT", "limit_bps": 25.0, "time_in_force": "IOC"})
    desk.want("momentum")
    order = in_state(desk.slice({"AAA": 100.0}), "INTENT")[0]
    assert (order.type, order.limit_ticks, order.time_in_force) == ("LIMIT", 10_025, "IOC")
    desk.want("momentum", target=-1.0)
    assert in_state(desk.slice({"AAA": 100.0}), "INTENT")[0].limit_ticks == 9_975


# --- quotes -----------------------------------------------------------------------------------------------------------


def quote(desk: Desk, bid: float, ask: float, size: float = 1e6, after_ns: int = 1) -> Quote:
    return Quote(
        feed="test", symbol="AAA", ts_ns=desk.now_ns + after_ns, bid=bid, bid_size=size, ask=ask, ask_size=size
    )


def three_orders(market: Market, *lots: int) -> None:
    """Buys of so many lots, the first of them first in time."""
    for strategy, wanted in zip(("bullish", "bearish", "mean_reversion"), lots, strict=True):
        capital = market.desk.engine.state.account[0]["equity"] * 0.25
        assert (
            market.order(Terms(), strategy, target=(wanted + 0.5) * 1000.0 / capital, price=1000.0, volume=0).lots
            == wanted
        )


def test_a_level_is_consumed_once(monkeypatch) -> None:
    market = Market(monkeypatch)
    market.desk = Desk(instrument("AAA"), costs=FREE | {"volume_share": 1e-4}, limits={"no_trade_band": 0.0})
    three_orders(market, 30, 50, 50)
    level = {"bid": 999.0, "ask": 1000.0, "size": 100.0}
    assert market.bar(1000.0, 1000.0, 1000.0, 1000.0, 1e9, quotes=[quote(market.desk, **level)])[0] == [
        (1000.0, 30), (1000.0, 50), (1000.0, 20),
    ]  # fmt: skip
    again = market.bar(1000.0, 1000.0, 1000.0, 1000.0, 1e9, quotes=[quote(market.desk, **level)])
    assert again[0] == []  # the same level, shown again, is the one that we have taken
    market.desk.engine = Engine.restore(market.desk.engine.snapshot())
    market.desk.silence()
    assert market.prices(1000.0, 1000.0, 1000.0, 1000.0, 1e9, quotes=[quote(market.desk, **level)]) == []
    renewed = quote(market.desk, 999.0, 1000.0, 10.0)
    assert market.bar(1000.0, 1000.0, 1000.0, 1000.0, 1e9, quotes=[renewed])[0] == [(1000.0, 10)]
    moved = quote(market.desk, 1000.0, 1000.5, 500.0)
    assert market.bar(1000.0, 1000.0, 1000.0, 1000.0, 1e9, quotes=[moved])[0] == [(1000.5, 20)]
    market.desk.check_books()


def test_a_sale_takes_the_bid_and_a_limit_takes_what_it_may(market) -> None:
    market.order(Terms("LIMIT", limit_ticks=ticks(100.5)))
    assert market.prices(101.0, 101.0, 101.0, 101.0, quotes=[quote(market.desk, 100.9, 101.1)]) == []
    assert market.prices(101.0, 101.0, 101.0, 101.0, quotes=[quote(market.desk, 100.1, 100.4)]) == [100.4]
    market.order(Terms(), target=-1.0, price=101.0)
    assert market.prices(101.0, 101.0, 101.0, 101.0, quotes=[quote(market.desk, 99.5, 100.5)]) == [99.5]


def test_a_quote_fills_a_market_order_where_the_minute_had_no_trade(market) -> None:
    order = market.order(Terms())
    end = market.desk.now_ns + MINUTE_NS
    shown = [quote(market.desk, 99.9, 100.1, 40.0), quote(market.desk, 90.0, 110.0, 9e9, after_ns=2)]
    market.desk.feed(MarketSlice(feed="test", position="0-0", close_ns=end, bars=[], quotes=shown))
    assert [(fill.order_id, fill.lots, fill.price_micro) for fill in market.desk.fills] == [
        (order.order_id, 40, 100_100_000)
    ]
    assert market.desk.fills[0].reference_price == pytest.approx(100.0)


def test_a_stop_pays_half_the_real_spread(market) -> None:
    market.order(Terms("STOP", stop_ticks=ticks(101.0)))
    assert market.prices(100.0, 102.0, 100.0, 100.0, quotes=[quote(market.desk, 99.9, 100.1)]) == [
        pytest.approx(101.1, abs=2e-6)
    ]


# --- changes ----------------------------------------------------------------------------------------------------------


def test_the_checks_of_an_intent_are_recorded_on_it(market) -> None:
    order = market.order(Terms())
    assert order.checked is not None
    assert {"KILLED", "PRICE_COLLAR", "MAX_GROSS", "ORDER_RATE"} <= set(order.checked.codes)
    assert order.checked.version == 1
    assert of_type(market.desk.slice({"AAA": 100.0}), "OrderEvent")[0].checked is None
