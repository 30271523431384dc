"""The steps of a round as functions of frozen inputs: the same inputs, rules and seed give the same record.

A step returns the record with its part filled in; who drives them (a season over history, the station) journals it.
"""

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import msgspec
import numpy as np

from agents.brains.observations import Observations
from agents.brains.port import Brain, Precedent, Prediction, PredictQuestion, RefusedError
from agents.brains.quant import Forecasts, QuantBrain, climatologies, predictions, walk, walk_forward
from engine.configuration import Costs
from tournaments import debate
from tournaments.allocating import allocate
from tournaments.market import Market, MarketError, representative, stress_window
from tournaments.novelty import novelty_of
from tournaments.record import Allocated, Debate, Opened, RoundRecord, fingerprint
from tournaments.rounds import Done, Round, StepName, Voided, advance
from tournaments.rules import Rules
from tournaments.scoring import score
from tournaments.settling import settle
from tournaments.stress.paths import PathsError
from tournaments.stress.policies import Entrant
from tournaments.stress.resilience import score as resilience_of
from tournaments.stress.simulate import simulate
from tournaments.stress.stage import Stage, stage, terms
from tournaments.unit_book import UnitBook, unit_book

BASIS_POINT = 1e-4
SEED_BYTES = 6  # so that JSON's numbers hold them exactly


class ConductError(ValueError):
    """One sentence: the field, its value, what is allowed."""


