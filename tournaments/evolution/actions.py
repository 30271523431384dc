"""Changes of trials: searches asked for and done, promotions and retirements; each one transaction, told to the record.

Who may promote is the approvals' business (controlroom/pages/tournaments/evolution_actions.py); this package writes
down what was approved.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import msgspec
from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Max

from engine.configuration import Costs, load_settings
from events.actions import ATTEMPTS, create_job, finish_job, in_turn, kept_lease
from events.actors import Actor
from events.models import Job
from risk.actions import CONFIGURE
from tournaments.actions import REASON_LIMIT, RUN, tell
from tournaments.evolution.models import Trial
from tournaments.evolution.record import Kept
from tournaments.evolution.selectors import (
    JOB,
    open_trials,
    parameters_in_force,
    parameters_of,
    was_refused,
)
from tournaments.evolution.station import SearchRequest, checked
from tournaments.models import TournamentRound
from tournaments.selectors import active_rules
from tournaments.station import RequestError, RoundRequest

if TYPE_CHECKING:
    from tournaments.evolution.night import Carried, Found, Night
    from tournaments.evolution.shadow import Shadow
    from tournaments.market import Market

Status = Trial.Status
Load = Callable[[SearchRequest], "Market"]
"""Reads the market that a request names; raises ValueError with one sentence where it cannot."""
SECOND_NS = 1_000_000_000
OPEN = (Job.State.WAITING, Job.State.RUNNING)


@transaction.atomic
def ask_variants(*, now: datetime, request: SearchRequest | None = None) -> Job | None:
    """Ask for this day's search, the day by the clock of the rules' zone; the same day again is the same job.

    ``request`` None: the files and symbols of the newest round, as of ``now``; None is returned where there is none.
    The job still has to be rung for.
    """
    in_turn()
    day = now.astimezone(ZoneInfo(active_rules().zone)).date()
    if request is None:
        newest = TournamentRound.objects.filter(station_bars=False).order_by("-id").first()
        if newest is None:
            return None
        held = msgspec.json.decode(newest.request, type=RoundRequest)
        as_of_ns = int(now.timestamp()) * SECOND_NS
        request = SearchRequest(bars=held.bars, symbols=held.symbols, seed=held.seed, as_of_ns=as_of_ns)
    return _asked(f"evolution:{day}", checked(request), None, "the schedule after hours")


@transaction.atomic
def ask_search(*, request: SearchRequest, reason: str, actor: Actor) -> Job:
    """Ask for a search now; one on the same inputs that has not ended is the same.

    Raises
    ------
    PermissionDenied
        if the person may not.
    RequestError
        if the request names no file or too many variants.
    """
    _may(actor)
    reason, encoded = _reason(reason), msgspec.json.encode(checked(request)).decode()
    in_turn()
    waiting = Job.objects.filter(name=JOB, request=encoded, state__in=OPEN).first()
    if waiting is not None:
        return waiting
    number = Job.objects.filter(name=JOB).count() + 1
    return _asked(f"evolution:hand:{number}", request, actor, reason)


def _asked(occurrence: str, request: SearchRequest, actor: Actor | None, reason: str) -> Job:
    job, new = create_job(name=JOB, occurrence=occurrence, request=msgspec.json.encode(request).decode())
    if new:
        tell("propose variants", occurrence, actor, reason)
    return job


def search(*, job: Job, owner: str, load: Load) -> bool:
    """Do a claimed search: carry the shadows, propose, judge, and write all of it down at once."""
    from tournaments.evolution.night import Night  # noqa: PLC0415 - brings compiled code with it

    request, problem = msgspec.json.decode(job.request, type=SearchRequest), ""
    own = request.through_seq is not None
    carried, found, as_of_ns = dict[int, "Shadow"](), list["Found"](), request.as_of_ns
    with kept_lease(job_id=job.id, owner=owner) as lease:
        try:
            if job.attempts > ATTEMPTS:
                raise RequestError(f"given up after {ATTEMPTS} attempts that never ended")
            lease.phase = "market"
            night = Night(load(request), _costs(), active_rules(), as_of_ns=request.as_of_ns)
            lease.phase, lease.percent, as_of_ns = "shadow", 10, night.as_of_ns
            carried = {each.trial: night.carry(each) for each in _carried(station_bars=own)}
            lease.phase, lease.percent = "judge", 30
            found = _searched(night, request)
        except (ValueError, OSError) as error:
            problem = str(error)
    with transaction.atomic():
        in_turn()
        if not problem:
            for trial, shadow in carried.items():
                _shadowed(trial, shadow, as_of_ns)
            survived = _proposed(found, as_of_ns, station_bars=own)
            tell("judge variants", job.occurrence, None, f"{survived} of {len(found)} variants survived, SIMULATED")
        finish_job(job_id=job.id, owner=owner, result=str(len(found)), error=problem)
    return True


def _searched(night: "Night", request: SearchRequest) -> list["Found"]:
    from agents.strategies import STRATEGIES  # noqa: PLC0415 - brings compiled code with it
    from tournaments.evolution.evaluate import Told  # noqa: PLC0415

    held = parameters_in_force()
    judged = Trial.objects.filter(counts_as__isnull=False).values_list("sharpe", "excess", "counts_as")
    earlier = [Told(sharpe or 0.0, excess or 0.0, share or 0.0) for sharpe, excess, share in judged]
    return night.search(
        {each.name: held.get(each.name, {}) for each in STRATEGIES}, count=request.variants, seed=request.seed,
        known=set(Trial.objects.values_list("identity", flat=True)), earlier=earlier,
    )  # fmt: skip


def _carried(*, station_bars: bool) -> list["Carried"]:
    from tournaments.evolution.night import Carried  # noqa: PLC0415 - brings compiled code with it

    return [
        Carried(row.id, row.strategy, parameters_of(row), parameters_of(row.parent), row.proposed_ns)
        for row in open_trials(station_bars=station_bars)
        if row.parent is not None
    ]


def _shadowed(trial: int, shadow: "Shadow", as_of_ns: int) -> None:
    """Note a shadow's figures; who may enter becomes a challenger, who has lost to its parent is rejected."""
    row = Trial.objects.get(id=trial)
    if row.status not in {Status.SHADOW, Status.CHALLENGER}:
        return  # somebody has promoted or retired it meanwhile
    row.shadow_sessions, row.shadow_excess, row.shadow_error = shadow.sessions, shadow.excess, shadow.error
    if row.status == Status.SHADOW and shadow.verdict == "enters":
        row.status, row.challenger_from_ns = Status.CHALLENGER, max(as_of_ns, _newest_round_ns(row))
    elif row.status == Status.SHADOW and shadow.verdict == "lost":
        row.status = Status.REJECTED
        row.reasons = _listed(f"in {shadow.sessions} sessions of shadow it lost to its parent by more than an error")
    row.save()
    if row.status != Status.SHADOW:
        tell("shadow of a variant", row.name, None, f"{row.status} after {shadow.sessions} sessions, SIMULATED")


