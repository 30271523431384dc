"""Holds rounds: each step written once, in one transaction with its events. It brings the simulator along."""

import base64
import json
import logging
import os
import secrets
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
from django.conf import settings
from django.db import DatabaseError, transaction

from agents.strategies import STRATEGIES, parameter_array
from audit.keys import private_file
from audit.ring import KeyRing
from engine.configuration import Configuration, load_settings
from events.actions import ATTEMPTS, LeaseLostError, finish_job, in_turn, kept_lease, put
from events.actors import STATION
from events.models import Job
from events.streams import CONTROL_AUDIT
from risk.selectors import current_configuration
from tournaments import keeping
from tournaments.actions import REASON_LIMIT, tell
from tournaments.conduct import Conductor, Inputs, walked
from tournaments.evolution.selectors import challengers, parameters_in_force
from tournaments.holding import entries
from tournaments.holding.approaches import earlier_entrants
from tournaments.journaled import Sealing, events_of
from tournaments.market import Market
from tournaments.models import TournamentRound
from tournaments.record import Allocated, RoundRecord
from tournaments.rounds import STEPS, TERMINAL, Round, Voided, advance, new_round
from tournaments.rules import Rules
from tournaments.sealing import Sealed, TransportKey, competition_key
from tournaments.season import Memory
from tournaments.selectors import allocation_in_force, allocation_of, earlier_records, rules_at
from tournaments.settling import unpriced
from tournaments.station import RequestError, RoundRequest, occurrence_of
from tournaments.stress.policies import Entrant

COMPETITION = "competition"
log = logging.getLogger(__name__)
SECOND_NS = 1_000_000_000
Load = Callable[[RoundRequest], Market]
"""Reads the market that a request names; raises ValueError with one sentence where it cannot."""
Deploy = Callable[[RoundRecord], bool]
"""Tells the engine what a round has allocated, within that step's transaction; returns False where people must."""


def hold(
    *,
    job: Job,
    owner: str,
    row: TournamentRound,
    load: Load,
    deploy: Deploy | None = None,
    told: Callable[[TournamentRound, str], None] | None = None,
    clock: Callable[[], int] | None = None,
) -> bool:
    """Take a claimed job's round as far as its bars reach, step by step; whoever comes after a crash goes on there.

    A round that its inputs do not allow, or that was begun five times without an end, is void, with the reason;
    allocations stay. One that has allocated and cannot be settled goes on waiting, and the job says why. ``deploy``
    is asked of a round on the station's own bars alone; ``told`` hears of the job's end, within its transaction, with
    what went wrong. ``clock`` gives the instant of each step, UTC nanoseconds; without it they are those of history.
    """
    problem = ""
    with kept_lease(job_id=job.id, owner=owner) as lease:
        try:
            if job.attempts > ATTEMPTS:
                raise RequestError(f"given up after {ATTEMPTS} attempts that never ended")  # noqa: TRY301 - one handler
            ended = row.state in TERMINAL  # a crash may have come between its end and the job's
            for step, share in () if ended else _driven(row, load, deploy, clock).steps():
                lease.phase, lease.percent = step, share
        except (LeaseLostError, DatabaseError):
            raise  # somebody else goes on with it, or this process when the database is there again
        except Exception as error:
            if not isinstance(error, ValueError | OSError):
                log.exception("round %s", row.round_id)  # a fault of ours: the round ends with it all the same
            problem = str(error) if row.state == "settle" else ""
            _void(row, str(error) or type(error).__name__)
    if row.state in TERMINAL:
        keeping.destroy(_folder(), row.round_id)
    with transaction.atomic():
        in_turn()
        finish_job(job_id=job.id, owner=owner, result=msgspec.json.encode(row.round_id).decode(), error=problem)
        if told is not None:
            told(row, problem)
    return True


def settle_due(rows: Iterable[TournamentRound], *, load: Callable[[TournamentRound], Market]) -> list[TournamentRound]:
    """Settle rounds whose session the bars hold by now: a bar that came late, or a file that was away, is there.

    Returns those that it has settled. Whatever keeps one of them from it keeps no other round.
    """
    done = []
    for row in rows:
        try:
            for step, _ in _driven(row, lambda _request, row=row: load(row)).steps():  # type: ignore[misc] # row is bound
                log.info("round %s: %s", row.round_id, step)
        except Exception as error:  # noqa: BLE001 - said, with its kind; the next round may not hang on it
            log.warning("round %s cannot be settled: %s: %s", row.round_id, type(error).__name__, error)
        if row.state == "settled":
            done.append(row)
    return done


