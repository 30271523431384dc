"""Refits calibrators, covariance and slippage model: one occurrence, one artefact, one ModelEvent; who owns what."""

import hashlib
import logging
import time
from array import array
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import msgspec
from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.utils import timezone
from guardian.shortcuts import assign_perm, remove_perm

from agents.calibration import NEEDED_OUTCOMES, fit
from agents.execution.refit import refit
from agents.execution.slippage import NAME as SLIPPAGE
from agents.execution.slippage import SlippageModel
from agents.models import Artefact, OutcomesRead, PricesRead, SessionPrices, SettledOutcomes, Strategy
from agents.risk_manager import refit as covariances
from agents.risk_manager.prices import SessionGrids, merged, read_prices
from agents.selectors import (
    artefact_names,
    current_version,
    newest_fitted,
    next_outcome_seq,
    next_price_seq,
    session_prices,
    settled_outcomes,
    strategies_of,
    strategy_names,
)
from agents.settled import Outcomes, read_outcomes
from audit.artefacts import sign
from events.actions import ATTEMPTS, LeaseLostError, claim_job, finish_job, in_turn, kept_lease, put
from events.actors import STATION, Actor
from events.models import Job
from events.streams import CONTROL_AUDIT, CONTROL_WORKER
from events.types import AuditEvent, JobDue, ModelEvent

NAME = "calibrators"
COVARIANCE = "covariance"
ROLL_BACK = "access.change_configuration"
NOTHING = b"null"
Outcome = Literal["fitted", "unchanged", "failed"]
log = logging.getLogger(__name__)


class RollbackError(ValueError):
    """One sentence: the field, its value and what is allowed."""


@dataclass(frozen=True)
class Fit:
    """What a fit found, not yet stored. ``fresh`` are the outcomes that it read beyond those stored before."""

    outcome: Outcome
    content: bytes
    reason: str
    from_seq: int = 0
    through_seq: int = -1
    fresh: Outcomes | None = None
    sessions: SessionGrids | None = None
    through: str = ""
    metrics: dict[str, Any] = field(default_factory=dict)


def refit_calibrators(*, job_id: int, owner: str, journal: Path) -> bool:
    """Do the job if it is free: read what has settled, fit, store, tell the worker. Return whether this call did it.

    A fit that fails is an outcome too: the worker is told so, since a replay waits for the word.
    """
    return _refit(NAME, _fit, job_id=job_id, owner=owner, journal=journal)


def refit_slippage(*, job_id: int, owner: str, journal: Path) -> bool:
    """As ``refit_calibrators``, of the slippage model: replaced where a newer one is of use, or none is any more."""
    return _refit(SLIPPAGE, _fit_slippage, job_id=job_id, owner=owner, journal=journal)


def refit_covariance(*, job_id: int, owner: str, journal: Path) -> bool:
    """As ``refit_calibrators``, of the covariance: read the prices since the last time, fit on all of them."""
    return _refit(COVARIANCE, _fit_covariance, job_id=job_id, owner=owner, journal=journal)


def _refit(name: str, find: Callable[[JobDue, Path], Fit], *, job_id: int, owner: str, journal: Path) -> bool:
    job = claim_job(job_id=job_id, owner=owner)
    if job is None:
        return False
    due = msgspec.json.decode(job.request, type=JobDue)
    with kept_lease(job_id=job_id, owner=owner):
        found = _attempt(job, due, journal, find)
    try:
        _record(name=name, job=job, owner=owner, due=due, found=found)
    except LeaseLostError as error:
        log.warning("%s: what was found is dropped", error)
        return False
    return True


def _attempt(job: Job, due: JobDue, journal: Path, find: Callable[[JobDue, Path], Fit]) -> Fit:
    try:
        if job.attempts > ATTEMPTS:
            return Fit("failed", NOTHING, f"given up after {ATTEMPTS} attempts that never ended")
        return find(due, journal)
    except Exception as error:  # a replay waits for the word, whatever went wrong
        log.exception("the fit of %s failed", due.occurrence)
        return Fit("failed", NOTHING, f"{type(error).__name__}: {error}"[:500])


