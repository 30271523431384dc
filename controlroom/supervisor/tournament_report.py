"""`tournament report`: a season's strategy performance as one HTML file, from a station's rounds or files of bars."""

import hashlib
import json
import os
import sys
import time
from argparse import Namespace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from controlroom.supervisor import tournament_station
from controlroom.supervisor.errors import BadInputError, Parser, complain
from controlroom.supervisor.options import ROOT
from events.commandline import progress

if TYPE_CHECKING:
    from controlroom.reports.tournament import Source
    from tournaments.models import TournamentRound
    from tournaments.record import RoundRecord
    from tournaments.reporting.innovation import Innovation

OF_FILES = ("symbols", "seed", "rules")
STATION = (
    "Weights are as the rounds decided; what every strategy earned is that of unit books beside the engine: SIMULATED, "
    "as the stress is."
)
FILES = "Held over files of bars: nothing of it was traded, and no weight reached an engine."


class NoStationError(Exception):
    """One sentence: why a station's rounds cannot be read."""


def add_arguments(parser: Parser) -> None:
    """Add the sub-command's own arguments; which of them go together is checked when it runs."""
    parser.add_argument("--out", type=Path, required=True, help="the HTML file to write, in a folder that is there")
    parser.add_argument("--force", action="store_true", help="overwrite the file if it is there")
    parser.add_argument("--data-dir", type=Path, help="a station's rounds (default: var/)")
    parser.add_argument("--bars", help="instead of a station: Parquet or CSV files of bars, comma between them")
    parser.add_argument("--from", dest="first", help="with --bars: day, UTC; a round that opens on it counts")
    parser.add_argument("--to", dest="last", help="with --bars: day, UTC, included")
    parser.add_argument("--rules", type=Path, action="append", help="with --bars: JSON of rules")
    parser.add_argument("--symbols", help="with --bars: A,B,... alone (default: all that the files share)")
    parser.add_argument("--seed", type=int, help="with --bars: of all chance (default: 1)")


def report(given: Namespace) -> int:
    """Write the report; return 0, 1 (there is nothing to report) or 2 (bad input)."""
    _check(given)
    try:
        records, source = _of_files(given) if given.bars else _of_station(given)
    except NoStationError as error:
        return complain(error, code=1)
    if not records:
        return complain(f"there is no round in {_where(given)} yet; `tournament run` or the schedule holds one", code=1)
    if not any(each.scores and each.allocated for each in records):
        reason = records[-1].round.reason
        told = f"; the newest is {records[-1].round.state}{': ' if reason else ''}{reason}"
        return complain(f"no round in {_where(given)} has scores yet{told}", code=1)
    from controlroom.reports.tournament import page  # noqa: PLC0415 - help needs none

    html = page(records, source, made_ns=time.time_ns()).encode()
    _write(given.out, html)
    written = {"path": str(given.out), "sha256": hashlib.sha256(html).hexdigest(), "bytes": len(html),
            "rounds": len(records), "words": list(source.words)}  # fmt: skip
    if given.json:
        sys.stdout.write(json.dumps(written) + "\n")
    else:
        words = " and ".join(source.words)
        sys.stdout.write(f"{given.out}: {len(records)} rounds, {words}; sha256 {written['sha256']}\n")
    return 0


def _where(given: Namespace) -> str:
    return "these bars" if given.bars else str(given.data_dir or ROOT / "var")


def _check(given: Namespace) -> None:
    """Refuse before the first minute is spent."""
    if given.out.is_dir():
        raise BadInputError(f"--out = {given.out} is a folder; name a file in it, such as {given.out / 'report.html'}")
    if not given.out.parent.is_dir():
        raise BadInputError(f"--out = {given.out} lies in a folder that is not there; make {given.out.parent} first")
    if given.out.exists() and not given.force:
        raise BadInputError(f"--out = {given.out} is there already; --force overwrites it")
    if given.bars is not None and given.data_dir is not None:
        raise BadInputError("--bars and --data-dir are both given; a report is of files or of a station")
    if given.bars is None:
        if strange := [name for name in OF_FILES if getattr(given, name) is not None]:
            raise BadInputError(f"--{strange[0]} goes with --bars; a station's rounds have their own")
        if given.first or given.last:
            raise BadInputError("--from and --to go with --bars; a station's report is of all its rounds")
    elif not (given.first and given.last):
        raise BadInputError(
            f"--{'to' if given.first else 'from'} is missing; --bars needs --from and --to, as 2019-01-06"
        )