def _proposed(found: "Sequence[Found]", as_of_ns: int, *, station_bars: bool) -> int:
    """Register every variant, whatever became of it; return how many survived."""
    for each in found:
        variant, figures = each.variant, each.figures
        kept = Kept(
            **{name: getattr(figures, name) for name in Kept.__struct_fields__ if hasattr(figures, name)},
            trials=each.trials, effective=each.effective,
        )  # fmt: skip
        row = Trial(
            **_named(variant.strategy, variant.identity), parameters=_encoded(variant.parameters), seed=each.seed,
            parent=row_of(variant.strategy, each.parent, as_of_ns), proposed_ns=as_of_ns, station_bars=station_bars,
            fitted_from_ns=each.fitted_from_ns, tested_from_ns=each.tested_from_ns,
            tested_until_ns=each.tested_until_ns, figures=msgspec.json.encode(kept).decode(), sharpe=figures.sharpe,
            excess=figures.excess, counts_as=figures.counts_as, reasons=_listed(*figures.reasons),
            status=Status.REJECTED if figures.reasons else Status.SHADOW,
        )  # fmt: skip
        row.save()
        if row.status == Status.SHADOW:
            tell("shadow a variant", row.name, None, "it is above the luck of all trials, SIMULATED")
    return sum(not each.figures.reasons for each in found)


