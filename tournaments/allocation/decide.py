"""The weekly decision: from wishes to the nearest weights that bench, overrides, pool, caps and move limits allow.

Precedence: bench, ceiling, override, pool, cap, move limit; what ranks higher is kept where not all can be. The base
weights are settled first and know nothing of the competition, so innovation and diversity act inside the pool only.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tournaments.allocation import limits as names
from tournaments.allocation.diversity import LARGEST_BONUS, inside_pool
from tournaments.allocation.evidence import MOST_POOL
from tournaments.allocation.inputs import BoolArray, FloatArray, flags, number, shares, vector
from tournaments.allocation.limits import AllocationLimits
from tournaments.allocation.projection import lowered, nearest

SAME = 1e-12  # weights this near are equal


@dataclass(frozen=True)
class Weights:
    """Base and competitive weights [entrant], fractions of capital."""

    base: FloatArray
    competitive: FloatArray


@dataclass(frozen=True)
class Wishes:
    """What the rules would do without limits.

    ``base`` and ``hedge`` are shares [entrant] of their pools, each summing to at most 1 (``base_shares``,
    ``hedge.weights`` of those awake and not benched); ``pool`` is the pool that the evidence opens, a fraction of
    capital (``pool_fraction``); ``factors`` (0 to 1) and ``bonus`` (0 to 0.25) are the diversity and innovation
    adjustments of the hedge shares [entrant], 1 and 0 where left out.
    """

    base: FloatArray
    hedge: FloatArray
    pool: float
    factors: FloatArray | None = None
    bonus: FloatArray | None = None


@dataclass(frozen=True)
class PoolStages:
    """What each step made of the raw competitive weights [entrant], in fractions of the largest pool (10 %).

    ``eligible``: without those benched or overridden; ``bonus``: after innovation and diversity; ``evidence``: of the
    pool that is open; ``cap``: projected onto the caps; ``deployed``: after the move limit.
    """

    eligible: FloatArray
    bonus: FloatArray
    evidence: FloatArray
    cap: FloatArray
    deployed: FloatArray


@dataclass(frozen=True)
class Decision:
    """Weights [entrant] and ``cash`` as fractions of capital, and what bound each weight (a name of limits.py).

    ``change`` is the largest change of one strategy's capital, both pools' changes added; reductions that bench, pool
    or a cap ask for do not count, they wait for nobody. ``automatic`` says that it is within the automatic limit.
    """

    base: FloatArray
    competitive: FloatArray
    total: FloatArray
    cash: float
    base_rules: tuple[str, ...]
    pool_rules: tuple[str, ...]
    change: float
    automatic: bool
    stages: PoolStages


@dataclass(frozen=True)
class _Case:
    before: Weights
    wishes: Wishes
    factors: FloatArray
    bonus: FloatArray
    benched: BoolArray
    overrides: FloatArray
    ceilings: FloatArray
    limits: AllocationLimits

    @property
    def overridden(self) -> BoolArray:
        result: BoolArray = ~np.isnan(self.overrides) & ~self.benched
        return result

    @property
    def most(self) -> FloatArray:
        """Return the most capital that each may have, whatever moves."""
        return np.where(self.benched, 0.0, np.minimum(self.limits.strategy_cap, self.ceilings))


@dataclass(frozen=True)
class _Bounds:
    """``floor`` is the least that the move limit asks for; ``lower`` what is left of it under caps and total."""

    caps: FloatArray
    floor: FloatArray
    lower: FloatArray
    upper: FloatArray


def decide(
    before: Weights,
    wishes: Wishes,
    *,
    benched: npt.ArrayLike,
    overrides: npt.ArrayLike | None = None,
    ceilings: npt.ArrayLike | None = None,
    limits: AllocationLimits | None = None,
) -> Decision:
    """Return the weights that are nearest to the wishes among those allowed; the rest is cash.

    Parameters
    ----------
    before : weights in force; a newcomer's are 0.
    wishes : what the rules would do without limits.
    benched : who gets nothing, at once [entrant].
    overrides : capital that a person or oversight set for a strategy, a fraction of capital; NaN where none is in
        force [entrant]. It is held in the base pool, whatever the move limit, and the strategy takes no part in the
        competitive pool meanwhile. What the strategy cap or the base pool cannot hold is projected onto them.
    ceilings : most that a strategy may have [entrant], 0 to 1, from the risk manager or its drawdown; at once, above
        any override. Base is served first.
    limits : the rules' bounds.

    Where move limits ask for more than a pool can hold they give way by as little as it needs. The competitive total
    is never larger than without the innovation and diversity adjustments.

    Raises
    ------
    AllocationError
        if a shape does not fit, or a number is not finite or outside its range.
    """
    case = _checked(
        before, wishes, limits or AllocationLimits(), benched=benched, overrides=overrides, ceilings=ceilings
    )
    base, base_rules = _base(case)
    competitive, pool_rules, stages = _competitive(case, base)
    change = _change(base - case.before.base, base_rules) + _change(competitive - case.before.competitive, pool_rules)
    largest = float(change.max())
    total = base + competitive
    return Decision(
        base=base, competitive=competitive, total=total, cash=max(0.0, 1.0 - float(total.sum())),
        base_rules=base_rules, pool_rules=pool_rules, change=largest,
        automatic=largest <= case.limits.automatic + SAME, stages=stages,
    )  # fmt: skip


def _checked(
    before: Weights,
    wishes: Wishes,
    limits: AllocationLimits,
    *,
    benched: npt.ArrayLike,
    overrides: npt.ArrayLike | None,
    ceilings: npt.ArrayLike | None,
) -> _Case:
    count = max(np.size(wishes.base), 1)
    ones, zeros, none = np.ones(count), np.zeros(count), np.full(count, np.nan)
    asked = Wishes(
        base=shares("wishes.base", wishes.base, count),
        hedge=shares("wishes.hedge", wishes.hedge, count),
        pool=number("wishes.pool", wishes.pool, 0.0, 1.0),
    )
    held = Weights(
        base=shares("before.base", before.base, count),
        competitive=shares("before.competitive", before.competitive, count),
    )
    return _Case(
        before=held,
        wishes=asked,
        factors=vector("wishes.factors", ones if wishes.factors is None else wishes.factors, count, 0.0, 1.0),
        bonus=vector("wishes.bonus", zeros if wishes.bonus is None else wishes.bonus, count, 0.0, LARGEST_BONUS),
        benched=flags("benched", benched, count),
        overrides=vector("overrides", none if overrides is None else overrides, count, 0.0, 1.0, missing=True),
        ceilings=vector("ceilings", ones if ceilings is None else ceilings, count, 0.0, 1.0),
        limits=limits,
    )


def _bounds(before: FloatArray, caps: FloatArray, move: float, total: float) -> _Bounds:
    floor = np.maximum(before - move, 0.0)
    lower = lowered(np.minimum(floor, caps), total)
    return _Bounds(caps=caps, floor=floor, lower=lower, upper=np.minimum(before + move, caps))


def _base(case: _Case) -> tuple[FloatArray, tuple[str, ...]]:
    fixed, total = case.overridden, min(case.limits.base_pool, 1.0 - MOST_POOL)
    wish = case.wishes.base * total
    weights = np.zeros(len(wish))
    weights[fixed] = nearest(case.overrides[fixed], 0.0 * wish[fixed], case.most[fixed], total)
    room = max(total - float(weights.sum()), 0.0)
    bounds = _bounds(case.before.base, np.where(fixed, 0.0, case.most), case.limits.base_move, room)
    weights[~fixed] = nearest(wish, bounds.lower, bounds.upper, room)[~fixed]
    cap = np.where(case.ceilings < case.limits.strategy_cap, names.CEILING, names.STRATEGY_CAP)
    wish = np.where(fixed, case.overrides, wish)
    return weights, _rules(case, weights, wish, bounds, cap)


def _competitive(case: _Case, base: FloatArray) -> tuple[FloatArray, tuple[str, ...], PoolStages]:
    out = case.benched | case.overridden
    room = np.maximum(case.most - base, 0.0)
    caps = np.where(out, 0.0, np.minimum(case.limits.agent_cap, room))
    open_pool = min(case.wishes.pool, case.limits.pool_cap, MOST_POOL)
    eligible = np.where(out, 0.0, case.wishes.hedge)
    adjusted = inside_pool(eligible, case.factors, case.bonus)
    plain, wish = eligible * open_pool, adjusted * open_pool
    bounds = _bounds(case.before.competitive, caps, case.limits.pool_move, open_pool)
    weights = _inside(wish, plain, bounds.lower, bounds.upper, open_pool)
    stages = PoolStages(
        eligible=eligible,
        bonus=adjusted,
        evidence=wish / MOST_POOL,
        cap=_inside(wish, plain, np.zeros_like(caps), caps, open_pool) / MOST_POOL,
        deployed=weights / MOST_POOL,
    )
    cap = np.where(case.limits.agent_cap <= room, names.AGENT_CAP, names.STRATEGY_CAP)
    cap = np.where((room < case.limits.agent_cap) & (case.ceilings < case.limits.strategy_cap), names.CEILING, cap)
    return weights, _rules(case, weights, wish, bounds, cap), stages


def _inside(wish: FloatArray, plain: FloatArray, lower: FloatArray, upper: FloatArray, total: float) -> FloatArray:
    unadjusted = float(nearest(plain, lower, upper, total).sum())
    return nearest(wish, lower, upper, max(min(total, unadjusted), float(lower.sum())))


def _rules(
    case: _Case, weights: FloatArray, wish: FloatArray, bounds: _Bounds, cap: npt.NDArray[np.str_]
) -> tuple[str, ...]:
    """Return the name of the bound at which each weight lies, POOL where only the total kept it from its wish."""
    more, less = wish > weights + SAME, wish < weights - SAME
    forced = weights < bounds.floor - SAME  # the move limit gave way
    fixed = case.overridden
    capped = fixed & more & (weights >= case.most - SAME)
    at_cap = (more | forced) & (weights >= bounds.caps - SAME)
    moved = (more & (weights >= bounds.upper - SAME)) | (less & (weights <= bounds.floor + SAME))
    # the first that holds is the reason; "" stands for the cap's own name
    reasons: list[tuple[BoolArray, str]] = [
        (case.benched, names.BENCH), (capped, ""), (fixed & ~more, names.OVERRIDE), (fixed, names.POOL),
        (at_cap, ""), (forced, names.POOL), (moved, names.MOVE_LIMIT), (more | less, names.POOL),
    ]  # fmt: skip
    found = [next((name for holds, name in reasons if holds[place]), names.WISH) for place in range(len(weights))]
    return tuple(name or str(cap[place]) for place, name in enumerate(found))


def _change(delta: FloatArray, rules: tuple[str, ...]) -> FloatArray:
    waits = np.array([rule in {names.WISH, names.OVERRIDE, names.MOVE_LIMIT} for rule in rules])
    return np.where(waits | (delta > 0.0), np.abs(delta), 0.0)
