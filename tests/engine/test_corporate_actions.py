"""Splits, dividends and the financing of shorts: what they do to books, marks, orders and policies."""

import dataclasses
from fractions import Fraction

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.adjustments import finance_short, pay_dividend, split_books
from engine.engine import Engine
from engine.layout import ACCOUNT, BOOK, SYMBOL
from engine.ledger import book_net, book_share, financing_micro, trade_fee
from events.types import CorporateActionEvent, MarketSlice, TimerEvent
from market.feeds.port import FeedRequest
from market.feeds.replay import feed as replay
from tests.engine.desk import DAY_NS, FREE, START_NS, TINY_TICK, Desk, bar, encoded, in_state, instrument, of_type
from tests.engine.tape import Tape, configuration_of, slices

SHARE = instrument("AAA", asset_class="equity", calendar="XNYS", tick=TINY_TICK)
MONDAY_CLOSE = 1_549_918_800_000_000_000  # 2019-02-11 16:00 in New York


def action(symbol: str = "AAA", kind: str = "split", at_ns: int = 0, **fields: int) -> CorporateActionEvent:
    return CorporateActionEvent(feed="test", symbol=symbol, kind=kind, effective_from_ns=at_ns, **fields)


def take(desk: Desk, event: CorporateActionEvent) -> list:
    """As the worker does: what was due before it, the action, the broker's answers."""
    outputs = []
    while (instant := desk.engine.due(event.effective_from_ns)) is not None:
        outputs += desk.engine.on_timer(TimerEvent(instant_ns=instant))
    outputs += desk.engine.on_corporate_action(event)
    return outputs + desk.answer(outputs)


def holding(*targets: tuple[str, float], price: float = 100.0, **costs: float) -> Desk:
    """Return a desk whose strategies hold what they wanted."""
    desk = Desk(instrument("AAA", tick=TINY_TICK), costs=FREE | costs)
    for strategy, target in targets:
        desk.want(strategy, target=target)
    desk.slice({"AAA": price})
    desk.slice({"AAA": price})
    desk.check_books()
    return desk


def test_a_split_multiplies_lots_and_divides_prices_and_no_money_moves() -> None:
    desk = holding(("momentum", 0.5), ("bearish", -0.2))
    before, lots = desk.account, desk.lots()
    held = {name: desk.held(name) for name in ("momentum", "bearish")}
    (adjusted,) = of_type(take(desk, action(numerator=7)), "AdjustmentEvent")
    desk.check_books()
    assert desk.lots() == 7 * lots == adjusted.lots
    assert {name: desk.held(name) for name in held} == {name: 7 * lots for name, lots in held.items()}
    assert float(desk.row()["mark"]) == pytest.approx(100 / 7, rel=1e-15)
    assert adjusted.cash_micro == 0
    for name in ("cash", "equity", "realised", "high_water"):
        assert desk.account[name] == pytest.approx(before[name], abs=1e-6), name
    desk.slice({"AAA": 100 / 7})
    assert not desk.engine.state.orders, "the targets are met by seven times as many shares at a seventh of the price"
    assert desk.account["equity"] == pytest.approx(before["equity"], abs=1e-4)
    assert float(desk.row()["sigma"]) == pytest.approx(0.0, abs=1e-12), "a split is no return"


def test_a_split_scales_the_average_volume_that_orders_are_sliced_by() -> None:
    desk = holding(("momentum", 0.5))
    before = float(desk.row()["volume_average"])
    assert before > 0
    take(desk, action(numerator=7))
    assert float(desk.row()["volume_average"]) == pytest.approx(7 * before)


