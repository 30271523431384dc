"""Checkpoints, verification and export of the record: what is signed, whether it holds, parts of it to take away."""

import time
from collections.abc import Callable
from typing import Any, cast

import msgspec
from django.contrib import messages
from django.http import FileResponse, Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from audit.actions import AskedError, Part, cancel, note_download, part_of, request_export, request_verification
from audit.errors import AuditError
from audit.selectors import EXPORT, VERIFICATION, exports_folder, job_of, last_done, latest_jobs_of, newest_checkpoints
from controlroom.live.files import paths, run_description
from controlroom.pages.station import station_page
from controlroom.relay.doorbell import ring
from events.actors import Actor
from events.models import Job
from events.reader import durable_next

SHOWN = 12  # newest checkpoints of a journal
LATE_NS = 5_000_000_000
"""Unsigned records behind a checkpoint older than this are no matter of course: the signer signs once a second."""


def writers() -> list[str]:
    """Return the journals of this station."""
    folder = paths().journal
    return sorted(found.name for found in folder.iterdir() if found.is_dir()) if folder.is_dir() else []


def signed(writer: str) -> dict[str, Any]:
    """Return a journal's newest checkpoints and how much of it they do not cover, or why there are none."""
    try:
        found = newest_checkpoints(paths(), writer, limit=SHOWN)
    except (AuditError, OSError) as error:
        return {"writer": writer, "problem": str(error)}
    durable = durable_next(paths().journal / writer) or 0
    covered = found[0].tree_size if found else 0
    return {
        "writer": writer,
        "records": durable,
        "unsigned": max(0, durable - covered),
        "late": durable > covered and (not found or time.time_ns() - found[0].utc_ns > LATE_NS),
        "count": found[0].number + 1 if found else 0,
        "rows": [{"point": point, "at_ms": point.utc_ns // 1_000_000} for point in found],
    }


def _left_ms(job: Job) -> int | None:
    """Return how long a job will take from now on at its present pace, None while that is not known."""
    if job.state != Job.State.RUNNING or job.started_at is None or not 0 < job.percent < 100:
        return None
    gone = (timezone.now() - job.started_at).total_seconds()
    return int(gone / job.percent * (100 - job.percent) * 1000)


def _shown(job: Job) -> dict[str, Any]:
    part = msgspec.json.decode(job.request, type=Part)
    result: Any = msgspec.json.decode(job.result)
    ended = job.finished_at
    return {
        "job": job,
        "part": str(part),
        "actor": part.actor,
        "open": job.state in {Job.State.WAITING, Job.State.RUNNING},
        "left_ms": _left_ms(job),
        "result": result if isinstance(result, dict) else None,
        "asked_ms": int(job.created.timestamp() * 1000),
        "ended_ms": int(ended.timestamp() * 1000) if ended else None,
        "age_ms": int((timezone.now() - ended).total_seconds() * 1000) if ended else None,
        "waiting": exists(result) if job.name == EXPORT else False,
    }


def exists(result: Any) -> bool:
    """Return whether the file that an export made is still there."""
    return isinstance(result, dict) and (exports_folder(paths()) / str(result.get("file"))).is_file()


def _work() -> dict[str, Any]:
    verifications = [_shown(job) for job in latest_jobs_of(VERIFICATION)]
    exports = [_shown(job) for job in latest_jobs_of(EXPORT)]
    last = last_done(VERIFICATION)
    return {
        "verifications": verifications,
        "exports": exports,
        "last": _shown(last) if last else None,
        "under_way": any(row["open"] for row in (*verifications, *exports)),
        "verifying": any(row["open"] for row in verifications),
        "exporting": any(row["open"] for row in exports),
    }


@require_GET
def page(request: HttpRequest) -> HttpResponse:
    """Show checkpoints, verifications and exports; htmx gets the two lists of work alone."""
    context: dict[str, Any] = {"tab": "record", "writers": writers(), **_work()}
    if getattr(request, "htmx", None):
        return render(request, "pages/audit/work.html", context)
    context |= {
        "journals": [signed(writer) for writer in writers()],
        "copies": run_description().get("checkpoint_dir"),
    }
    return station_page(request, "pages/audit/record.html", page="Audit", context=context)


def _ask(request: HttpRequest, ask: Callable[..., Job]) -> HttpResponse:
    """Make a job of a form, ring for it, and go back; a wrong field is a sentence."""
    asked = {name: request.POST.get(name, "") for name in ("writer", "from", "to")}
    try:
        part = part_of(
            writer=asked["writer"],
            first=asked["from"],
            last=asked["to"],
            writers=writers(),
            actor=cast("Actor", request.user),
        )
        job = ask(actor=cast("Actor", request.user), part=part)
    except AskedError as error:
        return HttpResponse(str(error), status=400, content_type="text/plain; charset=utf-8")
    ring(job)
    return redirect("audit-record")


@require_POST
def verify(request: HttpRequest) -> HttpResponse:
    """Ask for a verification."""
    return _ask(request, request_verification)


@require_POST
def export(request: HttpRequest) -> HttpResponse:
    """Ask for a bundle."""
    return _ask(request, request_export)


@require_POST
def stop(request: HttpRequest, job_id: int) -> HttpResponse:
    """Ask a job to stop."""
    try:
        cancel(actor=cast("Actor", request.user), job_id=job_id)
    except AskedError as error:
        return HttpResponse(str(error), status=400, content_type="text/plain; charset=utf-8")
    messages.info(request, f"Job {job_id}: asked to stop; it does within seconds.")
    return redirect("audit-record")


@require_POST
def take(request: HttpRequest, job_id: int) -> HttpResponse | FileResponse:
    """Send a bundle that was made, and tell the record who took it."""
    job = job_of(EXPORT, job_id)
    result: Any = msgspec.json.decode(job.result) if job else None
    if job is None or not exists(result):
        raise Http404
    note_download(actor=cast("Actor", request.user), job=job)
    file = (exports_folder(paths()) / result["file"]).open("rb")
    return FileResponse(file, as_attachment=True, filename=result["file"], content_type="application/zip")
