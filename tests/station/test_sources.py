"""Other sources through the whole station: a made-up market, CSV beside Parquet, coins without a rate."""

import json

import pyarrow.csv
import pytest
from pyarrow import parquet

from tests.station.stations import assert_equity_is_cash_and_positions, assert_nothing_twice, finish, kills

pytestmark = pytest.mark.station

DAYS = "us_day1_2024-12-13_2025-04-30_dj20.parquet"
COINS = "crypto_min1_lean_2016-2026_days.parquet"
NO_RATE = ("ADAUSDT.PERP@binance", "BTCEUR@coinbase")


def last_view(finished):
    return json.loads((finished.data_dir / "run" / "worker-view.json").read_text())


def test_a_made_up_market_is_the_same_for_the_same_seed_and_says_what_it_is(short_dir):
    arguments = "--feed", "simulated:seed=5,sessions=2", "--symbols", "SIM-ALDER,SIM-BIRCH,SIM-HAZEL,SIM-MAPLE"
    first = finish(short_dir / "first", *arguments)
    assert first.result["bars"] == 4 * 2 * 390
    assert first.result["orders"] > 0
    assert first.result["fills"] > 0
    assert_equity_is_cash_and_positions(first)
    source = last_view(first)["source"]
    assert (source["label"], source["ended"]) == ("SIMULATED", True)
    assert "seed=5" in source["detail"]
    again = finish(short_dir / "again", *arguments, disturb=kills(7, first.result["bars"], ("worker", "feed")))
    assert again.same() == first.same()
    assert again.derived() == first.derived()
    assert_nothing_twice(again)


@pytest.mark.realdata
def test_csv_gives_the_orders_of_parquet(short_dir, station_data):
    table = parquet.read_table(station_data / DAYS)
    pyarrow.csv.write_csv(table, short_dir / "days.csv")
    columns = finish(short_dir / "columns", "--feed", f"replay:{station_data / DAYS}")
    lines = finish(short_dir / "lines", "--feed", f"replay:{short_dir / 'days.csv'}")
    assert columns.result["orders"] > 0
    assert lines.same() == columns.same()
    assert lines.derived() == columns.derived()


@pytest.mark.realdata
def test_coins_without_a_rate_are_charted_and_not_traded(short_dir, station_data):
    symbols = ("BTCUSD@coinbase", *NO_RATE)
    feed = "--feed", f"replay:{station_data / COINS}", "--symbols", ",".join(symbols)
    finished = finish(short_dir / "coins", *feed, "--speed", "max")
    wanted = parquet.read_table(station_data / COINS, columns=["sym"], filters=[("sym", "in", symbols)])
    assert finished.result["bars"] == wanted.num_rows
    (alert,) = [alert for alert in finished.payloads("RiskAlert") if alert.rule == "NO_RATE"]
    assert all(symbol in alert.message for symbol in NO_RATE)
    assert {order.symbol for order in finished.payloads("OrderEvent")} == {"BTCUSD@coinbase"}
    shown = last_view(finished)["symbols"]
    assert all(shown[symbol]["last"] > 0 for symbol in NO_RATE)
    assert_equity_is_cash_and_positions(finished)
