"""The strategy performance report of a season as one HTML file: the same rounds and time of making, the same bytes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.template import Context, Engine

from agents.strategies import STRATEGIES
from controlroom.pages.formats import NEW_YORK, duration
from controlroom.pages.tournaments.shown import Agent, agents_of
from controlroom.reports import tournament_pictures as pictures
from controlroom.reports import tournament_tables as tables
from tournaments.record import RoundRecord
from tournaments.reporting import figures
from tournaments.reporting.claims import claims
from tournaments.reporting.innovation import Innovation
from tournaments.unit_book import UnitBook

FOLDER = Path(__file__).parent
SECOND_NS = 1_000_000_000


@dataclass(frozen=True)
class Source:
    """Where the rounds come from.

    ``words`` are said large (SIMULATED, SHADOW), ``said`` is the sentence beside them, ``facts`` what a reader needs to
    make the same rounds again (name, value); ``books`` every strategy's unit book where the bars are at hand;
    ``promoted`` the variants that people promoted beside these rounds, None where nobody can tell.
    """

    words: tuple[str, ...]
    said: str
    facts: list[tuple[str, str]]
    books: Mapping[str, UnitBook] = field(default_factory=dict)
    promoted: Innovation | None = None


def page(records: Sequence[RoundRecord], source: Source, *, made_ns: int) -> str:
    """Return the report's HTML.

    Parameters
    ----------
    records : a season's rounds in any order; one at least has scores.
    made_ns : when it is made, UTC; the report tells its data's age at that instant.
    """
    engine = Engine(dirs=[str(FOLDER)])
    context = Context(_context(records, source, made_ns), autoescape=True, use_l10n=False, use_tz=False)
    return str(engine.get_template("tournament.html").render(context))


def _context(records: Sequence[RoundRecord], source: Source, made_ns: int) -> dict[str, Any]:
    held, agents = figures.scored(records), _agents(records)
    newest = held[-1]
    rows = {name: figures.agent_figures(records, name) for name in agents}
    predicted = figures.predicted(records)
    daily = figures.every_session(records, source.books) if source.books else None
    in_force = daily or predicted
    capital = figures.capital(in_force) if in_force else None
    told: dict[str, Any] = {
        "source": source, "agents": list(agents.values()), "facts": [*_facts(records, made_ns), *source.facts],
        "newest": tables.when(newest), "count": len(held), "findings": tables.findings(records, agents, rows, capital),
        "tiles": tables.tiles(records, agents, capital), "standing": tables.standing(newest, agents, rows),
        "families": tables.families(newest, agents), "recovery": tables.recovery(newest, agents, rows),
        "weights": tables.weights(newest, agents), "every": tables.every_round(records, agents),
        "numbers": tables.numbers(held, agents),
        "claims": tables.claimed(claims(records, list(rows.values()), capital, source.promoted), agents),
        "left_out": tables.left_out(capital, source.promoted),
        "multiples": pictures.multiples(held, agents), "allocation": pictures.allocation(held, agents),
        "evidence": pictures.evidence(held), "regret": pictures.regret(held), "settled": figures.settled(records),
        "blank": str(len(agents) + 9), "skill": pictures.settled_skill(figures.settled(records), agents),
    }  # fmt: skip
    if source.books:
        told |= {"books": tables.books(source.books, agents), "curves": pictures.books(source.books, agents)}
    if capital is not None and in_force is not None and predicted is not None:
        beside = figures.capital(predicted)
        told["competition"] = tables.competition(capital, in_force, beside, daily=daily is not None)
        told["earned"] = pictures.earned(capital, in_force)
    return told


def _agents(records: Sequence[RoundRecord]) -> dict[str, Agent]:
    """Return the strategies in the order, and so in the colours, that they have on the station's pages."""
    own = [each.name for each in STRATEGIES]
    names = figures.agents_in(records)
    return agents_of({}, sorted(names, key=lambda name: own.index(name) if name in own else len(own)))


def _facts(records: Sequence[RoundRecord], made_ns: int) -> list[tuple[str, str]]:
    held = figures.scored(records)
    opened = held[-1].opened
    assert opened is not None  # noqa: S101 - scored rounds have opened
    length = _length(opened.interval_s)
    data_ns = max(max(each.round.started_ns, each.settlement.settled_ns if each.settlement else 0) for each in held)
    versions = sorted({(each.round.rules_version, each.round.rules_sha256) for each in held})
    return [
        ("Made", f"{_utc(made_ns)} · {_et(made_ns)}"),
        ("Newest data", f"{_et(data_ns)}, {_age(made_ns - data_ns)}; this file does not renew itself"),
        ("Rounds", f"{_counted(records)}; {_et(held[0].round.started_ns)} to {_et(held[-1].round.started_ns)}"),
        ("Symbols", f"{len(opened.symbols)}: {', '.join(opened.symbols)}"),
        ("Stress", f"SIMULATED, {opened.paths} paths a family of {', '.join(opened.stressed)}; bars of {length}"),
        *(("Rules", f"version {version}, sha256 {sha256}") for version, sha256 in versions),
    ]  # fmt: skip


def _counted(records: Sequence[RoundRecord]) -> str:
    held, done = len(figures.scored(records)), len(figures.settled(records))
    void = sum(each.round.state == "void" for each in records)
    counts = {"settled": done, "to be settled": held - done, "void": void, "begun": len(records) - held - void}
    return ", ".join(f"{count} {what}" for what, count in counts.items() if count)


def _age(span_ns: int) -> str:
    """Return how old the data is at the making, in words."""
    told = duration(abs(span_ns) / 1e6)
    return f"{told} before that" if span_ns >= 0 else f"{told} after that: one of the two clocks is wrong"


def _length(seconds: int) -> str:
    return "a day" if seconds >= 86_400 else f"{seconds // 60} min" if seconds % 60 == 0 else f"{seconds} s"


def _utc(ns: int) -> str:
    return datetime.fromtimestamp(ns // SECOND_NS, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _et(ns: int) -> str:
    return datetime.fromtimestamp(ns // SECOND_NS, UTC).astimezone(NEW_YORK).strftime("%a %Y-%m-%d %H:%M ET")
