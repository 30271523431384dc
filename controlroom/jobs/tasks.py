"""Celery's entry points: parse, call, nothing more."""

import os
import socket
import time
import uuid

from celery import shared_task
from django.conf import settings

from controlroom.jobs import evolution, rounds, schedule, simulations, watch
from controlroom.relay.doorbell import ring
from controlroom.supervisor import control


@shared_task(ignore_result=True)  # type: ignore[untyped-decorator] # celery ships no types
def watch_risk() -> None:
    """Look once at the running worker; where it does not answer there is nothing to look at."""
    try:
        view = control.ask(settings.DATA, {"op": "status"})
    except control.WorkerAwayError:
        return
    watch.watch(view)


@shared_task(ignore_result=True)  # type: ignore[untyped-decorator] # celery ships no types
def hold_round(job_id: int) -> bool:
    """Hold one round of a tournament as far as its bars reach; a second ring for the same job does nothing."""
    return rounds.hold(job_id=int(job_id), owner=_owner())


@shared_task(ignore_result=True)  # type: ignore[untyped-decorator] # celery ships no types
def tournament(job_id: int) -> bool:
    """Hold or settle one round that the engine's clock has named."""
    return rounds.scheduled(job_id=int(job_id), owner=_owner())


@shared_task(ignore_result=True)  # type: ignore[untyped-decorator] # celery ships no types
def simulate_tournaments(job_id: int) -> None:
    """Go on with one simulation for a turn; what is left of it rings again, behind the work that waits."""
    left = simulations.run(job_id=int(job_id), owner=_owner())
    if left is not None:
        ring(left)


@shared_task(ignore_result=True)  # type: ignore[untyped-decorator] # celery ships no types
def propose_variants(job_id: int) -> bool:
    """Look once for variants of the strategies; a second ring for the same job does nothing."""
    return evolution.propose(job_id=int(job_id), owner=_owner())


@shared_task(ignore_result=True)  # type: ignore[untyped-decorator] # celery ships no types
def tick_tournaments() -> int:
    """Look at the wall clock for rounds; return how many jobs that made."""
    return len(schedule.tick(time.time_ns()))


@shared_task(ignore_result=True)  # type: ignore[untyped-decorator] # celery ships no types
def stress_report(job_id: int) -> bool:
    """Make one stress report; where the worker does not answer the schedule rings again."""
    try:
        view = control.ask(settings.DATA, {"op": "status"})
    except control.WorkerAwayError:
        return False
    return watch.report(job_id=int(job_id), owner=_owner(), view=view)


def _owner() -> str:
    return f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
