"""The season's six measures as columns for the charts, and in words with their errors for everybody."""

from collections.abc import Callable, Mapping, Sequence
from math import isnan, sqrt
from typing import Any

import numpy as np

from controlroom.live.rows import strategies
from controlroom.pages.allocation.figures import moment, standing_marks, state_marks
from controlroom.pages.formats import NOTHING, SPACE, plain, signed
from controlroom.pages.tournaments.measures import Measured, Season, Stress
from controlroom.pages.tournaments.shown import Agent, agents_of, error, percent
from tournaments.reporting.exposure import exposure
from tournaments.reporting.innovation import Innovation

POINTS = 1e4  # basis points
BARE = "no error yet: one round"
STATES = {"proposed": "wait for people", "told": "not answered yet"}


def told(season: Season, view: dict[str, Any], *, shadow: bool) -> dict[str, Any]:
    """Return all that the panel shows: columns by round, oldest first, key figures, marks and the table's cells."""
    rounds, agents = season.rounds, entrants(season, view)
    marks = _marks(rounds, agents, shadow=shadow)
    gross = [exposure(each.decided.allocated, each.decided.settlement) if each.counts else None for each in rounds]
    parts = {
        "delta": _delta(season), "efficiency": _efficiency(gross, rounds), "diversity": _diversity(rounds),
        "innovation": _innovation(season.promoted), "resilience": _resilience(rounds, agents),
        "recovery": _recovery(rounds, agents),
    }  # fmt: skip
    return {
        "at": [moment(each.decided.at_ns) for each in rounds], "said": _rounds(rounds, marks), **parts,
        "figures": {
            "delta": _delta_figure(season, shadow=shadow), "efficiency": _efficiency_figure(gross, season),
            "resilience": _resilience_figure(rounds, agents), "diversity": _diversity_figure(rounds),
            "innovation": _innovation_figure(season.promoted), "recovery": _recovery_figure(rounds, agents),
        },
        "sentences": _means(rounds, agents), "marks": marks,
        "table": _table(rounds, agents, parts),
    }  # fmt: skip


def entrants(season: Season, view: dict[str, Any]) -> dict[str, Agent]:
    """Return the strategies of all rounds in the Overview's order and colours; challengers are not among them."""
    names = {name for each in season.rounds for name in (*each.stress, *each.decided.allocated.standing)}
    known = [name for name in strategies(view)["order"] if name in names]
    return agents_of(view, [*known, *sorted(names - set(known))])


def _marks(rounds: Sequence[Measured], agents: Mapping[str, Agent], *, shadow: bool) -> list[Any]:
    found = standing_marks([each.decided for each in rounds], agents)
    if rounds and not shadow:
        found += state_marks(rounds[0].decided.at_ns, rounds[-1].decided.at_ns + 1)
    return sorted(found, key=lambda each: each["at"])


def _rounds(rounds: Sequence[Measured], marks: Sequence[Mapping[str, str]]) -> list[str]:
    """Return of each round its name, and the marks since the one before it."""
    found, before = [], ""
    for each in rounds:
        at = moment(each.decided.at_ns)
        since = [mark["text"] for mark in marks if before < mark["at"] <= at]
        found.append("; ".join([each.decided.round_id, *since]))
        before = at
    return found


def _gap(one: Measured) -> str:
    """Return why a round has earned nothing, "" where it has."""
    if one.weights:
        return f"weights {STATES.get(one.weights, one.weights)}"
    return "" if one.counts else "not settled yet"


# competitive delta


def _delta(season: Season) -> dict[str, Any]:
    """Return the delta added up, with the standard error of that sum: of sessions taken as independent."""
    found = season.delta
    single = [] if found is None else [float(each) * POINTS for each in found.delta]
    sums, earned = iter(np.cumsum(single).tolist()), iter(single)
    spread = iter([_error_of_sum(single[: count + 1]) for count in range(len(single))])
    columns: dict[str, Any] = {"value": [], "low": [], "high": [], "said": []}
    for each in season.rounds:
        value, own, apart = (next(sums), next(earned), next(spread)) if each.counts else (None, None, None)
        columns["value"].append(value)
        columns["low"].append(None if value is None or apart is None else value - apart)
        columns["high"].append(None if value is None or apart is None else value + apart)
        columns["said"].append(_gap(each) if value is None else _said_delta(value, own or 0.0, apart))
    return columns


def _error_of_sum(values: Sequence[float]) -> float | None:
    return float(np.std(values, ddof=1) * sqrt(len(values))) if len(values) > 1 else None


def _said_delta(value: float, own: float, apart: float | None) -> str:
    if apart is None:
        return f"{_basis(value, 2)}, {BARE}"
    return f"{_basis(value, 2)} {error(apart, 2)}, this round {_basis(own, 2)}"


def _basis(value: float, decimals: int) -> str:
    return signed(value, decimals, f"{SPACE}bp", arrow=False).text


