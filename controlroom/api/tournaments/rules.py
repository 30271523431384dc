"""Rules of tournaments: versions, what differs between two, a draft, putting one in force."""

from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.http import Http404, HttpRequest
from ninja import Router, Schema
from pydantic import Field

from controlroom.api.door import Token, actor_of
from controlroom.api.reading import Given, Plain
from tournaments.rules import FIELDS, Rules, changed

if TYPE_CHECKING:
    from tournaments.models import RulesVersion

router = Router()
DEFAULTS = 0  # the built-in rules' number


class RulesRow(Schema):
    """A version; ``status`` is draft, active or retired."""

    version: int
    status: str
    author: str
    reason: str
    sha256: str
    created: datetime | None = None
    activated_by: str = ""
    activated_at: datetime | None = None


class RulesField(Schema):
    """A field of the rules; ``low`` and ``high`` are both allowed; ``choices`` of a text that is one of few."""

    name: str
    unit: str
    low: float
    high: float
    choices: list[str]
    help: str


class RulesVersions(Schema):
    """Every version, newest first; ``active`` 0: the built-in rules hold."""

    active: int
    versions: list[RulesRow]
    fields: list[RulesField]


class OneVersion(RulesRow):
    """A version with the value of each field."""

    rules: dict[str, Any]


class Changed(Schema):
    """A field that differs."""

    field: str
    before: bool | int | float | str
    after: bool | int | float | str
    unit: str
    help: str


class Difference(Schema):
    """What differs between two versions, in the table's order."""

    before: int
    after: int
    changes: list[Changed]


class Draft(Given):
    """A new version: the newest one with other values."""

    changes: dict[str, Plain] = Field(description="field to value; GET lists fields and ranges")
    reason: str = Field(description="why, for the journal; 3 to 500 characters")


class Because(Given):
    """Why, for the journal; 3 to 500 characters."""

    reason: str


@router.get("", auth=Token("tournament-rules"), response=RulesVersions, summary="Versions and fields of the rules")
def versions(request: HttpRequest) -> dict[str, Any]:  # noqa: ARG001 - ninja's
    """Return every version, and the table of fields."""
    from tournaments import selectors  # noqa: PLC0415 - the package's docstring says why

    fields = [
        {"name": name} | {part: getattr(each, part) for part in RulesField.model_fields if part != "name"}
        for name, each in FIELDS.items()
    ]
    rows = [_row(row) for row in selectors.rules_versions()]
    return {"active": selectors.active_rules().version, "versions": rows, "fields": fields}


@router.post("", auth=Token("tournament-rules-draft"), response={201: OneVersion}, summary="Draft a version")
def draft(request: HttpRequest, given: Draft) -> dict[str, Any]:
    """Make a draft; it is in force once somebody activates it."""
    from tournaments import actions  # noqa: PLC0415 - the package's docstring says why

    return _whole(actions.draft_rules(changes=given.changes, reason=given.reason, actor=actor_of(request)))


@router.get("/diff", auth=Token("tournament-rules"), response=Difference, summary="What differs between two versions")
def difference(request: HttpRequest, a: int, b: int) -> dict[str, Any]:  # noqa: ARG001 - ninja's
    """Return what differs from version ``a`` to version ``b``; 0 stands for the built-in rules."""
    rows = [_changed(each) for each in changed(_rules(a), _rules(b))]
    return {"before": a, "after": b, "changes": rows}


@router.get("/{int:version}", auth=Token("tournament-rules"), response=OneVersion, summary="One version")
def one_version(request: HttpRequest, version: int) -> dict[str, Any]:  # noqa: ARG001 - ninja's
    """Return a version with its values; 0 is the built-in one."""
    if version == DEFAULTS:
        built_in = {"version": 0, "status": "built in", "author": "", "reason": "", "sha256": ""}
        return built_in | {"rules": _values(Rules())}
    return _whole(_known(version))


@router.post(
    "/{int:version}/activate", auth=Token("tournament-rules-activate"), response=OneVersion,
    summary="Put a version in force",
)  # fmt: skip
def activate(request: HttpRequest, version: int, given: Because) -> dict[str, Any]:
    """Put a version in force; rounds that have begun go on under theirs."""
    from tournaments import actions  # noqa: PLC0415 - the package's docstring says why

    return _whole(actions.activate_rules(version=version, reason=given.reason, actor=actor_of(request)))


def _known(version: int) -> "RulesVersion":
    from tournaments import selectors  # noqa: PLC0415 - the package's docstring says why

    found = next((row for row in selectors.rules_versions() if row.version == version), None)
    if found is None:
        raise Http404(f"version = {version} is no version of the rules")
    return found


def _rules(version: int) -> Rules:
    from tournaments import selectors  # noqa: PLC0415 - the package's docstring says why

    return Rules() if version == DEFAULTS else selectors.rules_of(_known(version))


def _row(row: "RulesVersion") -> dict[str, Any]:
    return {name: getattr(row, name) for name in RulesRow.model_fields}


def _whole(row: "RulesVersion") -> dict[str, Any]:
    from tournaments import selectors  # noqa: PLC0415 - the package's docstring says why

    return _row(row) | {"rules": _values(selectors.rules_of(row))}


def _values(rules: Rules) -> dict[str, Any]:
    return {name: getattr(rules, name) for name in FIELDS}


def _changed(each: Any) -> dict[str, Any]:
    return {name: getattr(each, name) for name in ("field", "before", "after", "unit")} | {
        "help": FIELDS[each.field].help
    }
