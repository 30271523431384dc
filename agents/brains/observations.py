"""What a frozen policy said at each session's end, and what the next session then did: plain arrays, point in time."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from market.calendars import Sessions

Float64Array = npt.NDArray[np.float64]
Int64Array = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

DOWN, FLAT, UP = range(3)
CLASSES = ("down", "flat", "up")
UNKNOWN = -1
FLAT_SIGMAS = 0.3


class ObservationsError(ValueError):
    """One sentence: the field, the value, what is allowed."""


@dataclass(frozen=True)
class Observations:
    """One row for each symbol and session in which it had a bar, ordered by ``known_ns``, then symbol.

    Attributes
    ----------
    strategy, symbols, feature_names
        the policy's name; symbols (n,); names of the columns of ``features``.
    as_of_ns
        nothing that was known later is in here.
    sessions
        of each symbol's calendar (n,).
    symbol, known_ns
        (rows,): index of the symbol; the instant from which the row is known, its session's close or later.
    features, target, score
        (rows, F), (rows,), (rows,): the policy's latest words at ``known_ns``.
    warm
        (rows,): whether the policy had had its warm-up by then; if not its features are zeros.
    close
        (rows,): last price of the session.
    sigma
        (rows,): deviation of the symbol's open-to-close returns up to and with this session; NaN where too few.
    next_return, next_class, settled_ns
        (rows,): open-to-close return of the next session of the calendar, its class by ``sigma`` and the instant from
        which both are known; NaN, -1 and 0 while it is to come, had no bar, or ``sigma`` is NaN (class alone).
    """

    strategy: str
    symbols: tuple[str, ...]
    feature_names: tuple[str, ...]
    as_of_ns: int
    sessions: tuple[Sessions, ...]
    symbol: Int64Array
    known_ns: Int64Array
    features: Float64Array
    target: Float64Array
    score: Float64Array
    warm: BoolArray
    close: Float64Array
    sigma: Float64Array
    next_return: Float64Array
    next_class: Int64Array
    settled_ns: Int64Array

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.symbol)

    def settled_by(self, instant_ns: int) -> BoolArray:
        """Return which rows have a class of the next session that was known at the instant; shape (rows,)."""
        return np.asarray((self.next_class != UNKNOWN) & (self.settled_ns <= instant_ns))


def classify(returns: Float64Array, sigma: Float64Array, flat_sigmas: float = FLAT_SIGMAS) -> Int64Array:
    """Return the class of each open-to-close return: flat is |return| < 0.3 sigma, or no move at all.

    Parameters
    ----------
    returns, sigma
        fractions, the same shape; where one is NaN the class is UNKNOWN.
    flat_sigmas
        the rules' flat band, deviations.
    """
    edge = flat_sigmas * sigma
    moved = np.where(returns > 0.0, UP, DOWN)
    found = np.where((np.abs(returns) < edge) | (returns == 0.0), FLAT, moved)
    return np.where(np.isfinite(returns) & np.isfinite(sigma), found, UNKNOWN).astype(np.int64)
