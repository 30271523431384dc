"""Two versions of the rules on the same histories: by how much they differ, with the error of paired histories.

What the histories have in common, which is most of what chance does, drops out of the differences (a paired
comparison by common random numbers: Law, "Simulation Modeling and Analysis", 5th edition, 10.2).
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from tournaments.scores.clustered import Estimate, clustered_mean
from tournaments.simulation.honesty import Plain

if TYPE_CHECKING:
    from tournaments.simulation.whole import Simulated


class OfHistory(Plain, frozen=True):
    """Means over the settled rounds of one history: ``won`` each agent's share of the wins, the others as Simulated."""

    rounds: int
    won: list[float]
    sure: float
    regret: float
    diversity: float
    delta: float


def paired(one: "Simulated", other: "Simulated") -> dict[str, Estimate]:
    """Return ``one`` less ``other`` for each figure, every settled round counting once, errors clustered by history.

    Empty where there are no pairs: the agents differ, or a history has not as many settled rounds under both.
    """
    rounds = [each.rounds for each in one.by_history]
    if list(one.wins) != list(other.wins) or rounds != [each.rounds for each in other.by_history] or not sum(rounds):
        return {}
    pairs = list(zip(one.by_history, other.by_history, strict=True))
    history = np.repeat(np.arange(len(pairs)), rounds)

    def difference(of: Callable[[OfHistory], float]) -> Estimate:
        return clustered_mean(np.repeat([of(a) - of(b) for a, b in pairs], rounds), history)

    found = {name: difference(lambda each, k=k: each.won[k]) for k, name in enumerate(one.wins)}  # type: ignore[misc] # k is bound
    return found | {
        "first_is_best": difference(lambda each: each.sure), "regret": difference(lambda each: each.regret),
        "diversity": difference(lambda each: each.diversity), "delta": difference(lambda each: each.delta),
    }  # fmt: skip
