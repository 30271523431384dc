"""Celery's entry points of this package: parse, call an action, nothing more."""

import os
import socket
import uuid

from celery import shared_task
from django.conf import settings

from agents import actions


@shared_task(ignore_result=True)  # type: ignore[untyped-decorator] # celery ships no types
def refit_calibrators(job_id: int) -> bool:
    """Fit the calibrators of one occurrence; a second ring for the same job does nothing."""
    return actions.refit_calibrators(job_id=int(job_id), owner=_owner(), journal=settings.DATA.journal / "execution")


@shared_task(ignore_result=True)  # type: ignore[untyped-decorator] # celery ships no types
def refit_slippage(job_id: int) -> bool:
    """Fit the slippage model of one occurrence; a second ring for the same job does nothing."""
    return actions.refit_slippage(job_id=int(job_id), owner=_owner(), journal=settings.DATA.journal / "execution")


@shared_task(ignore_result=True)  # type: ignore[untyped-decorator] # celery ships no types
def refit_covariance(job_id: int) -> bool:
    """Fit the covariance of one occurrence; a second ring for the same job does nothing."""
    return actions.refit_covariance(job_id=int(job_id), owner=_owner(), journal=settings.DATA.journal / "execution")


def _owner() -> str:
    return f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