def _delta_figure(season: Season, *, shadow: bool) -> dict[str, str]:
    found = season.delta
    if found is None:
        which = "no round" if shadow else "no round whose weights the engine has taken"
        return _nothing(f"{which} has settled yet: one does once its predicted session has closed")
    count, whole = len(found.delta), _basis(float(found.delta.sum()) * POINTS, 2)
    if isnan(found.error):
        return {"value": _basis(found.mean * POINTS, 3), "words": f"a session; {BARE}"}
    close = "; within two errors of zero" if abs(found.mean) < 2.0 * found.error else ""
    words = f"a session {error(found.error * POINTS, 3)}, {count} rounds; {whole} in all{close}"
    return {"value": _basis(found.mean * POINTS, 3), "words": words}


# capital efficiency


def _efficiency(gross: Sequence[float | None], rounds: Sequence[Measured]) -> dict[str, Any]:
    return {
        "value": [1.0 / each if each else None for each in gross],
        "said": [_said_efficiency(each, one) for each, one in zip(gross, rounds, strict=True)],
    }


def _said_efficiency(gross: float | None, one: Measured) -> str:
    if gross is None:
        return _gap(one) or "exposure not kept"
    return f"{plain(1.0 / gross, 2)}, gross {percent(gross)}" if gross else "nothing was held"


def _efficiency_figure(gross: Sequence[float | None], season: Season) -> dict[str, str]:
    known = [each for each in gross if each is not None]
    if not season.done:
        return _nothing("no session has settled yet, so no exposure is known")
    if not known:
        return _nothing("these rounds settled before exposure was kept; the next one that settles has it")
    mean = sum(known) / len(known)
    if mean <= 0.0:
        return _nothing(f"nothing was held in {len(known)} settled rounds")
    apart = float(np.std(known, ddof=1)) / sqrt(len(known)) / mean**2 if len(known) > 1 else None
    around = BARE if apart is None else f"{error(apart, 2)}, {len(known)} rounds"
    return {"value": plain(1.0 / mean, 2), "words": f"{around}: 1 ÷ average gross exposure, {percent(mean)}"}


# challenge resilience and black-swan recovery, of each strategy


def _resilience(rounds: Sequence[Measured], agents: Mapping[str, Agent]) -> list[dict[str, Any]]:
    """Return the resilience; what the crosshair says of it has the recovery too, one line a strategy."""
    return [
        _strategy(agent, [each.stress.get(name) for each in rounds], lambda one: one.resilience, _said_stress)
        for name, agent in agents.items()
    ]


def _recovery(rounds: Sequence[Measured], agents: Mapping[str, Agent]) -> list[dict[str, Any]]:
    return [
        _strategy(agent, [each.stress.get(name) for each in rounds], _regained, _said_recovery)
        for name, agent in agents.items()
    ]


def _strategy(
    agent: Agent,
    stress: Sequence[Stress | None],
    value: Callable[[Stress], float | None],
    said: Callable[[Stress], str],
) -> dict[str, Any]:
    return {
        "title": agent.title, "tone": agent.tone, "value": [None if each is None else value(each) for each in stress],
        "said": ["not simulated" if each is None else said(each) for each in stress],
    }  # fmt: skip


def _said_stress(one: Stress) -> str:
    left = _said_resilience(one)
    return left if one.regained is None else f"{left}; regained {_said_recovery(one)}"


def _regained(one: Stress) -> float | None:
    return None if one.regained is None else one.regained * 100.0


def _said_resilience(one: Stress) -> str:
    idle = ", idle: held at 0.5" if one.idle else ""
    return f"{plain(one.resilience, 3)} {error(one.error, 3)}{idle}"


def _said_recovery(one: Stress) -> str:
    family = one.worst.replace("_", " ")
    if one.regained is None:
        return f"no path fell ({family})"
    bars = "" if one.regain_bars is None else f" in {plain(one.regain_bars, 1)} bars"
    return f"{percent(one.regained, 0)}{bars} ({family})"


def _newest(rounds: Sequence[Measured], agents: Mapping[str, Agent]) -> dict[str, Stress]:
    """Return the stress of the newest round that simulated any."""
    told_of = next((each.stress for each in reversed(rounds) if each.stress), {})
    return {name: told_of[name] for name in agents if name in told_of}


def _resilience_figure(rounds: Sequence[Measured], agents: Mapping[str, Agent]) -> dict[str, str]:
    stress = _newest(rounds, agents)
    if not stress:
        return _nothing("no round has simulated its battery yet")
    least = min(stress, key=lambda name: stress[name].resilience)
    high = max(each.resilience for each in stress.values())
    value = f"{plain(stress[least].resilience, 2)} to {plain(high, 2)}"
    who = f"least {agents[least].title}, {error(stress[least].error, 3)}"
    return {"value": value, "words": f"newest round, {who}; 1 is nothing lost, 0 the risk budget"}


