"""Event types of a tournament's round, in the order of its steps; texts are sealed, numbers plain.

Fractions of capital are plain shares (0.25 is 25 %), times UTC nanoseconds. A sealed text (``box``, base64) is for the
competition key of id ``key`` (tournaments/sealing.py); its ``commitment`` was journaled before anybody saw it.
"""

import msgspec

from events.types import Payload


class RoundOpenedEvent(Payload, frozen=True):
    """What step 1 froze; ``sigma`` by symbol, None where too little is known; ``entrants`` in their order."""

    round_id: str
    rules_version: int
    rules_sha256: str
    as_of_ns: int
    seed: int
    entrants: list[str]
    symbols: list[str]
    stressed: list[str]
    sigma: dict[str, float | None]
    settles_ns: int
    transport_key: str  # base64 of the round's public key


class CommitmentEvent(Payload, frozen=True):
    """An entry is sealed: SHA-256 of round, agent, nonce and content."""

    round_id: str
    agent: str
    commitment: str
    received_ns: int


class AbstentionEvent(Payload, frozen=True):
    """An entrant has no valid entry in this round."""

    round_id: str
    agent: str
    reason: str


class _Text(Payload, frozen=True):
    round_id: str
    agent: str
    commitment: str
    key: str
    box: str


class EntryEvent(_Text, frozen=True):
    """A revealed entry."""


class ChallengeEvent(_Text, frozen=True):
    """The claims against an agent's entry."""


class DefenseEvent(_Text, frozen=True):
    """An agent's replies and its entry as revised."""


class RulingEvent(Payload, frozen=True):
    """What became of one claim: losses are excess losses as fractions of capital; ``checklist`` is the defence's."""

    round_id: str
    agent: str
    claim: int
    family: str
    measured: float
    threshold: float
    holds: bool
    challenger_brier: float
    defender_brier: float
    checklist: float


class ScoreEvent(Payload, frozen=True):
    """An entrant's scores; ``families`` is the excess loss that counts by scenario family, in risk budgets."""

    round_id: str
    strategy_id: str
    accuracy: float
    accuracy_error: float | None
    contribution: float
    contribution_error: float | None
    resilience: float
    resilience_error: float
    families: dict[str, float]
    worst_family: str
    cvar95: float
    sharpe: float
    sharpe_error: float | None
    deflated_sharpe: float
    max_drawdown: float
    total: float
    total_error: float | None
    rank: int
    best: float


class AllocationEvent(Payload, frozen=True):
    """Fractions of capital before and after, by strategy; ``deployed`` says whether the engine was told."""

    round_id: str
    base_before: dict[str, float]
    competitive_before: dict[str, float]
    base: dict[str, float]
    competitive: dict[str, float]
    cash: float
    pool: float
    evidence: float  # ln E
    automatic: bool
    deployed: bool


class TournamentResultEvent(Payload, frozen=True):
    """One strategy's result under the source document's names; ``skill`` (accuracy) beside the hit rate."""

    round_id: str
    strategy_id: str
    prediction_accuracy: float | None  # hit rate
    challenge_resilience: float
    risk_score: float
    capital_allocation: float
    diversity_index: float
    total_capital: float
    competitive_allocation: float
    skill: float


class SettlementEvent(Payload, frozen=True):
    """What came true: class 0 down, 1 flat, 2 up by symbol; mean skill by agent, None for an abstention."""

    round_id: str
    classes: dict[str, int]
    returns: dict[str, float]
    skill: dict[str, float | None]
    difference: float


class RoundEvent(Payload, frozen=True):
    """A step is done, or the round has ended: what it waits for now and the hash of the step's result."""

    round_id: str
    step: str
    state: str
    sha256: str
    at_ns: int
    late: bool
    reason: str = ""


TYPES: dict[str, type[msgspec.Struct]] = {
    each.__name__: each
    for each in (
        RoundOpenedEvent, CommitmentEvent, AbstentionEvent, EntryEvent, ChallengeEvent, DefenseEvent, RulingEvent,
        ScoreEvent, AllocationEvent, TournamentResultEvent, SettlementEvent, RoundEvent,
    )
}  # fmt: skip
"""Name to type, as the journal knows them."""