def test_fractions_of_a_lot_are_settled_in_cash_at_the_mark() -> None:
    desk = holding(("momentum", 0.3337), ("bullish", 0.2221))
    before, lots = desk.account, desk.lots()
    assert lots % 20
    (adjusted,) = of_type(take(desk, action(denominator=20)), "AdjustmentEvent")
    desk.check_books()
    assert desk.lots() == lots // 20
    fraction = Fraction(lots % 20, 20)
    assert adjusted.cash_micro == int(fraction * 2000 * 10**6)
    assert sum(adjusted.cash_by_strategy_micro.values()) == adjusted.cash_micro
    assert desk.account["cash"] == pytest.approx(before["cash"] + float(fraction) * 2000, abs=1e-6)
    assert desk.account["equity"] == pytest.approx(before["equity"], abs=1e-5)


def test_working_orders_of_the_symbol_are_cancelled_and_no_old_lot_fills() -> None:
    desk = Desk(instrument("AAA", tick=TINY_TICK), instrument("BBB", tick=TINY_TICK), costs=FREE)
    desk.want("momentum", "AAA", 0.5)
    desk.want("momentum", "BBB", 0.5)
    desk.slice({"AAA": 100.0, "BBB": 100.0})
    outputs = take(desk, action(numerator=2))
    assert [order.symbol for order in in_state(outputs, "CANCELED")] == ["AAA"]
    desk.check_books()
    desk.slice({"AAA": 50.0, "BBB": 100.0})
    assert [fill.symbol for fill in desk.fills] == ["BBB"]


def test_lots_that_wait_to_cross_are_forgotten() -> None:
    desk = Desk(instrument("AAA", tick=TINY_TICK), costs=FREE)
    desk.want("momentum", target=0.5)
    desk.want("bearish", target=-0.5)
    desk.slice({"AAA": 100.0})
    assert desk.engine.state.crossing
    take(desk, action(numerator=2))
    assert not desk.engine.state.crossing
    desk.slice({"AAA": 50.0})
    desk.slice({"AAA": 50.0})
    desk.check_books()
    assert desk.held("momentum") == -desk.held("bearish") == 2500


def test_dividends_are_received_by_longs_and_paid_by_shorts() -> None:
    desk = holding(("momentum", 0.5), ("bearish", -0.2))
    before, long, short = desk.account, desk.held("momentum"), desk.held("bearish")
    (adjusted,) = of_type(take(desk, action(kind="dividend", amount_micro=1_234_567)), "AdjustmentEvent")
    assert adjusted.cash_by_strategy_micro == {"bearish": short * 1_234_567, "momentum": long * 1_234_567}
    assert adjusted.cash_micro == (long + short) * 1_234_567
    account = desk.account
    assert account["dividends"] == pytest.approx((long + short) * 1.234567)
    assert account["realised"] == pytest.approx(account["dividends"])
    assert account["cash"] == pytest.approx(before["cash"] + account["dividends"])
    assert account["equity"] == pytest.approx(before["equity"], abs=1e-6), "the mark goes ex with it"
    desk.slice({"AAA": 100.0 - 1.234567})
    assert float(desk.row()["sigma"]) == pytest.approx(0.0, abs=1e-9), "and a dividend is no loss"


@pytest.mark.parametrize(
    "event",
    [
        action("NONE", numerator=2), action(numerator=0), action(denominator=0), action(numerator=10**7),
        action(kind="dividend"), action(kind="dividend", amount_micro=-1),
    ],
)  # fmt: skip
def test_an_impossible_action_changes_nothing_and_says_so(event) -> None:
    desk = holding(("momentum", 0.5))
    before = desk.engine.snapshot()
    (alert,) = of_type(take(desk, event), "RiskAlert")
    assert alert.rule == "ACTION_REFUSED"
    assert desk.engine.snapshot() == before


# --- policies ---------------------------------------------------------------------------------------------------------


def split_tape(station_free_market: list[MarketSlice], at: int, ratio: int) -> list[MarketSlice]:
    """The same market after a split at a slice: a share is worth a ratio-th, ratio times as many are traded."""

    def scaled(each):
        prices = {name: getattr(each, name) / ratio for name in ("open", "high", "low", "close")}
        return msgspec.structs.replace(each, volume=each.volume * ratio, **prices)

    late = [msgspec.structs.replace(s, bars=[scaled(b) for b in s.bars]) for s in station_free_market[at:]]
    return station_free_market[:at] + late


