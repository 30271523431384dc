"""The one schedule of beat: ring again for jobs that nobody works on."""

from celery import shared_task

from controlroom.relay.doorbell import ring_waiting


@shared_task(ignore_result=True)  # type: ignore[untyped-decorator] # celery ships no types
def ring_waiting_jobs() -> None:
    """Ring for every job that is unclaimed, or whose holder fell silent."""
    ring_waiting()
