"""Simulations of the rules: the newest ones with what they found, asking for one, stopping one."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from django.db import transaction
from django.http import Http404, HttpRequest
from ninja import Router, Schema
from pydantic import Field

from controlroom.api.door import Token, actor_of
from controlroom.api.reading import Given
from controlroom.pages.tournaments.asked import files, symbols
from controlroom.relay.doorbell import ring
from events.models import Job

router = Router()
Limit = Annotated[int, Field(ge=1, le=50)]


class SimulationRow(Schema):
    """A simulation; ``found`` has one entry a version (tournaments/simulation, Simulated), once it is done."""

    id: int
    state: str
    phase: str
    percent: int
    error: str
    asked: dict[str, Any]
    created: datetime
    finished_at: datetime | None
    found: list[dict[str, Any]]


class Simulations(Schema):
    """The newest simulations, newest first."""

    simulations: list[SimulationRow]


class SimulationAsked(Given):
    """One or two versions of the rules on the same histories and seeds."""

    bars: list[str] = Field(description="whole paths of .parquet or .csv files, on the station's machine")
    symbols: list[str] = Field(default=[], description="these alone; all that the files share where empty")
    versions: list[int] = Field(description="one or two versions of the rules; 0 is the built-in one")
    agents: int = 4
    iterations: int = Field(default=100, description="rounds")
    seed: int = 1
    reason: str = Field(description="why, for the journal; 3 to 500 characters")


@router.get("", auth=Token("tournament-simulator"), response=Simulations, summary="The newest simulations")
def simulations(request: HttpRequest, limit: Limit = 8) -> dict[str, Any]:  # noqa: ARG001 - ninja's
    """Return the newest simulations with what they have found."""
    from tournaments.simulating import selectors  # noqa: PLC0415 - the package's docstring says why

    return {"simulations": [_row(job) for job in selectors.simulations(limit)]}


@router.post("", auth=Token("tournament-simulator-run"), response={202: SimulationRow}, summary="Ask for a simulation")
def simulate(request: HttpRequest, given: SimulationAsked) -> dict[str, Any]:
    """Ask for a simulation; one at a time in a station."""
    from tournaments.simulating import actions  # noqa: PLC0415 - the package's docstring says why
    from tournaments.simulating.record import SimulationRequest  # noqa: PLC0415

    asked = SimulationRequest(
        bars=files("\n".join(given.bars)), symbols=symbols("\n".join(given.symbols)), versions=given.versions,
        agents=given.agents, iterations=given.iterations, seed=given.seed,
    )  # fmt: skip
    with transaction.atomic():
        job = actions.ask_simulation(request=asked, reason=given.reason, actor=actor_of(request))
        transaction.on_commit(lambda: ring(job))
    return _row(job)


@router.post(
    "/{int:number}/cancel", auth=Token("tournament-simulator-cancel"), response={202: SimulationRow},
    summary="Ask a simulation to stop",
)  # fmt: skip
def cancel(request: HttpRequest, number: int) -> dict[str, Any]:
    """Ask a simulation to stop; it does within seconds."""
    from tournaments.simulating import actions, selectors  # noqa: PLC0415 - the package's docstring says why

    actions.cancel_simulation(job_id=number, actor=actor_of(request))
    job = selectors.simulation_by_id(number)
    if job is None:
        raise Http404(f"simulation {number} is unknown")
    return _row(job)


def _row(job: Job) -> dict[str, Any]:
    from tournaments.simulating import selectors  # noqa: PLC0415 - the package's docstring says why

    names = ("id", "state", "phase", "percent", "error", "created", "finished_at")
    found = selectors.state_of(job).found if job.state == Job.State.DONE else []
    return {name: getattr(job, name) for name in names} | {
        "asked": msgspec.to_builtins(selectors.request_of(job)), "found": msgspec.to_builtins(found),
    }  # fmt: skip