def _recovery_figure(rounds: Sequence[Measured], agents: Mapping[str, Agent]) -> dict[str, str]:
    fell = {name: each for name, each in _newest(rounds, agents).items() if each.regained is not None}
    if not fell:
        return _nothing("no stress path of the newest round fell")
    shares = {name: each.regained or 0.0 for name, each in fell.items()}
    least = min(shares, key=lambda name: shares[name])
    value, bars = f"{plain(shares[least] * 100, 0)} to {percent(max(shares.values()), 0)}", fell[least].regain_bars
    who = f"least {agents[least].title}" + ("" if bars is None else f", in {plain(bars, 1)} bars")
    return {"value": value, "words": f"of the fall in the worst family, newest round; {who}"}


def _means(rounds: Sequence[Measured], agents: Mapping[str, Agent]) -> list[str]:
    """Return each strategy's means over rounds with their standard errors."""
    found = []
    for name, agent in agents.items():
        stress = [each.stress[name] for each in rounds if name in each.stress]
        back = [each.regained * 100.0 for each in stress if each.regained is not None]
        if stress:
            left = _mean([each.resilience for each in stress], 3)
            came = f"regained {_mean(back, 0, f'{SPACE}%')}" if back else "no path fell"
            found.append(f"{agent.title}: resilience {left}; {came}; mean of {_count(len(stress), 'round')}")
    return found


def _mean(values: Sequence[float], decimals: int, unit: str = "") -> str:
    mean = plain(sum(values) / len(values), decimals) + unit
    if len(values) < 2:
        return f"{mean} ({BARE})"
    return f"{mean} {error(float(np.std(values, ddof=1)) / sqrt(len(values)), decimals)}"


# diversity and innovation


def _diversity(rounds: Sequence[Measured]) -> dict[str, Any]:
    made = [each.decided.allocated for each in rounds]
    counts = [len(each.base) for each in made]
    return {
        "value": [each.diversity_index for each in made],
        "alike": [1.0 / count if count else None for count in counts],
        "said": [
            f"{plain(each.diversity_index, 2)}, {plain(each.diversity_index * count, 1)} of {count} independent"
            for each, count in zip(made, counts, strict=True)
        ],
    }  # fmt: skip


def _diversity_figure(rounds: Sequence[Measured]) -> dict[str, str]:
    if not rounds:
        return _nothing("no round has compared entries yet")
    made = rounds[-1].decided.allocated
    count, index = len(made.base), made.diversity_index
    what = f"newest round, as {plain(index * count, 1)} of {count} independent"
    return {"value": plain(index, 2), "words": f"{what}; no error: entries of all rounds are in it"}


def _innovation(promoted: Sequence[Innovation | None]) -> dict[str, Any]:
    return {
        "value": [None if each is None else each.rate for each in promoted],
        "low": [None if each is None or each.error is None else each.rate - each.error for each in promoted],
        "high": [None if each is None or each.error is None else each.rate + each.error for each in promoted],
        "said": ["no week of searches" if each is None else _said_innovation(each) for each in promoted],
    }  # fmt: skip


def _said_innovation(each: Innovation) -> str:
    return f"{plain(each.rate, 2)} {_around(each)}, {each.promoted} in {plain(each.weeks, 1)} weeks"


def _around(each: Innovation) -> str:
    if each.error is None:
        return f"(below {plain(each.most, 2)} with 95{SPACE}%)"
    return error(each.error, 2)


def _innovation_figure(promoted: Sequence[Innovation | None]) -> dict[str, str]:
    newest = promoted[-1] if promoted else None
    if newest is None:
        return _nothing("less than a week of searches on these bars; Evolution asks for one")
    what = f"{newest.promoted or 'none'} promoted in {plain(newest.weeks, 1)} weeks"
    return {"value": f"{plain(newest.rate, 2)} a week", "words": f"{_around(newest)}: {what} up to the newest round"}


# the table


HEAD = ("round", "delta added up", "efficiency", "diversity", "promoted a week")


def _table(rounds: Sequence[Measured], agents: Mapping[str, Agent], parts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the cells, newest round first: each a list of lines."""
    rows = []
    for k in range(len(rounds) - 1, -1, -1):
        made, stress = rounds[k].decided, rounds[k].stress
        single = [[parts[name]["said"][k]] for name in ("delta", "efficiency", "diversity", "innovation")]
        both = [
            [_said_resilience(stress[name]), _said_recovery(stress[name])] if name in stress else [NOTHING]
            for name in agents
        ]
        rows.append([[made.round_id, f"{moment(made.at_ns)[:16].replace('T', ' ')} ET"], *single, *both])
    return {"head": [*HEAD, *(each.title for each in agents.values())], "rows": rows}


def _count(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _nothing(why: str) -> dict[str, str]:
    return {"value": NOTHING, "words": why}
