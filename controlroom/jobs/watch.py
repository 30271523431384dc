"""The risk beside the kernel: each minute's value at risk, and a stress report whenever a covariance is new."""

from collections.abc import Mapping
from typing import Any

import msgspec
from django.db import transaction

from agents.actions import COVARIANCE, promote_artefacts
from agents.models import Artefact
from agents.risk_manager.refit import Covariance
from agents.selectors import in_force
from controlroom.relay.doorbell import ring
from events.actions import claim_job, create_job, finish_job, kept_lease
from events.models import Job
from risk.actions import record_report, record_var
from risk.selectors import has_report

STRESS = "stress_report"


def watch(view: Mapping[str, Any]) -> Job | None:
    """Record the value at risk of a view, note what is promoted by now; return the stress job that this asks for."""
    if "limits" not in view or not view["engine_ns"]:
        return None
    promote_artefacts(at_ns=int(view["engine_ns"]))
    newest = in_force(COVARIANCE)
    given = _content(newest)
    record_var(
        view=view, symbols=given.symbols if given else [], covariance=given.covariance if given else [],
        version=newest.version if newest else 0,
    )  # fmt: skip
    if newest is None or has_report(_occurrence(newest)):
        return None
    job, new = create_job(name=STRESS, occurrence=_occurrence(newest), request="{}")
    if new:
        ring(job)
    return job


def report(*, job_id: int, owner: str, view: Mapping[str, Any]) -> bool:
    """Do a stress job if it is free: scenarios and simulated tails of the positions now; return whether it was done.

    Raises
    ------
    LeaseLostError
        if somebody else has it by now.
    """
    job = claim_job(job_id=job_id, owner=owner)
    if job is None:
        return False
    newest = in_force(COVARIANCE)
    given = _content(newest)
    content, error = b"null", "there is no covariance"
    if newest is not None and given is not None:
        with kept_lease(job_id=job_id, owner=owner):
            try:
                content, error = _stressed(view, given), ""
            except (ValueError, KeyError) as failure:
                error = f"{type(failure).__name__}: {failure}"
    with transaction.atomic():
        finish_job(job_id=job_id, owner=owner, error=error)
        if newest is not None and not error:
            record_report(
                occurrence=job.occurrence, engine_ns=int(view["engine_ns"]), version=newest.version,
                through=newest.through, content=content,
            )  # fmt: skip
    return True


def _stressed(view: Mapping[str, Any], given: Covariance) -> bytes:
    import numpy as np  # noqa: PLC0415 - only Celery's worker simulates

    from risk.measures.covariance import correlation_of  # noqa: PLC0415
    from risk.measures.live import covariance_for, exposures  # noqa: PLC0415
    from risk.measures.scenarios import hypothetical  # noqa: PLC0415
    from risk.measures.stress import tails  # noqa: PLC0415

    symbols, _, table = exposures(view)
    matrices = {"all days": (given.observations, given.covariance)}
    if given.regime is not None:
        stressed = given.regime.stressed_days
        matrices["calm"] = (given.observations - stressed, given.regime.calm)
        matrices["stressed"] = (stressed, given.regime.stressed)
    markets = {
        name: (days, covariance_for(symbols, given.symbols, np.array(matrix))[0])
        for name, (days, matrix) in matrices.items()
    }
    deviation = np.sqrt(np.diag(markets["all days"][1]))
    return msgspec.json.encode(
        {
            "scenarios": hypothetical(tuple(symbols), table[0], deviation),
            "tails": tails(markets, table[0]) if symbols else [],
            "regime": given.regime.now if given.regime else "",
            "symbols": given.symbols,
            "correlation": correlation_of(np.array(given.covariance)).tolist(),
        }
    )


def _content(row: Artefact | None) -> Covariance | None:
    return None if row is None else msgspec.json.decode(row.content, type=Covariance)


def _occurrence(row: Artefact) -> str:
    return f"{COVARIANCE}:{row.id}"
