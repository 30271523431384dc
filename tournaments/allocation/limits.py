"""The bounds of the weekly decision, in fractions of capital, and the names of what can bind a weight."""

from dataclasses import dataclass, fields

from tournaments.allocation.evidence import MOST_POOL
from tournaments.allocation.inputs import number

BENCH, CEILING, OVERRIDE, POOL = "bench", "ceiling", "override", "pool"
STRATEGY_CAP, AGENT_CAP, MOVE_LIMIT = "strategy cap", "agent cap", "move limit"
WISH = "wish"  # nothing bound it
PRECEDENCE = (BENCH, CEILING, OVERRIDE, POOL, STRATEGY_CAP, AGENT_CAP, MOVE_LIMIT)

MOST = {"base_pool": 1.0 - MOST_POOL, "pool_cap": MOST_POOL}


@dataclass(frozen=True)
class AllocationLimits:
    """Bounds in fractions of capital, each within 0 to 1; a base pool is at most 0.9, a competitive one 0.1.

    ``strategy_cap`` is of base and competitive weight together, ``agent_cap`` of the competitive one. ``base_move`` and
    ``pool_move`` are the most that one strategy's weight changes in a round, ``automatic`` the largest change of one
    strategy's capital that needs no people.

    Raises
    ------
    AllocationError
        if one is outside its range.
    """

    strategy_cap: float = 0.40
    base_pool: float = 0.90
    base_move: float = 0.02
    agent_cap: float = 0.05
    pool_cap: float = 0.10
    pool_move: float = 0.01
    automatic: float = 0.03

    def __post_init__(self) -> None:
        for field in fields(self):
            number(field.name, getattr(self, field.name), 0.0, MOST.get(field.name, 1.0))
