"""The same inputs give the same bytes: again, from a snapshot at any slice, and with instruments that came later."""

import random

import msgspec
import pytest

from engine.configuration import Configuration
from engine.engine import Engine
from engine.snapshot import SnapshotError
from events.types import MarketSlice
from tests.engine.desk import Desk, configure, in_state, instrument, of_type
from tests.engine.tape import Tape, configuration_of, of_files, of_sample, slices

THIN = ("AAPL", "BAC", "MU", "PPLT", "SPY", "TSLA", "UGA", "VIX")  # PPLT and UGA miss most of their minutes


@pytest.fixture(scope="module")
def daily() -> tuple[Configuration, list[MarketSlice]]:
    feed = of_sample()
    return configuration_of(feed), slices(feed)[-900:]


@pytest.fixture(scope="module")
def minutes(station_data) -> tuple[Configuration, list[MarketSlice]]:
    feed = of_files(station_data / "us_min1_2019-02-11_2019-02-15_24sym.parquet", symbols=THIN)
    return configuration_of(feed), slices(feed)


def check_equity(tape: Tape) -> None:
    view = tape.desk.engine.view()
    account = view["account"]
    value = sum(position["value"] for position in view["positions"].values())
    assert account["equity"] == pytest.approx(account["cash"] + value, abs=0.005)
    profit = sum(strategy["pnl"] for strategy in view["strategies"].values())
    assert profit == pytest.approx(account["equity"] - account["initial_cash"], abs=0.005)
    tape.desk.check_books()


def again_and_from_snapshots(chosen: Configuration, given: list[MarketSlice], cuts: int) -> Tape:
    whole = Tape(chosen)
    expected = whole.run(given)
    assert Tape(chosen).run(given) == expected
    for cut in sorted(random.Random(5).sample(range(1, len(given)), cuts)):
        first = Tape(chosen)
        assert first.run(given[:cut]) == expected[:cut]
        kept = first.desk.engine.snapshot()
        resumed = Tape(chosen)
        resumed.desk.engine = Engine.restore(kept)
        assert resumed.desk.engine.snapshot() == kept
        assert resumed.run(given[cut:]) == expected[cut:], f"cut after slice {cut}"
        assert resumed.desk.engine.snapshot() == whole.desk.engine.snapshot()
        assert resumed.desk.engine.view() == whole.desk.engine.view()
    return whole


def test_daily_bars_of_two_indices(daily) -> None:
    whole = again_and_from_snapshots(*daily, cuts=3)
    outputs = [output for step in whole.outputs for output in step]
    assert in_state(outputs, "INTENT")
    assert of_type(outputs, "TradeEvent")
    check_equity(whole)


@pytest.mark.realdata
def test_a_week_of_minutes_with_symbols_that_miss_most_of_theirs(minutes) -> None:
    whole = again_and_from_snapshots(*minutes, cuts=4)
    outputs = [output for step in whole.outputs for output in step]
    traded = {name for trade in of_type(outputs, "TradeEvent") for name in trade.lots_by_strategy}
    assert traded == set(whole.desk.engine.state.names)
    assert {order.symbol for order in of_type(outputs, "OrderEvent")} <= set(THIN) - {"VIX"}
    check_equity(whole)


def test_a_restored_engine_does_not_take_a_symbol_for_present_that_has_no_bar() -> None:
    desk = Desk("AAA", "BBB")
    desk.slice({"AAA": 100.0, "BBB": 50.0})
    desk.engine = Engine.restore(desk.engine.snapshot())
    desk.silence()
    desk.slice({"AAA": 101.0})
    assert float(desk.row("BBB")["mark"]) == 50.0
    assert int(desk.row("BBB")["bars"]) == 1
    assert desk.row("BBB")["present"] == 0


def wider(chosen: Configuration, *symbols: str) -> Configuration:
    more = [*(instrument(symbol) for symbol in symbols), *chosen.instruments]
    return msgspec.structs.replace(chosen, version=chosen.version + 1, instruments=more)


def test_more_instruments_keep_positions_orders_marks_and_money() -> None:
    desk = Desk("AAA", "BBB", limits={"max_order_value": 1e9})
    desk.want("momentum", "AAA")
    desk.want("bearish", "BBB", -1.0)
    desk.slice({"AAA": 100.0, "BBB": 50.0})
    desk.slice({"AAA": 100.0, "BBB": 50.0})
    desk.want("bullish", "AAA")
    desk.slice({"AAA": 100.0, "BBB": 50.0})
    before = desk.engine.view()
    assert before["open_orders"]
    ack = desk.engine.on_control(configure(wider(desk.configuration, "CCC", "AAB")))
    assert of_type(ack, "ControlAck")[0].accepted
    desk.silence()
    after = desk.engine.view()
    for key in ("account", "positions", "open_orders", "engine_ns", "reconciled", "state"):
        assert after[key] == before[key], key
    assert list(after["symbols"]) == ["AAA", "BBB", "CCC", "AAB"]
    desk.check_books()
    desk.want("momentum", "CCC")
    desk.slice({"AAA": 101.0, "CCC": 10.0})  # BBB has no bar: it keeps its mark
    assert desk.engine.view()["symbols"]["BBB"]["last"] == 50.0
    desk.slice({"CCC": 10.0})
    assert desk.held("momentum", "CCC") > 0
    desk.check_books()
    restored = Engine.restore(desk.engine.snapshot())
    assert restored.view() == desk.engine.view()


def test_a_position_in_a_symbol_cannot_be_forgotten() -> None:
    desk = Desk("AAA", "BBB")
    before = desk.engine.snapshot()
    fewer = msgspec.structs.replace(desk.configuration, version=2, instruments=[instrument("AAA")])
    ack = of_type(desk.engine.on_control(configure(fewer)), "ControlAck")[0]
    assert (ack.accepted, "BBB" in ack.reason) == (False, True)
    assert desk.engine.snapshot() == before


def test_a_lot_size_cannot_change_under_a_position() -> None:
    desk = Desk("AAA")
    before = desk.engine.snapshot()
    finer = msgspec.structs.replace(desk.configuration, version=2, instruments=[instrument("AAA", lot_denominator=100)])
    ack = of_type(desk.engine.on_control(configure(finer)), "ControlAck")[0]
    assert not ack.accepted
    assert "AAA has a lot of 1/100; it stays 1/1" in ack.reason
    assert desk.engine.snapshot() == before


@pytest.mark.parametrize("content", [b"", b"nonsense", msgspec.msgpack.encode({"tables": {}})])
def test_what_is_no_snapshot_is_refused(content) -> None:
    with pytest.raises(SnapshotError, match="no snapshot"):
        Engine.restore(content)


def test_a_snapshot_of_another_layout_is_refused_by_the_tables_name() -> None:
    packed = msgspec.msgpack.decode(Desk("AAA").engine.snapshot())
    packed["tables"]["books"][1] = packed["tables"]["books"][1][:-8]
    with pytest.raises(SnapshotError, match="table books"):
        Engine.restore(msgspec.msgpack.encode(packed))
