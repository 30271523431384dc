"""The engine's due table: phase edges of every calendar, and the jobs that they bring."""

import msgspec

from engine.output import Output, say
from engine.universe import Universe
from events.types import JobDue, PhaseEvent
from market.calendars import ALWAYS
from market.phase_table import jobs_due
from market.phases import Phase, phase_at

HOUR_NS = 3_600_000_000_000
LEAST_NEW_OUTCOMES = 100
FIRST_FILLS = LEAST_NEW_FILLS = 500  # a fit takes seconds for which a replay waits; with fewer it learns noise
GROWTH = 10  # a refit is worth its while when the settled outcomes (of the slippage model: the fills) grew by a tenth
INTERVALS_S = (3600, 900, 300)  # returns that a covariance may be fitted on before there are enough sessions
NEEDED_INTRADAY, NEEDED_SESSIONS = 60, 20
WINDOW = 1260  # sessions
GROWN, GROWN_DAILY = 20, 4  # parts of the window that are new: bars of days are years in minutes
DAY_S = 86_400
LONGEST = WINDOW // 20


class Kept(msgspec.Struct, kw_only=True):
    """A snapshot: each calendar's last phase edge, and what there was at the last refits and is now.

    Outcomes, fills, sessions with bars; ``traded``: a bar has come since the home calendar's last session ended.
    """

    entered: dict[str, int]
    refitted_at: int
    slippage_at: int = 0
    fills: int = 0
    sessions: int = 0
    covariance_at: int = 0
    traded: bool = False


class Clock:
    """Phases in event time; they never change a trading state."""

    def __init__(self, universe: Universe) -> None:
        self.universe = universe
        self.phases: dict[str, Phase] = {}
        self.entered: dict[str, int] = {}
        self.refitted_at = 0
        self.slippage_at = self.fills = 0
        self.sessions = self.covariance_at = 0
        self.traded = False

    def start(self, now_ns: int) -> list[Output]:
        """Enter the phases of the first instant; they bring no job, since nothing was before."""
        return [self._enter(calendar, now_ns) for calendar in self.universe.calendars if calendar not in self.phases]

    def next_instant(self) -> int | None:
        """Return the next phase edge."""
        followed = self.universe.calendars  # an instrument may have left a calendar: nobody moves it on any more
        return min((phase.until_ns for name, phase in self.phases.items() if name in followed), default=None)

    def advance(self, instant_ns: int, outcomes: int, oldest: int = LONGEST) -> list[Output]:
        """Enter every phase that begins at or before an instant.

        ``outcomes`` is the number of settled ones so far, ``oldest`` the most sessions that a covariance may be old.
        """
        outputs: list[Output] = []
        for calendar in self.universe.calendars:
            while calendar in self.phases and self.phases[calendar].until_ns <= instant_ns:
                edge = self.phases[calendar].until_ns
                outputs.append(self._enter(calendar, edge))
                outputs += self._jobs(calendar, edge, outcomes, oldest)
        return outputs

    def _enter(self, calendar: str, instant_ns: int) -> Output:
        phase = phase_at(calendar, instant_ns)
        self.phases[calendar], self.entered[calendar] = phase, instant_ns
        return say(
            "PhaseEvent",
            PhaseEvent(
                engine_ns=instant_ns,
                calendar=calendar,
                phase=phase.name,
                session=phase.session,
                until_ns=phase.until_ns,
            ),
        )

    def _jobs(self, calendar: str, edge_ns: int, outcomes: int, oldest: int) -> list[Output]:
        """Name the jobs of a phase; a refit that could learn next to nothing is left out."""
        outputs: list[Output] = []
        for job in jobs_due(calendar, self.phases[calendar]):
            if job.name == "refit_calibrators":
                if outcomes - self.refitted_at < max(LEAST_NEW_OUTCOMES, self.refitted_at // GROWTH):
                    continue
                self.refitted_at = outcomes
            if job.name == "refit_slippage":
                grown = max(LEAST_NEW_FILLS, self.slippage_at // GROWTH) if self.slippage_at else FIRST_FILLS
                if self.fills - self.slippage_at < grown:
                    continue
                self.slippage_at = self.fills
            if job.name == "refit_covariance" and not self._covariance_due(calendar, edge_ns, oldest):
                continue
            start = edge_ns + HOUR_NS if calendar == ALWAYS else self.universe.session_open_after(calendar, edge_ns)
            due = JobDue(
                engine_ns=edge_ns,
                job=job.name,
                occurrence=job.occurrence,
                effective_from_ns=start,
                through_seq=-1,
                wait=job.wait,
            )
            outputs.append(say("JobDue", due))
        return outputs

    def _covariance_due(self, calendar: str, edge_ns: int, oldest: int) -> bool:
        """Count a session that has ended; say whether a covariance of the sessions so far could learn something.

        First with 20 returns from session to session or 60 within sessions (agents/risk_manager/refit.py), then when
        the sessions of its window have grown by a twentieth, of daily bars by a quarter, and before it is older than
        the rules allow. A bar of the very instant comes after it, so a covariance of daily bars knows the session
        before.
        """
        if calendar != self.universe.home or not self.traded:
            return False
        self.traded, self.sessions = False, self.sessions + 1
        if self.covariance_at:
            parts = GROWN_DAILY if self.universe.interval_s >= DAY_S else GROWN
            grown = max(1, min(self.sessions, WINDOW) // parts)
            due = self.sessions - self.covariance_at >= min(grown, max(1, oldest - 1))
        else:
            due = self.sessions > NEEDED_SESSIONS or self._intraday(calendar, edge_ns) > NEEDED_INTRADAY
        if due:
            self.covariance_at = self.sessions
        return due

    def _intraday(self, calendar: str, edge_ns: int) -> int:
        """Return how many returns within sessions there are, of the longest interval that has enough of them."""
        length_s = self.universe.session_length_s(calendar, edge_ns)
        counts = [
            self.sessions * -(-length_s // interval_s)
            for interval_s in INTERVALS_S
            if self.universe.interval_s <= interval_s
        ]
        return max(counts, default=0)

    def covariance_failed(self) -> None:
        """Try again after the next session: what failed may be mended, and an old covariance denies increases."""
        self.covariance_at = 0

    def keep(self) -> Kept:
        """Return a snapshot."""
        return Kept(
            entered=self.entered, refitted_at=self.refitted_at, slippage_at=self.slippage_at, fills=self.fills,
            sessions=self.sessions, covariance_at=self.covariance_at, traded=self.traded,
        )  # fmt: skip

    def restore(self, kept: Kept) -> None:
        """Continue from a snapshot."""
        self.entered, self.refitted_at = kept.entered, kept.refitted_at
        self.slippage_at, self.fills = kept.slippage_at, kept.fills
        self.sessions, self.covariance_at, self.traded = kept.sessions, kept.covariance_at, kept.traded
        self.phases = {calendar: phase_at(calendar, instant) for calendar, instant in kept.entered.items()}
