"""A share around Christmas beside a coin that never sleeps: phases, sessions, money."""

from datetime import UTC, datetime

import msgspec
import numpy as np
import pyarrow as pa
import pytest
from pyarrow import compute, parquet

from events.types import MarketSlice, TimerEvent
from tests.engine.desk import FREE, MINUTE_NS, Desk, configure, in_state, instrument, of_type
from tests.engine.tape import Tape, configuration_of, of_files, slices

SHIFT_DAYS = -2201
DAYS = ("2015-12-23", "2015-12-24", "2015-12-28")


def ns(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000_000


def write_shifted(source, target, days: int) -> None:
    """Copy BTC-PERP's bars of 2022-01-01..06, moved by whole days and labelled so."""
    table = parquet.read_table(source)
    start, end = pa.scalar(datetime(2022, 1, 1, tzinfo=UTC)), pa.scalar(datetime(2022, 1, 7, tzinfo=UTC))
    table = table.filter(compute.and_(compute.greater_equal(table["ts"], start), compute.less(table["ts"], end)))
    moved = compute.add(table["ts"], pa.scalar(np.timedelta64(days, "D").astype("timedelta64[us]")))
    labelled = pa.array([f"dydx (SHIFTED {days} days)"] * len(table))
    table = table.set_column(table.schema.get_field_index("ts"), "ts", moved)
    for name in ("exchange", "data_source"):
        table = table.set_column(table.schema.get_field_index(name), name, labelled)
    parquet.write_table(table, target)


@pytest.fixture(scope="module")
def mixed(station_data, tmp_path_factory) -> tuple[Tape, list]:
    folder = tmp_path_factory.mktemp("mixed")
    coin, share = folder / "SHIFTED_btcperp.parquet", folder / "goog.parquet"
    write_shifted(station_data / "crypto_min1_btcperp_2021-12-31_2022-02-01.parquet", coin, SHIFT_DAYS)
    table = parquet.read_table(station_data / "us_min1_lean_2008-2023_days.parquet", filters=[("sym", "==", "GOOG")])
    dates = compute.strftime(table["ts"], "%Y-%m-%d")
    parquet.write_table(table.filter(compute.is_in(dates, pa.array(DAYS))), share)
    feed = of_files(share, coin)
    tape = Tape(configuration_of(feed))
    given = slices(feed)
    tape.run(given)
    return tape, given


def in_session(open_ns: int, close_ns: int) -> bool:
    return any(
        open_ns < ns(f"{day} {end}") and close_ns > ns(f"{day} 14:30")
        for day, end in zip(DAYS, ("21:00", "18:00", "21:00"), strict=True)
    )


@pytest.mark.realdata
def test_both_trade_and_equity_is_cash_and_positions_to_the_cent(mixed) -> None:
    tape, _ = mixed
    view = tape.desk.engine.view()
    outputs = [output for step in tape.outputs for output in step]
    assert {trade.symbol for trade in of_type(outputs, "TradeEvent")} == {"BTC-PERP", "GOOG"}
    value = sum(position["value"] for position in view["positions"].values())
    assert round(view["account"]["equity"], 2) == round(view["account"]["cash"] + value, 2)
    assert sum(s["pnl"] for s in view["strategies"].values()) == pytest.approx(
        view["account"]["equity"] - 1e6, abs=0.005
    )
    for event in of_type(outputs, "AccountEvent"):
        assert event.equity == pytest.approx(event.cash_micro * 1e-6 + event.net, abs=0.005)
    tape.desk.check_books()


@pytest.mark.realdata
def test_out_of_session_bars_reach_no_mark_policy_or_fill(mixed) -> None:
    tape, given = mixed
    inside = outside = 0
    for market in given:
        for bar in market.bars:
            if bar.symbol == "GOOG" and in_session(bar.open_ns, bar.close_ns):
                inside += 1
            outside += bar.symbol == "GOOG" and not in_session(bar.open_ns, bar.close_ns)
    row = tape.desk.row("GOOG")
    assert outside > 100
    assert int(row["bars"]) == inside
    assert int(row["mark_ns"]) == ns("2015-12-28 21:00")
    outputs = [output for step in tape.outputs for output in step]
    for trade in of_type(outputs, "TradeEvent"):
        assert trade.symbol != "GOOG" or in_session(trade.engine_ns, trade.engine_ns + MINUTE_NS)
    for order in in_state(outputs, "INTENT"):
        assert order.symbol != "GOOG" or in_session(order.engine_ns - MINUTE_NS, order.engine_ns)
    for signal in of_type(outputs, "SignalEvent"):
        assert signal.symbol != "GOOG" or in_session(signal.engine_ns - MINUTE_NS, signal.engine_ns)


@pytest.mark.realdata
def test_orders_expire_at_their_own_calendars_close(mixed) -> None:
    tape, _ = mixed
    outputs = [output for step in tape.outputs for output in step]
    closes = {ns(f"{day} {end}") for day, end in zip(DAYS, ("21:00", "18:00", "21:00"), strict=True)}
    for order in in_state(outputs, "INTENT"):
        if order.symbol == "GOOG":
            assert order.expires_ns in closes | {ns("2015-12-29 21:00")}
        else:
            assert order.expires_ns % (1440 * MINUTE_NS) == 0
            assert 0 < order.expires_ns - order.engine_ns <= 1440 * MINUTE_NS


@pytest.mark.realdata
def test_the_coin_trades_through_christmas_and_the_weekend(mixed) -> None:
    tape, _ = mixed
    outputs = [output for step in tape.outputs for output in step]
    days = {
        datetime.fromtimestamp(s.engine_ns // 10**9, UTC).date().isoformat() for s in of_type(outputs, "SignalEvent")
    }
    assert {"2015-12-25", "2015-12-26", "2015-12-27"} <= days


@pytest.mark.realdata
def test_phases_follow_each_calendar_half_day_holiday_and_weekend_included(mixed) -> None:
    tape, _ = mixed
    outputs = [output for step in tape.outputs for output in step]
    entered = [(e.calendar, e.phase, e.engine_ns) for e in of_type(outputs, "PhaseEvent")]
    markets = [(phase, at) for calendar, phase, at in entered if calendar == "XNYS" and phase == "market"]
    assert [at for _, at in markets] == [ns(f"{day} 14:30") for day in DAYS]
    after = {at for calendar, phase, at in entered if calendar == "XNYS" and phase != "market"}
    assert {ns("2015-12-23 21:00"), ns("2015-12-24 18:00"), ns("2015-12-28 21:00")} <= after
    assert {calendar for calendar, _, _ in entered} == {"XNYS", "24/7"}


@pytest.mark.parametrize("financing", [0.0, 300.0])
def test_a_calendar_that_nobody_follows_any_more_is_due_no_more_and_the_new_one_begins(financing) -> None:
    desk = Desk("AAA", costs=FREE | {"financing_bps": financing}, at_ns=ns("2022-01-03 00:00"))
    desk.slice({"AAA": 100.0})
    moved = msgspec.structs.replace(
        desk.configuration, version=2, instruments=[instrument("AAA", exchange="XNYS", calendar="XNYS")]
    )
    assert of_type(desk.engine.on_control(configure(moved)), "ControlAck")[0].accepted
    desk.silence()
    entered, close_ns = [], ns("2022-01-05 15:00")
    for at_ns in (desk.now_ns + MINUTE_NS, close_ns):
        for _ in range(100):
            instant = desk.engine.due(at_ns)
            if instant is None:
                break
            entered += of_type(desk.engine.on_timer(TimerEvent(instant_ns=instant)), "PhaseEvent")
        assert desk.engine.due(at_ns) is None, "the old calendar's edge is due for ever"
        entered += of_type(
            desk.engine.on_slice(MarketSlice(feed="test", position="0-0", close_ns=at_ns, bars=[])), "PhaseEvent"
        )
    assert {event.calendar for event in entered} == {"XNYS"}
    assert ("market", ns("2022-01-05 14:30")) in {(event.phase, event.engine_ns) for event in entered}
