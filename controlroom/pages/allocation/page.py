"""The Allocation page: capital now, its history and charts, and the forms of those who may override it."""

import hashlib
from typing import TYPE_CHECKING, Any, cast

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.http import require_GET, require_http_methods

from controlroom.access import stepup
from controlroom.access.headers import allow_inline_styles
from controlroom.access.models import Approval, User
from controlroom.access.operators import held_configuration
from controlroom.access.permissions import named
from controlroom.live.documents import document
from controlroom.live.snapshot import Snapshot
from controlroom.live.source import read_now
from controlroom.pages.allocation import asked, figures, now
from controlroom.pages.allocation.asked import AskedError, Review
from controlroom.pages.allocation.now import Station
from controlroom.pages.allocation.weights import timeline
from controlroom.pages.station import station_page
from events.selectors import request_named

if TYPE_CHECKING:
    from controlroom.pages.allocation.past import Decided
    from tournaments.models import AllocationVersion

VERSIONS, SHOWN = 500, 20
ROUNDS = 104  # two years
DEPLOYED, SHADOW = "deployed", "shadow"
PERMISSION = "override_allocation"


@allow_inline_styles
@require_GET
def page(request: HttpRequest) -> HttpResponse:
    """Show the page; with an act in its address also what that would do, to who may."""
    act = request.GET.get("act", "")
    if act not in asked.FIELDS or not request.user.has_perm(named(PERMISSION)):
        return _page(request)
    typed = asked.typed_in(request.GET, act)
    if (elsewhere := stepup.needed(request, _address(act, typed))) is not None:
        return elsewhere
    return _page(request, act, typed)


@require_GET
def figures_now(request: HttpRequest) -> HttpResponse:
    """Show what is stored alone; nothing (204) while it is as the asking page has it."""
    snapshot, _ = read_now()
    station = _station(snapshot)
    if request.GET.get("seen") == _digest(station):
        return HttpResponse(status=204)
    documents = {topic: document(topic, snapshot) for topic in ("header", "overview")}
    context = {"documents": documents, "header": documents["header"], **_stored(request, station, snapshot)}
    return render(request, "pages/allocation/stored.html", context)


@require_GET
def history(request: HttpRequest) -> JsonResponse:
    """Return what the charts draw, of the deployed history or of SHADOW rounds: never of both."""
    station = _station(read_now()[0])
    rounds, which = _chosen(request, station)
    agents, rules = station.agents, _rules()
    if which == DEPLOYED:
        versions = station.acknowledgements()[::-1]
        splits = timeline(versions, station.now_ns if station.running is not None else None)
        marks = figures.override_marks(versions, splits, agents) + figures.settings_marks(versions)
        if splits:
            marks += figures.state_marks(splits[0].at_ns, splits[-1].at_ns + 1)
    else:
        splits, marks = figures.shadow_splits(rounds), []
    return JsonResponse({
        "of": which, "capital": figures.capital(splits, agents),
        "decisions": figures.decisions(rounds, rules.evidence_full),
        "marks": sorted([*marks, *figures.standing_marks(rounds, agents)], key=lambda each: each["at"]),
    })  # fmt: skip


@allow_inline_styles
@require_http_methods(["GET", "POST"])
def act(request: HttpRequest, name: str) -> HttpResponse:
    """Do what was reviewed: an act of `asked.FIELDS`; what is wrong is a sentence beside the review."""
    if request.method == "GET" or name not in asked.FIELDS:
        return redirect("allocation")
    typed = asked.typed_in(request.POST, name)
    try:
        made = _done(name, typed, cast("User", request.user), stepup.of(request))
    except (AskedError, ValidationError) as error:
        return _page(
            request, name, typed, " ".join(error.messages) if isinstance(error, ValidationError) else f"{error}."
        )
    except stepup.StepUpNeededError:
        return stepup.needed(request, _address(name, typed)) or redirect(_address(name, typed))
    if isinstance(made, Approval):
        messages.info(request, f"It waits for a second person as request {made.pk}: {made.target}.")
        return redirect("approvals")
    row = request_named(made.request_id)
    messages.info(
        request, f"Allocation {made.version} requested.", extra_tags=f"request-{row.id}" if row is not None else ""
    )
    return redirect("allocation")


