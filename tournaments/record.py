"""What a round leaves behind: one plain record, from frozen inputs to settlement, that JSON holds and a page shows."""

import hashlib

import msgspec

from agents.brains.port import Claim, Judgement, Prediction, Reply
from tournaments.allocation.drawdown import Standing
from tournaments.rounds import Round
from tournaments.stress.marks import Resilience, StressPath


class Plain(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base: immutable, keyword-only, unknown fields refused."""


class Opened(Plain, frozen=True):
    """What step 1 froze. ``stressed`` are the representative symbols; ``interval_s`` that of the stress paths.

    ``challengers`` are entrants that get no capital: variants that evolution lets try.
    """

    as_of_ns: int
    seed: int
    symbols: list[str]
    stressed: list[str]
    interval_s: int
    paths: int
    risk_budget: float  # of the capital
    sigma: dict[str, float | None]
    challengers: list[str] = []


class Ruled(Plain, frozen=True):
    """What became of one claim; losses are excess losses as fractions of the capital.

    The two Brier scores are (probability - outcome)^2 of challenger and defender, outside resilience. ``path`` is None
    in rounds that were held before it was kept.
    """

    measured: float
    threshold: float
    holds: bool
    challenger_brier: float
    defender_brier: float
    path: StressPath | None = None


class Debate(Plain, frozen=True):
    """Claims against one entrant, its replies, the checklist's scores and the rulings, in the same order."""

    claims: list[Claim]
    replies: list[Reply] = []
    judgements: list[Judgement] = []
    rulings: list[Ruled] = []


class Score(Plain, frozen=True):
    """One entrant's row; an error is None where nothing has shown it yet. Parts in their own units, ``total`` 0 to 1.

    ``accuracy`` is ranked probability score better than climatology's, ``low`` and ``high`` bound the total's central
    95 %, ``best`` is the probability that nobody is better.
    """

    agent: str
    accuracy: float
    accuracy_error: float | None
    hit_rate: float | None
    contribution: float
    contribution_error: float | None
    resilience: Resilience
    sharpe: float
    sharpe_error: float | None
    deflated: float
    drawdown: float
    sessions: int
    total: float
    error: float | None
    rank: int
    low: float
    high: float
    best: float


class Allocated(Plain, frozen=True):
    """Fractions of capital by agent, and which rule bound each; ``evidence`` is ln E, ``automatic`` asks nobody.

    ``novelty`` of agents whose approach has changed: 0 says what it used to say, 1 nothing of it.
    """

    base_before: dict[str, float]
    competitive_before: dict[str, float]
    base: dict[str, float]
    competitive: dict[str, float]
    cash: float
    base_rules: dict[str, str]
    pool_rules: dict[str, str]
    pool: float
    evidence: float
    change: float
    automatic: bool
    diversity_index: float
    raw_regret: float
    regret_bound: float
    deployed_regret: float
    settled_rounds: int
    stages: dict[str, dict[str, float]]  # of the competitive weights, as decide.PoolStages
    standing: dict[str, Standing]
    novelty: dict[str, float] = {}


class Settlement(Plain, frozen=True):
    """What came true: each symbol's return and class (0 down, 1 flat, 2 up), and each agent's mean skill (None: none).

    ``difference`` is the ensemble's mean ranked probability score less climatology's, better above 0, ``floor`` the
    least that it could have been; ``returns_of`` each unit book's return of the session, ``gross_of`` its mean gross
    exposure by its capital (none in rounds that were settled before it was kept).
    """

    settled_ns: int
    returns: dict[str, float]
    classes: dict[str, int]
    skill: dict[str, float | None]
    difference: float
    floor: float
    returns_of: dict[str, float]
    gross_of: dict[str, float] = {}


class RoundRecord(Plain, frozen=True):
    """A round; what has not come yet is None or empty. ``entries`` as sealed, ``revised`` after the defence."""

    round: Round
    opened: Opened | None = None
    entries: dict[str, list[Prediction]] = {}
    revised: dict[str, list[Prediction]] = {}
    climatology: dict[str, tuple[float, float, float]] = {}
    debates: dict[str, Debate] = {}
    scores: list[Score] = []
    first_is_best: float | None = None
    allocated: Allocated | None = None
    settlement: Settlement | None = None


def fingerprint(result: object) -> str:
    """Return the SHA-256 of a step's result as JSON, by which its repetition is recognised."""
    return hashlib.sha256(msgspec.json.encode(result, order="deterministic")).hexdigest()
