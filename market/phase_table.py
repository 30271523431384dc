"""Which jobs run when a calendar enters a phase. One table: a new job is one line and its handler.

A job is due once for each (job, calendar, session): its occurrence key says so. ``wait`` marks what a replay waits
for: the engine's input of that occurrence (a ModelEvent) must be there before the next slice, so speed changes nothing.
"""

from dataclasses import dataclass

from market.calendars import ALWAYS, previous_session
from market.phases import MARKET, TRANSITION, Phase


@dataclass(frozen=True)
class Job:
    """A job that becomes due when a calendar of this kind enters this phase."""

    name: str
    phase: str
    always: bool  # the calendar never closes: its phases follow one another at UTC midnight
    wait: bool


TABLE = (
    Job("refit_calibrators", phase=TRANSITION, always=False, wait=True),
    Job("refit_calibrators", phase=MARKET, always=True, wait=True),
    Job("refit_slippage", phase=TRANSITION, always=False, wait=True),
    Job("refit_slippage", phase=MARKET, always=True, wait=True),
    Job("refit_covariance", phase=TRANSITION, always=False, wait=True),
    Job("refit_covariance", phase=MARKET, always=True, wait=True),
)


@dataclass(frozen=True)
class DueJob:
    """A job that is due now: its name, the key of this one occurrence, whether a replay waits."""

    name: str
    occurrence: str
    wait: bool


def jobs_due(calendar: str, entered: Phase) -> list[DueJob]:
    """Return the jobs that are due as ``calendar`` enters a phase, in table order.

    The occurrence names the session that has just closed, ``refit_calibrators:XNYS:2019-02-11``.
    """
    always = calendar == ALWAYS
    session = previous_session(calendar, entered.until_ns - 1).date if always else entered.session
    return [
        DueJob(job.name, f"{job.name}:{calendar}:{session}", job.wait)
        for job in TABLE
        if job.always == always and job.phase == entered.name
    ]