def signals(tape: Tape) -> list[bytes]:
    return encoded(output for step in tape.outputs for output in step if output.type == "SignalEvent")


def wandering(days: int) -> list[MarketSlice]:
    chance, price, made = np.random.default_rng(7), 128.0, []
    for k in range(days * 24):
        close_ns = START_NS + (k + 1) * 3_600_000_000_000
        opened, price = price, price * float(1 + chance.normal(0, 0.01))
        made.append(
            MarketSlice(
                feed="test", position="0-0", close_ns=close_ns,
                bars=[bar("AAA", close_ns, (opened, price), volume=1e6, interval_s=3600)],
            )
        )  # fmt: skip
    return made


def test_no_policy_notices_a_split() -> None:
    """A power of two changes no bit: what the policies say is the same to the last one, before and after."""
    market, at = wandering(20), 301
    chosen = Desk(instrument("AAA", tick=TINY_TICK)).configuration
    whole, split = Tape(chosen), Tape(chosen)
    whole.run(market)
    after = split_tape(market, at, 8)
    split.run(after[:at])
    take(split.desk, action(at_ns=after[at - 1].close_ns, numerator=8))
    split.run(after[at:])
    assert len(signals(whole)) > 50
    assert signals(split) == signals(whole)
    blind = Tape(chosen)
    blind.run(after)
    assert signals(blind) != signals(whole), "without the action they would have taken it for a crash"


def test_a_policy_that_names_no_prices_starts_anew() -> None:
    desk = holding(("momentum", 0.5))
    state = desk.engine.state
    s = state.rows["momentum"]
    state.runs[s].state["count"][0] = 99
    state.runs[s].policy = dataclasses.replace(state.runs[s].policy, prices=None)
    take(desk, action(numerator=7))
    assert int(state.runs[s].state["count"][0]) == 0
    assert float(state.books[s, 0]["target"]) == 0.0
    desk.slice({"AAA": 100 / 7})
    assert [order.side for order in desk.engine.open_orders()] == ["SELL"]


@pytest.mark.realdata
def test_apples_seven_for_one_is_no_crash(station_data) -> None:
    request = FeedRequest(
        argument=str(station_data / "us_day1_lean_to2015.parquet"), symbols=("AAPL",),
        actions=station_data / "us_factors_lean.parquet",
    )  # fmt: skip
    feed = replay.open_feed(request)
    chosen = configuration_of(feed)
    events = [event for batch in feed.batches() for event in batch.events]
    actions = [event for event in events if isinstance(event, CorporateActionEvent)]
    assert [(a.numerator, a.denominator) for a in actions if a.kind == "split"] == [(2, 1), (2, 1), (7, 1)]
    market = slices(feed)[-500:]  # 2014 and 2015
    told, untold = Tape(chosen), Tape(chosen)
    untold.run(market)
    desk, waiting = told.desk, [a for a in actions if a.effective_from_ns > market[0].close_ns]
    worst = 1.0
    for one in market:
        while waiting and waiting[0].effective_from_ns <= one.close_ns:
            take(desk, waiting.pop(0))
        before = desk.account["equity"]
        told.run([one])
        worst = min(worst, desk.account["equity"] / before)
        desk.check_books()
    assert not waiting
    assert worst > 0.97, "no day lost more than a day of trading can"
    assert float(desk.row("AAPL")["sigma"]) < 0.05
    assert signals(told) != signals(untold)
    account = desk.account
    value = sum(position["value"] for position in desk.engine.view()["positions"].values())
    assert account["equity"] == pytest.approx(account["cash"] + value, abs=0.01)


# --- financing --------------------------------------------------------------------------------------------------------


