"""`ledger`: a list of fills through the station's own ledger, to check a broker's statement."""

import math
import os
import sys
from argparse import RawDescriptionHelpFormatter
from pathlib import Path
from typing import Any

from audit.arguments import print_json
from controlroom.supervisor.compiled import cache_directory
from events.commandline import BadInputError, Parser, complain

EXAMPLE = """example:
  manage.py ledger fills.csv --actions actions.csv --financing-bps 50 --marks AAPL=93.70,BTC=41250.5 --json

Fills: ts, symbol, side (buy or sell), qty, price, fee. Actions: ts, symbol, kind (split or dividend), value (7 or 1/20;
money a unit), or a factor file. Financing: the rate a year on a short's last price for each midnight UTC, ACT/360.
"""


def main(argv: list[str]) -> int:
    """Return 0, or 2 for a bad argument or file."""
    parser = Parser(
        prog="ledger", allow_abbrev=False, description=__doc__, epilog=EXAMPLE,
        formatter_class=RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("file", type=Path, help="CSV or Parquet file of fills")
    parser.add_argument("--actions", type=Path, help="CSV or Parquet file of splits and dividends")
    parser.add_argument("--financing-bps", default="0", help="what shorts cost a year, in basis points (default: 0)")
    parser.add_argument("--marks", default="", help="last prices, SYMBOL=PRICE by commas: adds unrealised profit")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    try:
        given = parser.parse_args(argv)
        ppm, marks = _financing(given.financing_bps), _marks(given.marks)
        os.environ.setdefault("NUMBA_CACHE_DIR", str(cache_directory()))
        report = _report(given.file, given.actions, ppm, marks)
    except ValueError as error:  # BadInputError and FeedError are such: one sentence each
        return complain(error)
    if given.json:
        print_json(report)
    else:
        sys.stdout.write(_readable(report))
    return 0


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