@dataclass
class Driven:
    """A round in a process: its conductor, its row, and what seals it."""

    row: TournamentRound
    record: RoundRecord
    conductor: Conductor
    key: TransportKey | None
    sealing: Sealing
    last_ns: int
    deploy: Deploy | None = None
    clock: Callable[[], int] | None = None

    def steps(self) -> Iterator[tuple[str, int]]:
        """Do all that can be done now; yield each step with the share of the round that it brings it to.

        Raises
        ------
        RequestError
            naming the symbols whose prices are waited for.
        """
        while (state := self.record.round.state) not in TERMINAL:
            if state == "settle" and self.last_ns < self.record.round.settles_ns:
                break  # the predicted session is to come
            if state == "settle":
                self._wait_for_prices()
            self._step(_instant(self.record.round) if self.clock is None else self.clock())
            yield state, 100 * len(self.record.round.results) // len(STEPS)

    def _wait_for_prices(self) -> None:
        """Refuse to settle while a price may still come; to a file that somebody chose nothing comes any more."""
        lacking = unpriced(self.record, self.conductor.inputs.market) if self.row.station_bars else []
        if lacking and self.last_ns < self.record.round.deadlines_ns["settle"]:
            hours = rules_at(self.row.rules_version).settle_by
            raise RequestError(
                f"prices of {', '.join(lacking)} lack in the predicted session; they are waited for until {hours} "
                "hours after its close, then the round is settled without them"
            )

    def _step(self, at_ns: int) -> None:
        name = self.record.round.state
        made = self.conductor.step(self.record, at_ns)
        sealed = self._seal(made) if name == "predict" else {}
        public = base64.b64encode(self.key.public).decode() if self.key is not None else ""
        with transaction.atomic():
            in_turn()
            if TournamentRound.objects.get(id=self.row.id).state != name:
                raise LeaseLostError(f"round {self.row.round_id}: somebody else has done {name} meanwhile")
            deployed = self.deploy(made) if self.deploy is not None and name == "allocate" else False
            told = events_of(name, made, sealed, public, self.sealing, deployed=deployed)  # type: ignore[arg-type] # a step's name
            hidden = msgspec.structs.replace(made, entries={}) if name == "predict" else made
            self.row.record, self.row.state = msgspec.json.encode(hidden).decode(), made.round.state
            self.row.reason = made.round.reason
            self.row.sealed = msgspec.json.encode(sealed).decode()
            self.row.save()
            for request_id, agent, payload in told:
                put(stream=CONTROL_AUDIT, payload=payload, actor=STATION, agent_id=agent, request_id=request_id)
        self.record = made
        if name == "challenge" or made.round.state in TERMINAL:
            self._close()

    def _seal(self, made: RoundRecord) -> dict[str, Sealed]:
        assert self.key is not None  # noqa: S101 - made with the round
        self.sealing = replace(self.sealing, entries=entries.with_nonces(made.entries, self.sealing.nonce))
        return entries.sealed(self.key.public, made.round.round_id, self.sealing.entries)

    def _close(self) -> None:
        """Destroy the round's key: entries are revealed, and the record keeps them under the competition's."""
        if self.key is not None:
            self.key.destroy()
            self.key = None
        keeping.destroy(_folder(), self.row.round_id)


def _instant(held: Round) -> int:
    """Return when a step is done on history: a second before its deadline, as if everybody took their time."""
    if held.state == "settle":
        return held.settles_ns
    return max(held.started_ns, held.deadlines_ns[held.state] - SECOND_NS)


