"""From targets to lots: the formula, the band, what strategies cross among themselves."""

import msgspec
import pytest

from tests.engine.desk import ALMOST, FREE, Desk, in_state, instrument, of_type


def lots_of(outputs: list) -> dict[str, dict[str, int]]:
    return {order.symbol: order.lots_by_strategy for order in in_state(outputs, "INTENT")}


def test_lots_are_truncated_target_times_weight_times_equity_times_budget(desk) -> None:
    desk.want("momentum", target=0.777)
    desk.want("bearish", target=-0.3)
    assert lots_of(desk.slice({"AAA": 31.7})) == {
        "AAA": {"bearish": -int(0.3 * 250_000 / 31.7), "momentum": int(0.777 * 250_000 / 31.7)}
    }


def test_each_symbol_has_one_nth_of_the_budget_and_restricted_ones_do_not_count() -> None:
    desk = Desk(instrument("AAA"), instrument("BBB"), instrument("IDX", tradable=False), costs=FREE)
    for symbol in ("AAA", "BBB", "IDX"):
        desk.want("momentum", symbol)
    outputs = desk.slice({"AAA": 100.0, "BBB": 50.0, "IDX": 10.0})
    assert lots_of(outputs) == {"AAA": {"momentum": 1250}, "BBB": {"momentum": 2500}}


def test_a_coin_trades_in_its_lots_of_a_ten_thousandth() -> None:
    desk = Desk(instrument("BTC", lot_denominator=10_000), costs=FREE)
    desk.want("momentum", "BTC")
    assert lots_of(desk.slice({"BTC": 47_000.0})) == {"BTC": {"momentum": int(250_000 / 47_000 * 10_000)}}
    desk.slice({"BTC": 47_000.0})
    view = desk.engine.view()
    assert view["positions"]["BTC"]["qty"] == pytest.approx(5.3191)
    assert view["account"]["equity"] == pytest.approx(
        view["account"]["cash"] + view["positions"]["BTC"]["value"], abs=1e-6
    )


def test_no_order_inside_the_band_and_a_target_of_zero_always_closes(desk) -> None:
    desk.want("momentum", target=0.5)
    desk.slice({"AAA": 100.0})
    desk.slice({"AAA": 100.0})
    for target, changes in ((0.59, False), (0.41, False), (0.61, True)):
        desk.want("momentum", target=target)
        assert bool(lots_of(desk.slice({"AAA": 100.0}))) is changes
    desk.slice({"AAA": 100.0})
    desk.want("momentum", target=0.5)
    desk.slice({"AAA": 100.0})
    desk.slice({"AAA": 100.0})
    for target in (0.05, 0.0):
        desk.want("momentum", target=target)
        desk.slice({"AAA": 100.0})
        desk.slice({"AAA": 100.0})
    assert desk.lots() == 0


def test_the_same_targets_again_bring_no_order(desk) -> None:
    for strategy in desk.engine.state.names:
        desk.want(strategy, target=0.7)
    desk.slice({"AAA": 100.0})
    assert all(lots_of(desk.slice({"AAA": 100.0})) == {} for _ in range(5))


def test_an_index_is_charted_and_never_traded_and_so_is_a_foreign_currency() -> None:
    desk = Desk(
        instrument("IDX", tradable=False), instrument("EURO", currency="EUR"), instrument("BAD", restricted=True)
    )
    for symbol in ("IDX", "EURO", "BAD"):
        desk.want("momentum", symbol)
    outputs = desk.slice({"IDX": 10.0, "EURO": 10.0, "BAD": 10.0})
    assert of_type(outputs, "OrderEvent") == []
    assert desk.engine.view()["symbols"]["EURO"]["last"] == 10.0
    assert desk.engine.state.strategies["unit_equity"].tolist() == [1e6] * 4


def test_crossed_lots_book_at_the_first_fills_price_and_partial_fills_go_pro_rata() -> None:
    desk = Desk("AAA", answers=False, costs=FREE)
    desk.want("bullish", target=1.0)
    desk.want("mean_reversion", target=0.5)
    desk.want("bearish", target=-0.6)
    order = in_state(desk.slice({"AAA": 100.0}), "INTENT")[0]
    assert order.lots == 2500 + 1250 - 1500
    trade = of_type(desk.fill(order, 9, 101.0, "a", fee_micro=10), "TradeEvent")[0]
    assert (trade.lots, trade.crossed_lots) == (9, 1500)
    assert trade.lots_by_strategy == {"bullish": 1000 + 6, "mean_reversion": 500 + 3, "bearish": -1500}
    assert trade.slippage == pytest.approx(9.0)
    state = desk.engine.state
    assert {n: int(state.books[s, 0]["fees_micro"]) for n, s in state.rows.items()} == {
        "bullish": 7, "bearish": 0, "mean_reversion": 3, "momentum": 0,
    }  # fmt: skip
    desk.check_books()
    desk.fill(order, order.lots - 9, 102.0, "b")
    assert [desk.held(name) for name in ("bullish", "mean_reversion", "bearish")] == [2500, 1250, -1500]
    desk.slice({"AAA": 102.0})
    strategies = desk.engine.view()["strategies"]
    assert strategies["bearish"]["pnl"] == pytest.approx(-1500.0)  # sold at 101, worth 102
    assert sum(s["pnl"] for s in strategies.values()) == pytest.approx(desk.account["equity"] - 1e6, abs=1e-6)


