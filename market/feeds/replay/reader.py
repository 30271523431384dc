"""One file's bars as rows."""

from pathlib import Path

import numpy as np

from market.feeds import columns
from market.feeds.bar_table import Rows
from market.feeds.port import FeedError

PRICES = ("o", "h", "l", "c", "v")
COLUMNS = ("ts", "sym", *PRICES)


def read_rows(path: Path, names: list[str]) -> Rows:
    """Return a file's rows in its own order; unknown texts are added to ``names``, which all files of a feed share.

    Raises
    ------
    FeedError
        if the file cannot be read or is not one of bars.
    """
    table = columns.read_table(path, PRICES)
    if "bid_c" in table.column_names and "o" not in table.column_names:
        raise FeedError(f"{path} holds quotes (bid_c, ask_c); only bars with {', '.join(COLUMNS)} can be replayed yet")
    columns.require_columns(path, table, COLUMNS, "bars")
    codes = {}
    for column in ("sym", "exchange", "data_source"):
        if column in table.column_names:
            found, words = columns.texts(path, table, column)
        else:
            found, words = np.zeros(table.num_rows, dtype=np.int64), [""]
        if column == "sym" and "" in words:
            raise FeedError(f"{path} row {int(np.argmax(found == words.index(''))) + 1} has no sym; each row needs one")
        codes[column] = np.array([_code(names, word) for word in words], dtype=np.int64)[found]
    return Rows(
        origin=path.name,
        names=names,
        symbol=codes["sym"],
        exchange=codes["exchange"],
        data_source=codes["data_source"],
        open_ns=columns.instants(path, table, "ts"),
        ohlcv=np.stack([columns.numbers(path, table, column) for column in PRICES]),
    )


def _code(names: list[str], word: str) -> int:
    if word not in names:
        names.append(word)
    return names.index(word)