def _driven(
    row: TournamentRound, load: Load, deploy: Deploy | None = None, clock: Callable[[], int] | None = None
) -> Driven:
    request = msgspec.json.decode(row.request, type=RoundRequest)
    rules = rules_at(row.rules_version)
    market = load(request)
    costs = load_settings(settings.DATA.settings if settings.DATA.settings.exists() else None).costs
    newcomers = challengers(before_ns=request.as_of_ns, station_bars=row.station_bars)
    held = parameters_in_force() if request.parameters is None else request.parameters
    strategies = (Entrant(each.name, each, parameter_array(each, held.get(each.name, {}))) for each in STRATEGIES)
    entrants = (*strategies, *newcomers)
    memory = memory_of(earlier_records(before_ns=request.as_of_ns, station_bars=row.station_bars))
    before, start = _in_use(memory.before) if row.station_bars else (memory.before, None)
    last_ns = int(market.daily.now_ns[-1])
    inputs = Inputs(
        market=market, entrants=entrants, rules=rules, costs=costs, capital=request.capital, seed=request.seed,
        as_of_ns=request.as_of_ns, before=before, start=start, settled=tuple(memory.settled),
        precedents=memory.precedents, threads=min(os.cpu_count() or 1, 8),
        challengers=frozenset(each.name for each in newcomers), readmitted=request.readmitted,
        earlier=earlier_entrants(request, rules, held) if row.station_bars else {},
    )  # fmt: skip
    seen = walked(market, entrants, costs, rules, as_of_ns=max(last_ns, request.as_of_ns))
    record = _resumed(row, request, rules, market)
    revealed, sealed = (record.round.result(step) is not None for step in ("challenge", "predict"))
    key, sealing = None if revealed else keeping.transport_key(_folder(), row.round_id, needed=sealed), _sealing()
    if key is not None and sealed:
        sealing = replace(sealing, entries=entries.unsealed(key, row, record.round))
        record = msgspec.structs.replace(record, entries=entries.predictions_of(sealing.entries))
    elif revealed:
        keeping.destroy(_folder(), row.round_id)  # a crash may have come between the reveal and this
    told = deploy if row.station_bars else None
    return Driven(row, record, Conductor(inputs, seen), key, sealing, last_ns, told, clock)


def _in_use(before: Allocated | None) -> tuple[Allocated | None, dict[str, float] | None]:
    """Return what the engine has now: the allocation that it took last, or the settings' weights.

    A round's own allocation that people have not approved, or that the worker refused, is none to go on from.
    """
    in_force, current = allocation_in_force(), current_configuration()
    if in_force is None:
        weights = msgspec.json.decode(current.content, type=Configuration).settings.weights if current else None
        if before is None or weights is None:
            return None, weights
        return msgspec.structs.replace(before, base=weights, competitive={}), None
    if before is None:
        return None, allocation_of(in_force).weights
    base, competitive = json.loads(in_force.base), json.loads(in_force.competitive)
    return msgspec.structs.replace(before, base=base, competitive=competitive), None


def _resumed(row: TournamentRound, request: RoundRequest, rules: Rules, market: Market) -> RoundRecord:
    if row.record:
        return msgspec.json.decode(row.record, type=RoundRecord)
    calendars = {each.calendar for each in market.instruments}
    occurrence = occurrence_of(request, rules)
    begun = new_round(occurrence, rules, started_ns=request.as_of_ns, calendars=calendars)
    return RoundRecord(round=begun)


def _sealing() -> Sealing:
    current = KeyRing.read(settings.DATA.keys).current(COMPETITION)
    if current is None:
        raise RequestError("the station has no competition key; make one with `manage.py keys create`")
    pem = private_file(settings.DATA, COMPETITION, current.key).read_bytes()
    return Sealing(competition_key(pem), lambda: secrets.token_bytes(32))


def _void(row: TournamentRound, reason: str) -> None:
    """End a round without effect, with the record as far as it came; one that has allocated or ended stays as it is."""
    if row.state in {"settle", *TERMINAL}:
        return
    with transaction.atomic():
        in_turn()
        if TournamentRound.objects.get(id=row.id).state != row.state:
            raise LeaseLostError(f"round {row.round_id}: somebody else has gone on with it meanwhile")
        if row.record:
            record = msgspec.json.decode(row.record, type=RoundRecord)
            if record.round.state not in TERMINAL:
                ended: Round = advance(record.round, Voided(reason[:REASON_LIMIT], time.time_ns()))
                row.record = msgspec.json.encode(msgspec.structs.replace(record, round=ended)).decode()
        row.state, row.reason, row.sealed = "void", reason[:REASON_LIMIT], "{}"
        row.save()
        tell("void tournament", row.round_id, None, reason)


def _folder() -> Path:
    return Path(settings.DATA.secrets) / "rounds"


def memory_of(records: Iterable[RoundRecord]) -> Memory:
    """Return what earlier rounds hand on: of those that allocated, settled ones with what they taught."""
    memory = Memory()
    for record in records:
        if record.settlement is not None:
            memory.take(record)
        elif record.allocated is not None:
            memory.before = record.allocated
    return memory
