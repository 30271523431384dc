"""What a simulation is asked for, its limits, and the chance that every part of it draws from."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from agents.strategies.policy import Parameter
from tournaments.rules import Rules
from tournaments.stress.policies import Entrant

MOST_AGENTS = 16
MOST_ITERATIONS = 10_000
MOST_TRIALS = 100_000
HISTORY, STRESS, VARIANT, IDENTICAL, PLANTED, EVIDENCE = range(6)
Progress = Callable[[str, int, int], None]
"""Hears a part's name, how much of it is done, and of how much: "rounds", then "identical", "planted", "evidence"."""


class SimulationError(ValueError):
    """One sentence: the field, its value and what is allowed."""


@dataclass(frozen=True)
class Trials:
    """How often the synthetic questions are asked: seasons of identical agents, of a planted one, without skill."""

    identical: int = 1000
    planted: int = 25
    evidence: int = 500


TRIALS = Trials()


def silent(_part: str, _done: int, _total: int) -> None:
    """Hear of progress and tell nobody."""


def check(rules: Rules, agents: int, iterations: int, trials: Trials = TRIALS) -> None:
    """Raise SimulationError unless the numbers are allowed and such rounds can be held under the rules."""
    _whole("agents", agents, 2, MOST_AGENTS)
    _whole("iterations", iterations, 1, MOST_ITERATIONS)
    for name in ("identical", "planted", "evidence"):
        _whole(name, getattr(trials, name), 1, MOST_TRIALS)
    if agents < rules.min_strategies:
        raise SimulationError(
            f"agents = {agents} is fewer than min_strategies = {rules.min_strategies} of the rules, which makes every "
            f"round void; allowed are {rules.min_strategies} to {MOST_AGENTS}, or rules that ask for fewer"
        )


def chance(seed: int, *key: int) -> np.random.Generator:
    """Return the generator of one part of a simulation; others with another key draw nothing of it."""
    return np.random.default_rng(np.random.SeedSequence([seed, *key]))


def entrants(given: tuple[Entrant, ...], agents: int, seed: int) -> tuple[Entrant, ...]:
    """Return so many entrants: the given ones first, then variants of each in turn, called momentum-2 and so on.

    A variant has every parameter drawn evenly from its range; which it is depends on the seed, the name and the number
    alone, not on the order of the entrants.

    Raises
    ------
    SimulationError
        if none is given.
    """
    if not given:
        raise SimulationError("entrants = () leaves nobody to compete; at least one is needed")
    others = [_variant(given[k % len(given)], k // len(given) + 1, seed) for k in range(len(given), agents)]
    return (*given[:agents], *others)


def _variant(of: Entrant, number: int, seed: int) -> Entrant:
    generator = chance(seed, VARIANT, number, *of.name.encode())
    drawn = np.array([_drawn(each, generator) for each in of.policy.parameters], dtype=np.float64)
    return Entrant(f"{of.name}-{number}", of.policy, drawn)


def _drawn(parameter: Parameter, generator: np.random.Generator) -> float:
    if parameter.unit == "bars":
        return float(generator.integers(int(parameter.low), int(parameter.high), endpoint=True))
    return float(generator.uniform(parameter.low, parameter.high))


def _whole(name: str, value: int, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise SimulationError(f"{name} = {value!r} must be a whole number from {low:,} to {high:,}")