@dataclass(frozen=True)
class Inputs:
    """What a round is held on; nothing in it that came after ``as_of_ns`` is read before the settlement.

    ``capital`` in the instruments' currency. The order of ``entrants`` is nobody's advantage: they are taken by name.
    ``before`` is the allocation in force, before the first ``start`` the weights in use, equal ones where that is None.
    ``settled``, oldest first, and ``precedents`` may hold later ones, which are left out. ``challengers`` are entrants
    that do all that the others do, but neither count as strategies nor get capital. ``readmitted`` names benched
    strategies that people let in again, and who did; ``earlier`` what a changed approach was before, by entrant.
    """

    market: Market
    entrants: tuple[Entrant, ...]
    rules: Rules
    costs: Costs
    capital: float
    seed: int
    as_of_ns: int
    before: Allocated | None = None
    start: Mapping[str, float] | None = None
    settled: tuple[RoundRecord, ...] = ()
    precedents: Mapping[str, Sequence[Precedent]] = field(default_factory=dict)
    brain: Brain = field(default_factory=QuantBrain)
    threads: int = field(default_factory=lambda: min(os.cpu_count() or 1, 8))
    challengers: frozenset[str] = frozenset()
    readmitted: Mapping[str, str] = field(default_factory=dict)
    earlier: Mapping[str, tuple[Entrant, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Walked:
    """What the frozen policies said on the bars, by entrant."""

    observations: Mapping[str, Observations]
    forecasts: Mapping[str, Forecasts]
    books: Mapping[str, UnitBook]


def seed_of(seed: int, *words: str) -> int:
    """Return a seed of its own for what the words name: no place in a list, no neighbouring seed shares its chance."""
    return int.from_bytes(hashlib.sha256("/".join((str(seed), *words)).encode()).digest()[:SEED_BYTES])


def walked(
    market: Market, entrants: Sequence[Entrant], costs: Costs, rules: Rules | None = None, *, as_of_ns: int
) -> Walked:
    """Run every entrant's policy over the daily bars until an instant, and make its walk-forward predictions.

    Who holds many rounds on one history walks once, to its end: later bars change no earlier row.
    """
    rules = rules or Rules()
    observations = {
        each.name: walk(
            each.policy, market.symbols, market.daily, market.sessions, as_of_ns=as_of_ns,
            overrides={p.name: float(v) for p, v in zip(each.policy.parameters, each.parameters, strict=True)},
            sigma_sessions=rules.sigma_window, flat_sigmas=rules.flat_band,
        )
        for each in entrants
    }  # fmt: skip
    cost = (costs.fee_bps + costs.half_spread_bps) * BASIS_POINT
    return Walked(
        observations,
        {
            name: walk_forward(each, climatology_sessions=rules.climatology_window, flat_sigmas=rules.flat_band)
            for name, each in observations.items()
        },
        {name: unit_book(each, cost=cost) for name, each in observations.items()},
    )


class Conductor:
    """Takes one round from its opening to its settlement, a step a call, in any process that has the same inputs."""

    def __init__(self, inputs: Inputs, seen: Walked | None = None) -> None:
        """Take the inputs, and what the policies said where somebody has walked the bars already.

        Raises
        ------
        ConductError
            if two entrants have one name, a challenger is no entrant, or ``seen`` lacks an entrant.
        """
        entrants = tuple(sorted(inputs.entrants, key=lambda each: each.name))
        names = [each.name for each in entrants]
        if len(set(names)) < len(names):
            raise ConductError(f"entrants = {', '.join(names)} must have different names")
        if strange := inputs.challengers - set(names):
            raise ConductError(f"challengers = {', '.join(sorted(strange))} must be among the entrants")
        self.inputs = replace(inputs, entrants=entrants)
        told = seen or walked(inputs.market, entrants, inputs.costs, inputs.rules, as_of_ns=inputs.as_of_ns)
        if missing := set(names) - set(told.observations):
            raise ConductError(f"seen has nothing of {', '.join(sorted(missing))}; it needs every entrant")
        self.seen = Walked(*({name: table[name] for name in names} for table in vars(told).values()))
        self._stages: dict[int, Stage] = {}
        self._steps: dict[StepName, Callable[[RoundRecord], RoundRecord]] = {
            "open": self._open, "predict": self._predict, "challenge": self._challenge, "defend": self._defend,
            "rule": self._rule, "score": self._score, "allocate": self._allocate, "settle": self._settle,
        }  # fmt: skip

    def step(self, record: RoundRecord, at_ns: int) -> RoundRecord:
        """Do the step that the round waits for, and record it once; without bars to stress the round is void.

        Raises
        ------
        tournaments.rounds.RoundError
            if the round has ended, or the step comes too late or too early.
        """
        name: StepName = record.round.state  # type: ignore[assignment] # advance refuses one that has ended
        try:
            made = self._steps[name](record) if name in self._steps else record
        except (MarketError, PathsError) as error:
            if name != "open":
                raise
            return msgspec.structs.replace(record, round=advance(record.round, Voided(str(error), at_ns)))
        return msgspec.structs.replace(made, round=self._advanced(made, name, at_ns))

    def _advanced(self, made: RoundRecord, name: StepName, at_ns: int) -> Round:
        agents = {
            "open": tuple(each.name for each in self.inputs.entrants),
            "predict": tuple(made.entries),
        }.get(name, ())
        hidden = {} if name == "predict" else made.entries  # its hash has no nonce: it would confirm a guess
        result = msgspec.structs.replace(made, round=None, entries=hidden)
        done = Done(
            step=name, sha256=fingerprint(result), at_ns=at_ns, agents=agents, challengers=self.inputs.challengers
        )
        return advance(made.round, done)

    def stage(self, seed: int) -> Stage:
        """Return the paths and costs that are the same for all; made once a seed."""
        if seed not in self._stages:
            given, rules = self.inputs, self.inputs.rules
            columns = representative(given.market, given.as_of_ns, rules.stress_symbols, rules.stress_sessions)
            instruments = [given.market.instruments[column] for column in columns]
            self._stages[seed] = stage(
                stress_window(given.market, given.as_of_ns, columns, rules.stress_sessions),
                terms(instruments, given.costs, capital=given.capital),
                seed=seed, paths=rules.stress_paths, risk_budget=rules.risk_budget,
            )  # fmt: skip
        return self._stages[seed]

    def _open(self, record: RoundRecord) -> RoundRecord:
        given, made = self.inputs, self.stage(self.inputs.seed)
        sigma = dict.fromkeys(given.market.symbols, np.nan)
        for some in list(self.seen.observations.values())[:1]:  # all are of the same bars
            known = some.known_ns <= given.as_of_ns
            for k, name in enumerate(some.symbols):
                sigma[name] = float(np.append(np.nan, some.sigma[known & (some.symbol == k)])[-1])
        opened = Opened(
            as_of_ns=given.as_of_ns, seed=given.seed, symbols=list(given.market.symbols),
            stressed=list(made.pool.window.symbols), interval_s=made.pool.window.interval_s,
            paths=given.rules.stress_paths, risk_budget=made.risk_budget,
            sigma={name: None if np.isnan(value) else value for name, value in sigma.items()},
            challengers=sorted(given.challengers),
        )  # fmt: skip
        return msgspec.structs.replace(record, opened=opened)

    def _predict(self, record: RoundRecord) -> RoundRecord:
        given, seen, found = self.inputs, self.seen, {}
        first = next(iter(seen.observations))
        usual = climatologies(seen.observations[first], seen.forecasts[first], given.as_of_ns)
        for name in seen.observations:
            entry = self._entry(name)
            symbols = {each.symbol for each in entry}
            if entry and len(symbols) == len(entry) and symbols <= set(usual):  # any other is an abstention
                found[name] = list(entry)
        return msgspec.structs.replace(record, entries=found, climatology=usual)

    def _entry(self, name: str) -> Sequence[Prediction]:
        """Return what an entrant predicts; nothing where its brain will not, or says what no prediction can be."""
        given, observations = self.inputs, self.seen.observations[name]
        if type(given.brain) is QuantBrain:  # who has walked already need not again
            return predictions(observations, self.seen.forecasts[name], given.as_of_ns)
        try:
            return given.brain.predict(PredictQuestion(observations, given.as_of_ns))
        except (RefusedError, ValueError):
            return ()

    def _challenge(self, record: RoundRecord) -> RoundRecord:
        given = self.inputs
        found = {
            each.name: debate.challenge(
                given.brain, record.entries[each.name], self.stage(seed_of(given.seed, "practice")), each,
                seed=seed_of(given.seed, "challenge", each.name), claims=given.rules.claims_per_entry,
                threads=given.threads,
            )
            for each in given.entrants
            if each.name in record.entries
        }  # fmt: skip
        return msgspec.structs.replace(record, debates=found)

    def _defend(self, record: RoundRecord) -> RoundRecord:
        given, debates, revised = self.inputs, {}, {}
        for name, held in record.debates.items():
            debates[name], revised[name] = debate.defend(
                given.brain, record.entries[name], held, climatology=record.climatology,
                precedents=self._precedents(name), as_of_ns=given.as_of_ns,
            )  # fmt: skip
        return msgspec.structs.replace(record, debates=debates, revised=revised)

    def _rule(self, record: RoundRecord) -> RoundRecord:
        given, found = self.inputs, dict[str, Debate]()
        for each in given.entrants:
            if each.name in record.debates:
                found[each.name] = debate.decide(
                    given.brain, record.debates[each.name], self._precedents(each.name), self.stage(given.seed), each,
                    threads=given.threads,
                )  # fmt: skip
        return msgspec.structs.replace(record, debates=found)

    def _score(self, record: RoundRecord) -> RoundRecord:
        given = self.inputs
        outcomes = simulate(self.stage(given.seed), given.entrants, threads=given.threads)
        resilience = {each.entrant: each for each in resilience_of(outcomes, given.rules.least_exposure)}
        scores, sure = score(
            self.seen.observations, self.seen.forecasts, self.seen.books, resilience, rules=given.rules,
            as_of_ns=given.as_of_ns,
            challengers={each.name: each.policy.name for each in given.entrants if each.name in given.challengers},
        )  # fmt: skip
        return msgspec.structs.replace(record, scores=scores, first_is_best=sure)

    def _allocate(self, record: RoundRecord) -> RoundRecord:
        given = self.inputs
        books = {name: _known(book, given.as_of_ns) for name, book in self.seen.books.items()}
        scores = [row for row in record.scores if row.agent not in given.challengers]
        entries = {name: entry for name, entry in record.revised.items() if name not in given.challengers}
        made = allocate(
            scores, entries, books, given.before, self._settled(), rules=given.rules, as_of_ns=given.as_of_ns,
            start=given.start, readmitted=given.readmitted, novelty=self._novelty(),
        )  # fmt: skip
        return msgspec.structs.replace(record, allocated=made)

    def _novelty(self) -> dict[str, float]:
        """Return how new each changed approach is beside what the same entrant's earlier ones say of the same bars."""
        given, found = self.inputs, {}
        for name, before in given.earlier.items():
            named = [replace(each, name=f"{name}/{k}") for k, each in enumerate(before)]
            mine = self.seen.observations[name]  # may reach beyond the opening: the others have to have the same rows
            told = walked(given.market, named, given.costs, given.rules, as_of_ns=mine.as_of_ns)
            found[name] = novelty_of(
                mine, self.seen.forecasts[name], list(told.forecasts.values()),
                sessions=given.rules.scoring_window, as_of_ns=given.as_of_ns,
            )  # fmt: skip
        return found

    def _settle(self, record: RoundRecord) -> RoundRecord:
        given, seen = self.inputs, self.seen
        if any(each.as_of_ns < record.round.settles_ns for each in seen.observations.values()):
            seen = walked(given.market, given.entrants, given.costs, given.rules, as_of_ns=record.round.settles_ns)
        came = settle(record, given.market, seen.books, flat_band=given.rules.flat_band)
        return msgspec.structs.replace(record, settlement=came)

    def _settled(self) -> list[RoundRecord]:
        as_of_ns = self.inputs.as_of_ns
        return [each for each in self.inputs.settled if each.settlement and each.settlement.settled_ns <= as_of_ns]

    def _precedents(self, name: str) -> list[Precedent]:
        return [each for each in self.inputs.precedents.get(name, ()) if each.ruled_ns <= self.inputs.as_of_ns]


def _known(book: UnitBook, as_of_ns: int) -> UnitBook:
    known = book.known_ns <= as_of_ns
    return UnitBook(book.known_ns[known], book.returns[known], book.gross[known])
