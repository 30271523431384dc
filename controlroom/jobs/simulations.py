"""Simulations of tournaments as jobs: resumed at the last history that was kept, paused for other work."""

import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from django.conf import settings

from controlroom.supervisor.tournament_market import read_market
from events.actions import ATTEMPTS, Lease, LeaseLostError, claim_job, kept_lease
from events.models import Job

if TYPE_CHECKING:
    from tournaments.season import Season
    from tournaments.simulating.record import Simulation, SimulationRequest

SAID_EVERY_S = 1.0
KEPT_EVERY_S = 20.0
TURN_S = 480.0  # of one attempt: below the ten minutes that any work may hold a queue
THREADS = 2
ROUND_S, TRIALS_S = 0.3, 50.0  # what an agent's part of a round and all synthetic trials took on two cores
WORDS = {
    "rounds": "whole rounds", "identical": "identical agents", "planted": "one better agent", "evidence": "no skill"
}  # fmt: skip
TRIALS_SHARE = {"rounds": 0.0, "identical": 0.0, "planted": 0.66, "evidence": 0.92}  # done of them when a part begins
log = logging.getLogger(__name__)


class _CanceledError(RuntimeError):
    """Somebody asked the simulation to stop."""


class _PausedError(RuntimeError):
    """The attempt's turn is over."""


def run(*, job_id: int, owner: str, turn_s: float = TURN_S) -> Job | None:
    """Go on with a simulation that is free for one turn; return the job where it has to be rung for again."""
    job = claim_job(job_id=job_id, owner=owner)
    if job is None:
        return None
    try:
        return _turn(job, owner, turn_s)
    except LeaseLostError as lost:
        log.warning("%s: what was found since it was last kept is dropped", lost)
        return None


def _turn(job: Job, owner: str, turn_s: float) -> Job | None:
    from tournaments.simulating import actions  # noqa: PLC0415 - brings the compiled simulator with it

    if job.attempts > ATTEMPTS:
        actions.end(job=job, owner=owner, error=f"given up after {ATTEMPTS} attempts that never ended")
        return None
    try:
        with kept_lease(job_id=job.id, owner=owner, every_s=SAID_EVERY_S) as lease:
            state = _Turn(job, owner, lease, turn_s).done()
    except _PausedError:
        actions.pause(job=job, owner=owner)
        return job
    except _CanceledError:
        actions.end(job=job, owner=owner, canceled=True)
    except LeaseLostError:
        raise
    except Exception as failed:
        log.exception("%s failed", job)
        actions.end(job=job, owner=owner, error=str(failed) or type(failed).__name__)
    else:
        actions.end(job=job, owner=owner, state=state)
    return None


class _Turn:
    """One attempt at a simulation: what it hears of the simulator it says, keeps, and may stop at."""

    def __init__(self, job: Job, owner: str, lease: Lease, turn_s: float) -> None:
        from tournaments.simulating import selectors  # noqa: PLC0415 - brings the compiled simulator with it

        self.job, self.owner, self.lease = job, owner, lease
        self.request, self.rules_at = selectors.request_of(job), selectors.rules_at
        self.state = msgspec.structs.replace(selectors.state_of(job), begun=job.percent)
        self.began = self.kept_at = time.monotonic()
        self.ends, self.found_at_first = self.began + turn_s, self._far()

    def done(self) -> "Simulation":
        """Simulate what is left of it, version after version."""
        from tournaments.simulation import simulate  # noqa: PLC0415 - brings the compiled simulator with it

        self.lease.phase, self.lease.percent = "reading bars", self.job.percent
        season = _season(self.request)
        self._keep()
        for version in self.request.versions[len(self.state.found) :]:
            rules = self.rules_at(version)
            assert rules is not None  # noqa: S101 - a version is never deleted, and was looked for when it was asked
            found = simulate(
                season, rules, agents=self.request.agents, iterations=self.request.iterations,
                trials=self.request.trials, progress=self._hear, kept=self.state.kept,
            )  # fmt: skip
            took = self.state.seconds + time.monotonic() - self.began
            whole = [*self.state.found, msgspec.structs.replace(found, seconds=took)]
            self.state = msgspec.structs.replace(self.state, found=whole, kept=[], seconds=0.0)
            self.began = time.monotonic()
            self._keep()
        return self.state

    def _hear(self, part: str, done: int, total: int) -> None:
        request, through = self.request, len(self.state.found)
        which = f"rules {request.versions[through]}: " if len(request.versions) > 1 else ""
        self.lease.phase = f"{which}{WORDS[part]}, {done} of {total}"
        self.lease.percent = min(99, int(100 * (through + _share(request, part, done / total)) / len(request.versions)))
        if self.lease.stop_wanted:
            raise _CanceledError
        if part != "rounds":
            return
        now = time.monotonic()
        if now > self.ends and self._far() != self.found_at_first:  # else a slow machine would never come on
            self._keep()
            raise _PausedError
        if now > self.kept_at + KEPT_EVERY_S:
            self._keep()

    def _far(self) -> tuple[int, int]:
        return len(self.state.found), len(self.state.kept)

    def _keep(self) -> None:
        from tournaments.simulating import actions  # noqa: PLC0415 - brings the compiled simulator with it

        self.kept_at = time.monotonic()
        spent = msgspec.structs.replace(self.state, seconds=self.state.seconds + self.kept_at - self.began)
        actions.keep(job=self.job, owner=self.owner, state=spent)


def _share(request: "SimulationRequest", part: str, share: float) -> float:
    """Return how much of one version is done, by what its parts usually take."""
    rounds_s = ROUND_S * request.agents * request.iterations
    if part == "rounds":
        return share * rounds_s / (rounds_s + TRIALS_S)
    later = [value for value in (*TRIALS_SHARE.values(), 1.0) if value > TRIALS_SHARE[part]]
    trials = TRIALS_SHARE[part] + share * (later[0] - TRIALS_SHARE[part])
    return (rounds_s + trials * TRIALS_S) / (rounds_s + TRIALS_S)


def _season(request: "SimulationRequest") -> "Season":
    from agents.strategies import STRATEGIES, parameter_array  # noqa: PLC0415 - compiled
    from engine.configuration import load_settings  # noqa: PLC0415
    from tournaments.rules import Rules  # noqa: PLC0415
    from tournaments.season import Season  # noqa: PLC0415
    from tournaments.stress.policies import Entrant  # noqa: PLC0415

    market = read_market([Path(name) for name in request.bars], request.symbols)
    entrants = tuple(Entrant(each.name, each, parameter_array(each, {})) for each in STRATEGIES)
    costs = load_settings(settings.DATA.settings if settings.DATA.settings.exists() else None).costs
    return Season(market, entrants, Rules(), costs, request.capital, request.seed, threads=THREADS)
