"""Reads about simulations: those that were asked for, newest first, and how far each has come."""

import msgspec

from events.models import Job
from tournaments.models import RulesVersion
from tournaments.rules import Rules
from tournaments.selectors import rules_of
from tournaments.simulating.record import Simulation, SimulationRequest

JOB = "tournament_simulation"
OPEN = (Job.State.WAITING, Job.State.RUNNING)


def open_simulation() -> Job | None:
    """Return the simulation that waits or runs, None if there is none."""
    return Job.objects.filter(name=JOB, state__in=OPEN).first()


def simulations(limit: int) -> list[Job]:
    """Return the newest simulations, newest first."""
    return list(Job.objects.filter(name=JOB).order_by("-id")[:limit])


def simulation_by_id(job_id: int) -> Job | None:
    """Return one simulation, None if there is none of that number."""
    return Job.objects.filter(name=JOB, id=job_id).first()


def request_of(job: Job) -> SimulationRequest:
    """Return what a simulation was asked for."""
    return msgspec.json.decode(job.request, type=SimulationRequest)


def state_of(job: Job) -> Simulation:
    """Return what a simulation has found so far; nothing where it has not begun, or came to nothing."""
    return msgspec.json.decode(job.result, type=Simulation | None) or Simulation()


def rules_at(version: int) -> Rules | None:
    """Return a version of the rules, 0 the built-in ones, None if there is none of that number."""
    if version == 0:
        return msgspec.structs.replace(Rules(), version=0)
    row = RulesVersion.objects.filter(version=version).first()
    return None if row is None else rules_of(row)
