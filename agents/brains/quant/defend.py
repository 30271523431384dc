"""Answer an attack from the record: what became of claims like it, why the entry stands, when it would not."""

import math
from collections.abc import Mapping, Sequence

import msgspec

from agents.brains.port import (
    BrainError,
    Claim,
    Defence,
    DefendQuestion,
    Precedent,
    Prediction,
    Probabilities,
    Reply,
    check_probabilities,
)

PRIOR_CLAIMS = 4.0  # the challenger's probability weighs as much as so many claims of the family
MOST_SHRUNK = 0.3  # of the way to climatology, if all of very many claims held
NAMED_PRECEDENTS = 3
DECIMALS = 4


def defend(question: DefendQuestion) -> Defence:
    """Return a reply to each claim, and the entry drawn a little to climatology where earlier claims like these held.

    Precedents ruled after ``question.as_of_ns`` are not read.

    Raises
    ------
    BrainError
        if a symbol of the entry has no climatology.
    """
    known = [each for each in question.precedents if each.ruled_ns <= question.as_of_ns]
    alike = [[each for each in known if each.family == claim.family] for claim in question.claims]
    share = shrinkage([like for like in alike if like])
    replies = tuple(_reply(claim, like, share) for claim, like in zip(question.claims, alike, strict=True))
    return Defence(
        replies=replies, revised=tuple(_revised(each, question.climatology, share) for each in question.entry)
    )


def shrinkage(alike: Sequence[Sequence[Precedent]]) -> float:
    """Return how far the entry goes to climatology: 0.3 times the mean over the claims of held / (ruled + 4).

    A claim without a precedent does not move it; with no precedent at all nothing is revised.
    """
    if not alike:
        return 0.0
    rates = [sum(each.held for each in like) / (len(like) + PRIOR_CLAIMS) for like in alike]
    return round(MOST_SHRUNK * math.fsum(rates) / len(rates), DECIMALS)


def own_probability(claim: Claim, alike: Sequence[Precedent]) -> float:
    """Return the defender's probability that the claim holds: the mean of a Beta posterior.

    The challenger's probability is the prior, with the weight of four claims; the family's rulings are the data
    (Gelman et al., Bayesian Data Analysis, 3rd edition, section 2.4).
    """
    held = sum(each.held for each in alike)
    return round((PRIOR_CLAIMS * claim.probability + held) / (PRIOR_CLAIMS + len(alike)), DECIMALS)


def _reply(claim: Claim, alike: Sequence[Precedent], share: float) -> Reply:
    held = sum(each.held for each in alike)
    probability = own_probability(claim, alike)
    threshold = f"{100.0 * claim.threshold:.4g} %"
    revised = f"It is drawn {100.0 * share:.1f} % of the way to climatology." if share else "It is left as it was."
    return Reply(
        precedents=_precedents(claim, alike, held),
        why_it_stands=(
            f"The claim about {claim.family} asks for a loss above {threshold} of capital; the challenger gives it "
            f"{claim.probability:.3f}, the record makes that {probability:.3f}. The entry is about the next session as "
            f"it is likely to be, not as the scenario has it. {revised}"
        ),
        changes_mind_when=(
            f"If the ruling finds a loss above {threshold} under {claim.family}, or if {held + 1} of "
            f"{len(alike) + 1} rulings of that family have gone against it, the "
            "next entry is drawn further to climatology."
        ),
        probability=probability,
    )


def _precedents(claim: Claim, alike: Sequence[Precedent], held: int) -> str:
    if not alike:
        return f"0 earlier claims about {claim.family} were ruled: there is no precedent."
    nearest = sorted(alike, key=lambda each: (_distance(claim, each), -each.ruled_ns, each.round))[:NAMED_PRECEDENTS]
    named = "; ".join(
        f"{each.round}: {_parameters(each)}, above {100.0 * each.threshold:.4g} %, "
        f"{'held' if each.held else 'did not hold'}"
        for each in nearest
    )
    return f"{len(alike)} earlier claims about {claim.family} were ruled, {held} held. Nearest: {named}."


def _parameters(each: Precedent) -> str:
    return ", ".join(f"{name} {value:g}" for name, value in sorted(each.parameters.items())) or "no parameters"


def _distance(claim: Claim, other: Precedent) -> float:
    """Return how unlike two scenarios of a family are: summed relative differences; a parameter that lacks counts 1."""
    names = sorted(set(claim.parameters) | set(other.parameters))
    return math.fsum(_relative(claim.parameters.get(name), other.parameters.get(name)) for name in names)


def _relative(one: float | None, two: float | None) -> float:
    if one is None or two is None:
        return 1.0
    largest = max(abs(one), abs(two))
    return abs(one - two) / largest if largest > 0.0 else 0.0


def _revised(given: Prediction, climatology: Mapping[str, Probabilities], share: float) -> Prediction:
    if given.symbol not in climatology:
        raise BrainError(f"climatology has no {given.symbol}; it must have every symbol of the entry")
    if not share:
        return given
    check_probabilities(f"climatology of {given.symbol}", climatology[given.symbol])
    pairs = zip(given.probabilities, climatology[given.symbol], strict=True)
    down, flat, up = (own + share * (usual - own) for own, usual in pairs)
    return msgspec.structs.replace(
        given,
        probabilities=(down, flat, up),
        expected_return=(1.0 - share) * given.expected_return,
        confidence=max(down, flat, up),
    )
