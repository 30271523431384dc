"""`tournament`: rounds over files of bars, by the same steps as a station's own; nothing of it trades."""

import json
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime, time
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import msgspec

from controlroom.supervisor import tournament_report, tournament_station
from controlroom.supervisor.errors import BadInputError, Parser, complain
from controlroom.supervisor.options import ROOT
from events.commandline import help_or_refusal

if TYPE_CHECKING:
    from tournaments.record import RoundRecord
    from tournaments.rules import Rules
    from tournaments.scores.clustered import Estimate
    from tournaments.season import Season
    from tournaments.simulation import Simulated

SECOND_NS = 1_000_000_000
CAPITAL = 1_000_000.0
SUBCOMMANDS = {
    "season": "every round that the rules' schedule has over files of bars, settled, with its scores; SIMULATED",
    "simulate": "whole rounds over resampled history: who wins how often, false winners, regret, diversity",
    "run": "a round by hand in the station's database, in SHADOW: the engine is not told",
    "show": "a round's record",
    "report": "how every strategy did through a season, as one HTML file: of a station's rounds or of files of bars",
}
EXAMPLES = {
    "season": "example: manage.py tournament season --bars day.parquet,min15.parquet --from 2019-01-06 --to 2019-02-10",
    "simulate": "example: manage.py tournament simulate --bars daily.parquet --num-agents 4 --iterations 100",
    "run": "example: manage.py tournament run --bars daily.parquet --as-of 2019-01-06T07:00:00Z --data-dir var",
    "show": "example: manage.py tournament show tournament:XNYS:2019-01-07 --data-dir var",
    "report": "example: manage.py tournament report --out report.html --data-dir var",
}
STATES = {"settle": "to be settled"}
HEAD = (
    f"  {'rank':<5}{'agent':<16}{'total':>7}{'95 % interval':>17}{'best':>6}{'accuracy':>10}{'+-':>8}{'contrib.':>10}"
    f"{'resil.':>8}  {'worst family':<18}{'Sharpe':>7}{'+-':>6}{'defl.':>7}{'drawd.':>8}{'base':>8}{'pool':>7}"
)


def main(argv: list[str]) -> int:
    """Run one sub-command; return 0, 1 (a round is void, unknown or somebody else's) or 2 (bad input)."""
    shown = help_or_refusal("tournament", argv, SUBCOMMANDS, "\n".join(EXAMPLES.values()) + "\n")
    if shown is not None:
        return shown
    try:
        return RUN[argv[0]](_parser(argv[0]).parse_args(argv[1:]))
    except (BadInputError, ValueError) as error:
        return complain(error)


def _parser(name: str) -> Parser:
    parser = Parser(prog=f"tournament {name}", description=SUBCOMMANDS[name], epilog=EXAMPLES[name])
    parser.add_argument("--json", action="store_true", help="one JSON object")
    if name == "report":
        tournament_report.add_arguments(parser)
        return parser
    if name in {"run", "show"}:
        parser.add_argument("--data-dir", type=Path, default=ROOT / "var", help="the station's (default: var/)")
    if name == "show":
        parser.add_argument("id", help="as the season's table names it")
        return parser
    parser.add_argument("--bars", required=True, help="Parquet or CSV files of bars, comma between them; one is daily")
    parser.add_argument("--symbols", default="", help="A,B,...: these alone (default: all that the files share)")
    parser.add_argument("--seed", type=int, default=1, help="of all chance (default: 1)")
    if name == "run":
        parser.add_argument("--as-of", required=True, help="instant, ISO; what came later is not read")
        parser.add_argument("--name", default="", help="of a round of its own beside the schedule's")
        return parser
    parser.add_argument("--rules", type=Path, action="append", help="JSON of rules other than the defaults")
    if name == "season":
        parser.add_argument("--from", dest="first", required=True, help="day, UTC; a round that opens on it counts")
        parser.add_argument("--to", dest="last", required=True, help="day, UTC, included")
        parser.add_argument("--out", type=Path, help="folder for one JSON file a round")
    else:
        parser.add_argument("--num-agents", type=int, default=4, help="2 to 16, as many as the rules need (default: 4)")
        parser.add_argument("--iterations", type=int, default=100, help="rounds, five to a resampled history")
    return parser


