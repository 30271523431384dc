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
FIRST_FILLS = 200
LEAST_NEW_FILLS = 100
GROWTH = 10  # a refit is worth its while when the settled outcomes (of the slippage model: the fills) grew by a tenth


class Kept(msgspec.Struct, kw_only=True):
    """A snapshot: each calendar's last phase edge, outcomes and fills at the last refits, fills so far."""

    entered: dict[str, int]
    refitted_at: int
    slippage_at: int = 0
    fills: int = 0


class Clock:
    """Phases in event time; they never change a trading state."""

    def __init__(self, universe: Universe) -> None:
        self.universe = universe
        self.phases: dict[str, Phase] = {}
        self.entered: dict[str, int] = {}
        self.refitted_at = 0
        self.slippage_at = self.fills = 0

    def start(self, now_ns: int) -> list[Output]:
        """Enter the phases of the first instant; they bring no job, since nothing was before."""
        return [self._enter(calendar, now_ns) for calendar in self.universe.calendars if calendar not in self.phases]

    def next_instant(self) -> int | None:
        """Return the next phase edge."""
        return min((phase.until_ns for phase in self.phases.values()), default=None)

    def advance(self, instant_ns: int, outcomes: int) -> list[Output]:
        """Enter every phase that begins at or before an instant; ``outcomes`` is the number of settled ones so far."""
        outputs: list[Output] = []
        for calendar in self.universe.calendars:
            while calendar in self.phases and self.phases[calendar].until_ns <= instant_ns:
                edge = self.phases[calendar].until_ns
                outputs.append(self._enter(calendar, edge))
                outputs += self._jobs(calendar, edge, outcomes)
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

    def _jobs(self, calendar: str, edge_ns: int, outcomes: int) -> list[Output]:
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

    def keep(self) -> Kept:
        """Return a snapshot."""
        return Kept(
            entered=self.entered, refitted_at=self.refitted_at, slippage_at=self.slippage_at, fills=self.fills
        )  # fmt: skip

    def restore(self, kept: Kept) -> None:
        """Continue from a snapshot."""
        self.entered, self.refitted_at = kept.entered, kept.refitted_at
        self.slippage_at, self.fills = kept.slippage_at, kept.fills
        self.phases = {calendar: phase_at(calendar, instant) for calendar, instant in kept.entered.items()}
