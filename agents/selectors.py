"""Reads of the artefact registry, of the outcomes behind it, and of whose strategies are."""

from array import array
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from django.db.models import Max
from guardian.shortcuts import get_objects_for_user

from agents.models import Artefact, OutcomesRead, SettledOutcomes, Strategy


def current_version(name: str) -> int:
    """Return the newest fitted version of an artefact, 0 if there is none."""
    fitted = Artefact.objects.filter(name=name, outcome=Artefact.Outcome.FITTED)
    return int(fitted.aggregate(newest=Max("version"))["newest"] or 0)


def newest_fitted(name: str) -> Artefact | None:
    """Return the newest fitted version of an artefact, None if there is none."""
    return Artefact.objects.filter(name=name, outcome=Artefact.Outcome.FITTED).order_by("-version").first()


def artefact_of(name: str, occurrence: str) -> Artefact | None:
    """Return what an occurrence brought, None before it has."""
    return Artefact.objects.filter(name=name, occurrence=occurrence).first()


def latest_artefacts(*, limit: int = 50) -> list[Artefact]:
    """Return the newest entries of the registry, newest first."""
    return list(Artefact.objects.order_by("-id")[:limit])


def next_outcome_seq() -> int:
    """Return the first record of the execution journal that has not been read for outcomes."""
    newest = OutcomesRead.objects.aggregate(through=Max("through_seq"))["through"]
    return 0 if newest is None else int(newest) + 1


def settled_outcomes() -> dict[str, list[tuple[float, bool]]]:
    """Return every stored (score, hit) by strategy, in journal order."""
    found: dict[str, list[tuple[float, bool]]] = {}
    for row in SettledOutcomes.objects.order_by("strategy", "from_seq").iterator():
        scores = array("d", bytes(row.scores))
        found.setdefault(row.strategy, []).extend(zip(scores, map(bool, bytes(row.hits)), strict=True))
    return found


def strategy_names() -> list[str]:
    """Return the strategies of this station: the folders, without compiling what is in them."""
    spec = find_spec("agents.strategies")
    folders = spec.submodule_search_locations if spec and spec.submodule_search_locations else []
    return sorted(file.parent.name for folder in folders for file in Path(folder).glob("*/step.py"))


def strategies_of(user: Any) -> list[str]:
    """Return the names of the strategies that are a person's own."""
    own = get_objects_for_user(
        user, "agents.change_strategy", klass=Strategy, with_superuser=False, accept_global_perms=False
    )
    return list(own.values_list("name", flat=True))
