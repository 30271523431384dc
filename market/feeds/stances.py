"""A stance series: opinions with the market time from which they hold, an input beside the bars."""

from collections.abc import Collection
from pathlib import Path

from events.types import StanceEvent
from market.feeds import columns
from market.feeds.port import FeedError

COLUMNS = ("strategy", "symbol", "bias", "confidence", "effective_from", "expiry", "source")
NUMBERS = ("bias", "confidence")


def read_stances(path: Path, symbols: Collection[str], strategies: Collection[str] | None) -> tuple[StanceEvent, ...]:
    """Return a file's stances by ``effective_from``, each with its version: its place in that order, from 1.

    Raises
    ------
    FeedError
        naming the row and the value: an unknown strategy or symbol ("*" means every symbol), a bias outside -1 to 1, a
        confidence outside 0 to 1, an expiry at or before the beginning; or the file cannot be read.
    """
    table = columns.read_table(path, NUMBERS)
    columns.require_columns(path, table, COLUMNS, "stances")
    begins = columns.instants(path, table, "effective_from").tolist()
    ends = columns.instants(path, table, "expiry").tolist()
    bias = columns.numbers(path, table, "bias").tolist()
    confidence = columns.numbers(path, table, "confidence").tolist()
    words = {}
    for name in ("strategy", "symbol", "source"):
        codes, names = columns.texts(path, table, name)
        words[name] = [names[code] for code in codes.tolist()]
    for row in range(table.num_rows):
        where = f"{path} row {row + 1}:"
        _check_name(where, "strategy", words["strategy"][row], strategies)
        _check_name(where, "symbol", words["symbol"][row], {"*", *symbols})
        _check_range(where, "bias", bias[row], -1.0, 1.0)
        _check_range(where, "confidence", confidence[row], 0.0, 1.0)
        if ends[row] <= begins[row]:
            raise FeedError(f"{where} expiry is not after effective_from; a stance must hold for some time")
    order = sorted(range(table.num_rows), key=lambda row: (begins[row], row))
    return tuple(
        StanceEvent(
            strategy=words["strategy"][row],
            symbol=words["symbol"][row],
            bias=bias[row],
            confidence=confidence[row],
            effective_from_ns=begins[row],
            expiry_ns=ends[row],
            source=words["source"][row],
            version=version,
        )
        for version, row in enumerate(order, start=1)
    )


def _check_name(where: str, field: str, value: str, allowed: Collection[str] | None) -> None:
    if not value or (allowed is not None and value not in allowed):
        listed = ", ".join(sorted(allowed)) if allowed else "a name"
        raise FeedError(f'{where} {field} = "{value}" is unknown; use {listed}')


def _check_range(where: str, field: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise FeedError(f"{where} {field} = {value:g} is outside {low:g} to {high:g}")
