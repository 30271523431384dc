"""The port that every brain answers: predict, challenge, defend, judge, with typed questions and checked results.

A brain keeps no time: its caller cuts it off at the deadline, and ``ask`` records how it went. Results check themselves
when they are made or decoded, so that a language model's garbage is invalid and never half an answer.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, Literal, Protocol, TypeVar

import msgspec

from agents.brains.observations import Float64Array, Observations

T = TypeVar("T")
Probabilities = tuple[float, float, float]
"""Of down, flat and up."""

SUM_TOLERANCE = 1e-6
LONGEST_TEXT = 4_000  # characters
FEWEST_CLAIMS = 3


class Outcome(StrEnum):
    """How a brain's turn went; on anything but answered the quant brain's result is used."""

    ANSWERED = "answered"
    LATE = "late"
    INVALID = "invalid"
    REFUSED = "refused"


class BrainError(ValueError):
    """One sentence: the field, the value, what is allowed."""


class RefusedError(Exception):
    """A brain that will not answer; the sentence says why."""


class Prediction(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One symbol's next session, from its open to its close.

    ``expected_return`` is a fraction; ``entry``, ``take_profit`` and ``stop_loss`` are prices; ``confidence`` is the
    probability of the most probable class.
    """

    symbol: str
    probabilities: Probabilities
    expected_return: float
    entry: float
    take_profit: float
    stop_loss: float
    confidence: float
    risk_factors: tuple[str, ...]
    rationale: str

    def __post_init__(self) -> None:
        """Refuse what no prediction can be."""
        where = f"prediction of {self.symbol}"
        check_probabilities(where, self.probabilities)
        check_share(f"{where}: confidence", self.confidence)
        if not (math.isfinite(self.expected_return) and self.expected_return > -1.0):
            raise BrainError(f"{where}: expected_return {self.expected_return} must be a finite fraction above -1")
        for name in ("entry", "take_profit", "stop_loss"):
            price = getattr(self, name)
            if not (math.isfinite(price) and price > 0.0):
                raise BrainError(f"{where}: {name} {price} must be a finite price above 0")
        check_text(f"{where}: rationale", self.rationale)
        for factor in self.risk_factors:
            check_text(f"{where}: risk_factors", factor)


Metric = Literal["mean_loss", "tail_loss"]
"""Of the losses of all paths: their mean, or the mean of the worst twentieth (CVaR95)."""