def _of_files(given: Namespace) -> "tuple[list[RoundRecord], Source]":
    """Hold the season, and walk its bars once more for the unit books."""
    from controlroom.reports.tournament import Source  # noqa: PLC0415 - help compiles nothing
    from controlroom.supervisor.tournament import season_of  # noqa: PLC0415 - it imports this module
    from tournaments.conduct import walked  # noqa: PLC0415

    given.symbols, given.seed = given.symbols or "", 1 if given.seed is None else given.seed
    season, found = season_of(given)
    records: list[RoundRecord] = []
    with progress("rounds", None) as done:
        for record in found:
            records.append(record)
            done(len(records))
    daily = season.market.daily
    seen = walked(season.market, season.entrants, season.costs, season.rules, as_of_ns=int(daily.now_ns[-1]))
    facts = [(f"Bars {k + 1}", f"{path.name}, sha256 {_sha256(path)}") for k, path in enumerate(_paths(given))]
    window = f"daily bars {_day(daily.now_ns[0])} to {_day(daily.now_ns[-1])}, {len(daily.now_ns)} sessions"
    return records, Source(
        words=("SIMULATED",), said=FILES, books=seen.books,
        facts=[("Data window", window), ("Seed", str(given.seed)), *facts],
    )  # fmt: skip


def _of_station(given: Namespace) -> "tuple[list[RoundRecord], Source]":
    """Read a station's rounds, oldest first; of those that are asked for and not begun nothing is known yet."""
    tournament_station.enter(given.data_dir or ROOT / "var")
    from django.db import Error  # noqa: PLC0415 - Django has to be set up first

    from controlroom.reports.tournament import Source  # noqa: PLC0415
    from tournaments.selectors import allocations_of, record_of, season  # noqa: PLC0415

    try:
        rows = season()[::-1]
        own = [row for row in rows if row.station_bars]
        taken = [each for each in allocations_of(row.round_id for row in own).values() if each.state == "acknowledged"]
    except Error as error:
        raise NoStationError(f"the station's database does not answer ({error}); `manage.py run` makes it") from error
    told = own or rows  # rounds on files that somebody chose are SHADOW and no part of a station's season
    facts = [("Station", f"{given.data_dir or ROOT / 'var'}, {_bars(told)}; a round reads what had closed before it")]
    if own:
        facts.append(("Capital", f"the engine has taken the weights of {len(taken)} of {len(own)} rounds"))
        facts += [("Left out", f"{len(rows) - len(own)} SHADOW, held over files")] if len(own) < len(rows) else []
    words = ("SIMULATED",) if own else ("SHADOW", "SIMULATED")
    records = [record for row in told if (record := record_of(row)) is not None]
    return records, Source(words, STATION, facts, promoted=_promoted(told, station_bars=bool(own)))


def _promoted(rows: "list[TournamentRound]", *, station_bars: bool) -> "Innovation | None":
    """Return what people promoted up to the newest of these rounds, of variants of the same kind of bars."""
    from controlroom.pages.tournaments.measures import promotions  # noqa: PLC0415
    from tournaments.reporting.innovation import innovated  # noqa: PLC0415

    proposed, promoted = promotions(station_bars=station_bars)
    return innovated(proposed, promoted, max((row.as_of_ns for row in rows), default=0))


def _bars(rows: "list[TournamentRound]") -> str:
    """Return what rounds were held on, in words."""
    from tournaments.station import RoundRequest  # noqa: PLC0415

    asked = [msgspec.json.decode(row.request, type=RoundRequest) for row in rows]
    files = sorted({Path(name).name for each in asked for name in each.bars})
    seeds = sorted({each.seed for each in asked})
    said = f"bars {', '.join(files)}" if files else "its own bars"
    return f"{said}, seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds[:3]))}" + (
        f" and {len(seeds) - 3} more" if len(seeds) > 3 else ""
    )


def _paths(given: Namespace) -> list[Path]:
    return [Path(name.strip()) for name in given.bars.split(",")]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _day(ns: int) -> str:
    return f"{datetime.fromtimestamp(int(ns) // 10**9, UTC):%Y-%m-%d}"


def _write(out: Path, html: bytes) -> None:
    """Put the file there whole or not at all."""
    beside = out.with_name(f".{out.name}.{os.getpid()}")
    try:
        beside.write_bytes(html)
        beside.replace(out)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise BadInputError(f"--out = {out} cannot be written ({error.strerror})") from error
