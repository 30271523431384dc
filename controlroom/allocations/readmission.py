"""A benched strategy comes back: people let it in, and the next round gives it a new high-water mark and no more.

It takes as many people as a loosened limit. The worker is told nothing: capital follows from rounds, by their limits.
"""

import json

from django.core.exceptions import PermissionDenied, ValidationError

from controlroom.access import approvals
from controlroom.access.models import Approval, User
from controlroom.access.permissions import named
from controlroom.access.stepup import StepUp, require
from controlroom.allocations.actions import PERMISSION
from tournaments.models import Readmission
from tournaments.selectors import Benched, benched

READMIT = "re-admit strategy"


def ask_readmission(*, strategy: str, reason: str, actor: User, proof: StepUp | None) -> Approval:
    """Ask that the next round lets a benched strategy in again: a second person approves it.

    Raises
    ------
    PermissionDenied
        if the person may not, or has not stepped up.
    ValidationError
        if it is not benched, or is let in already.
    """
    if not actor.has_perm(named(PERMISSION)):
        raise PermissionDenied(f"{actor.username} may not re-admit a strategy; oversight may")
    require(proof, actor)
    held = _benched(strategy)
    return approvals.request(
        act=READMIT, target=f"{strategy}, benched by {held.round_id}",
        content={"strategy": strategy, "benched_ns": held.since_ns}, reason=reason, actor=actor, proof=proof,
    )  # fmt: skip


def _perform(approval: Approval, approvers: list[str]) -> str:
    """Note the people's word, for the bench that they were asked about and for no later one."""
    content = json.loads(approval.content)
    held = _benched(content["strategy"])
    if held.since_ns != content["benched_ns"]:
        raise ValidationError(f"{held.strategy} was benched anew by {held.round_id} since; ask again.")
    Readmission.objects.create(
        strategy=held.strategy, benched_ns=held.since_ns, people=", ".join(approvers),
        reason=f"{approval.reason} (request {approval.pk})"[:500],
    )  # fmt: skip
    return ""


def _benched(strategy: str) -> Benched:
    known = benched()
    if strategy not in known:
        raise ValidationError(f"strategy = {strategy[:40]!r} is not benched; benched are {', '.join(known) or 'none'}.")
    if by := known[strategy].readmitted_by:
        raise ValidationError(f"{strategy} is let in again by {by} already, from the next round on.")
    return known[strategy]


approvals.ACTS[READMIT] = approvals.Act(PERMISSION, _perform)
