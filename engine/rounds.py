"""Tournaments in the engine's due table: when a round opens by the rules' schedule, and when its outcome is known.

The engine only names the jobs, at the market's time; who holds a round answers with a ModelEvent, for which a replay
waits, and with an allocation beside it (engine/allocation.py).
"""

import msgspec

from engine.output import Output, say
from engine.state import State
from events.types import JobDue
from market.occurrences import Schedule, between, upcoming

HOLD, SETTLE = "tournament", "settle_tournament"
"""The job's name: one, so that they are done in order; and what the occurrence of a settlement begins with."""
AFTER_NS = 1  # the session's last slice comes at its very close


class Kept(msgspec.Struct, kw_only=True):
    """A snapshot: up to when openings were looked at, the newest predicted session, closes to come by occurrence."""

    seen_ns: int = 0
    session_ns: int = 0
    closes: dict[str, int] = {}


class Rounds:
    """What of the schedule has been named; a session is predicted once, whatever becomes of the schedule."""

    def __init__(self) -> None:
        self.kept = Kept()
        self._coming: tuple[Schedule | None, int, int | None] = (None, 0, None)

    def start(self, now_ns: int) -> None:
        """Begin at the first slice: a round that would have opened before it is nobody's."""
        self.kept.seen_ns = self.kept.seen_ns or now_ns

    def next_instant(self, state: State) -> int | None:
        """Return when the next round opens or can be settled; None where nothing is scheduled."""
        opens = None if state.configuration.tournaments is None else self._opens(state)  # asked at every slice
        if not self.kept.closes:
            return opens
        closes = min(self.kept.closes.values())
        return closes if opens is None else min(opens, closes)

    def advance(self, state: State, instant_ns: int) -> list[Output]:
        """Name every job that is due by an instant."""
        kept = self.kept
        over = [name for name, closes_ns in kept.closes.items() if closes_ns <= instant_ns]
        outputs = [_due(f"{SETTLE}:{name}", kept.closes.pop(name)) for name in over]
        schedule = _schedule(state)
        kept.seen_ns = kept.seen_ns or instant_ns  # a snapshot of before there were rounds has none
        for each in between(schedule, kept.seen_ns, instant_ns) if schedule is not None else ():
            if each.session.open_ns > kept.session_ns:
                kept.session_ns, kept.closes[each.key] = each.session.open_ns, each.session.close_ns + AFTER_NS
                outputs.append(_due(each.key, each.opens_ns))
        kept.seen_ns = max(kept.seen_ns, instant_ns)
        return outputs

    def _opens(self, state: State) -> int | None:
        schedule, seen_ns = _schedule(state), self.kept.seen_ns
        if schedule is None or not seen_ns:
            return None
        if self._coming[0] is not schedule or self._coming[1] != seen_ns:
            coming = upcoming(schedule, seen_ns)
            self._coming = (schedule, seen_ns, coming.opens_ns if coming is not None else None)
        return self._coming[2]


def _schedule(state: State) -> Schedule | None:
    """Return the schedule where time is the bars'; of a wall clock's Sunday no bar tells, so others look at it."""
    given = state.configuration.tournaments
    named = given is not None and given.schedule.enabled and state.configuration.source.waits
    return given.schedule if given is not None and named else None


def _due(occurrence: str, at_ns: int) -> Output:
    due = JobDue(engine_ns=at_ns, job=HOLD, occurrence=occurrence, effective_from_ns=at_ns, through_seq=-1, wait=True)
    return say("JobDue", due)
