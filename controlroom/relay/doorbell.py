"""Rings Celery for jobs. A ring that is lost loses nothing: beat rings again."""

import logging

from django.utils import timezone
from kombu.exceptions import OperationalError

from events.models import Job
from events.selectors import jobs_to_ring

TASKS = {
    "refit_calibrators": "agents.tasks.refit_calibrators",
    "refit_covariance": "agents.tasks.refit_covariance",
    "refit_slippage": "agents.tasks.refit_slippage",
    "tournament": "controlroom.jobs.tasks.tournament",
}
"""Job names of market/phase_table.py and engine/rounds.py to the task that does them."""

ASKED = {
    "verify_record": "audit.tasks.verify_record",
    "export_record": "audit.tasks.export_record",
    "stress_report": "controlroom.jobs.tasks.stress_report",
    "tournament_round": "controlroom.jobs.tasks.hold_round",
    "propose_variants": "controlroom.jobs.tasks.propose_variants",
    "tournament_simulation": "controlroom.jobs.tasks.simulate_tournaments",
}
"""Job names that people and schedules ask for; no process may ask for them over the bus."""

log = logging.getLogger(__name__)


def ring(job: Job) -> bool:
    """Ring for one job; return whether the bell was heard."""
    from controlroom.celery import app  # noqa: PLC0415 - celery loads its settings at import

    try:
        app.send_task((TASKS | ASKED)[job.name], args=[job.id], retry=False)
    except (OperationalError, OSError) as error:
        log.warning("the doorbell for job %s failed (%s); beat will ring again", job.id, error)
        return False
    return True


def ring_waiting() -> int:
    """Ring for every job that nobody works on; return how many."""
    waiting = [job for job in jobs_to_ring(now=timezone.now()) if job.name in TASKS | ASKED]
    return sum(ring(job) for job in waiting)
