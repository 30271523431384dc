"""Reads of trials: for pages, for the next search, and for the next round."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from engine.configuration import Configuration
from events.models import Job
from risk.models import ConfigurationVersion
from risk.selectors import current_configuration
from tournaments.evolution.models import Trial
from tournaments.evolution.record import Kept
from tournaments.evolution.station import SearchRequest

if TYPE_CHECKING:
    from tournaments.stress.policies import Entrant

JOB = "propose_variants"
Status = Trial.Status
WEEK_NS = 7 * 86_400 * 10**9


def parameters_of(trial: Trial) -> dict[str, float]:
    """Return a trial's parameters, every one by name."""
    return msgspec.json.decode(trial.parameters, type=dict[str, float])


def kept_of(trial: Trial) -> Kept | None:
    """Return a trial's judgement, None where it was in force before anybody judged."""
    return msgspec.json.decode(trial.figures, type=Kept) if trial.figures else None


def reasons_of(trial: Trial) -> list[str]:
    """Return why a trial was rejected or retired."""
    return msgspec.json.decode(trial.reasons, type=list[str])


def parameters_in_force() -> dict[str, dict[str, float]]:
    """Return the parameters of the configuration that holds, by strategy; what it does not name has its default."""
    current = current_configuration()
    if current is None:
        return {}
    return msgspec.json.decode(current.content, type=Configuration).settings.strategies


def promoted_parameters() -> dict[str, dict[str, float]]:
    """Return what people have put in force by promotion, by strategy; a start of the station keeps it."""
    rows = Trial.objects.filter(status=Status.PROMOTED, promoted_ns__isnull=False).order_by("promoted_ns", "id")
    return {row.strategy: parameters_of(row) for row in rows}


def may_be_promoted(trial: Trial) -> bool:
    """Return whether people may put a trial in force: a challenger, or what a promotion has replaced."""
    return trial.status == Status.CHALLENGER or (trial.status == Status.RETIRED and trial.configuration is not None)


def trials() -> list[Trial]:
    """Return every trial, oldest first, without what only a row of its own shows."""
    return list(Trial.objects.defer("parameters", "figures", "reasons").order_by("id"))


def whole_trials(ids: Sequence[int]) -> list[Trial]:
    """Return trials with all of it and with their parents, newest first."""
    return list(Trial.objects.filter(id__in=ids).select_related("parent").order_by("-id"))


def trial_by_name(name: str) -> Trial | None:
    """Return a trial, None if there is none of that name."""
    return Trial.objects.filter(name=name).first()


def open_trials(*, station_bars: bool) -> list[Trial]:
    """Return those in shadow and the challengers of the same bars, oldest first, each with its parent's row."""
    found = Trial.objects.filter(status__in=(Status.SHADOW, Status.CHALLENGER), station_bars=station_bars)
    return list(found.select_related("parent").order_by("id"))


def challengers(*, before_ns: int, station_bars: bool = False) -> "tuple[Entrant, ...]":
    """Return who enters a round as of an instant beside the station's strategies, by name: the same at every call.

    A trial enters rounds that are asked for after it became a challenger, and those that had been asked for when it
    was promoted or retired keep it. Those of the station's own bars enter its own rounds, the others those on files.
    """
    from agents.strategies import by_name, parameter_array  # noqa: PLC0415 - brings compiled code with it
    from tournaments.stress.policies import Entrant  # noqa: PLC0415

    rows = Trial.objects.filter(station_bars=station_bars, challenger_from_ns__lt=before_ns)
    rows = rows.exclude(challenger_until_ns__lt=before_ns)
    return tuple(
        Entrant(row.name, by_name(row.strategy), parameter_array(by_name(row.strategy), parameters_of(row)))
        for row in rows.order_by("name")
    )


def innovation(every: Sequence[Trial]) -> tuple[int, float]:
    """Return how many variants were promoted, and the weeks of market time since the first search."""
    promoted = [each.promoted_ns for each in every if each.promoted_ns is not None and each.parent_id is not None]
    instants = [*(each.proposed_ns for each in every), *promoted]
    return len(promoted), (max(instants) - min(instants)) / WEEK_NS if instants else 0.0


def newest_search() -> Job | None:
    """Return the search that was asked for last."""
    return Job.objects.filter(name=JOB).order_by("-id").first()


def request_of(job: Job) -> SearchRequest:
    """Return what a search was asked for on."""
    return msgspec.json.decode(job.request, type=SearchRequest)


def was_refused(version: int) -> bool:
    """Return whether the worker refused a version of the configuration."""
    return ConfigurationVersion.objects.filter(version=version).exclude(refused="").exists()
