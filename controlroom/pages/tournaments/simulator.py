"""The simulator: what versions of the rules do to chance and to skill, simulated by a job, two side by side."""

import time
from typing import TYPE_CHECKING, Any, cast

from django.contrib import messages
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods

from controlroom.pages.station import station_page
from controlroom.pages.tournaments.asked import AskedError, files, symbols
from controlroom.pages.tournaments.simulated import sections
from controlroom.relay.doorbell import ring
from events.actors import Actor
from events.models import Job

if TYPE_CHECKING:
    from tournaments.simulating.record import SimulationRequest

FIELDS = ("bars", "symbols", "agents", "iterations", "seed", "first", "second", "reason")
USUAL = {"agents": "4", "iterations": "100", "seed": "1"}
SHOWN = 8  # newest simulations
LONGEST = 10  # digits
OPEN = {Job.State.WAITING, Job.State.RUNNING}


@require_GET
def page(request: HttpRequest) -> HttpResponse:
    """Show the newest simulation or the one that is asked for; htmx gets what changes alone."""
    return _page(request)


@require_http_methods(["GET", "POST"])
def run(request: HttpRequest) -> HttpResponse:
    """Ask for a simulation; what is wrong is a sentence beside the form."""
    if request.method == "GET":
        return redirect("tournament-simulator")
    from tournaments.simulating import actions  # noqa: PLC0415 - the package's docstring says why
    from tournaments.station import RequestError  # noqa: PLC0415

    typed = {name: request.POST.get(name, "") for name in FIELDS}
    try:
        asked = parsed(typed)
        with transaction.atomic():
            job = actions.ask_simulation(request=asked, reason=typed["reason"], actor=cast("Actor", request.user))
            transaction.on_commit(lambda: ring(job))
    except (AskedError, RequestError) as problem:
        return _page(request, typed, str(problem))
    messages.info(request, f"Simulation {job.id} is asked for.")
    return redirect("tournament-simulator")


@require_http_methods(["GET", "POST"])
def stop(request: HttpRequest, job_id: int) -> HttpResponse:
    """Ask a simulation to stop."""
    if request.method == "GET":
        return redirect("tournament-simulator")
    from tournaments.simulating import actions  # noqa: PLC0415 - the package's docstring says why
    from tournaments.station import RequestError  # noqa: PLC0415

    try:
        actions.cancel_simulation(job_id=job_id, actor=cast("Actor", request.user))
    except RequestError as problem:
        return _page(request, problem=str(problem))
    messages.info(request, f"Simulation {job_id}: asked to stop; it does within seconds.")
    return redirect("tournament-simulator")


def parsed(typed: dict[str, str]) -> "SimulationRequest":
    """Return the request of a filled-in form; files are looked for, so that a typing error starts nothing.

    Raises
    ------
    AskedError
        naming the first field that is wrong.
    """
    from tournaments.simulating.record import SimulationRequest  # noqa: PLC0415 - the package's docstring says why

    versions = [whole("rules A", typed["first"]), *([whole("rules B", typed["second"])] if typed["second"] else [])]
    return SimulationRequest(
        bars=files(typed["bars"]), symbols=symbols(typed["symbols"]), versions=versions,
        agents=whole("agents", typed["agents"]), iterations=whole("rounds", typed["iterations"]),
        seed=whole("seed", typed["seed"]),
    )  # fmt: skip


def whole(name: str, text: str) -> int:
    """Return a whole number of at most ten digits; how large it may be says the action.

    Raises
    ------
    AskedError
        if it is none.
    """
    text = text.strip()
    if not (text.isascii() and text.isdigit() and len(text) <= LONGEST):
        raise AskedError(f"{name} = {text[: LONGEST * 2]!r} must be a whole number of at most {LONGEST} digits")
    return int(text)


def _page(request: HttpRequest, typed: dict[str, str] | None = None, problem: str = "") -> HttpResponse:
    from tournaments.selectors import active_rules, rules_versions  # noqa: PLC0415 - the package's docstring says why
    from tournaments.simulating import selectors  # noqa: PLC0415

    jobs, number = selectors.simulations(SHOWN), request.GET.get("job", "")
    chosen = selectors.simulation_by_id(int(number)) if number.isdigit() and len(number) <= LONGEST else None
    if number and chosen is None:
        raise Http404(f"There is no simulation {number[:LONGEST]}.")
    chosen = chosen or next((job for job in jobs if job.state == Job.State.DONE), None)
    context: dict[str, Any] = {
        "tab": "simulator", "simulations": [_row(job) for job in jobs], "shown": _shown(chosen) if chosen else None,
        "under_way": any(job.state in OPEN for job in jobs), "now_ms": time.time_ns() // 1_000_000,
    }  # fmt: skip
    if getattr(request, "htmx", None):
        return render(request, "pages/tournaments/simulator_work.html", context)
    active = active_rules().version
    versions = [(0, "built in"), *((row.version, row.status) for row in reversed(rules_versions()))]
    context |= {"problem": problem, "versions": versions, "typed": typed or USUAL | {"first": str(active)}}
    response = station_page(request, "pages/tournaments/simulator.html", page="Tournaments", context=context)
    response.status_code = 400 if problem else 200
    return response


def _row(job: Job) -> dict[str, Any]:
    from tournaments.simulating import selectors  # noqa: PLC0415 - the package's docstring says why

    begun = selectors.state_of(job).begun if job.state == Job.State.RUNNING else 0
    return {
        "job": job, "asked": selectors.request_of(job), "open": job.state in OPEN, "left_ms": left_ms(job, begun),
        "asked_ms": int(job.created.timestamp() * 1000),
        "heard_ms": int(job.heartbeat_at.timestamp() * 1000) if job.heartbeat_at else None,
    }  # fmt: skip


def left_ms(job: Job, begun: int) -> int | None:
    """Return how long a simulation will take from now on at the pace of this attempt, None while that is not known."""
    if job.state != Job.State.RUNNING or job.started_at is None or job.percent <= begun:
        return None
    gone = (timezone.now() - job.started_at).total_seconds()
    return int(gone / (job.percent - begun) * (100 - job.percent) * 1000)


def _shown(job: Job) -> dict[str, Any]:
    from tournaments.simulating import selectors  # noqa: PLC0415 - the package's docstring says why

    found = selectors.state_of(job).found if job.state == Job.State.DONE else []
    ended = job.finished_at
    return _row(job) | {
        "found": found, "sections": sections(found) if found else [],
        "columns": len(found) + (3 if len(found) > 1 else 2),
        "ended_ms": int(ended.timestamp() * 1000) if ended else None,
        "took_ms": sum(1000 * each.seconds for each in found),
    }  # fmt: skip
