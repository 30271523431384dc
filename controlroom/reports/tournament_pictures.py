"""The pictures of a strategy performance report: what each shows, on which scale."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from statistics import median
from typing import Any

import numpy as np
import numpy.typing as npt

from controlroom.pages.tournaments.shown import Agent
from controlroom.reports.charts import Axis, Chart, Frame, Series, areas, axis_of, lines
from tournaments.allocation.evidence import MOST_POOL
from tournaments.record import Allocated, RoundRecord, Score
from tournaments.reporting.figures import Capital, InForce
from tournaments.unit_book import UnitBook

SMALL, WIDE, HALF = (300.0, 104.0), (1240.0, 190.0), (620.0, 190.0)
NORMAL_95 = 1.96
BOUND_SHOWN = 5.0  # times the largest regret: a bound farther away would flatten it to a line
WEEK_NS = 7 * 86_400 * 10**9

Float64Array = npt.NDArray[np.float64]
Told = tuple[float, float | None, float | None]


def _around(value: float, error: float | None) -> Told:
    return (value, None, None) if error is None else (value, value - NORMAL_95 * error, value + NORMAL_95 * error)


@dataclass(frozen=True)
class Measure:
    """A row of small charts: ``told`` gives a score's value with its 95 % interval, the axis holds ``within``."""

    title: str
    unit: str
    told: Callable[[Score], Told]
    within: tuple[float, ...] = ()
    percent: bool = False


MEASURES = (
    Measure("Total score", "0 to 1", lambda s: (s.total, s.low, s.high)),
    Measure("Accuracy", "skill against climatology, 0 is climatology", lambda s: _around(s.accuracy, s.accuracy_error),
            (0.0,)),
    Measure("Contribution", "to the ensemble of the others", lambda s: _around(s.contribution, s.contribution_error),
            (0.0,)),
    Measure("Resilience", "1 is unhurt; SIMULATED stress",
            lambda s: _around(s.resilience.resilience, s.resilience.error), (1.0,)),
    Measure("Sharpe ratio", "a year; SIMULATED unit book after costs", lambda s: _around(s.sharpe, s.sharpe_error),
            (0.0,)),
    Measure("Maximum drawdown", "of the scoring window; SIMULATED unit book", lambda s: (s.drawdown, None, None),
            (0.0,), percent=True),
)  # fmt: skip


def multiples(held: Sequence[RoundRecord], agents: Mapping[str, Agent]) -> list[dict[str, Any]]:
    """Return a row of small charts a measure: one a strategy, all of a row on one scale, with bands of 95 %."""
    shown = list(agents.values())
    return [
        {"measure": each, "charts": list(zip(shown, _multiple(each, held, agents), strict=True))} for each in MEASURES
    ]


def _multiple(measure: Measure, held: Sequence[RoundRecord], agents: Mapping[str, Agent]) -> list[Chart]:
    by_agent = {name: [_told(record, name, measure) for record in held] for name in agents}
    every = [value for row in by_agent.values() for each in row for value in each]
    x, axis = _times(held), axis_of(every, within=measure.within, percent=measure.percent)
    charts = []
    for name, agent in agents.items():
        values, low, high = (list(each) for each in zip(*by_agent[name], strict=True))
        series = Series(agent.title, _tone(agent), x, values, low, high, dots=True)
        what = f"{measure.title} of {agent.title} by round, {measure.unit}"
        charts.append(lines(what, Frame(*SMALL, _span(x), axis), [series], dates=_dates(held)))
    return charts


def _told(record: RoundRecord, name: str, measure: Measure) -> tuple[float | None, float | None, float | None]:
    row = next((each for each in record.scores if each.agent == name), None)
    return (None, None, None) if row is None else measure.told(row)


def allocation(held: Sequence[RoundRecord], agents: Mapping[str, Agent]) -> list[Chart]:
    """Return the whole capital stacked by strategy and pool, and the competitive pool alone, much enlarged."""
    made = [_made(each) for each in held]
    x = [*_times(held), _times(held)[-1] + _pace(held)]
    base = [(_tone(a), a.title, [each.base.get(name, 0.0) for each in made]) for name, a in agents.items()]
    pool = [(f"{_tone(a)} pool", a.title, [each.competitive.get(name, 0.0) for each in made])
            for name, a in agents.items()]  # fmt: skip
    cash = ("cash", "Cash", [each.cash for each in made])
    whole = [*base, *[(tone, f"{title}, pool", values) for tone, title, values in pool], cash]
    most = max(sum(each.competitive.values()) for each in made)
    frame, near = Axis(x[0], x[-1]), Axis(0.0, max(1.25 * max(most, *(each.pool for each in made)), 1e-3), percent=True)
    return [
        areas("Capital by strategy and pool from round to round", Frame(*WIDE, frame, Axis(0.0, 1.0, percent=True)), x,
              whole, dates=_dates(held)),
        areas("The competitive pool by strategy from round to round", Frame(*WIDE, frame, near), x, pool,
              dates=_dates(held)),
    ]  # fmt: skip


def evidence(held: Sequence[RoundRecord]) -> list[Chart]:
    """Return ln E by round, and the pool that it opened."""
    x, made = _times(held), [_made(each) for each in held]
    log_e, pool = [each.evidence for each in made], [each.pool for each in made]
    ends = Axis(x[0], x[-1] + _pace(held))
    return [
        lines("Evidence ln E by round", Frame(*HALF, ends, axis_of(log_e, within=(0.0,))),
              [Series("ln E", "accent", x, log_e, dots=True)], dates=_dates(held)),
        lines("Competitive pool by round", Frame(*HALF, ends, Axis(0.0, MOST_POOL * 1.08, percent=True)),
              [Series("pool that the evidence opens", "accent", [*x, ends.high], [*pool, pool[-1]], step=True)],
              dates=_dates(held), marks=[(MOST_POOL, "most")]),
    ]  # fmt: skip


