"""From a target to the lots that a book waits for, compiled: the rules of engine.decisions for one strategy alone."""

from engine.decisions import truncated_lots
from tournaments.stress.compiled import lean


@lean
def wanted_change(  # noqa: PLR0917 - compiled code is called with positions
    target: float, capital: float, price: float, unit: float, has: int, band: float
) -> int:
    """Return the lots to add to what a book has and waits for; 0 inside the no-trade band, a target of 0 closes."""
    bounded = min(1.0, max(-1.0, target))
    if bounded != 0.0:
        lot = unit * price
        most = abs(bounded * capital - has * lot) + lot  # truncation adds less than a lot: no quotient where this is so
        if most * (1.0 + 1e-9) < band * capital:
            return 0
    delta: int = truncated_lots(bounded, capital, price, unit) - has
    if bounded != 0.0 and abs(delta) * unit * price < band * max(0.0, capital):
        return 0
    return delta


@lean
def renewed(  # noqa: PLR0917 - compiled code is called with positions
    target: float, capital: float, price: float, unit: float, lots: int, pending: int, band: float
) -> int:
    """Return the signed lots that a book with ``lots`` waits for after a close, ``pending`` before it.

    As the engine has it: what would go beyond the target by more than the band is cancelled, and only the next close
    decides anew; while an order works none goes the other way.
    """
    change: int = wanted_change(target, capital, price, unit, lots + pending, band)
    if pending == 0:
        return change
    side, bounded = (1 if pending > 0 else -1), min(1.0, max(-1.0, target))
    if ((lots + pending) * unit * price - bounded * capital) * side > band * max(0.0, capital):
        return 0
    return pending + change if change * side > 0 else pending