def row_of(strategy: str, parameters: Mapping[str, float], at_ns: int) -> Trial:
    """Return the row of parameters in force; made, without a parent, where nobody proposed them."""
    from agents.strategies import by_name  # noqa: PLC0415 - brings compiled code with it
    from tournaments.evolution.propose import complete, identity  # noqa: PLC0415

    policy = by_name(strategy)
    own = identity(policy, parameters)
    return Trial.objects.get_or_create(
        identity=own,
        defaults={
            **_named(strategy, own), "parameters": _encoded(complete(policy, parameters)), "proposed_ns": at_ns,
            "status": Status.PROMOTED,
        },
    )[0]  # fmt: skip


def promote(*, trial: Trial, before: Mapping[str, float], version: int, actor: Actor | None, reason: str) -> None:
    """Write down that a configuration puts a trial in force, in the caller's transaction.

    What was in force ``before`` is kept as a retired trial. Rounds that have been asked for keep the challenger.
    """
    at_ns = max(_newest_round_ns(trial), trial.challenger_from_ns or 0, trial.proposed_ns)
    old = row_of(trial.strategy, before, at_ns)
    old.status, old.configuration, old.reasons = Status.RETIRED, version, _listed(f"replaced by {trial.name}")
    old.save()
    trial.status, trial.configuration, trial.promoted_ns = Status.PROMOTED, version, at_ns
    if trial.challenger_from_ns is not None and trial.challenger_until_ns is None:
        trial.challenger_until_ns = at_ns
    trial.save()
    tell("promote a variant", trial.name, actor, reason)


@transaction.atomic
def note_refusal(*, request_id: str) -> None:
    """Take a promotion back whose configuration the worker has refused; any other request changes nothing."""
    name, _, number = request_id.rpartition("-")
    if name != CONFIGURE or not number.isdecimal() or not was_refused(int(number)):
        return
    in_turn()
    version = int(number)
    asked = Trial.objects.filter(configuration=version)
    for row in asked.filter(status=Status.PROMOTED):
        row.status, row.promoted_ns, row.challenger_until_ns = Status.CHALLENGER, None, None
        row.save()
        tell("promotion taken back", row.name, None, f"the worker refused configuration {version}")
    asked.filter(status=Status.RETIRED).update(status=Status.PROMOTED, reasons="[]", configuration=None)


@transaction.atomic
def retire(*, trial: Trial, reason: str, actor: Actor) -> Trial:
    """End a trial that is in shadow or a challenger; rounds that have been asked for keep it.

    Raises
    ------
    PermissionDenied
        if the person may not.
    RequestError
        if it is neither, or the reason is too short or too long.
    """
    _may(actor)
    reason = _reason(reason)
    in_turn()
    row = Trial.objects.get(id=trial.id)
    if row.status not in {Status.SHADOW, Status.CHALLENGER}:
        raise RequestError(f"{row.name} is {row.status}; only one in shadow or a challenger can be retired")
    row.status, row.reasons = Status.RETIRED, _listed(reason)
    row.challenger_until_ns = None if row.challenger_from_ns is None else max(_newest_round_ns(row), row.proposed_ns)
    row.save()
    tell("retire a variant", row.name, actor, reason)
    return row


def _newest_round_ns(row: Trial) -> int:
    """Return the latest instant of a round on a trial's kind of bars: it and earlier ones keep who entered them."""
    return (
        TournamentRound.objects.filter(station_bars=row.station_bars).aggregate(newest=Max("as_of_ns"))["newest"] or 0
    )


def _named(strategy: str, own: str) -> dict[str, str]:
    return {"strategy": strategy, "name": f"{strategy}~{own[:8]}", "identity": own}


def _encoded(parameters: Mapping[str, float]) -> str:
    return msgspec.json.encode(parameters).decode()


def _listed(*sentences: str) -> str:
    return msgspec.json.encode(sentences).decode()


def _costs() -> Costs:
    return load_settings(settings.DATA.settings if settings.DATA.settings.exists() else None).costs


def _may(actor: Actor) -> None:
    if not actor.has_perm(RUN):
        raise PermissionDenied(
            f"{actor.get_username()} may not look for variants or retire them; a tournament administrator may"
        )


def _reason(reason: str) -> str:
    reason = reason.strip()
    if not 3 <= len(reason) <= REASON_LIMIT:
        raise RequestError(f"The reason has {len(reason)} characters; the journal wants 3 to {REASON_LIMIT}.")
    return reason
