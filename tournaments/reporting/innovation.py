"""How often people promote a variant: a count over market time, with the error of a Poisson count."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import sqrt

WEEK_NS = 7 * 86_400 * 10**9
LEAST_WEEKS = 1.0  # before a whole week a rate a week says nothing
RULE_OF_THREE = 3.0  # -ln 0.05: what 95 % allow of a count of 0


@dataclass(frozen=True)
class Innovation:
    """Variants that people ``promoted`` in so many ``weeks`` of market time, one at least."""

    promoted: int
    weeks: float

    @property
    def rate(self) -> float:
        """Return promoted variants a week."""
        return self.promoted / self.weeks

    @property
    def error(self) -> float | None:
        """Return the rate's standard error, None where nothing was promoted: a count of 0 shows no spread."""
        return sqrt(self.promoted) / self.weeks if self.promoted else None

    @property
    def most(self) -> float:
        """Return the rate with its error; of none promoted what 95 % allow (Hanley and Lippman-Hand 1983)."""
        return self.rate + self.error if self.error is not None else RULE_OF_THREE / self.weeks


def innovated(proposed_ns: Iterable[int], promoted_ns: Iterable[int], at_ns: int) -> Innovation | None:
    """Return what was promoted from the first search up to an instant, None before a whole week of it.

    Parameters
    ----------
    proposed_ns : when variants were proposed, UTC nanoseconds of market time.
    promoted_ns : when people promoted some of them.
    at_ns : what came later does not count.
    """
    weeks = (at_ns - min(proposed_ns, default=at_ns)) / WEEK_NS
    if weeks < LEAST_WEEKS:
        return None
    return Innovation(sum(each <= at_ns for each in promoted_ns), weeks)
