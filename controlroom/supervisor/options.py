"""What `run` is told on its command line, parsed and checked before anything else happens."""

import argparse
import ipaddress
import math
import re
from dataclasses import dataclass
from pathlib import Path

from controlroom.supervisor.errors import BadInputError, Parser

ROOT = Path(__file__).resolve().parents[2]
DEFAULT_PORT = 8777
LABEL = "[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
NAME = re.compile(rf"(?=.{{1,253}}\Z){LABEL}(\.{LABEL})*")

EXAMPLE = """example:
  ./station run
  ./station run --feed sample --speed max --until-done --json
  ./station run --feed replay:bars.parquet --symbols AAPL,MSFT --speed 120 --port 9000
"""


@dataclass(frozen=True)
class RunOptions:
    """The checked options; ``speed`` is "max", a factor of market time, or None where the command line names none."""

    feed: str
    symbols: tuple[str, ...]
    speed: str | float | None
    data_dir: Path
    host: str
    port: int
    interval_s: int | None
    stances: Path | None
    checkpoint_dir: Path | None
    until_done: bool
    browser: bool
    json: bool
    questdb: bool = False
    actions: Path | None = None
    tls: bool = False
    names: tuple[str, ...] = ()
    operators: int = 1
    tournaments: bool = False
    history: tuple[Path, ...] = ()


def run_parser() -> argparse.ArgumentParser:
    """Return the parser of `run`."""
    parser = Parser(
        prog="run",
        allow_abbrev=False,
        description="Start the whole station and print its address. Ctrl-C stops everything in order.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--feed",
        default="simulated",
        help="simulated, sample or replay:PATH[,PATH] (Parquet or CSV; default: simulated)",
    )
    parser.add_argument("--symbols", help="comma-separated symbols of the source (default: all)")
    parser.add_argument("--speed", help='how many times faster than the market, or "max" (default: one bar a second)')
    parser.add_argument("--interval", help="length of the source's bars in seconds (default: found in the data)")
    parser.add_argument("--stances", type=Path, help="Parquet file of stances to feed in beside the bars")
    parser.add_argument(
        "--actions", type=Path, help="file of splits and dividends, or of factors, of the source's symbols"
    )
    parser.add_argument("--data-dir", type=Path, default=ROOT / "var", help="where everything is kept (default: var/)")
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1); any but loopback needs --tls"
    )
    parser.add_argument("--tls", action="store_true", help="https, by a certificate authority of this data directory")
    parser.add_argument("--tls-names", help="further names and addresses for the certificate, separated by commas")
    parser.add_argument(
        "--operators", type=int, choices=(1, 2), default=1,
        help="of the first start: people whom a loosening takes (default: 1, who waits ten minutes)",
    )  # fmt: skip
    parser.add_argument(
        "--tournaments", choices=("weekly", "none"),
        help="whether rounds open by the rules' schedule in market time (default: weekly; none with --speed max or "
        "--until-done)",
    )  # fmt: skip
    parser.add_argument(
        "--history", help="files of bars from before the source's, comma between them: tournaments look at them too"
    )
    parser.add_argument("--port", default=str(DEFAULT_PORT), help=f"port of the web pages (default: {DEFAULT_PORT})")
    parser.add_argument("--checkpoint-dir", type=Path, help="copy signed checkpoints and public keys there, elsewhere")
    parser.add_argument(
        "--until-done", action="store_true", help="end by itself when the source has ended, and print the result"
    )
    parser.add_argument("--json", action="store_true", help="print the result of --until-done as one JSON object")
    parser.add_argument(
        "--questdb", action="store_true", help="keep the projection in a QuestDB of this station's own (needs Java 17)"
    )
    parser.add_argument("--no-browser", action="store_true", help="do not open a browser")
    return parser