def _season_of(given: Namespace, rules: "Rules") -> "Season":
    from agents.strategies import STRATEGIES, parameter_array  # noqa: PLC0415 - help compiles nothing
    from controlroom.supervisor.tournament_market import read_market  # noqa: PLC0415
    from engine.configuration import load_settings  # noqa: PLC0415
    from tournaments.season import Season  # noqa: PLC0415
    from tournaments.stress.policies import Entrant  # noqa: PLC0415

    if not 0 <= given.seed < 2**31:
        raise BadInputError(f"--seed = {given.seed} must be 0 to {2**31 - 1}")
    names = [name.strip() for name in given.bars.split(",")]
    if not all(names):
        raise BadInputError(f'--bars = "{given.bars}" must name files, comma between them')
    wanted = [name.strip() for name in given.symbols.split(",") if name.strip()]
    entrants = tuple(Entrant(each.name, each, parameter_array(each, {})) for each in STRATEGIES)
    market = read_market([Path(name) for name in names], wanted)
    return Season(market, entrants, rules, load_settings().costs, CAPITAL, given.seed, threads=2)


def _rules(given: Namespace) -> "list[Rules]":
    from tournaments.rules import Rules, from_json  # noqa: PLC0415 - help needs none

    found = []
    for file in given.rules or ():
        try:
            found.append(from_json(file.read_bytes()))
        except OSError as error:
            raise BadInputError(f"--rules {file} cannot be read ({error.strerror})") from error
    return found or [Rules()]


def _day_ns(name: str, text: str) -> int:
    try:
        day = date.fromisoformat(text)
    except ValueError as error:
        raise BadInputError(f'{name} = "{text}" must be a day as 2019-01-06') from error
    return int(datetime.combine(day, time(), UTC).timestamp()) * SECOND_NS


def season_of(given: Namespace) -> "tuple[Season, Iterator[RoundRecord]]":
    """Return the season that files, dates and rules ask for, and its rounds to be held one by one.

    Raises
    ------
    BadInputError
        if an argument cannot be.
    """
    from tournaments.season import rounds  # noqa: PLC0415 - help compiles nothing

    first, last = _day_ns("--from", given.first), _day_ns("--to", given.last)
    if last < first:
        raise BadInputError(f"--to = {given.last} is before --from = {given.first}")
    rules = _rules(given)
    if len(rules) > 1:
        raise BadInputError("--rules is there twice; a season has one version of the rules")
    season = _season_of(given, rules[0])
    return season, rounds(season, after_ns=first - 1, until_ns=last + 86_400 * SECOND_NS - 1)


def _season(given: Namespace) -> int:
    season, found = season_of(given)
    if given.json:
        held = list(_kept(found, given.out))
        sys.stdout.write(
            json.dumps({"simulated": True, "rounds": [_row(each) for each in held]}, allow_nan=False) + "\n"
        )
        return 0
    sys.stdout.write(
        f"SIMULATED on {len(season.market.instruments)} symbols, {len(season.market.daily.now_ns)} sessions of daily "
        "bars: nothing of it was traded.\n"
        "total: with its 95 % interval; best: P(nobody is better); resil., worst family and claims: SIMULATED stress; "
        "Sharpe to drawd.: SIMULATED unit book after costs.\n"
    )
    held = []
    for record in _kept(found, given.out):
        sys.stdout.write("\n".join(lines_of(record)) + "\n")
        sys.stdout.flush()
        held.append(record)
    sys.stdout.write(_earned(held))
    return 0


