"""One file's bars or quotes as rows."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from market.feeds import columns
from market.feeds.bar_table import Rows
from market.feeds.port import FeedError
from market.feeds.quote_table import QuoteRows

PRICES = ("o", "h", "l", "c", "v")
COLUMNS = ("ts", "sym", *PRICES)
LEVELS = ("bid_c", "bid_sz", "ask_c", "ask_sz")
QUOTE_COLUMNS = ("ts", "sym", *LEVELS)


def read_rows(path: Path, names: list[str]) -> Rows | QuoteRows:
    """Return a file's rows in its own order; unknown texts are added to ``names``, which all files of a feed share.

    A file with bid_c and without o is one of quotes.

    Raises
    ------
    FeedError
        if the file cannot be read or is one of neither bars nor quotes.
    """
    table = columns.read_table(path, (*PRICES, *LEVELS))
    if "bid_c" in table.column_names and "o" not in table.column_names:
        return _quotes(path, table, names)
    columns.require_columns(path, table, COLUMNS, "bars")
    codes = {column: _codes(path, table, column, names) for column in ("sym", "exchange", "data_source")}
    return Rows(
        origin=path.name,
        names=names,
        symbol=codes["sym"],
        exchange=codes["exchange"],
        data_source=codes["data_source"],
        open_ns=columns.instants(path, table, "ts"),
        ohlcv=np.stack([columns.numbers(path, table, column) for column in PRICES]),
    )


def read_bars(path: Path, names: list[str]) -> Rows:
    """Return the rows of a file that has to be one of bars; see :func:`read_rows`."""
    rows = read_rows(path, names)
    if isinstance(rows, QuoteRows):
        raise FeedError(f"{path} holds quotes (bid_c, ask_c); a file of bars with {', '.join(COLUMNS)} is needed")
    return rows


def _quotes(path: Path, table: pa.Table, names: list[str]) -> QuoteRows:
    columns.require_columns(path, table, QUOTE_COLUMNS, "quotes")
    return QuoteRows(
        origin=path.name,
        names=names,
        symbol=_codes(path, table, "sym", names),
        open_ns=columns.instants(path, table, "ts"),
        levels=np.stack([columns.numbers(path, table, column) for column in LEVELS]),
    )


def _codes(path: Path, table: pa.Table, column: str, names: list[str]) -> npt.NDArray[np.int64]:
    """Return a text column as codes into ``names``, to which its words are added; an absent column is all ""."""
    if column in table.column_names:
        found, words = columns.texts(path, table, column)
    else:
        found, words = np.zeros(table.num_rows, dtype=np.int64), [""]
    if column == "sym" and "" in words:
        raise FeedError(f"{path} row {int(np.argmax(found == words.index(''))) + 1} has no sym; each row needs one")
    return np.array([_code(names, word) for word in words], dtype=np.int64)[found]


def _code(names: list[str], word: str) -> int:
    if word not in names:
        names.append(word)
    return names.index(word)
