"""The tables and sentences of a strategy performance report, written for people: every figure beside its error."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from math import hypot
from typing import Any

import numpy as np

from controlroom.pages.formats import NEW_YORK, NOTHING, SPACE, plain, signed
from controlroom.pages.tournaments import results
from controlroom.pages.tournaments.shown import Agent, error, percent, state_of
from tournaments.allocation.metrics import CompetitiveDelta
from tournaments.record import Allocated, RoundRecord
from tournaments.reporting import figures
from tournaments.reporting.claims import NO_GROSS, NO_SEARCH, Claim, Measured
from tournaments.reporting.estimates import Interval
from tournaments.reporting.innovation import Innovation
from tournaments.unit_book import UnitBook

SURE = 0.90  # from which probability on a strategy is called best
Figures = Mapping[str, figures.Agent]


def when(record: RoundRecord) -> str:
    """Return the session that a round predicts, by which people name it."""
    return ", ".join(sorted({each.date for each in record.round.sessions.values()}))


def span(found: Interval, decimals: int, *, fraction: bool = False, sign: bool = False) -> str:
    """Return a value and its 95 % interval; a dash for the interval where nothing shows the spread."""
    if not found.count:
        return NOTHING

    def text(value: float) -> str:
        scaled = value * 100.0 if fraction else value
        return signed(scaled, decimals, arrow=False).text if sign else plain(scaled, decimals)

    unit = f"{SPACE}%" if fraction else ""
    around = "no interval" if found.low is None or found.high is None else f"{text(found.low)} to {text(found.high)}"
    return f"{text(found.value)}{unit} ({around})"


def findings(
    records: Sequence[RoundRecord], agents: Mapping[str, Agent], rows: Figures, capital: figures.Capital | None
) -> list[str]:
    """Return what a reader should take from the numbers, and what not."""
    newest = figures.scored(records)[-1]
    return [
        _best(newest, agents), _luck(newest, agents), _skilled(rows, agents), _opened(records, newest),
        _earned(capital), _alike(newest),
    ]  # fmt: skip


def _best(newest: RoundRecord, agents: Mapping[str, Agent]) -> str:
    first = [agents[row.agent].title for row in newest.scores if row.rank == 1]
    sure, chance = newest.first_is_best or 0.0, 1.0 / len(newest.scores)
    told = f"P(first is best) is {percent(sure, 0)}; {percent(chance, 0)} is pure chance"
    if sure >= SURE:
        return f"{' and '.join(first)} is first of the newest round and probably the best: {told}."
    return f"{' and '.join(first)} is first of the newest round, but no strategy is shown to be best: {told}."


def _luck(newest: RoundRecord, agents: Mapping[str, Agent]) -> str:
    ranked = sorted(newest.scores, key=lambda row: row.sharpe)
    low, high = ranked[0], ranked[-1]
    if low.sharpe_error is None or high.sharpe_error is None:
        return "No unit book is long enough for the error of its Sharpe ratio."
    apart, reach = high.sharpe - low.sharpe, hypot(high.sharpe_error, low.sharpe_error)
    what = f"{agents[high.agent].title}'s Sharpe ratio is {plain(apart, 2)} above {agents[low.agent].title}'s"
    told = f"{plain(apart / reach, 1)} errors of their difference ({plain(reach, 2)})" if reach else "without an error"
    return f"{what}, the widest gap of {len(ranked)}: {told}, the books taken as independent and the pair not chosen."


def _skilled(rows: Figures, agents: Mapping[str, Agent]) -> str:
    told = [each for each in rows.values() if each.skill.low is not None and each.skill.high is not None]
    good = [agents[each.name].title for each in told if each.skill.low is not None and each.skill.low > 0.0]
    bad = [agents[each.name].title for each in told if each.skill.high is not None and each.skill.high < 0.0]
    if not told:
        return "Too few sessions have settled for anything about the skill of entries."
    parts = [f"{' and '.join(names)} {verb} climatology" for names, verb in ((good, "beat"), (bad, "fell behind"))
             if names]  # fmt: skip
    rest = f"{'; '.join(parts)}." if parts else "no strategy's is told apart from climatology's."
    return f"Settled entries' skill, each round one observation, 95 % intervals by Student's t: {rest}"


def _opened(records: Sequence[RoundRecord], newest: RoundRecord) -> str:
    made = _allocated(newest)
    after, count = figures.evidence_after(records), len(figures.settled(records))
    return (
        f"Evidence that the ensemble beats climatology: ln E = {signed(after, 2, arrow=False).text} after {count} "
        f"settled rounds (0 is none either way); the pool of the newest round was {percent(made.pool, 1)} of the "
        "capital. Real skill of information ratio 0.4 a week takes about 85 weeks to open it in full."
    )


def _earned(capital: figures.Capital | None) -> str:
    if capital is None:
        return "No session has settled: what the competition earned is not known."
    found = figures.interval_of_delta(capital.delta)
    if found.low is None or found.high is None:
        return "One session has settled: what the competition earned has no error yet."
    told = f"{points(found)} basis points of the capital a session over {found.count} sessions"
    if found.low <= 0.0 <= found.high:
        return f"The competition earned nothing that is told apart from zero: {told}."
    return f"The competition {'earned' if found.value > 0.0 else 'cost'} something: {told}."


def _alike(newest: RoundRecord) -> str:
    count, index = len(newest.scores), _allocated(newest).diversity_index
    return (
        f"Entries of {count} strategies so far weigh as {plain(index * count, 1)} independent ones (diversity index "
        f"{plain(index, 2)}; {plain(1.0 / count, 2)} is all alike)."
    )


def points(found: Interval) -> str:
    """Return an interval of a return in basis points."""
    return span(found.times(1e4), 3, sign=True)


def _range(found: Interval, decimals: int, *, sign: bool = False) -> str:
    """Return the interval alone: what a reader may take of a value that little is known of."""
    told = span(found, decimals, sign=sign)
    return told[told.index("(") + 1 : -1]


def tiles(
    records: Sequence[RoundRecord], agents: Mapping[str, Agent], capital: figures.Capital | None
) -> list[tuple[str, str, str]]:
    """Return label, value and the line below it of the key figures."""
    newest = figures.scored(records)[-1]
    made, first = _allocated(newest), [row for row in newest.scores if row.rank == 1]
    delta = figures.interval_of_delta(capital.delta) if capital else None
    top = first[0]
    return [
        ("First of the newest round", " and ".join(agents[row.agent].title for row in first),
         f"total {plain(top.total, 3)}, 95 % {plain(top.low, 3)} to {plain(top.high, 3)}"),
        ("P(first is best)", percent(newest.first_is_best, 0), f"{percent(1.0 / len(newest.scores), 0)} is chance"),
        ("Competitive pool", percent(made.pool, 1),
         f"ln E {signed(made.evidence, 2, arrow=False).text} at its opening"),
        ("Competitive delta", _range(delta.times(1e4), 3, sign=True) if delta else NOTHING,
         f"bp a session, 95 % around {points(delta).split(' ')[0]}; SIMULATED" if delta else "no session has settled"),
        ("Sharpe ratio, whole capital", _range(capital.sharpe, 1) if capital else NOTHING,
         f"95 % around {plain(capital.sharpe.value, 2)}, {capital.sharpe.count} sessions; SIMULATED" if capital
         else "no session has settled"),
        ("Diversity index", plain(made.diversity_index, 2), f"{plain(1.0 / len(newest.scores), 2)} is all alike"),
    ]  # fmt: skip


def standing(newest: RoundRecord, agents: Mapping[str, Agent], rows: Figures) -> list[dict[str, Any]]:
    """Return the newest round's table by rank, with what all rounds say of each strategy."""
    made = _allocated(newest)
    found = []
    for row in _scores(newest, agents):
        mine = rows[row["agent"].name]
        status = made.standing[mine.name].status if mine.name in made.standing else "active"
        found.append(row | {
            "firsts": _share(mine.firsts, mine.rounds, mine.firsts_error), "mean_rank": plain(mine.mean_rank, 2),
            "bests": _share(mine.bests, mine.settled, mine.bests_error), "skill": span(mine.skill, 5, sign=True),
            "hit_interval": span(mine.hits, 1, fraction=True), "base": percent(made.base[mine.name], 2),
            "pool": percent(made.competitive[mine.name], 2), "status": "" if status == "active" else status,
        })  # fmt: skip
    return found