def _earned(held: "list[RoundRecord]") -> str:
    """Return what the competitive pool earned beyond the same capital by base weights, over the predicted sessions."""
    from tournaments.allocation.metrics import competitive_delta  # noqa: PLC0415 - help needs none

    done = [(each.allocated, each.settlement) for each in held if each.allocated and each.settlement]
    if not done:
        return ""
    agents = sorted(done[0][0].base)
    base = [[made.base[name] for name in agents] for made, _ in done]
    fast = [[made.competitive[name] for name in agents] for made, _ in done]
    delta = competitive_delta(base, fast, [[came.returns_of[name] for name in agents] for _, came in done])
    error = "" if len(done) < 2 else f" +- {delta.error:.7f}"
    return f"\ncompetitive delta {delta.mean:+.7f}{error} of the capital a session, {len(done)} rounds; SIMULATED\n"


def _kept(found: "Iterator[RoundRecord]", folder: Path | None) -> "Iterator[RoundRecord]":
    """Pass records on, each written to the folder first."""
    if folder is not None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BadInputError(f"--out {folder} cannot be made ({error.strerror})") from error
    for record in found:
        if folder is not None:
            name = record.round.round_id.replace(":", "-")
            try:
                (folder / f"{name}.json").write_bytes(msgspec.json.encode(record))
            except OSError as error:
                raise BadInputError(f"--out {folder / name}.json cannot be written ({error.strerror})") from error
        yield record


def _row(record: "RoundRecord") -> dict[str, Any]:
    held: dict[str, Any] = {"id": record.round.round_id, "state": record.round.state, "reason": record.round.reason}
    scores = msgspec.to_builtins(record.scores)
    held |= {"first_is_best": record.first_is_best, "scores": scores}
    return held | {
        "allocated": msgspec.to_builtins(record.allocated), "settlement": msgspec.to_builtins(record.settlement)
    }  # fmt: skip


def lines_of(record: "RoundRecord") -> list[str]:
    reason = record.round.reason
    if record.round.state == "settle":
        reason = "the bars end before its session closes"
    lines = [f"\n{record.round.round_id}: {STATES.get(record.round.state, record.round.state)}"]
    lines[0] += f", {reason}" if reason else ""
    made = record.allocated
    if made is None or record.opened is None:
        return lines
    lines.append(HEAD)
    for row in sorted(record.scores, key=lambda row: (row.rank, row.agent)):
        base, pool = made.base[row.agent], made.competitive[row.agent]
        lines.append(
            f"  {row.rank:<5}{row.agent:<16}{row.total:>7.3f}{f'{row.low:.3f} to {row.high:.3f}':>17}{row.best:>6.0%}"
            f"{row.accuracy:>10.5f}{_error(row.accuracy_error, 5):>8}{row.contribution:>10.4f}"
            f"{row.resilience.resilience:>8.3f}  {row.resilience.worst:<18}{row.sharpe:>7.2f}"
            f"{_error(row.sharpe_error, 2):>6}{row.deflated:>7.0%}{row.drawdown:>8.1%}{base:>8.2%}{pool:>7.2%}"
        )
    held = sum(ruling.holds for debate in record.debates.values() for ruling in debate.rulings)
    claims = sum(len(debate.rulings) for debate in record.debates.values())
    lines.append(
        f"  pool {made.pool:.1%} (ln E {made.evidence:+.2f}), cash {made.cash:.2%}, diversity "
        f"{made.diversity_index:.2f}, {held} of {claims} claims held, P(first is best) {record.first_is_best:.0%}, "
        f"largest change {made.change:.2%} ({'automatic' if made.automatic else 'needs people'})"
    )
    if record.settlement is not None:
        told = "; ".join(f"{row.agent} {_skill(record.settlement.skill, row.agent)}" for row in record.scores)
        lines.append(f"  settled: skill against climatology {told}")
    return lines


def _skill(told: Mapping[str, float | None], agent: str) -> str:
    if agent not in told:
        return "abstained"
    skill = told[agent]
    return "settled nothing" if skill is None else f"{skill:+.5f}"


