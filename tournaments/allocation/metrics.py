"""What is charted beside each round: does the competition earn its keep, and how well is capital used."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tournaments.allocation.inputs import AllocationError, FloatArray, matrix, number, vector

LARGEST_RETURN = 1e3
LARGEST_GROSS = 1e3


@dataclass(frozen=True)
class CompetitiveDelta:
    """Returns on the whole capital [round]: of the competitive pool, of the same capital by base weights, and less it.

    ``mean`` is the delta's mean over rounds, ``error`` its standard error (NaN with fewer than two rounds).
    """

    competitive: FloatArray
    by_base: FloatArray
    delta: FloatArray
    mean: float
    error: float


def competitive_delta(base: npt.ArrayLike, competitive: npt.ArrayLike, returns: npt.ArrayLike) -> CompetitiveDelta:
    """Return what the pool earned beyond the same capital by base weights.

    In a round without any base weight there is nothing to compare with: the same capital is taken to be cash.

    Parameters
    ----------
    base, competitive : weights in force during each round [round, entrant], fractions of capital.
    returns : of each strategy's unit book on its capital over the round [round, entrant].

    Raises
    ------
    AllocationError
        if shapes differ or a number is not finite or absurd.
    """
    slow, fast = matrix("base", base, 0.0, 1.0), matrix("competitive", competitive, 0.0, 1.0)
    earned = matrix("returns", returns, -LARGEST_RETURN, LARGEST_RETURN)
    if not slow.shape == fast.shape == earned.shape or not len(slow):
        raise AllocationError(
            f"base {slow.shape}, competitive {fast.shape} and returns {earned.shape} must have the same rounds, at "
            "least one, and the same entrants"
        )
    held = slow.sum(axis=1)
    mix = np.divide(slow, held[:, None], out=np.zeros_like(slow), where=held[:, None] > 0.0)
    pool, same = (fast * earned).sum(axis=1), fast.sum(axis=1) * (mix * earned).sum(axis=1)
    delta = pool - same
    error = float(delta.std(ddof=1) / np.sqrt(len(delta))) if len(delta) > 1 else float("nan")
    return CompetitiveDelta(competitive=pool, by_base=same, delta=delta, mean=float(delta.mean()), error=error)


@dataclass(frozen=True)
class CapitalEfficiency:
    """Return on average gross exposure, return on capital, and the first ÷ the second.

    Without any exposure ``on_gross`` and ``ratio`` are None; without a gain or loss the ratio is that of the capitals.
    """

    on_gross: float | None
    on_capital: float
    ratio: float | None


def capital_efficiency(profit: float, capital: float, gross: npt.ArrayLike) -> CapitalEfficiency:
    """Return how much of the capital worked.

    Parameters
    ----------
    profit : of the period, in the account's currency.
    capital : allocated to the strategy, the same currency, above 0.
    gross : longs and shorts added at each observation [observation], the same currency.

    Raises
    ------
    AllocationError
        if the capital is not above 0, or a number is not finite or negative where it cannot be.
    """
    number("profit", profit, -1e15, 1e15)
    if not number("capital", capital, 0.0, 1e15) > 0.0:
        raise AllocationError(f"capital = {capital:g} must be above 0")
    exposures = vector("gross", gross, max(np.size(gross), 1), 0.0, LARGEST_GROSS * capital)
    average = float(exposures.mean())
    if average == 0.0:
        return CapitalEfficiency(on_gross=None, on_capital=profit / capital, ratio=None)
    return CapitalEfficiency(on_gross=profit / average, on_capital=profit / capital, ratio=capital / average)


@dataclass(frozen=True)
class Recovery:
    """Of a path's deepest loss: its size, the share of it regained by the end's best, and bars until all was (or None).

    Without a loss nothing had to be regained: 0, 1 and 0 bars.
    """

    loss: float
    regained: float
    bars: int | None


def recovery(equity: npt.ArrayLike) -> Recovery:
    """Return how equity [bar] came back from its deepest fall below an earlier high, sizes as fractions of that high.

    ``bars`` are counted from the lowest point. Every equity must be finite and the first above 0.

    Raises
    ------
    AllocationError
        otherwise, or if there is none.
    """
    path = np.asarray(equity, dtype=np.float64)
    if path.ndim != 1 or not len(path) or not np.isfinite(path).all() or path[0] <= 0.0:
        raise AllocationError(f"equity {path.shape} must be a path of finite numbers that starts above 0")
    highs = np.maximum.accumulate(path)
    lowest = int(np.argmax(1.0 - path / highs))
    high, low = float(highs[lowest]), float(path[lowest])
    if high == low:
        return Recovery(loss=0.0, regained=1.0, bars=0)
    after = path[lowest:]
    whole = np.flatnonzero(after >= high)
    regained = min(1.0, (float(after.max()) - low) / (high - low))
    return Recovery(loss=1.0 - low / high, regained=regained, bars=int(whole[0]) if len(whole) else None)


def innovation_rate(promoted: int, weeks: float) -> float:
    """Return promoted variants a week.

    Raises
    ------
    AllocationError
        if the variants are fewer than 0 or the weeks not above 0.
    """
    number("promoted", promoted, 0, 1e9)
    if not number("weeks", weeks, 0.0, 1e6) > 0.0:
        raise AllocationError(f"weeks = {weeks:g} must be above 0")
    return promoted / weeks
