"""Real days of eight symbols: how many are shared, and what factors do to a split and to a dividend."""

import numpy as np
import pytest

from risk.measures.prices import read_panel

pytestmark = pytest.mark.realdata
SYMBOLS = ("AAPL", "AIG", "BAC", "EEM", "IBM", "IWM", "SPY", "USO")


def test_eight_symbols_share_2450_days_and_factors_take_the_split_out(station_data):
    bars = [station_data / "us_day1_lean_to2015.parquet"]
    plain = read_panel(bars, SYMBOLS)
    adjusted = read_panel(bars, SYMBOLS, station_data / "us_factors_lean.parquet")
    assert len(plain.dates) == len(adjusted.dates) == 2450
    day = int(np.searchsorted(plain.dates, np.datetime64("2014-06-09"))) - 1
    assert plain.returns[day, 0] == pytest.approx(93.70 / 645.57 - 1.0)
    assert adjusted.returns[day, 0] == pytest.approx(93.70 * 7.0 / 645.57 - 1.0, abs=1e-4)
    assert any("AAPL goes from 645.57 to 93.7 on 2014-06-09" in warning for warning in plain.warnings)
    assert adjusted.warnings == ()
    before = int(np.searchsorted(plain.dates, np.datetime64("2014-05-08"))) - 1  # AAPL went ex 3.29 of 592.33
    assert adjusted.returns[before, 0] - plain.returns[before, 0] == pytest.approx(3.29 / 592.33, abs=5e-4)