def test_shorts_are_charged_after_each_session_for_the_nights_to_come() -> None:
    desk = Desk(SHARE, at_ns=MONDAY_CLOSE - 3 * 60_000_000_000, costs=FREE | {"financing_bps": 360.0})
    desk.want("bearish", target=-0.5)
    desk.want("momentum", target=0.1)
    desk.slice({"AAA": 100.0})
    desk.slice({"AAA": 100.0})
    lots = desk.lots()
    assert lots < 0
    desk.slice({"AAA": 100.0})
    assert desk.account["financing"] == 0.0, "the session's close is still its own"
    before = desk.account["cash"]
    outputs = desk.slice({}, step_ns=60_000_000_000)
    (charged,) = of_type(outputs, "AdjustmentEvent")
    assert charged.engine_ns == MONDAY_CLOSE + 1
    assert charged.cash_micro == -financing_micro(-lots * 100_000_000, 36_000, 1) == lots * 10_000
    assert charged.cash_by_strategy_micro == {"bearish": charged.cash_micro}, "the long one pays nothing"
    assert desk.account["cash"] == pytest.approx(before + lots * 0.01)
    assert desk.account["financing"] == pytest.approx(-lots * 0.01)
    assert desk.account["fees"] == 0.0
    friday = MONDAY_CLOSE + 4 * DAY_NS
    charges = []
    while (instant := desk.engine.due(friday + DAY_NS)) is not None:
        charges += of_type(desk.engine.on_timer(TimerEvent(instant_ns=instant)), "AdjustmentEvent")
    assert [c.cash_micro // charged.cash_micro for c in charges] == [1, 1, 1, 4], "over Presidents' Day, four nights"
    profit = sum(s["pnl"] for s in desk.engine.view()["strategies"].values())
    assert profit == pytest.approx(desk.account["equity"] - 1e6, abs=1e-6)


def test_nothing_is_charged_by_default_and_a_market_without_close_pays_at_midnight() -> None:
    for rate, times in ((0.0, 0), (100.0, 2)):
        desk = Desk(instrument("AAA", tick=TINY_TICK), costs=FREE | {"financing_bps": rate})
        desk.want("bearish", target=-0.5)
        outputs = [output for _ in range(50) for output in desk.slice({"AAA": 100.0}, step_ns=3_600_000_000_000)]
        assert len(of_type(outputs, "AdjustmentEvent")) == times
        kept = Engine.restore(desk.engine.snapshot())
        assert kept.financing.due == desk.engine.financing.due
        assert kept.snapshot() == desk.engine.snapshot()


# --- fees -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("schedule", "lots", "maker", "fee"),
    [
        ({"taker_bps": 10.0, "maker_bps": -1.0}, 100, False, 10_000_000),
        ({"taker_bps": 10.0, "maker_bps": -1.0}, 100, True, -1_000_000),
        ({"taker_bps": 10.0}, 100, True, 10_000_000),
        ({"per_unit": 0.0035, "minimum": 0.35}, 99, False, 350_000),
        ({"per_unit": 0.0035, "minimum": 0.35}, 100, False, 350_000),
        ({"per_unit": 0.0035, "minimum": 0.35}, 101, False, 353_500),
        ({"per_unit": 0.0035, "taker_bps": 0.1}, 1, False, 4_500),
    ],
)
def test_a_venues_schedule(schedule, lots, maker, fee) -> None:
    fees = [{"exchange": "TEST", **schedule}]
    desk = Desk("AAA", instrument("BBB", exchange="OTHER"), costs={"fees": fees})
    row = desk.row()
    assert trade_fee(row, lots, lots * 100_000_000, maker) == fee
    assert trade_fee(desk.row("BBB"), 1, 100_000_000, maker) == 10_000, "everybody else pays costs.fee_bps"


