"""A strategy's unit book: one unit of capital behind its targets, on daily bars, after costs.

What it decides at a session's close trades at the next open. Each symbol's budget is inverse to its deviation, budgets
add up to the capital, and a target is a share of the budget: the same risk a symbol, and never more than the capital.
A symbol without a bar cannot be traded: it is held as it is until its next close, and given up after twenty sessions.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from agents.brains.observations import Observations

PATIENCE = 20  # sessions without a bar, after which a symbol's last price is what was got for it
ALL = -1.0  # the most that the capital can lose in a session

Float64Array = npt.NDArray[np.float64]
Int64Array = npt.NDArray[np.int64]


@dataclass(frozen=True)
class UnitBook:
    """``known_ns`` (sessions,) each session's end; ``returns`` (sessions,) net, fractions; ``gross`` (sessions,)."""

    known_ns: Int64Array
    returns: Float64Array
    gross: Float64Array


def unit_book(observations: Observations, *, cost: float) -> UnitBook:
    """Return the book over all sessions after the first that any symbol had a bar in.

    A return is known at its session's close. A position is held through the night, changed at the open and held until
    the close; where the symbol had no bar in the session before, its open is not known, and it changes a day later.

    Parameters
    ----------
    cost : fee and half spread as a fraction of what is traded.
    """
    known, row = np.unique(observations.known_ns, return_inverse=True)
    shape = (len(known), len(observations.symbols))
    close, target, sigma, following = (np.full(shape, np.nan) for _ in range(4))
    for table, column in (
        (close, observations.close),
        (target, observations.target),
        (sigma, observations.sigma),
        (following, observations.next_return),
    ):
        table[row, observations.symbol] = column
    last, target, sigma = _carried(close, target, sigma)
    wanted = np.nan_to_num(np.clip(target, -1.0, 1.0)) * _budgets(sigma)
    held, returns, gross = np.zeros(shape[1]), np.zeros(max(shape[0] - 1, 0)), np.zeros(max(shape[0] - 1, 0))
    for i in range(len(returns)):
        opened = ~np.isnan(following[i]) & ~np.isnan(close[i + 1])
        new = _traded(wanted[i], held, opened | np.isnan(last[i]))
        session = np.where(opened, following[i], 0.0)
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            night = close[i + 1] / (1.0 + session) / last[i] - 1.0  # of one that resumes: since its last close
        earned = held @ _finite(night) + new @ session
        returns[i] = max(earned - cost * np.abs(new - held).sum(), ALL)
        gross[i], held = np.abs(new).sum(), new
    return UnitBook(known[1:], returns, gross)


def _traded(wanted: Float64Array, held: Float64Array, free: npt.NDArray[np.bool_]) -> Float64Array:
    """Return what is held after an opening [symbol]: as wanted where ``free``, within what the others leave of 1."""
    room, asked = max(1.0 - float(np.abs(held[~free]).sum()), 0.0), float(np.abs(wanted[free]).sum())
    return np.where(free, wanted * min(1.0, room / asked if asked > 0.0 else 1.0), held)


def _budgets(sigma: Float64Array) -> Float64Array:
    """Return each symbol's share of the capital [session, symbol], inverse to its deviation; 0 where there is none."""
    inverse = np.where(sigma > 0.0, 1.0 / np.where(sigma > 0.0, sigma, 1.0), 0.0)
    total = inverse.sum(axis=1, keepdims=True)
    return np.asarray(inverse / np.where(total > 0.0, total, 1.0))


def _carried(close: Float64Array, *others: Float64Array) -> tuple[Float64Array, ...]:
    """Return tables [session, symbol] with what was last known in the sessions without a bar, for so many of them."""
    session = np.arange(len(close))[:, np.newaxis]
    newest = np.maximum.accumulate(np.where(np.isnan(close), -1, session), axis=0)
    kept = (newest >= 0) & (session - newest <= PATIENCE)
    column = np.arange(close.shape[1])
    return tuple(np.where(kept, table[np.maximum(newest, 0), column], np.nan) for table in (close, *others))


def _finite(values: Float64Array) -> Float64Array:
    return np.where(np.isfinite(values), values, 0.0)