def test_a_net_of_zero_sends_no_order_and_crosses_at_the_next_open(desk) -> None:
    desk.want("bullish", target=0.8)
    desk.want("bearish", target=-0.8)
    outputs = desk.slice({"AAA": 100.0})
    assert of_type(outputs, "OrderEvent") == []
    assert desk.held("bullish") == 0
    desk.check_books()
    trades = of_type(desk.slice({"AAA": (103.0, 104.0)}), "TradeEvent")
    assert [(t.price, t.lots, t.crossed_lots, t.fee_micro, t.lots_by_strategy) for t in trades] == [
        (103.0, 0, 2000, 0, {"bullish": 2000, "bearish": -2000})
    ]
    assert (desk.held("bullish"), desk.held("bearish"), desk.lots()) == (2000, -2000, 0)
    assert desk.account["equity"] == 1e6
    assert desk.engine.view()["strategies"]["bullish"]["pnl"] == pytest.approx(2000.0)
    assert of_type(desk.slice({"AAA": 104.0}), "TradeEvent") == []


def test_a_crossing_waits_for_its_own_symbols_bar() -> None:
    desk = Desk("AAA", "BBB", costs=FREE)
    desk.want("bullish", "AAA", 0.8)
    desk.want("bearish", "AAA", -0.8)
    desk.slice({"AAA": 100.0, "BBB": 10.0})
    assert of_type(desk.slice({"BBB": 10.0}), "TradeEvent") == []
    assert desk.engine.state.crossing
    assert of_type(desk.slice({"AAA": 90.0}), "TradeEvent")[0].price == 90.0
    assert not desk.engine.state.crossing


def test_nothing_is_crossed_in_a_symbol_that_is_halted_or_killed(desk) -> None:
    desk.want("bullish", target=0.8)
    desk.want("bearish", target=-0.8)
    desk.control("halt", "symbol", "AAA")
    desk.slice({"AAA": 100.0})
    assert of_type(desk.slice({"AAA": 100.0}), "TradeEvent") == []
    desk.control("release", "symbol", "AAA")
    desk.slice({"AAA": 100.0})
    desk.control("kill", "strategy", "bearish")
    assert of_type(desk.slice({"AAA": 100.0}), "TradeEvent") == []
    assert not desk.engine.state.books["crossing"].any()


def test_a_turned_target_cancels_what_works_before_it_sends_the_other_side() -> None:
    desk = Desk("AAA", costs=FREE | {"volume_share": 0.001})
    desk.want("momentum")
    desk.slice({"AAA": 100.0})
    desk.slice({"AAA": 100.0})  # 1000 of 2500
    desk.want("momentum", target=-1.0)
    outputs = desk.slice({"AAA": 100.0}, volume=0)
    assert [order.reason for order in in_state(outputs, "PENDING_CANCEL")] == ["targets turned"]
    turned = desk.slice({"AAA": 100.0})
    assert [(order.side, order.lots) for order in in_state(turned, "INTENT")] == [
        ("SELL", 1000 + int(0.25 * desk.account["equity"] / 100.0))
    ]
    desk.check_books()


def test_a_position_larger_than_one_order_may_be_leaves_in_several() -> None:
    desk = Desk("AAA", costs=FREE, limits={"max_order_value": 1e9}, weights=ALMOST)
    for strategy in desk.engine.state.names:
        desk.want(strategy)
    desk.slice({"AAA": 100.0})
    desk.slice({"AAA": 100.0})
    chosen = desk.configuration

    limits = msgspec.structs.replace(chosen.settings.limits, max_order_value=400_000.0)
    smaller = msgspec.structs.replace(
        chosen, version=2, settings=msgspec.structs.replace(chosen.settings, limits=limits)
    )
    desk.control("configure", content=msgspec.Raw(msgspec.json.encode(smaller)), request_id="2")
    for strategy in desk.engine.state.names:
        desk.want(strategy, target=0.0)
    sizes = []
    for _ in range(5):
        sizes += [order.lots for order in in_state(desk.slice({"AAA": 100.0}), "INTENT")]
    assert sum(sizes) == 9996
    assert max(sizes) == 4000
    assert desk.lots() == 0
    assert desk.engine.view()["strategies"]["momentum"]["enabled"]


def test_a_unit_book_has_the_whole_account_whatever_the_weight() -> None:
    desk = Desk("AAA", costs=FREE, weights={"momentum": 0.0, "bullish": 0.25})
    desk.want("momentum")
    desk.slice({"AAA": 100.0})
    desk.slice({"AAA": 100.0})
    assert desk.lots() == 0
    desk.slice({"AAA": 110.0})
    units = desk.engine.view()["strategies"]
    assert units["momentum"]["unit_equity"] == pytest.approx(1_099_950.0, abs=1.0)  # 10,000 at 100.005
    assert units["bullish"]["unit_equity"] == 1e6
    assert units["momentum"]["pnl"] == 0.0