def test_fills_and_unit_books_pay_their_venues_fee() -> None:
    fees = [{"asset_class": "crypto", "per_unit": 0.01, "minimum": 5.0}]
    desk = Desk(instrument("AAA", tick=TINY_TICK), costs=FREE | {"fees": fees})
    desk.want("momentum", target=0.5)
    desk.slice({"AAA": 100.0})
    desk.slice({"AAA": 100.0})
    assert desk.account["fees"] == pytest.approx(max(5.0, desk.lots() * 0.01))
    state = desk.engine.state
    s = state.rows["momentum"]
    unit = int(state.books[s, 0]["unit_lots"])
    left = 10**12 - unit * 100_000_001 - max(5_000_000, unit * 10_000)  # half a tiny tick is rounded up to a micro-unit
    assert int(state.strategies[s]["unit_cash_micro"]) == left


# --- the books always are the account ---------------------------------------------------------------------------------

STEP = st.one_of(
    st.tuples(st.just("fill"), st.lists(st.integers(-60, 60), min_size=3, max_size=3), st.integers(10**4, 10**9)),
    st.tuples(st.just("cross"), st.integers(-40, 40), st.integers(10**4, 10**9)),
    st.tuples(st.just("split"), st.integers(1, 7), st.integers(1, 7)),
    st.tuples(st.just("dividend"), st.integers(1, 10**7), st.just(0)),
    st.tuples(st.just("financing"), st.integers(1, 10**5), st.integers(1, 4)),
)


class Books:
    """One symbol of three strategies and an account, moved by every way there is."""

    def __init__(self, lot: tuple[int, int]) -> None:
        self.symbols, self.books, self.account = np.zeros(1, SYMBOL), np.zeros((3, 1), BOOK), np.zeros(1, ACCOUNT)
        self.symbols["lot_numerator"], self.symbols["lot_denominator"] = lot
        self.row, self.unit, self.turnover = self.symbols[0], lot[0] / lot[1], 0.0

    def trade(self, lots: list[int], micro: int) -> None:
        for s, each in enumerate(lots):
            if each:
                book_share(self.books, s, 0, each, micro * 1e-6, self.unit)
        if net := sum(lots):
            book_net(self.symbols, 0, self.account, net, micro, 0, 0.0)
            self.row["mark"] = micro * 1e-6
        self.turnover += sum(map(abs, lots)) * self.unit * micro * 1e-6

    def adjust(self, kind: str, first: int, second: int) -> None:
        tables = self.symbols, self.books, 0, self.account
        total, shares = 0, [0]
        if kind == "split":
            self.row["mark"] *= second / first
            total, shares, _ = split_books(*tables, first, second)
            self.turnover += 3 * self.unit * float(self.row["mark"])
        elif kind == "dividend":
            total, shares = pay_dividend(*tables, Fraction(first))
        elif self.row["lots"] < 0:
            total, shares = finance_short(*tables, first, second)
        self.turnover += abs(total) * 1e-6
        assert sum(shares) == total

    def check(self, steps: int) -> None:
        row, books = self.row, self.books
        assert int(books["lots"].sum()) == int(row["lots"])
        profit = books["realised"].sum() + books["realised_rest"].sum()
        basis = books["basis"].sum() + books["basis_rest"].sum()
        net = float(row["realised"] + row["realised_rest"] - row["basis"] - row["basis_rest"])
        tolerance = 1e-12 * self.turnover + 1e-9
        assert profit - basis == pytest.approx(net, abs=tolerance), "realised less cost: what went through the account"
        cash = int(self.account[0]["cash_micro"]) * 1e-6
        assert net == pytest.approx(cash, abs=tolerance + 2e-6 * steps), "cash: but for rounding against us"


@settings(max_examples=100)
@given(st.lists(STEP, min_size=1, max_size=25), st.sampled_from([(1, 1), (1, 10_000), (100, 1)]))
def test_the_strategies_books_add_up_to_the_account(steps, lot) -> None:
    books = Books(lot)
    for kind, first, second in steps:
        if kind == "fill":
            books.trade(first, second)
        elif kind == "cross":
            books.trade([first, 0, -first], second)
        else:
            books.adjust(kind, first, second)
        books.check(len(steps))
