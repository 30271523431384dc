"""Evolution: every variant that was tried, with the parent that it came from. Promotion takes people, on the page."""

from typing import Annotated, Any, Literal

from django.http import HttpRequest
from ninja import Router, Schema
from pydantic import Field

from controlroom.api.door import Token

router = Router()
Limit = Annotated[int, Field(ge=1, le=200)]
PageNumber = Annotated[int, Field(ge=1, le=10_000)]
Status = Literal["proposed", "rejected", "shadow", "challenger", "promoted", "retired"]


class TrialRow(Schema):
    """A strategy under parameters; without a parent it is what was in force before anybody looked for variants.

    Instants are UTC nanoseconds of market time; Sharpe ratios a year, of SIMULATED unit books; ``excess`` is that of
    variant less parent.
    """

    name: str
    strategy: str
    parent: str | None
    status: str
    reasons: list[str]
    parameters: dict[str, float]
    sharpe: float | None
    excess: float | None
    shadow_sessions: int
    shadow_excess: float | None
    shadow_error: float | None
    proposed_ns: int
    promoted_ns: int | None
    challenger_from_ns: int | None
    challenger_until_ns: int | None
    configuration: int | None


class Trials(Schema):
    """A page of trials, newest first."""

    count: int
    page: int
    older: bool
    trials: list[TrialRow]


@router.get("", auth=Token("tournament-evolution"), response=Trials, summary="Variants and their lineage")
def evolution(
    request: HttpRequest,  # noqa: ARG001 - ninja's
    strategy: str = "", status: Status | None = None, limit: Limit = 40, page: PageNumber = 1,
) -> dict[str, Any]:  # fmt: skip
    """Return variants, of one strategy or status alone where named."""
    from tournaments.evolution import selectors  # noqa: PLC0415 - the package's docstring says why

    chosen = [
        each.id
        for each in reversed(selectors.trials())
        if strategy in {"", each.strategy} and status in {None, each.status}
    ]
    begin = (page - 1) * limit
    rows = [_row(each) for each in selectors.whole_trials(chosen[begin : begin + limit])]
    return {"count": len(chosen), "page": page, "older": len(chosen) > begin + limit, "trials": rows}


def _row(trial: Any) -> dict[str, Any]:
    from tournaments.evolution import selectors  # noqa: PLC0415 - the package's docstring says why

    own = {"parent", "reasons", "parameters"}
    return {name: getattr(trial, name) for name in TrialRow.model_fields if name not in own} | {
        "parent": None if trial.parent is None else trial.parent.name, "reasons": selectors.reasons_of(trial),
        "parameters": selectors.parameters_of(trial),
    }  # fmt: skip
