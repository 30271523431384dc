"""Evolution: the lineage of each strategy, every trial with what it was deflated by, and who may do what about it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods

from controlroom.access import stepup
from controlroom.access.models import User
from controlroom.live.rows import strategies
from controlroom.live.source import read_now
from controlroom.pages.formats import plain, signed
from controlroom.pages.station import station_page
from controlroom.pages.tournaments.asked import AskedError, files, instant_ns, symbols
from controlroom.pages.tournaments.lanes import lane
from controlroom.pages.tournaments.shown import Agent, agents_of, error, milliseconds, percent
from controlroom.pages.tournaments.simulator import whole
from controlroom.relay.doorbell import ring
from events.actors import Actor
from events.models import Job

if TYPE_CHECKING:
    from tournaments.evolution.models import Trial
    from tournaments.evolution.station import SearchRequest

FIELDS = ("bars", "as_of", "symbols", "seed", "variants", "reason")
USUAL = {"seed": "1", "variants": "8"}
SHOWN = 40  # trials on a page
OPEN = {Job.State.WAITING, Job.State.RUNNING}
STATUSES = ("rejected", "shadow", "challenger", "promoted", "retired")


@require_GET
def page(request: HttpRequest) -> HttpResponse:
    """Show lineages and trials."""
    return _page(request)


@require_http_methods(["GET", "POST"])
def run(request: HttpRequest) -> HttpResponse:
    """Ask for a search now; what is wrong is a sentence beside the form."""
    if request.method == "GET":
        return redirect("tournament-evolution")
    from tournaments.evolution import actions  # noqa: PLC0415 - the package's docstring says why
    from tournaments.station import RequestError  # noqa: PLC0415

    typed = {name: request.POST.get(name, "") for name in FIELDS}
    try:
        asked = parsed(typed)
        with transaction.atomic():
            job = actions.ask_search(request=asked, reason=typed["reason"], actor=cast("Actor", request.user))
            transaction.on_commit(lambda: ring(job))
    except (AskedError, RequestError) as problem:
        return _page(request, typed, str(problem))
    messages.info(request, "A search for variants is asked for; what it finds appears here.")
    return redirect("tournament-evolution")


@require_http_methods(["GET", "POST"])
def promote(request: HttpRequest, name: str) -> HttpResponse:
    """Ask for a promotion; password and code come first, and somebody else's yes after."""
    if request.method == "GET":
        return redirect("tournament-evolution")
    from controlroom.pages.tournaments.evolution_actions import promote as ask  # noqa: PLC0415

    try:
        made = ask(
            trial=_trial(name), actor=cast("User", request.user), proof=stepup.of(request),
            reason=request.POST.get("reason", ""),
        )  # fmt: skip
    except stepup.StepUpNeededError:
        return stepup.needed(request, reverse("tournament-evolution")) or redirect("tournament-evolution")
    except ValidationError as problem:
        return _page(request, problem=" ".join(problem.messages).removesuffix("."))
    messages.info(request, f"It waits for approval as request {made.pk}: {made.target}.")
    return redirect("approvals")


@require_http_methods(["GET", "POST"])
def retire(request: HttpRequest, name: str) -> HttpResponse:
    """End a trial in shadow or a challenger."""
    if request.method == "GET":
        return redirect("tournament-evolution")
    from tournaments.evolution import actions  # noqa: PLC0415 - the package's docstring says why
    from tournaments.station import RequestError  # noqa: PLC0415

    try:
        reason = request.POST.get("reason", "")
        actions.retire(trial=_trial(name), reason=reason, actor=cast("Actor", request.user))
    except RequestError as problem:
        return _page(request, problem=str(problem).removesuffix("."))
    messages.info(request, f"{name} is retired.")
    return redirect("tournament-evolution")


def parsed(typed: dict[str, str]) -> "SearchRequest":
    """Return the request of a filled-in form; files are looked for, so that a typing error starts nothing.

    Raises
    ------
    AskedError
        naming the first field that is wrong.
    """
    from tournaments.evolution.station import SearchRequest  # noqa: PLC0415 - the package's docstring says why

    return SearchRequest(
        bars=files(typed["bars"]), as_of_ns=instant_ns(typed["as_of"]), symbols=symbols(typed["symbols"]),
        seed=whole("seed", typed["seed"]), variants=whole("variants", typed["variants"]),
    )  # fmt: skip


def _trial(name: str) -> "Trial":
    from tournaments.evolution.selectors import trial_by_name  # noqa: PLC0415 - the package's docstring says why

    found = trial_by_name(name)
    if found is None:
        raise Http404(f"There is no trial {name[:80]}.")
    return found


