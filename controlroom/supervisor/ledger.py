"""`ledger`: a list of fills through the station's own ledger, to check a broker's statement; a day's own statement."""

import math
import os
import sys
from argparse import RawDescriptionHelpFormatter
from datetime import date
from pathlib import Path
from typing import Any

from audit.arguments import print_json
from controlroom.supervisor.compiled import cache_directory
from events.commandline import BadInputError, Parser, complain, existing

EQUITY_HOLDS = 1e-9  # of the equity: beyond it a difference is no rounding
EXAMPLE = """example:
  manage.py ledger fills.csv --actions actions.csv --financing-bps 50 --marks AAPL=93.70,BTC=41250.5 --json
  manage.py ledger --statement --date 2019-02-11 --data-dir var

Fills: ts, symbol, side (buy or sell), qty, price, fee. Actions: ts, symbol, kind (split or dividend), value (7 or 1/20;
money a unit), or a factor file. Financing: the rate a year on a short's last price for each midnight UTC, ACT/360.
"""


def main(argv: list[str]) -> int:
    """Return 0, 1 where a statement does not add up, or 2 for a bad argument or file."""
    parser = Parser(
        prog="ledger", allow_abbrev=False, description=__doc__, epilog=EXAMPLE,
        formatter_class=RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("file", nargs="?", type=Path, help="CSV or Parquet file of fills")
    parser.add_argument("--actions", type=Path, help="CSV or Parquet file of splits and dividends")
    parser.add_argument("--financing-bps", default="0", help="what shorts cost a year, in basis points (default: 0)")
    parser.add_argument("--marks", default="", help="last prices, SYMBOL=PRICE by commas: adds unrealised profit")
    parser.add_argument("--statement", action="store_true", help="a day of the station's own journal instead of a file")
    parser.add_argument("--date", help="the day (UTC), as 2019-02-11 (default: the journal's last)")
    parser.add_argument(
        "--data-dir", type=Path, default=Path(os.environ.get("STATION_DATA_DIR", "var")), help="of --statement (var/)"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object")
    try:
        given = parser.parse_args(argv)
        if (given.file is None) != given.statement:
            raise BadInputError("ledger: give a file of fills, or --statement")
        if given.date is not None and not given.statement:
            raise BadInputError(f"--date = {given.date} is of --statement; a file is booked whole")
        os.environ.setdefault("NUMBA_CACHE_DIR", str(cache_directory()))
        if given.statement:
            return _statement(given.data_dir, given.date, as_json=given.json)
        report = _report(given.file, given.actions, _financing(given.financing_bps), _marks(given.marks))
    except ValueError as error:  # BadInputError and FeedError are such: one sentence each
        return complain(error)
    if given.json:
        print_json(report)
    else:
        sys.stdout.write(_readable(report))
    return 0


def _statement(data_dir: Path, text: str | None, *, as_json: bool) -> int:
    from engine.statement.daily import statement  # noqa: PLC0415 - compiled code reads its cache's place when imported
    from engine.statement.show import readable  # noqa: PLC0415
    from events.reader import JournalReader  # noqa: PLC0415
    from events.segments import JournalError  # noqa: PLC0415

    try:
        day = None if text is None else date.fromisoformat(text)
    except ValueError:
        raise BadInputError(f'--date = "{text}" must be a day such as 2019-02-11') from None
    try:
        found = statement(JournalReader(existing(data_dir).journal / "execution").read(), day)
    except (JournalError, OSError) as error:
        return complain(f"the journal cannot be read: {error}", 1)
    if as_json:
        print_json(found)
    else:
        sys.stdout.write(readable(found))
    difference = found["difference"]
    cash = abs(difference["cash"]) + abs(difference["cash_to_engine"])
    equity = abs(difference["equity"]) + abs(difference["equity_to_engine"])
    return 0 if cash == 0.0 and equity <= EQUITY_HOLDS * max(1.0, abs(found["closing"]["equity"])) else 1


def _report(file: Path, actions: Path | None, ppm: int, marks: dict[str, float]) -> dict[str, Any]:
    from engine.statement.booked import book_file  # noqa: PLC0415 - compiled code reads its cache's place when imported
    from engine.statement.fills import read_fills  # noqa: PLC0415
    from market.actions import read_actions  # noqa: PLC0415

    fills = read_fills(file)
    known = {fill.symbol for fill in fills}
    strange = sorted(marks.keys() - known)
    if strange:
        raise BadInputError(f"--marks: {', '.join(strange)} not in {file}, which has {', '.join(sorted(known))}")
    return book_file(fills, [] if actions is None else read_actions(actions), ppm, marks)


def _financing(text: str) -> int:
    """Return parts per million a year."""
    try:
        ppm = float(text) * 100
    except ValueError:
        ppm = math.nan
    if not 0.0 <= ppm <= 1e6 or abs(ppm - round(ppm)) > 1e-6:
        raise BadInputError(f'--financing-bps = "{text}" must be 0 to 10000 basis points a year, of two decimals')
    return round(ppm)


def _marks(text: str) -> dict[str, float]:
    marks: dict[str, float] = {}
    for part in text.split(",") if text else ():
        symbol, _, price = part.strip().rpartition("=")
        try:
            value = float(price)
        except ValueError:
            value = math.nan
        if not symbol or symbol in marks or not 0.0 < value < math.inf:
            raise BadInputError(f'--marks: "{part}" must be SYMBOL=PRICE, a price above 0, each symbol once')
        marks[symbol] = value
    return marks


def _readable(report: dict[str, Any]) -> str:
    head = ("symbol", "qty", "average price", "realised", "unrealised", "fees", "dividends", "financing")
    rows = [
        (
            symbol, f"{each['qty']:g}", f"{each['average_price']:.6f}", f"{each['realised']:.6f}",
            f"{each['unrealised']:.6f}" if "unrealised" in each else "-",
            *(f"{each[name]:.6f}" for name in ("fees", "dividends", "financing")),
        )
        for symbol, each in report["positions"].items()
    ]  # fmt: skip
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    lines = ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in (head, *rows)]
    totals = ("cash_change", "fees", "dividends", "financing")
    money = " · ".join(f"{name.replace('_', ' ')} {report[name]:.6f}" for name in totals)
    return "\n".join([*lines, "realised: fees and financing taken off, dividends added", money]) + "\n"
