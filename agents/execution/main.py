"""`execution`: what executions cost against what was expected."""

import sys
from pathlib import Path

import msgspec

from agents.execution.orders import collect_journal
from agents.execution.shortfall import PARTS, Estimate, Report, Row, report
from audit.arguments import Parser
from events.commandline import BadInputError, complain, existing
from events.segments import JournalError

EXAMPLE = "execution report --json"
ALLOWED = "report"


def main(argv: list[str]) -> int:
    """Return 0, 1 if the journal cannot be read, 2 for a bad argument."""
    parser = Parser(
        "execution",
        "report: implementation shortfall by symbol, strategy and hour, expected against obtained by order.",
        EXAMPLE,
    )
    parser.add_argument("what", metavar="report", help="the fill-quality report of the execution journal")
    parser.add_argument("--json", action="store_true", help="one JSON object, with every order")
    try:
        given = parser.parse_args(argv)
        journal = _journal(given.what, given.data_dir)
    except BadInputError as error:
        return complain(error)
    try:
        collected = collect_journal(journal)
    except JournalError as error:
        return complain(error, 1)
    found = report(collected.decisions(), collected.instruments, collected.currency)
    if given.json:
        sys.stdout.write(msgspec.json.encode(found).decode() + "\n")
    else:
        sys.stdout.write(text(found))
    return 0


def _journal(what: str, data_dir: Path) -> Path:
    if what != ALLOWED:
        raise BadInputError(f'execution: "{what}" is no sub-command; allowed is {ALLOWED}')
    journal = existing(data_dir).journal / "execution"
    if not journal.is_dir():
        raise BadInputError(f"--data-dir = {data_dir} holds no execution journal; give one that `run` has used")
    return journal


def text(found: Report) -> str:
    """Return the report for people: a line a group, basis points with their standard error."""
    lines = [
        f"Implementation shortfall, basis points of what was decided; money in {found.currency or '-'}; + costs",
        "",
    ]
    heading = f"{'':<22}{'orders':>7}{'filled':>7}{'fills':>7}{'value':>16}{'shortfall':>14}{'bps':>9}{'+-':>7}"
    heading += "".join(f"{part:>13}" for part in PARTS)
    for title, rows in (
        ("total", [found.total]),
        ("by symbol", found.by_symbol),
        ("by strategy", found.by_strategy),
        ("by hour", found.by_hour),
    ):
        lines += [title, heading, *map(_line, rows), ""]
    lines.append(
        f"{'expected and obtained':<22}{'orders':>7}{'expected':>10}{'obtained':>10}{'error':>9}{'+-':>7}{'abs':>9}"
    )
    lines += [
        f"{each.model[:21]:<22}{each.orders:>7}{each.expected_bps:>10.3f}{each.obtained_bps:>10.3f}"
        f"{each.mean_error_bps:>9.3f}{_error(each.standard_error_bps):>7}{each.mean_absolute_error_bps:>9.3f}"
        for each in found.forecasts
    ] or ["no order has a forecast"]
    return "\n".join(lines) + "\n"


def _line(row: Row) -> str:
    start = (
        f"{row.name[:21]:<22}{row.orders:>7}{row.filled:>7}{row.fills:>7}{row.value:>16,.2f}{row.total.money:>14,.2f}"
    )
    start += f"{_bps(row.total):>9}{_error(row.total.standard_error_bps):>7}"
    return start + "".join(f"{_bps(row.parts[part]):>13}" for part in PARTS)


def _bps(found: Estimate) -> str:
    return "-" if found.bps is None else f"{found.bps:.3f}"


def _error(error: float | None) -> str:
    return "-" if error is None else f"{error:.3f}"
