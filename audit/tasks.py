"""Celery's entry points of this package: parse, call an action, nothing more."""

import os
import socket
import uuid

from celery import shared_task
from django.conf import settings

from audit import actions


def _owner() -> str:
    return f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"


@shared_task(ignore_result=True)  # type: ignore[untyped-decorator] # celery ships no types
def verify_record(job_id: int) -> bool:
    """Verify what one job asks for; a second ring for the same job does nothing."""
    return actions.verify_record(job_id=int(job_id), owner=_owner(), paths=settings.DATA)


@shared_task(ignore_result=True)  # type: ignore[untyped-decorator] # celery ships no types
def export_record(job_id: int) -> bool:
    """Make the bundle of one job; a second ring for the same job does nothing."""
    return actions.export_record(job_id=int(job_id), owner=_owner(), paths=settings.DATA)
