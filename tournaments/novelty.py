"""Which approaches are new: what an entrant said under its earlier parameters, beside what it says now."""

from collections.abc import Sequence

import numpy as np

from agents.brains.observations import Observations
from agents.brains.quant.forecasts import Forecasts, newest_sessions
from tournaments.allocation.diversity import novelty
from tournaments.scores.contribution import signal

MOST_EARLIER = 8  # approaches that a new one is compared with; each costs a walk over the history

Parameters = tuple[float, ...]
"""Every parameter of a policy, in its order."""


def earlier_approaches(now: Parameters, told: Sequence[Parameters]) -> list[Parameters]:
    """Return what an entrant's approach was before it last changed, newest first, each once; empty: it never did.

    Parameters
    ----------
    now : parameters of this round.
    told : those of its earlier rounds, newest first. Who goes back to what it was before is compared with that too,
        so that going to and fro is nothing new.
    """
    found: list[Parameters] = []
    same = True
    for each in told:
        same = same and each == now
        if not same and each not in found:
            found.append(each)
    return found[:MOST_EARLIER]


def novelty_of(
    observations: Observations, now: Forecasts, earlier: Sequence[Forecasts], *, sessions: int, as_of_ns: int
) -> float:
    """Return ``tournaments.allocation.diversity.novelty`` of walk-forward forecasts, 0 to 1.

    Parameters
    ----------
    now, earlier : of the same observations' rows: the approach and those before it.
    sessions : newest ones that count, known by ``as_of_ns`` (UTC nanoseconds).
    """
    rows = newest_sessions(observations, observations.known_ns <= as_of_ns, sessions)
    before = np.array([signal(each.probabilities[rows]) for each in earlier]).reshape(len(earlier), -1)
    return novelty(signal(now.probabilities[rows]), before.T)
