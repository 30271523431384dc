"""Real bars as histories, and a policy's signals symbol by symbol."""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pyarrow import parquet

from agents.lookahead import History, Signals, slices
from market.bars import empty_bars
from market.calendars import DAY_NS, Sessions, sessions

MINUTE_NS = 60_000_000_000


def to_history(symbols: list[str], columns: dict[str, np.ndarray], length_ns: int, calendar: str) -> History:
    bars = empty_bars(len(symbols))
    for name in ("open", "high", "low", "close", "volume"):
        bars[name] = columns[name[0]]
    bars["open_ns"] = columns["ts"]
    bars["close_ns"] = columns["ts"] + length_ns
    names = sorted(set(symbols))
    index = np.array([names.index(symbol) for symbol in symbols], dtype=np.int64)
    known: Sessions = sessions(calendar, int(bars["open_ns"].min()) - DAY_NS, int(bars["close_ns"].max()) + DAY_NS)
    return slices(index, bars, [known] * len(names))


@pytest.fixture(scope="session")
def history_of(station_data: Path) -> Callable[..., History]:
    """Read a file of ``station_data``; all of its symbols, or those named."""

    def read(name: str, *wanted: str) -> History:
        filters = [("sym", "in", list(wanted))] if wanted else None
        table = parquet.read_table(station_data / f"{name}.parquet", filters=filters)
        columns = {key: table[key].to_numpy() for key in "ohlcv"}
        columns["ts"] = table["ts"].to_numpy().astype("datetime64[ns]").astype(np.int64)
        minutes = {"min1": 1, "min15": 15, "hour1": 60, "day1": 1440}[name.split("_")[1]]
        daily_or_crypto = minutes == 1440 or name.startswith("crypto")
        return to_history(table["sym"].to_pylist(), columns, minutes * MINUTE_NS, "24/7" if daily_or_crypto else "XNYS")

    return read


@pytest.fixture(scope="session")
def daily_history() -> History:
    """The daily bars inside the arch wheel, 1999 to 2018: two indices, by name NASDAQ and SP500."""
    folder = Path(find_spec("arch").submodule_search_locations[0]) / "data"
    parts = [pd.read_csv(folder / name / f"{name}.csv.gz", parse_dates=["Date"]) for name in ("nasdaq", "sp500")]
    table = pd.concat(parts)
    columns = {name[0].lower(): table[name].to_numpy(np.float64) for name in ("Open", "High", "Low", "Close", "Volume")}
    columns["ts"] = table["Date"].to_numpy("datetime64[ns]").astype(np.int64)
    symbols = ["NASDAQ"] * len(parts[0]) + ["SP500"] * len(parts[1])
    return to_history(symbols, columns, DAY_NS, "24/7")


@pytest.fixture(scope="session")
def by_symbol() -> Callable[[Signals], list[np.ndarray]]:
    """Split signals: one (bars, fields) array a symbol."""

    def split(signals: Signals) -> list[np.ndarray]:
        return [signals.values[signals.symbol == index] for index in np.unique(signals.symbol)]

    return split
