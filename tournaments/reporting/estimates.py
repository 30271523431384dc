"""An estimate with its 95 % interval, from few things: Student's t, a jackknife, a block bootstrap, a Poisson count."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import chi2, t

from tournaments.scores.clustered import Estimate

LEVEL = 0.95
RESAMPLES = 2000
BLOCK = 5  # sessions, a week: what lasts within it stays together
SEED = 1  # of resampling alone: the same rounds give the same report

Float64Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """A value, its standard error and central 95 % interval, None where nothing shows the spread.

    ``count`` are the independent things behind it: rounds, sessions or weeks.
    """

    value: float
    error: float | None
    low: float | None
    high: float | None
    count: int

    def times(self, factor: float) -> "Interval":
        """Return it in another unit; a factor below 0 turns it round."""
        error = None if self.error is None else abs(factor) * self.error
        ends = [None if end is None else factor * end for end in (self.low, self.high)]
        low, high = ends if factor >= 0.0 else ends[::-1]
        return Interval(factor * self.value, error, low, high, self.count)


def by_student(value: float, error: float | None, count: int) -> Interval:
    """Return the interval of Student's t with ``count`` - 1 degrees; without an error or with one count none."""
    if error is None or count < 2:
        return Interval(value, None, None, None, count)
    reach = float(t.ppf((1.0 + LEVEL) / 2.0, count - 1)) * error
    return Interval(value, error, value - reach, value + reach, count)


def of_rounds(estimate: Estimate) -> Interval:
    """Return the interval of a mean whose error is clustered by round."""
    return by_student(estimate.mean, estimate.error, estimate.rounds)


def of_poisson(events: int, span: float) -> Interval:
    """Return events by unit of ``span`` with the exact interval of a Poisson count (Garwood 1936).

    Its error is sqrt(events) / span, None of no event; ``count`` are the whole units that it rests on.
    """
    low = 0.0 if not events else float(chi2.ppf((1.0 - LEVEL) / 2.0, 2 * events)) / 2.0 / span
    high = float(chi2.ppf((1.0 + LEVEL) / 2.0, 2 * events + 2)) / 2.0 / span
    return Interval(events / span, events**0.5 / span if events else None, low, high, int(span))


def jackknifed(statistic: Callable[[Float64Array], float], rows: Float64Array) -> Interval:
    """Return a statistic of rows [n, ...] with the delete-one jackknife's error (Efron and Stein 1981)."""
    value, count = statistic(rows), len(rows)
    if count < 3:
        return by_student(value, None, count)
    left = np.array([statistic(np.delete(rows, k, axis=0)) for k in range(count)])
    error = float(np.sqrt((count - 1) / count * np.square(left - left.mean()).sum()))
    return by_student(value, error, count)


def resampled(statistic: Callable[[Float64Array], float], rows: Float64Array) -> Interval:
    """Return a statistic of rows in time [n, ...] with the 95 % range of a circular block bootstrap.

    For statistics without a standard error, such as the deepest fall. Politis and Romano 1992, "A circular
    block-resampling procedure for stationary data". Fewer than two blocks show no spread.
    """
    value, count = statistic(rows), len(rows)
    if count < 2 * BLOCK:
        return Interval(value, None, None, None, count)
    generator = np.random.Generator(np.random.Philox(SEED))
    begins = generator.integers(0, count, (RESAMPLES, -(-count // BLOCK)))
    places = (begins[:, :, np.newaxis] + np.arange(BLOCK)).reshape(RESAMPLES, -1)[:, :count] % count
    found = np.array([statistic(rows[each]) for each in places])
    low, high = np.quantile(found, [(1.0 - LEVEL) / 2.0, (1.0 + LEVEL) / 2.0])
    return Interval(value, None, float(low), float(high), count)
