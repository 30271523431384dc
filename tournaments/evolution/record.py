"""What a trial's row keeps of its judgement, as JSON, without what made it."""

import msgspec


class Kept(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """As tournaments.evolution.evaluate.Figures; deflated by ``effective`` of ``trials`` trials."""

    sharpe: float
    sharpe_error: float
    excess: float
    excess_error: float
    correlation: float
    won: int
    folds: int
    sessions: int
    deflated: float
    better: float
    trials: int
    effective: float
