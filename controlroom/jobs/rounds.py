"""Rounds of tournaments as jobs: files into a market, then the steps."""

import logging
from pathlib import Path

from controlroom.supervisor.tournament_market import read_market
from events.actions import LeaseLostError, claim_job
from tournaments.market import Market
from tournaments.station import RoundRequest

log = logging.getLogger(__name__)


def hold(*, job_id: int, owner: str) -> bool:
    """Hold the round of a job that is free; return whether this call did it."""
    from tournaments.holding.actions import hold as held  # noqa: PLC0415 - brings the compiled simulator with it

    job = claim_job(job_id=job_id, owner=owner)
    try:
        return job is not None and held(job=job, owner=owner, load=load)
    except LeaseLostError as error:
        log.warning("%s", error)
        return False


def load(request: RoundRequest) -> Market:
    """Return the market of a request's files."""
    return read_market([Path(name) for name in request.bars], request.symbols)
