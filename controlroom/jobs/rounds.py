"""Rounds of tournaments as jobs: bars into a market, then the steps; a scheduled round's word goes to the worker."""

import hashlib
import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Literal

import msgspec
from django.conf import settings
from django.db import transaction

from audit.artefacts import sign
from controlroom.access.operators import held_configuration
from controlroom.allocations.actions import deploy
from controlroom.jobs.station_market import StationBars, read_station, station_market
from controlroom.relay.doorbell import ring
from controlroom.supervisor.tournament_market import read_market
from engine.configuration import Configuration
from engine.rounds import HOLD, SETTLE
from events.actions import ATTEMPTS, LeaseLostError, claim_job, finish_job, in_turn, kept_lease, put
from events.actors import STATION
from events.models import Job
from events.streams import CONTROL_WORKER
from events.types import JobDue, ModelEvent
from tournaments.actions import open_scheduled
from tournaments.evolution.actions import ask_variants
from tournaments.evolution.selectors import parameters_in_force
from tournaments.evolution.station import SearchRequest
from tournaments.market import Market
from tournaments.models import TournamentRound
from tournaments.rounds import TERMINAL
from tournaments.selectors import (
    active_rules,
    benched,
    record_of,
    round_by_id,
    round_of,
    rules_at,
    settled_by,
    unsettled_rounds,
)
from tournaments.station import RequestError, RoundRequest

NOTHING = b"null"
log = logging.getLogger(__name__)


def hold(*, job_id: int, owner: str) -> bool:
    """Hold the round of a job that is free; return whether this call did it."""
    from tournaments.holding.actions import hold as held  # noqa: PLC0415 - brings the compiled simulator with it

    job = claim_job(job_id=job_id, owner=owner)
    try:
        return job is not None and held(job=job, owner=owner, row=round_of(job), load=load)
    except LeaseLostError as error:
        log.warning("%s", error)
        return False


def load(request: RoundRequest) -> Market:
    """Return the market of a request's files."""
    return read_market([Path(name) for name in request.bars], request.symbols)


def scheduled(*, job_id: int, owner: str, now_ns: Callable[[], int] = time.time_ns) -> bool:
    """Hold, or settle, a round that a clock has named; the worker hears of the end, whatever it is.

    Where time is the bars' each step is on time; by the wall clock, ``now_ns``, it is when it is.
    """
    from tournaments.holding.actions import hold as held  # noqa: PLC0415 - brings the compiled simulator with it
    from tournaments.holding.actions import settle_due  # noqa: PLC0415

    job = claim_job(job_id=job_id, owner=owner)
    if job is None:
        return False
    due = msgspec.json.decode(job.request, type=JobDue)
    names: list[str] = []
    try:
        with kept_lease(job_id=job.id, owner=owner):
            if job.attempts > ATTEMPTS:
                raise RequestError(f"given up after {ATTEMPTS} attempts that never ended")  # noqa: TRY301 - one handler
            row, bars, configuration = _asked(due, names)
    except LeaseLostError as error:
        log.warning("%s", error)
        return False
    except Exception as error:  # a replay waits for the word, whatever went wrong
        log.exception("round %s cannot be held", due.occurrence)
        return _nothing(job, owner, due, str(error))
    history = configuration.tournaments.history if configuration.tournaments is not None else []

    def market(_request: RoundRequest) -> Market:
        return station_market(bars, names, history, due.engine_ns)

    def market_of(waiting: TournamentRound) -> Market:
        """Return the bars of a round's own calendar: the rules may have moved to another one since."""
        known: list[str] = []
        return station_market(_bars(waiting, configuration, due, known), known, history, due.engine_ns)

    try:
        waiting = [each for each in unsettled_rounds() if each.id != row.id]
        for each in settle_due(waiting, load=market_of):
            _look_for_variants_at_leisure(due, each)
        return held(
            job=job, owner=owner, row=row, load=market,
            deploy=lambda record: deploy(record=record).state == "told", told=partial(_answer, due),
            clock=None if configuration.source.waits else now_ns,
        )  # fmt: skip
    except LeaseLostError as error:
        log.warning("%s", error)
        return False


