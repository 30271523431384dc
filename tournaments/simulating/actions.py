"""Changes of simulations: asked for and stopped by people, kept and ended by the job that does them."""

import time
import uuid

import msgspec
from django.core.exceptions import PermissionDenied
from django.db import transaction

from events.actions import LeaseLostError, ask_to_cancel, create_job, finish_job, in_turn, put
from events.actors import Actor
from events.models import Job
from events.streams import CONTROL_AUDIT
from events.types import AuditEvent
from tournaments.actions import REASON_LIMIT, RUN
from tournaments.simulating.record import MOST_VERSIONS, Simulation, SimulationRequest
from tournaments.simulating.selectors import JOB, open_simulation, request_of, rules_at, simulation_by_id
from tournaments.simulation import SimulationError, check
from tournaments.station import RequestError

SHORTEST_REASON = 3
MOST_SEED = 2**31 - 1


@transaction.atomic
def ask_simulation(*, request: SimulationRequest, reason: str, actor: Actor) -> Job:
    """Ask for a simulation, one at a time in a station; the job still has to be rung for.

    Raises
    ------
    PermissionDenied
        if the person may not.
    RequestError
        naming the first field that is wrong, or the simulation that is under way.
    """
    _may(actor, "simulate tournaments")
    reason = reason.strip()
    if not SHORTEST_REASON <= len(reason) <= REASON_LIMIT:
        raise RequestError(
            f"reason has {len(reason)} characters; the journal wants {SHORTEST_REASON} to {REASON_LIMIT}"
        )
    _check(request)
    in_turn()
    earlier = open_simulation()
    if earlier is not None:
        raise RequestError(f"simulation {earlier.id} is under way already: wait for it, or cancel it")
    asked = msgspec.structs.replace(request, actor=actor.get_username())
    count = Job.objects.filter(name=JOB).count()
    job, _ = create_job(name=JOB, occurrence=f"number {count + 1}", request=msgspec.json.encode(asked).decode())
    _tell("simulate tournaments", job, asked.actor, "requested", reason)
    return job


@transaction.atomic
def cancel_simulation(*, job_id: int, actor: Actor) -> None:
    """Ask a simulation to stop; one that waits ends at once.

    Raises
    ------
    PermissionDenied
        if the person may not.
    RequestError
        if there is no such simulation, or it has ended.
    """
    _may(actor, "cancel a simulation")
    job = simulation_by_id(job_id)
    if job is None:
        raise RequestError(f"simulation {job_id} is unknown")
    if not ask_to_cancel(job_id=job_id):
        raise RequestError(f"simulation {job_id} has ended already: {job.state}")
    _tell("cancel: simulate tournaments", job, actor.get_username(), "requested", "")


def keep(*, job: Job, owner: str, state: Simulation) -> None:
    """Write down how far a simulation has come, for whoever goes on with it.

    Raises
    ------
    LeaseLostError
        if somebody else has the job by now.
    """
    held = Job.objects.filter(id=job.id, state=Job.State.RUNNING, lease_owner=owner)
    if not held.update(result=msgspec.json.encode(state).decode()):
        raise LeaseLostError(f"job {job.id} is not {owner}'s any more")


def pause(*, job: Job, owner: str) -> None:
    """Give a simulation back, to be taken up later where it was kept: other work is to have its turn.

    Raises
    ------
    LeaseLostError
        if somebody else has the job by now.
    """
    held = Job.objects.filter(id=job.id, state=Job.State.RUNNING, lease_owner=owner)
    if not held.update(state=Job.State.WAITING, lease_owner="", lease_until=None, attempts=0):
        raise LeaseLostError(f"job {job.id} is not {owner}'s any more")


@transaction.atomic
def end(*, job: Job, owner: str, state: Simulation | None = None, error: str = "", canceled: bool = False) -> None:
    """End a simulation and tell the record how: both, or neither.

    Raises
    ------
    LeaseLostError
        if somebody else has the job by now.
    """
    in_turn()
    result = msgspec.json.encode(state).decode()
    finish_job(job_id=job.id, owner=owner, result=result, error=error, canceled=canceled)
    outcome = "canceled" if canceled else f"failed: {error}"[:REASON_LIMIT] if error else "done"
    _tell("simulate tournaments", job, request_of(job).actor, outcome, "")


def _check(request: SimulationRequest) -> None:
    if not request.bars:
        raise RequestError("bars is empty; name at least one file")
    if not 1 <= len(request.versions) <= MOST_VERSIONS or len(set(request.versions)) < len(request.versions):
        raise RequestError(f"rules = {request.versions} must be one version, or two different ones to compare")
    if not 0 <= request.seed <= MOST_SEED:
        raise RequestError(f"seed = {request.seed} must be 0 to {MOST_SEED}")
    for version in request.versions:
        rules = rules_at(version)
        if rules is None:
            raise RequestError(f"rules = {version} is no version of the rules; 0 stands for the built-in ones")
        try:
            check(rules, request.agents, request.iterations, request.trials)
        except SimulationError as problem:
            raise RequestError(str(problem)) from problem


def _may(actor: Actor, what: str) -> None:
    if not actor.has_perm(RUN):
        raise PermissionDenied(f"{actor.get_username()} may not {what}; a tournament administrator may")


def _tell(action: str, job: Job, actor: str, outcome: str, reason: str) -> None:
    asked = request_of(job)
    target = (
        f"simulation {job.id}: rules {' and '.join(map(str, asked.versions))}, {asked.agents} agents, "
        f"{asked.iterations} rounds, seed {asked.seed}"
    )
    told = AuditEvent(wall_ns=time.time_ns(), action=action, target=target, actor=actor, outcome=outcome, reason=reason)
    put(stream=CONTROL_AUDIT, payload=told, actor=actor, request_id=f"job-{job.id}-{uuid.uuid4().hex[:12]}")