def _scores(record: RoundRecord, agents: Mapping[str, Agent]) -> list[dict[str, Any]]:
    """Return the page's rows; accuracy with one decimal more, for skill of daily forecasts is small."""
    known = {each.agent: each for each in record.scores}
    rows = results.scores(record, agents)
    for row in rows:
        score = known[row["agent"].name]
        row["accuracy"] = signed(score.accuracy, 5, arrow=False).text
        row["accuracy_error"] = error(score.accuracy_error, 5)
    return rows


def _share(count: float, rounds: int, deviation: float) -> str:
    if not rounds:
        return NOTHING
    return f"{plain(count, 0 if count == int(count) else 1)} of {rounds}, {percent(count / rounds, 0)} " + error(
        deviation * 100.0, 0
    )


def families(newest: RoundRecord, agents: Mapping[str, Agent]) -> list[dict[str, Any]]:
    """Return what each family of the stress left of each strategy, its worst family marked."""
    worst = {row.agent: row.resilience.worst.replace("_", " ") for row in newest.scores}
    rows = results.families(newest, agents)
    for row in rows:
        for cell in row["cells"]:
            cell["worst"] = worst.get(cell["agent"].name) == row["name"]
    return rows


def recovery(newest: RoundRecord, agents: Mapping[str, Agent], rows: Figures) -> list[dict[str, Any]]:
    """Return how each strategy came back from the family that hurt it most, in the newest round and over all."""
    found = []
    for score in newest.scores:
        mine, marks = rows[score.agent], score.resilience
        found.append({
            "agent": agents[score.agent], "worst": marks.worst.replace("_", " "), "idle": marks.idle,
            "cvar": plain(marks.cvar95, 2), "flat": plain(marks.flat_bars, 1), "gross": percent(marks.gross, 0),
            "regained": percent(marks.regained, 0),
            "bars": NOTHING if marks.regain_bars is None else plain(marks.regain_bars, 1),
            "all_regained": span(mine.regained, 0, fraction=True),
            "all_bars": NOTHING if mine.regain_bars is None else plain(mine.regain_bars, 1),
        })  # fmt: skip
    return sorted(found, key=lambda row: list(agents).index(row["agent"].name))


