"""Reading Parquet and CSV into columns; whatever is wrong with a file becomes one sentence."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from market.feeds.port import FeedError

PARQUET, CSV = (".parquet", ".pq"), (".csv", ".csv.gz")
EARLIEST_NS = int(np.datetime64("1980-01-02", "ns").astype(np.int64))
LATEST_NS = int(np.datetime64("2049-12-01", "ns").astype(np.int64))
_EPOCH_UNITS = ((1e11, 1_000_000_000), (1e14, 1_000_000), (1e17, 1_000), (np.inf, 1))


def read_table(path: Path, numbers: Sequence[str]) -> pa.Table:
    """Return a file's table; of a CSV the named columns are read as numbers, all others as text.

    Raises
    ------
    FeedError
        if there is no such file, it cannot be read, is empty, truncated or of another format.
    """
    name = path.name.lower()
    if not name.endswith(PARQUET + CSV):
        raise FeedError(f"{path} must be a Parquet (.parquet) or CSV (.csv, .csv.gz) file")
    try:
        if path.is_dir():
            raise FeedError(f"{path} is a folder; name a Parquet or CSV file in it")
        if path.stat().st_size == 0:
            raise FeedError(f"{path} is empty; a file with at least one row is needed")
        table = pyarrow.parquet.read_table(path) if name.endswith(PARQUET) else _read_csv(path, numbers)
    except FileNotFoundError:
        raise FeedError(f"{path} does not exist; name a Parquet or CSV file") from None
    except pa.ArrowException as error:
        kind = "Parquet" if name.endswith(PARQUET) else "CSV"
        raise FeedError(f"{path} cannot be read as {kind}, it may be truncated or damaged: {_short(error)}") from error
    except OSError as error:
        raise FeedError(f"{path} cannot be read: {_short(error)}") from error
    if table.num_rows == 0:
        raise FeedError(f"{path} has no rows; a file with at least one row is needed")
    return table


def require_columns(path: Path, table: pa.Table, wanted: Sequence[str], what: str) -> None:
    """Refuse a table without one of these columns, saying what it has."""
    missing = [name for name in wanted if name not in table.column_names]
    if missing:
        raise FeedError(
            f"{path} has no column {', '.join(missing)}; {what} need {', '.join(wanted)} "
            f"and this file has {', '.join(table.column_names)}"
        )


def instants(path: Path, table: pa.Table, column: str) -> npt.NDArray[np.int64]:
    """Return a column of instants as UTC nanoseconds: timestamps, ISO text or epoch numbers (s, ms, us, ns by size).

    Text and timestamps without a zone are UTC.
    """
    values = _dense(table[column])
    if values.null_count:
        raise FeedError(f"{path} row {_first_null(values)} has no {column}; each row needs one")
    try:
        found = _as_ns(values)
    except (pa.ArrowException, ValueError) as error:
        raise FeedError(
            f"{path} column {column} holds no time ({_short(error)}); ISO text such as 2019-02-11T14:30:00Z, epoch "
            f"numbers or timestamps are read"
        ) from error
    wrong = np.flatnonzero((found < EARLIEST_NS) | (found > LATEST_NS))
    if len(wrong):
        row = int(wrong[0])
        raise FeedError(f"{path} row {row + 1} column {column} = {values[row].as_py()} is not within 1980 to 2049")
    return found


def numbers(path: Path, table: pa.Table, column: str) -> npt.NDArray[np.float64]:
    """Return a column as float64, NaN where a row has nothing."""
    try:
        dense = pc.cast(_dense(table[column]), pa.float64())
    except pa.ArrowException as error:
        raise FeedError(f"{path} column {column} must hold numbers: {_short(error)}") from error
    return np.asarray(pc.fill_null(dense, float("nan")).to_numpy(), dtype=np.float64)


def texts(path: Path, table: pa.Table, column: str) -> tuple[npt.NDArray[np.int64], list[str]]:
    """Return a text column as (codes, names): ``names[codes[row]]``; a missing text is ""."""
    values = _dense(table[column])
    try:
        encoded = pc.dictionary_encode(pc.fill_null(pc.cast(values, pa.string()), ""))
    except pa.ArrowException as error:
        raise FeedError(f"{path} column {column} must hold text: {_short(error)}") from error
    names = [str(name) for name in encoded.dictionary.to_pylist()]
    return np.asarray(encoded.indices.to_numpy(), dtype=np.int64), names


def _read_csv(path: Path, number_columns: Sequence[str]) -> pa.Table:
    with pyarrow.csv.open_csv(path) as reader:
        header = reader.schema.names
    types = {name: pa.float64() if name in number_columns else pa.string() for name in header}
    return pyarrow.csv.read_csv(path, convert_options=pyarrow.csv.ConvertOptions(column_types=types))


def _dense(column: pa.ChunkedArray) -> pa.Array:
    array = column.combine_chunks()
    if isinstance(array, pa.ChunkedArray):
        array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], array.type)
    return array.dictionary_decode() if pa.types.is_dictionary(array.type) else array


def _as_ns(values: pa.Array) -> npt.NDArray[np.int64]:
    kind = values.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        if pc.all(pc.match_substring_regex(values, r"^-?\d{8,}(\.\d+)?$")).as_py():
            exact = not pc.any(pc.match_substring(values, ".")).as_py()
            return _epochs(np.asarray(pc.cast(values, pa.int64() if exact else pa.float64()).to_numpy()))
        zoned = pc.all(pc.match_substring_regex(values, r"(Z|[+-]\d\d:?\d\d)$")).as_py()
        values = pc.cast(values, pa.timestamp("ns", tz="UTC" if zoned else None))
    elif pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return _epochs(np.asarray(values.to_numpy()))
    elif not (pa.types.is_timestamp(kind) or pa.types.is_date(kind)):
        raise ValueError(f"type {kind}")
    instant = values if pa.types.is_timestamp(values.type) else pc.cast(values, pa.timestamp("ns"))
    return np.asarray(pc.cast(pc.cast(instant, pa.timestamp("ns", tz=instant.type.tz)), pa.int64()).to_numpy())


def _epochs(values: npt.NDArray[np.float64] | npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    if not np.all(np.isfinite(values)):
        raise ValueError("a number that is not finite")
    size = float(np.median(np.abs(values)))
    factor = next(factor for limit, factor in _EPOCH_UNITS if size < limit)
    if np.issubdtype(values.dtype, np.integer):
        return values.astype(np.int64) * factor
    whole = np.floor(values)
    return whole.astype(np.int64) * factor + np.round((values - whole) * factor).astype(np.int64)


def _first_null(values: pa.Array) -> int:
    return int(np.flatnonzero(np.asarray(pc.is_null(values).to_numpy(zero_copy_only=False)))[0]) + 1


def _short(error: Exception) -> str:
    return str(error).splitlines()[0][:200] if str(error) else type(error).__name__