def parse_run(argv: list[str]) -> RunOptions:
    """Return the options, checked as far as that needs no file.

    Raises
    ------
    BadInputError
        naming the argument, its value and what is allowed.
    """
    given = run_parser().parse_args(argv)
    if given.json and not given.until_done:
        raise BadInputError("--json has nothing to print without --until-done: add it or leave --json out")
    return RunOptions(
        feed=given.feed,
        symbols=_symbols(given.symbols),
        speed=_speed(given.speed),
        data_dir=_data_directory(given.data_dir),
        host=_host(given.host, tls=given.tls),
        port=_number("--port", given.port, 1, 65535),
        interval_s=None if given.interval is None else _number("--interval", given.interval, 1, 86400),
        stances=None if given.stances is None else given.stances.absolute(),
        checkpoint_dir=None if given.checkpoint_dir is None else _checkpoint_directory(given.checkpoint_dir),
        until_done=given.until_done,
        browser=not (given.no_browser or given.until_done),
        json=given.json,
        questdb=given.questdb,
        actions=None if given.actions is None else given.actions.absolute(),
        tls=given.tls,
        names=_names(given.tls_names, tls=given.tls),
        operators=given.operators,
        tournaments=_tournaments(given.tournaments, fast=given.until_done or given.speed == "max"),
        history=_history(given.history),
    )


def _tournaments(choice: str | None, *, fast: bool) -> bool:
    """Return whether rounds are held: twenty years at full speed have a thousand, for each of which a replay waits."""
    return not fast if choice is None else choice == "weekly"


def _history(text: str | None) -> tuple[Path, ...]:
    if text is None:
        return ()
    paths = tuple(Path(part.strip()).absolute() for part in text.split(","))
    if missing := [str(path) for path in paths if not path.is_file()]:
        raise BadInputError(f"--history: {missing[0]} is no file; name Parquet or CSV files, comma between them")
    return paths


def _symbols(text: str | None) -> tuple[str, ...]:
    if text is None:
        return ()
    symbols = tuple(part.strip() for part in text.split(","))
    if not all(symbols):
        raise BadInputError(f'--symbols = "{text}" has an empty name; it must be names separated by single commas')
    if len(set(symbols)) != len(symbols):
        raise BadInputError(f'--symbols = "{text}" names a symbol twice; name each once')
    return symbols


def _speed(text: str | None) -> str | float | None:
    if text is None or text == "max":
        return text
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0.001 <= value <= 1e9:
        raise BadInputError(f'--speed = "{text}" must be "max" or a number from 0.001 to 1000000000')
    return value


def _number(name: str, text: str, low: int, high: int) -> int:
    value = int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else -1
    if not low <= value <= high:
        raise BadInputError(f'{name} = "{text}" must be a whole number from {low} to {high}')
    return value


def _host(text: str, *, tls: bool) -> str:
    if text == "localhost":
        return "127.0.0.1"
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        address = None
    if address is None and not (tls and NAME.fullmatch(text)):
        what = "an address or a host name" if tls else "a loopback address: without --tls (TLS), only 127.0.0.1, ::1"
        raise BadInputError(f'--host = "{text}" is not {what}{"" if tls else " and localhost are allowed"}')
    if address is not None and not address.is_loopback and not tls:
        raise BadInputError(
            f'--host = "{text}" is not a loopback address: add --tls (TLS by a certificate authority of its own), or '
            "reach 127.0.0.1 from elsewhere through ssh -L"
        )
    return text


def _names(text: str | None, *, tls: bool) -> tuple[str, ...]:
    if text is None:
        return ()
    if not tls:
        raise BadInputError(f'--tls-names = "{text}" has no meaning without --tls: add it or leave the names out')
    names = tuple(part.strip() for part in text.split(","))
    for name in names:
        if not NAME.fullmatch(name) and not _is_address(name):
            raise BadInputError(f'--tls-names = "{text}" has "{name}", which is neither a host name nor an address')
    return names


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _checkpoint_directory(path: Path) -> Path:
    """Return the folder, which need not be there now: a medium may be put in later."""
    if path.exists() and not path.is_dir():
        raise BadInputError(f"--checkpoint-dir = {path} is a file; it must be a folder, best on another disk")
    return path.absolute()


def _data_directory(path: Path) -> Path:
    text = str(path.absolute())
    if not text.isprintable():  # bytes that are no UTF-8 among them
        raise BadInputError(f"--data-dir = {text!a} must be text in UTF-8 without control characters")
    if " ;" in text or " #" in text:
        raise BadInputError(f'--data-dir = "{path}" must not hold " ;" or " #"')
    return path.absolute()
