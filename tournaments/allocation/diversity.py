"""Who says the same as another, and who says something new: what shifts weight inside the competitive pool.

A bonus for being different alone would pay noise, so it is only paid on positive contribution.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tournaments.allocation.inputs import AllocationError, BoolArray, FloatArray, flags, matrix, number, vector

LARGEST_ENTRY = 1e6
NEEDED = 3  # entries that two must have in common before their correlation says anything
SAME = 1e-12  # constant entries this near are the same
LARGEST_BONUS = 0.25  # of an entrant's raw weight


@dataclass(frozen=True)
class LookAlikes:
    """How alike entries are.

    ``correlation`` and ``common`` (entries that two share) are [entrant, entrant]; ``effective`` is the effective
    number of independent entrants, ``index`` that number ÷ the entrants counted.
    """

    correlation: FloatArray
    common: npt.NDArray[np.int64]
    effective: float
    index: float


def look_alikes(entries: npt.ArrayLike, present: npt.ArrayLike | None = None) -> LookAlikes:
    """Return how alike the entrants' entries are.

    The effective number is K² / sum of squared correlations, the participation ratio of the correlation matrix's
    eigenvalues (Bretherton et al. 1999, "The effective number of spatial degrees of freedom of a time-varying field",
    Journal of Climate 12), within 1 to K; each squared correlation is freed of its chance part (adjusted R², Wherry
    1931). An entry that is always another's opposite is no independent one.

    Parameters
    ----------
    entries : signed forecasts [forecast, entrant], such as P(up) - P(down) by round and symbol; NaN where abstained.
    present : who counts [entrant]; left out, all. With nobody both numbers are 0.

    Raises
    ------
    AllocationError
        if an entry is infinite or beyond a million.
    """
    table = matrix("entries", entries, -LARGEST_ENTRY, LARGEST_ENTRY, missing=True)
    count = table.shape[1]
    here = np.ones(count, dtype=np.bool_) if present is None else flags("present", present, count)
    correlation, common = _correlations(table)
    number_of = int(here.sum())
    effective = _effective(correlation[np.ix_(here, here)], common[np.ix_(here, here)]) if number_of else 0.0
    index = effective / number_of if number_of else 0.0
    return LookAlikes(correlation=correlation, common=common, effective=effective, index=index)


def diversity_factors(alike: LookAlikes, present: npt.ArrayLike | None = None) -> FloatArray:
    """Return by what each raw weight is multiplied [entrant]: 1 / (1 + sum of squared correlations above 0), 1/K to 1.

    Of n copies each gets 1/n, so that together they weigh as much as one (the same discount as of a cluster of n).
    Only those present count as look-alikes.

    Raises
    ------
    AllocationError
        if ``present`` is not true or false for each.
    """
    count = len(alike.correlation)
    here = np.ones(count, dtype=np.bool_) if present is None else flags("present", present, count)
    others = np.maximum(alike.correlation, 0.0) ** 2 * here[None, :]
    np.fill_diagonal(others, 0.0)
    result: FloatArray = 1.0 / (1.0 + others.sum(axis=1))
    return result


def novelty(current: npt.ArrayLike, history: npt.ArrayLike) -> float:
    """Return 1 - the largest absolute correlation of an approach's entries with what its earlier ones say.

    Parameters
    ----------
    current : entries of the approach [forecast]; NaN where it abstained.
    history : entries of the same entrant's earlier approaches [forecast, approach] for the same forecasts, so that a
        market that moved is not taken for a new idea. None, or none that can be compared: 0, nothing was shown.

    Raises
    ------
    AllocationError
        if the numbers of forecasts differ, or an entry is infinite or beyond a million.
    """
    own = np.asarray(current, dtype=np.float64)
    past = np.asarray(history, dtype=np.float64)
    if own.ndim != 1 or past.ndim != 2 or len(past) != len(own):
        raise AllocationError(f"history has shape {past.shape}; it needs a row for each of current's {own.shape}")
    together = matrix("entries", np.column_stack([own, past]), -LARGEST_ENTRY, LARGEST_ENTRY, missing=True)
    correlation, common = _correlations(together)
    compared = (common[0, 1:] >= NEEDED) & _varies(together)[1:]
    if not compared.any() or not _varies(together)[0]:
        return 0.0
    return float(max(0.0, 1.0 - np.abs(correlation[0, 1:][compared]).max()))


def innovation_bonus(contribution: npt.ArrayLike, new: npt.ArrayLike, largest: float = LARGEST_BONUS) -> FloatArray:
    """Return the bonus [entrant] as a fraction of each raw weight: largest x novelty where the contribution is above 0.

    Parameters
    ----------
    contribution : what each added to the ensemble [entrant]; NaN where nothing was settled.
    new : novelty of each [entrant], 0 to 1.
    largest : the rules' largest bonus, 0 to 0.25.

    Raises
    ------
    AllocationError
        if a number is outside.
    """
    count = np.size(contribution)
    added = vector("contribution", contribution, count, -LARGEST_ENTRY, LARGEST_ENTRY, missing=True)
    most = number("largest", largest, 0.0, LARGEST_BONUS)
    result: FloatArray = np.where(added > 0.0, most * vector("new", new, count, 0.0, 1.0), 0.0)
    return result


def inside_pool(hedge: FloatArray, factors: FloatArray, bonus: FloatArray) -> FloatArray:
    """Return the raw shares [entrant] after factors and bonus, scaled back to the raw shares' sum: nothing else moves.

    Where only entrants without weight are left, or the factors are all equal, nothing moves at all.
    """
    adjusted: FloatArray = hedge * factors * (1.0 + bonus)
    left = float(adjusted.sum())
    return adjusted * (hedge.sum() / left) if left > SAME else hedge


def _varies(table: FloatArray) -> BoolArray:
    told = ~np.isnan(table)
    low, high = np.where(told, table, np.inf).min(axis=0), np.where(told, table, -np.inf).max(axis=0)
    result: BoolArray = high - low > SAME
    return result


def _correlations(table: FloatArray) -> tuple[FloatArray, npt.NDArray[np.int64]]:
    told = ~np.isnan(table)
    count = table.shape[1]
    common: npt.NDArray[np.int64] = told.T.astype(np.int64) @ told.astype(np.int64)
    correlation = np.eye(count)
    for one in range(count):
        for other in range(one):
            both = told[:, one] & told[:, other]
            value = _correlation(table[both, one], table[both, other])
            correlation[one, other] = correlation[other, one] = value
    return correlation, common


def _correlation(left: FloatArray, right: FloatArray) -> float:
    """Return the correlation; too few or constant entries have none, unless they are the same: two copies."""
    if len(left) < NEEDED:
        return 0.0
    if np.abs(left - right).max() <= SAME:
        return 1.0
    left, right = left - left.mean(), right - right.mean()
    size = np.sqrt((left @ left) * (right @ right))
    if min(np.abs(left).max(), np.abs(right).max()) <= SAME:
        return 0.0
    return float(np.clip(left @ right / size, -1.0, 1.0))


def _effective(correlation: FloatArray, common: npt.NDArray[np.int64]) -> float:
    count = len(correlation)
    degrees = np.maximum(common - 2, 1)
    adjusted = np.where(common >= NEEDED, 1.0 - (1.0 - correlation**2) * (degrees + 1) / degrees, 0.0)
    np.fill_diagonal(adjusted, 0.0)
    return float(np.clip(count**2 / (count + max(adjusted.sum(), 0.0)), 1.0, count))
