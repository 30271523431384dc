"""Real quotes beside real bars: what orders pay, and spreads that are none of an ordinary day's."""

import pytest

from events.types import Quote
from tests.engine.desk import DAY_NS, MINUTE_NS, Desk, of_type
from tests.engine.tape import Tape, configuration_of, of_files, slices

USUAL_SPREADS = 30  # quotes before a spread can be called wide


def quote(desk: Desk, spread: float, symbol: str = "AAA") -> Quote:
    """A quote of the instant at which the next bar begins, about 100."""
    half = spread / 2.0
    return Quote(
        feed="test", symbol=symbol, ts_ns=desk.now_ns, bid=100.0 - half, bid_size=500.0, ask=100.0 + half,
        ask_size=500.0,
    )  # fmt: skip


def minute(desk: Desk, spread: float) -> list[str]:
    """Feed a minute with one quote; return the symbols whose spread is said to be wide."""
    alerts = of_type(desk.slice({"AAA": 100.0}, quotes=[quote(desk, spread)]), "RiskAlert")
    return [alert.scope for alert in alerts if alert.rule == "SPREAD_WIDE"]


@pytest.fixture
def used_to_a_cent() -> Desk:
    desk = Desk("AAA")
    desk.silence()
    desk.slice({"AAA": 100.0})
    assert [minute(desk, 0.01) for _ in range(USUAL_SPREADS)] == [[]] * USUAL_SPREADS
    return desk


def test_a_spread_beyond_ten_times_the_usual_warns_once_a_session(used_to_a_cent) -> None:
    desk = used_to_a_cent
    assert minute(desk, 0.0999) == []
    assert minute(desk, 0.25) == ["symbol:AAA"]
    assert minute(desk, 0.25) == []
    assert desk.engine.state.universe.symbols[0]["halted"] == 0
    desk.slice({"AAA": 100.0}, step_ns=DAY_NS)
    assert minute(desk, 0.01) == []
    assert minute(desk, 0.25) == ["symbol:AAA"]


def test_what_is_wide_does_not_become_the_usual(used_to_a_cent) -> None:
    for _ in range(50):
        minute(used_to_a_cent, 0.25)
    used_to_a_cent.slice({"AAA": 100.0}, step_ns=DAY_NS)
    assert minute(used_to_a_cent, 0.25) == ["symbol:AAA"]


def test_the_book_before_the_open_is_not_judged(used_to_a_cent) -> None:
    desk = used_to_a_cent
    opened = int(desk.engine.state.universe.symbols[0]["session_open_ns"]) + DAY_NS
    desk.now_ns = opened - MINUTE_NS
    first = quote(desk, 0.5)
    desk.now_ns = opened
    shown = [Quote(**{name: getattr(first, name) for name in first.__struct_fields__} | {"ts_ns": opened})]
    alerts = of_type(desk.slice({"AAA": 100.0}, quotes=shown), "RiskAlert")
    assert [alert.rule for alert in alerts if alert.rule == "SPREAD_WIDE"] == []
    assert minute(desk, 0.25) == ["symbol:AAA"]


@pytest.mark.realdata
def test_real_orders_pay_the_quote_of_the_instant_they_were_decided_at(station_data) -> None:
    files = [station_data / f"us_min1_{kind}lean_2008-2023_days.parquet" for kind in ("", "quotes_")]
    feed = of_files(*files, symbols=("AIG", "BAC", "IBM", "SPY"))
    given = slices(feed)
    tape = Tape(configuration_of(feed))
    at_quote = 0
    for market in given:
        shown: dict[str, Quote] = {}
        for each in market.quotes:
            shown.setdefault(each.symbol, each)
        tape.run([market])
        for fill in tape.desk.fills:
            known = shown.get(fill.symbol)
            if known is None:
                continue
            price, size = (known.ask, known.ask_size) if fill.side == "BUY" else (known.bid, known.bid_size)
            assert fill.price_micro == pytest.approx(price * 1e6, abs=1)
            assert fill.lots <= size
            assert fill.broker_ns == known.ts_ns
            at_quote += 1
    assert at_quote > 20
    alerts = [each for step in tape.outputs for each in of_type(step, "RiskAlert") if each.rule == "SPREAD_WIDE"]
    assert alerts == []  # five ordinary sessions
    tape.desk.check_books()
