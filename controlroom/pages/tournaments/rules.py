"""Rules of tournaments: every version, what differs between two, a draft from the table of fields, putting in force."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_GET, require_http_methods

from controlroom.pages.formats import SPACE
from controlroom.pages.station import station_page
from events.actors import Actor
from tournaments.rules import FIELDS, Field, Rules, RulesError, changed, field_problem

if TYPE_CHECKING:
    from tournaments.models import RulesVersion

DEFAULTS = 0
"""Number of the built-in rules among the versions: those that hold before anybody has activated any."""
LONGEST = 80  # characters of a value
SWITCH = {"yes": True, "no": False}


@require_GET
def page(request: HttpRequest) -> HttpResponse:
    """Show the rules."""
    return _page(request)


@require_http_methods(["GET", "POST"])
def draft(request: HttpRequest) -> HttpResponse:
    """Take the form; a bad value is a sentence and changes nothing."""
    if request.method == "GET":
        return redirect("tournament-rules")
    from tournaments import actions, selectors  # noqa: PLC0415 - the package's docstring says why

    typed = {name: request.POST[name] for name in FIELDS if name in request.POST}
    reason, base = request.POST.get("reason", ""), request.POST.get("base", "")
    versions = selectors.rules_versions()
    newest = versions[0].version if versions else DEFAULTS
    if base != str(newest):
        sentence = (
            f"base = {base[:20]!r} is not the newest version, {newest}: somebody drafted since this form was opened"
        )
        return _page(request, typed, reason, sentence)
    before = {row["name"]: row["value"] for row in _fields(_newest(versions), {})}
    changes = {name: value_of(name, text) for name, text in typed.items() if text.strip() != before[name]}
    if wrong := next(filter(None, (field_problem(name, value) for name, value in changes.items())), ""):
        return _page(request, typed, reason, wrong)
    try:
        made = actions.draft_rules(changes=changes, reason=reason, actor=cast("Actor", request.user))
    except RulesError as problem:
        return _page(request, typed, reason, str(problem))
    messages.info(request, f"Rules {made.version} are drafted. They are in force once somebody activates them.")
    return redirect("tournament-rules")


@require_http_methods(["GET", "POST"])
def activate(request: HttpRequest, version: int) -> HttpResponse:
    """Put a version in force for rounds that have not begun."""
    if request.method == "GET":
        return redirect("tournament-rules")
    from tournaments import actions  # noqa: PLC0415 - the package's docstring says why

    try:
        reason = request.POST.get("reason", "")
        made = actions.activate_rules(version=version, reason=reason, actor=cast("Actor", request.user))
    except RulesError as problem:
        return _page(request, problem=str(problem))
    messages.info(request, f"Rules {made.version} are in force; rounds that have begun go on under theirs.")
    return redirect("tournament-rules")


def value_of(name: str, text: str) -> object:
    """Return what was typed as the field's own type; what cannot be one stays a text, which the rules refuse."""
    kind, text = Rules.__annotations__[name], text.strip()[:LONGEST]
    if kind is bool:
        return SWITCH.get(text, text)
    if kind is str:
        return text
    for read in (int, float) if kind is int else (float,):
        try:
            return read(text)
        except ValueError:
            continue
    return text


def _page(
    request: HttpRequest, typed: Mapping[str, str] | None = None, reason: str = "", problem: str = ""
) -> HttpResponse:
    from tournaments import selectors  # noqa: PLC0415 - the package's docstring says why

    versions = selectors.rules_versions()
    active = next((row.version for row in versions if row.status == row.Status.ACTIVE), DEFAULTS)
    context = {
        "tab": "rules", "versions": versions, "active": active, "fields": _fields(_newest(versions), typed or {}),
        "base": versions[0].version if versions else DEFAULTS, "reason": reason, "problem": problem,
        "next": (versions[0].version if versions else DEFAULTS) + 1,
        "difference": _difference(request, versions, active),
    }  # fmt: skip
    response = station_page(request, "pages/tournaments/rules.html", page="Tournaments", context=context)
    response.status_code = 400 if problem else 200
    return response


def _newest(versions: "list[RulesVersion]") -> Rules:
    """Return what the next draft starts from."""
    from tournaments import selectors  # noqa: PLC0415 - the package's docstring says why

    return selectors.rules_of(versions[0]) if versions else Rules()


def _fields(rules: Rules, typed: Mapping[str, str]) -> list[dict[str, Any]]:
    rows = []
    for name, field in FIELDS.items():
        value = shown(getattr(rules, name))
        choices = ("yes", "no") if Rules.__annotations__[name] is bool else field.choices
        rows.append({
            "name": name, "field": field, "value": value, "choices": choices, "range": _range(name, field),
            "typed": typed.get(name, value),
        })  # fmt: skip
    return rows


def _range(name: str, field: Field) -> str:
    if Rules.__annotations__[name] is bool:
        return "yes or no"
    if Rules.__annotations__[name] is str:
        return ", ".join(field.choices) or "a name"
    return f"{_number(field.low)} to {_number(field.high)}"


def shown(value: object) -> str:
    """Return a rule's value as a person types it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.12g}" if isinstance(value, float) else str(value)


def _number(value: float) -> str:
    return f"{value:,.0f}".replace(",", SPACE) if value >= 10_000 else f"{value:g}"


def _difference(request: HttpRequest, versions: "list[RulesVersion]", active: int) -> dict[str, Any]:
    """Return what differs between the two versions that the address names: those in force and the newest at first."""
    from tournaments import selectors  # noqa: PLC0415 - the package's docstring says why

    known = {str(row.version): row for row in versions}
    newest = str(versions[0].version) if versions else str(DEFAULTS)
    before, after = request.GET.get("before", str(active)), request.GET.get("after", newest)
    told: dict[str, Any] = {"before": before, "after": after, "numbers": [str(DEFAULTS), *reversed(known)]}
    for number in (before, after):
        if number not in told["numbers"]:
            return told | {"problem": f"version = {number[:20]!r} is no version of the rules"}
    first, second = (selectors.rules_of(known[each]) if each in known else Rules() for each in (before, after))
    rows = [
        {"field": each.field, "before": shown(each.before), "after": shown(each.after), "unit": each.unit,
         "help": FIELDS[each.field].help}
        for each in changed(first, second)
    ]  # fmt: skip
    return told | {"rows": rows}
