"""A week of real minutes through the whole station: everything consumed, everything adds up, the same every time."""

import json

import pytest
from pyarrow import parquet

from tests.operator.running import manage
from tests.station.stations import (
    EIGHT,
    STRATEGIES,
    WEEK,
    Memory,
    assert_equity_is_cash_and_positions,
    assert_nothing_twice,
    assert_the_record_gives_itself,
    finish,
)

pytestmark = [pytest.mark.station, pytest.mark.realdata]

KEYS = [
    "bars", "orders", "denied", "fills", "equity", "cash", "positions", "journal", "seconds", "by_strategy", "chain_ok",
    "orders_sha256", "tick_to_order_ms",
]  # fmt: skip


def test_the_result_has_exactly_the_documented_keys(reference):
    result = reference.result
    assert list(result) == KEYS
    assert all(type(result[name]) is int for name in ("bars", "orders", "denied", "fills"))
    assert all(set(row) == {"qty", "mark", "value"} for row in result["positions"].values())
    assert set(result["journal"]) == {"execution", "station"}
    assert all(set(end) == {"seq", "head"} for end in result["journal"].values())
    assert all(set(row) == {"orders", "fills"} for row in result["by_strategy"].values())
    assert set(result["tick_to_order_ms"]) == {"p50", "p95", "p99", "max", "n"}
    assert result["tick_to_order_ms"]["n"] == result["orders"]


def test_every_bar_of_the_symbols_was_consumed(reference, station_data):
    wanted = parquet.read_table(station_data / WEEK, columns=["sym"], filters=[("sym", "in", EIGHT.split(","))])
    assert reference.result["bars"] == wanted.num_rows
    slices = reference.payloads("MarketSlice")
    assert sum(len(each.bars) + len(each.refused) for each in slices) == wanted.num_rows
    assert [each.ended for each in slices] == [False] * (len(slices) - 1) + [True]


def test_each_strategy_ordered_and_was_filled(reference):
    assert set(reference.result["by_strategy"]) == STRATEGIES
    assert all(row["orders"] >= 1 and row["fills"] >= 1 for row in reference.result["by_strategy"].values())


def test_every_account_record_is_cash_and_marked_positions(reference):
    assert_equity_is_cash_and_positions(reference)


def test_the_chain_holds_and_nothing_is_twice(reference):
    assert reference.result["chain_ok"] is True
    assert_nothing_twice(reference)


def test_the_record_gives_itself(reference, folder):
    assert_the_record_gives_itself(reference, folder)


def test_the_stopped_station_still_tells_its_status(reference):
    done = manage("status", "--json", "--data-dir", reference.data_dir)
    assert done.returncode == 1  # it does not run
    assert json.loads(done.stdout)["journal"]["seq"] == reference.result["journal"]["execution"]["seq"]


def test_the_same_again_decides_the_same_in_little_memory(reference, week, short_dir):
    memory = Memory()
    again = finish(short_dir / "again", *week, "--speed", "max", disturb=memory)
    assert again.same() == reference.same()
    assert again.derived() == reference.derived()
    assert 100 < memory.worker <= 300
    assert 400 < memory.station <= 1500
