"""One night's work on frozen inputs: carry what is in shadow, propose variants of each strategy, judge them."""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass

from agents.brains.quant import walk
from agents.strategies import by_name
from engine.configuration import Costs
from tournaments.conduct import BASIS_POINT, seed_of
from tournaments.evolution.evaluate import Figures, Told, evaluate, out_of_sample, register
from tournaments.evolution.propose import Variant, complete, identity, propose
from tournaments.evolution.shadow import Shadow, shadow
from tournaments.market import Market
from tournaments.rules import Rules
from tournaments.unit_book import UnitBook, unit_book


@dataclass(frozen=True)
class Carried:
    """A trial in shadow or among the challengers: its parameters and its parent's, and when it was proposed."""

    trial: int
    strategy: str
    parameters: Mapping[str, float]
    parent: Mapping[str, float]
    proposed_ns: int


@dataclass(frozen=True)
class Found:
    """A variant judged: on sessions from ``fitted_from_ns``, out of sample from ``tested_from_ns``, UTC nanoseconds.

    ``parent``: parameters that it came from. ``trials`` and ``effective`` are what it was deflated by.
    """

    variant: Variant
    parent: Mapping[str, float]
    seed: int
    figures: Figures
    trials: int
    effective: float
    fitted_from_ns: int
    tested_from_ns: int
    tested_until_ns: int


class Night:
    """The books of one night: each set of parameters walks once. Nothing after ``as_of_ns`` is read."""

    def __init__(self, market: Market, costs: Costs, rules: Rules, *, as_of_ns: int) -> None:
        """Take what all books have in common; the instant is the last bar's where it is later."""
        self.market, self.rules = market, rules
        self.as_of_ns = min(as_of_ns, int(market.daily.now_ns[-1]))
        self._cost = (costs.fee_bps + costs.half_spread_bps) * BASIS_POINT
        self._books: dict[str, UnitBook] = {}

    def book(self, strategy: str, parameters: Mapping[str, float]) -> UnitBook:
        """Return the unit book of a strategy under parameters."""
        policy = by_name(strategy)
        key = identity(policy, parameters)
        if key not in self._books:
            seen = walk(
                policy, self.market.symbols, self.market.daily, self.market.sessions, as_of_ns=self.as_of_ns,
                overrides=parameters, sigma_sessions=self.rules.sigma_window, flat_sigmas=self.rules.flat_band,
            )  # fmt: skip
            self._books[key] = unit_book(seen, cost=self._cost)
        return self._books[key]

    def carry(self, each: Carried) -> Shadow:
        """Return how a survivor fares on the sessions after its proposal."""
        own, parent = (self.book(each.strategy, values) for values in (each.parameters, each.parent))
        return shadow(own, parent, proposed_ns=each.proposed_ns)

    def search(
        self,
        parents: Mapping[str, Mapping[str, float]],
        *,
        count: int,
        seed: int,
        known: Container[str],
        earlier: Sequence[Told],
    ) -> list[Found]:
        """Return ``count`` variants a strategy, judged together.

        Parameters
        ----------
        parents : parameters in force, by strategy.
        known : identities of all earlier trials.
        earlier : every earlier trial, whatever became of it.

        Raises
        ------
        tournaments.evolution.evaluate.EvaluationError
            if the bars hold too few sessions.
        """
        proposed: list[tuple[Variant, int]] = []
        for strategy, parent in sorted(parents.items()):
            own = seed_of(seed, "evolution", strategy, str(self.as_of_ns))
            policy = by_name(strategy)
            made = propose(policy, complete(policy, parent), count=count, seed=own, known=known)
            proposed += [(each, own) for each in made]
        before = {strategy: self.book(strategy, parent) for strategy, parent in parents.items()}
        books = [self.book(each.strategy, each.parameters) for each, _ in proposed]
        tests = [out_of_sample(each) for each in books]
        judged = evaluate(tests, [out_of_sample(before[each.strategy]) for each, _ in proposed], earlier)
        told = register([*earlier, *(Told(each.sharpe, each.excess, each.counts_as) for each in judged)])
        return [
            Found(
                variant, parents[variant.strategy], own, figures, told.trials, told.effective, int(book.known_ns[0]),
                int(test.known_ns[0]), int(test.known_ns[-1]),
            )
            for (variant, own), figures, book, test in zip(proposed, judged, books, tests, strict=True)
        ]  # fmt: skip