def regret(held: Sequence[RoundRecord]) -> list[Chart]:
    """Return regret by round, with the raw weights' bound unless it would dwarf the rest, and the diversity index."""
    x, made = _times(held), [_made(each) for each in held]
    raw, bound = [each.raw_regret for each in made], [each.regret_bound for each in made]
    deployed, index = [each.deployed_regret for each in made], [each.diversity_index for each in made]
    ends = Axis(x[0], x[-1] + _pace(held))
    near = bound if max(bound) <= BOUND_SHOWN * max(*raw, *deployed) else []
    every = Frame(*HALF, ends, axis_of([*raw, *near, *deployed], within=(0.0,)))
    series = [
        *([Series("bound of the raw weights", "cash dashed", x, bound)] if near else []),
        Series("raw AdaHedge weights", "tone-1", x, raw, dots=True),
        Series("deployed weights", "tone-2", x, deployed, dots=True),
    ]
    alone = Series("diversity index", "accent", x, index, dots=True)
    return [
        lines("Regret by round of the raw and of the deployed weights", every, series, dates=_dates(held)),
        lines("Diversity index by round", Frame(*HALF, ends, Axis(0.0, 1.05)), [alone], dates=_dates(held)),
    ]  # fmt: skip


def settled_skill(done: Sequence[RoundRecord], agents: Mapping[str, Agent]) -> Chart | None:
    """Return each settled session's skill by strategy; None where none has settled."""
    if not done:
        return None
    x = _times(done)
    told = {name: [each.settlement.skill.get(name) if each.settlement else None for each in done] for name in agents}
    axis = axis_of([value for row in told.values() for value in row], within=(0.0,))
    series = [Series(a.title, _tone(a), x, told[name], dots=True) for name, a in agents.items()]
    return lines("Skill of the settled session by round and strategy", Frame(*WIDE, _span(x), axis), series,
                 dates=_dates(done))  # fmt: skip


def books(known: Mapping[str, UnitBook], agents: Mapping[str, Agent]) -> list[Chart]:
    """Return the unit books' growth and how far each is below its highest, by session."""
    first = next(iter(known.values())).known_ns
    x = [float(each) for each in first]
    grown, fallen = {}, {}
    for name in agents:
        equity = np.cumprod(1.0 + known[name].returns)
        grown[name], fallen[name] = equity - 1.0, equity / np.maximum.accumulate(np.maximum(equity, 1.0)) - 1.0
    charts = []
    for what, table in (("Growth of unit books", grown), ("Unit books below their highest", fallen)):
        axis = axis_of([float(v) for row in table.values() for v in row], within=(0.0,), percent=True)
        series = [Series(a.title, _tone(a), x, table[name].tolist()) for name, a in agents.items()]
        charts.append(lines(f"{what} by session", Frame(*HALF, _span(x), axis), series, dates=_months(x)))
    return charts


def earned(capital: Capital, held: InForce) -> list[Chart]:
    """Return what the pool earned beyond the same capital by base weights, added up, and the whole capital's growth."""
    x = [float(each) for each in held.known_ns]
    added = np.cumsum(capital.delta.delta)
    reach = NORMAL_95 * np.sqrt(np.arange(1, len(added) + 1)) * np.std(capital.delta.delta, ddof=min(1, len(added) - 1))
    around = ((added - reach).tolist(), (added + reach).tolist()) if len(added) > 1 else ((), ())
    delta = Series("competitive delta, added up", "accent", x, added.tolist(), *around)
    axis = axis_of([*added.tolist(), *around[0], *around[1]], within=(0.0,), percent=True)
    whole, alone = np.cumsum(capital.whole).tolist(), np.cumsum(capital.alone).tolist()
    both = [
        Series("by base weights alone", "cash dashed", x, alone),
        Series("with the competitive pool", "accent", x, whole),
    ]
    grown = axis_of([*whole, *alone], within=(0.0,), percent=True)
    return [
        lines("Competitive delta added up by session, with 95 % band", Frame(*HALF, _span(x), axis), [delta],
              dates=_days(x)),
        lines("Returns of the whole capital added up by session", Frame(*HALF, _span(x), grown), both, dates=_days(x)),
    ]  # fmt: skip


def _tone(agent: Agent) -> str:
    return f"tone-{agent.tone}"


def _made(record: RoundRecord) -> Allocated:
    assert record.allocated is not None  # noqa: S101 - scored rounds have allocated
    return record.allocated


def _times(held: Sequence[RoundRecord]) -> list[float]:
    return [float(each.round.started_ns) for each in held]


def _span(x: Sequence[float]) -> Axis:
    """Return the axis of times, with room for the marks at its ends."""
    room = 0.03 * (x[-1] - x[0])
    return Axis(x[0] - room, x[-1] + room)


def _pace(held: Sequence[RoundRecord]) -> float:
    """Return the usual time between rounds: how far the newest one's weights are drawn."""
    x = _times(held)
    return float(median(np.diff(x).tolist())) if len(x) > 1 else float(WEEK_NS)


def _dates(held: Sequence[RoundRecord]) -> list[tuple[float, str]]:
    return _days(_times(held))


def _days(x: Sequence[float]) -> list[tuple[float, str]]:
    return [(each, f"{datetime.fromtimestamp(each / 1e9, UTC):%Y-%m-%d}") for each in x]


def _months(x: Sequence[float]) -> list[tuple[float, str]]:
    """Return the first session of each month but the first, which has begun before."""
    told = _days(x)
    return [day for before, day in pairwise(told) if before[1][:7] != day[1][:7]]
