"""Capital: the allocations that were made and what became of each, what is in force, what the worker uses."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from django.http import HttpRequest
from ninja import Router, Schema
from pydantic import Field

from controlroom.access.operators import held_configuration
from controlroom.api.door import Token
from controlroom.live.source import read_now

router = Router()
Limit = Annotated[int, Field(ge=1, le=500)]


class AllocationRow(Schema):
    """A version; weights are fractions of the capital by strategy, ``overrides`` weight and end by strategy.

    ``state``: proposed (waits for people), told, acknowledged, refused (``answer`` says why).
    """

    version: int
    round_id: str
    state: str
    answer: str
    actor: str
    reason: str
    at_ns: int
    weights: dict[str, float]
    base: dict[str, float]
    competitive: dict[str, float]
    overrides: dict[str, dict[str, Any]]
    created: datetime
    acknowledged_at: datetime | None


class Allocations(Schema):
    """``in_force``: the version that the worker took last, null where the settings' weights hold.

    ``in_use``: what the worker says it uses now; null while it is away.
    """

    in_force: int | None
    settings: dict[str, float] | None
    in_use: dict[str, float] | None
    versions: list[AllocationRow]


@router.get("", auth=Token("allocation"), response=Allocations, summary="Capital by strategy, now and through time")
def allocations(request: HttpRequest, limit: Limit = 20) -> dict[str, Any]:  # noqa: ARG001 - ninja's
    """Return the newest versions, newest first, and what is in force."""
    from tournaments import selectors  # noqa: PLC0415 - the package's docstring says why

    running, held, view = selectors.allocation_in_force(), held_configuration(), read_now()[0].view
    used = None if view is None else {name: float(each["weight"]) for name, each in view["strategies"].items()}
    return {
        "in_force": None if running is None else running.version,
        "settings": None if held is None else held.settings.weights,
        "in_use": used, "versions": [_row(row) for row in selectors.allocations(limit)],
    }  # fmt: skip


def _row(row: Any) -> dict[str, Any]:
    from tournaments import selectors  # noqa: PLC0415 - the package's docstring says why

    own, given = {"weights", "overrides", "base", "competitive"}, selectors.allocation_of(row)
    return {name: getattr(row, name) for name in AllocationRow.model_fields if name not in own} | {
        "weights": given.weights, "overrides": msgspec.to_builtins(given.overrides),
        "base": msgspec.json.decode(row.base), "competitive": msgspec.json.decode(row.competitive),
    }  # fmt: skip
