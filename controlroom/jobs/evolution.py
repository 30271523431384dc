"""Searches for variants as jobs: bars into a market, then a night's work."""

import logging
from pathlib import Path

from django.conf import settings

from controlroom.access.operators import held_configuration
from controlroom.jobs.station_market import read_station, station_market
from controlroom.supervisor.tournament_market import read_market
from events.actions import LeaseLostError, claim_job
from tournaments.evolution.actions import search
from tournaments.evolution.station import SearchRequest
from tournaments.market import Market
from tournaments.selectors import active_rules
from tournaments.station import RequestError

log = logging.getLogger(__name__)


def propose(*, job_id: int, owner: str) -> bool:
    """Do a search that is free; return whether this call did it."""
    job = claim_job(job_id=job_id, owner=owner)
    try:
        return job is not None and search(job=job, owner=owner, load=load)
    except LeaseLostError as error:
        log.warning("%s", error)
        return False


def load(request: SearchRequest) -> Market:
    """Return the market of a request's files, or of the station's own bars up to a record of its journal."""
    if request.through_seq is None:
        return read_market([Path(name) for name in request.bars], request.symbols)
    configuration = held_configuration()
    if configuration is None:
        raise RequestError("the station has no configuration; its first start makes it")
    calendar, names = active_rules().calendar, list[str]()
    symbols = {each.symbol for each in configuration.instruments if each.calendar == calendar and each.tradable}
    bars = read_station(
        settings.DATA.journal / "execution", names, symbols=symbols, through_seq=request.through_seq,
        until_ns=request.as_of_ns,
    )  # fmt: skip
    history = configuration.tournaments.history if configuration.tournaments is not None else []
    return station_market(bars, names, history, request.as_of_ns)