def _error(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _simulate(given: Namespace) -> int:
    from tournaments.simulation import check, paired, simulate  # noqa: PLC0415 - help compiles nothing

    versions, found = _rules(given), []
    for rules in versions:
        check(rules, given.num_agents, given.iterations)  # all of them, before the first takes its minutes
    season = _season_of(given, versions[0])
    for rules in versions:
        began = perf_counter()
        held = simulate(season, rules, agents=given.num_agents, iterations=given.iterations)
        found.append(msgspec.structs.replace(held, seconds=perf_counter() - began))
    if given.json:
        told = [msgspec.to_builtins(each) for each in found]
        between = [
            {name: {"mean": each.mean, "error": each.error} for name, each in paired(found[0], other).items()}
            for other in found[1:]
        ]
        both = {"rules": told, "first_less_each_other": between}
        sys.stdout.write(json.dumps(told[0] if len(told) == 1 else both) + "\n")
        return 0
    for each in found:
        sys.stdout.write("\n".join(_simulated(each)) + "\n")
    for other in found[1:]:
        sys.stdout.write("\n".join(_between(found[0], other, paired(found[0], other))) + "\n")
    return 0


def _between(one: "Simulated", other: "Simulated", told: "Mapping[str, Estimate]") -> list[str]:
    names = f"rules {one.rules_version} ({one.rules_sha256[:8]}) less {other.rules_version} ({other.rules_sha256[:8]})"
    if not told:
        return [f"{names}: no pairs, for their schedules give the histories other rounds"]
    return [
        f"{names}, history by history; SIMULATED:",
        *(f"  {name:<20}{each.mean:>+12.6f} +- {_error(each.error, 6)}" for name, each in told.items()),
    ]


def _simulated(found: "Simulated") -> list[str]:
    lines = [
        f"SIMULATED: {found.rounds} rounds ({found.void} void) on {found.histories} resampled histories",
        f"  rules {found.rules_version} ({found.rules_sha256[:8]}), {found.seconds:.1f} s",
    ]
    for name, count in found.wins.items():
        error = found.wins_error[name]
        beside = "" if error is None else f" +- {error:.1%}"
        lines.append(f"  {name:<20}{count:>6g} wins {count / found.rounds:>6.1%}{beside}")
    lines += [
        f"  raw regret {found.regret:.5f} a round, bound {found.regret_bound:.5f}; diversity {found.diversity:.2f}",
        f"  P(first is best) {found.first_is_best:.0%} on average",
    ]
    return lines + _synthetic(found)


def _synthetic(found: "Simulated") -> list[str]:
    same, one, none = found.identical, found.planted, found.evidence
    shares = ", ".join(f"{count / same.rounds:.1%}" for count in same.wins)
    after = "in fewer than half" if one.rounds is None else f"the median after {one.rounds:g}"
    return [
        f"identical agents, {same.rounds} rounds: they win {shares}; 25 % +- {same.share_error:.1%} is fair",
        f"  P(first is best) {same.first_is_best:.0%} on average, where 25 % is true",
        f"  false winners (P above {same.threshold:.0%}) {same.false_winner_rate:.1%} +- {same.false_winner_error:.1%}",
        f"one better agent (correlation {one.edge:g}), {one.seasons} seasons of {one.horizon} rounds:",
        f"  named with P of {one.threshold:.0%} in {one.found:.0%} +- {one.found_error:.0%}, {after}",
        f"  another named before it in {one.misnamed:.0%} +- {one.misnamed_error:.0%}",
        f"no skill, {none.seasons} seasons of {none.rounds} rounds:",
        f"  pool ever fully open in {none.fully_open:.1%} +- {none.fully_open_error:.1%}",
        f"  raw regret {none.regret:.5f} a round, bound {none.regret_bound:.5f}, broken {none.above_bound} times",
    ]


RUN: dict[str, Callable[[Namespace], int]] = {
    "season": _season, "simulate": _simulate, "run": tournament_station.run, "show": tournament_station.show,
    "report": tournament_report.report,
}  # fmt: skip
