"""`sample`: S&P 500 and NASDAQ Composite by day, 1999 to 2018, from the data of the `arch` wheel (licence NCSA).

Indices cannot be bought: they trade on PAPER as proxies, and every page says so.
"""

import importlib.util
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from market.feeds.bar_table import Rows
from market.feeds.known import KnownFeed
from market.feeds.port import Feed, FeedError, FeedRequest
from market.instruments import SAMPLE_EXCHANGE

NAME = "sample"
FILES = {"SP500": "data/sp500/sp500.csv.gz", "NASDAQ": "data/nasdaq/nasdaq.csv.gz"}
PRICES = ("Open", "High", "Low", "Close", "Volume")


def normalise(argument: str) -> str:
    """Return the argument, which must be empty."""
    if argument:
        raise FeedError(f'--feed = "{NAME}:{argument}" has an argument; {NAME} takes none')
    return ""


def open_feed(request: FeedRequest) -> Feed:
    """Return the feed of the wheel's two indices.

    Raises
    ------
    FeedError
        if the wheel is not installed, or a symbol or the stances cannot be used.
    """
    normalise(request.argument)
    found = importlib.util.find_spec("arch")  # finds, does not import: that takes a second and 80 MB
    if found is None or found.origin is None:
        raise FeedError(
            "the sample data comes with the package arch, which is not installed; install the locked requirements"
        )
    folder = Path(found.origin).parent
    names = [*FILES, SAMPLE_EXCHANGE, "arch"]
    parts = [_rows(folder / file, names, symbol) for symbol, file in FILES.items()]
    return KnownFeed(NAME, "SAMPLE", parts, request)


def _rows(path: Path, names: list[str], symbol: str) -> Rows:
    options = pyarrow.csv.ConvertOptions(column_types={"Date": pa.string(), **dict.fromkeys(PRICES, pa.float64())})
    try:
        table = pyarrow.csv.read_csv(path, convert_options=options)
    except (OSError, pa.ArrowException) as error:
        raise FeedError(
            f"sample data {path} cannot be read ({error}); install the locked requirements again"
        ) from error
    days = pc.strptime(table["Date"].combine_chunks(), format="%m/%d/%Y", unit="s")
    length = table.num_rows
    return Rows(
        origin=symbol,
        names=names,
        symbol=np.full(length, names.index(symbol), dtype=np.int64),
        exchange=np.full(length, names.index(SAMPLE_EXCHANGE), dtype=np.int64),
        data_source=np.full(length, names.index("arch"), dtype=np.int64),
        open_ns=np.asarray(pc.cast(days, pa.int64()).to_numpy()) * 1_000_000_000,
        ohlcv=np.stack([np.asarray(table[column].to_numpy(), dtype=np.float64) for column in PRICES]),
    )
