"""What a drawdown of a strategy's unit book does to its capital: half of it, then none until a person re-admits it."""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from tournaments.allocation.inputs import AllocationError, number

Status = Literal["active", "halved", "benched"]


@dataclass(frozen=True)
class DrawdownLimits:
    """Drawdowns as fractions of the high-water mark, 0 to 1.

    Beyond ``halve`` the capital is halved; beyond ``bench``, not below it, or ``patience`` rounds (at least 1) later
    still beyond ``halve``, the strategy is benched. Back to ``recovered`` x ``halve`` (0 to 1) it is whole again.

    Raises
    ------
    AllocationError
        if one is outside its range.
    """

    halve: float = 0.15
    bench: float = 0.25
    patience: int = 4
    recovered: float = 0.5

    def __post_init__(self) -> None:
        number("halve", self.halve, 0.0, 1.0)
        number("bench", self.bench, self.halve, 1.0)
        number("patience", self.patience, 1, 1000)
        number("recovered", self.recovered, 0.0, 1.0)


@dataclass(frozen=True)
class Standing:
    """How a strategy stands: ``ceiling`` is the most capital that it may have (decide's ``ceilings``), 1 is no ceiling.

    ``beyond`` counts the rounds since it was halved in which it was still beyond the limit. Returns of the unit book
    count that were known after ``counted_from_ns``: one re-admitted starts with a new high-water mark. ``since_ns``
    is the instant of the round that gave it its status; both UTC nanoseconds, 0 where nobody has said.
    """

    status: Status = "active"
    ceiling: float = 1.0
    beyond: int = 0
    counted_from_ns: int = 0
    since_ns: int = 0
    readmitted_by: str = ""


def drawdown(equity: npt.ArrayLike, counted_from: int = 0) -> float:
    """Return how far the last equity [observation] is below the highest since ``counted_from``, as a fraction of it.

    Raises
    ------
    AllocationError
        if nothing counts, an equity is not finite or the highest is not above 0.
    """
    counted = np.asarray(equity, dtype=np.float64)
    if counted.ndim != 1 or not 0 <= counted_from < len(counted):
        raise AllocationError(f"counted_from = {counted_from} leaves nothing of equity {counted.shape}")
    counted = counted[counted_from:]
    if not np.isfinite(counted).all() or counted.max() <= 0.0:
        raise AllocationError("equity must be finite, and above 0 somewhere since counted_from")
    return float(max(0.0, 1.0 - counted[-1] / counted.max()))


def review(
    standing: Standing, fallen: float, weight: float, limits: DrawdownLimits | None = None, *, at_ns: int = 0
) -> Standing:
    """Return the standing after a round.

    Parameters
    ----------
    standing : before it.
    fallen : drawdown of the unit book now; above 1 where more than all was lost.
    weight : capital that the strategy has, base and competitive together, a fraction of capital.
    limits : the rules'.
    at_ns : the round's instant, from which a status that it changes holds.

    Raises
    ------
    AllocationError
        if a drawdown is below 0 or not finite, or a weight is outside 0 to 1.
    """
    rules = limits or DrawdownLimits()
    number("fallen", fallen, 0.0, 1e6)
    number("weight", weight, 0.0, 1.0)
    if standing.status == "benched":
        return standing
    beyond = standing.beyond + (standing.status == "halved" and fallen > rules.halve)
    if fallen > rules.bench or beyond >= rules.patience:
        return replace(standing, status="benched", ceiling=0.0, beyond=0, since_ns=at_ns)
    if standing.status == "active":
        if fallen <= rules.halve:
            return standing
        return replace(standing, status="halved", ceiling=weight / 2.0, since_ns=at_ns)
    if fallen <= rules.recovered * rules.halve:
        return replace(standing, status="active", ceiling=1.0, beyond=0, since_ns=at_ns)
    return replace(standing, beyond=beyond)


def readmit(standing: Standing, person: str, at_ns: int) -> Standing:
    """Return the standing of a benched strategy that ``person`` lets in again; nothing else ever does.

    ``at_ns`` is the instant of the round that lets it in, from which its high-water mark starts anew. It comes back
    at a weight of 0 and rises by the move limits.

    Raises
    ------
    AllocationError
        if it is not benched, no person is named, or ``at_ns`` is before the round that benched it.
    """
    if standing.status != "benched":
        raise AllocationError(f"status = {standing.status} cannot be re-admitted; only a benched strategy can")
    if not person.strip():
        raise AllocationError("person is empty; a re-admission needs the name of who decided it")
    if at_ns < standing.since_ns:
        raise AllocationError(f"at_ns = {at_ns} is before the round of {standing.since_ns} that benched it")
    return Standing(counted_from_ns=at_ns, since_ns=at_ns, readmitted_by=person)