def _page(request: HttpRequest, typed: dict[str, str] | None = None, problem: str = "") -> HttpResponse:
    from tournaments.evolution import selectors  # noqa: PLC0415 - the package's docstring says why

    now, every = read_now(), selectors.trials()
    view = now[0].view or {}
    agents = agents_of(view, strategies(view)["order"] or sorted({each.strategy for each in every}))
    for name in sorted({each.strategy for each in every} - agents.keys()):
        agents |= agents_of(view, [name])
    wanted = {name: request.GET.get(name, "") for name in ("strategy", "status")}
    text = request.GET.get("page", "1")
    number = max(1, int(text)) if text.isascii() and text.isdigit() and len(text) < 5 else 1
    chosen = [
        each
        for each in reversed(every)
        if each.counts_as is not None
        and all(not value or getattr(each, name) == value for name, value in wanted.items())
    ]
    begin, job = (number - 1) * SHOWN, selectors.newest_search()
    shown = [each.id for each in chosen[begin : begin + SHOWN]]
    context = {
        "tab": "evolution", "lanes": [_lane(agent, every) for agent in agents.values()],
        "rows": [_row(each, agents) for each in selectors.whole_trials(shown)], "count": len(chosen),
        "number": number, "older": len(chosen) > begin + SHOWN, "wanted": wanted, "statuses": STATUSES,
        "agents": agents.values(), "figures": _figures(every), "job": job,
        "under_way": job is not None and job.state in OPEN, "typed": typed or USUAL, "problem": problem,
    }  # fmt: skip
    response = station_page(request, "pages/evolution/page.html", page="Tournaments", context=context, now=now)
    response.status_code = 400 if problem else 200
    return response


def _figures(every: "Sequence[Trial]") -> dict[str, Any]:
    """Return the key figures: how many were tried, how far luck alone goes, and how often people promoted one."""
    from tournaments.evolution.evaluate import Told, register  # noqa: PLC0415 - it brings scipy with it
    from tournaments.evolution.selectors import innovation  # noqa: PLC0415 - the package's docstring says why
    from tournaments.scores.performance import expected_maximum  # noqa: PLC0415

    judged = [each for each in every if each.counts_as is not None]
    known = register([Told(each.sharpe or 0.0, each.excess or 0.0, each.counts_as or 0.0) for each in judged])
    states = {status: sum(each.status == status for each in judged) for status in STATUSES}
    promoted, weeks = innovation(every)
    return {
        "trials": known.trials, "effective": plain(known.effective, 1),
        "luck": plain(expected_maximum(known.effective, known.variance), 2), "states": states, "promoted": promoted,
        "weeks": plain(weeks, 1), **_rate(promoted, weeks),
    }  # fmt: skip


def _rate(promoted: int, weeks: float) -> dict[str, str]:
    """Return promotions a week with their Poisson error; of none, what 95 % allow: three over the time."""
    if weeks < 1.0:
        return {"rate": "", "rate_error": ""}
    if not promoted:
        return {"rate": plain(0.0, 2), "rate_error": f"below {plain(3.0 / weeks, 2)} with 95\N{NARROW NO-BREAK SPACE}%"}
    return {"rate": plain(promoted / weeks, 2), "rate_error": error(promoted**0.5 / weeks, 2)}


def _lane(agent: Agent, every: "Sequence[Trial]") -> dict[str, Any]:
    mine = [each for each in every if each.strategy == agent.name]
    held = sorted(
        (each for each in mine if each.parent_id is None or each.promoted_ns is not None),
        key=lambda one: one.promoted_ns or 0,
    )
    return {
        "agent": agent, "line": [_step(each) for each in held],
        "count": sum(each.counts_as is not None for each in mine),
        **lane(mine),
    }  # fmt: skip


def _step(trial: "Trial") -> dict[str, Any]:
    from tournaments.evolution.selectors import may_be_promoted  # noqa: PLC0415 - the package's docstring says why

    back = trial.status == "retired" and may_be_promoted(trial)
    return {"trial": trial, "at_ms": milliseconds(trial.promoted_ns), "back": back}


def _row(trial: "Trial", agents: dict[str, Agent]) -> dict[str, Any]:
    from tournaments.evolution import selectors  # noqa: PLC0415 - the package's docstring says why

    kept = selectors.kept_of(trial)
    assert kept is not None  # noqa: S101 - the caller shows what was judged
    own, before = selectors.parameters_of(trial), selectors.parameters_of(trial.parent) if trial.parent else {}
    return {
        "trial": trial, "agent": agents[trial.strategy], "proposed_ms": milliseconds(trial.proposed_ns),
        "changes": [f"{name} {before[name]:g} → {value:g}" for name, value in own.items() if before.get(name) != value],
        "sharpe": signed(kept.sharpe, 2, arrow=False), "sharpe_error": error(kept.sharpe_error, 2),
        "excess": signed(kept.excess, 2), "excess_error": error(kept.excess_error, 2), "kept": kept,
        "deflated": percent(kept.deflated, 0), "better": percent(kept.better, 0),
        "effective": plain(kept.effective, 1), "correlation": plain(kept.correlation, 2),
        "shadow": None if trial.shadow_error is None else signed(trial.shadow_excess or 0.0, 2),
        "shadow_error": error(trial.shadow_error, 2),
        "reasons": selectors.reasons_of(trial), "challenger": trial.status == "challenger",
        "open": trial.status in {"shadow", "challenger"},
    }  # fmt: skip
