"""What a person types to run a round, as a request; or the one sentence on what is wrong with it."""

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tournaments.station import RoundRequest

FIELDS = ("bars", "as_of", "symbols", "seed", "capital", "name", "reason")
SUFFIXES = (".parquet", ".csv")
MOST_FILES, MOST_SYMBOLS, LONGEST_PATH = 16, 64, 1024
MOST_SEED, MOST_CAPITAL = 2**31 - 1, 1e12
SHORTEST_REASON, LONGEST_REASON = 3, 500
SYMBOL = re.compile(r"[A-Za-z0-9][A-Za-z0-9.^/=:_-]{0,31}")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,23}")
EPOCH, LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
SHOWN = 60  # characters of a wrong text that a sentence repeats


class AskedError(ValueError):
    """One sentence: the field, its value and what is allowed."""


def parsed(typed: Mapping[str, str]) -> "RoundRequest":
    """Return the request of a filled-in form; files are looked for, so that a typing error voids no round.

    Raises
    ------
    AskedError
        naming the first field that is wrong.
    """
    from tournaments.station import RoundRequest  # noqa: PLC0415 - it brings the compiled simulator with it

    name = typed["name"].strip()
    if name and not NAME.fullmatch(name):
        raise AskedError(
            f"name = {_short(name)} is not allowed; up to 24 letters, digits, dots, dashes and underscores are"
        )
    return RoundRequest(
        bars=files(typed["bars"]), as_of_ns=instant_ns(typed["as_of"]), symbols=symbols(typed["symbols"]),
        seed=_seed(typed["seed"]), capital=_capital(typed["capital"]), name=name,
    )  # fmt: skip


def files(text: str) -> list[str]:
    """Return the paths of files on this machine, one a line or comma between them."""
    found = _listed(text)
    if not 1 <= len(found) <= MOST_FILES:
        raise AskedError(f"bars names {len(found)} files; 1 to {MOST_FILES} are allowed, one a line")
    for path in map(Path, found):
        where = f"bars = {_short(str(path))}"
        if len(str(path)) > LONGEST_PATH or not path.is_absolute() or path.suffix not in SUFFIXES:
            raise AskedError(f"{where} must be a whole path from / to a {' or '.join(SUFFIXES)} file")
        if not _is_file(path):
            raise AskedError(f"{where} is no file on the station's machine that it may read")
    return found


def instant_ns(text: str) -> int:
    """Return an ISO instant with its zone as UTC nanoseconds."""
    where = f"as of = {_short(text.strip())}"
    try:
        given = datetime.fromisoformat(text.strip())
    except ValueError as problem:
        raise AskedError(f"{where} is no instant; write it as 2019-02-10T07:00:00Z") from problem
    if given.tzinfo is None:
        raise AskedError(f"{where} has no time zone; end it with Z for UTC, or with an offset such as -05:00")
    if not EPOCH <= given < LAST:
        raise AskedError(f"{where} is outside 1970 to 2199")
    return (given - EPOCH) // timedelta(microseconds=1) * 1_000


def symbols(text: str) -> list[str]:
    """Return the symbols, none where all that the files share are meant."""
    found = _listed(text)
    if len(found) > MOST_SYMBOLS:
        raise AskedError(f"symbols names {len(found)}; at most {MOST_SYMBOLS} are allowed")
    for each in found:
        if not SYMBOL.fullmatch(each):
            raise AskedError(f"symbols = {_short(each)} is no symbol; write them as AAPL, MSFT")
    if len(set(found)) < len(found):
        raise AskedError("symbols names one twice")
    return found


def reason_of(text: str) -> str:
    """Return the reason for the journal."""
    text = text.strip()
    if not SHORTEST_REASON <= len(text) <= LONGEST_REASON:
        raise AskedError(f"reason has {len(text)} characters; the journal wants {SHORTEST_REASON} to {LONGEST_REASON}")
    return text


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name too long, a folder that is closed, a letter that no path has
        return False


def _seed(text: str) -> int:
    text = text.strip()
    if not (text.isascii() and text.isdigit()) or len(text) > 10 or int(text) > MOST_SEED:
        raise AskedError(f"seed = {_short(text)} must be a whole number from 0 to {MOST_SEED}")
    return int(text)


def _capital(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 1.0 <= value <= MOST_CAPITAL:
        raise AskedError(f"capital = {_short(text.strip())} must be a number from 1 to {MOST_CAPITAL:.0f}")
    return value


def _listed(text: str) -> list[str]:
    return [part.strip() for part in re.split(r"[,\r\n]", text) if part.strip()]


def _short(text: str) -> str:
    return repr(text if len(text) <= SHOWN else f"{text[:SHOWN]}…")
