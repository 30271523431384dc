"""Verifications and exports of the record: asked for by a person, done by a job, told to the record itself."""

import logging
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from django.core.exceptions import PermissionDenied
from django.db import transaction

from audit.bundle import export
from audit.selectors import EXPORT, VERIFICATION, exports_folder, open_job
from audit.verification import verify_data_directory
from events.actions import (
    ATTEMPTS,
    Lease,
    LeaseLostError,
    ask_to_cancel,
    claim_job,
    create_job,
    finish_job,
    kept_lease,
    put,
)
from events.actors import Actor
from events.models import Job
from events.paths import DataPaths
from events.streams import CONTROL_AUDIT
from events.types import AuditEvent

MOST_EXPORTED = 200_000
"""Records of one export: a few hundred megabytes at most."""
KEPT_EXPORTS = 10
SAID_EVERY_S = 1.0
LONGEST_NAME = 40
PERMISSIONS = {VERIFICATION: "access.verify_record", EXPORT: "access.export_record"}
VERBS = {VERIFICATION: "verify the record", EXPORT: "export the record"}
log = logging.getLogger(__name__)


class AskedError(ValueError):
    """One sentence: the field, its value, what is allowed."""


class _CanceledError(RuntimeError):
    """Somebody asked the job to stop."""


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """Which records a job is about: None is every journal, the first record, the last one."""

    writer: str | None
    from_seq: int | None
    to_seq: int | None
    actor: str

    def __str__(self) -> str:
        if self.writer is None:
            return "every journal"
        first = 0 if self.from_seq is None else self.from_seq
        return f"{self.writer} {first} to {'its end' if self.to_seq is None else self.to_seq}"


def part_of(*, writer: str, first: str, last: str, writers: list[str], actor: Actor) -> Part:
    """Return what a form asks for.

    Raises
    ------
    AskedError
        if a field is not one of this station's, or the range is none.
    """
    if writer and writer not in writers:
        raise AskedError(f"journal {writer[:LONGEST_NAME]!r} is unknown; there are {', '.join(writers) or 'none yet'}")
    numbers = {name: _number(name, text) for name, text in (("from", first), ("to", last))}
    if not writer and (numbers["from"] is not None or numbers["to"] is not None):
        raise AskedError("a range of records belongs to one journal: choose it, or leave from and to empty")
    if numbers["from"] is not None and numbers["to"] is not None and numbers["from"] > numbers["to"]:
        raise AskedError(f"from {numbers['from']} is after to {numbers['to']}")
    return Part(writer=writer or None, from_seq=numbers["from"], to_seq=numbers["to"], actor=actor.get_username())


def _number(name: str, text: str) -> int | None:
    text = text.strip().replace(" ", "").replace("\u202f", "")
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 16):
        raise AskedError(f"{name} {text[:LONGEST_NAME]!r} is no number of a record; allowed are 0 and above")
    return int(text)


@transaction.atomic
def request_verification(*, actor: Actor, part: Part) -> Job:
    """Ask for a verification; one at a time in a station.

    Raises
    ------
    PermissionDenied
        if the person may not.
    AskedError
        if one is under way.
    """
    return _request(VERIFICATION, actor, part)


@transaction.atomic
def request_export(*, actor: Actor, part: Part) -> Job:
    """Ask for a bundle of records with their proofs; errors as :func:`request_verification`.

    Raises
    ------
    AskedError
        also if the range is not one journal's, or too long.
    """
    if part.writer is None or part.from_seq is None or part.to_seq is None:
        raise AskedError("an export needs a journal, a first and a last record")
    if part.to_seq - part.from_seq >= MOST_EXPORTED:
        raise AskedError(
            f"from {part.from_seq} to {part.to_seq} are {part.to_seq - part.from_seq + 1} records; "
            f"allowed are {MOST_EXPORTED} at once"
        )
    return _request(EXPORT, actor, part)


def _request(name: str, actor: Actor, part: Part) -> Job:
    _must_hold(actor, name)
    earlier = open_job(name)
    if earlier is not None:
        raise AskedError(f"job {earlier.id} is under way already: wait for it, or cancel it")
    newest = Job.objects.filter(name=name).order_by("-id").values_list("id", flat=True).first()
    request = msgspec.json.encode(part).decode()
    job, new = create_job(name=name, occurrence=f"after {newest or 0}", request=request)
    if not new:  # two asked at the same instant, and this is the other one's
        raise AskedError(f"job {job.id} is under way already: wait for it, or cancel it")
    _tell(VERBS[name], target=str(part), actor=actor.get_username(), outcome="requested", job=job)
    return job


@transaction.atomic
def cancel(*, actor: Actor, job_id: int) -> None:
    """Ask a verification or an export to stop.

    Raises
    ------
    PermissionDenied
        if the person may not.
    AskedError
        if there is no such job, or it has ended.
    """
    job = Job.objects.filter(id=job_id, name__in=PERMISSIONS).first()
    if job is None:
        raise AskedError(f"job {job_id} is unknown")
    _must_hold(actor, job.name)
    if not ask_to_cancel(job_id=job_id):
        raise AskedError(f"job {job_id} has ended already: {job.state}")
    _tell(
        f"cancel: {VERBS[job.name]}", target=f"job {job_id}", actor=actor.get_username(), outcome="requested", job=job
    )