def weights(newest: RoundRecord, agents: Mapping[str, Agent]) -> dict[str, Any]:
    """Return the newest allocation, before and after, and what bound each weight."""
    return results.allocation(newest, agents) or {}


def books(known: Mapping[str, UnitBook], agents: Mapping[str, Agent]) -> list[dict[str, Any]]:
    """Return what each unit book earned on capital and on its average gross exposure."""
    found = []
    for name, agent in agents.items():
        book = known[name]
        grown, gross = float(np.prod(1.0 + book.returns) - 1.0), float(book.gross.mean())
        found.append({
            "agent": agent, "sessions": len(book.returns), "capital": signed(grown * 100.0, 2, f"{SPACE}%"),
            "gross": percent(gross, 1),
            "on_gross": signed(grown / gross * 100.0, 2, f"{SPACE}%") if gross > 0.0 else signed(0.0, 2),
            "efficiency": plain(1.0 / gross, 2) if gross > 0.0 else NOTHING,
        })  # fmt: skip
    return found


def competition(
    capital: figures.Capital, held: figures.InForce, predicted: figures.Capital, *, daily: bool
) -> dict[str, Any]:
    """Return the whole capital against the same capital by base weights alone."""
    first, last = (datetime.fromtimestamp(held.known_ns[k] // 10**9, UTC).astimezone(NEW_YORK) for k in (0, -1))
    efficiency = span(capital.efficiency, 2) if capital.efficiency else f"left out: {NO_GROSS}"
    return {
        "sessions": len(held.known_ns), "daily": daily, "first": f"{first:%Y-%m-%d}", "last": f"{last:%Y-%m-%d}",
        "rows": [
            ("Competitive delta a session, basis points of the capital", _delta(capital.delta)),
            ("the same, over the predicted sessions alone", _delta(predicted.delta)),
            ("Sharpe ratio with the competitive pool, a year", span(capital.sharpe, 2)),
            ("Sharpe ratio by base weights alone, a year", span(capital.sharpe_alone, 2)),
            ("Difference of the two, jackknife of paired sessions", span(capital.difference, 3, sign=True)),
            ("Deepest fall of the whole capital, block bootstrap", span(capital.drawdown, 2, fraction=True)),
            ("Capital efficiency: return on average gross by return on capital", efficiency),
        ],
    }  # fmt: skip


def _delta(delta: CompetitiveDelta) -> str:
    found = figures.interval_of_delta(delta)
    return f"{points(found)}, {found.count} sessions"


def every_round(records: Sequence[RoundRecord], agents: Mapping[str, Agent]) -> list[dict[str, Any]]:
    """Return a row a round, oldest first; of one that is void or under way its state and reason alone."""
    ordered = sorted(records, key=lambda each: (each.round.started_ns, each.round.round_id))
    return [_round(each, agents) for each in ordered]


def _round(record: RoundRecord, agents: Mapping[str, Agent]) -> dict[str, Any]:
    state, words = state_of(record.round.state)
    row: dict[str, Any] = {"id": record.round.round_id, "session": when(record), "state": state, "words": words,
                           "reason": record.round.reason, "made": None}  # fmt: skip
    made = record.allocated
    if made is None or not record.scores:
        return row
    ranks = {each.agent: str(each.rank) for each in record.scores}
    rulings = [ruling.holds for debate in record.debates.values() for ruling in debate.rulings]
    came = record.settlement
    return row | {
        "made": made, "ranks": [ranks.get(name, NOTHING) for name in agents], "sure": percent(record.first_is_best, 0),
        "pool": percent(made.pool, 1), "evidence": signed(made.evidence, 2, arrow=False).text,
        "change": percent(made.change, 2),
        "people": "" if made.automatic else "needs people", "diversity": plain(made.diversity_index, 2),
        "claims": f"{sum(rulings)} of {len(rulings)}", "raw": plain(made.raw_regret, 4),
        "bound": plain(made.regret_bound, 4), "deployed": plain(made.deployed_regret, 4),
        "ensemble": signed(came.difference, 5, arrow=False).text if came else NOTHING,
    }  # fmt: skip


def numbers(held: Sequence[RoundRecord], agents: Mapping[str, Agent]) -> list[dict[str, Any]]:
    """Return a row a round and strategy: the numbers behind the pictures."""
    found = []
    for record in held:
        made, came = _allocated(record), record.settlement
        for row in _scores(record, agents):
            name = row["agent"].name
            skill = came.skill.get(name) if came else None
            earned = came.returns_of.get(name) if came else None
            found.append(row | {
                "session": when(record), "base": percent(made.base[name], 2),
                "pool": percent(made.competitive[name], 2),
                "settled": NOTHING if skill is None else signed(skill, 5, arrow=False).text,
                "earned": NOTHING if earned is None else signed(earned * 100.0, 3, f"{SPACE}%", arrow=False).text,
            })  # fmt: skip
    return found


def left_out(capital: figures.Capital | None, promoted: Innovation | None) -> list[str]:
    """Return which figures the report has none of, and why."""
    found = [f"the innovation rate, which {NO_SEARCH}"] if promoted is None else []
    if capital is not None and capital.efficiency is None:
        found.append(f"capital efficiency: {NO_GROSS}")
    return found


def claimed(rows: Sequence[Claim], agents: Mapping[str, Agent]) -> list[dict[str, Any]]:
    """Return the claims with our figures, the strategies by their titles."""
    return [{"claim": row, "measured": [_measured(each, agents) for each in row.measured]} for row in rows]


def _measured(found: Measured, agents: Mapping[str, Agent]) -> tuple[str, str]:
    of = agents[found.of].title if found.of in agents else found.of
    return span(found.interval, found.decimals, fraction=found.fraction, sign=found.signed), of


def _allocated(record: RoundRecord) -> Allocated:
    assert record.allocated is not None  # noqa: S101 - scored rounds have allocated
    return record.allocated
