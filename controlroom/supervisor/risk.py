"""`risk`: value at risk with its verdicts, stress and scenarios of some weights; limits and what is used of them."""

import json
import math
import sys
from argparse import Namespace
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from controlroom.supervisor import control
from controlroom.supervisor.errors import BadInputError, Parser, complain
from controlroom.supervisor.options import ROOT
from events.commandline import existing, help_or_refusal
from risk.usage import Usage, usages

if TYPE_CHECKING:
    from risk.measures.backtest import Measure
    from risk.measures.prices import Panel
    from risk.measures.stress import Stress

WINDOW, PATHS = 500, 100_000
MOST_WEIGHT = 100.0
EXAMPLES = {
    "var": "example: manage.py risk var --bars daily.parquet --factors factors.parquet --weights SPY=0.6,IBM=0.4",
    "stress": "example: manage.py risk stress --bars daily.parquet --weights SPY=1.2,USO=-0.2 --json",
    "limits": "example: manage.py risk limits --json",
}
SUBCOMMANDS = {
    "var": "VaR and expected shortfall by three methods, and what became of each forecast",
    "stress": "named scenarios, Monte Carlo stress in calm and stressed markets, correlations",
    "limits": "limits of a running station and what is used of each",
}
VAR_HEAD = (
    f"{'method':<12}{'level':>6}{'VaR 1d':>8}{'ES 1d':>8}{'VaR 10d':>9}{'ES 10d':>8}{'exceptions':>16}  "
    f"{'Kupiec':>7}{'indep.':>7}{'cond.':>7}{'ES':>7}  {'250 days':<9}{'all':<7} verdict (p-values of the tests)"
)
TAIL_HEAD = (
    f"{'market':<10}{'days':>6}{'horizon':>9}{'VaR 95':>9}{'ES 95':>9}{'VaR 99':>9}{'ES 99':>9}{'worst':>9}  "
    "paths that lose more than"
)


def main(argv: list[str]) -> int:
    """Run one sub-command; return 0, 1 (the worker does not answer) or 2 (bad input)."""
    shown = help_or_refusal("risk", argv, SUBCOMMANDS, "\n".join(EXAMPLES.values()) + "\n")
    if shown is not None:
        return shown
    from market.feeds.port import FeedError  # noqa: PLC0415 - help needs no data

    try:
        given = _parser(argv[0]).parse_args(argv[1:])
        return RUN[argv[0]](given)
    except (BadInputError, FeedError, ValueError) as error:
        return complain(error)


def _parser(name: str) -> Parser:
    parser = Parser(prog=f"risk {name}", description=SUBCOMMANDS[name], epilog=EXAMPLES[name])
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.add_argument(
        "--data-dir", type=Path, default=ROOT / "var", help="the station's data directory, for limits (default: var/)"
    )
    if name == "limits":
        return parser
    parser.add_argument("--bars", required=True, help="Parquet or CSV files of bars, comma between them")
    parser.add_argument("--weights", required=True, help="A=0.3,B=-0.2: positions as fractions of the capital")
    parser.add_argument("--factors", type=Path, help="price and split factors (sym, date, price_factor, split_factor)")
    parser.add_argument("--seed", type=int, default=1, help="of the simulated paths (default: 1)")
    if name == "var":
        parser.add_argument("--window", type=int, default=WINDOW, help=f"days that a forecast looks back ({WINDOW})")
    else:
        parser.add_argument("--paths", type=int, default=PATHS, help=f"simulated paths (default: {PATHS})")
    return parser


def weights_of(text: str) -> dict[str, float]:
    """Return symbol to weight of ``A=0.3,B=-0.2``.

    Raises
    ------
    BadInputError
        if a part is no symbol with a finite number, a symbol is there twice, or a weight is above a hundred.
    """
    found: dict[str, float] = {}
    for part in text.split(","):
        symbol, equals, number = part.strip().partition("=")
        try:
            weight = float(number)
        except ValueError:
            weight = math.nan
        if not symbol or not equals or not math.isfinite(weight) or abs(weight) > MOST_WEIGHT:
            raise BadInputError(
                f'--weights: "{part.strip()}" must be SYMBOL=NUMBER with a finite number of -{MOST_WEIGHT:g} to '
                f"{MOST_WEIGHT:g}, as SPY=0.6"
            )
        if symbol in found:
            raise BadInputError(f"--weights names {symbol} twice; name each symbol once")
        found[symbol] = weight
    return found


def _panel(given: Namespace, weights: dict[str, float]) -> "Panel":
    from risk.measures.prices import read_panel  # noqa: PLC0415 - limits need no data

    names = [name.strip() for name in given.bars.split(",")]
    if not all(names):
        raise BadInputError(f'--bars = "{given.bars}" must name files, comma between them')
    if not 0 <= given.seed < 2**32:
        raise BadInputError(f"--seed = {given.seed} must be 0 to {2**32 - 1}")
    return read_panel([Path(name) for name in names], list(weights), given.factors)


def _common(panel: "Panel", weights: dict[str, float]) -> dict[str, Any]:
    return {
        "weights": weights, "days": len(panel.dates), "from": str(panel.dates[0]), "to": str(panel.dates[-1]),
        "warnings": list(panel.warnings),
    }  # fmt: skip


def _var(given: Namespace) -> int:
    import numpy as np  # noqa: PLC0415 - limits need none of it

    from risk.measures.backtest import measure  # noqa: PLC0415

    weights = weights_of(given.weights)
    panel = _panel(given, weights)
    try:
        found = measure(
            panel.returns, np.array(list(weights.values())), panel.dates[1:], window=given.window, seed=given.seed
        )
    except ValueError as error:
        raise BadInputError(f"risk var: {error}") from error
    common = {**_common(panel, weights), "window": given.window}
    _warn(panel)
    _print(given, {**common, "measures": msgspec.to_builtins(found)}, lambda: _var_lines(common, found))
    return 0


