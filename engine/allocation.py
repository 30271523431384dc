"""How much of the capital each strategy may use: what an allocation says, else the settings' weights.

An allocation comes with a ControlEvent ``allocate`` of the tournament or of people (worker/approvals.py says whose word
counts for what) and acts on the next decision. It stands until a later one, or until a configuration names other
weights: who changes the settings' means to. An override holds a strategy's weight until an instant of the market.
"""

import math
from collections.abc import Collection

import msgspec

MOST_AUTOMATIC = 0.05
"""Of the capital: what the tournament may add to one strategy in one step without people's approval."""
ROUNDING = 1e-9


class Override(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A weight that goes before the allocation's until an instant, UTC nanoseconds of the market's time."""

    weight: float
    until_ns: int


class Allocation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Fractions of the capital by strategy, every one named; ``round_id`` "" where people decided without a round."""

    version: int
    round_id: str
    weights: dict[str, float]
    overrides: dict[str, Override] = {}

    def most(self, name: str) -> float:
        """Return the highest weight that it ever gives a strategy."""
        held = self.overrides.get(name)
        return max(self.weights.get(name, 0.0), held.weight if held is not None else 0.0)

    def at(self, now_ns: int) -> dict[str, float]:
        """Return the weights at an instant."""
        return self.weights | {name: each.weight for name, each in self.running(now_ns).overrides.items()}

    def running(self, now_ns: int) -> "Allocation":
        """Return it without the overrides that have ended."""
        left = {name: each for name, each in self.overrides.items() if each.until_ns > now_ns}
        return msgspec.structs.replace(self, overrides=left)

    def ends(self) -> int | None:
        """Return when the first of its overrides ends, None where it has none."""
        return min((each.until_ns for each in self.overrides.values()), default=None)


def fault(given: Allocation, strategies: Collection[str], version: int) -> str:
    """Return why an allocation cannot be taken, "" if it can: the field, its value and what is allowed."""
    if given.version <= version:
        return f"version = {given.version} is not above {version}, which was the last"
    if set(given.weights) != set(strategies):
        return f"weights name {', '.join(sorted(given.weights)) or 'nothing'}; they must name {', '.join(strategies)}"
    if unknown := sorted(set(given.overrides) - set(strategies)):
        return f"overrides name {unknown[0]}; there are {', '.join(strategies)}"
    return _shares_fault(given)


def _shares_fault(given: Allocation) -> str:
    shares = [*given.weights.items(), *((name, each.weight) for name, each in given.overrides.items())]
    for name, share in shares:
        if not (math.isfinite(share) and 0.0 <= share <= 1.0):
            return f"weight of {name} = {share} must be 0 to 1"
    total = math.fsum(given.most(name) for name in given.weights)
    if total > 1.0 + ROUNDING:
        return f"weights and overrides add up to {total:.6f}; all of the capital is 1"
    return ""


def added(given: Allocation, before: Allocation, now_ns: int) -> dict[str, float]:
    """Return the most that each strategy would ever have beyond what it has by ``before``, of those that gain.

    Compared now and wherever an override ends: to end one early that holds a strategy down is to give it more.
    """
    ends = [each.until_ns for held in (before, given) for each in held.overrides.values()]
    instants = [now_ns, *(end_ns for end_ns in ends if end_ns > now_ns)]
    pairs = [(given.at(instant_ns), before.at(instant_ns)) for instant_ns in instants]
    gains = {name: max(new[name] - old.get(name, 0.0) for new, old in pairs) for name in sorted(given.weights)}
    return {name: gain for name, gain in gains.items() if gain > ROUNDING}


def large(given: Allocation, before: Allocation, now_ns: int, *, by_round: bool) -> list[str]:
    """Return the strategies of which as many people as a loosened limit takes must approve what they gain.

    A round gives 5 % of the capital at most. One person does as much once: a strategy that is overridden gains nothing
    by one person's word, so that neither small steps add up nor one lifts what another has held down.
    """
    gains, held = added(given, before, now_ns), before.running(now_ns).overrides
    return [name for name, gain in gains.items() if gain > MOST_AUTOMATIC + ROUNDING or (name in held and not by_round)]