class Claim(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Falsifiable: it holds where ``metric`` over the ruling's paths is above ``threshold``, a fraction of capital."""

    family: str
    parameters: dict[str, float]
    metric: Metric
    threshold: float
    statement: str
    probability: float

    def __post_init__(self) -> None:
        """Refuse a claim that no simulation could decide."""
        where = f"claim about {self.family}"
        for name, value in self.parameters.items():
            if not math.isfinite(value):
                raise BrainError(f"{where}: parameter {name} {value} must be a finite number")
        if not math.isfinite(self.threshold):
            raise BrainError(f"{where}: threshold {self.threshold} must be a finite fraction of capital")
        check_share(f"{where}: probability", self.probability)
        check_text(f"{where}: statement", self.statement)


class Reply(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The answer to one claim, and the defender's own probability that the claim holds."""

    precedents: str
    why_it_stands: str
    changes_mind_when: str
    probability: float

    def __post_init__(self) -> None:
        """Refuse a probability that is none, and texts without end."""
        check_share("reply: probability", self.probability)
        for name in ("precedents", "why_it_stands", "changes_mind_when"):
            check_text(f"reply: {name}", getattr(self, name))


class Defence(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One reply a claim, in their order, and the one revision of the entry: all of its predictions, changed or not."""

    replies: tuple[Reply, ...]
    revised: tuple[Prediction, ...]


class Judgement(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A score in [0, 1], the mean of a checklist's items."""

    score: float
    items: dict[str, float]

    def __post_init__(self) -> None:
        """Refuse a score outside 0 to 1."""
        check_share("judgement: score", self.score)
        for name, value in self.items.items():
            check_share(f"judgement: item {name}", value)


@dataclass(frozen=True)
class PredictQuestion:
    """What the policy said and what came of it, up to ``as_of_ns``."""

    observations: Observations
    as_of_ns: int


@dataclass(frozen=True)
class ScenarioLosses:
    """Losses (paths,) of one policy in one scenario, fractions of its capital; gains are negative."""

    family: str
    parameters: Mapping[str, float]
    losses: Float64Array


LossPort = Callable[[], Sequence[ScenarioLosses]]
"""Simulates the attacked policy on bootstrapped paths, with seeds other than those of the ruling."""


@dataclass(frozen=True)
class ChallengeQuestion:
    """The entry under attack, how its policy fares in each scenario, and the seed of the challenger's own draws."""

    entry: tuple[Prediction, ...]
    losses: LossPort
    seed: int
    claims: int = FEWEST_CLAIMS


@dataclass(frozen=True)
class Precedent:
    """An earlier claim against the same entrant, and whether it held; ``ruled_ns`` is when that was known."""

    round: str
    ruled_ns: int
    family: str
    parameters: Mapping[str, float]
    metric: Metric
    threshold: float
    held: bool


@dataclass(frozen=True)
class DefendQuestion:
    """The sealed entry, each symbol's climatology, the claims, and what became of earlier ones."""

    entry: tuple[Prediction, ...]
    climatology: Mapping[str, Probabilities]
    claims: tuple[Claim, ...]
    precedents: tuple[Precedent, ...]
    as_of_ns: int


@dataclass(frozen=True)
class JudgeQuestion:
    """A claim and its reply without any name of an agent; the counts say how many precedents there really were."""

    claim: Claim
    reply: Reply
    precedents: int
    precedents_held: int


class Brain(Protocol):
    """Answers for an agent. Raises RefusedError where it will not, a ValueError where its answer does not check."""

    @property
    def name(self) -> str:
        """What it is recorded under."""
        ...

    def predict(self, question: PredictQuestion) -> tuple[Prediction, ...]:
        """Return one prediction for each symbol that can have one."""
        ...

    def challenge(self, question: ChallengeQuestion) -> tuple[Claim, ...]:
        """Return at least three claims against the entry."""
        ...

    def defend(self, question: DefendQuestion) -> Defence:
        """Return a reply to each claim and the entry as revised."""
        ...

    def judge(self, question: JudgeQuestion) -> Judgement:
        """Return the checklist's score of one reply."""
        ...


@dataclass(frozen=True)
class Answer(Generic[T]):
    """A result, how the asked brain's turn went and why it was not used; ``fallback`` says whose result this is."""

    outcome: Outcome
    result: T
    fallback: bool
    reason: str = ""


def ask(brain: Callable[[], T], fallback: Callable[[], T]) -> Answer[T]:
    """Return the brain's result, or the fallback's with how the brain failed.

    The caller's ``brain`` raises TimeoutError at the deadline; a server that cannot be reached (OSError) is as late.
    What ``fallback`` raises is not caught: behind the quant brain there is no other.
    """
    try:
        return Answer(Outcome.ANSWERED, brain(), fallback=False)
    except RefusedError as error:
        outcome, reason = Outcome.REFUSED, str(error)
    except OSError as error:
        outcome, reason = Outcome.LATE, str(error) or type(error).__name__
    except (ValueError, TypeError, msgspec.MsgspecError) as error:
        outcome, reason = Outcome.INVALID, str(error)
    return Answer(outcome, fallback(), fallback=True, reason=reason)


def check_probabilities(where: str, values: Sequence[float]) -> None:
    """Refuse what are not three probabilities with sum 1.

    Raises
    ------
    BrainError
        with one sentence that begins with ``where``.
    """
    inside = len(values) == 3 and all(math.isfinite(value) and 0.0 <= value <= 1.0 for value in values)
    if not inside or abs(math.fsum(values) - 1.0) > SUM_TOLERANCE:
        raise BrainError(f"{where}: probabilities {values} must be three of 0 to 1 with sum 1: down, flat, up")


def check_share(where: str, value: float) -> None:
    """Refuse a number that is not within 0 to 1.

    Raises
    ------
    BrainError
        with one sentence that begins with ``where``.
    """
    if not 0.0 <= value <= 1.0:
        raise BrainError(f"{where} {value} must be within 0 to 1")


def check_text(where: str, text: str) -> None:
    """Refuse an empty text, or one that is too long to be read.

    Raises
    ------
    BrainError
        with one sentence that begins with ``where``.
    """
    if not text.strip() or len(text) > LONGEST_TEXT:
        raise BrainError(f"{where} has {len(text)} characters; allowed are 1 to {LONGEST_TEXT}, not all of them blank")
