"""A survivor in shadow: its book on sessions that came after it was proposed, beside its parent's; none else count."""

from dataclasses import dataclass
from typing import Literal

from tournaments.evolution.evaluate import LEAST_DEVIATION, Float64Array
from tournaments.scores.performance import sharpe, sharpe_error
from tournaments.unit_book import UnitBook

SESSIONS = 20
"""Sessions in shadow before a variant may enter a round: a month, in which errors of the data and of costs show. It is
no second proof: the error of a month's Sharpe ratio is 3.5 a year."""
LOST = 1.0  # errors: who has lost so clearly to its parent by then does not enter


@dataclass(frozen=True)
class Shadow:
    """Sessions after the proposal, the annualised Sharpe ratio of variant less parent in them, and its error.

    ``verdict``: it waits, it may enter, or it has lost; ``error`` is None with fewer than two sessions.
    """

    sessions: int
    excess: float
    error: float | None
    verdict: Literal["waits", "enters", "lost"]


def shadow(variant: UnitBook, parent: UnitBook, *, proposed_ns: int) -> Shadow:
    """Return what became of a variant since it was proposed, both books in deviations of the sessions before."""
    late = variant.known_ns > proposed_ns
    excess = (_scaled(variant, proposed_ns) - _scaled(parent, proposed_ns))[late]
    ratio, error = sharpe(excess), sharpe_error(excess)
    if len(excess) < SESSIONS:
        return Shadow(len(excess), ratio, error, "waits")
    lost = error is not None and ratio + LOST * error < 0.0
    return Shadow(len(excess), ratio, error, "lost" if lost else "enters")


def _scaled(book: UnitBook, proposed_ns: int) -> Float64Array:
    before = book.returns[book.known_ns <= proposed_ns]
    deviation = float(before.std(ddof=1)) if len(before) > 1 else 0.0
    return book.returns / deviation if deviation >= LEAST_DEVIATION else book.returns * 0.0