def _fit(due: JobDue, journal: Path) -> Fit:
    begin = next_outcome_seq()
    fresh = read_outcomes(journal, from_seq=begin, through_seq=due.through_seq)
    together = settled_outcomes()
    for strategy, pairs in fresh.items():
        together.setdefault(strategy, []).extend(pairs)
    counts = ", ".join(f"{strategy} {len(together[strategy])}" for strategy in sorted(together)) or "none"
    version = current_version(NAME) + 1
    fitted = {
        strategy: fit(strategy, version, together[strategy], fitted_through_ns=due.engine_ns)
        for strategy in sorted(together)
        if len(together[strategy]) >= NEEDED_OUTCOMES
    }
    read = Fit("unchanged", NOTHING, "", begin, max(due.through_seq, begin - 1), fresh)
    if not fitted:
        return replace(read, reason=f"settled outcomes: {counts}; {NEEDED_OUTCOMES} of a strategy are needed")
    return replace(read, outcome="fitted", content=msgspec.json.encode(fitted), reason=f"settled outcomes: {counts}")


def _fit_slippage(due: JobDue, journal: Path) -> Fit:
    newest = newest_fitted(SLIPPAGE)
    version = 1 if newest is None else newest.version + 1
    found = refit(journal, through_seq=due.through_seq, version=version, fitted_through_ns=due.engine_ns)
    if found.model is None:
        return Fit("unchanged", NOTHING, found.reason)
    # a model that has stopped to be the better one is taken back by a version without one
    in_force = newest is not None and bool(msgspec.json.decode(newest.content, type=SlippageModel).onnx)
    changes = bool(found.model.onnx) or in_force
    return Fit("fitted" if changes else "unchanged", msgspec.json.encode(found.model), found.reason)


def _fit_covariance(due: JobDue, journal: Path) -> Fit:
    begin, calendar = next_price_seq(), due.occurrence.split(":")[1]
    fresh = read_prices(journal, calendar=calendar, from_seq=begin, through_seq=due.through_seq)
    history = session_prices(limit=covariances.WINDOW + 1)
    for session, grid in fresh.items():
        history[session] = merged(history.get(session, {}), grid)
    made, reason = covariances.fit(dict(sorted(history.items())))
    read = Fit(
        "unchanged", NOTHING, reason, begin, max(due.through_seq, begin - 1),
        sessions={session: history[session] for session in fresh},
    )  # fmt: skip
    if made is None:
        return read
    content, numbers = msgspec.json.encode(made), covariances.metrics(made)
    return replace(read, outcome="fitted", content=content, through=made.through, metrics=numbers)


@transaction.atomic
def _record(*, name: str, job: Job, owner: str, due: JobDue, found: Fit) -> None:
    """Store what was found, promise its event and end the job: all of it or nothing."""
    in_turn()
    failed = found.outcome == "failed"
    finish_job(job_id=job.id, owner=owner, result=found.content.decode(), error=found.reason if failed else "")
    _keep(found)
    version = current_version(name) + (found.outcome == "fitted")
    event = ModelEvent(
        name=name,
        version=version,
        outcome=found.outcome,
        occurrence=due.occurrence,
        sha256=hashlib.sha256(found.content).hexdigest(),
        effective_from_ns=due.effective_from_ns,
        content=msgspec.Raw(found.content),
        reason=found.reason,
    )
    _promote(name, due.engine_ns)
    Artefact.objects.create(
        name=name,
        version=version,
        occurrence=due.occurrence,
        outcome=found.outcome,
        sha256=event.sha256,
        effective_from_ns=due.effective_from_ns,
        content=found.content.decode(),
        reason=found.reason,
        status=Artefact.Status.FITTED if found.outcome == "fitted" else "",
        through=found.through,
        metrics=msgspec.json.encode(found.metrics).decode(),
    )
    put(
        stream=CONTROL_WORKER,
        payload=sign(event, settings.DATA),
        actor=STATION,
        agent_id=name,
        request_id=f"{name}:{due.occurrence}",
    )


def _keep(found: Fit) -> None:
    for session, grid in (found.sessions or {}).items():
        SessionPrices.objects.update_or_create(session=session, defaults={"prices": msgspec.json.encode(grid).decode()})
    if found.sessions is not None and found.through_seq >= found.from_seq:
        PricesRead.objects.create(from_seq=found.from_seq, through_seq=found.through_seq)
    if found.fresh is None or found.through_seq < found.from_seq:
        return
    OutcomesRead.objects.create(from_seq=found.from_seq, through_seq=found.through_seq)
    for strategy, pairs in found.fresh.items():
        SettledOutcomes.objects.create(
            strategy=strategy,
            from_seq=found.from_seq,
            through_seq=found.through_seq,
            scores=array("d", [score for score, _ in pairs]).tobytes(),
            hits=bytes(hit for _, hit in pairs),
        )