def _asked(due: JobDue, names: list[str]) -> tuple[TournamentRound, StationBars, Configuration]:
    """Return the round of an occurrence, opened where it is new, and the bars that the station has by now."""
    configuration = held_configuration()
    if configuration is None:
        raise RequestError("the station has no configuration; its first start makes it")
    known = round_by_id(settled_by(due.occurrence))
    if _settles(due) and (known is None or known.state in TERMINAL):
        raise RequestError("there is nothing to settle")
    if known is not None and not known.station_bars:
        raise RequestError(f"{known.round_id} was held by hand on files that somebody chose; weights stay as they are")
    bars = _bars(known, configuration, due, names)
    if known is not None:
        return known, bars, configuration
    request = RoundRequest(
        bars=[], as_of_ns=due.engine_ns, through_seq=due.through_seq, seed=_seed(due.occurrence),
        capital=bars.equity or configuration.settings.account.initial_cash, parameters=parameters_in_force(),
        readmitted={name: each.readmitted_by for name, each in benched().items() if each.readmitted_by},
    )  # fmt: skip
    return open_scheduled(request=request, occurrence=due.occurrence), bars, configuration


def _bars(known: TournamentRound | None, configuration: Configuration, due: JobDue, names: list[str]) -> StationBars:
    """Return the station's bars of a round's calendar, of the active rules' for a new one; fills ``names``."""
    calendar = (active_rules() if known is None else rules_at(known.rules_version)).calendar
    symbols = {each.symbol for each in configuration.instruments if each.calendar == calendar and each.tradable}
    return read_station(
        settings.DATA.journal / "execution", names, symbols=symbols, through_seq=due.through_seq,
        until_ns=due.engine_ns,
    )  # fmt: skip


def _settles(due: JobDue) -> bool:
    return due.occurrence.startswith(f"{SETTLE}:")


def _seed(occurrence: str) -> int:
    """Return a seed that the occurrence alone gives: a replay of the same bars holds the same round."""
    return int.from_bytes(hashlib.sha256(occurrence.encode()).digest()[:4]) >> 1


def _answer(due: JobDue, row: TournamentRound, problem: str) -> None:
    """Promise the worker the end of a job, within its transaction: a replay waits for it."""
    done = row.state == "settled" if _settles(due) else row.state in {"settle", "settled"}
    _tell(due, "fitted" if done else "unchanged", problem or row.reason or f"{row.round_id} is {row.state}")
    if done and _settles(due):
        _look_for_variants(due, row)


def _look_for_variants(due: JobDue, row: TournamentRound) -> None:
    """Ask for a search once the session is over and there is enough to judge by: nobody waits for it."""
    from tournaments.evolution.evaluate import LEAST_SESSIONS  # noqa: PLC0415 - brings compiled code with it

    record = record_of(row)
    if record is None or max((score.sessions for score in record.scores), default=0) < LEAST_SESSIONS:
        return
    request = SearchRequest(bars=[], as_of_ns=due.engine_ns, through_seq=due.through_seq, seed=_seed(due.occurrence))
    job = ask_variants(now=datetime.fromtimestamp(due.engine_ns / 1e9, tz=UTC), request=request)
    if job is not None:
        transaction.on_commit(lambda: ring(job))


def _look_for_variants_at_leisure(due: JobDue, row: TournamentRound) -> None:
    """Ask for a search after a late settlement; that it cannot be asked for keeps no round from being held."""
    try:
        _look_for_variants(due, row)
    except ValueError as error:
        log.warning("no search after %s: %s", row.round_id, error)


def _nothing(job: Job, owner: str, due: JobDue, reason: str) -> bool:
    with transaction.atomic():
        in_turn()
        finish_job(job_id=job.id, owner=owner, result="null", error=reason)
        _tell(due, "unchanged", reason)
    return True


def _tell(due: JobDue, outcome: Literal["fitted", "unchanged"], reason: str) -> None:
    said = ModelEvent(
        name=HOLD, version=0, outcome=outcome, occurrence=due.occurrence, sha256=hashlib.sha256(NOTHING).hexdigest(),
        effective_from_ns=due.effective_from_ns, content=msgspec.Raw(NOTHING), reason=reason[:500],
    )  # fmt: skip
    put(
        stream=CONTROL_WORKER, payload=sign(said, settings.DATA), actor=STATION, agent_id=HOLD,
        request_id=f"{HOLD}:{due.occurrence}",
    )  # fmt: skip
