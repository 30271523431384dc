"""Celery: the doorbell of work that is not urgent. The row in the database is the job; nothing is lost with a message.

Threads, not processes: a killed worker leaves no orphan behind, and numba's pools survive no fork.
"""

import importlib
import logging
import os
import sys
from typing import Any

from celery import Celery
from celery.signals import setup_logging, worker_init, worker_ready
from kombu.entity import Exchange, Queue

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "controlroom.settings")
os.environ.setdefault("CELERY_SKIP_CHECKS", "1")  # they import every page; `migrate` and the tests run them

from django.conf import settings

from controlroom.valkey import server_url
from events import logs

RISK_S = 60.0  # between two looks at the value at risk
TICK_S = 60.0  # between two looks at the wall clock for a round of the tournament
RING_S = 15.0  # with the lease of events/actions.py, a job whose holder died is taken over within 30 s
VISIBILITY_S = 12 * 60 * 60
QUEUES = ("agents", "tournament", "research", "models")

app = Celery("controlroom")
app.conf.update(
    broker_url=server_url(settings.DATA, "redis+socket") or "memory://",
    broker_connection_retry_on_startup=True,
    broker_transport_options={
        "visibility_timeout": VISIBILITY_S,
        "socket_timeout": 30.0,
        "socket_connect_timeout": 2.0,
    },
    task_queues=[Queue(name, Exchange(name), routing_key=name) for name in QUEUES],  # type: ignore[no-untyped-call] # kombu has no types
    task_default_queue="models",
    task_default_exchange="models",
    task_default_routing_key="models",
    task_routes={
        "agents.tasks.*": {"queue": "models"},
        "audit.tasks.*": {"queue": "research"},
        "controlroom.jobs.tasks.*": {"queue": "research"},
        "controlroom.relay.tasks.*": {"queue": "models"},
    },
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    task_ignore_result=True,
    task_publish_retry=False,
    worker_prefetch_multiplier=1,
    worker_pool="threads",
    worker_concurrency=2,
    worker_hijack_root_logger=False,
    worker_send_task_events=False,
    task_serializer="json",
    accept_content=["json"],
    enable_utc=True,
    timezone="UTC",
    imports=("agents.tasks", "audit.tasks", "controlroom.jobs.tasks", "controlroom.relay.tasks"),
    beat_schedule={
        "ring": {"task": "controlroom.relay.tasks.ring_waiting_jobs", "schedule": RING_S},
        "risk": {"task": "controlroom.jobs.tasks.watch_risk", "schedule": RISK_S},
        "tournaments": {"task": "controlroom.jobs.tasks.tick_tournaments", "schedule": TICK_S},
    },
    beat_schedule_filename=str(settings.DATA.run / "celerybeat-schedule"),
)
app.set_default()


def _logging(**_signal: Any) -> None:
    """Log as every other process does, instead of as Celery would."""
    logs.configure("beat" if "beat" in sys.argv else "celery", settings.DATA if settings.DATA.root.is_dir() else None)


def _warm(**_signal: Any) -> None:
    """Load what a fit needs before the first one waits for it."""
    for name in ("scipy.optimize", "sklearn.covariance", "exchange_calendars"):
        importlib.import_module(name)


def _ring(**_signal: Any) -> None:
    """Look at once for jobs that a worker before this one left; the schedule would find them later."""
    from django.db import Error, connection  # noqa: PLC0415 - a client that only rings needs no database

    from controlroom.relay.doorbell import ring_waiting  # noqa: PLC0415 - it needs this module

    try:
        ring_waiting()
    except Error as error:
        logging.getLogger(__name__).warning("jobs cannot be looked for yet (%s)", error)
    finally:
        connection.close()


setup_logging.connect(_logging)
worker_init.connect(_warm)
worker_ready.connect(_ring)