def _promote(name: str, at_ns: int) -> int:
    """Note which version is in force at an instant; return how many rows that changes."""
    begun = Artefact.objects.filter(name=name, outcome=Artefact.Outcome.FITTED, effective_from_ns__lte=at_ns)
    newest = begun.order_by("-id").first()
    if newest is None:
        return 0
    now = timezone.now()
    older = begun.filter(id__lt=newest.id).exclude(status=Artefact.Status.RETIRED)
    changed = older.update(status=Artefact.Status.RETIRED, retired_at=now)
    if newest.status == Artefact.Status.FITTED:
        changed += begun.filter(id=newest.id).update(status=Artefact.Status.PROMOTED, promoted_at=now)
    return changed


@transaction.atomic
def promote_artefacts(*, at_ns: int) -> int:
    """Note every version that is in force at an instant of the market; return how many rows that changes.

    The engine acts by ``effective_from`` itself: this is for those who look at the registry.
    """
    in_turn()
    return sum(_promote(name, at_ns) for name in artefact_names())


@transaction.atomic
def roll_back(*, name: str, actor: Actor, reason: str, effective_from_ns: int) -> Artefact:
    """Put the version before the newest one in force again, from an instant of the market on; return its new entry.

    Raises
    ------
    PermissionDenied
        if the person may not change the configuration.
    RollbackError
        if there is no earlier version, no reason, or the instant is negative.
    """
    if not actor.has_perm(ROLL_BACK):
        raise PermissionDenied(f"{actor.get_username()} may not roll back {name}; oversight may")
    if not reason.strip():
        raise RollbackError("reason is empty; say why the version is taken back")
    if effective_from_ns < 0:
        raise RollbackError(f"effective_from_ns = {effective_from_ns} is negative; allowed is 0 (at once) and above")
    in_turn()
    fits = Artefact.objects.filter(name=name, outcome=Artefact.Outcome.FITTED)
    newest = fits.order_by("-id").first()
    earlier = newest and fits.filter(version__lt=newest.version).order_by("-version", "-id").first()
    if newest is None or earlier is None:
        raise RollbackError(f"{name} has no version before {newest.version if newest else 'its first'}")
    now, who = timezone.now(), actor.get_username()
    fits.exclude(status=Artefact.Status.RETIRED).update(status=Artefact.Status.RETIRED, retired_at=now)
    made = Artefact.objects.create(
        name=name, version=earlier.version, occurrence=f"rollback:{name}:{newest.id}", outcome=earlier.outcome,
        sha256=earlier.sha256, effective_from_ns=effective_from_ns, content=earlier.content, through=earlier.through,
        metrics=earlier.metrics, status=Artefact.Status.PROMOTED, promoted_at=now,
        reason=f"{who} took back version {newest.version}: {reason}"[:500],
    )  # fmt: skip
    event = ModelEvent(
        name=name, version=made.version, outcome="fitted", occurrence=made.occurrence, sha256=made.sha256,
        effective_from_ns=effective_from_ns, content=msgspec.Raw(made.content.encode()), reason=made.reason,
    )  # fmt: skip
    said = sign(event, settings.DATA)
    put(stream=CONTROL_WORKER, payload=said, actor=who, agent_id=name, request_id=f"{name}:{made.occurrence}")
    told = AuditEvent(
        wall_ns=time.time_ns(), action="roll back", target=f"{name}@{newest.version} to {name}@{made.version}",
        actor=who, outcome="done", reason=reason[:500],
    )  # fmt: skip
    put(stream=CONTROL_AUDIT, payload=told, actor=who)
    return made


@transaction.atomic
def assign_strategies(*, user: Any, names: list[str]) -> None:
    """Make exactly these strategies a person's own. Part of the change of that person, which tells the record.

    Raises
    ------
    ValueError
        if the station has no strategy of a name.
    """
    known = strategy_names()
    if unknown := sorted(set(names) - set(known)):
        raise ValueError(f"strategy {unknown[0]!r} is unknown; there are {', '.join(known)}")
    own = set(strategies_of(user))
    for name in own - set(names):
        remove_perm("agents.change_strategy", user, Strategy.objects.get(name=name))
    for name in set(names) - own:
        assign_perm("agents.change_strategy", user, Strategy.objects.get_or_create(name=name)[0])
