"""Reads of the artefact registry, of the outcomes behind it, and of whose strategies are."""

from array import array
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec
from django.db.models import Max
from guardian.shortcuts import get_objects_for_user

from agents.models import Artefact, OutcomesRead, PricesRead, SessionPrices, SettledOutcomes, Strategy
from agents.risk_manager.prices import Grid


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


def artefact_names() -> list[str]:
    """Return the names of everything that was ever fitted here."""
    return list(Artefact.objects.order_by("name").values_list("name", flat=True).distinct())


def in_force(name: str) -> Artefact | None:
    """Return the version that is in force, else the one that will be next, None before the first."""
    kept = Artefact.objects.filter(name=name).exclude(status__in=("", Artefact.Status.RETIRED))
    return kept.filter(status=Artefact.Status.PROMOTED).order_by("-id").first() or kept.order_by("-id").first()


def versions(*, name: str = "", limit: int = 50) -> list[Artefact]:
    """Return the registry's fitted versions, newest first, for a page; of all names without ``name``."""
    fits = Artefact.objects.filter(outcome=Artefact.Outcome.FITTED)
    return list((fits.filter(name=name) if name else fits).order_by("-id")[:limit])


def next_price_seq() -> int:
    """Return the first record of the execution journal that has not been read for prices."""
    newest = PricesRead.objects.aggregate(through=Max("through_seq"))["through"]
    return 0 if newest is None else int(newest) + 1


def session_prices(*, limit: int) -> dict[str, Grid]:
    """Return the newest sessions' prices, session date to grid, in order of time."""
    newest = SessionPrices.objects.order_by("-session")[:limit]
    return {row.session: msgspec.json.decode(row.prices, type=Grid) for row in reversed(newest)}


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
