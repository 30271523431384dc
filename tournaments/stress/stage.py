"""What is the same for all entrants of a round: paths, costs, budgets, and the risk that each of them may take."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.configuration import Costs
from engine.layout import COSTS, SYMBOL, Table
from engine.state import fee_row
from market.instruments import Instrument
from tournaments.stress.paths import CLOSE, Draws, PathsError, Pool, Window, draw, pool

PATHS = 200
GOAL = 0.5  # of the volatility of the whole basket, long: what each entrant's book is scaled to beforehand
RISK_BUDGET = 3.0  # of that volatility over one path: the excess loss that counts as a full one
MOST_WEIGHT = 2.0  # that scaling may give: who hardly traded in the window must not come with borrowed millions

Float64Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Terms:
    """``symbols`` engine.layout.SYMBOL [n] with lots, ticks and fees; ``costs`` engine.layout.COSTS [1].

    ``capital`` of each entrant's book, in the currency of the symbols; ``band``: no trade within this fraction of a
    symbol's budget.
    """

    symbols: Table
    costs: Table
    capital: float
    band: float


@dataclass(frozen=True)
class Stage:
    """Where entrants are stressed.

    Attributes
    ----------
    budgets : f8 [symbols], fractions of the capital with equal volatility each; they add up to 1.
    covariance : f8 [symbols, symbols], second moments of returns over one path.
    goal, risk_budget : fractions of the capital.
    """

    pool: Pool
    draws: Draws
    terms: Terms
    budgets: Float64Array
    covariance: Float64Array
    goal: float
    risk_budget: float


def terms(instruments: Sequence[Instrument], costs: Costs, *, capital: float, band: float = 0.1) -> Terms:
    """Return the station's own costs and lots as tables; prices, fees and capital are all in one currency.

    Raises
    ------
    PathsError
        if the capital or the band is out of range, or there are several currencies.
    """
    if not 1.0 <= capital <= 1e9:
        raise PathsError(f"capital = {capital} must be 1 to 1e9")
    if not 0.0 <= band <= 1.0:
        raise PathsError(f"band = {band} must be 0 to 1")
    if len({instrument.currency for instrument in instruments}) > 1:
        raise PathsError("instruments must have one currency: the stress has no rates between several")
    symbols, table = np.zeros(len(instruments), dtype=SYMBOL), np.zeros(1, dtype=COSTS)
    for row, instrument in zip(symbols, instruments, strict=True):
        row["lot_numerator"], row["lot_denominator"] = instrument.lot_numerator, instrument.lot_denominator
        row["tick"] = instrument.tick
        row["fee_ppm"], row["fee_maker_ppm"], row["fee_unit_micro"], row["fee_minimum_micro"] = fee_row(
            costs, instrument
        )
    table["half_spread"], table["impact_eta"] = costs.half_spread_bps * 1e-4, costs.impact_eta
    table["volatility_bars"], table["volume_share"] = costs.volatility_bars, costs.volume_share
    return Terms(symbols, table, capital, band)


def stage(
    window: Window, conditions: Terms, *, seed: int, paths: int = PATHS, risk_budget: float = RISK_BUDGET,
    block: float | None = None,
) -> Stage:  # fmt: skip
    """Return the stage of one round.

    Budgets are inverse to each symbol's volatility, so that a full target is the same risk in all of them.

    Raises
    ------
    PathsError
        if symbols and terms are not as many, no price moves, or a number is out of range.
    """
    if len(conditions.symbols) != len(window.symbols):
        raise PathsError(f"terms name {len(conditions.symbols)} instruments, the window {len(window.symbols)} symbols")
    if not 0.1 <= risk_budget <= 100.0:
        raise PathsError(f"risk_budget = {risk_budget} must be 0.1 to 100 times the volatility that is aimed at")
    drawn_from = pool(window)
    moving = drawn_from.sigma > 0.0
    if not moving.any():
        raise PathsError(f"bars of {', '.join(window.symbols)}: no price of the window ever moves")
    inverse = np.where(moving, 1.0 / np.where(moving, drawn_from.sigma, 1.0), 0.0)
    budgets = inverse / inverse.sum()
    returns = drawn_from.moves[..., CLOSE].reshape(-1, len(budgets)) - 1.0
    covariance = returns.T @ returns * (drawn_from.length / len(returns))
    goal = GOAL * math.sqrt(float(budgets @ covariance @ budgets))
    if not goal > 0.0:
        raise PathsError(f"bars of {', '.join(window.symbols)}: their basket never moves")
    return Stage(
        drawn_from, draw(drawn_from, paths, seed, block), conditions, budgets, covariance, goal, risk_budget * goal
    )


def weight_of(given: Stage, targets: Float64Array) -> float:
    """Return what an entrant's capital is multiplied by for equal volatility beforehand.

    ``targets`` f8 [decisions, symbols] over the window: the root mean square of the book's volatility there is brought
    to the goal, by at most twice the capital.
    """
    weights = targets.clip(-1.0, 1.0) * given.budgets
    variance = float(np.einsum("ki,ij,kj->k", weights, given.covariance, weights).mean())
    return min(MOST_WEIGHT, given.goal / math.sqrt(variance)) if variance > 0.0 else MOST_WEIGHT
