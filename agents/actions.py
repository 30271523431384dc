"""Refits calibrators and slippage model, one occurrence, one artefact, one ModelEvent; says whose strategies are."""

import hashlib
import logging
from array import array
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import msgspec
from django.db import transaction
from guardian.shortcuts import assign_perm, remove_perm

from agents.calibration import NEEDED_OUTCOMES, fit
from agents.execution.refit import refit
from agents.execution.slippage import NAME as SLIPPAGE
from agents.execution.slippage import SlippageModel
from agents.models import Artefact, OutcomesRead, SettledOutcomes, Strategy
from agents.selectors import (
    current_version,
    newest_fitted,
    next_outcome_seq,
    settled_outcomes,
    strategies_of,
    strategy_names,
)
from agents.settled import Outcomes, read_outcomes
from events.actions import ATTEMPTS, LeaseLostError, claim_job, finish_job, in_turn, kept_lease, put
from events.actors import STATION
from events.models import Job
from events.streams import CONTROL_WORKER
from events.types import JobDue, ModelEvent

NAME = "calibrators"
NOTHING = b"null"
Outcome = Literal["fitted", "unchanged", "failed"]
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Fit:
    """What a fit found, not yet stored. ``fresh`` are the outcomes that it read beyond those stored before."""

    outcome: Outcome
    content: bytes
    reason: str
    from_seq: int = 0
    through_seq: int = -1
    fresh: Outcomes | None = None


def refit_calibrators(*, job_id: int, owner: str, journal: Path) -> bool:
    """Do the job if it is free: read what has settled, fit, store, tell the worker. Return whether this call did it.

    A fit that fails is an outcome too: the worker is told so, since a replay waits for the word.
    """
    return _refit(NAME, _fit, job_id=job_id, owner=owner, journal=journal)


def refit_slippage(*, job_id: int, owner: str, journal: Path) -> bool:
    """As ``refit_calibrators``, of the slippage model: replaced where a newer one is of use, or none is any more."""
    return _refit(SLIPPAGE, _fit_slippage, job_id=job_id, owner=owner, journal=journal)


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
    Artefact.objects.create(
        name=name,
        version=version,
        occurrence=due.occurrence,
        outcome=found.outcome,
        sha256=event.sha256,
        effective_from_ns=due.effective_from_ns,
        content=found.content.decode(),
        reason=found.reason,
    )
    put(
        stream=CONTROL_WORKER,
        payload=event,
        actor=STATION,
        agent_id=name,
        request_id=f"{name}:{due.occurrence}",
    )


def _keep(found: Fit) -> None:
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