@transaction.atomic
def note_download(*, actor: Actor, job: Job) -> None:
    """Tell the record that a person took a bundle away.

    Raises
    ------
    PermissionDenied
        if the person may not.
    """
    _must_hold(actor, EXPORT)
    part = msgspec.json.decode(job.request, type=Part)
    _tell("download an export", target=str(part), actor=actor.get_username(), outcome="done", job=job)


def verify_record(*, job_id: int, owner: str, paths: DataPaths) -> bool:
    """Do a verification if it is free; return whether this call did it."""

    def work(part: Part, progress: Callable[[int, int], None]) -> object:
        return verify_data_directory(
            paths, writer=part.writer, from_seq=part.from_seq, to_seq=part.to_seq, progress=progress
        )

    return _do(job_id, owner, "reading", work)


def export_record(*, job_id: int, owner: str, paths: DataPaths) -> bool:
    """Make a bundle if its job is free; return whether this call did it."""

    def work(part: Part, _progress: Callable[[int, int], None]) -> object:
        assert part.writer is not None  # noqa: S101 - request_export asks for all three
        folder = exports_folder(paths)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = folder / f"record-{part.writer}-{part.from_seq}-{part.to_seq}-job{job_id}.zip"
        file.unlink(missing_ok=True)  # an attempt that died may have left half of it
        made = export(paths, part.writer, part.from_seq or 0, part.to_seq or 0, file)
        _forget_old(folder)
        return {"file": made.name, "bytes": made.stat().st_size}

    return _do(job_id, owner, "exporting", work)


def _do(job_id: int, owner: str, phase: str, work: Callable[[Part, Callable[[int, int], None]], object]) -> bool:
    job = claim_job(job_id=job_id, owner=owner)
    if job is None:
        return False
    result: object = None
    error, canceled = "", False
    if job.attempts > ATTEMPTS:
        return _record(job, owner, None, error=f"given up after {ATTEMPTS} attempts that never ended", canceled=False)
    try:
        with kept_lease(job_id=job_id, owner=owner, every_s=SAID_EVERY_S) as lease:
            result = work(msgspec.json.decode(job.request, type=Part), _reporter(lease, phase))
    except _CanceledError:
        canceled = True
    except Exception as failed:
        log.exception("%s failed", job)
        error = str(failed) or type(failed).__name__
    return _record(job, owner, result, error=error, canceled=canceled)


def _reporter(lease: Lease, phase: str) -> Callable[[int, int], None]:
    """Return what the work calls as it goes on: it says how far, and stops what a person has canceled."""

    def report(done: int, total: int) -> None:
        lease.phase = f"{phase} {done / 1e6:,.1f} of {total / 1e6:,.1f} MB"
        lease.percent = min(99, 100 * done // total) if total else 0
        if lease.stop_wanted:
            raise _CanceledError

    return report


def _record(job: Job, owner: str, result: object, *, error: str, canceled: bool) -> bool:
    """End the job and tell the record how: both, or neither."""
    try:
        with transaction.atomic():
            finish_job(
                job_id=job.id, owner=owner, result=msgspec.json.encode(result).decode(), error=error, canceled=canceled
            )
            part = msgspec.json.decode(job.request, type=Part)
            outcome = "canceled" if canceled else f"failed: {error}"[:500] if error else _outcome(result)
            _tell(VERBS[job.name], target=str(part), actor=part.actor, outcome=outcome, job=job)
    except LeaseLostError as lost:
        log.warning("%s: what was found is dropped", lost)
        return False
    return True


def _outcome(result: Any) -> str:
    if not isinstance(result, dict) or "ok" not in result:
        return "done"
    bad = result.get("first_bad")
    return (
        "done: all holds" if bad is None else f"done: {bad['writer']} {bad['seq']} does not hold: {bad['what']}"[:500]
    )


def _tell(action: str, *, target: str, actor: str, outcome: str, job: Job) -> None:
    event = AuditEvent(
        wall_ns=time.time_ns(), action=action, target=target, actor=actor, outcome=outcome, reason=f"job {job.id}"
    )
    put(stream=CONTROL_AUDIT, payload=event, actor=actor, request_id=f"job-{job.id}-{uuid.uuid4().hex[:12]}")


def _must_hold(actor: Actor, name: str) -> None:
    if not actor.has_perm(PERMISSIONS[name]):
        raise PermissionDenied(f"{actor.get_username()} may not {VERBS[name]}; oversight may")


def _forget_old(folder: Path) -> None:
    files = sorted(folder.glob("record-*.zip"), key=lambda file: file.stat().st_mtime)
    for file in files[:-KEPT_EXPORTS]:
        file.unlink(missing_ok=True)
