"""Reads about checkpoints, and about verifications and exports of the record."""

import os
from pathlib import Path

from audit.checkpoints import Checkpoint, decode
from events.models import Job
from events.paths import DataPaths

VERIFICATION, EXPORT = "verify_record", "export_record"
"""Names of the jobs."""

LONGEST_CHECKPOINT = 1024  # bytes


def exports_folder(paths: DataPaths) -> Path:
    """Return where bundles wait to be downloaded."""
    return paths.root / "exports"


def open_job(name: str) -> Job | None:
    """Return the job of this name that waits or runs, None if there is none."""
    return Job.objects.filter(name=name, state__in=(Job.State.WAITING, Job.State.RUNNING)).first()


def latest_jobs_of(name: str, *, limit: int = 5) -> list[Job]:
    """Return the newest jobs of a name, newest first."""
    return list(Job.objects.filter(name=name).order_by("-id")[:limit])


def last_done(name: str) -> Job | None:
    """Return the newest job of a name that came to a result, None if none has."""
    return Job.objects.filter(name=name, state=Job.State.DONE).order_by("-id").first()


def job_of(name: str, job_id: int) -> Job | None:
    """Return one job of a name, None if there is none."""
    return Job.objects.filter(name=name, id=job_id).first()


def newest_checkpoints(paths: DataPaths, writer: str, *, limit: int) -> list[Checkpoint]:
    """Return a journal's newest checkpoints, newest first, as they are stored and unchecked.

    Raises
    ------
    AuditError
        if a line is no checkpoint.
    """
    file = paths.checkpoints / f"{writer}.jsonl"
    if not file.is_file():
        return []
    with file.open("rb") as opened:
        end = opened.seek(0, os.SEEK_END)
        begin = max(0, end - limit * LONGEST_CHECKPOINT)
        opened.seek(begin)
        lines = opened.read().split(b"\n")[:-1]  # what follows the last newline is still being written
    whole = lines[1:] if begin else lines
    return [decode(line) for line in reversed(whole[-limit:])]
