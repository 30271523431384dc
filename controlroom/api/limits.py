"""Limits: what holds, and tightening. What would loosen takes people, on the page."""

from typing import Any

from django.http import HttpRequest
from ninja import Router, Schema
from pydantic import Field

from controlroom.api.door import Token, actor_of
from controlroom.api.reading import Given, Plain
from controlroom.pages.limits import rows
from controlroom.pages.oversight_actions import change_limits

router = Router()


class LimitRow(Schema):
    """A limit of the newest configuration; ``tighter``: which direction one person may move it in."""

    name: str
    value: str
    range: str
    tighter: str


class Limits(Schema):
    """Every limit."""

    limits: list[LimitRow]


class Tightening(Given):
    """Limits to change, as a person types them, and why."""

    changes: dict[str, Plain] = Field(description="limit to value; yes or no of a switch")
    reason: str = Field(description="why, for the journal; 3 to 500 characters")


class Requested(Schema):
    """The configuration that the worker is told; it holds once it has acknowledged."""

    configuration: int


@router.get("", auth=Token("limits"), response=Limits, summary="Limits with range and tighter direction")
def limits(request: HttpRequest) -> dict[str, Any]:  # noqa: ARG001 - ninja's
    """Return every limit."""
    return {"limits": [{**row, "tighter": row["rule"].tighter} for row in rows()]}


@router.post("", auth=Token("limits-change"), response={202: Requested}, summary="Tighten limits")
def tighten(request: HttpRequest, given: Tightening) -> dict[str, Any]:
    """Tighten limits at once; a change that loosens any is refused whole."""
    typed = {name: _typed(value) for name, value in given.changes.items()}
    made = change_limits(actor=actor_of(request), changes=typed, reason=given.reason, proof=None)  # type: ignore[arg-type] # asked of it: name and rights
    return {"configuration": made.version}  # type: ignore[union-attr] # without a proof nothing waits for approval


def _typed(value: object) -> str:
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)