def _var_lines(common: dict[str, Any], found: "Sequence[Measure]") -> list[str]:
    days, window = f"{common['days']} shared days {common['from']} to {common['to']}", common["window"]
    lines = [f"{days}; each day forecast from the {window} days before it. Losses in % of the capital.", VAR_HEAD]
    for one in found:
        verdict = one.verdict
        tests = (verdict.kupiec, verdict.independence, verdict.conditional, verdict.shortfall)
        p_values = "".join(f"{test.p_value:>7.3f}" if test else f"{'-':>7}" for test in tests)
        lights = [light.zone if light else "-" for light in (verdict.basel, verdict.whole)]
        lines.append(
            f"{one.method:<12}{one.level:>6.0%}{one.var:>8.2%}{one.es:>8.2%}{one.ten_days.var:>9.2%}"
            f"{one.ten_days.es:>8.2%}{verdict.exceptions:>6} of {verdict.expected:>6.1f}  {p_values}  "
            f"{lights[0]:<9}{lights[1]:<7} {verdict.said}"
        )
    lines += [
        f"exceptions of {one.method} at {one.level:.0%}, the worst 5: "
        + "; ".join(
            f"{day.date} {day.loss:.2%} (VaR {day.var:.2%})"
            for day in sorted(one.exceptions, key=lambda day: day.var - day.loss)[:5]
        )
        for one in found
        if one.exceptions
    ]
    tens = found[0].ten_days.stretches
    return [*lines, f"Ten-day figures: {tens} stretches that do not overlap; too few for a verdict. --json lists all."]


def _stress(given: Namespace) -> int:
    import numpy as np  # noqa: PLC0415 - limits need none of it

    from risk.measures.stress import check_paths, stress  # noqa: PLC0415

    weights = weights_of(given.weights)
    try:
        check_paths(given.paths)
    except ValueError as error:
        raise BadInputError(f"risk stress: {error}") from error
    panel = _panel(given, weights)
    found = stress(panel, np.array(list(weights.values())), paths=given.paths, seed=given.seed)
    common = _common(panel, weights)
    _warn(panel)
    _print(given, {**common, **msgspec.to_builtins(found)}, lambda: _stress_lines(common, found))
    return 0


def _stress_lines(common: dict[str, Any], found: "Stress") -> list[str]:
    lines = [
        f"{common['days']} shared days {common['from']} to {common['to']}. Losses in % of the capital; - is a gain.",
        f"{'scenario':<68}{'days':<26}{'loss':>9}  worst",
    ]
    for one in found.scenarios:
        loss = "no data" if one.loss is None else f"{one.loss:.2%}"
        worst = f"{one.worst} {one.worst_loss:.2%}" if one.worst else ""
        lines.append(f"{one.name:<68}{one.days:<26}{loss:>9}  {worst}")
    lines.append(f"{found.paths:,} paths, Student t with {found.degrees:.1f} degrees of freedom, seed {found.seed};")
    lines.append(f"the market is {found.regime} now." if found.regime else "the days do not fall into two markets.")
    lines.append(TAIL_HEAD)
    for row in found.tails:
        beyond = ", ".join(f"{float(large):.0%}: {share:.3%}" for large, share in row.beyond.items())
        lines.append(
            f"{row.market:<10}{row.days:>6}{row.horizon_days:>8}d{row.var_95:>9.2%}{row.es_95:>9.2%}{row.var_99:>9.2%}"
            f"{row.es_99:>9.2%}{row.worst:>9.2%}  {beyond}"
        )
    lines.append(f"correlations ({found.estimator})" + "".join(f"{symbol:>7.6}" for symbol in found.symbols))
    lines += [
        f"{symbol:<26}" + "".join(f"{value:>7.2f}" for value in row)
        for symbol, row in zip(found.symbols, found.correlation, strict=True)
    ]
    return lines


def _limits(given: Namespace) -> int:
    paths = existing(given.data_dir)
    try:
        view = control.ask(paths, {"op": "status"})
    except control.WorkerAwayError as error:
        return complain(f"{error}; limits are those that a running worker obeys", code=1)
    if "limits" not in view:
        return complain("the worker has no configuration yet, so no limits are in force", code=1)
    found = usages(view)
    common = {"seq": view["seq"], "configuration": view["configuration"], "state": view["state"]}
    _print(given, {**common, "limits": msgspec.to_builtins(found)}, lambda: _limit_lines(common, found))
    return 0


def _limit_lines(common: dict[str, Any], found: Sequence[Usage]) -> list[str]:
    lines = [
        f"{common['state']}, configuration {common['configuration']}, at record {common['seq']}",
        f"{'limit':<28}{'allowed':>18}{'used':>12}{'share':>8}",
    ]
    for one in found:
        used = "" if one.used is None else f"{one.used:.4f}"
        share = "" if one.share is None else f"{one.share:.0%}"
        lines.append(f"{one.name:<28}{one.limit:>18,.4f}{used:>12}{share:>8}  {one.where}".rstrip())
    return lines


def _warn(panel: "Panel") -> None:
    for warning in panel.warnings:
        sys.stderr.write(f"warning: {warning}\n")


def _print(given: Namespace, found: dict[str, Any], lines: Callable[[], list[str]]) -> None:
    sys.stdout.write(json.dumps(found) + "\n" if given.json else "\n".join(lines()) + "\n")


RUN: dict[str, Callable[[Namespace], int]] = {"var": _var, "stress": _stress, "limits": _limits}