def _done(name: str, typed: dict[str, str], actor: User, proof: stepup.StepUp | None) -> "AllocationVersion | Approval":
    from controlroom.allocations import actions, readmission  # noqa: PLC0415 - the package's docstring says why

    common: dict[str, Any] = {"reason": typed["reason"], "actor": actor, "proof": proof}
    if name == asked.READMIT:
        return readmission.ask_readmission(strategy=typed["strategy"], **common)
    if name == asked.DEPLOY:
        return actions.ask_deployment(version=asked.version(typed["version"]), **common)
    if name == asked.END:
        return actions.end_override(strategy=typed["strategy"], **common)
    share, until_ns = asked.weight(typed["weight"]), asked.until_ns(typed["until"])
    return actions.override(strategy=typed["strategy"], weight=share, until_ns=until_ns, **common)


def _page(request: HttpRequest, name: str = "", typed: dict[str, str] | None = None, problem: str = "") -> HttpResponse:
    read = read_now()
    station = _station(read[0])
    review: Review | None = None
    if name and typed is not None and not problem:
        try:
            review = asked.review(name, typed, station)
        except AskedError as error:
            problem = f"{error}."
    stored = _stored(request, station, read[0])
    context = stored | {
        "review": review, "problem": problem, "wrong": name, "agents": station.agents,
        "typed": typed if typed is not None and name == asked.OVERRIDE else {},
        "overridden": [row for row in stored["table"]["rows"] if row["override"]],
        "proposed": [row for row in station.rows if row.state == "proposed"],
        "benched": [
            station.agents[name] for name, each in station.benched.items()
            if name in station.agents and not each.readmitted_by
        ],
        "engine_ms": None if station.now_ns is None else station.now_ns // 1_000_000,
    }  # fmt: skip
    response = station_page(
        request, "pages/allocation/page.html", page="Allocation", topics=("overview",), context=context, now=read
    )
    response.status_code = 400 if problem else 200
    return response


def _address(name: str, typed: dict[str, str]) -> str:
    return f"{reverse('allocation')}?{urlencode({'act': name, **typed})}"


def _station(snapshot: Snapshot) -> Station:
    from tournaments import selectors  # noqa: PLC0415 - the package's docstring says why

    held = held_configuration()
    return Station(
        view=snapshot.view or {}, rows=selectors.allocations(VERSIONS), running=selectors.allocation_in_force(),
        settings=None if held is None else held.settings.weights, configuration=None if held is None else held.version,
        benched=selectors.benched(),
    )  # fmt: skip


def _rules() -> Any:
    from tournaments.selectors import active_rules  # noqa: PLC0415 - the package's docstring says why

    return active_rules()


def _rounds(station: Station) -> "tuple[list[Decided], list[Decided]]":
    """Return the deployed rounds and those in SHADOW, each oldest first."""
    from controlroom.pages.allocation import past  # noqa: PLC0415 - the package's docstring says why

    rounds = past.decided(ROUNDS)
    return past.deployed(rounds, station.rows), past.shadow(rounds, station.rows)


def _chosen(request: HttpRequest, station: Station) -> "tuple[list[Decided], str]":
    deployed, shadow = _rounds(station)
    which = SHADOW if request.GET.get("of") == SHADOW else DEPLOYED
    return (shadow if which == SHADOW else deployed), which


def _stored(request: HttpRequest, station: Station, snapshot: Snapshot) -> dict[str, Any]:
    """Return what the database says, with the worker's word beside it."""
    from controlroom.pages.allocation import past  # noqa: PLC0415 - the package's docstring says why

    deployed, shadow = _rounds(station)
    which = SHADOW if request.GET.get("of") == SHADOW else DEPLOYED
    rounds = shadow if which == SHADOW else deployed
    delta, rules = past.earned(rounds), _rules()
    newest = rounds[-1] if rounds else None
    return {
        "table": now.table(station, {each.round_id: each for each in deployed}), "station": station,
        "difference": now.difference(station), "versions": now.versions(station)[:SHOWN], "count": len(station.rows),
        "evidence": now.evidence(newest, rules), "rules": rules, "of": which, "deployed_count": len(deployed),
        "shadow_count": len(shadow), "newest": newest, "digest": _digest(station), "now_ms": snapshot.now_ms,
        "delta": None if delta is None else figures.errors(delta.mean, delta.error, len(delta.delta)),
    }  # fmt: skip


def _digest(station: Station) -> str:
    """Return what tells one state of all this from another, without reading the rounds' records."""
    from controlroom.pages.allocation.past import newest_change  # noqa: PLC0415 - the package's docstring says why

    seen = [
        newest_change(), [(row.version, row.state, row.answer) for row in station.rows],
        station.running and station.running.version, station.in_use, station.configuration,
        station.view.get("configuration"), station.view.get("allocation"), (station.now_ns or 0) // 60_000_000_000,
        sorted((each.strategy, each.readmitted_by) for each in station.benched.values()),
    ]  # fmt: skip
    return hashlib.sha256(repr(seen).encode()).hexdigest()[:16]
