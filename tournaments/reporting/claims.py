"""What the source document claims of strategies and their tournament, beside what a season measured.

Claims are read as claims: the document shows no data behind them. Its figures of latency, hardware and models are
benchmarks' business, not a season's.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tournaments.record import RoundRecord
from tournaments.reporting.estimates import Interval, of_poisson, of_rounds
from tournaments.reporting.figures import Agent, Capital, interval_of_delta, scored
from tournaments.reporting.innovation import Innovation
from tournaments.scores.clustered import clustered_mean
from tournaments.scores.performance import SESSIONS_A_YEAR

NO_BRAIN = "no season is held with such a model and without"
WITHOUT = "nothing in the rounds' records shows it"
NO_GROSS = "not every settled round has kept its gross exposure, or nothing was held; a report from files has it"
NO_SEARCH = "needs a week of a station's searches for variants; a report from files has none"


@dataclass(frozen=True)
class Measured:
    """One figure of ours and what it is of (a strategy's name, or words), with how it is to be written."""

    interval: Interval
    decimals: int
    of: str = ""
    fraction: bool = False
    signed: bool = False


@dataclass(frozen=True)
class Claim:
    """What is claimed, in which section, and what was measured, by which yardstick; ``note`` says why where nothing."""

    section: str
    what: str
    claimed: str
    measured: tuple[Measured, ...] = ()
    yardstick: str = ""
    note: str = ""


def claims(
    records: Sequence[RoundRecord], agents: Sequence[Agent], held: Capital | None, promoted: Innovation | None = None
) -> list[Claim]:
    """Return every claim with our figure where a season can measure it.

    Parameters
    ----------
    held : None before a session has settled.
    promoted : what people promoted beside these rounds, None where no station's database tells.
    """
    measured = [*_performance(held), *_resilience(agents), _innovation(promoted)]
    return [*measured, *_examples(records, agents), *_unmeasured()]


def _performance(held: Capital | None) -> list[Claim]:
    rows = [
        Claim("14", "Risk-adjusted returns", "1.85 before, 2.10 enhanced (+13.5 %)"),
        Claim("Summary", "Risk-adjusted return above a purely collaborative system", "+14.2 %"),
        Claim("14", "Maximum drawdown", "\u221218.3 % before, \u221215.2 % enhanced"),
        Claim("14", "Capital efficiency", "0.65 before, 0.77 enhanced"),
    ]
    if held is None:
        return [replace(each, note="no session has settled yet") for each in rows]
    count = len(held.whole)
    year = interval_of_delta(held.delta).times(SESSIONS_A_YEAR)
    short = f"{count} sessions are {count / SESSIONS_A_YEAR:.2f} years"
    rows[0] = replace(
        rows[0], measured=(Measured(held.sharpe, 2),),
        yardstick="annualised Sharpe ratio of the whole capital, after costs",
        note=f"{short}; the document does not say which ratio it means",
    )  # fmt: skip
    rows[1] = replace(
        rows[1],
        measured=(
            Measured(held.difference, 3, "Sharpe ratio with the pool less that by base weights alone", signed=True),
            Measured(year, 3, "of the capital a year (competitive delta)", fraction=True, signed=True),
        ),
        note="a difference: a ratio of two ratios near zero says nothing",
    )  # fmt: skip
    rows[2] = replace(
        rows[2], measured=(Measured(held.drawdown.times(-1.0), 2, fraction=True),),
        yardstick="deepest fall of the whole capital",
        note=f"{short}; a longer time falls deeper, and 10 % of the capital or less competes",
    )  # fmt: skip
    if held.efficiency is None:
        rows[3] = replace(rows[3], note=NO_GROSS)
    else:
        rows[3] = replace(
            rows[3], measured=(Measured(held.efficiency, 2),),
            yardstick="return on average gross by return on capital",
            note="the document does not define it; ours is 1 ÷ average gross exposure, so not comparable",
        )  # fmt: skip
    return rows


def _resilience(agents: Sequence[Agent]) -> list[Claim]:
    row = Claim("14", "Black swan resilience", "62 % before, 78 % enhanced “recovery”")
    told = [each for each in agents if each.regained.count]
    if not told:
        return [replace(row, note="no stress path fell")]
    measured = tuple(Measured(each.regained, 0, each.name, fraction=True) for each in told)
    yardstick = "of the fall in the worst stress family regained within the path"
    return [
        replace(
            row,
            measured=measured,
            yardstick=yardstick,
            note="paths of one session; rounds share most of the sessions drawn from",
        )
    ]


def _innovation(promoted: Innovation | None) -> Claim:
    row = Claim("14", "Strategy innovation rate", "1.2 new a week before, 2.1 enhanced")
    if promoted is None:
        return replace(row, note=NO_SEARCH)
    spread = "" if promoted.error is None else f", standard error {promoted.error:.2f}"
    return replace(
        row, measured=(Measured(of_poisson(promoted.promoted, promoted.weeks), 2, "promoted variants a week"),),
        yardstick=f"{promoted.promoted} promoted in {promoted.weeks:.1f} weeks of market time, a Poisson count{spread}",
        note="ours are in force by two people's approval; the document does not say what it counts as new",
    )  # fmt: skip


def _examples(records: Sequence[RoundRecord], agents: Sequence[Agent]) -> list[Claim]:
    """Return the numbers of the document's example of a log, which it does not call measured either."""
    newest = scored(records)[-1]
    hits = tuple(Measured(each.hits, 0, each.name, fraction=True) for each in agents if each.settled)
    left = tuple(Measured(_left(records, each.name), 2, each.name) for each in agents)
    diversity = clustered_mean(
        [each.allocated.diversity_index for each in scored(records) if each.allocated], range(len(scored(records)))
    )
    same = Interval(diversity.mean, None, None, None, diversity.rounds)
    least = 1.0 / len(newest.scores)
    example = "an example, not a result"
    return [
        Claim("7.4", "prediction_accuracy (example of a log)", "0.87 and 0.78", hits, "hit rate of settled entries",
              f"of down, flat and up; {example}" if hits else "no session has settled yet"),
        Claim("7.4", "challenge_resilience (example of a log)", "0.92 and 0.65", left, "resilience, mean over rounds",
              f"{example}; the battery is ours, and rounds share most of the sessions it draws from"),
        Claim("7.4", "diversity_index (example of a log)", "0.87", (Measured(same, 2),),
              f"mean over rounds; {least:.2f} is all alike, 1 all independent",
              f"{example}; no error: each round's index holds all entries before it"),
    ]  # fmt: skip


def _unmeasured() -> list[Claim]:
    return [
        Claim("Summary", "Benefits of a purely competitive framework kept", "85 to 90 %",
              note="no purely competitive season is held beside it"),
        Claim("14", "Market regime detection", "78 % before, 86 % enhanced", note=WITHOUT),
        Claim("1.1", "TradingAgents framework", "23.21 % cumulative, 18.7 % annual, +15.2 % over baselines",
              note="another system; " + WITHOUT),
        Claim("5.6", "Sentiment by a 72B model", "18.7 % annual, Sharpe ratio 1.87 after costs", note=NO_BRAIN),
        Claim("5.3", "Portfolio by a 72B model", "Sharpe ratio +14.2 % over a 32B model", note=NO_BRAIN),
        Claim("9.1", "Tournament decision", "150 ms (“simulated”), at most 200 ms",
              note="a benchmark's business"),
    ]  # fmt: skip


def _left(records: Sequence[RoundRecord], name: str) -> Interval:
    values = [row.resilience.resilience for each in scored(records) for row in each.scores if row.agent == name]
    return of_rounds(clustered_mean(values, range(len(values))))
